//! What becomes of runs, told to all replicas and to who waits for them.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::cluster::Cluster;
use super::error::{Error, Reason};
use super::inbox::Inbox;
use super::link::Link;
use super::message::{Read, read, written};
use super::names::token;
use super::order::Order;
use super::streams::REPORTS;
use crate::events::{ImageOutcome, ImageReport, RuleReport, SyncReport, Totals};

/// So many images that failed are told of with a run's end; the others are among the results.
const MOST_FAILED: usize = 20;

/// A run began or ended, somewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunNews {
    /// What was ordered.
    pub order: Order,
    /// The order's place in the queue: a run of the same kind with a higher one has seen all that an earlier one would.
    pub sequence: u64,
    /// Which replica runs it.
    pub replica: String,
    /// What became of it.
    pub state: RunState,
}

/// What became of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It began.
    Began,
    /// It ended.
    Ended {
        /// Its report, with some of the images that failed and no others.
        report: Box<RuleReport>,
        /// The sums over all of its images.
        totals: Totals,
    },
}

impl RunState {
    /// Whether it has ended.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }

    /// A run's end; its images are [`Cluster::images`].
    pub(super) fn ended(report: &RuleReport) -> Self {
        let failed = report.images.iter().filter(|image| image.outcome == ImageOutcome::Failed);
        let images = failed.take(MOST_FAILED).cloned().collect();
        let whole = SyncReport::new(vec![report.clone()], report.elapsed);
        Self::Ended { report: Box::new(RuleReport { images, ..report.clone() }), totals: whole.totals }
    }
}

impl Cluster {
    /// Tells of all runs: first how it stands with each rule, and then what comes. After NATS was away it begins again.
    pub fn runs(&self) -> Runs {
        self.news("*", DeliverPolicy::LastPerSubject, Told::default())
    }

    /// Tells of one rule's runs what was not told until `told`, and then what comes. After NATS was away it begins again.
    pub fn runs_of(&self, rule: &str, told: Told) -> Runs {
        self.news(&token(rule), DeliverPolicy::All, told)
    }

    /// What was told until now.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn told(&self) -> Result<Told, Error> {
        let last = self.link.last_told(REPORTS).await;
        last.map(Told).map_err(|reason| self.link.error("looking at what was told of runs".to_owned(), reason))
    }

    fn news(&self, rule: &str, from: DeliverPolicy, told: Told) -> Runs {
        let (sender, news) = mpsc::channel(1024);
        let (link, subject) = (Arc::clone(&self.link), format!("{}.{rule}", self.link.names.subject("report")));
        let telling = tokio::spawn(async move {
            while !sender.is_closed() {
                if let Err(error) = tell(&link, &subject, from, told, &sender).await {
                    tracing::debug!(error, "listening for runs: it is begun again");
                }
                link.pause().await;
            }
        });
        Runs { news, _telling: AbortOnDropHandle::new(telling) }
    }

    /// The images of a run that ended, in the order of their references.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn images(&self, order: &Order) -> Result<Vec<ImageReport>, Error> {
        let failed = |reason| self.link.error(format!("reading the images of {}", order.rule), reason);
        let mut inbox = Inbox::open(&self.link, &order.run()).await.map_err(failed)?;
        let results = inbox.kept().await.map_err(failed)?;
        Ok(each_once(results.into_iter().flat_map(|result| result.brought).map(|brought| brought.image).collect()))
    }
}

/// In the order of their references. What was told first of an image counts, as it does for who owns the run: what is done
/// once more, since its job was handed out again, finds the image in place.
fn each_once(mut images: Vec<ImageReport>) -> Vec<ImageReport> {
    images.sort_by_cached_key(|image| (image.source.to_string(), image.target.to_string()));
    images.dedup_by(|later, first| later.source == first.source && later.target == first.target);
    images
}

/// Up to when reports were told, by NATS' clock, in nanoseconds since 1970. A place in their stream would say nothing any
/// more once the stream was made anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told(i128);

/// What becomes of runs. Listening ends when it is dropped.
#[derive(Debug)]
pub struct Runs {
    news: mpsc::Receiver<RunNews>,
    _telling: AbortOnDropHandle<()>,
}

impl Runs {
    /// What comes next. May be cancelled, and loses none.
    pub async fn next(&mut self) -> Option<RunNews> {
        self.news.recv().await
    }
}

impl Link {
    /// Tells all.
    pub(super) async fn tell(&self, news: &RunNews) -> Result<(), Reason> {
        let subject = format!("{}.{}", self.names.subject("report"), token(&news.order.rule));
        let publish = async |news: &RunNews| {
            let payload = written(news).map_err(|error| Reason::Refused(error.to_string()))?;
            self.publish(subject.clone(), HeaderMap::new(), payload).await.map(drop)
        };
        match (publish(news).await, &news.state) {
            // A message has room for a megabyte.
            (Err(Reason::TooLarge(_)), RunState::Ended { report, totals }) => {
                let state = RunState::Ended { report: Box::new(shortened(report)), totals: *totals };
                publish(&RunNews { state, ..news.clone() }).await
            }
            (told, _) => told,
        }
    }
}

async fn tell(
    link: &Link,
    subject: &str,
    deliver_policy: DeliverPolicy,
    Told(until): Told,
    sender: &mpsc::Sender<RunNews>,
) -> Result<(), String> {
    let mut messages = link.messages(&link.names.stream(REPORTS), subject, deliver_policy).await?;
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| error.to_string())?;
        let published = message.info().map_err(|error| error.to_string())?.published;
        if published.unix_timestamp_nanos() <= until {
            continue;
        }
        if let Read::Body(news) = read(&message.payload)
            && sender.send(news).await.is_err()
        {
            break;
        }
    }
    Ok(())
}

/// What fits into any message.
fn shortened(report: &RuleReport) -> RuleReport {
    const MOST: usize = 100;
    let mut warnings: Vec<String> =
        report.warnings.iter().take(MOST).map(|text| text.chars().take(2000).collect()).collect();
    if report.warnings.len() > MOST || report.pruned.len() > MOST {
        let (more, pruned) = (report.warnings.len().saturating_sub(MOST), report.pruned.len());
        warnings.push(format!("more than a message can hold: {more} more warnings, {pruned} tags pruned"));
    }
    RuleReport {
        selections: Vec::new(),
        images: Vec::new(),
        pruned: report.pruned.iter().take(MOST).cloned().collect(),
        warnings,
        error: report.error.as_ref().map(|error| error.chars().take(10_000).collect()),
        ..report.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_first_of_an_image_counts() {
        let image = |tag: &str, bytes| {
            let name = |host: &str| format!("{host}/app:{tag}").parse().unwrap();
            ImageReport { bytes, ..ImageReport::new(name("source.example"), name("target.example")) }
        };
        let images = each_once(vec![image("b", 7), image("a", 5), image("b", 0), image("a", 0)]);
        assert_eq!(images.iter().map(|image| image.bytes).collect::<Vec<_>>(), [5, 7]);
    }
}
