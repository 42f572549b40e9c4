//! What a token is for.

use crate::oci::Repository;

/// The rights that a request needs. Tokens are kept by scope: a repository each, since tokens with many scopes outgrow
/// the header limits of some registries; a mount adds the repository that it reads from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::registry) struct Scope {
    repository: Repository,
    push: bool,
    mount_from: Option<Repository>,
}

impl Scope {
    pub(in crate::registry) fn new(repository: Repository, push: bool) -> Self {
        Self { repository, push, mount_from: None }
    }

    /// The same with the right to read `from`, for a mount.
    pub(in crate::registry) fn with_mount(&self, from: &Repository) -> Self {
        Self { mount_from: Some(from).filter(|from| **from != self.repository).cloned(), ..self.clone() }
    }

    /// As the token server takes it: `repository:library/alpine:pull`, one text a repository.
    /// Source: distribution's "Token Scope Documentation".
    pub(super) fn parameters(&self) -> impl Iterator<Item = String> {
        let actions = if self.push { "pull,push" } else { "pull" };
        let own = format!("repository:{}:{actions}", self.repository);
        let from = self.mount_from.as_ref().map(|from| format!("repository:{from}:pull"));
        std::iter::once(own).chain(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_needs_both_repositories() {
        let scope = Scope::new("a/b".parse().unwrap(), true).with_mount(&"c".parse().unwrap());
        assert_eq!(scope.parameters().collect::<Vec<_>>(), ["repository:a/b:pull,push", "repository:c:pull"]);
    }
}
