//! Ticks that become runs, once over all replicas.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::bucket::{Bucket, Change, Entry, Watch};
use super::cluster::Cluster;
use super::error::{Error, Reason};
use super::message::{Read, read, written};
use super::names::token;
use super::order::Order;

impl Cluster {
    /// The last tick of a rule that became a run, in milliseconds since 1970.
    ///
    /// # Errors
    /// If NATS does not say.
    pub async fn last_tick(&self, rule: &str) -> Result<Option<u64>, Error> {
        Ok(self.noted(TICK, rule).await?.map(|(at, _)| at))
    }

    /// Makes a tick a run. Of all replicas that do so one counts: the server knows a tick for some minutes, and before
    /// that is over it is noted as the last.
    ///
    /// # Errors
    /// If NATS does not say that it has done so: the same is to be tried again.
    pub async fn tick(&self, rule: &str, at: u64) -> Result<(), Error> {
        let order = Order { rule: rule.to_owned(), at, mode: None };
        self.order(&order).await?;
        self.note(TICK, rule, at).await
    }

    /// Tells of the ticks that became runs, first of the last of each rule, and then of those that do.
    pub fn told_ticks(&self) -> ToldTicks {
        ToldTicks(self.ticks().watch())
    }

    /// Has a run be done, and returns its place in the queue. An order of the same kind that waits is folded into it.
    ///
    /// # Errors
    /// If NATS does not say that it has done so.
    pub async fn order(&self, order: &Order) -> Result<u64, Error> {
        let failed = |reason| self.link.error(format!("ordering a run of {}", order.rule), reason);
        let payload = written(order).map_err(|error| failed(Reason::Refused(error.to_string())))?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, order.run());
        let subject = self.link.names.subject(&order.subject());
        self.link.publish(subject, headers, payload).await.map(|ack| ack.sequence).map_err(failed)
    }

    /// The last tick of a rule whose run looked below unchanged tags.
    pub(super) async fn last_recheck(&self, rule: &str) -> Result<Option<u64>, Error> {
        Ok(self.noted(RECHECK, rule).await?.map(|(at, _)| at))
    }

    /// Notes that a tick's run looked below unchanged tags.
    ///
    /// # Errors
    /// If NATS does not say that it has done so.
    pub async fn note_recheck(&self, rule: &str, at: u64) -> Result<(), Error> {
        self.note(RECHECK, rule, at).await
    }

    /// Notes that a run is begun when so many of its jobs are done, and returns how often it was.
    pub(super) async fn note_begun(&self, order: &Order, done: usize) -> Result<Begun, Error> {
        let (ticks, key, run) = (self.ticks(), key(BEGUN, &order.rule), order.run());
        let before = ticks.get(&key).await?;
        let begun = match before.as_ref().map(|entry| read::<Begun>(&entry.value)) {
            Some(Read::Body(before)) if before.run == run => {
                let in_vain = if done > before.done { 1 } else { before.in_vain + 1 };
                Begun { run, times: before.times + 1, in_vain, done }
            }
            _ => Begun { run, times: 1, in_vain: 1, done },
        };
        if let Ok(value) = written(&begun) {
            // Who has the rule's lease writes alone.
            ticks.put(&key, value).await?;
        }
        Ok(begun)
    }

    /// Notes that a run which was begun is given back of its owner's own will: it has killed nobody.
    pub(super) async fn note_given_back(&self, order: &Order) -> Result<(), Error> {
        let (ticks, key) = (self.ticks(), key(BEGUN, &order.rule));
        let before = ticks.get(&key).await?.map(|entry| read::<Begun>(&entry.value));
        if let Some(Read::Body(begun)) = before
            && begun.run == order.run()
            && let Ok(value) = written(&Begun { in_vain: begun.in_vain.saturating_sub(1), ..begun })
        {
            ticks.put(&key, value).await?;
        }
        Ok(())
    }

    async fn noted(&self, what: &str, rule: &str) -> Result<Option<(u64, Entry)>, Error> {
        let entry = self.ticks().get(&key(what, rule)).await?;
        Ok(entry.and_then(|entry| match read(&entry.value) {
            Read::Body(Noted { at, .. }) => Some((at, entry)),
            Read::Newer | Read::Garbage(_) => None,
        }))
    }

    /// Writes a tick where an earlier one stands. One that is later by far than the clock of this replica was written by
    /// a clock that went wrong: ours counts, as [`is_news`](crate::schedule) has it.
    async fn note(&self, what: &str, rule: &str, at: u64) -> Result<(), Error> {
        let (ticks, key) = (self.ticks(), key(what, rule));
        let Ok(value) = written(&Noted { rule: rule.to_owned(), at }) else { return Ok(()) };
        while !self.try_note(&ticks, &key, value.clone(), (what, rule, at)).await? {}
        Ok(())
    }

    /// False if somebody else wrote meanwhile.
    async fn try_note(
        &self,
        ticks: &Bucket,
        key: &str,
        value: Bytes,
        (what, rule, at): (&str, &str, u64),
    ) -> Result<bool, Error> {
        let ahead = super::claim::now().saturating_add(SKEW);
        let written = match self.noted(what, rule).await? {
            Some((known, _)) if known >= at && known <= ahead => return Ok(true),
            Some((_, entry)) => ticks.update(key, value, entry.revision).await?,
            None => ticks.create(key, value).await?,
        };
        Ok(written.is_some())
    }
}

pub(super) const TICK: &str = "at";
const RECHECK: &str = "recheck";
const BEGUN: &str = "begun";

/// By so many milliseconds clocks may differ.
const SKEW: u64 = 300_000;

/// The ticks of rules. Watching ends when it is dropped.
#[derive(Debug)]
pub struct ToldTicks(Watch);

impl ToldTicks {
    /// The next rule whose last tick is another, and that tick, in milliseconds since 1970. May be cancelled, and loses
    /// none.
    pub async fn next(&mut self) -> Option<(String, u64)> {
        loop {
            let Change { key, value, .. } = self.0.next().await?;
            let value = value.filter(|_| key.split_once('.').is_some_and(|(what, _)| what == TICK));
            if let Some(Read::Body(Noted { rule, at })) = value.as_ref().map(|value| read(value)) {
                return Some((rule, at));
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Noted {
    rule: String,
    at: u64,
}

/// How often a run was begun.
#[derive(Serialize, Deserialize)]
pub(super) struct Begun {
    run: String,
    pub(super) times: u64,
    /// So often since the last time that more of its jobs were done than before: who comes further each time is killed by
    /// others than the run.
    pub(super) in_vain: u64,
    done: usize,
}

fn key(what: &str, rule: &str) -> String {
    format!("{what}.{}", token(rule))
}
