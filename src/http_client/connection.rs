//! A connection, and what makes one in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection as IsConnection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::BoxError;
use super::proxies::Way;

/// Makes connections, each within a time.
#[derive(Clone)]
pub(super) struct Connector(Arc<(HttpsConnector<Way>, Option<Duration>)>);

impl Connector {
    pub(super) fn new(connector: HttpsConnector<Way>, timeout: Option<Duration>) -> Self {
        Self(Arc::new((connector, timeout)))
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Connection>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let (connector, timeout) = &*self.0;
        let connecting = connector.clone().call(destination);
        match *timeout {
            Some(timeout) => Box::pin(async move {
                let late = |_| BoxError::from(io::Error::from(io::ErrorKind::TimedOut));
                tokio::time::timeout(timeout, connecting).await.map_err(late)?
            }),
            None => connecting,
        }
    }
}

/// What TLS goes over, or plain HTTP: straight, or by way of a proxy.
pub(super) struct Connection {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    /// To a proxy that reads the requests: they name their destination whole.
    is_read: bool,
}

impl Connection {
    pub(super) fn direct(tcp: TokioIo<TcpStream>) -> Self {
        Self::tunnel(MaybeHttpsStream::Http(tcp))
    }

    pub(super) fn tunnel(io: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self { io, is_read: false }
    }

    pub(super) fn to_proxy(io: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        Self { io, is_read: true }
    }
}

impl IsConnection for Connection {
    fn connected(&self) -> Connected {
        self.io.connected().proxy(self.is_read)
    }
}

impl Read for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
