//! One limit of one registry, as this process keeps it with the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::events::{ClusterNews, Observer};
use crate::oci::Host;
use crate::queue::bucket::Bucket;
use crate::queue::claim::now as milliseconds;
use crate::queue::cluster::Cluster;
use crate::queue::error::Error;
use crate::queue::message::{Read, read, written};
use crate::queue::names::token;
use crate::queue::shares::{Holder, Left, QuotaNews, Table, Timing};
use crate::registry::{Allotments, Part, PullsLeft, Shared, Wish};

/// How long one beat may take: what takes longer is begun anew while the share still holds.
const IN_TIME: Duration = Duration::from_millis(1500);
/// How often a beat is tried at once when others write at the same moment.
const TRIES: usize = 8;
/// What nothing was wanted of for so long is left to the others, and costs nothing more.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Side {
    bucket: Bucket,
    key: String,
    allotments: Arc<Allotments>,
    observer: Arc<dyn Observer>,
    host: Host,
    what: Shared,
    holder: Holder,
    /// Since when nothing was wanted.
    idle: Option<Instant>,
    /// Whether there is an entry of ours, as far as we know.
    is_in: bool,
    /// What is known of a quota, here and there.
    quota: QuotaNews,
    /// Whether the table was looked at before.
    has_looked: bool,
    /// Whether it was told that the table cannot be used.
    has_complained: bool,
}

/// What stands in the bucket, and which writing of it.
struct Stands {
    table: Table,
    revision: Option<u64>,
}

impl Side {
    pub(super) fn new(
        cluster: &Cluster,
        allotments: Arc<Allotments>,
        observer: Arc<dyn Observer>,
        me: String,
        (host, what): (Host, Shared),
    ) -> Self {
        Self {
            bucket: cluster.shares(),
            key: format!("{}.{}", token(host.as_str()), what.as_str()),
            allotments,
            observer,
            host,
            what,
            holder: Holder::new(me, Timing::STANDARD),
            idle: None,
            is_in: false,
            quota: QuotaNews::default(),
            has_looked: false,
            has_complained: false,
        }
    }

    /// A beat whenever it is poked, once a second at least, until it is `gone`.
    pub(super) async fn keep(mut self, poked: Arc<Notify>, gone: CancellationToken) {
        while gone.run_until_cancelled(poked.notified()).await.is_some() {
            let wish = self.allotments.wish(&self.host, self.what);
            let beat = async { if self.is_idle(wish) { self.leave().await } else { self.beat(wish).await } };
            match tokio::time::timeout(IN_TIME, beat).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.bucket.trouble("keeping a share of a registry's limits", &error),
                Err(_) => tracing::debug!(key = self.key, "keeping a share: NATS does not answer in time"),
            }
            self.tell();
        }
        if !matches!(tokio::time::timeout(IN_TIME, self.leave()).await, Ok(Ok(()))) {
            tracing::debug!(key = self.key, "giving a share back: it runs out");
        }
        self.observer.cluster(&ClusterNews::Share { registry: &self.host, part: None });
    }

    /// One beat; at once again where another replica was faster.
    async fn beat(&mut self, wish: Wish) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some(stands) = self.stands().await? else { return Ok(()) };
            self.hear(&stands.table);
            let mut beat = self.holder.beat(&stands.table, wish, now());
            beat.table.left = self.quota.to_write();
            // What is given back is not used any more before anybody can take it.
            self.give();
            self.is_in = true;
            if self.put(&stands, &beat.table).await? {
                self.quota.written();
                self.holder.written(&beat);
                self.give();
                return Ok(());
            }
            self.holder.not_written(&beat);
        }
        Ok(())
    }

    /// Gives everything back.
    async fn leave(&mut self) -> Result<(), Error> {
        let nothing = Part { share: 0, until: now() };
        self.allotments.give(&self.host, self.what, nothing);
        while self.is_in {
            let Some(stands) = self.stands().await? else { return Ok(()) };
            let table = self.holder.leave(&stands.table);
            self.is_in = !self.put(&stands, &table).await?;
        }
        Ok(())
    }

    fn is_idle(&mut self, wish: Wish) -> bool {
        if wish != Wish::default() {
            self.idle = None;
            return false;
        }
        let since = *self.idle.get_or_insert_with(now);
        now().saturating_duration_since(since) >= IDLE
    }

    /// What may be used now, told to those who use it.
    fn give(&self) {
        let in_use = self.holder.in_use(now()).unwrap_or(Part { share: 0, until: now() });
        self.allotments.give(&self.host, self.what, in_use);
    }

    /// The registry's one number is that of its requests; of its connections, where only those are shared.
    fn tell(&self) {
        let first = self.allotments.shared().into_iter().find(|(host, _)| *host == self.host);
        if first.is_some_and(|(_, what)| what == self.what) {
            let share = self.holder.in_use(now()).map_or(0, |in_use| in_use.share);
            let part = Some(f64::from(share) / f64::from(crate::registry::WHOLE));
            self.observer.cluster(&ClusterNews::Share { registry: &self.host, part });
        }
    }

    /// What is known of a quota goes both ways.
    fn hear(&mut self, table: &Table) {
        if let Some(heard) = self.allotments.heard(&self.host).filter(|_| self.what == Shared::Pulls) {
            self.quota.heard(left(heard));
        }
        // How old that is which stood there at the first look its date alone can tell.
        let is_fresh = std::mem::replace(&mut self.has_looked, true);
        if let Some(theirs) = self.quota.look(table.left) {
            let known = pulls_left(theirs);
            self.allotments.tell(&self.host, if is_fresh { PullsLeft { at: now(), ..known } } else { known });
        }
    }

    /// What stands there; none if it is not ours to touch.
    async fn stands(&mut self) -> Result<Option<Stands>, Error> {
        let Some(entry) = self.bucket.get(&self.key).await? else {
            return Ok(Some(Stands { table: Table::default(), revision: None }));
        };
        match read(&entry.value) {
            Read::Body(table) => {
                self.has_complained = false;
                Ok(Some(Stands { table, revision: Some(entry.revision) }))
            }
            // It is looked at every second, and told once.
            Read::Newer | Read::Garbage(_) if std::mem::replace(&mut self.has_complained, true) => Ok(None),
            Read::Newer => {
                tracing::warn!(registry = %self.host, "its limits are shared in a newer regferry's way: update this one");
                Ok(None)
            }
            Read::Garbage(reason) => {
                let (registry, key) = (self.host.as_str(), &*self.key);
                tracing::error!(
                    registry,
                    key,
                    reason,
                    "how its limits are shared cannot be read: delete this key of the \
                    bucket shares"
                );
                Ok(None)
            }
        }
    }

    /// Whether this is what stands there now, in place of what stood there.
    async fn put(&self, stands: &Stands, table: &Table) -> Result<bool, Error> {
        // Numbers and names can always be written.
        let Ok(document) = written(table) else { return Ok(false) };
        let put = match stands.revision {
            Some(revision) => self.bucket.update(&self.key, document, revision).await,
            None => self.bucket.create(&self.key, document).await,
        };
        put.map(|revision| revision.is_some())
    }
}

fn left(pulls: PullsLeft) -> Left {
    let age = now().saturating_duration_since(pulls.at).as_millis();
    Left {
        remaining: pulls.remaining,
        limit: pulls.limit,
        window_seconds: pulls.window.as_secs(),
        at: milliseconds().saturating_sub(u64::try_from(age).unwrap_or(0)),
    }
}

fn pulls_left(left: Left) -> PullsLeft {
    let age = Duration::from_millis(milliseconds().saturating_sub(left.at));
    let (limit, window) = (left.limit, Duration::from_secs(left.window_seconds));
    PullsLeft { limit, remaining: left.remaining, window, at: now().checked_sub(age).unwrap_or_else(now) }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
