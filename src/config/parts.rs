//! `platforms`, `platform_mode` and `referrers`: what of an image, and of what refers to it, a rule takes.

use toml::Spanned;

use super::kinds::Switch;
use super::problems::Problems;
use super::raw;
use super::values;
use super::written::{Entry, Written};
use crate::oci::Platform;
use crate::transfer::{ArtifactTypes, PlatformMode, Platforms, Referrers};

/// What a rule or the defaults say; `None` is not said.
#[derive(Clone, Default)]
pub(super) struct Parts {
    platforms: Option<Vec<Platform>>,
    mode: Option<PlatformMode>,
    pub(super) referrers: Option<Referrers>,
}

impl Parts {
    /// These, where they are said, else the others.
    pub(super) fn or(self, others: &Self) -> Self {
        let others = others.clone();
        Self {
            platforms: self.platforms.or(others.platforms),
            mode: self.mode.or(others.mode),
            referrers: self.referrers.or(others.referrers),
        }
    }

    pub(super) fn has_mode(&self) -> bool {
        self.mode.is_some()
    }

    /// The choice of platforms.
    ///
    /// # Errors
    /// If one of the two keys is missing, or a platform is none to choose.
    pub(super) fn platforms(&self) -> Result<Option<Platforms>, String> {
        match (&self.platforms, self.mode) {
            (None, _) => Ok(None),
            (Some(_), None) => Err("needs `platform_mode` beside it: \"rewrite\" writes a smaller list, \
                 \"sparse\" keeps the list's digest (few registries take it)"
                .to_owned()),
            (Some(wanted), Some(mode)) => {
                Platforms::new(wanted.clone(), mode).map(Some).map_err(|error| error.to_string())
            }
        }
    }
}

pub(super) fn parts(
    platforms: Entry<Vec<Written<String>>>,
    mode: Entry<String>,
    referrers: Entry<Switch<raw::Referrers>>,
    problems: &mut Problems<'_>,
) -> Parts {
    let mode = values::parsed(mode, values::TEXT, problems, |text| match text {
        "rewrite" => Ok(PlatformMode::Rewrite),
        "sparse" => Ok(PlatformMode::Sparse),
        other => Err(format!(
            "{other:?} is none of \"rewrite\" (a smaller list, with a digest of its own) and \"sparse\" (the list as it is)"
        )),
    });
    let parse = |text: &str| text.parse::<Platform>().map_err(|error| error.to_string());
    Parts {
        platforms: texts(platforms, "[\"linux/amd64\", \"linux/arm64\"]", problems, parse),
        mode: mode.map(Spanned::into_inner),
        referrers: self::referrers(referrers, problems),
    }
}

fn referrers(entry: Entry<Switch<raw::Referrers>>, problems: &mut Problems<'_>) -> Option<Referrers> {
    const KIND: &str = "true, false, or a table as { include = [\"application/spdx+json\"] }";
    let value = entry?.of_kind(KIND, problems)?;
    let at = value.span();
    match value.into_inner() {
        Switch::Set(true) => Some(Referrers::All),
        Switch::Set(false) => Some(Referrers::None),
        Switch::Table(table) => {
            let raw = table.known(problems);
            if raw.include.is_none() {
                problems.add(&at, "has no `include`: name artifact types, or write true for all of them");
            }
            let glob = |text: &str| ArtifactTypes::new(&[text.to_owned()]).map(|_| text.to_owned());
            let globs = texts(raw.include, "[\"application/spdx+json\"]", problems, glob)?;
            ArtifactTypes::new(&globs).ok().map(Referrers::OfTypes)
        }
    }
}

/// The texts of a list, each read by `parse`, so that all that are broken are told.
pub(super) fn texts<T>(
    entry: Entry<Vec<Written<String>>>,
    example: &str,
    problems: &mut Problems<'_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let list = entry?.of_kind(&format!("a list of texts in quotes, as {example}"), problems)?;
    let at = list.span();
    let written = list.into_inner();
    if written.is_empty() {
        problems.add(&at, "is an empty list: leave it out, or name something");
        return None;
    }
    let texts = written.into_iter().map(|text| values::parsed(Some(text), values::TEXT, problems, &parse));
    let texts: Vec<Option<Spanned<T>>> = texts.collect();
    texts.into_iter().map(|text| text.map(Spanned::into_inner)).collect()
}
