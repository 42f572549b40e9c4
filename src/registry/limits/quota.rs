//! Pulls that a registry counts and announces, as Docker Hub does: `ratelimit-limit: 100;w=21600` and
//! `ratelimit-remaining: 76;w=21600` with every answer. A GET of a manifest is a pull, a HEAD is none.
//!
//! Source: Docker's documentation, "Docker Hub pull usage and limits".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::sync::Notify;

use crate::content::NoPulls;

/// A window that is not told is taken for this long.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);
/// Nor is any taken for longer than a week.
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Who has not wanted a pull for so long is not waited for by those behind.
const CLAIM_HOLDS: Duration = Duration::from_secs(30);

/// What is known of one registry's quota, and who takes from it.
pub(in crate::registry) struct Quota {
    reserve: u64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    announced: Option<Announced>,
    /// Pulls under way, which the last announcement may not count yet.
    pending: u64,
    /// When it last ran out. From then on, for two windows, runs take one after another.
    ran_out: Option<Instant>,
    /// Those who take part, and when each last wanted a pull.
    seats: BTreeMap<Rank, Instant>,
    seated: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Announced {
    limit: Option<u64>,
    remaining: u64,
    window: Duration,
    at: Instant,
}

impl Announced {
    fn no_pulls(self, reserve: u64) -> NoPulls {
        NoPulls { remaining: self.remaining, limit: self.limit, reserve, window: self.window }
    }
}

/// A run's place among those that want pulls: who has waited longest for a success comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    last_success: Option<Instant>,
    order: u64,
}

impl Quota {
    pub(in crate::registry) fn new(reserve: u64) -> Arc<Self> {
        Arc::new(Self { reserve, state: Mutex::default(), changed: Notify::new() })
    }

    /// Takes in what an answer announces; returns the number that remains, if it announces one, and the window.
    pub(in crate::registry) fn hear(&self, headers: &HeaderMap, now: Instant) -> Option<(u64, Duration)> {
        let announced = announced(headers, now)?;
        let mut state = self.state();
        state.announced = Some(announced);
        if announced.remaining <= self.reserve {
            state.ran_out = Some(now);
        }
        drop(state);
        self.changed.notify_waiters();
        Some((announced.remaining, announced.window))
    }

    /// Takes one pull.
    ///
    /// # Errors
    /// If what remains is left to others, or is another run's first.
    pub(in crate::registry) fn take(self: &Arc<Self>, seat: Option<&Seat>, now: Instant) -> Result<Pull, NoPulls> {
        let mut state = self.state();
        self.check(&mut state, seat, now)?;
        state.pending += 1;
        Ok(Pull(Arc::clone(self)))
    }

    /// Whether all of it is used up, by what was last announced.
    pub(in crate::registry) fn is_used_up(&self, now: Instant) -> Option<NoPulls> {
        let announced = self.state().announced.filter(|announced| now < announced.at + announced.window)?;
        (announced.remaining <= self.reserve).then(|| announced.no_pulls(self.reserve))
    }

    fn check(&self, state: &mut State, seat: Option<&Seat>, now: Instant) -> Result<(), NoPulls> {
        if let Some(seat) = seat {
            state.seats.insert(seat.rank, now);
        }
        let Some(announced) = state.announced.filter(|announced| now < announced.at + announced.window) else {
            return Ok(());
        };
        let none = announced.no_pulls(self.reserve);
        if announced.remaining.saturating_sub(state.pending) <= self.reserve {
            return Err(none);
        }
        // For the window in which it came back, too.
        let is_scarce = state.ran_out.is_some_and(|at| now < at + announced.window * 2);
        let comes_first = |seat: &Seat| {
            state.seats.range(..seat.rank).all(|(_, wanted)| now.saturating_duration_since(*wanted) >= CLAIM_HOLDS)
        };
        if is_scarce && !seat.is_none_or(comes_first) { Err(none) } else { Ok(()) }
    }

    fn left(&self) -> u64 {
        let announced = self.state().announced;
        announced.map_or(u64::MAX, |announced| announced.remaining.saturating_sub(self.reserve)).max(1)
    }

    /// Takes part in the sharing of what is scarce.
    pub(in crate::registry) fn join(self: &Arc<Self>, last_success: Option<Instant>) -> Seat {
        let mut state = self.state();
        state.seated += 1;
        let rank = Rank { last_success, order: state.seated };
        state.seats.insert(rank, now());
        Seat { quota: Arc::clone(self), rank }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pull that is under way, until its answer has told what remains.
pub(in crate::registry) struct Pull(Arc<Quota>);

impl Drop for Pull {
    fn drop(&mut self) {
        self.0.state().pending -= 1;
        self.0.changed.notify_waiters();
    }
}

/// One run's part in a registry's quota, until it is dropped.
pub struct Seat {
    quota: Arc<Quota>,
    rank: Rank,
}

impl Seat {
    /// Waits until something has changed, or it is time to ask the registry; at once where pulls are left. Cancel safe.
    pub async fn wait(&self) -> Waited {
        let mut changed = std::pin::pin!(self.quota.changed.notified());
        // From here on no change is missed.
        changed.as_mut().enable();
        let checked = self.quota.check(&mut self.quota.state(), Some(self), now());
        let Err(none) = checked else { return Waited::Left(self.quota.left()) };
        if none.remaining > none.reserve {
            // Another's answer, or another's turn, is waited for.
            let _ = tokio::time::timeout(CLAIM_HOLDS, changed).await;
            return Waited::Heard;
        }
        tokio::select! {
            () = changed => Waited::Heard,
            () = tokio::time::sleep(none.look_again()) => Waited::AskAgain,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.quota.state().seats.remove(&self.rank);
        self.quota.changed.notify_waiters();
    }
}

/// Why a wait for pulls ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// So many are left, as far as is known: one at least.
    Left(u64),
    /// Somebody's answer told something new, or a run before this one ended.
    Heard,
    /// Nothing was heard for a while: the next HEAD tells.
    AskAgain,
}

fn announced(headers: &HeaderMap, at: Instant) -> Option<Announced> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    let (remaining, window) = count(value("ratelimit-remaining")?)?;
    let (limit, other_window) = value("ratelimit-limit").and_then(count).unzip();
    let reset = || value("ratelimit-reset")?.trim().parse().ok().map(Duration::from_secs);
    let window = window.or(other_window.flatten()).or_else(reset).unwrap_or(DEFAULT_WINDOW).min(LONGEST_WINDOW);
    Some(Announced { limit, remaining, window, at })
}

/// `100;w=21600`: a number, and its window in seconds.
fn count(value: &str) -> Option<(u64, Option<Duration>)> {
    let mut parts = value.split(';').map(str::trim);
    let number = parts.next()?.parse().ok()?;
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok()).map(Duration::from_secs);
    Some((number, window))
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(limit: &str, remaining: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("ratelimit-limit", limit.parse().unwrap());
        headers.insert("ratelimit-remaining", remaining.parse().unwrap());
        headers
    }

    #[test]
    fn docker_hubs_headers_are_read() {
        let now = Instant::now();
        let read = announced(&headers("100;w=21600", "76;w=21600"), now).unwrap();
        assert_eq!((read.limit, read.remaining, read.window.as_secs()), (Some(100), 76, 21_600));
        let bare = announced(&headers("100", "76"), now).unwrap();
        assert_eq!(bare.window, DEFAULT_WINDOW);
        assert_eq!(announced(&headers("100", "many"), now), None);
        assert_eq!(announced(&HeaderMap::new(), now), None);
    }

    #[test]
    fn pulls_stop_at_the_reserve_and_those_under_way_count() {
        let (quota, now) = (Quota::new(20), Instant::now());
        assert!(quota.take(None, now).is_ok(), "nothing is announced");
        let heard = quota.hear(&headers("100;w=60", "22;w=60"), now);
        assert_eq!(heard, Some((22, Duration::from_secs(60))));
        let first = quota.take(None, now).unwrap();
        let second = quota.take(None, now).unwrap();
        let none = quota.take(None, now).err().unwrap();
        assert_eq!((none.remaining, none.reserve), (22, 20));
        drop((first, second));
        quota.hear(&headers("100;w=60", "20;w=60"), now);
        assert!(quota.take(None, now).is_err());
        assert!(quota.take(None, now + Duration::from_secs(60)).is_ok(), "the window has passed");
    }

    #[test]
    fn what_is_scarce_goes_to_the_most_starved_run_first() {
        let (quota, now) = (Quota::new(0), Instant::now());
        let fed = quota.join(Some(now));
        let starved = quota.join(None);
        quota.hear(&headers("100;w=60", "50;w=60"), now);
        assert!(quota.take(Some(&fed), now).is_ok(), "there is enough");
        quota.hear(&headers("100;w=60", "0;w=60"), now);
        quota.hear(&headers("100;w=60", "10;w=60"), now);
        assert!(quota.take(Some(&fed), now).is_err());
        assert!(quota.take(Some(&starved), now).is_ok());
        drop(starved);
        assert!(quota.take(Some(&fed), now).is_ok());
    }

    proptest! {
        #[test]
        fn no_header_panics(limit in "[ -~]*", remaining in "[0-9]{0,20}(;w=[0-9]{0,20})?") {
            let _ = announced(&headers(&limit, &remaining), Instant::now()).map(|a| a.at + a.window);
        }
    }
}
