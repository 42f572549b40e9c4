//! Registries over HTTP, by the OCI distribution spec 1.1 and by what registries really do.
//!
//! [`Registries`] hands out [`Remote`]s: one repository each, readable ([`Pull`](crate::content::Pull)) and writable
//! ([`Push`](crate::content::Push)). Every request of theirs goes through `transport`, the one place that decides
//! what is authorised, counted and tried again.

mod answer;
mod auth;
mod blob;
mod call;
mod client;
mod credentials;
mod location;
mod pull;
mod push;
mod remote;
mod settings;
mod tags;
mod transport;
mod upload;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use client::check_ca_file;
pub use credentials::{Credentials, DockerConfigFiles, Password};
pub use remote::{Access, Remote};
pub use settings::{Settings, Tls};

use crate::content::{Error, Location};
use crate::events::Observer;
use crate::oci::Host;
use transport::Transport;

/// All registries that this process talks to: one connection pool, one token store and one set of settings each,
/// made when first asked for.
pub struct Registries {
    settings: HashMap<Host, Settings>,
    docker_config: DockerConfigFiles,
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
        Self { settings, docker_config, observer, open: Mutex::default() }
    }

    /// One repository, for reading or for writing too. Nothing is sent yet.
    ///
    /// # Errors
    /// If the registry's settings cannot work: a CA file that cannot be read, say.
    pub fn remote(&self, location: &Location, access: Access) -> Result<Remote, Error> {
        Ok(Remote::new(self.transport(&location.host)?, location.clone(), access))
    }

    fn transport(&self, host: &Host) -> Result<Arc<Transport>, Error> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(transport) = open.get(host) {
            return Ok(Arc::clone(transport));
        }
        let settings = self.settings.get(host).cloned().unwrap_or_else(|| Settings::for_host(host));
        let transport = Transport::new(host, &settings, self.docker_config.clone(), Arc::clone(&self.observer))?;
        Ok(Arc::clone(open.entry(host.clone()).or_insert(Arc::new(transport))))
    }
}
