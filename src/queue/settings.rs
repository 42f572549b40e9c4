//! What is said of a cluster: where its NATS is, and what is the cluster's own there.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::registry::{Identity, Password};

/// A cluster, as its processes find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The servers, `nats://` or `tls://` and at least one. Logins are not in them.
    pub servers: Vec<Url>,
    /// What streams, buckets and subjects carry: `[a-z0-9-]`, so that two clusters may share a NATS.
    pub name: String,
    /// How long a process may be silent before its jobs and leases are others'.
    pub ack_wait: Duration,
    /// Who we are to the servers.
    pub login: Login,
    /// CA certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// A client certificate and its key (PEM).
    pub identity: Option<Identity>,
    /// On how many servers each stream is kept; unset, on as many as the servers let us, three at most.
    pub stream_replicas: Option<usize>,
}

/// Who we are to the servers. Files and variables are read whenever a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// Nobody.
    Anonymous,
    /// A user.
    User {
        /// The user name.
        username: String,
        /// Its password.
        password: Password,
    },
    /// A token that the servers know.
    Token(Password),
    /// A file with a JWT and its seed, as `nsc` writes it.
    CredentialsFile(PathBuf),
}

impl Settings {
    /// A cluster with one server, which lets everybody in.
    pub fn of(server: Url, name: &str, ack_wait: Duration) -> Self {
        Self {
            servers: vec![server],
            name: name.to_owned(),
            ack_wait,
            login: Login::Anonymous,
            ca_file: None,
            identity: None,
            stream_replicas: None,
        }
    }

    /// Whether nothing but TLS will do: where a server's URL says so, or what TLS needs was said.
    pub fn needs_tls(&self) -> bool {
        self.ca_file.is_some() || self.identity.is_some() || self.servers.iter().any(|server| server.scheme() == "tls")
    }
}
