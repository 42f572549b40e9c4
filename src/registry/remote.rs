//! One repository of a registry.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::sync::CancellationToken;

use super::auth::{Right, Scope};
use super::call::Caller;
use super::limits::Lane;
use super::limits::quota::Seat;
use super::transport::Transport;
use crate::content::{Fence, Location};

/// What a [`Remote`] will be used for: what its tokens ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Reading only.
    Pull,
    /// Reading and writing. The right to delete is asked for with what is deleted.
    Push,
}

/// A repository of a registry, over HTTP. Cheap to clone; clones share connections and tokens.
#[derive(Clone)]
pub struct Remote {
    pub(super) transport: Arc<Transport>,
    pub(super) location: Location,
    pub(super) caller: Caller,
}

impl Remote {
    pub(super) fn new(transport: Arc<Transport>, location: Location, access: Access) -> Self {
        let right = match access {
            Access::Pull => Right::Pull,
            Access::Push => Right::Push,
        };
        let scope = Scope::new(location.repository.clone(), right);
        let caller = Caller::new(scope, Arc::default(), CancellationToken::new());
        Self { transport, location, caller }
    }

    /// The same repository for a run that shares the registry's quota of pulls with others.
    pub fn seated(&self, seat: &Arc<Seat>) -> Self {
        let caller = Caller { seat: Some(Arc::clone(seat)), ..self.caller.clone() };
        Self { caller, ..self.clone() }
    }

    /// The same repository for work that another process may take over.
    pub fn fenced(&self, fence: &Arc<dyn Fence>) -> Self {
        let caller = Caller { fence: Some(Arc::clone(fence)), ..self.caller.clone() };
        Self { caller, ..self.clone() }
    }

    pub(super) fn with_lane(&self, lane: Lane) -> Self {
        let caller = Caller { lane: Some(lane), ..self.caller.clone() };
        Self { caller, ..self.clone() }
    }

    /// The same repository for a piece of work: its requests are counted in `requests` (those for tokens and after
    /// redirects are not), and `cancel` ends its waiting.
    pub fn on_behalf_of(&self, requests: &Arc<AtomicU64>, cancel: &CancellationToken) -> Self {
        let caller = Caller { requests: Arc::clone(requests), cancel: cancel.clone(), ..self.caller.clone() };
        Self { caller, ..self.clone() }
    }
}
