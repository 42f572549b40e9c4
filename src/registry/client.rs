//! The HTTP clients of one registry: TLS, proxies, HTTP's versions. None of them follows a redirect by itself.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::{Certificate, Client, ClientBuilder, redirect};
use url::Url;

use super::addresses::RealmAddresses;
use super::location::same_origin;
use super::proxy;
use super::settings::{Identity, Settings, Tls};

/// Which versions of HTTP a client speaks; HTTP/2 only where TLS offers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http {
    One,
    OneOrTwo,
}

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests to the registry, and to where it sends us.
    Content,
    /// Logins, which do not go to every address.
    Tokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    purpose: Purpose,
    http: Http,
    standing: Standing,
}

/// What of a URL decides how it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    nearness: Nearness,
    is_proxied: bool,
    /// Through a proxy that reads each request and answers it, since there is no TLS to tunnel.
    is_forwarded: bool,
    /// Without TLS: the system's CA roots are many files, and are not read for it.
    is_plain: bool,
}

/// How near a URL is to its registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nearness {
    /// Its own origin, which alone is shown our certificate.
    Origin,
    /// Its own host, at another port: what its certificate is forgiven holds here too.
    Host,
    /// Anything else.
    Stranger,
}

/// The clients of one registry, each built when it is first needed.
pub(super) struct Clients {
    base: Url,
    /// The base's own, worked out once: nearly all requests go there.
    own: Standing,
    settings: Settings,
    addresses: Arc<RealmAddresses>,
    /// A few: looked through, not hashed.
    built: Mutex<Vec<(Kind, Client)>>,
}

impl Clients {
    /// # Errors
    /// If a client of these settings cannot be had: the CA file or the client certificate cannot be used, or the system
    /// has no CA roots and HTTPS is wanted.
    pub(super) fn new(base: &Url, settings: &Settings) -> Result<Self, String> {
        let addresses = Arc::new(RealmAddresses::new(base, &settings.trusted_realms));
        let own = Standing::of(base, base);
        let clients = Self { base: base.clone(), own, settings: settings.clone(), addresses, built: Mutex::default() };
        clients.client_for(base, Http::OneOrTwo, Purpose::Content)?;
        Ok(clients)
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// As [`Clients::new`].
    pub(super) fn client_for(&self, url: &Url, http: Http, purpose: Purpose) -> Result<Client, String> {
        let standing = if same_origin(url, &self.base) { self.own } else { Standing::of(url, &self.base) };
        let kind = Kind { purpose, http, standing };
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = built.iter().find(|(of, _)| *of == kind) {
            return Ok(client.clone());
        }
        let client = self.build(kind)?;
        built.push((kind, client.clone()));
        Ok(client)
    }

    /// Which addresses logins may go to.
    pub(super) fn addresses(&self) -> &RealmAddresses {
        &self.addresses
    }

    fn build(&self, kind: Kind) -> Result<Client, String> {
        install_provider();
        if kind.standing.is_plain {
            return self.basic(kind).tls_certs_only([]).build().map_err(|error| innermost(&error));
        }
        let own_identity = self.settings.identity.as_ref().filter(|_| kind.standing.nearness == Nearness::Origin);
        let identity = own_identity.map(identity).transpose()?;
        let builder = match identity {
            Some(identity) => self.basic(kind).identity(identity),
            None => self.basic(kind),
        };
        trusting(builder, &self.settings.ca_files)
    }

    fn basic(&self, kind: Kind) -> ClientBuilder {
        let is_forgiven = self.settings.tls == Tls::Insecure && kind.standing.nearness != Nearness::Stranger;
        let mut builder =
            plain().connect_timeout(self.settings.connect_timeout).tls_danger_accept_invalid_certs(is_forgiven);
        if kind.http == Http::One {
            builder = builder.http1_only();
        }
        if !kind.standing.is_proxied {
            builder = builder.no_proxy();
        }
        // Some close each connection behind their answer without having said so: an upload that goes out on one breaks, and
        // is tried again on the next such one, on and on. The proxy is near, so that connecting costs little.
        if kind.standing.is_forwarded {
            builder = builder.pool_max_idle_per_host(0);
        }
        // A proxy resolves names itself; and its own name is none of the realm's.
        if kind.purpose == Purpose::Tokens && !kind.standing.is_proxied {
            builder = builder.dns_resolver(Arc::clone(&self.addresses));
        }
        builder
    }
}

impl Standing {
    fn of(url: &Url, base: &Url) -> Self {
        let is_proxied = proxy::before(url).is_some();
        let nearness = if same_origin(url, base) {
            Nearness::Origin
        } else if url.host() == base.host() {
            Nearness::Host
        } else {
            Nearness::Stranger
        };
        let is_http = url.scheme() == "http";
        Self { nearness, is_proxied, is_forwarded: is_http && is_proxied, is_plain: is_http && !is_proxied }
    }
}

/// A client for one post to somebody who is no registry.
///
/// # Errors
/// As [`Clients::new`].
pub(super) fn for_posts(url: &Url, is_proxied: bool, ca_file: Option<&Path>) -> Result<Client, String> {
    install_provider();
    let builder = if is_proxied { plain() } else { plain().no_proxy() };
    if url.scheme() == "http" && !is_proxied {
        return builder.tls_certs_only([]).build().map_err(|error| innermost(&error));
    }
    trusting(builder, ca_file)
}

/// What all clients have in common.
fn plain() -> ClientBuilder {
    let name = concat!("regferry/", env!("CARGO_PKG_VERSION"));
    Client::builder().user_agent(name).redirect(redirect::Policy::none())
}

/// One that trusts what is in these files beside the system's roots.
fn trusting<P: AsRef<Path>>(builder: ClientBuilder, ca_files: impl IntoIterator<Item = P>) -> Result<Client, String> {
    let mut trusted = Vec::new();
    for file in ca_files {
        trusted.extend(certificates(file.as_ref())?);
    }
    if !trusted.is_empty() {
        return builder.tls_certs_merge(trusted).build().map_err(|error| innermost(&error));
    }
    builder.build().map_err(|error| format!("{}; does this machine have CA certificates?", innermost(&error)))
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

/// Says once for the whole program what TLS is made of: to be done before any HTTP client is built.
pub fn install_provider() {
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
    let (certificate, key) = (read("client_cert_file", &files.certificate), read("client_key_file", &files.key));
    let pem = match (certificate, key) {
        (Ok(certificate), Ok(key)) => [&*certificate, b"\n", &*key].concat(),
        (Err(one), Err(other)) => return Err(format!("{one}; {other}")),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
    };
    reqwest::Identity::from_pem(&pem).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!(
            "client_cert_file {certificate} and client_key_file {key} are no certificate and key: {}",
            innermost(&error)
        )
    })
}

/// What the error at the bottom of another says: what really happened.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
