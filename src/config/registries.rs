//! `[registries."HOST"]`: how to talk to one registry.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::certificates::{ca_file, identity};
use super::keys::{Table, section};
use super::problems::Problems;
use super::raw;
use super::secrets::Logins;
use super::values;
use super::written::{Entry, Written};
use crate::backoff::Patience;
use crate::oci::{Host, InvalidName, Size};
use crate::registry::{Limits, Rate, Settings, Tls};

/// The registries by host. Relative paths start from `folder`.
pub(super) fn registries(
    entry: Entry<BTreeMap<Spanned<String>, Written<Table<raw::Registry>>>>,
    folder: &Path,
    problems: &mut Problems<'_>,
) -> HashMap<Host, Settings> {
    let tables = entry.and_then(|tables| tables.of_kind("a table of tables, as [registries.\"docker.io\"]", problems));
    let mut tables: Vec<_> = tables.map(Spanned::into_inner).unwrap_or_default().into_iter().collect();
    tables.sort_by_key(|(key, _)| key.span().start);

    let mut first: HashMap<Host, Range<usize>> = HashMap::new();
    let mut registries = HashMap::new();
    for (key, table) in tables {
        let host = host(&key, problems);
        // Looked into also where the host is no host, for what else is wrong there.
        let raw = table.of_kind("a table", problems).map(|table| table.into_inner().known(problems));
        let settings = raw.map(|raw| settings(raw, host.as_ref(), folder, problems));
        let (Some(host), Some(settings)) = (host, settings) else {
            continue;
        };
        if let Some(other) = first.get(&host) {
            let other = problems.name(other);
            problems.add(&key.span(), format!("is the same registry as {other}: write its settings in one place"));
            continue;
        }
        first.insert(host.clone(), key.span());
        registries.insert(host, settings);
    }
    registries
}

fn host(key: &Spanned<String>, problems: &mut Problems<'_>) -> Option<Host> {
    key.get_ref().parse().map_err(|error: InvalidName| problems.add(&key.span(), error.to_string())).ok()
}

fn settings(raw: raw::Registry, host: Option<&Host>, folder: &Path, problems: &mut Problems<'_>) -> Settings {
    let default = host.map_or_else(|| Settings::for_host(&Host::docker_hub()), Settings::for_host);
    let logins =
        Logins { username: raw.username, literal: raw.password, file: raw.password_file, variable: raw.password_env };
    Settings {
        tls: values::parsed(raw.tls, values::TEXT, problems, tls).map_or(default.tls, Spanned::into_inner),
        ca_files: ca_file(raw.ca_file, folder, problems).into_iter().collect(),
        identity: identity(raw.client_cert_file, raw.client_key_file, folder, problems),
        credentials: logins.credentials(folder, problems),
        trusted_realms: hosts(raw.trusted_realms, problems),
        limits: Limits {
            max_connections: values::count(raw.max_connections, problems),
            rate: rate(raw.requests_per_second, raw.burst, problems),
            bandwidth: values::bandwidth(raw.bandwidth, problems),
            pull_reserve: values::whole(raw.pull_reserve, 0..=1_000_000, problems).unwrap_or(0),
        },
        retry: retry(raw.retry, default.retry, problems),
        chunk_size: chunk_size(raw.chunk_size, problems),
        connect_timeout: values::duration(raw.connect_timeout, problems).unwrap_or(default.connect_timeout),
        idle_timeout: values::duration(raw.idle_timeout, problems).unwrap_or(default.idle_timeout),
    }
}

fn tls(text: &str) -> Result<Tls, String> {
    match text {
        "https" => Ok(Tls::Https),
        "insecure" => Ok(Tls::Insecure),
        "http" => Ok(Tls::Http),
        _ => Err(format!("{text:?} is none of \"https\", \"insecure\" (no certificate is checked) and \"http\"")),
    }
}

fn hosts(entry: Entry<Vec<Written<String>>>, problems: &mut Problems<'_>) -> Vec<Host> {
    let list = entry.and_then(|list| list.of_kind("a list of hosts, as [\"auth.example.com\"]", problems));
    let hosts = list.map(Spanned::into_inner).unwrap_or_default().into_iter();
    hosts.filter_map(|written| host(&written.of_kind(values::TEXT, problems)?, problems)).collect()
}

fn rate(per_second: Entry<f64>, burst: Entry<i64>, problems: &mut Problems<'_>) -> Option<Rate> {
    if let (None, Some(burst)) = (&per_second, &burst) {
        problems.add(&burst.span, "needs `requests_per_second` beside it");
    }
    let burst = values::whole(burst, 1..=10_000, problems).and_then(|burst| u32::try_from(burst).ok());
    let per_second = values::per_second(per_second, problems)?;
    Some(Rate { per_second, burst: burst.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN) })
}

fn retry(entry: Entry<Table<raw::Retry>>, default: Patience, problems: &mut Problems<'_>) -> Patience {
    let raw = section(entry, problems);
    let attempts = values::whole(raw.max_attempts, 1..=10_000, problems).and_then(|count| u32::try_from(count).ok());
    Patience {
        initial: values::duration(raw.initial_pause, problems).unwrap_or(default.initial),
        max_pause: values::duration(raw.max_pause, problems).unwrap_or(default.max_pause),
        max_elapsed: values::duration_or_zero(raw.max_elapsed, problems).unwrap_or(default.max_elapsed),
        max_attempts: attempts.unwrap_or(default.max_attempts),
    }
}

/// Smaller chunks are mostly requests.
const SMALLEST_CHUNK: u64 = 64 << 10;

fn chunk_size(entry: Entry<String>, problems: &mut Problems<'_>) -> Option<u64> {
    let size = values::size(entry, problems)?;
    if *size.get_ref() < SMALLEST_CHUNK {
        problems.add(&size.span(), format!("must be {} at least", Size(SMALLEST_CHUNK)));
        return None;
    }
    Some(size.into_inner())
}
