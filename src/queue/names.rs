//! What the cluster's streams, buckets and subjects are called.

use std::hash::{BuildHasher as _, RandomState};

use crate::oci::Digest;

/// All names of one cluster: two clusters may share a NATS.
#[derive(Debug, Clone)]
pub(super) struct Names {
    cluster: String,
}

impl Names {
    pub(super) fn of(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned() }
    }

    /// `regferry-prod-runs`
    pub(super) fn stream(&self, what: &str) -> String {
        format!("regferry-{}-{what}", self.cluster)
    }

    /// `regferry.prod.run`, before what the subject is about.
    pub(super) fn subject(&self, what: &str) -> String {
        format!("regferry.{}.{what}", self.cluster)
    }
}

/// What no other replica is called: 16 hex digits.
pub(super) fn own_token() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// A name as a number, where there are millions of them and some are chosen by others: no two have the same.
pub(super) fn wide(name: &str) -> u128 {
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    hash.as_ref().iter().take(16).fold(0, |wide, byte| wide << 8 | u128::from(*byte))
}

/// A name as part of a subject or a key: 16 hex digits. Rules are called anything, and hosts have ports.
pub(super) fn token(rule: &str) -> String {
    Digest::of(rule.as_bytes()).hex()[..16].to_owned()
}
