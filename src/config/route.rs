//! `source`, `target` and `tags` of a rule, which only together say what is mirrored.

use std::ops::Range;

use toml::Spanned;

use super::problems::Problems;
use super::tags::Tags;
use super::values;
use super::written::Entry;
use crate::content::Location;
use crate::oci::{Reference, TagOrDigest};
use crate::transfer::Images;

/// Which images go from where to where.
pub(super) struct Route {
    pub(super) source: Location,
    pub(super) target: Location,
    pub(super) images: Images,
    /// Whether all tags of the source are taken.
    pub(super) whole: bool,
    /// Where the target is written.
    pub(super) target_at: Range<usize>,
}

/// The tags that hold for a rule: its own, if it has a table of them, else the defaults'. Broken ones are none.
pub(super) struct TagsOfRule<'d> {
    pub(super) own: Option<(Range<usize>, Option<Tags>)>,
    pub(super) default: Option<&'d Tags>,
}

/// The route between two references, if all of it is sound; else its problems are told.
pub(super) fn route(
    source: Option<Spanned<Reference>>,
    target: Option<Spanned<Reference>>,
    tags: TagsOfRule<'_>,
    problems: &mut Problems<'_>,
) -> Option<Route> {
    let source = source?.into_inner();
    let whole_repository = source.tag.is_none() && source.digest.is_none();
    if let (false, Some((tags_at, _))) = (whole_repository, &tags.own) {
        problems.add(
            tags_at,
            "choose among tags, but the source names one image: leave these out, or the source's tag or digest",
        );
        return None;
    }
    let (target, target_at) = target.map(|target| (target.get_ref().clone(), target.span()))?;
    if whole_repository && target.tag.is_some() {
        problems.add(
            &target_at,
            "names one tag, but the source names a whole repository: leave out the tag, or give the source one",
        );
        return None;
    }

    let (images, whole) = if whole_repository { chosen(tags)? } else { (one(&source, &target), false) };
    let route = Route { source: (&source).into(), target: (&target).into(), images, whole, target_at };
    if goes_nowhere(&route) {
        problems.add(&route.target_at, format!("{target} is what the source names: there is nothing to mirror"));
        return None;
    }
    Some(route)
}

fn chosen(tags: TagsOfRule<'_>) -> Option<(Images, bool)> {
    let tags = match tags.own {
        Some((_, own)) => own?,
        None => tags.default?.clone(),
    };
    Some((Images::Tags(tags.filter), tags.all))
}

/// The target's own tag is written, else the source's, which a digest may have beside it.
fn one(source: &Reference, target: &Reference) -> Images {
    Images::One { from: source.selector(), to: target.tag.clone().or_else(|| source.tag.clone()) }
}

/// Whether what is read is what would be written. A tag that another tag of its repository is copied to is not.
fn goes_nowhere(route: &Route) -> bool {
    route.source == route.target
        && match &route.images {
            Images::Tags(_) => true,
            Images::One { from: TagOrDigest::Tag(from), to } => to.as_ref() == Some(from),
            Images::One { from: TagOrDigest::Digest(_), to } => to.is_none(),
        }
}

/// A rule's source: a repository, or one image of it.
pub(super) fn source(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Spanned<Reference>> {
    const KIND: &str = "one reference in quotes";
    values::parsed(entry, KIND, problems, |text| match glob(text) {
        Some(Glob::Repository) => {
            Err(format!("{text:?} has a glob in the repository, which is not supported: write a rule for each"))
        }
        Some(Glob::Tag) => {
            Err(format!("{text:?} has a glob for a tag: name the repository alone, and the tags in tags.include"))
        }
        None => reference(text),
    })
}

/// A rule's target: a repository, perhaps with the tag that is written.
pub(super) fn target(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<Spanned<Reference>> {
    const KIND: &str = "one reference in quotes: a list of targets is not supported, write a rule for each";
    values::parsed(entry, KIND, problems, |text| {
        if glob(text).is_some() {
            return Err(format!("{text:?} has a glob, which is not supported in a target: name one repository"));
        }
        match reference(text)? {
            Reference { digest: Some(_), .. } => {
                Err("has a digest, which is the source's to decide: leave out the '@' and what follows".to_owned())
            }
            reference => Ok(reference),
        }
    })
}

/// A login in a reference is refused before its error could show it.
fn reference(text: &str) -> Result<Reference, String> {
    if text.contains("://") {
        return Err("is a URL: write HOST/REPOSITORY, without a scheme".to_owned());
    }
    if text.split_once('@').is_some_and(|(_, digest)| !digest.starts_with("sha")) {
        return Err("has an '@' that no digest follows: a login belongs into [registries]".to_owned());
    }
    Reference::parse_without_default_tag(text).map_err(|error| error.to_string())
}

enum Glob {
    Repository,
    Tag,
}

/// Where a reference has a glob, which its grammar would call an invalid name.
fn glob(text: &str) -> Option<Glob> {
    // The bracket of [::1]:5000 is none.
    let text = text.strip_prefix('[').unwrap_or(text);
    let before = &text[..text.find(['*', '?', '[', '{'])?];
    let in_tag = before.rsplit('/').next().is_some_and(|last| last.contains(':'));
    Some(if in_tag { Glob::Tag } else { Glob::Repository })
}
