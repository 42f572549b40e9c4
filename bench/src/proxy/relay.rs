//! Bytes of one direction of a connection, message by message.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::head::Body;

/// What is read at once: much, so that large bodies cost few calls.
const BUFFER: usize = 256 << 10;
const MOST_OF_A_HEAD: usize = 64 << 10;

/// From one socket to another.
pub(super) struct Relay<'a> {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    read: BytesMut,
    /// Bytes of bodies.
    counter: &'a AtomicU64,
}

impl<'a> Relay<'a> {
    pub(super) fn new(from: OwnedReadHalf, to: OwnedWriteHalf, counter: &'a AtomicU64) -> Self {
        Self { from, to, read: BytesMut::with_capacity(BUFFER), counter }
    }

    /// Waits until a head is read; `None` at the end of the connection.
    pub(super) async fn head<H>(&mut self, parse: impl Fn(&[u8]) -> Result<Option<H>>) -> Result<Option<H>> {
        loop {
            if let Some(head) = parse(&self.read)? {
                return Ok(Some(head));
            }
            if self.read.len() > MOST_OF_A_HEAD {
                bail!("a head without end");
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// Passes on a head and what follows it.
    pub(super) async fn message(&mut self, head: usize, body: Body) -> Result<()> {
        match body {
            Body::Sized(size) => {
                self.counter.fetch_add(size, Relaxed);
                self.pass(head as u64 + size).await
            }
            Body::Chunked => {
                self.pass(head as u64).await?;
                self.chunks().await
            }
            Body::Rest => {
                self.pass(head as u64).await?;
                self.rest().await
            }
        }
    }

    async fn chunks(&mut self) -> Result<()> {
        loop {
            let line = self.line().await?;
            let size = chunk_size(&self.read[..line])?;
            self.counter.fetch_add(size, Relaxed);
            if size == 0 {
                self.pass(line as u64).await?;
                return self.trailers().await;
            }
            self.pass(line as u64 + size + 2).await?;
        }
    }

    /// They end with an empty line.
    async fn trailers(&mut self) -> Result<()> {
        loop {
            let line = self.line().await?;
            self.pass(line as u64).await?;
            if line == 2 {
                return Ok(());
            }
        }
    }

    async fn rest(&mut self) -> Result<()> {
        loop {
            self.counter.fetch_add(self.read.len() as u64, Relaxed);
            self.pass(self.read.len() as u64).await?;
            if !self.more().await? {
                return Ok(());
            }
        }
    }

    /// Passes on so many bytes.
    async fn pass(&mut self, mut length: u64) -> Result<()> {
        while length > 0 {
            if self.read.is_empty() && !self.more().await? {
                bail!("the connection ended in the middle of a message");
            }
            let now = usize::try_from(length).unwrap_or(usize::MAX).min(self.read.len());
            self.to.write_all(&self.read[..now]).await?;
            self.read.advance(now);
            length -= now as u64;
        }
        Ok(())
    }

    /// The length of the line that is read next, with its end.
    async fn line(&mut self) -> Result<usize> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                return Ok(end + 2);
            }
            if !self.more().await? {
                bail!("the connection ended in the middle of a line");
            }
        }
    }

    /// Whether there was more to read.
    async fn more(&mut self) -> Result<bool> {
        self.read.reserve(BUFFER / 4);
        Ok(self.from.read_buf(&mut self.read).await? > 0)
    }
}

fn chunk_size(line: &[u8]) -> Result<u64> {
    let line = std::str::from_utf8(line)?.trim_end();
    let size = line.split(';').next().unwrap_or_default();
    u64::from_str_radix(size.trim(), 16).with_context(|| format!("{line:?} is no chunk's size"))
}
