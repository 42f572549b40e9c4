//! What is found out once, however many want to know it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::content::Error;

/// Answers by what was asked. Of several who want one at the same time one asks, and the others wait.
pub(super) struct Once<K, V>(Mutex<Answers<K, V>>);

type Answers<K, V> = HashMap<K, Arc<OnceCell<V>>>;

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Once<K, V> {
    /// What is known, or what asking brings.
    ///
    /// # Errors
    /// If asking fails: then the next one asks again.
    pub(super) async fn get(&self, key: &K, ask: impl Future<Output = Result<V, Error>>) -> Result<V, Error> {
        self.cell(key).get_or_try_init(|| ask).await.cloned()
    }

    /// What is known, without asking.
    pub(super) fn find(&self, key: &K) -> Option<V> {
        self.cells().get(key)?.get().cloned()
    }

    /// Keeps an answer, if there is none yet.
    pub(super) fn keep(&self, key: &K, value: V) {
        // One that is there already says the same.
        let _ = self.cell(key).set(value);
    }

    /// All answers that there are.
    pub(super) fn known(&self) -> Vec<V> {
        self.cells().values().filter_map(|cell| cell.get().cloned()).collect()
    }

    pub(super) fn forget(&self, key: &K) {
        self.cells().remove(key);
    }

    pub(super) fn clear(&self) {
        self.cells().clear();
    }

    fn cell(&self, key: &K) -> Arc<OnceCell<V>> {
        Arc::clone(self.cells().entry(key.clone()).or_default())
    }

    fn cells(&self) -> MutexGuard<'_, Answers<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
