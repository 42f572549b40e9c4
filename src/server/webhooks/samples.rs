//! Messages, and what they say.

use super::message::says;
use crate::transfer::{Arrived, Pushed};

/// An event as distribution and ACR send it.
pub(super) fn event(action: &str, media_type: &str, tag: Option<&str>) -> String {
    let tag = tag.map(|tag| format!(r#", "tag": "{tag}""#)).unwrap_or_default();
    format!(
        r#"{{"id": "1", "timestamp": "2024-01-01T00:00:00Z", "action": "{action}",
            "target": {{"mediaType": "{media_type}", "size": 7, "digest": "sha256:aa", "repository": "team/app",
                        "url": "http://registry.example:5000/v2/team/app/manifests/sha256:aa"{tag}}},
            "request": {{"id": "2", "addr": "10.0.0.1:5", "host": "registry.example:5000", "method": "PUT"}},
            "actor": {{}}, "source": {{"addr": "x:5000", "instanceID": "3"}}}}"#
    )
}

/// A push to a registry that says who it is.
pub(super) fn pushed(host: &str, repository: &str, tag: &str) -> Pushed {
    Pushed { arrived: Arrived::Tag(tag.parse().unwrap()), ..untagged(host, repository) }
}

pub(super) fn untagged(host: &str, repository: &str) -> Pushed {
    Pushed { registry: says(host.parse().ok()), repository: repository.parse().unwrap(), arrived: Arrived::Untagged }
}
