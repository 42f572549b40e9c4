//! The results of one run, as they come, and those that were missed.

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::Subscriber;
use futures_util::StreamExt as _;

use super::error::Reason;
use super::link::Link;
use super::message::{Read, read};
use super::results::JobResult;
use super::stored::Which;
use super::streams::RESULTS;

/// Hears a run's results when they are published; what comes while the connection is lost is read out of the stream.
pub(super) struct Inbox {
    link: Arc<Link>,
    subject: String,
    heard: Subscriber,
    /// Up to here the stream was read.
    read: u64,
    /// Read, and not yet told.
    left: VecDeque<Vec<JobResult>>,
}

impl Inbox {
    /// The results of a run, `<rule>.<tick>`.
    pub(super) async fn open(link: &Arc<Link>, run: &str) -> Result<Self, Reason> {
        let subject = format!("{}.{run}", link.names.subject("result"));
        let heard = link.client.subscribe(subject.clone()).await.map_err(|error| Reason::Refused(error.to_string()))?;
        Ok(Self { link: Arc::clone(link), subject, heard, read: 0, left: VecDeque::new() })
    }

    /// What comes next. May be cancelled, and loses none.
    pub(super) async fn next(&mut self) -> Vec<JobResult> {
        loop {
            if let Some(left) = self.left.pop_front() {
                return left;
            }
            match self.heard.next().await {
                Some(message) => return results(&message.payload),
                None => std::future::pending().await,
            }
        }
    }

    /// All that the stream has, and was not read before. May be cancelled, and loses none.
    ///
    /// # Errors
    /// If NATS does not say all of it; what it said comes [next](Self::next).
    pub(super) async fn kept(&mut self) -> Result<Vec<JobResult>, Reason> {
        let stream = self.link.names.stream(RESULTS);
        while let Some(stored) = self.link.stored(&stream, Which::Next(&self.subject, self.read + 1)).await? {
            self.read = stored.sequence;
            self.left.push_back(results(&stored.payload));
        }
        Ok(self.left.drain(..).flatten().collect())
    }
}

fn results(payload: &[u8]) -> Vec<JobResult> {
    match read(payload) {
        Read::Body(results) => results,
        Read::Newer | Read::Garbage(_) => Vec::new(),
    }
}
