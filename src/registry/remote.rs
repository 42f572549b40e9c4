//! One repository of a registry.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::sync::CancellationToken;

use super::auth::Scope;
use super::call::Caller;
use super::transport::Transport;
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
        let caller = Caller { location, scope, requests: Arc::default(), cancel: CancellationToken::new() };
        Self { transport, caller }
    }

    /// The same repository for a piece of work: its requests are counted in `requests` (those for tokens and after
    /// redirects are not), and `cancel` ends its waiting.
    pub fn on_behalf_of(&self, requests: &Arc<AtomicU64>, cancel: &CancellationToken) -> Self {
        let caller = Caller { requests: Arc::clone(requests), cancel: cancel.clone(), ..self.caller.clone() };
        Self { transport: Arc::clone(&self.transport), caller }
    }
}
