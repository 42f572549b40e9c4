//! A gate on the way to a registry: it lets so many bytes of the answers through, and then none until it is opened. So
//! a test has as long as it wants in the middle of a transfer, however fast the machine.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
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

impl Gate {
    /// Lets `bytes` through.
    pub(crate) async fn before(registry: &str, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let host = listener.local_addr().expect("a bound socket has an address").to_string();
        let allowance = Arc::new(Semaphore::new(bytes));
        let doorman = tokio::spawn(stand(listener, registry.to_owned(), Arc::clone(&allowance))).abort_handle();
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

async fn stand(listener: TcpListener, registry: String, allowance: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // A registry that is down refuses; here that shows as a connection closed at once.
        if let Ok(server) = TcpStream::connect(&registry).await {
            connections.spawn(join(client, server, Arc::clone(&allowance)));
        }
    }
}

async fn join(client: TcpStream, server: TcpStream, allowance: Arc<Semaphore>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let ask = async move {
        // It ends when either side does, for whatever reason; then the writing half is closed.
        let _ = copy(&mut from_client, &mut to_server).await;
    };
    tokio::join!(ask, answer(from_server, to_client, &allowance));
}

async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, allowance: &Semaphore) {
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let permits = u32::try_from(length).expect("a piece is small");
        // An error means that the gate is open.
        if let Ok(allowed) = allowance.acquire_many(permits).await {
            allowed.forget();
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
