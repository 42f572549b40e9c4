//! What holds for every text that may be a reference.

use super::Reference;

/// What a short reference is filled up with, at most.
const FILLED_IN: usize = "docker.io/library/:latest".len();

/// A reference reads back as it prints, and makes a URL's path without a surprise. What is none is refused on one line,
/// and a login that stands before it is not repeated.
pub fn reference(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match text.parse::<Reference>() {
        Ok(reference) => taken(&reference, text),
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error}"),
    }
    login_is_not_repeated(text);
}

fn taken(reference: &Reference, text: &str) {
    let printed = reference.to_string();
    assert_eq!(printed.parse().as_ref(), Ok(reference));
    assert!(printed.len() <= text.len() + FILLED_IN, "{printed} came of {text}");

    if let Some(dir) = reference.host.layout_dir() {
        let dir = dir.to_str().unwrap_or_default();
        assert!(!dir.is_empty() && !dir.contains([':', '@']) && !dir.contains(char::is_control), "{dir:?}");
        return;
    }
    let path = format!("{}/manifests/{}", reference.repository, reference.selector());
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':');
    assert!(path.chars().all(plain), "{path} has to be escaped");
    assert!(!path.split('/').any(|part| matches!(part, "" | "." | "..")), "{path} leaves its folder");
}

/// Where `sha…:` comes next, the login cannot be told from a repository's name and its tag.
fn login_is_not_repeated(text: &str) {
    if text.contains("hunter") || text.starts_with("sha256:") || text.starts_with("sha512:") {
        return;
    }
    for login in ["bot:hunter2", "bot:hunter2@hunter3", "https://bot:hunter2"] {
        let told = format!("{login}@{text}").parse::<Reference>().err().map(|error| error.to_string());
        assert!(!told.as_deref().is_some_and(|told| told.contains("hunter")), "{told:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_keeps_it(text in "\\PC*") {
            reference(text.as_bytes());
        }

        #[test]
        fn what_the_grammar_makes_is_taken_and_keeps_it(
            host in "((docker\\.io|localhost:5000|[a-z]{1,8}\\.example(:[1-9][0-9]{0,3})?)/)?",
            name in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}",
            tag in "(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,20})?",
            digest in "(@sha256:[0-9a-f]{64})?",
        ) {
            let text = format!("{host}{name}{tag}{digest}");
            prop_assert!(text.parse::<Reference>().is_ok(), "{text} was refused");
            reference(text.as_bytes());
        }

        #[test]
        fn so_does_what_names_a_layout(text in "oci:([./ ~]|[a-zA-Z0-9_-]{1,4}){0,6}(:[a-z0-9./:]{0,5})?(@sha256:[0-9a-f]{64}|@.{0,4})?") {
            reference(text.as_bytes());
        }

        #[test]
        fn what_is_almost_a_reference_keeps_it(text in "(https?://)?([a-z]{1,3}:)?(localhost|\\[::1\\]|sha[a-z.]{0,3}|[A-Za-z.-]{0,4})(:[0-9]{0,5})?(/{1,2}[a-zA-Z0-9._-]{0,4}){0,3}(:[a-z.]{0,3})?(@sha(256|512):[0-9a-f]{0,4})?") {
            reference(text.as_bytes());
        }
    }
}
