//! A gate on the way to a registry: it lets so many bytes of the answers through, or of the requests, and then none
//! until it is opened. So a test has as long as it wants in the middle of a transfer, however fast the machine.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use crate::support::until;

/// Stands before a registry, on a port of its own, until it is dropped.
pub(crate) struct Gate {
    host: String,
    allowance: Arc<Semaphore>,
    doorman: AbortHandle,
}

/// Whose bytes are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Answers,
    Requests,
}

impl Gate {
    /// Lets `bytes` of the answers through.
    pub(crate) async fn before(registry: &str, bytes: usize) -> Self {
        Self::counting(Counted::Answers, registry, bytes).await
    }

    /// Lets `bytes` of the requests through.
    pub(crate) async fn before_uploads(registry: &str, bytes: usize) -> Self {
        Self::counting(Counted::Requests, registry, bytes).await
    }

    async fn counting(counted: Counted, registry: &str, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let host = listener.local_addr().expect("a bound socket has an address").to_string();
        let allowance = Arc::new(Semaphore::new(bytes));
        let doorman =
            tokio::spawn(stand(listener, registry.to_owned(), counted, Arc::clone(&allowance))).abort_handle();
        Self { host, allowance, doorman }
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Waits until something is held.
    pub(crate) async fn closed(&self) {
        until("bytes held by the gate", async || (self.allowance.available_permits() == 0).then_some(())).await;
    }

    /// Lets everything through from now on.
    pub(crate) fn open(&self) {
        self.allowance.close();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.doorman.abort();
    }
}

async fn stand(listener: TcpListener, registry: String, counted: Counted, allowance: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // A registry that is down refuses; here that shows as a connection closed at once.
        if let Ok(server) = TcpStream::connect(&registry).await {
            connections.spawn(join(client, server, counted, Arc::clone(&allowance)));
        }
    }
}

/// It ends when both sides have, for whatever reason; each side's end is passed on to the other.
async fn join(client: TcpStream, server: TcpStream, counted: Counted, allowance: Arc<Semaphore>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let of = |direction| (counted == direction).then_some(&*allowance);
    tokio::join!(
        pass(from_client, to_server, of(Counted::Requests)),
        pass(from_server, to_client, of(Counted::Answers)),
    );
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, allowance: Option<&Semaphore>) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let permits = u32::try_from(length).expect("a piece is small");
        if let Some(allowance) = allowance {
            // An error means that the gate is open.
            if let Ok(allowed) = allowance.acquire_many(permits).await {
                allowed.forget();
            }
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
