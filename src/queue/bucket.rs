//! A key-value bucket, changed by who knows what stands there.
//!
//! Written for `nats-server` 2.9: a stream with one message a subject, read at its leader. What is deleted leaves a mark
//! until the bucket's age takes it away.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::consumer::push::OrderedConfig;
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::error::{Error, Reason};
use super::link::Link;
use super::stored::Which;

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

impl Bucket {
    pub(super) fn new(link: &Arc<Link>, what: &str) -> Self {
        Self { link: Arc::clone(link), name: link.names.stream(what).into() }
    }

    /// What stands under a key.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let last = self.last(key).await?;
        Ok(last.filter(|(_, is_deleted)| !is_deleted).map(|(entry, _)| entry))
    }

    /// Writes a key that is not there; none if it is.
    ///
    /// # Errors
    /// If NATS does not say that it has done so; it may have.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Option<u64>, Error> {
        if let Some(revision) = self.update(key, value.clone(), 0).await? {
            return Ok(Some(revision));
        }
        match self.last(key).await? {
            Some((mark, true)) => self.update(key, value, mark.revision).await,
            Some((_, false)) => Ok(None),
            // It grew too old this moment.
            None => self.update(key, value, 0).await,
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

    /// Deletes a key that nobody has written since `revision`; false if somebody has.
    ///
    /// # Errors
    /// If NATS does not say that it has done so; it may have.
    pub async fn delete(&self, key: &str, revision: u64) -> Result<bool, Error> {
        let mut headers = expecting(revision);
        headers.insert(OPERATION, "DEL");
        Ok(self.write(key, Bytes::new(), headers).await?.is_some())
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
        let prefix = self.subject("");
        let stream = self.link.context.get_stream_no_info(self.stream()).await.map_err(|error| error.to_string())?;
        let consumer = stream.create_consumer(OrderedConfig {
            deliver_subject: self.link.client.new_inbox(),
            filter_subject: format!("{prefix}>"),
            replay_policy: ReplayPolicy::Instant,
            deliver_policy: DeliverPolicy::LastPerSubject,
            ..OrderedConfig::default()
        });
        let consumer = consumer.await.map_err(|error| error.to_string())?;
        let mut messages = consumer.messages().await.map_err(|error| error.to_string())?;
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| error.to_string())?;
            let revision = message.info().map_err(|error| error.to_string())?.stream_sequence;
            let Some(key) = message.subject.strip_prefix(&*prefix).map(str::to_owned) else { continue };
            let value = (!is_mark(message.headers.as_ref())).then(|| message.payload.clone());
            if changes.send(Change { key, value, revision }).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// What was written last, and whether that is the mark of something deleted.
    async fn last(&self, key: &str) -> Result<Option<(Entry, bool)>, Error> {
        let subject = self.subject(key);
        let stored = self.link.stored(&self.stream(), Which::Last(&subject)).await;
        let stored = stored.map_err(|reason| self.link.error(self.saying("reading", key), reason))?;
        Ok(stored.map(|stored| {
            let is_deleted = stored.header(OPERATION).is_some_and(is_deletion);
            (Entry { value: stored.payload, revision: stored.sequence }, is_deleted)
        }))
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
