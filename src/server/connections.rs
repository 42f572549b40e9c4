//! The connections of those who ask. Few are open at once, and none for ever: whoever asks may go away without a word, or
//! mean no good.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Many times what scrapes and health checks need, and some open pages. For who comes then the oldest makes room: pages
/// that nobody looks at are not to keep a health check waiting, which would end the process.
const MOST: usize = 64;

/// With those who are making room. Who comes then waits.
const MOST_OF_ALL: usize = 2 * MOST;

/// A request's head has to be there so long after the connection or the last answer: scrapes a minute apart share one.
const IDLE: Duration = Duration::from_secs(75);

/// The longest head of a request, in bytes: browsers with cookies of many others send a few KiB.
const LONGEST_HEAD: usize = 64 << 10;

/// Then a connection takes no more requests.
const LONGEST: Duration = Duration::from_secs(300);

/// An answer that is not read by then is dropped with its connection.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// Serves until `stop` is done; then requests under way are answered. Dropped, it closes every connection.
pub(super) async fn serve(mut listener: impl Listener, router: Router, stop: impl Future<Output = ()>) {
    let (mut open, mut oldest_first, stopping) = (JoinSet::new(), VecDeque::new(), CancellationToken::new());
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = open.join_next() => {}
            (io, _) = listener.accept(), if open.len() < MOST_OF_ALL => {
                make_room(&mut oldest_first);
                let closing = stopping.child_token();
                let connection = open.spawn(converse(io, router.clone(), closing.clone()));
                oldest_first.push_back((connection, closing));
            }
        }
    }
    drop(listener);
    stopping.cancel();
    while open.join_next().await.is_some() {}
}

fn make_room(oldest_first: &mut VecDeque<(AbortHandle, CancellationToken)>) {
    oldest_first.retain(|(connection, closing)| !connection.is_finished() && !closing.is_cancelled());
    if oldest_first.len() >= MOST
        && let Some((_, closing)) = oldest_first.pop_front()
    {
        closing.cancel();
    }
}

/// Answers requests of one connection, until it is told to close. What breaks it is of no interest to anybody here.
async fn converse(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    closing: CancellationToken,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(LONGEST_HEAD);
    let connection = builder.serve_connection(TokioIo::new(io), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = closing.cancelled() => {}
        () = sleep(LONGEST) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::mpsc;
    use tokio::time::Instant;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;

    const REQUEST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n";
    const LARGE_REQUEST: &[u8] = b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n";

    /// A place to connect to in memory, so that paused time goes on only when nothing is left to do.
    struct Place(mpsc::UnboundedReceiver<DuplexStream>);

    impl Listener for Place {
        type Io = DuplexStream;
        type Addr = ();

        async fn accept(&mut self) -> (DuplexStream, ()) {
            match self.0.recv().await {
                Some(io) => (io, ()),
                None => std::future::pending().await,
            }
        }

        fn local_addr(&self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Server {
        place: mpsc::UnboundedSender<DuplexStream>,
        stop: CancellationToken,
        serving: AbortOnDropHandle<()>,
    }

    impl Server {
        fn start() -> Self {
            let ((place, listener), stop) = (mpsc::unbounded_channel(), CancellationToken::new());
            let large = get(|| async { "large\n".repeat(100_000) });
            let router = Router::new().route("/livez", get(|| async { "ok\n" })).route("/large", large);
            let serving = tokio::spawn(serve(Place(listener), router, stop.clone().cancelled_owned()));
            Self { place, stop, serving: AbortOnDropHandle::new(serving) }
        }

        fn connect(&self) -> DuplexStream {
            let (ours, theirs) = duplex(1024);
            self.place.send(theirs).unwrap();
            ours
        }
    }

    async fn ask(connection: &mut DuplexStream) {
        connection.write_all(REQUEST).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok\n") {
            assert_ne!(connection.read_buf(&mut answer).await.unwrap(), 0, "{}", answer.escape_ascii());
        }
    }

    /// When the other side closes, whatever it says before.
    async fn closed(connection: &mut DuplexStream) -> Instant {
        let _ = connection.read_to_end(&mut Vec::new()).await;
        Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_kept_between_scrapes_and_closed_when_nothing_is_asked_any_more() {
        let (server, begun) = (Server::start(), Instant::now());
        let mut connection = server.connect();
        for _ in 0..2 {
            ask(&mut connection).await;
            sleep(Duration::from_secs(60)).await;
        }
        ask(&mut connection).await;

        assert_eq!(closed(&mut connection).await - begun, Duration::from_secs(120) + IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_does_not_come_to_the_end_of_it_is_closed() {
        let server = Server::start();
        for said in ["", "GET /livez HTTP/1.1\r\n", "GET /livez HTTP/1.1\r\nHost: "] {
            let begun = Instant::now();
            let mut connection = server.connect();
            connection.write_all(said.as_bytes()).await.unwrap();

            assert_eq!(closed(&mut connection).await - begun, IDLE, "{said:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_without_end_is_refused() {
        let server = Server::start();
        let (mut answers, mut connection) = tokio::io::split(server.connect());
        let head = format!("GET /livez HTTP/1.1\r\nHost: here\r\nX: {}", "x".repeat(2 * LONGEST_HEAD));
        let sending = async { drop(connection.write_all(head.as_bytes()).await) };
        let mut answer = Vec::new();
        let reading = async { drop(answers.read_to_end(&mut answer).await) };

        tokio::join!(sending, reading);

        assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", answer.escape_ascii());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_asked_again_and_again_is_not_kept_for_ever() {
        let (server, begun) = (Server::start(), Instant::now());
        let mut connection = server.connect();
        while connection.write_all(REQUEST).await.is_ok() && connection.read(&mut [0; 1024]).await.unwrap() > 0 {
            assert!(begun.elapsed() <= LONGEST, "it is kept");
            sleep(Duration::from_secs(30)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_dropped() {
        let server = Server::start();
        let mut connection = server.connect();
        connection.write_all(LARGE_REQUEST).await.unwrap();

        sleep(LONGEST + LAST_ANSWER + Duration::from_secs(1)).await;

        assert!(connection.write_all(b"x").await.is_err(), "nobody listens");
    }

    #[tokio::test(start_paused = true)]
    async fn for_who_comes_when_all_connections_are_taken_the_oldest_is_closed() {
        let (server, begun) = (Server::start(), Instant::now());
        let mut idle: Vec<DuplexStream> = (0..MOST).map(|_| server.connect()).collect();
        for connection in &mut idle {
            ask(connection).await;
        }

        ask(&mut server.connect()).await;

        assert_eq!(closed(&mut idle[0]).await, begun);
        for connection in &mut idle[1..] {
            ask(connection).await;
        }
        assert_eq!(Instant::now(), begun);
    }

    #[tokio::test(start_paused = true)]
    async fn answers_without_end_keep_nobody_waiting_for_long() {
        let (server, begun) = (Server::start(), Instant::now());
        let mut reading = Vec::new();
        for _ in 0..MOST_OF_ALL {
            let mut connection = server.connect();
            connection.write_all(LARGE_REQUEST).await.unwrap();
            connection.read_u8().await.unwrap();
            reading.push(connection);
        }

        ask(&mut server.connect()).await;

        assert_eq!(begun.elapsed(), LAST_ANSWER);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_closes_what_is_idle_and_lets_answers_under_way_be_read() {
        let (server, begun) = (Server::start(), Instant::now());
        let (mut idle, mut reading) = (server.connect(), server.connect());
        ask(&mut idle).await;
        reading.write_all(LARGE_REQUEST).await.unwrap();
        reading.read_u8().await.unwrap();

        server.stop.cancel();

        let mut answer = Vec::new();
        reading.read_to_end(&mut answer).await.unwrap();
        assert!(answer.len() > 600_000, "{}", answer.len());
        server.serving.await.unwrap();
        assert_eq!(closed(&mut idle).await, begun);
    }
}
