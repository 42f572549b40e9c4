//! Registries over HTTP, by the OCI distribution spec 1.1 and by what registries really do.
//!
//! [`Registries`] hands out [`Remote`]s: one repository each, readable ([`Pull`](crate::content::Pull)) and writable
//! ([`Push`](crate::content::Push)). Every request of theirs goes through `transport`, the one place that decides
//! what is authorised, counted and tried again.

mod addresses;
mod answer;
mod auth;
mod azure;
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
mod post;
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
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

pub use azure::AzureManifest;
pub use certs_d::CertificateFolders;
pub use client::{check_ca_file, check_identity};
pub use credentials::{Credentials, DockerConfigFiles, Password, checked_username, without_newline};
pub use limits::quota::{PullsLeft, Seat, Waited};
pub use limits::{Allotments, Limits, Part, Rate, Shared, WHOLE, Wish};
pub use post::post_json;
pub use reach::Reached;
pub use remote::{Access, Remote};
pub use settings::{Identity, Settings, Tls};

use crate::content::{Cause, Error, Location};
use crate::events::Observer;
use crate::files::Stamps;
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
    allotments: Option<Arc<Allotments>>,
    open: Mutex<HashMap<Host, Open>>,
}

/// A registry that is talked to, and what its transport was made of.
#[derive(Clone)]
struct Open {
    transport: Arc<Transport>,
    settings: Settings,
    files: Stamps,
}

impl Registries {
    /// Registries with these settings; others have [`Settings::for_host`].
    pub fn new(
        settings: HashMap<Host, Settings>,
        docker_config: DockerConfigFiles,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            settings,
            docker_config,
            certificates: CertificateFolders::default(),
            observer,
            allotments: None,
            open: Mutex::default(),
        }
    }

    /// The same where many processes keep the registries' limits together: of what is configured, and of pulls, nothing
    /// goes but by the parts that are told to `allotments`.
    #[must_use]
    pub fn with_allotments(self, allotments: Arc<Allotments>) -> Self {
        Self { allotments: Some(allotments), ..self }
    }

    /// The same, with the certificates that these folders have for a registry.
    #[must_use]
    pub fn with_certificates(self, certificates: CertificateFolders) -> Self {
        Self { certificates, ..self }
    }

    /// The same under other settings. Registries whose settings and files are as they were are gone on with; to the
    /// others new connections are made, and logins are read anew.
    #[must_use]
    pub fn reconfigured(&self, settings: HashMap<Host, Settings>) -> Self {
        let (docker_config, observer) = (self.docker_config.clone(), Arc::clone(&self.observer));
        let reconfigured = Self {
            allotments: self.allotments.clone(),
            ..Self::new(settings, docker_config, observer).with_certificates(self.certificates.clone())
        };
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_current = |host: &Host, open: &Open| {
            let settings = reconfigured.settings(host);
            settings.is_ok_and(|settings| settings == open.settings && open.files.again() == open.files)
        };
        let open = open.into_iter().filter(|(host, open)| is_current(host, open)).collect();
        Self { open: Mutex::new(open), ..reconfigured }
    }

    /// What these registries may be asked at most, and those that something is set for.
    pub fn limits_of<'h>(&self, hosts: impl IntoIterator<Item = &'h Host>) -> HashMap<Host, Limits> {
        let hosts = self.settings.keys().cloned().chain(hosts.into_iter().filter(|host| !host.is_layout()).cloned());
        let limits = |host: &Host| self.settings.get(host).map(|settings| settings.limits.clone()).unwrap_or_default();
        hosts.map(|host| (host.clone(), limits(&host))).collect()
    }

    /// The files that the registries which are talked to were set up with, as they were then: certificates, and those
    /// that logins are in. A file that could be there and was not is among them.
    pub fn stamps(&self) -> Stamps {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().map(|open| open.files.clone()).fold(Stamps::default(), Stamps::and)
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
        if host.is_layout() {
            let reason = "an image layout is no registry: this takes one".to_owned();
            return Err(Error::new(format!("talking to {host}"), Cause::Layout(reason)));
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.get(host) {
            return Ok(Arc::clone(&open.transport));
        }
        let settings = self.settings(host)?;
        // Looked at before they are read: what changes in between is seen later.
        let files = Stamps::of(self.files_of(host, &settings));
        let (docker_config, observer) = (self.docker_config.clone(), Arc::clone(&self.observer));
        let transport = Transport::new(host, &settings, docker_config, observer, self.allotments.as_deref())?;
        let transport = Arc::new(transport);
        open.insert(host.clone(), Open { transport: Arc::clone(&transport), settings, files });
        Ok(transport)
    }

    /// What is configured for a registry, and the certificates that folders have for it.
    fn settings(&self, host: &Host) -> Result<Settings, Error> {
        let settings = self.settings.get(host).cloned().unwrap_or_else(|| Settings::for_host(host));
        self.certificates
            .add_to(settings, host)
            .map_err(|reason| Error::new(format!("looking for certificates of {host}"), Cause::Credentials(reason)))
    }

    fn files_of(&self, host: &Host, settings: &Settings) -> Vec<PathBuf> {
        let mut files = settings.files();
        files.extend(self.certificates.of(host));
        if settings.credentials.is_none() {
            files.extend(self.docker_config.files().iter().cloned());
        }
        files
    }
}
