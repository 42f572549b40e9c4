//! The HTTP clients of one registry: TLS, proxies, HTTP's versions. None of them follows a redirect by itself.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use url::Url;

use super::addresses::RealmAddresses;
use super::location::same_origin;
use super::proxy;
use super::settings::{Identity, Settings, Tls as Mode};
use crate::http_client::{self, Client, Resolve, Setup, Tls, Trusted, Versions};

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
    versions: Versions,
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
        clients.client_for(base, Versions::OneOrTwo, Purpose::Content)?;
        Ok(clients)
    }

    /// The client for a URL.
    ///
    /// # Errors
    /// As [`Clients::new`].
    pub(super) fn client_for(&self, url: &Url, versions: Versions, purpose: Purpose) -> Result<Client, String> {
        let standing = if same_origin(url, &self.base) { self.own } else { Standing::of(url, &self.base) };
        let kind = Kind { purpose, versions, standing };
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
        let is_own = kind.standing.nearness == Nearness::Origin;
        let files = self.settings.identity.as_ref().filter(|_| is_own && !kind.standing.is_plain);
        let identity = files.map(identity).transpose()?;
        let setup = Setup {
            versions: kind.versions,
            is_proxied: kind.standing.is_proxied,
            tls: Tls { trusted: self.trusted(kind.standing)?, identity },
            connect_timeout: Some(self.settings.connect_timeout),
            // Some close each connection behind their answer without having said so: an upload that goes out on one
            // breaks, and is tried again on the next such one, on and on. The proxy is near, so that connecting costs
            // little.
            is_single: kind.standing.is_forwarded,
            // A proxy resolves names itself; and its own name is none of the realm's.
            resolver: (kind.purpose == Purpose::Tokens && !kind.standing.is_proxied)
                .then(|| Arc::clone(&self.addresses) as Arc<dyn Resolve>),
        };
        built(setup)
    }

    fn trusted(&self, standing: Standing) -> Result<Trusted, String> {
        let is_forgiven = self.settings.tls == Mode::Insecure && standing.nearness != Nearness::Stranger;
        match standing {
            Standing { is_plain: true, .. } => Ok(Trusted::Only(Vec::new())),
            _ if is_forgiven => Ok(Trusted::Anybody),
            _ => beside_the_system(&self.settings.ca_files),
        }
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
    let is_plain = url.scheme() == "http" && !is_proxied;
    let trusted = if is_plain { Trusted::Only(Vec::new()) } else { beside_the_system(ca_file)? };
    built(Setup { is_proxied, tls: Tls { trusted, identity: None }, ..Setup::default() })
}

/// What is in these files, beside the system's roots.
fn beside_the_system<P: AsRef<Path>>(ca_files: impl IntoIterator<Item = P>) -> Result<Trusted, String> {
    let mut trusted = Vec::new();
    for file in ca_files {
        trusted.extend(certificates(file.as_ref())?);
    }
    Ok(Trusted::System(trusted))
}

fn built(setup: Setup) -> Result<Client, String> {
    let has_roots = !matches!(&setup.tls.trusted, Trusted::System(beside) if beside.is_empty());
    Client::new(setup).map_err(|error| match has_roots {
        true => error.to_string(),
        false => format!("{error}; does this machine have CA certificates?"),
    })
}

/// Whether a file holds CA certificates that can be trusted beside the system's.
///
/// # Errors
/// A text that says what is wrong, with the file's name.
pub fn check_ca_file(file: &Path) -> Result<(), String> {
    check(Tls { trusted: Trusted::Only(certificates(file)?), identity: None })
        .map_err(|error| format!("ca_file {}: {error}", file.display()))
}

/// Whether two files are a client certificate and its key.
///
/// # Errors
/// A text that says what is wrong, with the files' names.
pub fn check_identity(files: &Identity) -> Result<(), String> {
    check(Tls { trusted: Trusted::Only(Vec::new()), identity: Some(identity(files)?) }).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("client_cert_file {certificate} with client_key_file {key}: {error}")
    })
}

fn check(tls: Tls) -> Result<(), rustls::Error> {
    Client::new(Setup { tls, ..Setup::default() }).map(drop)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file).map_err(|error| format!("ca_file {} cannot be read: {error}", file.display()))?;
    match http_client::certificates(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("ca_file {} holds no PEM certificate", file.display())),
        Err(error) => Err(format!("ca_file {}: {error}", file.display())),
    }
}

fn identity(files: &Identity) -> Result<http_client::Identity, String> {
    let read = |key: &str, file: &Path| {
        std::fs::read(file).map_err(|error| format!("{key} {} cannot be read: {error}", file.display()))
    };
    let (certificate, key) = (read("client_cert_file", &files.certificate), read("client_key_file", &files.key));
    let pem = match (certificate, key) {
        (Ok(certificate), Ok(key)) => [&*certificate, b"\n", &*key].concat(),
        (Err(one), Err(other)) => return Err(format!("{one}; {other}")),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
    };
    http_client::Identity::from_pem(&pem).map_err(|error| {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        format!("client_cert_file {certificate} and client_key_file {key} are no certificate and key: {error}")
    })
}
