//! The results of one run, as they come, and those that were missed.

use std::collections::VecDeque;
use std::sync::Arc;

use async_nats::Subscriber;
use async_nats::jetstream::consumer::DeliverPolicy;
use futures_util::StreamExt as _;

use super::error::Reason;
use super::link::{ANSWER, Link};
use super::message::{Read, read};
use super::results::JobResult;
use super::stored::Which;
use super::streams::RESULTS;

/// So many are asked for one by one; what there is beyond them is sent in one go.
const FEW: usize = 16;

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
        loop {
            for _ in 0..FEW {
                let next = Which::Next(&self.subject, self.read + 1);
                // That there are no more counts if the stream's leader says it.
                let Some(stored) = self.link.stored(&stream, next).await? else {
                    return Ok(self.left.drain(..).flatten().collect());
                };
                self.take(stored.sequence, &stored.payload);
            }
            if let Err(error) = self.read_on().await {
                tracing::debug!(error, "reading many results: it goes on one by one");
            }
        }
    }

    /// Reads on as far as whoever keeps the stream knows it, which need not be the leader.
    async fn read_on(&mut self) -> Result<(), String> {
        let from = DeliverPolicy::ByStartSequence { start_sequence: self.read + 1 };
        let mut messages = self.link.messages(&self.link.names.stream(RESULTS), &self.subject, from).await?;
        while let Ok(Some(message)) = tokio::time::timeout(ANSWER, messages.next()).await {
            let message = message.map_err(|error| error.to_string())?;
            let info = message.info().map_err(|error| error.to_string())?;
            let (sequence, is_last) = (info.stream_sequence, info.pending == 0);
            self.take(sequence, &message.payload);
            if is_last {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, sequence: u64, payload: &[u8]) {
        self.read = sequence;
        self.left.push_back(results(payload));
    }
}

fn results(payload: &[u8]) -> Vec<JobResult> {
    match read(payload) {
        Read::Body(results) => results,
        Read::Newer | Read::Garbage(_) => Vec::new(),
    }
}
