//! `[webhooks.KIND]`: whose messages about pushes are taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::keys::{Table, section};
use super::problems::Problems;
use super::raw;
use super::secrets::secret_file;
use super::written::Entry;
use crate::events::WebhookKind;

/// The kinds that are taken, each with the file of its secrets. Relative paths start from `folder`.
pub(super) fn webhooks(
    entry: Entry<Table<raw::Webhooks>>,
    folder: &Path,
    problems: &mut Problems<'_>,
) -> BTreeMap<WebhookKind, PathBuf> {
    let raw = section(entry, problems);
    let tables =
        WebhookKind::ALL.into_iter().zip([raw.distribution, raw.acr, raw.harbor, raw.dockerhub, raw.quay, raw.ghcr]);
    tables.filter_map(|(kind, table)| Some((kind, file(table, folder, problems)?))).collect()
}

fn file(entry: Entry<Table<raw::Webhook>>, folder: &Path, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let table = entry?.of_kind("a table", problems)?;
    let at = table.span();
    let raw = table.into_inner().known(problems);
    if raw.secret_file.is_none() {
        problems.add(&at, "has no `secret_file`: without a secret anybody could have rules run");
    }
    let in_place = |_: &str| "if it holds the secret itself, write that into a file, and name the file".to_owned();
    secret_file(raw.secret_file, folder, in_place, problems)
}
