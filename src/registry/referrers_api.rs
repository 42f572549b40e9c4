//! Whether a registry lists what refers to a document.

use std::sync::OnceLock;

use tokio::sync::{Mutex, MutexGuard};

/// Whether a registry has the list, once it has told.
#[derive(Default)]
pub(super) struct ReferrersApi {
    pub(super) is_there: OnceLock<bool>,
    asking: Mutex<()>,
}

impl ReferrersApi {
    /// Waits while another finds out. With the guard the caller is the one who does.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        if self.is_there.get().is_some() {
            return None;
        }
        match self.asking.try_lock() {
            Ok(first) => Some(first),
            Err(_) => {
                drop(self.asking.lock().await);
                None
            }
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        self.is_there.get() == Some(&false)
    }

    /// What was learnt first holds: a registry that has listed once has the list.
    pub(super) fn learn(&self, is_there: bool) {
        self.is_there.get_or_init(|| is_there);
    }
}
