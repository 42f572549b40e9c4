//! A stream of bytes that is what it claims to be, or fails before it is complete.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, ready};

use super::{Cause, Error};
use crate::oci::{Descriptor, Digest, Hasher};

/// Hashes a blob's bytes as they pass, and lets the last of them through only if digest and size are right: a reader
/// that waits for the declared number of bytes can never complete on a wrong blob.
pub struct Verified<S> {
    inner: S,
    hasher: Option<Hasher>,
    received: u64,
    size: u64,
    digest: Digest,
    what: String,
}

impl<S> Verified<S> {
    /// Checks `inner` against the descriptor; `what` names the operation in errors.
    pub fn new(inner: S, blob: &Descriptor, what: String) -> Self {
        Self {
            inner,
            hasher: Some(blob.digest.hasher()),
            received: 0,
            size: blob.size,
            digest: blob.digest.clone(),
            what,
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Error> {
        self.received += piece.len() as u64;
        if self.received > self.size {
            return Err(self.mismatch(None));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
        if self.received == self.size { self.conclude() } else { Ok(()) }
    }

    /// Compares the digest, once: at the last byte, or at the end of a blob that has none.
    fn conclude(&mut self) -> Result<(), Error> {
        match self.hasher.take().map(Hasher::finish) {
            Some(actual) if self.received != self.size || actual != self.digest => Err(self.mismatch(Some(actual))),
            _ => Ok(()),
        }
    }

    fn mismatch(&mut self, actual: Option<Digest>) -> Error {
        self.hasher = None;
        let cause = Cause::Mismatch { digest: self.digest.clone(), size: self.size, actual, received: self.received };
        Error::new(self.what.clone(), cause)
    }
}

impl<S: Stream<Item = Result<Bytes, Error>> + Unpin> Stream for Verified<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        Poll::Ready(match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
            Some(Ok(piece)) => Some(this.take(&piece).map(|()| piece)),
            Some(Err(error)) => Some(Err(error)),
            None => this.conclude().err().map(Err),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use proptest::prelude::*;

    fn read(pieces: Vec<Vec<u8>>, blob: &Descriptor) -> (Vec<u8>, Option<Error>) {
        let inner = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
        let results =
            futures_util::FutureExt::now_or_never(Verified::new(inner, blob, "fetching".into()).collect::<Vec<_>>())
                .unwrap();
        let mut bytes = Vec::new();
        for result in results {
            match result {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(error) => return (bytes, Some(error)),
            }
        }
        (bytes, None)
    }

    fn descriptor(bytes: &[u8]) -> Descriptor {
        Descriptor {
            media_type: String::new(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            platform: None,
            artifact_type: None,
            annotations: None,
        }
    }

    proptest! {
        #[test]
        fn the_right_bytes_pass_however_they_are_cut(pieces: Vec<Vec<u8>>) {
            let whole = pieces.concat();
            let (bytes, error) = read(pieces, &descriptor(&whole));
            prop_assert!(error.is_none());
            prop_assert_eq!(bytes, whole);
        }

        #[test]
        fn wrong_bytes_never_reach_the_declared_size(sent: Vec<Vec<u8>>, meant: Vec<u8>) {
            prop_assume!(sent.concat() != meant);
            let (bytes, error) = read(sent, &descriptor(&meant));
            prop_assert!(error.is_some());
            prop_assert!(bytes.len() < meant.len() || bytes == meant);
        }
    }
}
