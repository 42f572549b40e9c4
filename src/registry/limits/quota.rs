//! Pulls that a registry counts and announces, as Docker Hub does: `ratelimit-limit: 100;w=21600` and
//! `ratelimit-remaining: 76;w=21600` with every answer. A GET of a manifest is a pull, a HEAD is none.
//!
//! Source: Docker's documentation, "Docker Hub pull usage and limits".

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::HeaderMap;
use tokio::sync::Notify;

use super::{Part, WHOLE, Wish};
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
    /// Where others take from it too: who is told when there is something to share.
    shared: Option<Arc<Notify>>,
}

/// What a registry announced of its quota, for others that take from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PullsLeft {
    /// Pulls in a window.
    pub limit: Option<u64>,
    /// Those that are left.
    pub remaining: u64,
    /// How long a window is.
    pub window: Duration,
    /// When it was announced.
    pub at: Instant,
}

#[derive(Default)]
struct State {
    announced: Option<PullsLeft>,
    /// Pulls under way, which the last announcement may not count yet.
    pending: u64,
    /// When it last ran out. From then on, for two windows, runs take one after another.
    ran_out: Option<Instant>,
    /// Those who take part, and when each last wanted a pull.
    seats: BTreeMap<Rank, Instant>,
    seated: u64,
    /// What is this process's of what is left; before it is told, all of it.
    part: Option<Part>,
    /// When a pull was last wanted.
    wanted: Option<Instant>,
    /// What the registry said last, if the others have not been told yet.
    untold: Option<PullsLeft>,
}

impl PullsLeft {
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
        Arc::new(Self { reserve, state: Mutex::default(), changed: Notify::new(), shared: None })
    }

    /// One that others take from too.
    pub(super) fn shared(reserve: u64, news: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { reserve, state: Mutex::default(), changed: Notify::new(), shared: Some(news) })
    }

    /// Takes in what an answer announces; returns the number that remains, if it announces one, and the window.
    pub(in crate::registry) fn hear(&self, headers: &HeaderMap, now: Instant) -> Option<(u64, Duration)> {
        let announced = announced(headers, now)?;
        let mut state = self.state();
        let is_first = state.announced.is_none();
        self.note(&mut state, announced, now);
        if let Some(news) = &self.shared {
            state.untold = Some(announced);
            if is_first {
                news.notify_one();
            }
        }
        drop(state);
        self.changed.notify_waiters();
        Some((announced.remaining, announced.window))
    }

    /// Takes in what was announced to another process, unless something newer is known.
    pub(super) fn tell(&self, announced: PullsLeft) {
        let mut state = self.state();
        if state.announced.is_some_and(|known| known.at >= announced.at) {
            return;
        }
        self.note(&mut state, announced, announced.at);
        drop(state);
        self.changed.notify_waiters();
    }

    /// What the others are to be told.
    pub(super) fn take_heard(&self) -> Option<PullsLeft> {
        self.state().untold.take()
    }

    /// A part of what is left is this process's.
    pub(super) fn give(&self, part: Part) {
        self.state().part = Some(part);
        self.changed.notify_waiters();
    }

    /// Whether there is a quota to share.
    pub(super) fn is_announced(&self) -> bool {
        self.state().announced.is_some()
    }

    /// All of it, if any was wanted lately.
    pub(super) fn wish(&self) -> Wish {
        let wanted = self.state().wanted;
        let wants = wanted.is_some_and(|wanted| now().saturating_duration_since(wanted) < CLAIM_HOLDS);
        Wish { want: if wants { WHOLE } else { 0 }, bound: 0 }
    }

    fn note(&self, state: &mut State, announced: PullsLeft, now: Instant) {
        state.announced = Some(announced);
        if announced.remaining <= self.reserve {
            state.ran_out = Some(now);
        }
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
        state.wanted = Some(now);
        let Some(announced) = state.announced.filter(|announced| now < announced.at + announced.window) else {
            return Ok(());
        };
        let none = announced.no_pulls(self.reserve);
        // Who takes no part in the sharing was asked for by somebody, and waits for nobody.
        let ours = if seat.is_some() { self.ours(state, announced, now) } else { self.all(announced) };
        if state.pending >= ours {
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
        let state = self.state();
        state.announced.map_or(u64::MAX, |announced| self.ours(&state, announced, now())).max(1)
    }

    fn all(&self, announced: PullsLeft) -> u64 {
        announced.remaining.saturating_sub(self.reserve)
    }

    /// What may be under way of what is left, by this process's part. Parts are rounded up, since else the last pulls would be nobody's: of
    /// several processes that want them at once, each may be one too far.
    fn ours(&self, state: &State, announced: PullsLeft, now: Instant) -> u64 {
        let left = self.all(announced);
        let share = state.part.map_or(WHOLE, |part| if now < part.until { part.share } else { 0 });
        let ours = (u128::from(left) * u128::from(share)).div_ceil(u128::from(WHOLE));
        u64::try_from(ours).unwrap_or(left)
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

fn announced(headers: &HeaderMap, at: Instant) -> Option<PullsLeft> {
    let value = |name: &str| headers.get(name)?.to_str().ok();
    let (remaining, window) = count(value("ratelimit-remaining")?)?;
    let (limit, other_window) = value("ratelimit-limit").and_then(count).unzip();
    let reset = || value("ratelimit-reset")?.trim().parse().ok().map(Duration::from_secs);
    let window = window.or(other_window.flatten()).or_else(reset).unwrap_or(DEFAULT_WINDOW).min(LONGEST_WINDOW);
    Some(PullsLeft { limit, remaining, window, at })
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

    #[test]
    fn of_what_is_left_a_process_takes_its_part_and_no_more_when_it_is_over() {
        let (quota, now) = (Quota::shared(10, Arc::default()), Instant::now());
        let seat = quota.join(None);
        quota.hear(&headers("100;w=600", "20;w=600"), now);
        quota.give(Part { share: WHOLE / 2, until: now + Duration::from_secs(4) });
        let pulls: Vec<Pull> = std::iter::from_fn(|| quota.take(Some(&seat), now).ok()).collect();
        assert_eq!(pulls.len(), 5);
        assert!(quota.take(None, now).is_ok(), "who is no run's waits for nobody");
        drop(pulls);
        assert!(quota.take(Some(&seat), now + Duration::from_secs(4)).is_err());
    }

    #[test]
    fn what_another_heard_is_known_here_unless_something_newer_is() {
        let (quota, now) = (Quota::shared(0, Arc::default()), Instant::now());
        let heard = |remaining, seconds| PullsLeft {
            limit: Some(100),
            remaining,
            window: Duration::from_secs(600),
            at: now + Duration::from_secs(seconds),
        };
        quota.hear(&headers("100;w=600", "20;w=600"), now);
        assert_eq!(quota.take_heard(), Some(heard(20, 0)));
        quota.tell(heard(0, 1));
        assert!(quota.take(None, now + Duration::from_secs(2)).is_err());
        quota.tell(heard(50, 0));
        assert!(quota.take(None, now + Duration::from_secs(2)).is_err(), "that is older");
        assert_eq!(quota.take_heard(), None, "the others know it");
    }

    proptest! {
        #[test]
        fn no_header_panics(limit in "[ -~]*", remaining in "[0-9]{0,20}(;w=[0-9]{0,20})?") {
            let _ = announced(&headers(&limit, &remaining), Instant::now()).map(|a| a.at + a.window);
        }
    }
}
