//! One stream with several readers.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream};
use tokio::time::{Instant, Sleep};

use crate::content::{Cause, Error};

/// How far the fastest reader may be ahead of the slowest, in bytes; so much memory a shared blob takes.
const AHEAD: usize = 1 << 20;
/// How long, in all, the slow readers of one blob may hold up the others.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reader of a shared stream: has all its pieces, from the first on.
///
/// All readers move at the pace of the slowest, as long as that costs the others no more than a moment in all. One that
/// costs more is left behind: its stream ends with [`Cause::LeftBehind`].
pub(in super::super) struct Tap<B> {
    flow: Arc<Flow<B>>,
    id: usize,
    /// Since when it waits for slower ones, and until when it will.
    held_up: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// What the readers share.
pub(super) struct Flow<B> {
    state: Mutex<State<B>>,
    wakers: Arc<Wakers>,
}

struct State<B> {
    /// None when it has ended.
    stream: Option<Pin<Box<B>>>,
    failed: Option<Error>,
    /// Bytes that the stream has yet to give.
    to_come: u64,
    /// The pieces that somebody has yet to read, or that a new reader would need.
    pieces: VecDeque<Bytes>,
    /// The number of the first of them.
    first: usize,
    held: usize,
    /// The number of the piece that each reader reads next.
    readers: HashMap<usize, usize>,
    /// How many readers there have been.
    ids: usize,
    patience: Duration,
}

/// What a reader finds.
enum Found {
    Piece(Bytes),
    Failed(Error),
    End,
    /// The stream has to give more.
    Dry,
    /// Slower readers have to take more.
    Full,
}

impl<B: Stream<Item = Result<Bytes, Error>>> Flow<B> {
    /// Shares a stream of so many bytes.
    pub(super) fn new(stream: B, size: u64) -> Self {
        let state = State {
            stream: Some(Box::pin(stream)),
            failed: None,
            to_come: size,
            pieces: VecDeque::new(),
            first: 0,
            held: 0,
            readers: HashMap::new(),
            ids: 0,
            patience: PATIENCE,
        };
        Self { state: Mutex::new(state), wakers: Arc::default() }
    }

    /// Whether a new reader would get all of it.
    pub(super) fn has_beginning(&self) -> bool {
        self.state().has_beginning()
    }

    /// Leaves a reader behind as soon as it holds up another one.
    pub(super) fn wait_for_nobody(&self) {
        self.state().patience = Duration::ZERO;
    }
}

impl<B> Flow<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Stream<Item = Result<Bytes, Error>>> Tap<B> {
    pub(super) fn first(flow: &Arc<Flow<B>>) -> Self {
        Self::new(flow, &mut flow.state())
    }

    /// Another reader; `None` if it would not get all of the stream.
    pub(super) fn next(flow: &Arc<Flow<B>>) -> Option<Self> {
        let mut state = flow.state();
        state.has_beginning().then(|| Self::new(flow, &mut state))
    }

    fn new(flow: &Arc<Flow<B>>, state: &mut State<B>) -> Self {
        state.ids += 1;
        state.readers.insert(state.ids, 0);
        Self { flow: Arc::clone(flow), id: state.ids, held_up: None }
    }

    /// Waits for slower readers. Returns whether they have been left behind.
    fn wait_for_others(&mut self, state: &mut State<B>, cx: &mut Context<'_>) -> bool {
        let (_, timer) =
            self.held_up.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(state.patience))));
        let is_over = timer.poll_unpin(cx).is_ready();
        if is_over {
            state.leave_slowest_behind();
        }
        is_over
    }

    /// Nobody holds this reader up any longer.
    fn go_on(&mut self, state: &mut State<B>) {
        if let Some((since, _)) = self.held_up.take() {
            state.patience = state.patience.saturating_sub(since.elapsed());
        }
    }
}

impl<B: Stream<Item = Result<Bytes, Error>>> Stream for Tap<B> {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let flow = Arc::clone(&this.flow);
        let mut state = flow.state();
        loop {
            let found = state.find(this.id);
            match found {
                // Before the stream is asked: whatever changes from here on wakes this reader.
                Found::Full | Found::Dry => flow.wakers.add(this.id, cx.waker()),
                _ => flow.wakers.remove(this.id),
            }
            if !matches!(found, Found::Full) {
                this.go_on(&mut state);
            }
            let item = match found {
                Found::Piece(piece) => Some(Ok(piece)),
                Found::Failed(error) => Some(Err(error)),
                Found::End => None,
                Found::Full if this.wait_for_others(&mut state, cx) => continue,
                Found::Dry if state.draw(&flow.wakers) => continue,
                Found::Full | Found::Dry => return Poll::Pending,
            };
            drop(state);
            flow.wakers.wake_by_ref();
            return Poll::Ready(item);
        }
    }
}

impl<B> Drop for Tap<B> {
    fn drop(&mut self) {
        let mut state = self.flow.state();
        state.readers.remove(&self.id);
        let abandoned = state.abandon();
        drop(state);
        drop(abandoned);
        self.flow.wakers.remove(self.id);
        self.flow.wakers.wake_by_ref();
    }
}

impl<B> State<B> {
    /// Whether a new reader would get all of it.
    fn has_beginning(&self) -> bool {
        self.first == 0 && self.failed.is_none()
    }

    /// Gives up a stream that nobody reads any more, with the connection that it holds: who means to join waits for one
    /// of its own, and the two would be had in the wrong order. If all of it was read, its pieces stay at hand.
    fn abandon(&mut self) -> Option<Pin<Box<B>>> {
        let abandoned = self.readers.is_empty().then(|| self.stream.take()).flatten()?;
        if self.to_come > 0 {
            self.failed.get_or_insert_with(left_behind);
        }
        Some(abandoned)
    }
}

impl<B: Stream<Item = Result<Bytes, Error>>> State<B> {
    /// What comes next for a reader; a piece counts as read.
    fn find(&mut self, id: usize) -> Found {
        let Some(next) = self.readers.get_mut(&id) else {
            return Found::Failed(left_behind());
        };
        if let Some(piece) = self.pieces.get(*next - self.first) {
            *next += 1;
            return Found::Piece(piece.clone());
        }
        if let Some(error) = &self.failed {
            return Found::Failed(error.clone());
        }
        match self.stream.is_some() {
            false => Found::End,
            true if self.is_full() => Found::Full,
            true => Found::Dry,
        }
    }

    /// Takes the next piece from the stream. Returns whether there is something new.
    fn draw(&mut self, wakers: &Arc<Wakers>) -> bool {
        let waker = Waker::from(Arc::clone(wakers));
        let Some(stream) = &mut self.stream else { return true };
        match stream.as_mut().poll_next(&mut Context::from_waker(&waker)) {
            Poll::Pending => return false,
            Poll::Ready(Some(Ok(piece))) => {
                self.held += piece.len();
                self.to_come = self.to_come.saturating_sub(piece.len() as u64);
                self.pieces.push_back(piece);
            }
            Poll::Ready(Some(Err(error))) => self.failed = Some(error),
            Poll::Ready(None) => self.stream = None,
        }
        true
    }

    /// Whether there is no room for more; what all have read makes room.
    fn is_full(&mut self) -> bool {
        let slowest = self.readers.values().copied().min().unwrap_or(usize::MAX);
        while self.first < slowest
            && (self.held > AHEAD || self.first > 0)
            && let Some(read) = self.pieces.pop_front()
        {
            self.first += 1;
            self.held -= read.len();
        }
        self.held > AHEAD
    }

    fn leave_slowest_behind(&mut self) {
        let first = self.first;
        self.readers.retain(|_, next| *next > first);
        self.patience = Duration::ZERO;
    }
}

fn left_behind() -> Error {
    Error::new("sharing a blob's bytes between targets", Cause::LeftBehind)
}

/// Wakes all readers, since any of them may be the one that polls the stream.
#[derive(Default)]
struct Wakers(Mutex<HashMap<usize, Waker>>);

impl Wakers {
    fn add(&self, id: usize, waker: &Waker) {
        self.wakers().insert(id, waker.clone());
    }

    fn remove(&self, id: usize) {
        self.wakers().remove(&id);
    }

    fn wakers(&self) -> MutexGuard<'_, HashMap<usize, Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken: Vec<Waker> = self.wakers().drain().map(|(_, waker)| waker).collect();
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt, stream};

    const PIECE: usize = 64 << 10;

    fn pieces(count: usize) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin {
        stream::iter((0..count).map(|n| Ok(Bytes::from(vec![u8::try_from(n % 251).unwrap(); PIECE]))))
    }

    fn size(pieces: usize) -> u64 {
        (pieces * PIECE) as u64
    }

    async fn read<B: Stream<Item = Result<Bytes, Error>>>(tap: Tap<B>) -> Result<usize, Error> {
        let mut tap = std::pin::pin!(tap);
        let mut count = 0;
        while let Some(piece) = tap.next().await {
            assert_eq!(piece?[0], u8::try_from(count % 251).unwrap());
            count += 1;
        }
        Ok(count)
    }

    #[tokio::test(start_paused = true)]
    async fn all_readers_get_all_pieces_in_order() {
        let flow = Arc::new(Flow::new(pieces(100), size(100)));
        let (a, b) = (Tap::first(&flow), Tap::next(&flow).unwrap());
        let (a, b) = tokio::join!(tokio::spawn(read(a)), tokio::spawn(read(b)));
        assert_eq!((a.unwrap().unwrap(), b.unwrap().unwrap()), (100, 100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_holds_the_others_for_a_moment_only() {
        let flow = Arc::new(Flow::new(pieces(100), size(100)));
        let (fast, mut slow) = (Tap::first(&flow), Tap::next(&flow).unwrap());
        let started = Instant::now();
        assert_eq!(read(fast).await.unwrap(), 100);
        assert_eq!(started.elapsed(), PATIENCE);
        assert!(slow.next().await.unwrap().unwrap_err().is_left_behind());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_only_a_little_slower_stays() {
        let flow = Arc::new(Flow::new(pieces(200), size(200)));
        let (fast, slow) = (Tap::first(&flow), Tap::next(&flow).unwrap());
        let slowly = async {
            let mut slow = slow;
            let mut count = 0;
            while let Some(piece) = slow.next().await {
                piece.unwrap();
                count += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            count
        };
        let (fast, slow) = tokio::join!(read(fast), slowly);
        assert_eq!((fast.unwrap(), slow), (200, 200));
    }

    #[tokio::test(start_paused = true)]
    async fn the_beginning_is_kept_for_a_while() {
        let flow = Arc::new(Flow::new(pieces(100), size(100)));
        let mut first = Tap::first(&flow);
        for _ in 0..16 {
            first.next().await.unwrap().unwrap();
        }
        assert!(flow.has_beginning());
        let late = Tap::next(&flow).unwrap();
        drop(first);
        assert_eq!(read(late).await.unwrap(), 100);
        assert!(!flow.has_beginning() && Tap::next(&flow).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_any_more_is_let_go() {
        let connection = Arc::new(());
        let held = Arc::clone(&connection);
        let flow = Arc::new(Flow::new(pieces(100).inspect(move |_| drop(Arc::clone(&held))), size(100)));
        let mut only = Tap::first(&flow);
        only.next().await.unwrap().unwrap();

        drop(only);

        assert_eq!(Arc::strong_count(&connection), 1);
        assert!(!flow.has_beginning() && Tap::next(&flow).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_to_its_last_byte_is_kept_for_who_comes_late() {
        let flow = Arc::new(Flow::new(pieces(3), size(3)));
        let mut first = Tap::first(&flow);
        for _ in 0..3 {
            first.next().await.unwrap().unwrap();
        }
        drop(first);
        assert_eq!(read(Tap::next(&flow).unwrap()).await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_the_stream_is_everybodys() {
        let broken = Error::new("reading", Cause::Broken("gone".into()));
        let flow = Arc::new(Flow::new(pieces(3).chain(stream::iter([Err(broken)])), size(4)));
        let taps = [Tap::first(&flow), Tap::next(&flow).unwrap()];
        for tap in taps {
            assert!(read(tap).await.unwrap_err().is_break());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_polled_the_stream_may_go_away_and_the_others_are_woken() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let flow = Arc::new(Flow::new(Box::pin(stream::poll_fn(move |cx| receiver.poll_recv(cx))), 1));
        let (mut first, second) = (Tap::first(&flow), Tap::next(&flow).unwrap());
        let second = tokio::spawn(read(second));
        tokio::task::yield_now().await;
        assert!(first.next().now_or_never().is_none());
        drop(first);
        sender.send(Ok(Bytes::from(vec![0]))).unwrap();
        drop(sender);
        assert_eq!(second.await.unwrap().unwrap(), 1);
    }
}
