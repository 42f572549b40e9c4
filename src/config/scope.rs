//! `source`, `target` and `tags` of a rule, which only together say what is mirrored.

use std::ops::Range;

use toml::Spanned;

use super::kinds::{self, OneOrMany};
use super::problems::Problems;
use super::tags::Tags;
use super::written::Entry;
use crate::oci::{Host, LAYOUT_PREFIX, Reference, TagOrDigest};
use crate::transfer::{Appends, RepositoryPattern, Scope, Source, Target, has_glob};

/// Which images go from where to where.
pub(super) struct RouteOfRule {
    pub(super) scope: Scope,
    /// Whether all tags of its sources are taken.
    pub(super) whole: bool,
    /// Whether its sources are written together, as one list.
    pub(super) together: bool,
    /// Where the targets are written.
    pub(super) targets_at: Vec<Range<usize>>,
}

/// The tags that hold for a rule: its own, if it has a table of them, else the defaults'. Broken ones are none.
pub(super) struct TagsOfRule<'d> {
    pub(super) own: Option<(Range<usize>, Option<Tags>)>,
    pub(super) default: Option<&'d Tags>,
}

/// The values of a key.
pub(super) type Listed<T> = Option<Vec<Spanned<T>>>;

/// The route from sources to targets, if all of it is sound; else its problems are told.
pub(super) fn route(
    sources: Listed<Source>,
    targets: Listed<Target>,
    tags: TagsOfRule<'_>,
    problems: &mut Problems<'_>,
) -> Option<RouteOfRule> {
    let sources = sources?;
    let repositories = sources.iter().filter(|source| !matches!(source.get_ref(), Source::Image(_))).count();
    if let (0, Some((tags_at, _))) = (repositories, &tags.own) {
        problems.add(
            tags_at,
            "choose among tags, but the source names one image: leave these out, or the source's tag or digest",
        );
        return None;
    }
    let targets = targets?;
    let is_many = sources.len() > 1 || sources.iter().any(|s| matches!(s.get_ref(), Source::Repositories(..)));
    let reads_layout = sources.iter().any(|source| source.get_ref().host().is_layout());
    let misfit = |target: &Target| match target {
        Target::Below { .. } if reads_layout => {
            Some("would append the source's name, and an image layout has none: name the repository")
        }
        Target::Repository { tag: Some(_), .. } if repositories > 0 => {
            Some("names one tag, but the source names a whole repository: leave out the tag, or give the source one")
        }
        Target::Repository { location, .. } if is_many && location.host.is_layout() => Some(
            "is one image layout for many sources, whose tags would meet there: give each its own rule and directory",
        ),
        Target::Repository { .. } if is_many => {
            Some("is one repository for many sources: end it with /*, so that each source's name is appended")
        }
        _ => None,
    };
    let mut is_sound = true;
    for target in &targets {
        if let Some(message) = misfit(target.get_ref()) {
            problems.add(&target.span(), message);
            is_sound = false;
        }
    }
    for (source, target) in sources.iter().flat_map(|source| targets.iter().map(move |target| (source, target))) {
        if goes_nowhere(source.get_ref(), target.get_ref()) {
            problems.add(&target.span(), "is what the source names: there is nothing to mirror");
            is_sound = false;
        }
    }
    let chosen = match (repositories, tags.own) {
        (0, _) => Tags::default(),
        (_, Some((_, own))) => own?,
        (_, None) => tags.default?.clone(),
    };
    let targets_at = targets.iter().map(Spanned::span).collect();
    let (sources, targets) = (all(sources), all(targets));
    let scope = Scope { sources, targets, tags: chosen.filter };
    is_sound.then_some(RouteOfRule { scope, whole: repositories > 0 && chosen.all, together: false, targets_at })
}

fn all<T>(values: Vec<Spanned<T>>) -> Vec<T> {
    values.into_iter().map(Spanned::into_inner).collect()
}

/// Whether what is read is what would be written. A tag that another tag of its repository is copied to is not.
fn goes_nowhere(source: &Source, target: &Target) -> bool {
    match source {
        Source::Repositories(..) => false,
        Source::Repository(location) => target.of(&location.repository, None).as_ref() == Ok(location),
        Source::Image(image) => {
            let written = target.tag().or(image.tag.as_ref());
            let same_place = target.of(&image.repository, None).as_ref() == Ok(&image.into());
            same_place
                && match image.selector() {
                    TagOrDigest::Tag(read) => written == Some(&read),
                    TagOrDigest::Digest(_) => written.is_none(),
                }
        }
    }
}

/// A rule's sources: repositories, globs over them, or images.
pub(super) fn sources(entry: Entry<OneOrMany>, problems: &mut Problems<'_>) -> Listed<Source> {
    kinds::each(entry, "a reference in quotes, or a list of them", problems, |text| match glob(text) {
        Some(_) if text.starts_with(LAYOUT_PREFIX) => Err(no_layouts(text)),
        Some(Glob::Tag) => {
            Err(format!("{text:?} has a glob for a tag: name the repository alone, and the tags in tags.include"))
        }
        Some(Glob::Host) => Err(format!("{text:?} has a glob for a host: name one registry")),
        Some(Glob::Repository(host, pattern)) => repositories(host, pattern),
        None => match reference(text)? {
            Reference { tag: None, digest: None, host, repository } => {
                Ok(Source::Repository(crate::content::Location { host, repository }))
            }
            image => Ok(Source::Image(image)),
        },
    })
}

fn repositories(host: &str, pattern: &str) -> Result<Source, String> {
    let host: Host = host.parse().map_err(|error: crate::oci::InvalidName| error.to_string())?;
    if host.is_docker_hub() {
        return Err("is a glob over Docker Hub, which has no catalog to look in: name the repositories, \
             as source = [\"alpine\", \"nginx\"]"
            .to_owned());
    }
    Ok(Source::Repositories(host, RepositoryPattern::new(pattern)?))
}

/// A rule's targets: repositories, perhaps with the tag that is written, or folders.
pub(super) fn targets(entry: Entry<OneOrMany>, problems: &mut Problems<'_>) -> Listed<Target> {
    kinds::each(entry, "a reference in quotes, or a list of them", problems, |text| {
        if text.starts_with(LAYOUT_PREFIX) && has_glob(text) {
            return Err(no_layouts(text));
        }
        if let Some((folder, appends)) = folder(text) {
            return below(text, folder, appends);
        }
        if glob(text).is_some() {
            return Err(format!("{text:?} has a glob: a target may only end with /* or /**"));
        }
        match reference(text)? {
            Reference { digest: Some(_), .. } => {
                Err("has a digest, which is the source's to decide: leave out the '@' and what follows".to_owned())
            }
            reference => Ok(Target::Repository { location: (&reference).into(), tag: reference.tag }),
        }
    })
}

fn no_layouts(text: &str) -> String {
    format!("{text:?} has a glob: an image layout is one directory, named as it is")
}

fn folder(text: &str) -> Option<(&str, Appends)> {
    let name = text.strip_suffix("/*").map(|folder| (folder, Appends::Name));
    text.strip_suffix("/**").map(|folder| (folder, Appends::Path)).or(name)
}

/// What stands before the slash is a host, if it looks like one, or a folder with its host.
fn below(text: &str, folder: &str, appends: Appends) -> Result<Target, String> {
    if glob(folder).is_some() {
        return Err(format!("{text:?} has a glob: a target may only end with /* or /**"));
    }
    if looks_like_host(folder) {
        let host = folder.parse().map_err(|error: crate::oci::InvalidName| error.to_string())?;
        return Ok(Target::Below { host, folder: None, appends });
    }
    match reference(folder)? {
        Reference { tag: None, digest: None, host, .. } if host.is_docker_hub() => {
            // Docker Hub's own folder is not meant by a name alone.
            let folder = folder.strip_prefix("docker.io/").unwrap_or(folder);
            let folder = folder.parse().map_err(|error: crate::oci::InvalidName| error.to_string())?;
            Ok(Target::Below { host, folder: Some(folder), appends })
        }
        Reference { tag: None, digest: None, host, repository } => {
            Ok(Target::Below { host, folder: Some(repository), appends })
        }
        _ => Err(format!("{text:?} has a tag or a digest before its end: leave it out")),
    }
}

/// A login in a reference is refused before its error could show it.
pub(super) fn reference(text: &str) -> Result<Reference, String> {
    if text.contains("://") {
        return Err("is a URL: write HOST/REPOSITORY, without a scheme".to_owned());
    }
    if text.split_once('@').is_some_and(|(_, digest)| !digest.starts_with("sha")) {
        return Err("has an '@' that no digest follows: a login belongs into [registries]".to_owned());
    }
    Reference::parse_without_default_tag(text).map_err(|error| error.to_string())
}

enum Glob<'t> {
    Host,
    Repository(&'t str, &'t str),
    Tag,
}

/// Where a reference has a glob, which its grammar would call an invalid name.
fn glob(text: &str) -> Option<Glob<'_>> {
    // The bracket of [::1]:5000 is none.
    let (host, path) = match text.split_once('/') {
        Some((first, rest)) if looks_like_host(first) => (first, rest),
        _ => ("docker.io", text),
    };
    if !host.starts_with('[') && has_glob(host) {
        return Some(Glob::Host);
    }
    let before = &path[..path.find(['*', '?', '[', '{'])?];
    let in_tag = before.rsplit('/').next().is_some_and(|last| last.contains(':'));
    Some(if in_tag { Glob::Tag } else { Glob::Repository(host, path) })
}

/// Docker's rule: a dot, a port, or `localhost`.
fn looks_like_host(first: &str) -> bool {
    !first.contains('/') && (first.contains(['.', ':']) || first == "localhost")
}
