//! Permits for work at several target registries: none of them, slow or broken, takes those of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::oci::Host;

/// So many permits; while several registries are worked for, each gets its share of them.
pub(super) struct Shares {
    limit: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Default)]
struct State {
    taken: usize,
    hosts: HashMap<Host, Part>,
}

/// What one registry has of them.
#[derive(Default)]
struct Part {
    members: usize,
    taken: usize,
}

impl Shares {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), freed: Notify::new() }
    }

    /// Makes known that this registry is going to be worked for, until the guard is dropped.
    pub(super) fn join(self: &Arc<Self>, host: &Host) -> Member {
        self.state().hosts.entry(host.clone()).or_default().members += 1;
        Member { shares: Arc::clone(self), host: host.clone() }
    }

    /// Waits for a permit for work at this registry. May be cancelled: nothing is taken then.
    pub(super) async fn acquire(self: &Arc<Self>, host: &Host) -> Permit {
        loop {
            // From here on no permit that is freed goes unnoticed.
            let freed = self.freed.notified();
            if self.try_take(host) {
                return Permit { shares: Arc::clone(self), host: host.clone() };
            }
            freed.await;
        }
    }

    fn try_take(&self, host: &Host) -> bool {
        let mut state = self.state();
        let joined = state.hosts.values().filter(|part| part.members > 0).count();
        let share = (self.limit / joined.max(1)).max(1);
        let taken = state.hosts.get(host).map_or(0, |part| part.taken);
        if state.taken >= self.limit || taken >= share {
            return false;
        }
        state.taken += 1;
        state.hosts.entry(host.clone()).or_default().taken += 1;
        true
    }

    /// Changes what a registry has, and lets those that wait look again.
    fn change(&self, host: &Host, change: impl FnOnce(&mut Part, &mut usize)) {
        let mut state = self.state();
        let State { taken, hosts } = &mut *state;
        if let Some(part) = hosts.get_mut(host) {
            change(part, taken);
            if part.members == 0 && part.taken == 0 {
                hosts.remove(host);
            }
        }
        drop(state);
        self.freed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A registry that is worked for.
pub(super) struct Member {
    shares: Arc<Shares>,
    host: Host,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shares.change(&self.host, |part, _| part.members -= 1);
    }
}

/// Leave to work, given back when dropped.
pub(super) struct Permit {
    shares: Arc<Shares>,
    host: Host,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shares.change(&self.host, |part, taken| {
            part.taken -= 1;
            *taken -= 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn host(name: &str) -> Host {
        name.parse().unwrap()
    }

    #[tokio::test]
    async fn one_registry_alone_has_all_of_them() {
        let shares = Arc::new(Shares::new(4));
        let a = host("a.example");
        let _member = shares.join(&a);
        let taken: Vec<_> = (0..4).map(|_| shares.acquire(&a).now_or_never()).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(shares.acquire(&a).now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_registry_that_gives_nothing_back_leaves_the_other_its_share() {
        let shares = Arc::new(Shares::new(4));
        let (a, b) = (host("a.example"), host("b.example"));
        let members = [shares.join(&a), shares.join(&b)];
        let held: Vec<_> = (0..2).map(|_| shares.acquire(&a).now_or_never()).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(shares.acquire(&a).now_or_never().is_none(), "more than its share");
        assert!(shares.acquire(&b).now_or_never().is_some());
        drop(members);
        assert!(shares.acquire(&a).now_or_never().is_some(), "alone again");
    }

    #[tokio::test]
    async fn who_waits_is_woken_and_nothing_is_left_behind() {
        let shares = Arc::new(Shares::new(1));
        let a = host("a.example");
        let first = shares.acquire(&a).await;
        let waiting = tokio::spawn({
            let (shares, a) = (Arc::clone(&shares), a.clone());
            async move { drop(shares.acquire(&a).await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        assert!(shares.state().hosts.is_empty());
    }
}
