//! The engine against a registry in memory that counts requests and injects faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod auth;
mod azure;
mod certificates;
mod chunks;
mod clear;
mod connections;
mod counts;
mod descriptors;
mod documents;
mod faults;
mod ferry;
mod gauge;
mod going_on;
mod http2;
mod identity;
mod listings;
mod missing;
mod mounts;
mod order;
mod origins;
mod patience;
mod pulls;
mod rates;
mod realms;
mod redirects;
mod refusals;
mod rereading;
mod resets;
mod resume;
mod rules;
mod sessions;
mod support;
mod throttling;
mod tls;
mod tokens;
mod waiting;
mod windows;
