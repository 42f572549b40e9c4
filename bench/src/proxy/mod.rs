//! A proxy before a registry that counts, and makes every request wait.
//!
//! It passes bytes on as they are. docker-registry builds its `Location`s from the `Host` of the request, so that uploads
//! come through it too.

mod head;
mod kind;
mod relay;
mod tally;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) use kind::Kind;
pub(crate) use tally::Traffic;

use head::{Answered, Asked};
use relay::Relay;
use tally::Tally;

/// Listens on a loopback port until it is dropped.
pub(crate) struct Proxy {
    host: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    registry: String,
    delay: Duration,
    tally: Tally,
}

impl Proxy {
    /// Before a registry (`host:port`); every request waits so long before it is passed on.
    pub(crate) async fn before(registry: &str, delay: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared { registry: registry.to_owned(), delay, tally: Tally::default() });
        let server = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { host, shared, server })
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// All that has passed so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.shared.tally.traffic()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                let shared = Arc::clone(&shared);
                // A client that leaves early ends it with an error, which is the client's own affair.
                connections.spawn(async move { drop(connection(socket, &shared).await) });
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, shared: &Shared) -> Result<()> {
    let registry = TcpStream::connect(&shared.registry).await?;
    client.set_nodelay(true)?;
    registry.set_nodelay(true)?;
    shared.tally.connections.fetch_add(1, Relaxed);
    let (from_client, to_client) = client.into_split();
    let (from_registry, to_registry) = registry.into_split();
    let (asked, to_answer) = unbounded_channel();
    let there = Relay::new(from_client, to_registry, &shared.tally.sent);
    let back = Relay::new(from_registry, to_client, &shared.tally.received);
    // A client that has nothing more to ask may still wait for answers. When those end, so does all.
    let asking = async {
        let result = requests(there, asked, shared.delay).await;
        if result.is_ok() { std::future::pending().await } else { result }
    };
    tokio::select! {
        result = answers(back, to_answer, &shared.tally) => result,
        result = asking => result,
    }
}

async fn requests(mut relay: Relay<'_>, asked: UnboundedSender<(Kind, bool)>, delay: Duration) -> Result<()> {
    while let Some(head) = relay.head(Asked::read).await? {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        asked.send((head.kind, head.is_head))?;
        relay.message(head.length, head.body).await?;
    }
    Ok(())
}

async fn answers(mut relay: Relay<'_>, mut asked: UnboundedReceiver<(Kind, bool)>, tally: &Tally) -> Result<()> {
    while let Some(mut head) = relay.head(Answered::read).await? {
        let (kind, is_head) = asked.recv().await.context("an answer that nobody asked for")?;
        while head.is_interim() {
            relay.message(head.length, head.body(is_head)).await?;
            head = relay.head(Answered::read).await?.context("an answer after an interim one")?;
        }
        tally.answered(kind, head.status);
        relay.message(head.length, head.body(is_head)).await?;
    }
    Ok(())
}
