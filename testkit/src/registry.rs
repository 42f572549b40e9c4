//! A registry in memory, on a loopback port.
//!
//! [`FakeRegistry`] answers as distribution (v2.8, v3) does, records every request, and misbehaves
//! where a [`Fault`] says so. It is strict: a manifest whose parts are missing is refused, a blob
//! is visible only in repositories it was sent or mounted to, and an upload goes on only at the
//! newest `Location`.

mod answer;
mod arriving;
mod auth;
mod blobs;
mod contents;
mod fault;
mod hooks;
mod listings;
mod log;
mod manifests;
mod options;
mod payload;
mod pulls;
mod referrers;
mod route;
mod serve;
mod session;
mod store;
mod stored;
mod uploads;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use http::Method;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub use fault::{Effect, Fault};
pub use hooks::Held;
pub use log::Request;
pub use options::{Builder, Immutability};
pub use route::Endpoint;

use auth::Door;
use fault::Faults;
use hooks::Hooks;
use log::{Flights, Log};
use options::{Locations, Options};
use pulls::Pulls;
use session::Sessions;
use store::Store;

/// A registry that lives in the test: on the current tokio runtime, until it is dropped.
pub struct FakeRegistry {
    shared: Arc<Shared>,
    servers: Vec<AbortHandle>,
}

// What the connections and the test's handle have in common.
struct Shared {
    host: String,
    other_host: String,
    options: Options,
    door: Door,
    store: Mutex<Store>,
    sessions: Sessions,
    log: Log,
    flights: Arc<Flights>,
    pulls: Pulls,
    hooks: Hooks,
    faults: Faults,
}

impl Shared {
    // What a Location begins with.
    fn base(&self) -> String {
        match self.options.locations {
            Locations::Absolute | Locations::Elsewhere => format!("http://{}", self.host),
            Locations::Path | Locations::Query => String::new(),
        }
    }
}

impl FakeRegistry {
    /// Starts a registry that is empty, open to all and well-behaved.
    ///
    /// It answers only while the runtime runs: a test that blocks its thread, waiting for a process
    /// say, wants tokio's multi-threaded flavour or tokio's own way of waiting.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Starts with options.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    async fn start_with(options: Options) -> Self {
        let [(host, listener), (other_host, other_listener)] = [listen().await, listen().await];
        let shared = Arc::new(Shared {
            pulls: Pulls::new(options.quota),
            door: Door::new(options.lock.clone(), &host),
            host,
            other_host,
            options,
            store: Mutex::default(),
            sessions: Sessions::default(),
            log: Log::default(),
            flights: Arc::default(),
            hooks: Hooks::default(),
            faults: Faults::default(),
        });
        let servers = [listener, other_listener]
            .map(|listener| tokio::spawn(serve::accept(listener, Arc::clone(&shared))).abort_handle());
        Self { shared, servers: servers.into() }
    }

    /// `127.0.0.1:<port>`, as it stands in an image reference.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// Another port of the same registry: to a client another origin, with the same content. What a
    /// request says in `Host` tells which one it came to.
    #[must_use]
    pub fn other_host(&self) -> &str {
        &self.shared.other_host
    }
}

async fn listen() -> (String, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let host = listener.local_addr().expect("a bound socket has an address").to_string();
    (host, listener)
}

/// Watching it.
impl FakeRegistry {
    /// Every request since the start or the last [`clear_requests`](Self::clear_requests), in order
    /// of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.snapshot()
    }

    /// Forgets the requests so far; the next one is the first. Those in flight still count as such.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
        self.shared.flights.clear();
    }

    /// The number of requests with this verb to this part of the API, whatever the answer.
    #[must_use]
    pub fn count(&self, method: &Method, endpoint: Endpoint) -> usize {
        self.requests().iter().filter(|request| request.method == method && request.endpoint == endpoint).count()
    }

    /// The requests in one line, for an assertion's message: `HEAD manifest 1, GET blob 3`.
    #[must_use]
    pub fn summary(&self) -> String {
        log::summary(&self.requests())
    }

    /// The most requests that were in flight at once since the start or the last
    /// [`clear_requests`](Self::clear_requests): from their arrival until the last byte of the
    /// answer was given to the connection, or the connection closed.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.flights.most()
    }

    /// Calls back when the n-th request (from 1) arrives, before it is answered; at once if it has
    /// arrived already.
    pub fn on_request(&self, n: usize, callback: impl FnOnce() + Send + 'static) {
        self.shared.hooks.call(n, || self.shared.log.len(), callback);
    }

    /// Resolves when the n-th request (from 1) arrives, and holds it: it is answered when the
    /// returned [`Held`] is dropped. Counting begins with the call, not with the first poll.
    ///
    /// So a test can end a client at a known point: whatever stands beside this in a `select!` is
    /// dropped before the request goes on.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # use testkit::{FakeRegistry, client};
    /// let registry = FakeRegistry::start().await;
    /// tokio::select! {
    ///     _ = client::fetch_manifest(registry.host(), "app", "latest") => panic!("held for ever"),
    ///     _held = registry.after_requests(1) => {}
    /// }
    /// # }
    /// ```
    pub fn after_requests(&self, n: usize) -> impl Future<Output = Held> + Send + 'static {
        let reached = self.shared.hooks.hold(n, || self.shared.log.len());
        async {
            match reached.await {
                Ok(held) => held,
                // The registry is gone, so no request will ever be the n-th.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

/// Making it misbehave.
impl FakeRegistry {
    /// From now on requests that `fault` covers suffer `effect`. Of several faults that cover a
    /// request the one that was set first strikes. Requests that are turned away for want of
    /// credentials are never struck.
    pub fn fault(&self, fault: Fault, effect: Effect) {
        self.shared.faults.add(fault, effect);
    }

    /// Takes back all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// From now on the user's password is another one. Tokens that were issued stay good.
    ///
    /// # Panics
    /// If the registry knows no password.
    pub fn change_password(&self, password: &str) {
        self.shared.door.change_password(password);
    }

    /// Uses up a pull of the quota, as somebody else behind the same address would.
    pub fn spend_pull(&self) {
        self.shared.pulls.spend();
    }

    /// Makes every token that was issued so far worthless.
    pub fn revoke_tokens(&self) {
        self.shared.door.revoke();
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.servers.iter().for_each(AbortHandle::abort);
    }
}

impl std::fmt::Debug for FakeRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeRegistry").field("host", &self.shared.host).finish_non_exhaustive()
    }
}

// Every lock here is held for a few lines that do not panic; and if one did, the test has failed
// anyway.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
