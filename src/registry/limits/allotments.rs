//! The limits of all registries that many processes keep together, for whoever tells a process its parts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::quota::{PullsLeft, Quota};
use super::{Limits, Line, Part, WHOLE, Wish};
use crate::events::Observer;
use crate::oci::Host;

/// What can be shared of one registry's limits, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shared {
    /// Requests and bytes per second, where they are configured.
    Flow,
    /// Connections, where their number is configured.
    Connections,
    /// The quota of pulls that the registry announces, above what is reserved.
    Pulls,
}

impl Shared {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Flow, Self::Connections, Self::Pulls];

    /// As it is called in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Connections => "connections",
            Self::Pulls => "pulls",
        }
    }
}

/// The registries that this process talks to, as far as others talk to them too: each limit that is shared goes on when
/// it is told a part, and stops when that is over.
#[derive(Default)]
pub struct Allotments {
    registries: Mutex<HashMap<Host, Vec<Registry>>>,
    news: Arc<Notify>,
}

/// One registry's limits; a reload may leave older ones beside them, which runs under way still go by.
#[derive(Clone)]
struct Registry {
    line: Weak<Line>,
    quota: Weak<Quota>,
}

impl Allotments {
    /// What there is to share now.
    pub fn shared(&self) -> Vec<(Host, Shared)> {
        let registries = self.registries();
        let shared = registries.iter().flat_map(|(host, all)| {
            let shared = Shared::ALL.into_iter().filter(|what| all.iter().any(|registry| registry.shares(*what)));
            shared.map(|what| (host.clone(), what))
        });
        shared.collect()
    }

    /// How much of a limit this process would use, and how much of it it cannot give back now.
    pub fn wish(&self, host: &Host, what: Shared) -> Wish {
        let wishes = self.of(host, what).into_iter().map(|registry| registry.wish(what));
        wishes.fold(Wish::default(), |sum, one| Wish {
            want: sum.want.saturating_add(one.want).min(WHOLE),
            bound: sum.bound.saturating_add(one.bound).min(WHOLE),
        })
    }

    /// Tells which part of a limit is this process's.
    pub fn give(&self, host: &Host, what: Shared, part: Part) {
        let registries = self.of(host, what);
        let share = part.share / u32::try_from(registries.len().max(1)).unwrap_or(u32::MAX);
        for registry in registries {
            registry.give(what, Part { share, ..part });
        }
    }

    /// What a registry announced to this process of its quota of pulls, if it did so since it was last asked.
    pub fn heard(&self, host: &Host) -> Option<PullsLeft> {
        let heard = self.of(host, Shared::Pulls).into_iter();
        heard.filter_map(|registry| registry.quota.upgrade()?.take_heard()).max_by_key(|pulls| pulls.at)
    }

    /// Takes in what a registry announced to another process.
    pub fn tell(&self, host: &Host, pulls: PullsLeft) {
        for registry in self.registries().get(host).into_iter().flatten() {
            if let Some(quota) = registry.quota.upgrade() {
                quota.tell(pulls);
            }
        }
    }

    /// Waits until somebody waits for a part, or another limit is to be shared, or a quota was heard of. Cancel safe.
    pub async fn changed(&self) {
        self.news.notified().await;
    }

    /// The line and the quota of a registry that others talk to too.
    pub(in crate::registry) fn open(
        &self,
        host: &Host,
        limits: &Limits,
        observer: Arc<dyn Observer>,
    ) -> (Arc<Line>, Arc<Quota>) {
        let line = Arc::new(Line::new(host, limits, observer).shared(limits, Arc::clone(&self.news)));
        let quota = Quota::shared(limits.pull_reserve, Arc::clone(&self.news));
        let registry = Registry { line: Arc::downgrade(&line), quota: Arc::downgrade(&quota) };
        self.registries().entry(host.clone()).or_default().push(registry);
        self.news.notify_one();
        (line, quota)
    }

    fn of(&self, host: &Host, what: Shared) -> Vec<Registry> {
        let registries = self.registries();
        let all = registries.get(host).into_iter().flatten().filter(|registry| registry.shares(what));
        all.cloned().collect()
    }

    /// Those that are still talked to.
    fn registries(&self) -> MutexGuard<'_, HashMap<Host, Vec<Registry>>> {
        let mut registries = self.registries.lock().unwrap_or_else(PoisonError::into_inner);
        registries.retain(|_, all| {
            all.retain(|registry| registry.line.strong_count() > 0);
            !all.is_empty()
        });
        registries
    }
}

impl Registry {
    fn shares(&self, what: Shared) -> bool {
        match what {
            Shared::Pulls => self.quota.upgrade().is_some_and(|quota| quota.is_announced()),
            _ => self.line.upgrade().is_some_and(|line| line.shares(what)),
        }
    }

    fn wish(&self, what: Shared) -> Wish {
        match what {
            Shared::Pulls => self.quota.upgrade().map(|quota| quota.wish()).unwrap_or_default(),
            _ => self.line.upgrade().map(|line| line.wish(what)).unwrap_or_default(),
        }
    }

    fn give(&self, what: Shared, part: Part) {
        match (what, self.line.upgrade(), self.quota.upgrade()) {
            (Shared::Pulls, _, Some(quota)) => quota.give(part),
            (Shared::Flow | Shared::Connections, Some(line), _) => line.give(what, part),
            _ => {}
        }
    }
}
