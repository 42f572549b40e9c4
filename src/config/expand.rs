//! Variables in values: `${VAR}`, `${VAR:-default}`, and `$$` for a `$` that is meant.
//!
//! Done on the parsed tree: whatever a variable holds stays inside the one string it stands in.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::Problems;

/// Looks a variable up.
type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Expands the variables in all strings of a table and of what is in it. Keys stay as they are.
pub(super) fn table(table: &mut DeTable<'_>, env: Env<'_>, problems: &mut Problems<'_>) {
    for (_, element) in table.iter_mut() {
        value(element, env, problems);
    }
}

fn value(element: &mut Spanned<DeValue<'_>>, env: Env<'_>, problems: &mut Problems<'_>) {
    let span = element.span();
    match element.get_mut() {
        DeValue::String(text) => match expanded(text, env) {
            Ok(expanded) => *text = Cow::Owned(expanded),
            Err(reasons) => {
                for reason in reasons {
                    problems.add(&span, reason);
                }
                problems.spoil(&span);
            }
        },
        DeValue::Array(elements) => {
            for element in elements.iter_mut() {
                value(element, env, problems);
            }
        }
        DeValue::Table(inner) => table(inner, env, problems),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

/// The text with its variables' values, or what is wrong with each of those that have none. A `$` before anything
/// else stands for itself, as in the regular expression `/v\d+$/`.
fn expanded(text: &str, env: Env<'_>) -> Result<String, Vec<String>> {
    let (mut out, mut reasons) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(inside) = after.strip_prefix('{') {
            let Some((inside, after)) = inside.split_once('}') else {
                reasons.push("a `${` has no `}`; write `$${` for one that is meant".to_owned());
                return Err(reasons);
            };
            match variable(inside, env) {
                Ok(value) => out.push_str(&value),
                Err(reason) => reasons.push(reason),
            }
            rest = after;
        } else {
            out.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
        }
    }
    out.push_str(rest);
    if reasons.is_empty() { Ok(out) } else { Err(reasons) }
}

/// As in a shell, a default also stands in for a variable that is set to nothing.
fn variable(inside: &str, env: Env<'_>) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable_name(name) {
        return Err("a `${…}` must hold a variable's name: write `${VAR}` or `${VAR:-default}`, and `$${` for a `${` that is meant".to_owned());
    }
    match (env(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            Err(format!("the variable {name} is not set: set it, or write a default as in `${{{name}:-default}}`"))
        }
    }
}

/// The variable that a value was written as, and as nothing else: `"${NAME}"` or `"${NAME:-default}"`.
pub(super) fn only_variable(written: &str) -> Option<&str> {
    let inside = written.trim_matches(['"', '\'']).strip_prefix("${")?.strip_suffix('}')?;
    Some(inside.split_once(":-").map_or(inside, |(name, _)| name)).filter(|name| is_variable_name(name))
}

/// Letters, digits and `_`, not starting with a digit. Source: POSIX, "Name".
pub(super) fn is_variable_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("ghcr.io".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("\"\n[[rules]] ${HOST} $$".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn variables_defaults_and_dollars() {
        for (text, means) in [
            ("${HOST}/app", "ghcr.io/app"),
            ("${NONE:-docker.io}/${HOST}", "docker.io/ghcr.io"),
            ("${HOST:-unused}", "ghcr.io"),
            ("${EMPTY}|${EMPTY:-x}|${NONE:-}", "|x|"),
            ("$$ $${HOST} $HOST $", "$ ${HOST} $HOST $"),
            ("/v\\d+$/", "/v\\d+$/"),
            ("${NONE:-a:-b}", "a:-b"),
            ("${TRICKY}", "\"\n[[rules]] ${HOST} $$"),
        ] {
            assert_eq!(expanded(text, &env).unwrap(), means, "{text}");
        }
    }

    #[test]
    fn each_variable_without_a_value_is_named() {
        let reasons = expanded("${A}${HOST}${B}", &env).unwrap_err();
        assert!(reasons.len() == 2 && reasons[0].contains("variable A ") && reasons[1].contains("variable B "));
    }

    #[test]
    fn what_stands_in_a_broken_one_is_not_shown() {
        for text in ["s3cret${", "${s3cret", "${s3 cret}", "${}", "${s3cret-x}", "${1s3cret}"] {
            let reasons = expanded(text, &env).unwrap_err();
            assert!(reasons.len() == 1 && !reasons[0].contains("cret"), "{reasons:?}");
        }
    }

    proptest! {
        #[test]
        fn doubling_the_dollars_gives_any_text_back(text in "[${}:a\u{e9}-]{0,20}") {
            prop_assert_eq!(expanded(&text.replace('$', "$$"), &env).unwrap(), text);
        }
    }
}
