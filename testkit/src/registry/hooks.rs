//! Things a test does at the very moment a request arrives.

use std::sync::Mutex;

use tokio::sync::oneshot;

use super::locked;

/// Holds a request: the registry answers it when this is dropped. See
/// [`FakeRegistry::after_requests`](super::FakeRegistry::after_requests).
#[derive(Debug)]
pub struct Held {
    _release: oneshot::Sender<()>,
}

/// What waits for the n-th request.
#[derive(Default)]
pub(super) struct Hooks(Mutex<Vec<(usize, Hook)>>);

enum Hook {
    Call(Box<dyn FnOnce() + Send>),
    Hold(oneshot::Sender<Held>),
}

impl Hooks {
    /// Calls back when request `number` arrives, or now if `arrived` counts that far already.
    pub(super) fn call(&self, number: usize, arrived: impl Fn() -> usize, callback: impl FnOnce() + Send + 'static) {
        if let Some(hook) = self.register(number, arrived, Hook::Call(Box::new(callback))) {
            let _nothing_is_held = hook.fire();
        }
    }

    /// Holds request `number` when it arrives; if it came already, the receiver gets a [`Held`]
    /// that holds nothing.
    pub(super) fn hold(&self, number: usize, arrived: impl Fn() -> usize) -> oneshot::Receiver<Held> {
        let (reached, waiting) = oneshot::channel();
        if let Some(hook) = self.register(number, arrived, Hook::Hold(reached)) {
            let _nothing_is_held = hook.fire();
        }
        waiting
    }

    /// Runs the hooks of request `number`; ends when nobody holds it any more.
    pub(super) async fn reached(&self, number: usize) {
        let due: Vec<_> = locked(&self.0).extract_if(.., |(wanted, _)| *wanted == number).collect();
        for (_, hook) in due {
            if let Some(released) = hook.fire() {
                // An error means that the holder was dropped, which is how it lets go.
                let _ = released.await;
            }
        }
    }

    // Counts under the lock that `reached` takes after the request was counted: either this sees
    // the request or that sees the hook.
    fn register(&self, number: usize, arrived: impl Fn() -> usize, hook: Hook) -> Option<Hook> {
        let mut hooks = locked(&self.0);
        if arrived() >= number {
            return Some(hook);
        }
        hooks.push((number, hook));
        None
    }
}

impl Hook {
    fn fire(self) -> Option<oneshot::Receiver<()>> {
        match self {
            Hook::Call(callback) => {
                callback();
                None
            }
            Hook::Hold(reached) => {
                let (release, released) = oneshot::channel();
                reached.send(Held { _release: release }).ok().map(|()| released)
            }
        }
    }
}
