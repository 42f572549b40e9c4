//! Pulling work: so many messages as there are free places, never more.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::{StatusCode, Subscriber};
use futures_util::StreamExt as _;
use serde_json::json;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::Reason;
use super::link::Link;
use super::streams::WORKERS;

/// How long one request for messages stands. A server that died with it is asked again when that has passed, or when
/// the connection is there again.
const STANDS: Duration = Duration::from_secs(3);

/// So many at once while there is little to do, so that it spreads; and while there is much.
const FEW: usize = 4;
const MANY: usize = 32;

/// The work of one stream, as it comes.
pub(super) struct Puller {
    link: Arc<Link>,
    subject: String,
    inbox: String,
    messages: Subscriber,
    connections: watch::Receiver<u64>,
    /// What was asked for and has not come.
    open: usize,
    until: Instant,
    /// How much more there was when the last message came.
    more: u64,
}

impl Puller {
    pub(super) async fn new(link: &Arc<Link>, stream: &str) -> Result<Self, Reason> {
        let inbox = link.client.new_inbox();
        let messages =
            link.client.subscribe(inbox.clone()).await.map_err(|error| Reason::Refused(error.to_string()))?;
        Ok(Self {
            subject: format!("$JS.API.CONSUMER.MSG.NEXT.{}.{WORKERS}", link.names.stream(stream)),
            link: Arc::clone(link),
            inbox,
            messages,
            connections: link.happened.connections(),
            open: 0,
            until: Instant::now(),
            more: 0,
        })
    }

    /// The next message, asking for as many as there are `free` places. What was asked for before comes even where none
    /// is free any more. May be cancelled, and loses none.
    pub(super) async fn next(&mut self, free: usize) -> Message {
        loop {
            let is_over = self.open == 0 || Instant::now() >= self.until;
            if is_over && free > 0 {
                self.ask(free).await;
            }
            tokio::select! {
                biased;
                message = self.messages.next() => match message {
                    Some(message) => if let Some(message) = self.take(message).await { return message },
                    // The client is closed, with the process.
                    None => std::future::pending().await,
                },
                // What was asked of a server that is gone is lost.
                Ok(()) = self.connections.changed() => self.open = 0,
                () = tokio::time::sleep_until(self.until), if self.open > 0 && free > 0 => {}
            }
        }
    }

    /// No more is asked for. What came meanwhile, to be given back.
    pub(super) async fn close(mut self) -> Vec<Message> {
        let mut left = Vec::new();
        // What the server has sent before it hears of this comes still.
        let _ = self.messages.drain().await;
        let end = Instant::now() + Duration::from_secs(2);
        while let Ok(Some(message)) = tokio::time::timeout_at(end, self.messages.next()).await {
            if message.status.is_none() {
                left.extend(self.take(message).await);
            }
        }
        left
    }

    async fn ask(&mut self, free: usize) {
        let most = if self.more > 1000 { MANY } else { FEW };
        self.open = free.min(most);
        self.until = Instant::now() + STANDS + Duration::from_secs(1);
        let nanos = u64::try_from(STANDS.as_nanos()).unwrap_or(u64::MAX);
        let question = json!({ "batch": self.open, "expires": nanos }).to_string();
        let sent = self.link.client.publish_with_reply(self.subject.clone(), self.inbox.clone(), question.into()).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "asking for work");
        }
    }

    /// A message, or what the server says of the request.
    async fn take(&mut self, message: async_nats::Message) -> Option<Message> {
        match message.status.unwrap_or(StatusCode::OK) {
            StatusCode::OK => {
                self.open = self.open.saturating_sub(1);
                let message = Message { message, context: self.link.context.clone() };
                self.more = message.info().map_or(0, |info| info.pending);
                return Some(message);
            }
            StatusCode::IDLE_HEARTBEAT => {}
            // The time is over: it is asked again.
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => (self.open, self.more) = (0, 0),
            // No stream, no consumer, no leader: they come again.
            status => {
                tracing::debug!(%status, description = message.description, "asking for work");
                self.link.pause().await;
                self.open = 0;
            }
        }
        None
    }
}
