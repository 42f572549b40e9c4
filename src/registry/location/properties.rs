//! What holds for every URL that a registry hands out.

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::{LINK, LOCATION, commit, next_page, upload};
use crate::oci::Digest;

/// Where a registry may be asked.
const ASKED: [&str; 4] = [
    "https://r.example/v2/a/tags/list?n=2",
    "https://r.example:8443/v2/a/blobs/uploads/",
    "https://[::1]:5000/v2/a/blobs/uploads/",
    "http://r.example:5000/v2/a/blobs/uploads/",
];

/// The next page is of the origin that was asked, and is what stands between `<` and `>`.
pub fn link(data: &[u8]) {
    for asked in asked() {
        if let Some(Ok(Some(url))) = header(LINK, data).map(|headers| next_page(&headers, &asked)) {
            assert_eq!(url.origin(), asked.origin(), "{url}");
        }
        let Some(target) = str::from_utf8(data).ok().filter(|text| !text.contains(['<', '>'])) else { return };
        let written = format!("</>; title=\"<,\"; rel=prev, <{target}>; rel=\"last next\"");
        let Some(headers) = header(LINK, written.as_bytes()).filter(|_| target.is_ascii()) else { return };
        let own = asked.join(target).ok().filter(|url| url.origin() == asked.origin());
        let own = own.filter(|url| url.username().is_empty() && url.password().is_none());
        if let Some(own) = own {
            assert_eq!(next_page(&headers, &asked), Ok(Some(own)), "{written}");
        }
    }
}

/// An upload that began over HTTPS goes on over HTTPS, as far as its host is the same. Committing it changes neither
/// where it is nor what its query says, and ends it with the digest.
pub fn upload_location(data: &[u8]) {
    let digest = Digest::of(data);
    for asked in asked() {
        let Some(url) = header(LOCATION, data).and_then(|headers| upload(&headers, &asked)) else { continue };
        if asked.scheme() == "https" && url.host() == asked.host() {
            assert_ne!(url.scheme(), "http", "{url} lost its TLS");
        }
        let committed = commit(&url, &digest);
        assert_eq!(
            (committed.origin().ascii_serialization(), committed.path()),
            (url.origin().ascii_serialization(), url.path())
        );
        let query = committed.query().unwrap_or_default();
        let appended = query.strip_prefix(url.query().unwrap_or_default()).map(|rest| rest.trim_start_matches('&'));
        assert_eq!(
            appended,
            Some(digest.to_string().replace(':', "%3A")).map(|digest| format!("digest={digest}")).as_deref()
        );
    }
}

fn asked() -> impl Iterator<Item = Url> {
    ASKED.iter().filter_map(|url| url.parse().ok())
}

fn header(name: HeaderName, value: &[u8]) -> Option<HeaderMap> {
    Some(HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).ok()?)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const URL: &str = "((https?|HTTP|ftp|data):)?(//(u:p@)?(r\\.example|R\\.EXAMPLE|\\[::1\\]|o\\.example)(:[0-9]{0,4})?)?[/\\\\]?[a-c/.%]{0,5}(\\?[a-c=&%+]{0,5})?(#[a-c])?";

    proptest! {
        #[test]
        fn any_bytes_keep_it(data: Vec<u8>) {
            link(&data);
            upload_location(&data);
        }

        #[test]
        fn any_header_keeps_it(header in "[ -~\t]*") {
            link(header.as_bytes());
            upload_location(header.as_bytes());
        }

        #[test]
        fn every_kind_of_url_keeps_it(url in URL) {
            link(url.as_bytes());
            upload_location(url.as_bytes());
        }

        #[test]
        fn what_is_almost_a_link_keeps_it(url in URL, more in "( ?[;,] ?(rel|REL|title) ?=? ?\"?(next|prev|<|>|,){0,2}\"?){0,3}") {
            link(format!("<{url}>{more}").as_bytes());
        }
    }
}
