//! A message that this process works on: the server is told that it lives, and what becomes of the message.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::HeaderMap;
use async_nats::jetstream::{AckKind, Message};
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::belief::Belief;
use super::link::Link;

mod presence;

/// For how many milliseconds it is not to be begun. The server counts them: replicas' clocks need not agree.
const WAIT: &str = "Regferry-Wait";
/// Since when nobody was found who can do it: when the server got the first message that was given back for that.
const ODD_SINCE: &str = "Regferry-Odd-Since";
/// How many had it, and came to no end, when it was a message before this one.
const HAD: &str = "Regferry-Had";

/// Dropped, its message comes to another after `ack_wait`.
pub(super) struct Claim {
    link: Arc<Link>,
    stream: String,
    message: Message,
    belief: Arc<Belief>,
    _progress: AbortOnDropHandle<()>,
}

/// Where a message stands in its stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) sequence: u64,
    /// How many times it was given to somebody, this time among them.
    pub(super) deliveries: u64,
    /// When it was published, by the server's clock: in milliseconds since 1970.
    pub(super) published: u64,
}

/// What a message that takes another's place says of that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes {
    odd_since: Option<u64>,
    had: u64,
}

impl Claim {
    pub(super) fn new(link: &Arc<Link>, stream: &str, message: Message, ack_wait: Duration) -> Self {
        let belief = Arc::new(Belief::since(Instant::now(), ack_wait));
        let progress = progress(Arc::clone(link), message.clone(), Arc::clone(&belief), ack_wait);
        Self {
            link: Arc::clone(link),
            stream: link.names.stream(stream),
            message,
            belief,
            _progress: AbortOnDropHandle::new(tokio::spawn(progress)),
        }
    }

    pub(super) fn payload(&self) -> &Bytes {
        &self.message.payload
    }

    /// What follows the cluster's own part of the subject, as `run.<rule>.due`.
    pub(super) fn subject(&self) -> &str {
        self.message.subject.splitn(3, '.').nth(2).unwrap_or_default()
    }

    pub(super) fn place(&self) -> Place {
        let Ok(info) = self.message.info() else { return Place { sequence: 0, deliveries: 0, published: 0 } };
        Place {
            sequence: info.stream_sequence,
            deliveries: u64::try_from(info.delivered).unwrap_or(0),
            published: u64::try_from(info.published.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
        }
    }

    /// Whether nobody else can have been given the message since we were.
    pub(super) fn holds(&self) -> bool {
        self.belief.holds()
    }

    /// How long it is not to be begun yet: who is given it first gives it back for so long.
    pub(super) fn wait(&self) -> Option<Duration> {
        let is_first = self.place().deliveries < 2;
        self.number(WAIT).filter(|_| is_first).map(Duration::from_millis)
    }

    /// Whether it was not to be begun when it came first.
    pub(super) fn was_put_off(&self) -> bool {
        self.number(WAIT).is_some()
    }

    /// How many had it before us, and came to no end with it.
    pub(super) fn had(&self) -> u64 {
        let before = self.place().deliveries.saturating_sub(1 + u64::from(self.was_put_off()));
        before + self.number(HAD).unwrap_or(0)
    }

    /// For how long nobody was found who can do it.
    pub(super) fn odd_for(&self) -> Duration {
        let published = self.place().published;
        self.number(ODD_SINCE).map_or(Duration::ZERO, |since| Duration::from_millis(published.saturating_sub(since)))
    }

    /// It is done.
    pub(super) async fn done(&self) {
        self.settle(AckKind::Ack).await;
    }

    /// Nobody is to have it any more.
    pub(super) async fn end(&self) {
        self.settle(AckKind::Term).await;
    }

    /// For somebody else, or for us again, after a while. It counts as given to somebody.
    pub(super) async fn later(&self, wait: Duration) {
        self.settle(AckKind::Nak((!wait.is_zero()).then_some(wait))).await;
    }

    /// The same as a new message, which was given to nobody yet: who gives it back of his own will has not died of it.
    pub(super) async fn anew(&self, wait: Duration) {
        self.replaced(self.payload().clone(), wait, Notes { odd_since: self.number(ODD_SINCE), had: 0 }).await;
    }

    /// As [`anew`](Self::anew), by one who has not begun it: who had it before us, and may have died of it, counts still.
    pub(super) async fn back(&self, wait: Duration) {
        self.replaced(self.payload().clone(), wait, Notes { odd_since: self.number(ODD_SINCE), had: self.had() }).await;
    }

    /// As [`back`](Self::back), by one who cannot do it.
    pub(super) async fn odd(&self, wait: Duration) {
        let since = self.number(ODD_SINCE).unwrap_or_else(|| self.place().published);
        self.replaced(self.payload().clone(), wait, Notes { odd_since: Some(since), had: self.had() }).await;
    }

    /// Another message in place of it.
    pub(super) async fn replaced(&self, payload: Bytes, wait: Duration, notes: Notes) {
        let mut headers = HeaderMap::new();
        if !wait.is_zero() {
            headers.insert(WAIT, wait.as_millis().to_string());
        }
        if let Some(since) = notes.odd_since {
            headers.insert(ODD_SINCE, since.to_string());
        }
        if notes.had > 0 {
            headers.insert(HAD, notes.had.to_string());
        }
        match self.link.publish(self.message.subject.to_string(), headers, payload).await {
            Ok(_) => self.done().await,
            // Then it comes again by itself.
            Err(reason) => self.link.trouble("giving work back", &reason),
        }
    }

    /// What is not heard of the server was done or not; if not, the message comes again.
    async fn settle(&self, how: AckKind) {
        if let Err(reason) = self.link.settle(&self.message, how).await {
            tracing::debug!(%reason, ?how, "settling work");
        }
    }

    fn number(&self, header: &str) -> Option<u64> {
        self.message.headers.as_ref()?.get(header)?.as_str().parse().ok()
    }
}

/// Tells the server that somebody works on it. Only what the server confirms counts.
async fn progress(link: Arc<Link>, message: Message, belief: Arc<Belief>, ack_wait: Duration) {
    let telling = async {
        let mut pause = ack_wait / 3;
        loop {
            tokio::time::sleep(pause).await;
            let sent = Instant::now();
            if !belief.holds() {
                return;
            }
            pause = match link.settle(&message, AckKind::Progress).await {
                Ok(()) => {
                    belief.renewed(sent);
                    ack_wait / 3
                }
                Err(_) => ack_wait / 12,
            };
        }
    };
    tokio::select! {
        () = telling => {}
        () = belief.watch() => {}
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
