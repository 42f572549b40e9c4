//! Where a rule's images come from and where they go.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::content::Location;
use crate::oci::{Host, InvalidName, Reference, Repository, Tag};

/// Where images come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// One repository.
    Repository(Location),
    /// One image, by its tag or its digest. With both, the digest is what is read, and the tag is what is written.
    Image(Reference),
    /// All repositories of a registry's catalog whose names match.
    Repositories(Host, RepositoryPattern),
}

/// Where images go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One repository.
    Repository {
        /// Which one.
        location: Location,
        /// The tag that one image gets in it, in place of its own.
        tag: Option<Tag>,
    },
    /// A repository below this folder for each source: written with `/*` or `/**` at the end.
    Below {
        /// The registry.
        host: Host,
        /// The folder; none is the registry's root.
        folder: Option<Repository>,
        /// What of a source's name is appended.
        appends: Appends,
    },
}

/// What of a source's name a target appends, where the source has no glob. Of one with a glob it is the part from the
/// first glob on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appends {
    /// `/*`: the last part.
    Name,
    /// `/**`: all of it.
    Path,
}

/// A glob over repository names. `*` and `?` stay within one part between slashes, `**` does not.
#[derive(Debug, Clone)]
pub struct RepositoryPattern {
    glob: GlobMatcher,
    /// How many parts of a name stand before the first one with a glob.
    fixed: usize,
}

/// As they are written.
impl PartialEq for RepositoryPattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl RepositoryPattern {
    /// Reads `platform/*` or `team/**`.
    ///
    /// # Errors
    /// If it is no glob.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.map_err(|error| format!("{pattern:?} is no pattern: {}", error.kind()))?;
        let fixed = pattern.split('/').take_while(|part| !has_glob(part)).count();
        Ok(Self { glob: glob.compile_matcher(), fixed })
    }

    /// Whether it takes this repository.
    pub fn matches(&self, repository: &Repository) -> bool {
        self.glob.is_match(repository.as_str())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.glob.glob().glob()
    }

    /// The part of a name from the first glob on.
    pub(super) fn variable_part<'r>(&self, repository: &'r Repository) -> &'r str {
        let name = repository.as_str();
        let slash = |n: usize| name.match_indices('/').nth(n).map_or(0, |(at, _)| at + 1);
        self.fixed.checked_sub(1).map_or(name, |last| &name[slash(last)..])
    }
}

/// Whether a text has a character of globs.
pub fn has_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

impl Source {
    /// The registry.
    pub fn host(&self) -> &Host {
        match self {
            Self::Repository(location) => &location.host,
            Self::Image(reference) => &reference.host,
            Self::Repositories(host, _) => host,
        }
    }
}

/// As it is written.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository(location) => location.fmt(f),
            Self::Image(reference) => reference.fmt(f),
            Self::Repositories(host, pattern) => write!(f, "{host}/{}", pattern.as_str()),
        }
    }
}

/// As it is written.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { location, tag: Some(tag) } => write!(f, "{location}:{tag}"),
            Self::Repository { location, tag: None } => location.fmt(f),
            Self::Below { host, folder, appends } => {
                let folder = folder.as_ref().map(|folder| format!("{folder}/")).unwrap_or_default();
                let glob = match appends {
                    Appends::Name => "*",
                    Appends::Path => "**",
                };
                write!(f, "{host}/{folder}{glob}")
            }
        }
    }
}

impl Target {
    /// The registry.
    pub fn host(&self) -> &Host {
        match self {
            Self::Repository { location, .. } => &location.host,
            Self::Below { host, .. } => host,
        }
    }

    /// The tag that it gives to one image.
    pub fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Repository { tag, .. } => tag.as_ref(),
            Self::Below { .. } => None,
        }
    }

    /// Where a repository goes, of which a pattern took `variable` part; none, if it was named as a whole.
    ///
    /// # Errors
    /// If the name gets too long.
    pub fn of(&self, repository: &Repository, variable: Option<&str>) -> Result<Location, InvalidName> {
        match self {
            Self::Repository { location, .. } => Ok(location.clone()),
            Self::Below { host, folder, appends } => {
                let name = repository.as_str();
                let part = variable.unwrap_or(match appends {
                    Appends::Name => name.rsplit('/').next().unwrap_or(name),
                    Appends::Path => name,
                });
                let repository = match folder {
                    Some(folder) => format!("{folder}/{part}").parse()?,
                    None => part.parse()?,
                };
                Ok(Location { host: host.clone(), repository })
            }
        }
    }

    /// Whether both may write to one repository.
    pub fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Repository { location, .. }, target) | (target, Self::Repository { location, .. }) => {
                target.covers(location)
            }
            (Self::Below { host, folder, .. }, Self::Below { host: other_host, folder: other_folder, .. }) => {
                let is_around = |outer: &Option<Repository>, inner: &Option<Repository>| match (outer, inner) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(outer), Some(inner)) => outer == inner || is_below(inner, outer),
                };
                host == other_host && (is_around(folder, other_folder) || is_around(other_folder, folder))
            }
        }
    }

    /// Whether something in this repository may have been written by this target.
    pub fn covers(&self, location: &Location) -> bool {
        match self {
            Self::Repository { location: own, .. } => own == location,
            Self::Below { host, folder, .. } => {
                *host == location.host && folder.as_ref().is_none_or(|folder| is_below(&location.repository, folder))
            }
        }
    }
}

fn is_below(repository: &Repository, folder: &Repository) -> bool {
    repository.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(name: &str) -> Repository {
        name.parse().unwrap()
    }

    fn below(folder: Option<&str>, appends: Appends) -> Target {
        Target::Below { host: "r.example".parse().unwrap(), folder: folder.map(repository), appends }
    }

    #[test]
    fn one_star_stays_in_its_part_and_two_do_not() {
        for (pattern, name, takes) in [
            ("team/*", "team/app", true),
            ("team/*", "team/a/b", false),
            ("team/*", "team", false),
            ("team/**", "team/a/b", true),
            ("**", "a/b/c", true),
            ("*/app-{a,b}", "x/app-b", true),
            ("team/app-?", "team/app-12", false),
        ] {
            assert_eq!(RepositoryPattern::new(pattern).unwrap().matches(&repository(name)), takes, "{pattern} {name}");
        }
        assert!(RepositoryPattern::new("a[").is_err());
    }

    #[test]
    fn the_part_from_the_first_glob_on_is_appended() {
        for (pattern, name, target) in [
            ("platform/*", "platform/app", "mirror/app"),
            ("team/**", "team/a/b", "mirror/a/b"),
            ("team/app-*", "team/app-x", "mirror/app-x"),
            ("*/base/*", "x/base/y", "mirror/x/base/y"),
            ("**", "a/b", "mirror/a/b"),
        ] {
            let (pattern, name) = (RepositoryPattern::new(pattern).unwrap(), repository(name));
            let location = below(Some("mirror"), Appends::Name).of(&name, Some(pattern.variable_part(&name))).unwrap();
            assert_eq!(location.repository.as_str(), target);
        }
    }

    #[test]
    fn of_a_name_without_glob_the_last_part_or_all_of_it_is_appended() {
        let name = repository("library/alpine");
        for (target, means) in [
            (below(Some("m"), Appends::Name), "m/alpine"),
            (below(Some("m"), Appends::Path), "m/library/alpine"),
            (below(None, Appends::Path), "library/alpine"),
        ] {
            assert_eq!(target.of(&name, None).unwrap().repository.as_str(), means);
        }
    }

    #[test]
    fn a_folder_covers_what_is_below_it() {
        let location = |name: &str| Location { host: "r.example".parse().unwrap(), repository: repository(name) };
        let target = below(Some("m"), Appends::Name);
        assert!(
            target.covers(&location("m/a/b")) && !target.covers(&location("mm/a")) && !target.covers(&location("m"))
        );
        assert!(below(None, Appends::Name).covers(&location("a")));
    }

    #[test]
    fn targets_may_meet_where_one_reaches_what_the_other_does() {
        let one = |name: &str| Target::Repository {
            location: Location { host: "r.example".parse().unwrap(), repository: repository(name) },
            tag: None,
        };
        let folder = |name: &str| below(Some(name), Appends::Path);
        for (a, b, meet) in [
            (one("m/a"), one("m/a"), true),
            (one("m/a"), one("m/b"), false),
            (one("m/a"), folder("m"), true),
            (one("m"), folder("m"), false),
            (folder("m"), folder("m"), true),
            (folder("m"), folder("m/a"), true),
            (folder("m"), folder("mm"), false),
            (folder("m"), below(None, Appends::Name), true),
        ] {
            assert_eq!((a.may_meet(&b), b.may_meet(&a)), (meet, meet), "{a:?} {b:?}");
        }
    }
}
