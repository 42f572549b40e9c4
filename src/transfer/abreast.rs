//! Work of the same kind, a few pieces at a time.

use futures_util::{Stream, StreamExt, stream};

/// Waits for all of them, a few at a time.
pub(super) async fn side_by_side<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    abreast(work).collect().await
}

/// What comes of each, in their order, a few being worked at ahead.
pub(super) fn abreast<T>(work: impl Iterator<Item = impl Future<Output = T>>) -> impl Stream<Item = T> {
    const AT_ONCE: usize = 8;
    let work: Vec<_> = work.collect();
    stream::iter(work).buffered(AT_ONCE)
}
