//! A way to a server that can be cut, as a network is.
//!
//! [`Cut`] hands bytes on as they are, as slowly as it is told to. While it is cut, nothing goes either way, and no connection is closed: neither
//! side is told, as where a cable is pulled or a firewall drops what comes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// A proxy on a loopback port: on the current tokio runtime, until it is dropped.
#[derive(Debug)]
pub struct Cut {
    host: String,
    is_cut: watch::Sender<bool>,
    server: AbortHandle,
}

impl Cut {
    /// A way to `upstream`, a `host:port`.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn before(upstream: &str) -> Self {
        Self::start(upstream, None).await
    }

    /// A way to `upstream` that so many bytes a second come back on, for each connection.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn slowly(upstream: &str, bytes_per_second: u32) -> Self {
        Self::start(upstream, Some(bytes_per_second)).await
    }

    async fn start(upstream: &str, rate: Option<u32>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let host = listener.local_addr().expect("a bound socket has an address").to_string();
        let (is_cut, watched) = watch::channel(false);
        let server = tokio::spawn(accept(listener, upstream.into(), watched, rate)).abort_handle();
        Self { host, is_cut, server }
    }

    /// `127.0.0.1:<port>`
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// From now on nothing goes through.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// What was held goes on, and all that comes.
    pub fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Serves until the task is aborted, and its connections with it.
async fn accept(listener: TcpListener, upstream: Arc<str>, is_cut: watch::Receiver<bool>, rate: Option<u32>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(connection(socket, Arc::clone(&upstream), is_cut.clone(), rate));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

// Whatever ends it is one of the two sides' doing.
async fn connection(client: TcpStream, upstream: Arc<str>, mut is_cut: watch::Receiver<bool>, rate: Option<u32>) {
    if whole(&mut is_cut).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(&*upstream).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        _ = pass(from_client, to_server, is_cut.clone(), None) => {}
        _ = pass(from_server, to_client, is_cut, rate) => {}
    }
}

/// Hands on what comes, until one side ends. An end is told to the other side like everything else: not while it is cut.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut is_cut: watch::Receiver<bool>,
    rate: Option<u32>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut bytes).await;
        whole(&mut is_cut).await?;
        match count? {
            0 => return Ok(()),
            count => {
                to.write_all(&bytes[..count]).await?;
                if let Some(rate) = rate {
                    tokio::time::sleep(Duration::from_secs_f64(count as f64 / f64::from(rate))).await;
                }
            }
        }
    }
}

/// Waits until the way is whole.
async fn whole(is_cut: &mut watch::Receiver<bool>) -> io::Result<()> {
    is_cut.wait_for(|is_cut| !is_cut).await.map(drop).map_err(io::Error::other)
}
