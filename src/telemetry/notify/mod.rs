//! Messages to people and programs when a rule begins to fail, and when it has recovered: not at every failure.

mod channel;
mod document;
mod line;
mod queue;
mod states;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::metrics::{Metrics, NotificationOutcome};
use crate::events::{Observer, RuleReport};

pub use channel::{Channel, Format, RuleNames, parse_url};

use line::Line;
use states::{Change, States};

/// Tells channels what becomes of rules. Nobody waits for it: messages are put where they wait, which is bounded, and sent
/// from there. It has no channels before [`Notifier::follow`] says so.
pub struct Notifier {
    metrics: Arc<Metrics>,
    states: Mutex<States>,
    lines: Mutex<Vec<Line>>,
}

impl Notifier {
    /// One that tells nobody yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, states: Mutex::default(), lines: Mutex::default() }
    }

    /// These are the channels from now on. What waits for one is told by its new settings, what waits for one that is gone
    /// is not. To be called on a runtime, which the messages are sent on.
    pub fn follow(&self, channels: &[Arc<Channel>]) {
        let mut lines = self.lines();
        let mut before = std::mem::take(&mut *lines);
        for channel in channels {
            let old = before.iter().position(|line| line.channel.name == channel.name).map(|at| before.swap_remove(at));
            lines.push(match old {
                Some(line) if line.channel == *channel => line,
                old => {
                    let queue = old.map(|line| Arc::clone(&line.queue)).unwrap_or_default();
                    Line::new(Arc::clone(channel), queue, Arc::clone(&self.metrics))
                }
            });
        }
        self.metrics.notifications_are(channels.iter().map(|channel| &*channel.name));
    }

    /// A rule's run ended at another replica, which tells of it.
    pub fn ended_elsewhere(&self, report: &RuleReport) {
        self.states().ended(report);
    }

    /// Sends what waits, without waiting for another try, until a time; then nothing is sent any more.
    pub async fn finish(&self, until: Instant) {
        let lines = std::mem::take(&mut *self.lines());
        lines.iter().for_each(Line::finish);
        // What is not sent by then is told below.
        let _ = timeout_at(until, join_all(lines.iter().map(|line| line.queue.emptied()))).await;
        for line in lines.iter().filter(|line| line.queue.len() > 0) {
            let (notification, changes) = (&*line.channel.name, line.queue.len());
            tracing::warn!(notification, changes, "the end came before notifications were taken: they are lost");
        }
    }

    fn tell(&self, change: &Change) {
        for line in self.lines().iter().filter(|line| line.channel.takes(&change.rule)) {
            if line.queue.push(change.clone()) {
                let name = &*line.channel.name;
                tracing::warn!(notification = name, "too much waits to be told: the oldest of it is lost");
                self.metrics.notified(name, NotificationOutcome::Lost, 1);
            }
        }
    }

    fn states(&self) -> MutexGuard<'_, States> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Notifier {
    fn rules(&self, names: &[&str]) {
        self.states().follow(names);
    }

    fn run_ended(&self, run: &RuleReport) {
        let change = self.states().ended(run);
        if let Some(change) = change {
            self.tell(&change);
        }
    }
}
