//! Permits for work at several target registries: none of them, slow or broken, takes those of the others, and no rule
//! takes those of the others either. What is freed goes to the rule that has the fewest; among those that have as few,
//! to the most starved one: the one whose last success is longest ago.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::oci::Host;

/// So many permits; while several registries are worked for, each gets its share of them.
pub(super) struct Shares {
    limit: usize,
    state: Mutex<State>,
}

/// Who wants a permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claimant {
    /// The rule.
    pub(super) rule: Arc<str>,
    /// When it last succeeded.
    pub(super) last_success: Option<Instant>,
}

#[derive(Default)]
struct State {
    taken: usize,
    hosts: HashMap<Host, Part>,
    rules: HashMap<Arc<str>, usize>,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    came: u64,
}

/// What one registry has of them.
#[derive(Default)]
struct Part {
    members: usize,
    taken: usize,
}

struct Waiting {
    host: Host,
    claimant: Claimant,
    grant: oneshot::Sender<Permit>,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Makes known that this registry is going to be worked for, until the guard is dropped.
    pub(super) fn join(self: &Arc<Self>, host: &Host) -> Member {
        self.state().hosts.entry(host.clone()).or_default().members += 1;
        Member { shares: Arc::clone(self), host: host.clone() }
    }

    /// Waits for a permit for work at this registry. May be cancelled: nothing is taken then.
    pub(super) async fn acquire(self: &Arc<Self>, host: &Host, claimant: &Claimant) -> Permit {
        let (grant, granted) = oneshot::channel();
        let waiting = Waiting { host: host.clone(), claimant: claimant.clone(), grant };
        let _place = self.queue(waiting);
        self.hand_out();
        match granted.await {
            Ok(permit) => permit,
            // Nobody gives a place in the line away but the one who has it.
            Err(_) => std::future::pending().await,
        }
    }

    fn queue(self: &Arc<Self>, waiting: Waiting) -> Place {
        let mut state = self.state();
        state.came += 1;
        let number = state.came;
        state.waiting.insert(number, waiting);
        Place { shares: Arc::clone(self), number }
    }

    /// Gives permits to those that wait, as long as there are any for them.
    fn hand_out(self: &Arc<Self>) {
        while let Some(Waiting { host, claimant, grant }) = self.take_for_the_next() {
            let permit = Permit { shares: Arc::clone(self), host, rule: claimant.rule };
            // Who has left meanwhile gives it back by dropping it.
            drop(grant.send(permit));
        }
    }

    fn take_for_the_next(&self) -> Option<Waiting> {
        let mut state = self.state();
        let next = state.next(self.limit)?;
        let waiting = state.waiting.remove(&next)?;
        state.taken += 1;
        state.hosts.entry(waiting.host.clone()).or_default().taken += 1;
        *state.rules.entry(Arc::clone(&waiting.claimant.rule)).or_default() += 1;
        Some(waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The first in the line of those that may have a permit now.
    fn next(&self, limit: usize) -> Option<u64> {
        if self.taken >= limit {
            return None;
        }
        let joined = self.hosts.values().filter(|part| part.members > 0).count();
        let share = (limit / joined.max(1)).max(1);
        let has_room = |host: &Host| self.hosts.get(host).is_none_or(|part| part.taken < share);
        let may_have = self.waiting.iter().filter(|(_, waiting)| has_room(&waiting.host));
        let first = may_have.min_by_key(|(number, waiting)| {
            let Claimant { rule, last_success } = &waiting.claimant;
            (self.rules.get(rule).copied().unwrap_or_default(), *last_success, **number)
        });
        first.map(|(number, _)| *number)
    }

    fn give_back(&mut self, permit: &Permit) {
        self.taken -= 1;
        self.change(&permit.host, |part| part.taken -= 1);
        if let Some(taken) = self.rules.get_mut(&permit.rule) {
            *taken -= 1;
            if *taken == 0 {
                self.rules.remove(&permit.rule);
            }
        }
    }

    fn change(&mut self, host: &Host, change: impl FnOnce(&mut Part)) {
        if let Some(part) = self.hosts.get_mut(host) {
            change(part);
            if part.members == 0 && part.taken == 0 {
                self.hosts.remove(host);
            }
        }
    }
}

/// A place in the line, left when dropped.
struct Place {
    shares: Arc<Shares>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shares.state().waiting.remove(&self.number);
    }
}

/// A registry that is worked for.
pub(super) struct Member {
    shares: Arc<Shares>,
    host: Host,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shares.state().change(&self.host, |part| part.members -= 1);
        self.shares.hand_out();
    }
}

/// Leave to work, given back when dropped.
pub(super) struct Permit {
    shares: Arc<Shares>,
    host: Host,
    rule: Arc<str>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shares.state().give_back(self);
        self.shares.hand_out();
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;

    fn host(name: &str) -> Host {
        name.parse().unwrap()
    }

    /// A rule that last succeeded so many minutes before now; never, if there is no number.
    fn rule(name: &str, ago: Option<u64>) -> Claimant {
        let now = Instant::now() + Duration::from_secs(3600);
        let last_success = ago.map(|minutes| now - Duration::from_secs(60 * minutes));
        Claimant { rule: name.into(), last_success }
    }

    #[tokio::test]
    async fn one_registry_alone_has_all_of_them() {
        let shares = Arc::new(Shares::new(4));
        let (a, rule) = (host("a.example"), rule("rule", None));
        let _member = shares.join(&a);
        let taken: Vec<_> = (0..4).map(|_| shares.acquire(&a, &rule).now_or_never()).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(shares.acquire(&a, &rule).now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_registry_that_gives_nothing_back_leaves_the_other_its_share() {
        let shares = Arc::new(Shares::new(4));
        let (a, b, rule) = (host("a.example"), host("b.example"), rule("rule", None));
        let members = [shares.join(&a), shares.join(&b)];
        let held: Vec<_> = (0..2).map(|_| shares.acquire(&a, &rule).now_or_never()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(shares.acquire(&a, &rule).now_or_never().is_none(), "more than its share");
        assert!(shares.acquire(&b, &rule).now_or_never().is_some());
        drop(members);
        assert!(shares.acquire(&a, &rule).now_or_never().is_some(), "alone again");
    }

    #[tokio::test]
    async fn who_waits_is_served_and_nothing_is_left_behind() {
        let shares = Arc::new(Shares::new(1));
        let (a, rule) = (host("a.example"), rule("rule", None));
        let first = shares.acquire(&a, &rule).await;
        let mut waiting = Box::pin(shares.acquire(&a, &rule));
        let mut left = Box::pin(shares.acquire(&a, &rule));
        assert!(waiting.as_mut().now_or_never().is_none() && left.as_mut().now_or_never().is_none());
        drop(left);
        drop(first);
        drop(waiting.await);
        let state = shares.state();
        assert!(state.hosts.is_empty() && state.rules.is_empty() && state.waiting.is_empty() && state.taken == 0);
    }

    #[tokio::test]
    async fn a_permit_that_was_given_to_one_who_left_goes_to_the_next() {
        let shares = Arc::new(Shares::new(1));
        let (a, rule) = (host("a.example"), rule("rule", None));
        let first = shares.acquire(&a, &rule).await;
        let mut given = Box::pin(shares.acquire(&a, &rule));
        let mut next = Box::pin(shares.acquire(&a, &rule));
        assert!(given.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
        drop(first);
        drop(given);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_freed_goes_to_the_most_starved_rule_first() {
        let shares = Arc::new(Shares::new(1));
        let a = host("a.example");
        let busy = shares.acquire(&a, &rule("busy", Some(0))).await;
        let claimants = [rule("fed", Some(1)), rule("starved", Some(30)), rule("new", None)];
        let mut waiting: Vec<_> = claimants.iter().map(|claimant| Box::pin(shares.acquire(&a, claimant))).collect();
        assert!(waiting.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        drop(busy);
        for place in [2, 1, 0] {
            let served = waiting[place].as_mut().now_or_never();
            assert!(served.is_some(), "{}", claimants[place].rule);
        }
    }

    #[tokio::test]
    async fn a_rule_with_many_images_leaves_permits_to_the_others_however_starved_it_is() {
        let shares = Arc::new(Shares::new(2));
        let (a, large, small) = (host("a.example"), rule("large", None), rule("small", Some(1)));
        let held = [shares.acquire(&a, &large).await, shares.acquire(&a, &large).await];
        let mut more = Box::pin(shares.acquire(&a, &large));
        let mut other = Box::pin(shares.acquire(&a, &small));
        assert!(more.as_mut().now_or_never().is_none() && other.as_mut().now_or_never().is_none());
        let [one, _two] = held;
        drop(one);
        assert!(more.now_or_never().is_none());
        assert!(other.now_or_never().is_some());
    }
}
