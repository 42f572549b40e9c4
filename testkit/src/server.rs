//! Real servers, as processes: Debian's `docker-registry`, what stands before registries in real
//! life, `skopeo` and `umoci` to look from outside, `prometheus` and what is pushed to for it,
//! `nats-server`, alone and three of them.
//!
//! Every server listens on a loopback port of its own, has its files in a temporary directory, and
//! is killed when it is dropped. Starting one blocks the thread for as long as the process takes,
//! some tens of milliseconds.

mod distribution;
mod nats;
mod nginx;
mod process;
mod prometheus;
mod pushgateway;
mod storage;
mod tinyproxy;
pub(crate) mod tls;
mod tokens;
mod witness;

use std::io;

pub use distribution::{Builder, DistributionServer};
pub use nats::{NatsBuilder, NatsCluster, NatsServer};
pub use nginx::{Nginx, NginxBuilder};
pub use prometheus::{Prometheus, promtool};
pub use pushgateway::Pushgateway;
pub use tinyproxy::Tinyproxy;
pub use tls::{ClientCertificate, unknown_authority};
pub use tokens::{Asked, TokenServer};
pub use witness::{skopeo, umoci};

// What to do when a program cannot be run.
fn not_run(program: &str, package: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{program} is not installed: apt-get install {package}"),
        _ => format!("{program} cannot be run: {error}"),
    }
}
