//! HTTP as a client: with the environment's proxies, with TLS, over HTTP/1.1 and HTTP/2. hyper speaks it; here stands what
//! makes a connection, and what a request and its answer are to us.
//!
//! Redirects are answers like any other: who follows one must know whom it trusts.

mod body;
mod client;
mod connection;
mod error;
mod proxies;
mod resolver;
mod secret;
mod tls;

pub use body::Body;
pub use client::{Client, Request, Response, Setup, Versions};
pub use error::{Error, innermost};
pub use resolver::{Addresses, Resolve};
pub use secret::{basic, bearer};
pub use tls::{Identity, Tls, Trusted, certificates};

/// What anything fails by that we do not look into.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What we call ourselves.
const USER_AGENT: &str = concat!("regferry/", env!("CARGO_PKG_VERSION"));
