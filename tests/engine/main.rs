//! The engine against a registry in memory that counts requests and injects faults.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic anywhere")]

mod auth;
mod chunks;
mod counts;
mod faults;
mod order;
mod resume;
mod rules;
mod support;
mod tls;
