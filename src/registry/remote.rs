//! One repository of a registry.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::auth::Scope;
use super::transport::{Caller, Transport};
use crate::content::Location;

/// What a [`Remote`] will be used for: what its tokens ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Pull,
    /// Reading and writing.
    Push,
}

/// A repository of a registry, over HTTP. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Remote {
    pub(super) transport: Arc<Transport>,
    pub(super) caller: Caller,
}

impl Remote {
    pub(super) fn new(transport: Arc<Transport>, location: Location, access: Access) -> Self {
        let scope = Scope::new(location.repository.clone(), access == Access::Push);
        Self { transport, caller: Caller { location, scope, requests: Arc::default() } }
    }

    /// The same repository, its requests counted in `requests`. Token requests and redirects are not.
    pub fn counted(&self, requests: &Arc<AtomicU64>) -> Self {
        let caller = Caller { requests: Arc::clone(requests), ..self.caller.clone() };
        Self { transport: Arc::clone(&self.transport), caller }
    }
}
