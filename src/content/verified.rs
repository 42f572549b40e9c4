//! A stream of bytes that is what it claims to be, or fails before it is complete.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use futures_util::{Stream, ready};

use super::{Cause, Error, Trail};
use crate::oci::{Descriptor, Digest, Hasher};

/// Hashes a blob's bytes as they pass, and lets the last of them through only if digest and size are right: a reader
/// that waits for the declared number of bytes can never complete on a wrong blob.
pub struct Verified<S> {
    inner: S,
    trail: Arc<Trail>,
    hasher: Option<Hasher>,
    received: u64,
    /// The reader has the bytes before this one.
    from: u64,
    size: u64,
    digest: Digest,
    what: String,
}

impl<S> Verified<S> {
    /// Checks `inner` against the descriptor, and yields its bytes from `from` on. The bytes that come begin at
    /// `position`, where the hash stood as `hasher` (see [`Trail::before`]). `what` names the operation in errors.
    pub fn new(inner: S, blob: &Descriptor, what: String, trail: &Arc<Trail>, from: u64) -> Self {
        let (position, hasher) = trail.before(from);
        Self {
            inner,
            trail: Arc::clone(trail),
            hasher: Some(hasher),
            received: position,
            from,
            size: blob.size,
            digest: blob.digest.clone(),
            what,
        }
    }

    /// Takes a piece in, and leaves of it what the reader does not have.
    fn take(&mut self, piece: &mut Bytes) -> Result<(), Error> {
        let (known, position) = (self.from.saturating_sub(self.received), self.received);
        self.received += piece.len() as u64;
        if self.received > self.size {
            return Err(self.mismatch(None));
        }
        if let Some(hasher) = &mut self.hasher {
            self.trail.follow(hasher, position, piece);
        }
        piece.advance(usize::try_from(known).map_or(piece.len(), |known| known.min(piece.len())));
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
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut this.inner).poll_next(cx)) {
                Some(Ok(mut piece)) => match this.take(&mut piece) {
                    Ok(()) if piece.is_empty() => continue,
                    taken => Some(taken.map(|()| piece)),
                },
                Some(Err(error)) => Some(Err(error)),
                None => this.conclude().err().map(Err),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};
    use proptest::prelude::*;

    fn read(pieces: Vec<Vec<u8>>, blob: &Descriptor) -> (Vec<u8>, Option<Error>) {
        read_on(pieces, blob, &Arc::new(Trail::of(blob)), 0)
    }

    fn read_on(pieces: Vec<Vec<u8>>, blob: &Descriptor, trail: &Arc<Trail>, from: u64) -> (Vec<u8>, Option<Error>) {
        let inner = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
        let verified = Verified::new(inner, blob, "fetching".into(), trail, from);
        let results = futures_util::FutureExt::now_or_never(verified.collect::<Vec<_>>()).unwrap();
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

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_blob_read_on_from_anywhere_is_hashed_as_a_whole(
            pieces in prop::collection::vec(1usize..1 << 20, 1..12),
            broke: prop::sample::Index,
            kept: prop::sample::Index,
            wrong: Option<prop::sample::Index>,
        ) {
            let whole: Vec<u8> = (0..pieces.iter().sum()).map(|i: usize| (i % 251) as u8).collect();
            let blob = descriptor(&whole);
            let trail = Arc::new(Trail::of(&blob));
            let broke = broke.index(whole.len());
            let cut = |bytes: &[u8]| bytes.chunks(pieces[0]).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let (before, _) = read_on(cut(&whole[..broke]), &blob, &trail, 0);
            prop_assert_eq!(before.len(), broke);

            let kept = kept.index(broke + 1);
            let begin = usize::try_from(trail.before(kept as u64).0).unwrap();
            prop_assert!(begin <= kept && kept - begin < 1 << 20);
            let mut rest = whole[begin..].to_vec();
            if let Some(wrong) = &wrong {
                let at = wrong.index(rest.len());
                rest[at] ^= 1;
            }
            let (after, error) = read_on(cut(&rest), &blob, &trail, kept as u64);
            if wrong.is_some() {
                prop_assert!(error.is_some() && kept + after.len() < whole.len());
            } else {
                prop_assert!(error.is_none(), "{:?}", error);
                prop_assert_eq!(&after[..], &whole[kept..]);
            }
        }
    }
}
