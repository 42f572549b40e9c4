//! Distribution's notifications: `{"events": [{"action": "push", "target": {…}}]}`.
//!
//! Source: distribution's documentation, "Work with notifications".

use serde::Deserialize;

use super::message::{Few, arrived, says};
use crate::oci::media_type;
use crate::transfer::{Arrived, Pushed};

#[derive(Deserialize)]
struct Envelope {
    events: Few<Event>,
}

/// Something that happened to a document or a blob.
#[derive(Deserialize)]
pub(super) struct Event {
    #[serde(default)]
    action: String,
    target: Option<Target>,
    request: Option<Request>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    repository: String,
    tag: Option<String>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    host: String,
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Vec<Pushed>> {
    let envelope: Envelope = serde_json::from_slice(body)?;
    Ok(envelope.events.0.iter().filter_map(Event::push).collect())
}

impl Event {
    /// What was pushed, if anything was. A blob is nothing yet: the document that names it comes last.
    pub(super) fn push(&self) -> Option<Pushed> {
        let target = self.target.as_ref().filter(|_| self.action == "push")?;
        let arrived = arrived(target.tag.as_deref());
        if arrived == Arrived::Untagged && !media_type::is_manifest(media_type::essence(&target.media_type)) {
            return None;
        }
        let host = self.request.as_ref().and_then(|request| request.host.parse().ok());
        Some(Pushed { registry: says(host), repository: target.repository.parse().ok()?, arrived })
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{event, pushed, untagged};
    use super::*;

    fn of(events: &[String]) -> Vec<Pushed> {
        read(format!("{{\"events\": [{}]}}", events.join(",")).as_bytes()).unwrap()
    }

    #[test]
    fn a_tag_that_is_pushed_is_one_push_however_many_blobs_came_before() {
        let blob = event("push", "application/octet-stream", None);
        let manifest = event("push", media_type::OCI_MANIFEST, Some("v1"));
        assert_eq!(of(&[blob.clone(), blob, manifest]), [pushed("registry.example:5000", "team/app", "v1")]);
    }

    #[test]
    fn a_document_without_a_tag_is_told_as_one() {
        let manifest = event("push", media_type::OCI_MANIFEST, None);
        assert_eq!(of(&[manifest]), [untagged("registry.example:5000", "team/app")]);
    }

    #[test]
    fn pulls_mounts_and_deletions_are_no_push() {
        for action in ["pull", "mount", "delete", ""] {
            assert_eq!(of(&[event(action, media_type::OCI_MANIFEST, Some("v1"))]), []);
        }
    }

    #[test]
    fn a_name_that_is_none_is_left_out() {
        let bad = event("push", media_type::OCI_MANIFEST, Some("v1")).replace("team/app", "../app");
        let good = event("push", media_type::OCI_MANIFEST, Some("v2"));
        assert_eq!(of(&[bad, good]), [pushed("registry.example:5000", "team/app", "v2")]);
    }
}
