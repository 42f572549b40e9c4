//! What an import's targets are called, as users write it.

use crate::oci::{Host, InvalidName, InvalidReference, LAYOUT_PREFIX, Reference, Repository, Tag};

/// Why a text names no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// It is no full reference, and no registry is named beside it.
    #[error("it names no host")]
    NoHost,
    /// It names a host, and so does what stands beside it.
    #[error("the host is named twice")]
    HostTwice,
    /// What is written there has the source's digest, or one that follows from it.
    #[error("a target's digest is the source's")]
    Digest,
    /// A repository is wanted, and no more.
    #[error("it takes no tag or digest")]
    TagOrDigest,
    /// It is no path in the registry.
    #[error(transparent)]
    Path(#[from] InvalidName),
    /// It breaks the grammar of references.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
}

/// A target with a tag: `REPO[:TAG]` in the registry, or without one `HOST/REPO[:TAG]`. The tag is left out where the text
/// has none.
///
/// # Errors
/// Why the text names none.
pub fn tagged_target(registry: Option<&Host>, text: &str) -> Result<Reference, NoTarget> {
    let target = Reference::parse_without_default_tag(&in_registry(registry, text)?)?;
    if target.digest.is_some() { Err(NoTarget::Digest) } else { Ok(target) }
}

/// A target with a tag, which is `latest` where the text has none.
///
/// # Errors
/// Why the text names none.
pub fn target_or_latest(registry: Option<&Host>, text: &str) -> Result<Reference, NoTarget> {
    let mut target = tagged_target(registry, text)?;
    target.tag.get_or_insert_with(Tag::latest);
    Ok(target)
}

/// A target without a tag: `REPO` in the registry, or without one `HOST/REPO`.
///
/// # Errors
/// Why the text names none.
pub fn untagged_target(registry: Option<&Host>, text: &str) -> Result<Reference, NoTarget> {
    let target = Reference::parse_without_default_tag(&in_registry(registry, text)?)?;
    if target.tag.is_some() || target.digest.is_some() { Err(NoTarget::TagOrDigest) } else { Ok(target) }
}

/// The target's full name. In a registry it is a path there; without one it has to name its own host.
fn in_registry(registry: Option<&Host>, text: &str) -> Result<String, NoTarget> {
    let looks_like_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let names_host =
        text.starts_with(LAYOUT_PREFIX) || text.split_once('/').is_some_and(|(first, _)| looks_like_host(first));
    match registry {
        Some(_) if names_host => Err(NoTarget::HostTwice),
        Some(host) => {
            // A host is not put before what only looks like a repository: the error should quote what was written.
            text.split([':', '@']).next().unwrap_or_default().parse::<Repository>()?;
            Ok(format!("{host}/{text}"))
        }
        None if names_host => Ok(text.to_owned()),
        None => Err(NoTarget::NoHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_target_is_a_path_in_a_registry_or_names_its_own_host() {
        let registry: Host = "r.example".parse().unwrap();
        let name = |target: Result<Reference, NoTarget>| target.map(|target| target.to_string());
        assert_eq!(name(tagged_target(Some(&registry), "a/b")), Ok("r.example/a/b".to_owned()));
        assert_eq!(name(target_or_latest(Some(&registry), "a/b")), Ok("r.example/a/b:latest".to_owned()));
        assert_eq!(name(target_or_latest(None, "r.example/a:1")), Ok("r.example/a:1".to_owned()));
        assert_eq!(name(untagged_target(None, "r.example/a")), Ok("r.example/a".to_owned()));
    }

    #[test]
    fn what_names_no_target_says_why() {
        let registry: Host = "r.example".parse().unwrap();
        let with_digest = format!("r.example/a@{DIGEST}");
        assert_eq!(tagged_target(None, "a:1"), Err(NoTarget::NoHost));
        assert_eq!(tagged_target(Some(&registry), "r.example/a:1"), Err(NoTarget::HostTwice));
        assert_eq!(tagged_target(None, &with_digest), Err(NoTarget::Digest));
        assert_eq!(untagged_target(None, "r.example/a:1"), Err(NoTarget::TagOrDigest));
        assert!(matches!(tagged_target(Some(&registry), "A"), Err(NoTarget::Path(_))));
        assert!(matches!(tagged_target(None, "r.example/A:1"), Err(NoTarget::Reference(_))));
    }
}
