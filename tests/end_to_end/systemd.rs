//! What systemd is told, by a socket in its place.

use std::time::{Duration, Instant};

use testkit::FakeRegistry;
use testkit::content::hello_world;
use tokio::net::UnixDatagram;
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::support::Ferry;

/// Who listens in systemd's place, and the daemon that tells.
struct Told {
    socket: UnixDatagram,
    daemon: Daemon,
    config: String,
}

impl Told {
    /// A daemon under a watchdog of one second.
    async fn start() -> Self {
        let (source, target) = (FakeRegistry::start().await, FakeRegistry::start().await);
        source.seed("app", "v1", &hello_world());
        let config =
            format!("[[rules]]\nname = 'app'\nsource = '{}/app'\ntarget = '{}/app'\n", source.host(), target.host());
        let ferry = Ferry::new(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]).config(&config);
        let path = ferry.home().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let path = path.to_str().expect("a path of UTF-8");
        let daemon = Daemon::of(ferry.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "1000000")).await;
        Self { socket, daemon, config }
    }

    /// The next message; signs of life are passed over.
    async fn next(&self) -> Vec<String> {
        loop {
            let message = self.any().await;
            if message != ["WATCHDOG=1"] {
                return message;
            }
        }
    }

    async fn any(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let received = timeout(Duration::from_secs(60), self.socket.recv(&mut message)).await;
        let length = received.expect("systemd is told").expect("a message");
        String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn it_is_told_of_readiness_reloads_and_the_end() {
    let told = Told::start().await;
    assert_eq!(told.next().await, ["READY=1", "STATUS=rules in force: 1"]);

    told.daemon.signal("HUP");
    let reloading = told.next().await;
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(told.next().await, ["READY=1", "STATUS=rules in force: 1"]);

    told.daemon.rewrite("regferry.toml", &told.config.replace("source", "sauce"));
    assert_eq!(told.next().await[0], "RELOADING=1");
    let refused = told.next().await;
    assert_eq!(refused[0], "READY=1");
    assert!(refused[1].starts_with("STATUS=the configuration on disk is refused"), "{refused:?}");

    told.daemon.signal("TERM");
    assert_eq!(told.next().await, ["STOPPING=1", "EXTEND_TIMEOUT_USEC=31000000"]);
    assert_eq!(told.daemon.ended().await.code, Some(143));
}

#[tokio::test]
async fn signs_of_life_come_twice_as_often_as_they_are_wanted() {
    let half = Duration::from_millis(500);
    // Before the daemon is there: on a busy machine messages wait in the socket, and are read one right after the other.
    let begun = Instant::now();
    let told = Told::start().await;
    let mut came = Vec::new();
    while came.len() < 8 {
        if told.any().await == ["WATCHDOG=1"] {
            came.push(Instant::now());
        }
    }
    assert!(begun.elapsed() >= 7 * half, "no more often: {:?}", begun.elapsed());
    let quickest = came.windows(2).map(|two| two[1] - two[0]).min();
    assert!(quickest < Some(half * 3 / 2), "no more seldom: {quickest:?}");
}
