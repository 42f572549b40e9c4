//! From a request's path to what it is about.

use std::fmt;

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Method};
use url::form_urlencoded;

/// The parts of a registry's API, as far as a test wants to tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/v2/`
    Base,
    /// `/token` or `/oauth2/token`, where the registry is its own token service.
    Token,
    /// `/oauth2/exchange`, where Azure's registries give refresh tokens.
    Exchange,
    /// `/v2/<repository>/manifests/<reference>`
    Manifest,
    /// `/v2/<repository>/blobs/<digest>`
    Blob,
    /// `/v2/<repository>/blobs/uploads/…`, mounts included.
    Upload,
    /// `/v2/<repository>/tags/list`
    Tags,
    /// `/v2/<repository>/referrers/<digest>`
    Referrers,
    /// `/v2/_catalog`
    Catalog,
    /// Anything else.
    Other,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Endpoint::Base => "base",
            Endpoint::Token => "token",
            Endpoint::Exchange => "exchange",
            Endpoint::Manifest => "manifest",
            Endpoint::Blob => "blob",
            Endpoint::Upload => "upload",
            Endpoint::Tags => "tags",
            Endpoint::Referrers => "referrers",
            Endpoint::Catalog => "catalog",
            Endpoint::Other => "other",
        })
    }
}

/// A request without its body, taken apart.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) endpoint: Endpoint,
    repository: Option<String>,
    // The last word of the path: a tag, a digest or an upload's session.
    last: String,
}

impl Call {
    pub(super) fn new(parts: Parts) -> Self {
        let path = parts.uri.path().to_owned();
        let (endpoint, repository, last) = locate(&path);
        let (repository, last) = (repository.map(str::to_owned), last.to_owned());
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Self { method: parts.method, path, query, headers: parts.headers, endpoint, repository, last }
    }

    /// The repository, or an empty name for what stands above repositories.
    pub(super) fn repository(&self) -> &str {
        self.repository.as_deref().unwrap_or_default()
    }

    /// The tag or digest of the path; for uploads the session, which is empty before there is one.
    pub(super) fn last(&self) -> &str {
        &self.last
    }

    /// What the request is about, for records and faults: of an upload its digest as soon as the
    /// client tells it.
    pub(super) fn reference(&self) -> Option<String> {
        let told = || self.parameter("digest").or_else(|| self.parameter("mount"));
        let upload = (self.endpoint == Endpoint::Upload).then(told).flatten();
        upload.or_else(|| (!self.last.is_empty()).then(|| self.last.clone()))
    }

    pub(super) fn named_repository(&self) -> Option<String> {
        self.repository.clone()
    }

    /// The first value of a query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        parameters(&self.query, name).next()
    }

    /// The length of the body, as announced; 0 if it is not.
    pub(super) fn length(&self) -> u64 {
        self.header(CONTENT_LENGTH.as_str()).and_then(|length| length.parse().ok()).unwrap_or(0)
    }

    /// A header, if it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// All values of a query parameter, decoded.
pub(super) fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    form_urlencoded::parse(query.as_bytes()).filter(move |(key, _)| key == name).map(|(_, value)| value.into_owned())
}

// Repository names contain slashes and may contain words like `manifests`, so the marks are looked
// for from the right.
fn locate(path: &str) -> (Endpoint, Option<&str>, &str) {
    let Some(rest) = path.strip_prefix("/v2/") else {
        let endpoint = match path {
            "/v2" => Endpoint::Base,
            "/token" | "/oauth2/token" => Endpoint::Token,
            "/oauth2/exchange" => Endpoint::Exchange,
            _ => Endpoint::Other,
        };
        return (endpoint, None, "");
    };
    if rest.is_empty() {
        return (Endpoint::Base, None, "");
    }
    if rest == "_catalog" {
        return (Endpoint::Catalog, None, "");
    }
    if let Some(repository) = rest.strip_suffix("/tags/list") {
        return (Endpoint::Tags, Some(repository), "");
    }
    let marks = [
        ("/blobs/uploads/", Endpoint::Upload),
        ("/blobs/", Endpoint::Blob),
        ("/manifests/", Endpoint::Manifest),
        ("/referrers/", Endpoint::Referrers),
    ];
    marks
        .into_iter()
        .find_map(|(mark, endpoint)| {
            let (repository, last) = rest.rsplit_once(mark)?;
            (!last.contains('/')).then_some((endpoint, Some(repository), last))
        })
        .unwrap_or((Endpoint::Other, None, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        assert_eq!(locate("/v2/"), (Endpoint::Base, None, ""));
        assert_eq!(locate("/v2/_catalog"), (Endpoint::Catalog, None, ""));
        assert_eq!(locate("/v2/a/b/tags/list"), (Endpoint::Tags, Some("a/b"), ""));
        assert_eq!(locate("/v2/a/b/manifests/latest"), (Endpoint::Manifest, Some("a/b"), "latest"));
        assert_eq!(locate("/v2/a/blobs/sha256:ab"), (Endpoint::Blob, Some("a"), "sha256:ab"));
        assert_eq!(locate("/v2/a/blobs/uploads/"), (Endpoint::Upload, Some("a"), ""));
        assert_eq!(locate("/v2/a/blobs/uploads/7"), (Endpoint::Upload, Some("a"), "7"));
        assert_eq!(locate("/v2/a/referrers/sha256:ab"), (Endpoint::Referrers, Some("a"), "sha256:ab"));
        assert_eq!(locate("/favicon.ico"), (Endpoint::Other, None, ""));
    }

    #[test]
    fn a_repository_may_be_called_like_a_part_of_the_api() {
        assert_eq!(locate("/v2/my/manifests/x/manifests/1"), (Endpoint::Manifest, Some("my/manifests/x"), "1"));
        assert_eq!(locate("/v2/blobs/uploads/x/manifests/1"), (Endpoint::Manifest, Some("blobs/uploads/x"), "1"));
    }
}
