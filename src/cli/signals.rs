//! SIGINT and SIGTERM: the first asks everything to end cleanly, the second ends at once. SIGHUP asks a daemon to read its
//! configuration again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What the signals have said so far.
pub(super) struct Signals {
    pub(super) cancel: CancellationToken,
    code: Arc<AtomicU8>,
}

impl Signals {
    /// The exit code of a process stopped by a signal, if one came: 128 and its number.
    pub(super) fn code(&self) -> Option<u8> {
        Some(self.code.load(Ordering::Relaxed)).filter(|code| *code != 0)
    }
}

/// Listens from now on.
pub(super) fn listen() -> Signals {
    let signals = Signals { cancel: CancellationToken::new(), code: Arc::default() };
    for (kind, code) in [(SignalKind::interrupt(), 130), (SignalKind::terminate(), 143)] {
        // Without a handler the signal still ends the process, only less cleanly.
        let Ok(mut signal) = signal(kind) else { continue };
        let (cancel, stored) = (signals.cancel.clone(), Arc::clone(&signals.code));
        tokio::spawn(async move {
            while signal.recv().await.is_some() {
                if cancel.is_cancelled() {
                    std::process::exit(code.into());
                }
                stored.store(code, Ordering::Relaxed);
                cancel.cancel();
            }
        });
    }
    signals
}

/// Asks `again` on every SIGHUP from now on; without this it ends the process.
pub(super) fn on_hangup(again: Arc<Notify>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            again.notify_one();
        }
    });
}
