//! The HTTP clients of one registry: TLS, proxies, HTTP's versions. None of them follows a redirect by itself.

use std::path::Path;
use std::sync::Arc;

use reqwest::{Certificate, Client, ClientBuilder, redirect};

use super::auth::RealmAddresses;
use super::proxy;
use super::settings::{Identity, Settings, Tls};
use crate::oci::Host;

/// Which versions of HTTP a client speaks; HTTP/2 only where TLS offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http {
    One,
    OneOrTwo,
}

/// Builds a client for requests to `host` itself.
///
/// # Errors
/// If the CA file or the client certificate cannot be used, or the system has no CA roots and HTTPS is wanted.
pub(super) fn for_registry(host: &Host, settings: &Settings, http: Http) -> Result<Client, String> {
    let identity = settings.identity.as_ref().map(identity).transpose()?;
    build(settings, || {
        let builder = basic(host, settings, http);
        match &identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    })
}

/// Builds a client for where `host` sends us: its storage, say. It does not show our certificate.
///
/// # Errors
/// As for [`for_registry`].
pub(super) fn for_strangers(host: &Host, settings: &Settings) -> Result<Client, String> {
    build(settings, || basic(host, settings, Http::One))
}

/// Builds the client that asks a token server on behalf of `host`. It shows our certificate if the server is the
/// registry itself, and connects to the addresses that `addresses` lets through.
///
/// # Errors
/// As for [`for_registry`].
pub(super) fn for_realms(host: &Host, settings: &Settings, addresses: &Arc<RealmAddresses>) -> Result<Client, String> {
    let identity = settings.identity.as_ref().map(identity).transpose()?;
    build(settings, || {
        let builder = basic(host, settings, Http::OneOrTwo).dns_resolver(Arc::clone(addresses));
        match &identity {
            Some(identity) => builder.identity(identity.clone()),
            None => builder,
        }
    })
}

/// Whether a file holds CA certificates that can be trusted beside the system's.
///
/// # Errors
/// A text that says what is wrong, with the file's name.
pub fn check_ca_file(file: &Path) -> Result<(), String> {
    install_provider();
    let only = Client::builder().tls_certs_only(certificates(file)?).build();
    only.map(drop).map_err(|error| format!("ca_file {}: {}", file.display(), innermost(&error)))
}

/// Whether two files are a client certificate and its key.
///
/// # Errors
/// A text that says what is wrong, with the files' names.
pub fn check_identity(files: &Identity) -> Result<(), String> {
    install_provider();
    let only = Client::builder().tls_certs_only([]).identity(identity(files)?).build();
    only.map(drop).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("client_cert_file {certificate} with client_key_file {key}: {}", innermost(&error))
    })
}

fn basic(host: &Host, settings: &Settings, http: Http) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("regferry/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .redirect(redirect::Policy::none())
        .tls_danger_accept_invalid_certs(settings.tls == Tls::Insecure);
    let builder = if http == Http::One { builder.http1_only() } else { builder };
    if proxy::is_bypassed(host) { builder.no_proxy() } else { builder }
}

fn build(settings: &Settings, builder: impl Fn() -> ClientBuilder) -> Result<Client, String> {
    install_provider();
    let mut trusted = Vec::new();
    for file in &settings.ca_files {
        trusted.extend(certificates(file)?);
    }
    if !trusted.is_empty() {
        let merged = builder().tls_certs_merge(trusted).build();
        return merged.map_err(|error| innermost(&error));
    }
    match (builder().build(), settings.tls) {
        // No CA roots on this machine: a registry without TLS needs none.
        (Err(_), Tls::Http) => builder().tls_certs_only([]).build(),
        (built, _) => built,
    }
    .map_err(|error| format!("{}; does this machine have CA certificates?", innermost(&error)))
}

fn install_provider() {
    // Fails when a provider is installed already: that is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(file).map_err(|error| format!("ca_file {} cannot be read: {error}", file.display()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("ca_file {} holds no PEM certificate", file.display())),
        Err(error) => Err(format!("ca_file {}: {}", file.display(), innermost(&error))),
    }
}

fn identity(files: &Identity) -> Result<reqwest::Identity, String> {
    let read = |key: &str, file: &Path| {
        std::fs::read(file).map_err(|error| format!("{key} {} cannot be read: {error}", file.display()))
    };
    let mut pem = read("client_cert_file", &files.certificate)?;
    pem.push(b'\n');
    pem.extend(read("client_key_file", &files.key)?);
    reqwest::Identity::from_pem(&pem).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!(
            "client_cert_file {certificate} and client_key_file {key} are no certificate and key: {}",
            innermost(&error)
        )
    })
}

/// The error at the bottom, which says what really happened.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
