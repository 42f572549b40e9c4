//! A key-value bucket, changed by who knows what stands there.
//!
//! Written for `nats-server` 2.9: a stream with one message a subject, read at its leader. What is deleted leaves a mark
//! until the bucket's age takes it away.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::push::Ordered;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::error::{Error, Reason};
use super::link::Link;
use super::stored::Which;

/// What is read at once is read in moments; else NATS is gone.
const LONGEST_READING: Duration = Duration::from_secs(30);

const OPERATION: &str = "KV-Operation";

/// One of the cluster's buckets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    link: Arc<Link>,
    name: Arc<str>,
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What was written.
    pub value: Bytes,
    /// Which writing it was: the next one may be made to depend on it.
    pub revision: u64,
}

/// A key whose value is another now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its value; none if it was deleted. What is too old is gone without a word.
    pub value: Option<Bytes>,
    /// Which writing it was.
    pub revision: u64,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Entry(Entry),
    /// It was deleted, by the writing with this number.
    Deleted(u64),
    /// It was never there, or that was too long ago.
    Nothing,
}

impl Bucket {
    pub(super) fn new(link: &Arc<Link>, what: &str) -> Self {
        Self { link: Arc::clone(link), name: link.names.stream(what).into() }
    }

    /// What stands under a key.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        match self.standing(key).await? {
            Standing::Entry(entry) => Ok(Some(entry)),
            Standing::Deleted(_) | Standing::Nothing => Ok(None),
        }
    }

    /// Writes a key that is not there; none if it is.
    ///
    /// # Errors
    /// If NATS does not say that it has done so; it may have.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Option<u64>, Error> {
        if let Some(revision) = self.update(key, value.clone(), 0).await? {
            return Ok(Some(revision));
        }
        match self.standing(key).await? {
            Standing::Deleted(revision) => self.update(key, value, revision).await,
            Standing::Entry(_) => Ok(None),
            // It grew too old this moment.
            Standing::Nothing => self.update(key, value, 0).await,
        }
    }

    /// Writes a key that nobody has written since `revision`; none if somebody has, or if it is gone.
    ///
    /// # Errors
    /// If NATS does not say that it has done so; it may have.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<Option<u64>, Error> {
        self.write(key, value, expecting(revision)).await
    }

    /// Writes a key, whatever stands there.
    ///
    /// # Errors
    /// If NATS does not say that it has done so; it may have.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, Error> {
        let written = self.write(key, value, HeaderMap::new()).await?;
        written.ok_or_else(|| self.link.error(self.saying("writing", key), Reason::Conflict))
    }

    /// Deletes a key that nobody has written since `revision`, and says which writing that was; none if somebody has.
    ///
    /// # Errors
    /// If NATS does not say that it has done so; it may have.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<Option<u64>, Error> {
        let mut headers = expecting(revision);
        headers.insert(OPERATION, "DEL");
        self.write(key, Bytes::new(), headers).await
    }

    /// Whether the server takes a key that nothing stands under, and has nothing there when it has said so: one of 2.9 that
    /// was killed together with the others may have lost its way to the last message of a subject. It takes every writing
    /// for the first then, whoever writes, and refuses each that names the one before.
    pub(super) async fn forgets(&self, key: &str) -> Result<bool, Error> {
        let Some(revision) = self.update(key, Bytes::new(), 0).await? else { return Ok(false) };
        if self.standing(key).await? == Standing::Nothing {
            return Ok(true);
        }
        self.delete(key, revision).await?;
        Ok(false)
    }

    /// Gives up all that stands in it. The server counts anew then, and finds what is written.
    pub(super) async fn empty(&self) -> Result<(), Error> {
        let emptied: Result<serde_json::Value, _> = self.link.look(format!("STREAM.PURGE.{}", self.stream())).await;
        emptied.map(drop).map_err(|reason| self.link.error(format!("emptying the bucket {}", self.name), reason))
    }

    /// Something of the bucket was not done and is tried again.
    pub(super) fn trouble(&self, doing: &'static str, error: &Error) {
        self.link.trouble(doing, error.reason());
    }

    /// Tells of all keys as they are now, and then of every change, for as long as the receiver is kept. After NATS was
    /// away it begins again with all keys. Who falls behind by more than some thousands holds it up, and nothing else.
    pub fn watch(&self) -> Watch {
        let (sender, changes) = mpsc::channel(4096);
        let bucket = self.clone();
        let watching = tokio::spawn(async move { bucket.tell(&sender).await });
        Watch { changes, _watching: AbortOnDropHandle::new(watching) }
    }

    async fn tell(&self, changes: &mpsc::Sender<Change>) {
        while !changes.is_closed() {
            if let Err(error) = self.tell_once(changes).await {
                tracing::debug!(error, bucket = &*self.name, "watching a bucket: it is begun again");
            }
            self.link.pause().await;
        }
    }

    async fn tell_once(&self, changes: &mpsc::Sender<Change>) -> Result<(), String> {
        let mut messages = self.messages(DeliverPolicy::LastPerSubject).await?;
        while let Some(message) = messages.next().await {
            let (change, _) = self.change(&message.map_err(|error| error.to_string())?)?;
            if changes.send(change).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// What was changed since one writing and before another, in order: of each key the last change, if that was before.
    /// None if it is more than `most`. Another change may be told of a key that is changed meanwhile.
    ///
    /// # Errors
    /// If NATS does not say all of it.
    pub(super) async fn between(&self, since: u64, until: u64, most: u64) -> Result<Option<Vec<Change>>, Error> {
        let told = tokio::time::timeout(LONGEST_READING, self.try_between(since, until, most)).await;
        let told = told.unwrap_or_else(|_| Err("it takes too long".to_owned()));
        told.map_err(|reason| self.link.error(format!("reading the bucket {}", self.name), Reason::Refused(reason)))
    }

    async fn try_between(&self, since: u64, until: u64, most: u64) -> Result<Option<Vec<Change>>, String> {
        let mut messages = self.messages(DeliverPolicy::ByStartSequence { start_sequence: since + 1 }).await?;
        let mut changes = Vec::new();
        while let Some(message) = messages.next().await {
            let (change, left) = self.change(&message.map_err(|error| error.to_string())?)?;
            if left > most {
                return Ok(None);
            }
            if change.revision >= until {
                return Ok(Some(changes));
            }
            changes.push(change);
        }
        Err("it broke off".to_owned())
    }

    async fn messages(&self, from: DeliverPolicy) -> Result<Ordered, String> {
        self.link.messages(&self.stream(), &self.subject(">"), from).await
    }

    /// What a message tells, and how many are left after it.
    fn change(&self, message: &Message) -> Result<(Change, u64), String> {
        let info = message.info().map_err(|error| error.to_string())?;
        let key = message.subject.strip_prefix(&*self.subject("")).unwrap_or(&message.subject).to_owned();
        let value = (!is_mark(message.headers.as_ref())).then(|| message.payload.clone());
        Ok((Change { key, value, revision: info.stream_sequence }, info.pending))
    }

    /// What stands under a key, or what is left of it.
    pub(super) async fn standing(&self, key: &str) -> Result<Standing, Error> {
        let subject = self.subject(key);
        let stored = self.link.stored(&self.stream(), Which::Last(&subject)).await;
        let stored = stored.map_err(|reason| self.link.error(self.saying("reading", key), reason))?;
        Ok(match stored {
            Some(stored) if stored.header(OPERATION).is_some_and(is_deletion) => Standing::Deleted(stored.sequence),
            Some(stored) => Standing::Entry(Entry { value: stored.payload, revision: stored.sequence }),
            None => Standing::Nothing,
        })
    }

    /// A moment before the next try of something that goes on until it is done.
    pub(super) async fn pause(&self) {
        self.link.pause().await;
    }

    async fn write(&self, key: &str, value: Bytes, headers: HeaderMap) -> Result<Option<u64>, Error> {
        match self.link.publish(self.subject(key), headers, value).await {
            Ok(ack) => Ok(Some(ack.sequence)),
            Err(Reason::Conflict) => Ok(None),
            Err(reason) => Err(self.link.error(self.saying("writing", key), reason)),
        }
    }

    fn stream(&self) -> String {
        format!("KV_{}", self.name)
    }

    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.name)
    }

    fn saying(&self, what: &str, key: &str) -> String {
        format!("{what} {key} in the bucket {}", self.name)
    }
}

/// The changes of a bucket. Watching ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<Change>,
    _watching: AbortOnDropHandle<()>,
}

impl Watch {
    /// The next change. May be cancelled, and loses none.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }
}

fn expecting(revision: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, revision.to_string());
    headers
}

fn is_mark(headers: Option<&HeaderMap>) -> bool {
    headers.and_then(|headers| headers.get(OPERATION)).is_some_and(|operation| is_deletion(operation.as_str()))
}

fn is_deletion(operation: &str) -> bool {
    matches!(operation, "DEL" | "PURGE")
}
