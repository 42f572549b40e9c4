//! URLs that a registry hands out: upload sessions and next pages. Followed with care.

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use http::HeaderMap;
use http::header::{LINK, LOCATION};
use url::Url;

use crate::oci::Digest;

/// Whether two URLs are of one scheme, host and port: what `Url::origin()` tells, which makes strings for it.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    let port = Url::port_or_known_default;
    one.scheme() == other.scheme() && one.host() == other.host() && port(one) == port(other)
}

/// Where an upload goes on: the answer's `Location`, relative or absolute, its query kept as it is.
///
/// A proxy that ends TLS makes `http` URLs of an HTTPS registry: the scheme is repaired for the same host. Elsewhere
/// nothing goes in clear.
pub(super) fn upload(headers: &HeaderMap, asked: &Url) -> Option<Url> {
    repaired(asked.join(headers.get(LOCATION)?.to_str().ok()?).ok()?, asked)
}

fn repaired(mut url: Url, asked: &Url) -> Option<Url> {
    if asked.scheme() == "https" && url.scheme() == "http" && url.host() == asked.host() {
        let behind_default_port = url.port().is_none();
        url.set_scheme("https").ok()?;
        if behind_default_port {
            url.set_port(asked.port()).ok()?;
        }
    }
    Some(url).filter(|url| asked.scheme() != "https" || url.scheme() == "https")
}

/// The URL that commits an upload: `digest=` appended, nothing rebuilt.
pub(super) fn commit(upload: &Url, digest: &Digest) -> Url {
    let mut url = upload.clone();
    url.query_pairs_mut().append_pair("digest", &digest.to_string());
    url
}

/// The next page: `Link: </v2/…?n=…&last=…>; rel="next"`. Source: RFC 8288.
///
/// # Errors
/// If it is of another origin: it is not followed, and what was listed is not all.
pub(super) fn next_page(headers: &HeaderMap, asked: &Url) -> Result<Option<Url>, String> {
    let mut links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).flat_map(links);
    let Some((target, _)) = links.find(|(_, parameters)| is_next(parameters)) else { return Ok(None) };
    let url = asked.join(target).ok().and_then(|url| repaired(url, asked));
    match url.filter(|url| same_origin(url, asked)) {
        Some(mut url) => {
            // A login that the registry makes up is none of ours.
            let _ = (url.set_username(""), url.set_password(None));
            Ok(Some(url))
        }
        None => Err("the listing goes on at another host, where it is not followed".to_owned()),
    }
}

/// Targets and parameters of a `Link` header's value; a comma inside `<…>` or quotes separates nothing.
fn links(value: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, after)) = after.split_once('>') else {
            break;
        };
        let mut quoted = false;
        let end = after.find(|c: char| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, others) = after.split_at(end.unwrap_or(after.len()));
        links.push((target, parameters));
        rest = others;
    }
    links
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn upload_of(asked: &str, location: &str) -> String {
        upload(&headers(LOCATION, location), &asked.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn every_kind_of_location_is_followed() {
        let asked = "https://r.example:8443/v2/a/blobs/uploads/";
        for (location, means) in [
            ("/v2/a/blobs/uploads/1?_state=x%3D%3D", "https://r.example:8443/v2/a/blobs/uploads/1?_state=x%3D%3D"),
            ("?_state=1", "https://r.example:8443/v2/a/blobs/uploads/?_state=1"),
            ("https://storage.example/u/1", "https://storage.example/u/1"),
            ("http://r.example/v2/u/1", "https://r.example:8443/v2/u/1"),
            ("http://r.example:8443/v2/u/1", "https://r.example:8443/v2/u/1"),
        ] {
            assert_eq!(upload_of(asked, location), means, "{location}");
        }
        let elsewhere = headers(LOCATION, "http://other.example/u/1");
        assert_eq!(upload(&elsewhere, &asked.parse().unwrap()), None, "nothing goes in clear");
    }

    #[test]
    fn the_digest_is_appended_and_the_query_kept() {
        let digest = Digest::of(b"");
        let hex = &digest.to_string()[7..];
        let url = commit(&"http://r/v2/u?_state=a%2Bb&x".parse().unwrap(), &digest);
        assert_eq!(url.as_str(), format!("http://r/v2/u?_state=a%2Bb&x&digest=sha256%3A{hex}"));
        let url = commit(&"http://r/v2/u".parse().unwrap(), &digest);
        assert_eq!(url.as_str(), format!("http://r/v2/u?digest=sha256%3A{hex}"));
    }

    #[test]
    fn pages_are_followed_on_the_same_origin_only() {
        let asked: Url = "http://r.example/v2/a/tags/list?n=2".parse().unwrap();
        let next = |link: &str| next_page(&headers(LINK, link), &asked).map(|url| url.map(String::from));
        for (link, page) in [
            ("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Some("http://r.example/v2/a/tags/list?n=2&last=b")),
            ("<?last=b>; rel=next", Some("http://r.example/v2/a/tags/list?last=b")),
            ("<http://r.example/x>;title=\"a,b\";rel=\"next\"", Some("http://r.example/x")),
            ("<http://u:p@r.example/x>;rel=next", Some("http://r.example/x")),
            ("</a>; rel=\"prev\", </b>; rel=\"next\"", Some("http://r.example/b")),
            ("</a>; rel=\"prev\"", None),
            ("</a", None),
        ] {
            assert_eq!(next(link), Ok(page.map(str::to_owned)), "{link}");
        }
        assert!(next("<http://evil.example/x>; rel=\"next\"").is_err());
        assert!(next("<https://r.example/x>; rel=\"next\"").is_err());
        let secure: Url = "https://r.example:8443/v2/a/tags/list".parse().unwrap();
        let repaired = next_page(&headers(LINK, "<http://r.example/x>; rel=next"), &secure).unwrap();
        assert_eq!(repaired.unwrap().as_str(), "https://r.example:8443/x", "a proxy ends TLS before it");
    }
}
