//! Leases: who may write. Renewed in the background, and fenced by the revision of their key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::belief::Belief;
use super::bucket::Bucket;
use super::error::Error;
use crate::content::Displaced;

/// Something that is this process's alone while it lives, and others' soon after it died. Dropped, it runs out.
#[derive(Debug)]
pub struct Lease {
    held: Arc<Held>,
    _renewing: AbortOnDropHandle<()>,
}

#[derive(Debug)]
struct Held {
    bucket: Bucket,
    key: String,
    /// Unlike anybody else's: what stands under the key tells whether it is ours.
    value: Bytes,
    revision: Mutex<u64>,
    belief: Belief,
}

/// Why a lease was not renewed.
enum Unrenewed {
    /// It is another's, or nobody's.
    Lost,
    /// NATS does not say.
    Unknown(Error),
}

impl Lease {
    /// Takes what nobody has; none if somebody has it. `holder` is shown to who looks into the bucket.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn take(bucket: &Bucket, key: &str, holder: &str, span: Duration) -> Result<Option<Self>, Error> {
        let value = own_value(holder);
        let sent = Instant::now();
        let revision = match bucket.create(key, value.clone()).await {
            Ok(Some(revision)) => revision,
            // A try whose answer was lost may have taken it.
            Ok(None) => return Ok(None),
            Err(error) => match bucket.get(key).await? {
                Some(entry) if entry.value == value => entry.revision,
                Some(_) => return Ok(None),
                None => return Err(error),
            },
        };
        let belief = Belief::since(sent, span);
        let held = Held { bucket: bucket.clone(), key: key.to_owned(), value, revision: Mutex::new(revision), belief };
        let held = Arc::new(held);
        let renewing = AbortOnDropHandle::new(tokio::spawn(renew_on(Arc::clone(&held), span)));
        Ok(Some(Self { held, _renewing: renewing }))
    }

    /// Cancelled when it is lost.
    pub fn lost(&self) -> &CancellationToken {
        self.held.belief.lost()
    }

    /// Asks the server whether it is still ours, for as long as we may believe so ourselves.
    ///
    /// # Errors
    /// If it is not, or if the server does not say in time.
    pub async fn check(&self) -> Result<(), Displaced> {
        let asking = async {
            loop {
                match self.held.renew().await {
                    Ok(()) => return Ok(()),
                    Err(Unrenewed::Lost) => return Err(self.displaced()),
                    Err(Unrenewed::Unknown(error)) => self.held.bucket.trouble("checking a lease", &error),
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            answer = asking => answer,
            () = self.held.belief.watch() => Err(self.displaced()),
        }
    }

    /// Gives it back: it is free at once. Where NATS is not there it runs out.
    pub async fn release(&self) {
        const LONGEST: Duration = Duration::from_secs(3);
        if self.held.belief.holds() {
            let given = tokio::time::timeout(LONGEST, self.held.give_back()).await;
            if let Ok(Err(error)) = given {
                tracing::debug!(%error, "giving a lease back");
            }
        }
        self.held.belief.lose();
    }

    fn displaced(&self) -> Displaced {
        Displaced::new(format!("the lease {} is not this replica's any more", self.held.key))
    }
}

impl Held {
    /// One at a time: each writing depends on the one before. May be cancelled.
    async fn renew(&self) -> Result<(), Unrenewed> {
        let mut revision = self.revision.lock().await;
        if !self.belief.holds() {
            return Err(Unrenewed::Lost);
        }
        let sent = Instant::now();
        match self.bucket.update(&self.key, self.value.clone(), *revision).await {
            Ok(Some(written)) => *revision = written,
            Ok(None) => *revision = self.revision_of_ours().await?,
            Err(error) => return Err(Unrenewed::Unknown(error)),
        }
        self.belief.renewed(sent);
        if self.belief.holds() { Ok(()) } else { Err(Unrenewed::Lost) }
    }

    /// Whether a writing of ours was done without our hearing of it. It counts as one that was just asked for: it is
    /// what stands there now, and nothing stands there for longer than the span.
    async fn revision_of_ours(&self) -> Result<u64, Unrenewed> {
        match self.bucket.get(&self.key).await {
            Ok(Some(entry)) if entry.value == self.value => {
                let written = self.bucket.update(&self.key, self.value.clone(), entry.revision).await;
                match written.map_err(Unrenewed::Unknown)? {
                    Some(revision) => Ok(revision),
                    None => Err(self.lose()),
                }
            }
            Ok(Some(_)) => Err(self.lose()),
            Ok(None) => {
                self.look_after_the_server().await;
                Err(self.lose())
            }
            Err(error) => Err(Unrenewed::Unknown(error)),
        }
    }

    /// What was written stands there for longer than we believe in it: the server has lost it. One that loses all that it
    /// grants would have every lease lost again and again: it is given a new beginning, which costs the leases of others.
    async fn look_after_the_server(&self) {
        let looking = async {
            if self.bucket.forgets(&self.key).await? {
                tracing::warn!(
                    lease = self.key,
                    "NATS grants leases and forgets them: all are given up, and taken anew"
                );
                self.bucket.empty().await?;
            }
            Ok(())
        };
        if let Err(error) = looking.await {
            self.bucket.trouble("looking after lost leases", &error);
        }
    }

    fn lose(&self) -> Unrenewed {
        self.belief.lose();
        Unrenewed::Lost
    }

    async fn give_back(&self) -> Result<(), Error> {
        // Held until it is lost to us too: no renewal comes in between.
        let revision = self.revision.lock().await;
        if self.bucket.delete(&self.key, *revision).await?.is_none()
            && let Some(entry) = self.bucket.get(&self.key).await?
            && entry.value == self.value
        {
            self.bucket.delete(&self.key, entry.revision).await?;
        }
        self.belief.lose();
        Ok(())
    }
}

/// Renews three times in the span, and more often while that fails.
async fn renew_on(held: Arc<Held>, span: Duration) {
    let renewing = async {
        let mut pause = span / 3;
        loop {
            tokio::time::sleep(pause).await;
            pause = match held.renew().await {
                Ok(()) => span / 3,
                Err(Unrenewed::Lost) => return,
                Err(Unrenewed::Unknown(error)) => {
                    held.bucket.trouble("renewing a lease", &error);
                    span / 12
                }
            };
        }
    };
    tokio::select! {
        () = renewing => {}
        () = held.belief.watch() => {}
    }
}

fn own_value(holder: &str) -> Bytes {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    format!("{holder} {}", TAKEN.fetch_add(1, Ordering::Relaxed)).into()
}

#[cfg(test)]
mod tests;
