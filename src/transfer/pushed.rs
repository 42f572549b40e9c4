//! What somebody says was pushed, and which rules that concerns. It is a hint: what a rule then does, it finds out at the
//! registries themselves.

use super::places::Source;
use super::rule::Rule;
use crate::oci::{Host, Repository, Tag};

/// Something was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pushed {
    /// Where to.
    pub registry: Sender,
    /// Into which repository.
    pub repository: Repository,
    /// What it was.
    pub arrived: Arrived,
}

/// The registry that something was pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sender {
    /// It has this name alone.
    Is(Host),
    /// It says so of itself. Rules may know it by another name.
    Says(Host),
    /// It does not say.
    Unknown,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Arrived {
    /// This tag points elsewhere than before.
    Tag(Tag),
    /// A document without a tag: a part of an image, or what refers to one.
    Untagged,
    /// Nothing is known of it.
    Something,
}

/// The rules that may have something to do.
///
/// A registry that calls itself as no rule calls any is one that rules know by another name: then the name of the
/// repository alone counts. That costs a look too many at most.
pub fn concerned<'r>(rules: &[&'r Rule], pushed: &Pushed) -> Vec<&'r Rule> {
    let host = match &pushed.registry {
        Sender::Is(host) => Some(host),
        Sender::Says(host) => Some(host).filter(|host| rules.iter().any(|rule| rule.scope.names(host))),
        Sender::Unknown => None,
    };
    rules.iter().copied().filter(|rule| rule.is_concerned_by(pushed, host)).collect()
}

impl Rule {
    fn is_concerned_by(&self, pushed: &Pushed, host: Option<&Host>) -> bool {
        let sources = self.scope.sources.iter().filter(|source| host.is_none_or(|host| source.host() == host));
        sources.filter(|source| source.is_in(&pushed.repository)).any(|source| self.may_want(source, &pushed.arrived))
    }

    fn may_want(&self, source: &Source, arrived: &Arrived) -> bool {
        match arrived {
            Arrived::Something => true,
            Arrived::Untagged => !self.referrers.is_none(),
            Arrived::Tag(tag) if tag.is_referrers_fallback() => !self.referrers.is_none(),
            Arrived::Tag(tag) => match source {
                Source::Image(image) => image.digest.is_none() && image.tag.as_ref() == Some(tag),
                Source::Repository(_) | Source::Repositories(..) => self.scope.tags.may_take(tag),
            },
        }
    }
}

impl Source {
    fn is_in(&self, repository: &Repository) -> bool {
        match self {
            Self::Repository(location) => location.repository == *repository,
            Self::Image(image) => image.repository == *repository,
            Self::Repositories(_, pattern) => pattern.matches(repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::content::Location;
    use crate::oci::Reference;
    use crate::transfer::{Referrers, RepositoryPattern, Scope, TagFilter, Target};

    /// Into `b.example/x`.
    fn rule(source: &str, include: &[&str], referrers: Referrers) -> Rule {
        let scope = Scope {
            sources: vec![read(source)],
            targets: vec![Target::Repository { location: location("b.example/x"), tag: None }],
            tags: TagFilter {
                include: include.iter().map(|text| text.parse().unwrap()).collect(),
                ..TagFilter::default()
            },
        };
        Rule {
            name: "r".into(),
            scope: Arc::new(scope),
            kept: None,
            platforms: None,
            referrers,
            overwrite: true,
            prune: None,
            timeout: None,
        }
    }

    fn read(source: &str) -> Source {
        if let Some((host, pattern)) = source.split_once('/').filter(|(_, name)| name.contains('*')) {
            return Source::Repositories(host.parse().unwrap(), RepositoryPattern::new(pattern).unwrap());
        }
        let image = Reference::parse_without_default_tag(source).unwrap();
        if image.tag.is_some() { Source::Image(image) } else { Source::Repository(location(source)) }
    }

    fn location(name: &str) -> Location {
        let Reference { host, repository, .. } = name.parse().unwrap();
        Location { host, repository }
    }

    fn pushed(registry: Sender, repository: &str, arrived: Arrived) -> Pushed {
        Pushed { registry, repository: repository.parse().unwrap(), arrived }
    }

    fn says(host: &str) -> Sender {
        Sender::Says(host.parse().unwrap())
    }

    fn tag(tag: &str) -> Arrived {
        Arrived::Tag(tag.parse().unwrap())
    }

    #[test]
    fn a_push_concerns_the_rules_that_read_its_tag() {
        const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for (source, include, repository, arrived, concerns) in [
            ("a.example/app", &[][..], "app", tag("v1"), true),
            ("a.example/app", &[], "app2", tag("v1"), false),
            ("a.example/app", &["v*"], "app", tag("v1"), true),
            ("a.example/app", &["v*"], "app", tag("w1"), false),
            ("a.example/app", &["v*"], "app", Arrived::Something, true),
            ("a.example/team/*", &[], "team/app", tag("v1"), true),
            ("a.example/team/*", &[], "team/a/b", tag("v1"), false),
            ("a.example/app:v1", &[], "app", tag("v1"), true),
            ("a.example/app:v1", &[], "app", tag("v2"), false),
            (&format!("a.example/app:v1@{DIGEST}"), &[], "app", tag("v1"), false),
        ] {
            let rule = rule(source, include, Referrers::None);
            let pushed = pushed(says("a.example"), repository, arrived);
            assert_eq!(!concerned(&[&rule], &pushed).is_empty(), concerns, "{source} {pushed:?}");
        }
    }

    #[test]
    fn what_refers_to_images_concerns_the_rules_that_bring_it_along() {
        let signature = tag(&format!("sha256-{}.sig", "a".repeat(64)));
        for (referrers, concerns) in [(Referrers::None, false), (Referrers::All, true)] {
            let rule = rule("a.example/app", &["v1"], referrers);
            for arrived in [Arrived::Untagged, signature.clone()] {
                let pushed = pushed(says("a.example"), "app", arrived);
                assert_eq!(!concerned(&[&rule], &pushed).is_empty(), concerns, "{pushed:?}");
            }
        }
    }

    #[test]
    fn a_registry_that_rules_know_by_another_name_is_known_by_its_repositories() {
        let rules = [rule("a.example/app", &[], Referrers::None), rule("c.example/app", &[], Referrers::None)];
        let rules: Vec<&Rule> = rules.iter().collect();
        let count = |registry| concerned(&rules, &pushed(registry, "app", tag("v1"))).len();
        assert_eq!(count(says("a.example")), 1);
        assert_eq!(count(says("b.example")), 0, "it is the target");
        assert_eq!(count(says("registry:5000")), 2);
        assert_eq!(count(Sender::Unknown), 2);
        assert_eq!(count(Sender::Is("ghcr.io".parse().unwrap())), 0);
    }
}
