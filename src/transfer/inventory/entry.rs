//! One manifest of a repository.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde::Serialize;

use crate::oci::Digest;
use crate::registry::AzureManifest;

/// A manifest and what is known of it, under the names that `az acr manifest list-metadata` has for it. Fields are
/// added, never renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its digest.
    pub digest: Digest,
    /// The tags that point at it, in their order.
    pub tags: Vec<String>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Its config's media type; lists have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_media_type: Option<String>,
    /// What an image runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// What an image runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// `v7` of `linux/arm/v7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The bytes of its layers as the registry keeps them; of a list, those of all layers below it, each counted once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<u64>,
    /// When it was made: by its config, or by the registry's listing. Of a list, when the newest image in it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<String>,
    /// When the registry last changed something of it; only where the registry tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update_time: Option<String>,
    /// The later one of both, under the name that `az acr repository show-manifests` has for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Why it or its config could not be read: then the rest is all that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// In which order manifests are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By their digests.
    Digest,
    /// The oldest first.
    OldestFirst,
    /// The newest first.
    NewestFirst,
}

impl Order {
    /// Puts manifests in this order; those whose time nobody tells come last.
    pub fn sort(self, entries: &mut [Entry]) {
        entries.sort_by(|a, b| {
            match self {
                Self::Digest => Ordering::Equal,
                Self::OldestFirst => known_first(a, b, Timestamp::cmp),
                Self::NewestFirst => known_first(a, b, |a, b| b.cmp(a)),
            }
            .then_with(|| a.digest.cmp(&b.digest))
        });
    }
}

fn known_first(a: &Entry, b: &Entry, order: impl Fn(&Timestamp, &Timestamp) -> Ordering) -> Ordering {
    match (a.time(), b.time()) {
        (Some(a), Some(b)) => order(&a, &b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

impl Entry {
    /// The time that it is ordered by.
    pub fn time(&self) -> Option<Timestamp> {
        self.timestamp.as_ref()?.parse().ok()
    }
}

impl From<AzureManifest> for Entry {
    fn from(listed: AzureManifest) -> Self {
        Self {
            timestamp: listed.last_update_time.clone().or_else(|| listed.created_time.clone()),
            digest: listed.digest,
            tags: listed.tags.unwrap_or_default(),
            media_type: listed.media_type,
            config_media_type: listed.config_media_type,
            architecture: listed.architecture,
            os: listed.os,
            variant: None,
            image_size: listed.image_size,
            created_time: listed.created_time,
            last_update_time: listed.last_update_time,
            remark: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, timestamp: Option<&str>) -> Entry {
        let timestamp = timestamp.map(str::to_owned);
        let listed = AzureManifest { created_time: timestamp, ..AzureManifest::of(Digest::of(name.as_bytes())) };
        Entry { tags: vec![name.to_owned()], ..Entry::from(listed) }
    }

    #[test]
    fn manifests_are_ordered_by_time_whatever_its_zone_and_unknown_ones_come_last() {
        let mut entries = [
            entry("unknown", None),
            entry("late", Some("2024-01-02T00:00:00+03:00")),
            entry("early", Some("2024-01-01T20:00:00.5Z")),
            entry("odd", Some("yesterday")),
        ];
        let first = |entries: &[Entry], n| entries[..n].iter().map(|entry| entry.tags[0].clone()).collect::<Vec<_>>();
        Order::NewestFirst.sort(&mut entries);
        assert_eq!(first(&entries, 2), ["late", "early"]);
        Order::OldestFirst.sort(&mut entries);
        assert_eq!(first(&entries, 2), ["early", "late"]);
        Order::Digest.sort(&mut entries);
        assert!(entries.is_sorted_by_key(|entry| entry.digest.clone()));
    }
}
