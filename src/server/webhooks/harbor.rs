//! Harbor's webhooks, in its own format and as CloudEvents.
//!
//! Source: Harbor's documentation, "Configure Webhook Notifications".

use serde::Deserialize;

use super::message::{Few, arrived, place, says};
use crate::transfer::Pushed;

#[derive(Deserialize)]
struct Notification {
    #[serde(rename = "type")]
    kind: String,
    #[serde(alias = "data")]
    event_data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    resources: Few<Resource>,
    repository: Option<Named>,
}

#[derive(Deserialize)]
struct Resource {
    tag: Option<String>,
    #[serde(default)]
    resource_url: String,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    repo_full_name: String,
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Vec<Pushed>> {
    let Notification { kind, event_data } = serde_json::from_slice(body)?;
    let data = event_data.filter(|_| matches!(&*kind, "PUSH_ARTIFACT" | "harbor.artifact.pushed"));
    Ok(data.map(Data::pushes).unwrap_or_default())
}

impl Data {
    fn pushes(self) -> Vec<Pushed> {
        let name = self.repository.map(|named| named.repo_full_name).unwrap_or_default();
        let Ok(repository) = name.parse() else { return Vec::new() };
        let pushed = |resource: Resource| Pushed {
            registry: says(place(&resource.resource_url).map(|(host, _)| host)),
            repository: Clone::clone(&repository),
            arrived: arrived(resource.tag.as_deref()),
        };
        self.resources.0.into_iter().map(pushed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{pushed, untagged};
    use super::*;

    const RESOURCES: &str = r#"{"resources": [
            {"digest": "sha256:aa", "tag": "v1", "resource_url": "harbor.example/library/app:v1"},
            {"digest": "sha256:bb", "tag": "sha256:bb", "resource_url": "harbor.example/library/app"}
        ], "repository": {"name": "app", "namespace": "library", "repo_full_name": "library/app"}}"#;

    #[test]
    fn both_formats_tell_of_the_same_pushes() {
        for body in [
            format!(r#"{{"type": "PUSH_ARTIFACT", "occur_at": 1, "operator": "admin", "event_data": {RESOURCES}}}"#),
            format!(r#"{{"specversion": "1.0", "type": "harbor.artifact.pushed", "data": {RESOURCES}}}"#),
        ] {
            let pushes = read(body.as_bytes()).unwrap();
            let expected = [pushed("harbor.example", "library/app", "v1"), untagged("harbor.example", "library/app")];
            assert_eq!(pushes, expected);
        }
    }

    #[test]
    fn other_events_are_no_push() {
        for kind in ["PULL_ARTIFACT", "DELETE_ARTIFACT", "SCANNING_COMPLETED", "harbor.artifact.pulled"] {
            let body = format!(r#"{{"type": "{kind}", "event_data": {RESOURCES}}}"#);
            assert_eq!(read(body.as_bytes()).unwrap(), []);
        }
    }
}
