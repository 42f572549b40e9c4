//! What a `docker-registry` is told.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::super::{TokenServer, tls};
use super::DistributionServer;

/// Options for a [`DistributionServer`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    options: Options,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    delete: bool,
    foreign_layers: bool,
    pub(super) tls: bool,
    pub(super) auth: Auth,
    listener: Option<Listener>,
}

/// Who is told of what happens.
#[derive(Clone, Debug)]
struct Listener {
    url: String,
    authorization: String,
}

/// Whom it lets in.
#[derive(Clone, Debug, Default)]
pub(super) enum Auth {
    /// Everybody.
    #[default]
    Open,
    /// Whom the lines of a file name.
    Htpasswd(String),
    /// Who has a token of this issuer.
    Tokens { realm: String, issuer: String, certificate: String },
}

const HTPASSWD: &str = "htpasswd";
const ISSUER_CERTIFICATE: &str = "issuer.pem";

impl Default for Options {
    fn default() -> Self {
        Self { delete: true, foreign_layers: true, tls: false, auth: Auth::Open, listener: None }
    }
}

impl Builder {
    /// Refuses to delete, as distribution does unless told otherwise.
    #[must_use]
    pub fn without_delete(mut self) -> Self {
        self.options.delete = false;
        self
    }

    /// Refuses manifests whose layers have `urls`, as distribution does unless told otherwise.
    #[must_use]
    pub fn without_foreign_layers(mut self) -> Self {
        self.options.foreign_layers = false;
        self
    }

    /// Speaks HTTPS, with a certificate of an authority of its own: see
    /// [`DistributionServer::ca_file`].
    #[must_use]
    pub fn with_tls(mut self) -> Self {
        self.options.tls = true;
        self
    }

    /// Wants a user and a password, by the lines of an htpasswd file; distribution takes bcrypt
    /// alone.
    #[must_use]
    pub fn with_htpasswd(mut self, lines: &str) -> Self {
        self.options.auth = Auth::Htpasswd(lines.to_owned());
        self
    }

    /// Wants tokens of this server, and sends those who have none there.
    #[must_use]
    pub fn with_tokens_of(mut self, server: &TokenServer) -> Self {
        self.options.auth = Auth::Tokens {
            realm: server.realm().to_owned(),
            issuer: server.issuer().to_owned(),
            certificate: server.certificate().to_owned(),
        };
        self
    }

    /// Tells this URL of what is pushed, pulled and deleted, with this header `Authorization`.
    #[must_use]
    pub fn with_notifications(mut self, url: &str, authorization: &str) -> Self {
        let (url, authorization) = (url.to_owned(), authorization.to_owned());
        self.options.listener = Some(Listener { url, authorization });
        self
    }

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start(self) -> DistributionServer {
        DistributionServer::start_with(self.options)
    }
}

impl Auth {
    /// The files that it needs in the registry's home.
    pub(super) fn files(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Open => Vec::new(),
            Self::Htpasswd(lines) => vec![(HTPASSWD, lines)],
            Self::Tokens { certificate, .. } => vec![(ISSUER_CERTIFICATE, certificate)],
        }
    }

    fn render(&self, host: &str, home: &Path) -> String {
        match self {
            Self::Open => String::new(),
            Self::Htpasswd(_) => {
                format!("auth:\n  htpasswd:\n    realm: testkit\n    path: {}\n", home.join(HTPASSWD).display())
            }
            Self::Tokens { realm, issuer, .. } => format!(
                "auth:
  token:
    realm: {realm}
    service: {host}
    issuer: {issuer}
    rootcertbundle: {}
",
                home.join(ISSUER_CERTIFICATE).display()
            ),
        }
    }
}

impl Listener {
    fn render(&self) -> String {
        let Self { url, authorization } = self;
        format!(
            "notifications:
  endpoints:
    - name: testkit
      url: {url}
      headers:
        Authorization: ['{authorization}']
      timeout: 5s
      threshold: 3
      backoff: 1s
"
        )
    }
}

impl Options {
    /// The configuration file. There is no `http.secret`, so that a restart ends all upload
    /// sessions, as it does for those who run one registry and never thought about it.
    pub(super) fn render(&self, host: &str, home: &Path, tls: Option<&tls::Files>) -> String {
        let mut text = format!(
            "version: 0.1
log:
  level: info
  accesslog:
    disabled: true
storage:
  filesystem:
    rootdirectory: {storage}
  delete:
    enabled: {delete}
validation:
  manifests:
    urls:
      allow:
        - '{urls}'
http:
  addr: {host}
",
            storage = storage(home).display(),
            delete = self.delete,
            urls = if self.foreign_layers { ".*" } else { "^$" },
        );
        if let Some(files) = tls {
            let (certificate, key) = (files.certificate.display(), files.key.display());
            let _ = write!(text, "  tls:\n    certificate: {certificate}\n    key: {key}\n");
        }
        let notifications = self.listener.as_ref().map(Listener::render).unwrap_or_default();
        text + &self.auth.render(host, home) + &notifications
    }
}

/// Where the storage lies in a registry's home.
pub(super) fn storage(home: &Path) -> PathBuf {
    home.join("storage")
}
