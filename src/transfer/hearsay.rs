//! Where blobs lie, as other processes say: it saves bytes and requests only. Losing it, or its being wrong, loses nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::memory::{Bounded, Digests};
use crate::content::Location;
use crate::oci::{Digest, Host, Repository};

/// What is said is believed for so long, as what a process learns by itself is.
const BELIEVED: Duration = Duration::from_secs(60 * 60);

/// So much waits to be told; what comes then is not told.
const UNTOLD: usize = 1024;

/// What other processes say of blobs, and what they are told.
#[derive(Default)]
pub struct Hearsay {
    said: Bounded<(Host, Digest), Said>,
    listener: Mutex<Option<mpsc::Sender<BlobPlace>>>,
}

/// A blob, and a repository that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobPlace {
    /// The repository.
    pub location: Location,
    /// The blob.
    pub digest: Digest,
}

#[derive(Clone, PartialEq, Eq)]
struct Said {
    repository: Repository,
    at: Instant,
}

impl Digests for Said {
    fn count(&self) -> usize {
        1
    }
}

impl Hearsay {
    /// Another process says so.
    pub fn hear(&self, BlobPlace { location, digest }: BlobPlace) {
        let said = Said { repository: location.repository, at: Instant::now() };
        self.said.insert((location.host, digest), said);
    }

    /// What this process learns from now on, for the others. Who does not keep up is not told all of it.
    pub fn listen(&self) -> mpsc::Receiver<BlobPlace> {
        let (sender, receiver) = mpsc::channel(UNTOLD);
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// A repository of a registry that is said to have a blob.
    pub fn repository(&self, host: &Host, digest: &Digest) -> Option<Repository> {
        let said = self.said.get(&(host.clone(), digest.clone()))?;
        (said.at.elapsed() < BELIEVED).then_some(said.repository)
    }

    /// This process has learnt it.
    pub(super) fn tell(&self, at: &Location, digest: &Digest) {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = &*listener else { return };
        if self.repository(&at.host, digest).is_none() {
            // What cannot be told is found out by the others.
            let _ = listener.try_send(BlobPlace { location: at.clone(), digest: digest.clone() });
        }
    }

    /// Drops what is said of a repository.
    pub(super) fn forget(&self, at: &Location) {
        self.said.retain(|(host, _), said| *host != at.host || said.repository != at.repository);
    }

    /// Drops what is said of a blob.
    pub(super) fn forget_blob(&self, host: &Host, digest: &Digest) {
        self.said.remove(&(host.clone(), digest.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(location: &str, blob: &[u8]) -> BlobPlace {
        let location = Location::from(&location.parse::<crate::oci::Reference>().unwrap());
        BlobPlace { location, digest: Digest::of(blob) }
    }

    fn repository(hearsay: &Hearsay, of: &BlobPlace) -> Option<String> {
        hearsay.repository(&of.location.host, &of.digest).map(|repository| repository.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_is_believed_for_an_hour_and_until_it_is_found_to_be_wrong() {
        let hearsay = Hearsay::default();
        let (a, b) = (place("r.example/a", b"a"), place("r.example/b", b"b"));
        hearsay.hear(a.clone());
        hearsay.hear(b.clone());
        assert_eq!(repository(&hearsay, &a), Some("a".into()));
        hearsay.forget(&a.location);
        assert_eq!((repository(&hearsay, &a), repository(&hearsay, &b)), (None, Some("b".into())));
        tokio::time::advance(BELIEVED).await;
        assert_eq!(repository(&hearsay, &b), None);
    }

    #[tokio::test]
    async fn who_listens_is_told_what_is_news_and_who_does_not_keep_up_misses_some() {
        let hearsay = Hearsay::default();
        let known = place("r.example/a", b"known");
        hearsay.tell(&known.location, &known.digest);
        let mut told = hearsay.listen();
        hearsay.hear(known.clone());
        hearsay.tell(&known.location, &known.digest);
        for number in 0..UNTOLD + 10 {
            hearsay.tell(&known.location, &Digest::of(&number.to_le_bytes()));
        }
        assert_eq!(told.recv().await.unwrap().digest, Digest::of(&0usize.to_le_bytes()));
        assert_eq!(told.len(), UNTOLD - 1);
    }
}
