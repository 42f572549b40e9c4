//! What a `docker-registry` is told.

use std::path::Path;

use super::{DistributionServer, tls};

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
}

impl Default for Options {
    fn default() -> Self {
        Self { delete: true, foreign_layers: true, tls: false }
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

    /// Starts the process and waits until it answers.
    ///
    /// # Panics
    /// If the program is not installed, or does not start.
    #[must_use]
    pub fn start(self) -> DistributionServer {
        DistributionServer::start_with(self.options)
    }
}

impl Options {
    /// The configuration file. There is no `http.secret`, so that a restart ends all upload
    /// sessions, as it does for those who run one registry and never thought about it.
    pub(super) fn render(&self, host: &str, storage: &Path, tls: Option<&tls::Files>) -> String {
        let tls = tls.map_or_else(String::new, |files| {
            format!("  tls:\n    certificate: {}\n    key: {}\n", files.certificate.display(), files.key.display())
        });
        let urls = if self.foreign_layers { ".*" } else { "^$" };
        format!(
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
http:
  addr: {host}
{tls}validation:
  manifests:
    urls:
      allow:
        - '{urls}'
",
            storage = storage.display(),
            delete = self.delete,
        )
    }
}
