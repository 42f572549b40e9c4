//! Registries over HTTP, by the OCI distribution spec 1.1 and by what registries really do.
//!
//! [`Registries`] hands out [`Remote`]s: one repository each, readable ([`Pull`](crate::content::Pull)) and writable
//! ([`Push`](crate::content::Push)). Every request of theirs goes through `transport`, the one place that decides
//! what is authorised, counted and tried again.

mod addresses;
mod answer;
mod auth;
mod blob;
mod call;
mod catalog;
mod certs_d;
mod chunking;
mod client;
mod credentials;
mod deletion;
mod limits;
mod location;
mod pages;
mod proxy;
mod pull;
mod push;
mod reach;
mod referrers;
mod referrers_api;
mod remote;
mod settings;
mod tags;
mod transport;
mod upload;
mod warnings;
mod wire;

/// What holds whatever comes, as tests and fuzzing hold it against any bytes.
#[cfg(any(test, fuzzing))]
pub mod properties {
    pub use super::answer::properties::{error_document, retry_after};
    pub use super::auth::properties::challenge;
    pub use super::blob::properties::content_range;
    pub use super::credentials::properties::docker_config;
    pub use super::location::properties::{link, upload_location};
}

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

pub use certs_d::CertificateFolders;
pub use client::{check_ca_file, check_identity};
pub use credentials::{Credentials, DockerConfigFiles, Password};
pub use limits::quota::{Seat, Waited};
pub use limits::{Limits, Rate};
pub use reach::Reached;
pub use remote::{Access, Remote};
pub use settings::{Identity, Settings, Tls};

use crate::content::{Cause, Error, Location};
use crate::events::Observer;
use crate::oci::{Host, Repository};
use auth::Scope;
use call::Caller;
use transport::Transport;

/// All registries that this process talks to: one connection pool, one token store and one set of settings each,
/// made when first asked for.
pub struct Registries {
    settings: HashMap<Host, Settings>,
    docker_config: DockerConfigFiles,
    certificates: CertificateFolders,
    observer: Arc<dyn Observer>,
    open: Mutex<HashMap<Host, Arc<Transport>>>,
}

impl Registries {
    /// Registries with these settings; others have [`Settings::for_host`].
    pub fn new(
        settings: HashMap<Host, Settings>,
        docker_config: DockerConfigFiles,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self { settings, docker_config, certificates: CertificateFolders::default(), observer, open: Mutex::default() }
    }

    /// The same, with the certificates that these folders have for a registry.
    #[must_use]
    pub fn with_certificates(self, certificates: CertificateFolders) -> Self {
        Self { certificates, ..self }
    }

    /// Takes part in the sharing of a registry's quota of pulls, where it has one: who has waited longest for a success
    /// comes first when it is scarce.
    ///
    /// # Errors
    /// As [`Registries::remote`].
    pub fn seat(&self, host: &Host, last_success: Option<Instant>) -> Result<Seat, Error> {
        Ok(self.transport(host)?.quota().join(last_success))
    }

    /// One repository, for reading or for writing too. Nothing is sent yet.
    ///
    /// # Errors
    /// If the registry's settings cannot work: a CA file that cannot be read, say.
    pub fn remote(&self, location: &Location, access: Access) -> Result<Remote, Error> {
        Ok(Remote::new(self.transport(&location.host)?, location.clone(), access))
    }

    /// The repositories that a registry lists for us, by its catalog. The requests are counted in `requests`, and
    /// `cancel` ends the waiting.
    ///
    /// # Errors
    /// As [`Registries::remote`]; [`Cause::NoCatalog`] where the registry has none, or none for us.
    pub async fn catalog(
        &self,
        host: &Host,
        requests: &Arc<AtomicU64>,
        cancel: &CancellationToken,
    ) -> Result<Vec<Repository>, Error> {
        let caller = Caller::new(Scope::catalog(), Arc::clone(requests), cancel.clone());
        catalog::list(&*self.transport(host)?, &caller).await
    }

    /// Asks a registry for nothing but whether it is there and knows us, with one GET of `/v2/`.
    ///
    /// # Errors
    /// If it does not answer, or refuses our login. Where there is none, a registry that wants one is reached all the
    /// same: what anyone may read, its repositories tell.
    pub async fn reach(&self, host: &Host) -> Result<Reached, Error> {
        reach::reach(&*self.transport(host)?).await
    }

    fn transport(&self, host: &Host) -> Result<Arc<Transport>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = open.get(host) {
            return Ok(Arc::clone(transport));
        }
        let settings = self.settings.get(host).cloned().unwrap_or_else(|| Settings::for_host(host));
        let settings = self
            .certificates
            .add_to(settings, host)
            .map_err(|reason| Error::new(format!("looking for certificates of {host}"), Cause::Credentials(reason)))?;
        let transport = Transport::new(host, &settings, self.docker_config.clone(), Arc::clone(&self.observer))?;
        Ok(Arc::clone(open.entry(host.clone()).or_insert(Arc::new(transport))))
    }
}
