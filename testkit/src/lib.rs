//! Registries and images made to order.
//!
//! What regferry's tests, its demo and its benchmarks stand on. The crate knows nothing of
//! regferry: it only speaks HTTP, so that a test which uses it sees what any registry would see.
//!
//! | module | what it gives |
//! |---|---|
//! | [`content`] | images as trees of bytes: manifests, lists, artifacts, layers, all deterministic |
//! | [`registry`] | [`FakeRegistry`]: a registry in memory that counts, records, limits, and misbehaves on demand |
//! | [`server`] | [`DistributionServer`]: Debian's `docker-registry` as a process; what stands around it; `skopeo` beside it |
//! | [`chaos`] | [`Chaos`]: a proxy before any registry that commits faults at random |
//! | [`front`] | [`Front`]: TLS before any registry, HTTP/2 too, which records who showed what |
//! | [`cut`] | [`Cut`]: a way to any server that can be cut and mended |
//! | [`receiver`] | [`Receiver`]: takes what is posted to it, or does not |
//! | [`client`] | the few requests a test needs of any registry: push, fetch, compare |
//!
//! A test usually reads so:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use testkit::{Endpoint, FakeRegistry, Method, client, content};
//!
//! let registry = FakeRegistry::start().await;
//! let digest = registry.seed("library/hello-world", "latest", &content::hello_world());
//!
//! let fetched = client::fetch_manifest(registry.host(), "library/hello-world", "latest").await;
//!
//! assert_eq!(fetched.map(|document| document.digest()), Some(digest));
//! assert_eq!(registry.count(&Method::GET, Endpoint::Manifest), 1, "{}", registry.summary());
//! # }
//! ```

pub mod chaos;
pub mod client;
pub mod content;
pub mod cut;
pub mod front;
pub mod receiver;
pub mod registry;
pub mod server;
mod wire;

pub use chaos::{Chaos, Harm};
pub use content::{Blob, Descriptor, Document, Image, Platform};
pub use cut::Cut;
pub use front::Front;
pub use http::Method;
pub use receiver::Receiver;
pub use registry::{Effect, Endpoint, FakeRegistry, Fault, Immutability};

pub use server::{DistributionServer, NatsCluster, NatsServer};
