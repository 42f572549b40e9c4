//! What a token is for.

use crate::oci::Repository;

/// The rights that a request needs. Tokens are kept by scope: a repository each, since tokens with many scopes outgrow
/// the header limits of some registries; a mount adds the repository that it reads from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::registry) struct Scope {
    /// Without one it is the registry as a whole.
    repository: Option<Repository>,
    right: Right,
    mount_from: Option<Repository>,
}

/// What may be done in a repository; each right holds those before it. Of a registry as a whole, to read is to list its
/// catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::registry) enum Right {
    LogIn,
    /// Azure's, for its own listings: it holds no other, and no other holds it.
    ReadMetadata,
    Pull,
    Push,
    Delete,
}

impl Scope {
    pub(in crate::registry) fn new(repository: Repository, right: Right) -> Self {
        Self { repository: Some(repository), right, mount_from: None }
    }

    /// The names of all repositories.
    pub(in crate::registry) fn catalog() -> Self {
        Self { repository: None, right: Right::Pull, mount_from: None }
    }

    /// Nothing but to be known to the registry.
    pub(in crate::registry) fn registry() -> Self {
        Self { repository: None, right: Right::LogIn, mount_from: None }
    }

    /// The repository in which something is done.
    pub(in crate::registry) fn repository(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// The same with the right to read `from`, for a mount.
    pub(in crate::registry) fn with_mount(&self, from: &Repository) -> Self {
        Self { mount_from: Some(from).filter(|from| Some(*from) != self.repository()).cloned(), ..self.clone() }
    }

    /// The same with the right to delete.
    pub(in crate::registry) fn with_delete(&self) -> Self {
        Self { right: Right::Delete, ..self.clone() }
    }

    /// The right to read what Azure's registries tell of a repository, alone.
    pub(in crate::registry) fn with_metadata(&self) -> Self {
        Self { right: Right::ReadMetadata, ..self.clone() }
    }

    /// What to ask for where nobody knows of a right to delete, as at Quay: there it is part of the right to push.
    pub(super) fn without_delete(&self) -> Option<Self> {
        (self.right == Right::Delete).then(|| Self { right: Right::Push, ..self.clone() })
    }

    /// As the token server takes it: `repository:library/alpine:pull`, one text a repository.
    /// Source: distribution's "Token Scope Documentation".
    pub(super) fn parameters(&self) -> impl Iterator<Item = String> {
        let actions = match self.right {
            Right::LogIn => None,
            Right::ReadMetadata => Some("metadata_read"),
            Right::Pull => Some("pull"),
            Right::Push => Some("pull,push"),
            Right::Delete => Some("pull,push,delete"),
        };
        let own = actions.map(|actions| match &self.repository {
            Some(repository) => format!("repository:{repository}:{actions}"),
            None => "registry:catalog:*".to_owned(),
        });
        let from = self.mount_from.as_ref().map(|from| format!("repository:{from}:pull"));
        own.into_iter().chain(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_needs_both_repositories() {
        let scope = Scope::new("a/b".parse().unwrap(), Right::Push).with_mount(&"c".parse().unwrap());
        assert_eq!(scope.parameters().collect::<Vec<_>>(), ["repository:a/b:pull,push", "repository:c:pull"]);
    }

    #[test]
    fn of_a_registry_as_a_whole_nothing_is_asked_but_its_catalog() {
        assert_eq!(Scope::registry().parameters().collect::<Vec<_>>(), [""; 0]);
        assert_eq!(Scope::catalog().parameters().collect::<Vec<_>>(), ["registry:catalog:*"]);
    }
}
