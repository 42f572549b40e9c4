//! Azure Container Registry's webhooks: distribution's event by itself; and what Event Grid makes of it, a list of events
//! with that one as their `data`.
//!
//! Source: Azure's documentation, "Azure Container Registry webhook reference" and "Webhook event delivery".

use serde::Deserialize;
use serde::de::{Error as _, value};
use serde_json::value::RawValue;

use super::distribution::Event;
use super::message::{Few, Message};

/// What Event Grid asks before it sends anything.
const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";

/// The longest word that it wants to hear again; it sends a UUID.
const LONGEST_CODE: usize = 128;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GridEvent<'b> {
    #[serde(default)]
    event_type: String,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    validation_code: String,
}

pub(super) fn read(body: &[u8]) -> serde_json::Result<Message> {
    if body.trim_ascii_start().first() != Some(&b'[') {
        let event: Event = serde_json::from_slice(body)?;
        return Ok(Message::Pushes(event.push().into_iter().collect()));
    }
    let Few(events): Few<GridEvent<'_>> = serde_json::from_slice(body)?;
    let mut pushes = Vec::new();
    for GridEvent { event_type, data } in events {
        let Some(data) = data else { continue };
        if event_type == VALIDATION {
            return validation(data).map(Message::Handshake);
        }
        // Other events are of other shapes.
        pushes.extend(serde_json::from_str::<Event>(data.get()).ok().and_then(|event| event.push()));
    }
    Ok(Message::Pushes(pushes))
}

/// What is sent back is a plain word, whoever asks.
fn validation(data: &RawValue) -> serde_json::Result<String> {
    let Validation { validation_code: code } = serde_json::from_str(data.get())?;
    let is_plain = code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if is_plain && (1..=LONGEST_CODE).contains(&code.len()) {
        return Ok(code);
    }
    Err(serde_json::Error::custom(value::Error::custom("the validation code is no plain word")))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{event, pushed};
    use super::*;
    use crate::oci::media_type::DOCKER_MANIFEST;

    fn of(body: &str) -> Message {
        read(body.as_bytes()).unwrap()
    }

    #[test]
    fn an_event_comes_by_itself_or_through_event_grid() {
        let push = event("push", DOCKER_MANIFEST, Some("v1"));
        let expected = Message::Pushes(vec![pushed("registry.example:5000", "team/app", "v1")]);
        assert_eq!(of(&push), expected);
        let grid = format!(
            r#"[{{"eventType": "Microsoft.ContainerRegistry.ImagePushed", "data": {push}, "subject": "team/app:v1"}},
                {{"eventType": "Microsoft.ContainerRegistry.ChartPushed", "data": {{"action": 7}}}}, {{}}]"#
        );
        assert_eq!(of(&grid), expected);
    }

    #[test]
    fn a_ping_and_a_deletion_are_no_push() {
        for body in [r#"{"id": "1", "action": "ping"}"#, &event("delete", DOCKER_MANIFEST, None), "[]"] {
            assert_eq!(of(body), Message::Pushes(Vec::new()), "{body}");
        }
    }

    #[test]
    fn event_grid_hears_its_code_again_if_it_is_one() {
        let asking = |code: &str| {
            format!(
                r#"[{{"eventType": "{VALIDATION}", "data": {{"validationCode": "{code}", "validationUrl": "u"}}}}]"#
            )
        };
        assert_eq!(of(&asking("512d38b6-c7b8")), Message::Handshake("512d38b6-c7b8".to_owned()));
        for code in ["", "<script>", &"a".repeat(129)] {
            assert!(read(asking(code).as_bytes()).is_err(), "{code}");
        }
    }
}
