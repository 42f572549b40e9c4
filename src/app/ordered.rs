//! A pass over the rules that the cluster's replicas do.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::events::{RuleReport, SyncReport};
use crate::queue::{Cluster, Error, Order, RunNews, RunState, Runs};
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
        let (at, told) = (now(), cluster.told().await?);
        let chosen = self.rules.iter().map(|scheduled| &*scheduled.rule.name).filter(|rule| chosen(rule));
        let orders: Vec<Order> = chosen.map(|rule| Order { rule: rule.to_owned(), at, mode: Some(mode) }).collect();
        let places = try_join_all(orders.iter().map(|order| cluster.order(order))).await?;
        let waiting = join_all(orders.into_iter().zip(places).map(|(order, sequence)| {
            let runs = cluster.runs_of(&order.rule, told);
            ended(cluster, Awaited::new(order, sequence), runs)
        }));
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

/// An order whose run is waited for.
struct Awaited {
    order: Order,
    /// Its place in the queue.
    sequence: u64,
    /// What it was, and what was folded with it into one: orders whose run counts as its own.
    same: Vec<Order>,
}

impl Awaited {
    fn new(order: Order, sequence: u64) -> Self {
        Self { same: vec![order.clone()], order, sequence }
    }

    /// Whether its run has ended with this, or a later one of the same kind, which began since it was ordered. A run of
    /// before, in a queue that NATS has lost since, may have a higher place and end later.
    fn is_ended_by(&mut self, news: &RunNews) -> bool {
        if !news.state.is_end() && news.sequence >= self.sequence && news.order.mode == self.order.mode {
            self.same.push(news.order.clone());
        }
        news.state.is_end() && self.same.contains(&news.order)
    }

    /// Orders it again where NATS may have lost it: as another, which NATS does not take for one that it had before.
    async fn again(&mut self, cluster: &Cluster) {
        self.order.at = now();
        self.same.push(self.order.clone());
        self.sequence = ordered_again(cluster, &self.order).await;
    }
}

/// The report of what an order became.
async fn ended(cluster: &Cluster, mut awaited: Awaited, mut runs: Runs) -> RuleReport {
    let mut losses = cluster.losses();
    loop {
        let news = tokio::select! {
            news = runs.next() => news,
            Ok(()) = losses.changed() => {
                awaited.again(cluster).await;
                continue;
            }
        };
        let Some(news) = news else { return std::future::pending().await };
        let is_end = awaited.is_ended_by(&news);
        if let (true, RunState::Ended { report, .. }) = (is_end, news.state) {
            return RuleReport { images: images(cluster, &news.order).await, ..*report };
        }
    }
}

async fn ordered_again(cluster: &Cluster, order: &Order) -> u64 {
    loop {
        match cluster.order(order).await {
            Ok(sequence) => return sequence,
            Err(error) => cluster.trouble("ordering a run again", &error),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// In milliseconds since 1970.
fn now() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::events::Totals;

    fn order(at: u64) -> Order {
        Order { rule: "rule".to_owned(), at, mode: Some(Mode::Execute) }
    }

    fn began(order: Order, sequence: u64) -> RunNews {
        RunNews { order, sequence, replica: String::new(), state: RunState::Began }
    }

    fn ended(order: Order, sequence: u64) -> RunNews {
        let report = Box::new(RuleReport::begun(&"rule".into(), SystemTime::UNIX_EPOCH));
        RunNews { state: RunState::Ended { report, totals: Totals::default() }, ..began(order, sequence) }
    }

    #[test]
    fn its_own_run_ends_it_and_so_does_a_later_one_of_the_same_kind() {
        let mut awaited = Awaited::new(order(7), 3);
        assert!(!awaited.is_ended_by(&began(order(7), 3)));
        assert!(awaited.is_ended_by(&ended(order(7), 3)));
        let tick = Order { mode: None, ..order(8) };
        for (other, place, ends) in [(order(6), 2, false), (tick, 4, false), (order(9), 4, true)] {
            assert!(!awaited.is_ended_by(&began(other.clone(), place)));
            assert_eq!(awaited.is_ended_by(&ended(other, place)), ends);
        }
    }

    #[test]
    fn a_run_that_was_under_way_when_the_queue_was_lost_does_not_end_it() {
        assert!(!Awaited::new(order(7), 1).is_ended_by(&ended(order(5), 100)));
    }
}
