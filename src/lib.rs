//! regferry mirrors container images from registry to registry, every digest kept intact.
//!
//! The code is a house of storeys; each imports only from those below it (`tests/architecture.rs` holds that):
//!
//! | storey | module | what it knows |
//! | --- | --- | --- |
//! | 8 | [`cli`] | one file a command; prints, exits |
//! | 7 | [`app`] | the composition root: build → run → drain |
//! | 6 | [`config`], [`server`], [`history`] | the TOML file, checked; metrics, health and status over HTTP; what outlives the process |
//! | 5 | [`schedule`], [`queue`], [`telemetry`] | when a rule is due; who does the work; who listens to what happens |
//! | 4 | [`transfer`] | what is to be where: select, plan, copy, publish |
//! | 3 | [`registry`], [`layout`] | where it is: logins, uploads, transport; image layouts in directories |
//! | 2 | [`content`], [`events`] | the traits that storeys 3 and 4 meet at; what happens, told |
//! | 1 | [`oci`], [`backoff`], [`files`], [`http_client`] | the words of the field; retry arithmetic; whether files have changed; HTTP, with its proxies and its TLS |
//!
//! To follow one image, start at [`transfer::Engine::run`] and go down.

pub mod app;
pub mod backoff;
pub mod cli;
pub mod config;
pub mod content;
pub mod events;
pub mod files;
pub mod history;
pub mod http_client;
pub mod layout;
pub mod oci;
pub mod queue;
pub mod registry;
pub mod schedule;
pub mod server;
pub mod telemetry;
pub mod transfer;
