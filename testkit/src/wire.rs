//! A socket that knows when everything written has really left.
//!
//! A body that fails makes hyper close the connection at once, with whatever is still in its
//! buffer. A fault that promises to cut a body after so many bytes has to wait until those bytes
//! are out: hyper flushes the socket only when its own buffer is empty, so the first flush after
//! the last byte is the sign.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const IDLE: u8 = 0;
const AWAITED: u8 = 1;
const DONE: u8 = 2;

/// Tells a body that its bytes are out. Body and socket are polled by one task, so there is no race
/// to lose.
#[derive(Clone, Debug, Default)]
pub(super) struct Flushed(Arc<AtomicU8>);

impl Flushed {
    /// Ready once the socket was flushed after the first call; the flush wakes the task.
    pub(super) fn poll(&self) -> Poll<()> {
        match self.0.load(Relaxed) {
            DONE => Poll::Ready(()),
            _ => {
                self.0.store(AWAITED, Relaxed);
                Poll::Pending
            }
        }
    }

    fn mark(&self, cx: &Context<'_>) {
        if self.0.compare_exchange(AWAITED, DONE, Relaxed, Relaxed).is_ok() {
            cx.waker().wake_by_ref();
        }
    }
}

/// A connection's socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: TcpStream,
    flushed: Flushed,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket, flushed: Flushed(Arc::new(AtomicU8::new(IDLE))) }
    }

    pub(super) fn flushed(&self) -> Flushed {
        self.flushed.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.flushed.mark(cx);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
