//! The engine against a registry in memory that counts requests and injects faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod auth;
mod chunks;
mod counts;
mod descriptors;
mod documents;
mod faults;
mod ferry;
mod identity;
mod listings;
mod missing;
mod mounts;
mod order;
mod redirects;
mod refusals;
mod resume;
mod rules;
mod sessions;
mod support;
mod tls;
mod tokens;
mod waiting;
