//! What a registry has to say to people: `Warning: 299 - "…"`. Source: distribution spec, "Warnings".

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::HeaderMap;
use http::header::WARNING;

use super::answer::one_line;

/// So many different texts are shown; a registry that makes a new one each time is not listened to any longer.
const MOST: usize = 20;

/// The texts that were shown already.
#[derive(Default)]
pub(super) struct Warnings(Mutex<HashSet<String>>);

impl Warnings {
    /// The texts of an answer that are new.
    pub(super) fn news(&self, headers: &HeaderMap) -> Vec<String> {
        let texts = headers.get_all(WARNING).iter().filter_map(|value| text(value.to_str().ok()?));
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.filter(|text| shown.len() < MOST && shown.insert(text.clone())).collect()
    }
}

/// The text of `299 - "This is deprecated."`; other codes are not for us.
fn text(value: &str) -> Option<String> {
    let quoted = value.trim().strip_prefix("299 ")?.split_once('"')?.1;
    let text = quoted.trim_end().strip_suffix('"').unwrap_or(quoted).replace("\\\"", "\"");
    Some(one_line(&text)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_new_once() {
        let warnings = Warnings::default();
        let say = |value: &str| warnings.news(&HeaderMap::from_iter([(WARNING, value.parse().unwrap())]));
        assert_eq!(say(r#"299 - "Your \"token\" ends soon.""#), [r#"Your "token" ends soon."#]);
        assert!(say(r#"299 - "Your \"token\" ends soon.""#).is_empty());
        assert!(say(r#"110 - "Response is Stale""#).is_empty());
        assert!(say("299 - nothing").is_empty());
        let texts: usize = (0..100).map(|n| say(&format!("299 - \"{n}\"")).len()).sum();
        assert_eq!(texts, MOST - 1);
    }
}
