//! What can be set for one registry.

use std::path::PathBuf;
use std::time::Duration;

use super::Credentials;
use super::limits::Limits;
use crate::backoff::Patience;
use crate::oci::Host;

/// How to talk to one registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The transport's security.
    pub tls: Tls,
    /// Files of CA certificates (PEM) that are trusted beside the system's.
    pub ca_files: Vec<PathBuf>,
    /// A client certificate and its key (PEM), shown to the registry itself and to nobody else.
    pub identity: Option<Identity>,
    /// Credentials of the configuration; without them the Docker config is asked.
    pub credentials: Option<Credentials>,
    /// Hosts of token servers that logins may go to, beside the registry's own domain.
    pub trusted_realms: Vec<Host>,
    /// How fast and how much at once.
    pub limits: Limits,
    /// How patient to be with what fails.
    pub retry: Patience,
    /// The size of chunks in all uploads; unset, whole bodies are sent until the registry wants chunks.
    pub chunk_size: Option<u64>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long a registry may be silent: no answer, or no byte of a body.
    pub idle_timeout: Duration,
}

/// A client certificate and its key, as files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, with those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
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
            ca_files: Vec::new(),
            identity: None,
            credentials: None,
            trusted_realms: Vec::new(),
            limits: Limits::default(),
            retry: Patience::STANDARD,
            chunk_size: None,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }

    /// The files that they name.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let password = self.credentials.as_ref().and_then(|credentials| credentials.password().file());
        let identity = self.identity.iter().flat_map(|Identity { certificate, key }| [certificate, key]);
        self.ca_files.iter().chain(identity).chain(password).cloned().collect()
    }
}
