//! The HTTP client of one registry: TLS, proxies, redirects.

use std::path::Path;

use reqwest::{Certificate, Client, redirect};

use super::settings::{Settings, Tls};
use crate::oci::Host;

/// Builds the client that all requests to `host` go through.
///
/// # Errors
/// If the CA file cannot be read or holds no certificate, or the system has no CA roots and HTTPS is wanted.
pub(super) fn for_registry(host: &Host, settings: &Settings) -> Result<Client, String> {
    build(host, settings, redirects)
}

/// Builds the client that asks a token server on behalf of `host`: redirects are not followed.
///
/// # Errors
/// As for [`for_registry`].
pub(super) fn for_realms(host: &Host, settings: &Settings) -> Result<Client, String> {
    build(host, settings, redirect::Policy::none)
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

fn build(host: &Host, settings: &Settings, redirects: fn() -> redirect::Policy) -> Result<Client, String> {
    install_provider();
    let builder = || {
        let builder = Client::builder()
            .user_agent(concat!("regferry/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .redirect(redirects())
            .tls_danger_accept_invalid_certs(settings.tls == Tls::Insecure);
        if host.is_loopback() { builder.no_proxy() } else { builder }
    };
    if let Some(file) = &settings.ca_file {
        let merged = builder().tls_certs_merge(certificates(file)?).build();
        return merged.map_err(|error| format!("ca_file {}: {}", file.display(), innermost(&error)));
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

/// A few redirects, as registries with storage elsewhere send them, never from HTTPS down to HTTP. The client drops
/// `Authorization` on the way to another origin by itself.
fn redirects() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let downgrade =
            attempt.url().scheme() == "http" && attempt.previous().last().is_some_and(|from| from.scheme() == "https");
        if downgrade {
            attempt.error("a redirect from HTTPS to plain HTTP is not followed")
        } else if attempt.previous().len() > 5 {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
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
