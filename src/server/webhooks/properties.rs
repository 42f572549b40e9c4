//! What holds for every message, of whatever kind.

use super::message::{MOST, Message, read};
use crate::events::WebhookKind;
use crate::transfer::Sender;

/// What a message says is a few names that are names, whatever it is, and no longer than it.
pub fn webhook(data: &[u8]) {
    for kind in WebhookKind::ALL {
        let Ok(message) = read(kind, data) else { continue };
        match message {
            Message::Handshake(word) => {
                assert!(kind == WebhookKind::Acr && word.len() <= data.len());
                assert!(!word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{word:?}");
            }
            Message::Pushes(pushes) => {
                assert!(pushes.len() <= MOST, "{} pushes of {kind:?}", pushes.len());
                for push in pushes {
                    if let Sender::Is(host) | Sender::Says(host) = &push.registry {
                        assert!(!host.is_layout(), "{push:?}");
                    }
                    assert_eq!(push.repository.as_str().parse().as_ref(), Ok(&push.repository));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FIELDS: [&str; 28] = [
        "events",
        "action",
        "target",
        "mediaType",
        "repository",
        "tag",
        "request",
        "host",
        "eventType",
        "data",
        "validationCode",
        "type",
        "event_data",
        "resources",
        "resource_url",
        "repo_full_name",
        "push_data",
        "repo_name",
        "docker_url",
        "updated_tags",
        "package",
        "registry_package",
        "name",
        "namespace",
        "package_type",
        "package_version",
        "package_url",
        "container_metadata",
    ];

    const VALUES: [&str; 12] = [
        "\"push\"",
        "\"PUSH_ARTIFACT\"",
        "\"published\"",
        "\"container\"",
        "\"team/app\"",
        "\"a.example:5000/team/app:v1\"",
        "\"v1\"",
        "\"Microsoft.EventGrid.SubscriptionValidationEvent\"",
        "\"application/vnd.oci.image.manifest.v1+json\"",
        "null",
        "7",
        "\"../\\u0000\"",
    ];

    /// What is almost a message: its fields, in any order and depth.
    fn value() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(VALUES.to_vec()).prop_map(str::to_owned);
        leaf.prop_recursive(5, 40, 6, |inner| {
            let object = prop::collection::btree_map(prop::sample::select(FIELDS.to_vec()), inner.clone(), 0..6);
            prop_oneof![
                object.prop_map(|fields| {
                    let fields: Vec<String> =
                        fields.into_iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
                    format!("{{{}}}", fields.join(", "))
                }),
                prop::collection::vec(inner, 0..3).prop_map(|values| format!("[{}]", values.join(", "))),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            webhook(&data);
        }

        #[test]
        fn what_is_almost_a_message_keeps_it(text in value()) {
            webhook(text.as_bytes());
        }
    }

    #[test]
    fn long_lists_and_deep_ones_keep_it() {
        let event = r#"{"action": "push", "target": {"repository": "team/app", "tag": "v1"}}"#;
        let parts = |part: &str, count: usize| vec![part; count].join(",");
        for body in [
            format!(r#"{{"events": [{}]}}"#, parts(event, 1000)),
            format!(r#"{{"events": [{}]}}"#, parts("{}", 100_000)),
            format!("[{}]", parts("{}", 100_000)),
            format!(r#"{{"repository": "a/b", "docker_url": "q.io/a/b", "updated_tags": [{}]}}"#, parts("\"x\"", 9999)),
            "[".repeat(100_000),
            format!(r#"{{"events": {}"#, "[".repeat(100_000)),
        ] {
            webhook(body.as_bytes());
        }
        let tags = format!(r#"{{"repository": "a/b", "updated_tags": [{}]}}"#, parts("\"x\"", 9999));
        let Ok(Message::Pushes(pushes)) = read(WebhookKind::Quay, tags.as_bytes()) else { panic!("it is a push") };
        assert_eq!(pushes.len(), MOST);
    }
}
