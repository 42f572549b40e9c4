//! What happens, told as it happens: server-sent events.
//!
//! Each who follows reads on at its own pace in what is kept ([`Feed`](crate::telemetry::status::Feed)); nothing is kept for
//! it alone. Source: WHATWG HTML, section 9.2, "Server-sent events".

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Service;
use super::problem::Problem;
use super::reading::told;
use super::request::{Parameters, header};
use crate::telemetry::Status;
use crate::telemetry::status::{Event, Traffic};

/// So many may follow at once: others need connections too.
pub(super) const MOST: usize = 16;

/// Then an answer ends by itself, and who follows asks anew, from where it is. Shorter than a connection may last.
const LONGEST: Duration = Duration::from_secs(240);

/// How often it is looked whether what moves has moved.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So long nothing is said at most: who waits for longer may take the connection for broken.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) async fn events(
    State(service): State<Service>,
    State(followers): State<Arc<Semaphore>>,
    State(ending): State<CancellationToken>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Parameters::of(&uri, &[])?;
    let seat = followers.try_acquire_owned().map_err(|_| {
        let detail = format!("{MOST} follow the events already");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail, "ask again when one of them is gone").again_in(30)
    })?;
    let last = header::<String>(&headers, "last-event-id");
    let follower = Follower::new(service.status, last.as_deref(), ending, seat);
    let parts = stream::unfold(follower, async |mut follower| {
        let part = follower.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(part)), follower))
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(parts)).into_response())
}

/// One who follows.
struct Follower {
    status: Arc<Status>,
    latest: watch::Receiver<u64>,
    /// The number of the last event that it was told.
    at: u64,
    traffic: Option<Traffic>,
    /// What it is to be told before anything else.
    first: VecDeque<String>,
    said: Instant,
    ends: Instant,
    looks: Interval,
    ending: CancellationToken,
    _seat: OwnedSemaphorePermit,
}

impl Follower {
    /// One who was told everything up to the event of this id, if it names one; else what comes from now on.
    fn new(status: Arc<Status>, last: Option<&str>, ending: CancellationToken, seat: OwnedSemaphorePermit) -> Self {
        let latest = status.feed().follow();
        let now = *latest.borrow();
        let known = last.and_then(|id| status.number_of(id)).filter(|number| *number <= now);
        let mut first = VecDeque::from(["retry: 2000\n\n".to_owned()]);
        if last.is_some() && known.is_none() {
            // An event of the daemon before this one, say: how many came after it nobody knows.
            first.push_back(told("missed", &json!({ "events": null })));
        }
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (said, at) = (Instant::now(), known.unwrap_or(now));
        Self { status, latest, at, traffic: None, first, said, ends: said + LONGEST, looks, ending, _seat: seat }
    }

    /// What it is to be told next, when there is something; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(said) = self.first.pop_front().or_else(|| self.news()) {
                self.said = Instant::now();
                return Some(said);
            }
            tokio::select! {
                biased;
                () = self.ending.cancelled() => return None,
                () = sleep_until(self.ends) => return None,
                // The sender lives as long as the status does, which is held here.
                _ = self.latest.changed() => {}
                _ = self.looks.tick() => self.look(),
            }
        }
    }

    /// The next events.
    fn news(&mut self) -> Option<String> {
        let news = self.status.feed().after(self.at);
        let mut text = String::new();
        if news.missed > 0 {
            text.push_str(&told("missed", &json!({ "events": news.missed })));
            self.at += news.missed;
        }
        for Event { number, name, data } in &news.events {
            text.push_str(&format!("id: {}\nevent: {name}\ndata: {data}\n\n", self.status.id(*number)));
            self.at = *number;
        }
        Some(text).filter(|text| !text.is_empty())
    }

    /// What has moved since the last look is told; where nothing has for long, that somebody is there.
    fn look(&mut self) {
        let traffic = self.status.traffic();
        if self.traffic.as_ref() != Some(&traffic) {
            self.first.push_back(told("progress", &traffic));
            self.traffic = Some(traffic);
        } else if self.said.elapsed() >= HEARTBEAT {
            self.first.push_back(": nothing new\n\n".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::events::Observer as _;

    fn status() -> Arc<Status> {
        let status = Status::new("1.2.3", Timestamp::from_second(16).unwrap());
        status.configured(Path::new("regferry.toml"), Timestamp::UNIX_EPOCH);
        Arc::new(status)
    }

    fn follower(status: &Arc<Status>, last: Option<&str>) -> Follower {
        let seat = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Follower::new(Arc::clone(status), last, CancellationToken::new(), seat)
    }

    /// What is said next, without what only says that somebody is there, or what moves.
    async fn next(follower: &mut Follower) -> String {
        loop {
            let said = follower.next().await.unwrap();
            if !said.starts_with("retry") && !said.starts_with("event: progress") && !said.starts_with(':') {
                return said;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_is_told_what_happens_from_then_on() {
        let status = status();
        status.rules(&["before"]);
        let mut follower = follower(&status, None);
        status.rules(&["hello"]);
        assert_eq!(next(&mut follower).await, "id: 10-2\nevent: rules\ndata: {\"rules\":[\"hello\"]}\n\n");
        status.run_started("hello");
        assert!(next(&mut follower).await.starts_with("id: 10-3\nevent: run_started\ndata: {"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_back_goes_on_where_it_was() {
        let status = status();
        (0..3).for_each(|_| status.rules(&[]));
        let said = next(&mut follower(&status, Some("10-1"))).await;
        assert!(said.starts_with("id: 10-2\n") && said.contains("\nid: 10-3\n"), "{said}");
        for unknown in ["f-1", "10-4", "x"] {
            assert_eq!(next(&mut follower(&status, Some(unknown))).await, "event: missed\ndata: {\"events\":null}\n\n");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_too_slow_is_told_that_it_missed_some() {
        let status = status();
        let mut follower = follower(&status, None);
        (0..1030).for_each(|_| status.rules(&[]));
        let said = next(&mut follower).await;
        assert!(said.starts_with("event: missed\ndata: {\"events\":6}\n\nid: 10-7\n"), "{said:.100}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_moves_is_told_once_a_second_and_that_somebody_is_there_when_nothing_does() {
        let status = status();
        let mut follower = follower(&status, None);
        let begun = Instant::now();
        assert_eq!(follower.next().await.unwrap(), "retry: 2000\n\n");
        assert!(follower.next().await.unwrap().starts_with("event: progress\ndata: {\"bytes_read\":0"));
        status.transfer_started();
        let said = follower.next().await.unwrap();
        assert!(said.contains("\"transfers\":1"), "{said}");
        assert_eq!(begun.elapsed(), LOOK_EVERY);
        assert!(follower.next().await.unwrap().starts_with(": "));
        assert_eq!(begun.elapsed(), LOOK_EVERY + HEARTBEAT);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_daemon_and_in_time() {
        let (status, begun) = (status(), Instant::now());
        let mut to_its_end = follower(&status, None);
        while to_its_end.next().await.is_some() {}
        assert_eq!(begun.elapsed(), LONGEST);
        let mut stopped = follower(&status, None);
        stopped.ending.cancel();
        while stopped.next().await.is_some() {}
        assert_eq!(begun.elapsed(), LONGEST);
    }
}
