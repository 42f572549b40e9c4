//! A pass over the rules that the cluster's replicas do.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::events::{RuleReport, SyncReport};
use crate::queue::{Cluster, Error, Order, RunState, Runs};
use crate::transfer::Mode;

/// How long it may take until somebody works before it is told that nobody does.
const PATIENCE: Duration = Duration::from_secs(10);

impl App {
    /// Has the cluster run the rules that `chosen` takes, and reports them in the configuration's order. Runs of theirs that
    /// are under way end first. None if `cancel` came first: then they go on without anybody waiting.
    ///
    /// # Errors
    /// If NATS does not take the orders.
    pub async fn order(
        &self,
        cluster: &Cluster,
        chosen: impl Fn(&str) -> bool,
        mode: Mode,
        cancel: &CancellationToken,
    ) -> Result<Option<SyncReport>, Error> {
        let clock = Instant::now();
        let at = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
        let chosen = self.rules.iter().map(|scheduled| &*scheduled.rule.name).filter(|rule| chosen(rule));
        let orders: Vec<Order> = chosen.map(|rule| Order { rule: rule.to_owned(), at, mode: Some(mode) }).collect();
        let ordered = try_join_all(orders.iter().map(|order| ordered(cluster, order))).await?;
        let waiting = join_all(orders.iter().zip(ordered).map(|(order, ordered)| ended(cluster, order, ordered)));
        let reports = tokio::select! {
            reports = cancel.run_until_cancelled(waiting) => reports,
            never = tell_of_nobody(cluster) => match never {},
        };
        let Some(reports) = reports else { return Ok(None) };
        for report in &reports {
            self.observer.run_started(&report.name);
            report.images.iter().for_each(|image| self.observer.image(&report.name, image));
            self.observer.run_ended(report);
        }
        Ok(Some(SyncReport::new(reports, clock.elapsed())))
    }
}

/// An order that NATS has taken.
struct Ordered {
    /// Its place in the queue.
    sequence: u64,
    /// What is told of the rule's runs since.
    runs: Runs,
}

async fn ordered(cluster: &Cluster, order: &Order) -> Result<Ordered, Error> {
    let runs = cluster.runs_to_come(&order.rule).await?;
    Ok(Ordered { sequence: cluster.order(order).await?, runs })
}

/// The report of the run that an order became, or of a later one of the same kind. Where NATS has lost the order it is
/// given again.
async fn ended(cluster: &Cluster, order: &Order, mut ordered: Ordered) -> RuleReport {
    let mut losses = cluster.losses();
    loop {
        let news = tokio::select! {
            news = ordered.runs.next() => news,
            Ok(()) = losses.changed() => {
                ordered = ordered_again(cluster, order).await;
                continue;
            }
        };
        let Some(news) = news else { return std::future::pending().await };
        let is_ours = news.sequence >= ordered.sequence && news.order.mode == order.mode;
        if let (true, RunState::Ended { report, .. }) = (is_ours, news.state) {
            return RuleReport { images: images(cluster, &news.order).await, ..*report };
        }
    }
}

async fn ordered_again(cluster: &Cluster, order: &Order) -> Ordered {
    loop {
        match ordered(cluster, order).await {
            Ok(ordered) => return ordered,
            Err(error) => cluster.trouble("ordering a run again", &error),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn images(cluster: &Cluster, order: &Order) -> Vec<crate::events::ImageReport> {
    loop {
        match cluster.images(order).await {
            Ok(images) => return images,
            Err(error) => cluster.trouble("reading what became of images", &error),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn tell_of_nobody(cluster: &Cluster) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(PATIENCE).await;
        if cluster.replicas().await.is_ok_and(|count| count == 0) {
            tracing::warn!("no replica of the cluster is at work: start one with `regferry serve` or `regferry work`");
            return std::future::pending().await;
        }
    }
}
