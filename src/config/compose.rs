//! `[[compose]]`: lists that are kept composed of images.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;

use super::keys::Table;
use super::kinds;
use super::parts::Parts;
use super::problems::Problems;
use super::raw;
use super::rules::{Defaults, Draft, name};
use super::schedule;
use super::scope::{RouteOfRule, reference};
use super::values;
use super::written::{Entry, Written};
use crate::oci::Reference;
use crate::transfer::{Kept, Scope, Source, TagFilter, Target, has_glob};

/// The lists in the file's order, as rules; those that cannot be made out are told.
pub(super) fn drafts(
    entry: Entry<Vec<Written<Table<raw::Compose>>>>,
    defaults: &Defaults,
    problems: &mut Problems<'_>,
) -> Vec<Draft> {
    let tables = entry.and_then(|lists| lists.of_kind("a list of tables: write [[compose]] above each list", problems));
    let tables = tables.map(Spanned::into_inner).unwrap_or_default();
    tables.into_iter().filter_map(|table| draft(table, defaults, problems)).collect()
}

fn draft(table: Written<Table<raw::Compose>>, defaults: &Defaults, problems: &mut Problems<'_>) -> Option<Draft> {
    let table = table.of_kind("a table: write [[compose]] above each list", problems)?;
    let at = table.span();
    let raw = table.into_inner().known(problems);
    for (key, missing) in
        [("name", raw.name.is_none()), ("sources", raw.sources.is_none()), ("target", raw.target.is_none())]
    {
        if missing {
            problems.add(&at, format!("has no `{key}`"));
        }
    }
    let sources = kinds::each(raw.sources, "a list of references in quotes", problems, source);
    let target = values::parsed(raw.target, "a reference in quotes", problems, target);
    let keys =
        schedule::Keys { schedule: raw.schedule, timezone: raw.timezone, jitter: raw.jitter, recheck: raw.recheck };
    Some(Draft {
        name: values::parsed(raw.name, values::TEXT, problems, name),
        route: sources.zip(target).and_then(|(sources, target)| route(sources, &target, problems)),
        kept: Some(Kept { same_revision: values::switch(raw.same_revision, problems).unwrap_or(false) }),
        timing: schedule::timing(keys, &defaults.schedule, problems),
        timeout: values::duration(raw.timeout, problems).or(defaults.timeout),
        parts: Parts::default(),
        platforms: None,
        overwrite: values::switch(raw.overwrite, problems).unwrap_or(defaults.overwrite),
        prune: None,
    })
}

/// An image, by tag or by digest.
fn source(text: &str) -> Result<Reference, String> {
    let image = plain(text)?;
    if image.tag.is_none() && image.digest.is_none() {
        return Err(format!("{text:?} names a repository: name one image of it, as {text}:1.4-amd64"));
    }
    Ok(image)
}

/// A tag.
fn target(text: &str) -> Result<Reference, String> {
    let list = plain(text)?;
    if list.digest.is_some() {
        return Err("has a digest, which comes of what is listed: leave out the '@' and what follows".to_owned());
    }
    if list.tag.is_none() {
        return Err(format!("{text:?} names a repository: name the tag of the list, as {text}:latest"));
    }
    Ok(list)
}

fn plain(text: &str) -> Result<Reference, String> {
    // The bracket of [::1]:5000 is none.
    if has_glob(text.rsplit(']').next().unwrap_or(text)) {
        return Err(format!("{text:?} has a glob: a list is composed of images that are named one by one"));
    }
    reference(text)
}

fn route(
    sources: Vec<Spanned<Reference>>,
    target: &Spanned<Reference>,
    problems: &mut Problems<'_>,
) -> Option<RouteOfRule> {
    let mut first: HashMap<&Reference, Range<usize>> = HashMap::new();
    let mut is_sound = true;
    for source in &sources {
        let message = match first.insert(source.get_ref(), source.span()) {
            Some(_) => "is named twice",
            None if source.get_ref() == target.get_ref() => "is the target: a list is not composed of itself",
            None => continue,
        };
        problems.add(&source.span(), message);
        is_sound = false;
    }
    let (location, tag) = (target.get_ref().into(), target.get_ref().tag.clone());
    let scope = Scope {
        sources: sources.into_iter().map(|source| Source::Image(source.into_inner())).collect(),
        targets: vec![Target::Repository { location, tag }],
        tags: TagFilter::default(),
    };
    is_sound.then(|| RouteOfRule { scope, whole: false, together: true, targets_at: vec![target.span()] })
}
