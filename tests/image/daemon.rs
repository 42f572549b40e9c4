//! The image as it is run without arguments: `serve` with the configuration that is mounted.

use std::fs;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::container::Container;

/// Whatever takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Between finding a free port and the daemon's taking it, another test may be quicker. Then this is in its log.
const ATTEMPTS: usize = 5;
const LOST: &str = "Address already in use";

/// Where the image expects its configuration.
pub(crate) const CONFIG: &str = "/etc/regferry/regferry.toml";

/// A container that is ready.
pub(crate) struct Daemon {
    container: Container,
    _config: Mounted,
}

impl Daemon {
    pub(crate) async fn start(config: &str) -> Self {
        for _ in 0..ATTEMPTS {
            let address = free_address();
            let daemon = Self::start_at(&address, config).await;
            // Its own log tells who has the port: another's daemon may answer there.
            let told = async |what: &str| daemon.log().await.contains(what);
            daemon.until("listening", async || told("serving").await || told(LOST).await).await;
            if told("serving").await {
                let ready = async || get(&address, "/readyz").await.is_some_and(|answer| answer.contains("200 OK"));
                daemon.until("ready", ready).await;
                return daemon;
            }
        }
        panic!("there was no free port in {ATTEMPTS} attempts");
    }

    async fn start_at(address: &str, config: &str) -> Self {
        let (config, listen) = (Mounted::config(config), format!("REGFERRY_LISTEN={address}"));
        let container = Container::create(&["--volume", &config.volume(), "--env", &listen], &[]).await;
        container.start().await;
        Self { container, _config: config }
    }

    pub(crate) async fn until(&self, what: &str, look: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !look().await {
            assert!(started.elapsed() < LIMIT, "not {what} in {LIMIT:?}\n{}", self.container.log().await);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Deref for Daemon {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

/// A configuration for a container, readable by anybody.
pub(crate) struct Mounted(tempfile::NamedTempFile);

impl Mounted {
    pub(crate) fn config(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().expect("the temporary directory is writable");
        fs::write(file.path(), text).expect("the file is ours");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).expect("the file is ours");
        Self(file)
    }

    pub(crate) fn volume(&self) -> String {
        format!("{}:{CONFIG}:ro", self.0.path().display())
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}

async fn get(address: &str, path: &str) -> Option<String> {
    let mut socket = TcpStream::connect(address).await.ok()?;
    socket.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await.ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}
