//! Uploads under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};

use super::locked;
use super::stored::Stored;
use crate::content::{Sha256, matches};

/// The bytes that came so far, hashed as they came.
pub(super) struct Session {
    repository: String,
    id: String,
    // Grows with every request that adds bytes; only the newest Location is good for the next one.
    serial: u64,
    size: u64,
    hash: Sha256,
    // `None` once the upload outgrew what is worth keeping.
    kept: Option<BytesMut>,
    keep_at_most: u64,
}

impl Session {
    pub(super) fn new(repository: &str, id: String, keep_at_most: u64) -> Self {
        Self {
            repository: repository.to_owned(),
            id,
            serial: 0,
            size: 0,
            hash: Sha256::new(),
            kept: Some(BytesMut::new()),
            keep_at_most,
        }
    }

    pub(super) fn repository(&self) -> &str {
        &self.repository
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// What the client has to send back: opaque to it, and not to be made up.
    pub(super) fn state(&self) -> String {
        format!("{}.{}", self.id, self.serial)
    }

    /// Whether the session with this name could ever have sent this state.
    pub(super) fn issued(id: &str, state: &str) -> bool {
        !id.is_empty() && Self::of_state(state) == id
    }

    /// The name of the session that sent this state, or nothing.
    pub(super) fn of_state(state: &str) -> &str {
        state.rsplit_once('.').map_or("", |(session, _)| session)
    }

    pub(super) fn advance(&mut self) {
        self.serial += 1;
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        if self.size > self.keep_at_most {
            self.kept = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(bytes);
        }
    }

    /// The finished blob, if it has this digest; the session is spent either way.
    pub(super) fn finish(&mut self, digest: &str) -> Option<Stored> {
        let kept = self.kept.take().map(BytesMut::freeze);
        let good = if digest.starts_with("sha256:") {
            std::mem::take(&mut self.hash).finish() == digest
        } else {
            kept.as_ref().is_some_and(|bytes: &Bytes| matches(digest, bytes))
        };
        good.then(|| kept.map_or(Stored::Discarded(self.size), Stored::Held))
    }
}

/// The uploads that are open.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    opened: u64,
    open: HashMap<String, Arc<Mutex<Session>>>,
}

impl Sessions {
    pub(super) fn open(&self, repository: &str, keep_at_most: u64) -> Arc<Mutex<Session>> {
        let mut table = locked(&self.0);
        table.opened += 1;
        let id = format!("upload-{}", table.opened);
        let session = Arc::new(Mutex::new(Session::new(repository, id.clone(), keep_at_most)));
        table.open.insert(id, Arc::clone(&session));
        session
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<Mutex<Session>>> {
        locked(&self.0).open.get(id).cloned()
    }

    pub(super) fn close(&self, id: &str) {
        locked(&self.0).open.remove(id);
    }

    pub(super) fn count(&self) -> usize {
        locked(&self.0).open.len()
    }
}
