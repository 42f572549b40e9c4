//! What can be set for one registry.

use std::path::PathBuf;
use std::time::Duration;

use super::Credentials;
use crate::oci::Host;

/// How to talk to one registry.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The transport's security.
    pub tls: Tls,
    /// CA certificates (PEM) trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Credentials of the configuration; without them the Docker config is asked.
    pub credentials: Option<Credentials>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a registry may be silent: no answer, or no byte of a body.
    pub idle_timeout: Duration,
}

/// The transport's security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// HTTPS, the certificate checked.
    Https,
    /// HTTPS, whatever the certificate.
    Insecure,
    /// Plain HTTP.
    Http,
}

impl Settings {
    /// What holds where nothing is configured: HTTPS, or plain HTTP on the machine itself.
    pub fn for_host(host: &Host) -> Self {
        Self {
            tls: if host.is_loopback() { Tls::Http } else { Tls::Https },
            ca_file: None,
            credentials: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }
}
