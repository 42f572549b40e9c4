//! What is posted: a document of our own, or a text as Slack takes it, and with it Mattermost, Rocket.Chat, Discord (`/slack`)
//! and others.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::channel::Format;
use super::states::{Change, State};

/// Raised when a field is not what it was before; those that are added raise nothing.
const VERSION: u32 = 1;

/// So many changes are told one by one in a text,
const MOST_LINES: usize = 20;
/// each with so many characters of its error.
const LONGEST_ERROR: usize = 300;

/// The body for some changes, at least one. `id` is the same whenever they are posted.
pub(super) fn document(format: Format, id: &str, changes: &[Change]) -> String {
    let value: Value = match format {
        Format::Json => json!({ "version": VERSION, "id": id, "changes": changes }),
        Format::Slack => json!({ "text": text(changes) }),
    };
    value.to_string()
}

fn text(changes: &[Change]) -> String {
    let mut text = changes.iter().take(MOST_LINES).map(line).collect::<Vec<_>>().join("\n");
    let rest = changes.get(MOST_LINES..).unwrap_or_default();
    if !rest.is_empty() {
        let failing = rest.iter().filter(|change| change.state == State::Failing).count();
        let _ = write!(text, "\n… and {} more: {failing} failing, {} fresh again", rest.len(), rest.len() - failing);
    }
    text
}

fn line(change: &Change) -> String {
    let rule = escaped(&change.rule);
    match change.state {
        State::Failing => {
            let failed = match change.images.failed {
                0 => String::new(),
                1 => " (1 image)".to_owned(),
                count => format!(" ({count} images)"),
            };
            let error = change.error.as_deref().unwrap_or(change.outcome.as_str());
            format!(":x: *{rule}* is failing{failed}: {}", escaped(&shortened(error)))
        }
        State::Fresh => {
            let lasted = change.failing_since.map(|since| change.at.duration_since(since).unsigned_abs().as_secs());
            let lasted = lasted.map(|seconds| humantime::format_duration(Duration::from_secs(seconds)));
            let lasted = lasted.map(|lasted| format!(", after {lasted}")).unwrap_or_default();
            format!(":white_check_mark: *{rule}* is fresh again{lasted}")
        }
    }
}

/// On one line.
fn shortened(error: &str) -> String {
    let line = error.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Source: Slack's documentation, "Formatting text for app surfaces", "Escaping text". Without it a registry's words could
/// call everybody (`<!channel>`) or lead elsewhere.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::states::Counts;
    use super::*;
    use crate::events::RunOutcome;

    fn failing(rule: &str, error: &str) -> Change {
        Change {
            rule: rule.to_owned(),
            state: State::Failing,
            at: Timestamp::from_second(10).unwrap(),
            failing_since: Timestamp::from_second(10).ok(),
            last_success: Timestamp::from_second(5).ok(),
            outcome: RunOutcome::Failure,
            images: Counts { copied: 1, unchanged: 2, skipped: 0, failed: 3 },
            error: Some(error.to_owned()),
        }
    }

    fn fresh(rule: &str) -> Change {
        let at = Timestamp::from_second(7_510).unwrap();
        let (outcome, images) = (RunOutcome::Success, Counts { copied: 0, unchanged: 6, skipped: 0, failed: 0 });
        Change { state: State::Fresh, at, outcome, images, error: None, ..failing(rule, "") }
    }

    #[test]
    fn a_document_has_every_field() {
        let document = document(Format::Json, "a1", &[failing("alpine", "r.example/alpine:1: no"), fresh("tools")]);
        let expected = json!({ "version": 1, "id": "a1", "changes": [
            {
                "rule": "alpine", "state": "failing", "at": "1970-01-01T00:00:10Z",
                "failing_since": "1970-01-01T00:00:10Z", "last_success": "1970-01-01T00:00:05Z", "outcome": "failure",
                "images": {"copied": 1, "unchanged": 2, "skipped": 0, "failed": 3}, "error": "r.example/alpine:1: no",
            },
            {
                "rule": "tools", "state": "fresh", "at": "1970-01-01T02:05:10Z",
                "failing_since": "1970-01-01T00:00:10Z", "last_success": "1970-01-01T00:00:05Z", "outcome": "success",
                "images": {"copied": 0, "unchanged": 6, "skipped": 0, "failed": 0}, "error": null,
            },
        ]});
        assert_eq!(serde_json::from_str::<Value>(&document).unwrap(), expected);
    }

    #[test]
    fn a_text_has_a_line_for_each_change_and_calls_nobody() {
        let body = document(Format::Slack, "a1", &[failing("a&b", "r.example/x:1: <!channel>\nno"), fresh("tools")]);
        let expected = ":x: *a&amp;b* is failing (3 images): r.example/x:1: &lt;!channel&gt; no\n\
                        :white_check_mark: *tools* is fresh again, after 2h 5m";
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({ "text": expected }));
    }

    #[test]
    fn a_text_stays_readable_however_much_there_is_to_tell() {
        let changes: Vec<Change> = (0..100).map(|n| failing(&format!("rule-{n}"), &"ä".repeat(1000))).collect();
        let text = text(&[changes, vec![fresh("last")]].concat());
        assert!(text.chars().count() < 8_000, "{}", text.chars().count());
        assert!(text.ends_with("ä…\n… and 81 more: 80 failing, 1 fresh again"), "{text}");
    }
}
