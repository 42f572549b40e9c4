//! A proxy before a registry that passes everything on faithfully, but for the faults that it
//! commits at random.
//!
//! What is struck, and how, hangs on the seed, on what is asked for and on how often it was asked
//! before; not on the order in which requests arrive, which no two runs share.

mod body;
mod dice;
mod harm;
mod options;
mod proxy;
mod tally;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use harm::Harm;
pub use options::Builder;
pub use tally::Tally;

use dice::Dice;
use options::Options;
use tally::Counters;

/// Stands before a registry, on a loopback port of its own: on the current tokio runtime, until it
/// is dropped.
///
/// The `Host` header passes as it is, so that a registry which makes URLs of it, as distribution
/// does, sends the client back here.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use testkit::{Chaos, DistributionServer, Harm};
///
/// let registry = DistributionServer::start();
/// let chaos = Chaos::before(registry.host()).seed(7).often(Harm::CutAnswer, 0.2).start().await;
/// // … what is tested talks to `chaos.host()` …
/// chaos.calm();
/// println!("{}", chaos.tally());
/// # }
/// ```
#[derive(Debug)]
pub struct Chaos {
    host: String,
    shared: Arc<Shared>,
    proxy: AbortHandle,
}

// What the connections and the test's handle have in common.
#[derive(Debug)]
struct Shared {
    registry: String,
    dice: Dice,
    stall: Duration,
    calm: AtomicBool,
    counters: Counters,
}

impl Chaos {
    /// A proxy before the registry at `host:port`; without further ado it commits no faults.
    #[must_use]
    pub fn before(registry: &str) -> Builder {
        Builder::new(registry)
    }

    async fn start_with(options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let host = listener.local_addr().expect("a bound socket has an address").to_string();
        let shared = Arc::new(Shared {
            registry: options.registry,
            dice: Dice::new(options.seed, options.rates),
            stall: options.stall,
            calm: AtomicBool::new(false),
            counters: Counters::default(),
        });
        let proxy = tokio::spawn(proxy::accept(listener, Arc::clone(&shared))).abort_handle();
        Self { host, shared, proxy }
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Commits no faults from now on.
    pub fn calm(&self) {
        self.shared.calm.store(true, Relaxed);
    }

    /// What it has passed on and done so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.shared.counters.snapshot()
    }
}

impl Drop for Chaos {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}
