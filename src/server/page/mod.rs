//! The status page: one document with its styles and scripts in it, so that a look at it is one request.
//!
//! It asks the API for what it shows, as anybody may. Its modules are files that import each other, as browsers and tests
//! read them; here they become one script.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::digest::{SHA256, digest};

const DOCUMENT: &str = include_str!("index.html");

const STYLES: [&str; 3] = [include_str!("base.css"), include_str!("lists.css"), include_str!("parts.css")];

/// Runs before anything is painted.
const THEME: &str = include_str!("theme.js");

/// Each after those that it imports.
const MODULES: [&str; 17] = [
    include_str!("dom.js"),
    include_str!("format.js"),
    include_str!("times.js"),
    include_str!("events.js"),
    include_str!("api.js"),
    include_str!("model.js"),
    include_str!("states.js"),
    include_str!("charts.js"),
    include_str!("rules.js"),
    include_str!("registries.js"),
    include_str!("overview.js"),
    include_str!("images.js"),
    include_str!("rule.js"),
    include_str!("live.js"),
    include_str!("token.js"),
    include_str!("requests.js"),
    include_str!("main.js"),
];

static PAGE: LazyLock<Page> = LazyLock::new(Page::new);

struct Page {
    document: Bytes,
    tag: HeaderValue,
    policy: HeaderValue,
}

/// Kept by who asked, and asked about again each time: another version has another tag.
pub(super) async fn page(headers: HeaderMap) -> Response {
    let Page { document, tag, policy } = &*PAGE;
    let about = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ETAG, tag.clone()),
        (CONTENT_SECURITY_POLICY, policy.clone()),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    ];
    if is_known(&headers, tag) {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, document.clone()).into_response()
}

/// Source: RFC 9110, section 13.1.2: tags are compared weakly here.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let mut listed = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    listed.any(|value| {
        let mut tags = value.split(',').map(|known| known.trim().trim_start_matches("W/"));
        tags.any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
    })
}

impl Page {
    fn new() -> Self {
        let (styles, script) = (STYLES.concat(), script());
        // What is within an element is hashed as it stands there.
        let policy = format!(
            "default-src 'none'; script-src {} {}; style-src {}; connect-src 'self'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            source(THEME),
            source(&script),
            source(&styles),
        );
        let document = DOCUMENT.replace("{styles}", &styles).replace("{theme}", THEME).replace("{script}", &script);
        let tag = format!("\"{}\"", hash(&document));
        let value =
            |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { document: document.into(), tag: value(tag), policy: value(policy) }
    }
}

/// All modules in one scope, where they need not import each other.
fn script() -> String {
    let lines = MODULES.iter().flat_map(|module| module.lines()).filter(|line| !line.starts_with("import "));
    lines.map(|line| line.strip_prefix("export ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Source: Content Security Policy Level 3, section 2.3.1.
fn source(text: &str) -> String {
    format!("'sha256-{}'", hash(text))
}

fn hash(text: &str) -> String {
    STANDARD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_in_the_document_and_nothing_in_it_ends_an_element_early() {
        let document = std::str::from_utf8(&PAGE.document).unwrap();
        for placeholder in ["{styles}", "{theme}", "{script}"] {
            assert!(DOCUMENT.contains(placeholder) && !document.contains(placeholder), "{placeholder}");
        }
        assert_eq!((document.matches("</script").count(), document.matches("</style").count()), (2, 1));
        assert!(!document.contains("\nimport ") && !document.contains("\nexport "));
        // The name of XML's vocabulary, and nothing that is asked for.
        assert_eq!(document.matches("://").count(), document.matches("http://www.w3.org/2000/svg").count());
    }

    #[test]
    fn every_module_is_part_of_the_script_after_those_that_it_imports() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/page");
        let files: Vec<(String, String)> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
            .filter(|(file, _)| file.ends_with(".js") && file != "theme.js")
            .collect();
        assert_eq!(files.len(), MODULES.len());
        let place = |text: &str| (0..MODULES.len()).find(|place| MODULES[*place] == text).unwrap();
        for (file, text) in &files {
            for import in text.lines().filter(|line| line.starts_with("import ")) {
                let imported = import.split('"').nth(1).unwrap().trim_start_matches("./");
                let (_, of_it) = files.iter().find(|(file, _)| file == imported).unwrap();
                assert!(place(of_it) < place(text), "{file} imports {imported}");
            }
        }
    }

    #[test]
    fn who_has_it_is_told_that_it_has_not_changed() {
        let known = |value: &str| is_known(&HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]), &PAGE.tag);
        let tag = PAGE.tag.to_str().unwrap();
        assert!(known(tag) && known("*") && known(&format!("\"other\", W/{tag}")));
        assert!(!known("\"other\"") && !known("") && !is_known(&HeaderMap::new(), &PAGE.tag));
    }
}
