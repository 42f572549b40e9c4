//! What became of images, on its way to who owns their run.

use std::collections::HashMap;
use std::sync::Arc;

use async_nats::HeaderMap;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::error::Reason;
use super::link::Link;
use super::message::written;
use crate::transfer::Brought;

/// So many results in one message at most; a server takes a megabyte.
pub(super) const MOST: usize = 64;

/// What became of one job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct JobResult {
    /// [`Task::id`](crate::transfer::Task::id)
    pub(super) id: String,
    /// At each of its targets, in their order; fewer where the run was stopped.
    pub(super) brought: Vec<Brought>,
}

struct Sent {
    subject: String,
    result: JobResult,
    is_kept: oneshot::Sender<Result<(), Reason>>,
}

/// Sends results, those that come together in one message.
#[derive(Clone)]
pub(super) struct Results {
    sender: mpsc::Sender<Sent>,
    _sending: Arc<AbortOnDropHandle<()>>,
}

impl Results {
    pub(super) fn new(link: Arc<Link>) -> Self {
        let (sender, waiting) = mpsc::channel(1024);
        let sending = Arc::new(AbortOnDropHandle::new(tokio::spawn(send_on(link, waiting))));
        Self { sender, _sending: sending }
    }

    /// Done when the stream has it.
    pub(super) async fn send(&self, run: &str, result: JobResult) -> Result<(), Reason> {
        let (is_kept, kept) = oneshot::channel();
        let sent = Sent { subject: run.to_owned(), result, is_kept };
        self.sender.send(sent).await.map_err(|_| Reason::Silent)?;
        kept.await.unwrap_or(Err(Reason::Silent))
    }
}

async fn send_on(link: Arc<Link>, mut waiting: mpsc::Receiver<Sent>) {
    let mut together = Vec::new();
    while waiting.recv_many(&mut together, 1024).await > 0 {
        let mut runs: HashMap<String, Vec<(JobResult, oneshot::Sender<_>)>> = HashMap::new();
        for Sent { subject, result, is_kept } in together.drain(..) {
            runs.entry(subject).or_default().push((result, is_kept));
        }
        join_all(runs.into_iter().map(|(run, sent)| send(&link, run, sent))).await;
    }
}

async fn send(link: &Link, run: String, sent: Vec<(JobResult, oneshot::Sender<Result<(), Reason>>)>) {
    let (results, waiting): (Vec<_>, Vec<_>) = sent.into_iter().unzip();
    let mut waiting = waiting.into_iter();
    for chunk in results.chunks(MOST) {
        match publish(link, &run, chunk).await {
            Err(Reason::TooLarge(_)) => {
                for (result, waiting) in chunk.iter().zip(&mut waiting) {
                    // Who cannot even tell of one image leaves out what is long of it.
                    let kept = match publish(link, &run, std::slice::from_ref(result)).await {
                        Err(Reason::TooLarge(_)) => publish(link, &run, &[shortened(result)]).await,
                        kept => kept,
                    };
                    let _ = waiting.send(kept);
                }
            }
            kept => waiting.by_ref().take(chunk.len()).for_each(|waiting| drop(waiting.send(kept.clone()))),
        }
    }
}

/// Publishes results of a run, as `<rule>.<tick>`.
pub(super) async fn publish(link: &Link, run: &str, results: &[JobResult]) -> Result<(), Reason> {
    let payload = written(&results).map_err(|error| Reason::Refused(error.to_string()))?;
    let subject = format!("{}.{run}", link.names.subject("result"));
    link.publish(subject, HeaderMap::new(), payload).await.map(drop)
}

fn shortened(result: &JobResult) -> JobResult {
    let mut result = result.clone();
    for brought in &mut result.brought {
        let count = brought.image.differences.len();
        brought.image.differences = match count {
            0 => Vec::new(),
            _ => vec![format!("{count} differences, more than a message can hold: see `regferry verify`")],
        };
        if let Some(error) = &mut brought.image.error {
            *error = error.chars().take(2000).collect();
        }
        brought.sighting = crate::transfer::Sighting::Unknown;
    }
    result
}
