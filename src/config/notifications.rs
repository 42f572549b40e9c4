//! `[[notifications]]`: who is told when a rule begins to fail, and when it has recovered.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use toml::Spanned;

use super::certificates::ca_file;
use super::keys::{Table, nearest};
use super::kinds::{self, OneOrMany};
use super::problems::Problems;
use super::raw;
use super::rules::{self, tell_same_names};
use super::secrets::{Secret, secret_file};
use super::values;
use super::written::{Entry, Written};
use crate::registry::Password;
use crate::telemetry::notify::{Channel, Format, RuleNames, parse_url};
use crate::transfer::has_glob;

/// The channels in the file's order, but for those that are broken, and told. Relative paths start from `folder`.
pub(super) fn notifications(
    entry: Entry<Vec<Written<Table<raw::Notification>>>>,
    rules: &[String],
    folder: &Path,
    problems: &mut Problems<'_>,
) -> Vec<Arc<Channel>> {
    const KIND: &str = "a list of tables: write [[notifications]] above each";
    let tables = entry.and_then(|tables| tables.of_kind(KIND, problems));
    let tables = tables.map(Spanned::into_inner).unwrap_or_default().into_iter();
    let channels = tables.filter_map(|table| channel(table, rules, folder, problems));
    let channels: Vec<(Spanned<String>, Channel)> = channels.collect();
    tell_same_names("notification", channels.iter().map(|(name, _)| name), problems);
    channels.into_iter().map(|(_, channel)| Arc::new(channel)).collect()
}

fn channel(
    table: Written<Table<raw::Notification>>,
    rules: &[String],
    folder: &Path,
    problems: &mut Problems<'_>,
) -> Option<(Spanned<String>, Channel)> {
    let table = table.of_kind("a table: write [[notifications]] above each", problems)?;
    let at = table.span();
    let raw = table.into_inner().known(problems);
    if raw.name.is_none() {
        problems.add(&at, "has no `name`");
    }
    if raw.url.is_none() && raw.url_file.is_none() && raw.url_env.is_none() {
        problems.add(&at, "has none of `url_file`, `url_env` and `url`");
    }
    let url = Secret { what: "url", literal: raw.url, file: raw.url_file, variable: raw.url_env };
    let url_at = url.span();
    let url = url.password(folder, problems);
    if let (Some(Password::Literal(text)), Some(at)) = (&url, url_at)
        && let Err(reason) = parse_url(text.expose_secret())
    {
        problems.add(&at, reason);
    }
    let in_place = |_: &str| "if it holds the token itself, write that into a file, and name the file".to_owned();
    let name = values::parsed(raw.name, values::TEXT, problems, rules::name);
    let channel = Channel {
        name: name.as_ref().map(|name| Arc::from(name.get_ref().as_str())).unwrap_or_default(),
        format: values::parsed(raw.format, values::TEXT, problems, format).map(Spanned::into_inner).unwrap_or_default(),
        rules: rule_names(raw.rules, rules, problems),
        token: secret_file(raw.token_file, folder, in_place, problems).map(Password::File),
        ca_file: ca_file(raw.ca_file, folder, problems),
        url: url?,
    };
    Some((name?, channel))
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "json" => Ok(Format::Json),
        "slack" => Ok(Format::Slack),
        other => Err(format!("{other:?} is neither \"json\" nor \"slack\"")),
    }
}

/// A name that is no glob and no rule's either is a slip.
fn rule_names(entry: Entry<OneOrMany>, rules: &[String], problems: &mut Problems<'_>) -> Option<RuleNames> {
    let names = || rules.iter().map(String::as_str);
    let globs = kinds::each(entry, "a name or a list of names, as [\"alpine\", \"team-*\"]", problems, |text| {
        RuleNames::new(vec![text.to_owned()])?;
        if has_glob(text) || names().any(|name| name == text) {
            return Ok(text.to_owned());
        }
        let hint = nearest(text, names()).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
        Err(format!("there is no rule {text:?}{hint}"))
    })?;
    RuleNames::new(globs.into_iter().map(Spanned::into_inner).collect()).ok()
}
