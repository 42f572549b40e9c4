//! References: how people name an image in a registry, or in an image layout.

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::host::LAYOUT_PREFIX;
use super::names::without_login;
use super::{Digest, Host, InvalidDigest, InvalidName, Repository, Tag};

/// `[HOST[:PORT]/]REPO[:TAG][@DIGEST]`, with what is left out filled in as Docker does: `alpine` is
/// `docker.io/library/alpine:latest`. Or `oci:DIR[:TAG][@DIGEST]`, an image in the layout in a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The registry, or the layout.
    pub host: Host,
    /// The repository in it.
    pub repository: Repository,
    /// The tag; none where the text has only a digest.
    pub tag: Option<Tag>,
    /// The digest; where there is one it rules over the tag.
    pub digest: Option<Digest>,
}

/// How a manifest is asked for: what the distribution spec calls `<reference>` in its URLs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagOrDigest {
    /// A name that may move.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// Why a text is no reference, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid reference {text:?}: {reason}")]
pub struct InvalidReference {
    text: String,
    reason: String,
}

impl Reference {
    /// What to ask the registry for: the digest where there is one, else the tag (`latest` if that is missing too).
    pub fn selector(&self) -> TagOrDigest {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => TagOrDigest::Digest(digest.clone()),
            (None, Some(tag)) => TagOrDigest::Tag(tag.clone()),
            (None, None) => TagOrDigest::Tag(Tag::latest()),
        }
    }

    /// A reference that names a repository and nothing in it, as `regferry tags` and a rule's `source` take it.
    ///
    /// # Errors
    /// If the text breaks the grammar.
    pub fn parse_without_default_tag(text: &str) -> Result<Self, InvalidReference> {
        let invalid = |reason: String| InvalidReference { text: without_login(text), reason };
        if text.is_empty() {
            return Err(invalid("it is empty".into()));
        }
        if text.contains("://") {
            return Err(invalid("it is a URL: write HOST/REPO:TAG without a scheme".into()));
        }
        if text.contains(char::is_whitespace) && !text.starts_with(LAYOUT_PREFIX) {
            return Err(invalid("it has white space in it".into()));
        }

        let (named, digest) = match text.split_once('@') {
            Some((_, rest)) if rest.contains('@') => {
                return Err(invalid("it has more than one `@`, and a login is no part of it".into()));
            }
            Some((named, digest)) => (named, Some(digest.parse::<Digest>().map_err(|e| invalid(e.to_string()))?)),
            None => (text, None),
        };
        if let Some(named) = named.strip_prefix(LAYOUT_PREFIX) {
            let (dir, tag) = split_tag(named.split_once(':'), named).map_err(invalid)?;
            let host = Host::layout(dir).map_err(|e| invalid(e.to_string()))?;
            return Ok(Self { host, repository: Repository::of_layout(), tag, digest });
        }
        let (host, path) = split_host(named).map_err(invalid)?;
        let (path, tag) = split_tag(path.rsplit_once(':'), path).map_err(invalid)?;
        let repository = if host.is_docker_hub() && !path.contains('/') && !path.is_empty() {
            format!("library/{path}").parse::<Repository>()
        } else {
            path.parse::<Repository>()
        };
        let repository = repository.map_err(|e| invalid(e.to_string()))?;
        Ok(Self { host, repository, tag, digest })
    }
}

/// What stands before the tag, and the tag. `cut` is `named` cut in two at a colon, if it has one.
fn split_tag<'t>(cut: Option<(&'t str, &str)>, named: &'t str) -> Result<(&'t str, Option<Tag>), String> {
    match cut {
        Some((before, tag)) => Ok((before, Some(tag.parse().map_err(|e: InvalidName| e.to_string())?))),
        None => Ok((named, None)),
    }
}

/// The first part is a host if it looks like one (Docker's rule): a dot, a port, or `localhost`.
fn split_host(named: &str) -> Result<(Host, &str), String> {
    match named.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            Ok((first.parse().map_err(|e: InvalidName| e.to_string())?, rest))
        }
        _ => Ok((Host::docker_hub(), named)),
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let mut reference = Self::parse_without_default_tag(text)?;
        // Of a layout that has one image, that is meant, whatever its tag.
        if reference.tag.is_none() && reference.digest.is_none() && !reference.host.is_layout() {
            reference.tag = Some(Tag::latest());
        }
        Ok(reference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.host, &self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Writes what a reference begins with: a registry and its repository, or a layout.
pub(crate) fn write_place(f: &mut fmt::Formatter<'_>, host: &Host, repository: &Repository) -> fmt::Result {
    if host.is_layout() { f.write_str(host.as_str()) } else { write!(f, "{host}/{repository}") }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

impl fmt::Debug for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TagOrDigest {
    type Err = InvalidReference;

    /// No tag has a colon in it, and every digest has.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let parsed = if text.contains(':') {
            text.parse().map(Self::Digest).map_err(|error: InvalidDigest| error.to_string())
        } else {
            text.parse().map(Self::Tag).map_err(|error: InvalidName| error.to_string())
        };
        parsed.map_err(|reason| InvalidReference { text: without_login(text), reason })
    }
}

impl Serialize for TagOrDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TagOrDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn full(text: &str) -> String {
        text.parse::<Reference>().unwrap().to_string()
    }

    #[test]
    fn what_is_left_out_is_filled_in_as_docker_does() {
        for (text, means) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("docker.io/alpine", "docker.io/library/alpine:latest"),
            ("index.docker.io/library/alpine:3", "docker.io/library/alpine:3"),
            ("bitnami/redis:7", "docker.io/bitnami/redis:7"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("[::1]:5000/a:1", "[::1]:5000/a:1"),
            ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v1"),
        ] {
            assert_eq!(full(text), means);
        }
    }

    #[test]
    fn a_digest_rules_and_the_tag_is_kept() {
        let both: Reference = format!("ghcr.io/a/b:v1@{DIGEST}").parse().unwrap();
        assert_eq!(both.tag.as_ref().unwrap().as_str(), "v1");
        assert_eq!(both.selector(), TagOrDigest::Digest(DIGEST.parse().unwrap()));
        let only: Reference = format!("ghcr.io/a/b@{DIGEST}").parse().unwrap();
        assert_eq!(only.tag, None);
    }

    #[test]
    fn a_layout_is_named_by_its_directory() {
        let digest: Digest = DIGEST.parse().unwrap();
        for (text, dir, tag, by_digest) in [
            ("oci:out", "out", None, false),
            ("oci:out:v1", "out", Some("v1"), false),
            ("oci:5000:5000", "5000", Some("5000"), false),
            ("oci:localhost/app:latest", "localhost/app", Some("latest"), false),
            (&format!("oci:/srv/a b@{DIGEST}"), "/srv/a b", None, true),
            (&format!("oci:../x:v1@{DIGEST}"), "../x", Some("v1"), true),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.host.layout_dir(), Some(std::path::Path::new(dir)));
            assert_eq!(reference.tag.as_ref().map(Tag::as_str), tag);
            assert_eq!(reference.digest, by_digest.then(|| digest.clone()));
        }
        assert_eq!(full("oci:./out/:v1"), "oci:out:v1");
        for (text, hint) in [
            ("oci:", "names no directory"),
            ("oci::v1", "names no directory"),
            ("oci:out:", "is no tag"),
            ("oci:out:a/b", "is no tag"),
            ("oci:out@v1", "invalid digest"),
            ("oci:~/out", "$HOME"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn errors_say_what_to_write_instead() {
        for (text, hint) in [
            ("localhost:5000/Foo", "did you mean \"foo\"?"),
            ("https://ghcr.io/a/b", "without a scheme"),
            ("", "empty"),
            ("ghcr.io/a/b:", "is no tag"),
            ("ghcr.io/", "empty"),
            ("ghcr.io/a@sha256:12", "64 lower-case hex digits"),
            ("a b", "white space"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }

    #[test]
    fn a_login_in_a_reference_is_not_repeated() {
        for (text, shown) in [
            ("https://bot:s3cret@ghcr.io/a/b", "…@ghcr.io/a/b"),
            ("bot:s3cret@shop.example/a", "…@shop.example/a"),
            ("bot:s3@cret@ghcr.io/a", "…@ghcr.io/a"),
            ("bot:s3cret@ghcr.io/a@sha256:12", "…@ghcr.io/a@sha256:12"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(shown) && !error.contains("s3") && !error.contains("cret"), "{error}");
        }
    }
}
