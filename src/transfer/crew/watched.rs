//! A fence whose no ends all of the work that it stands around: what is under way for other targets stands down as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::content::{Displaced, Fence};

pub(super) struct Watched {
    fence: Arc<dyn Fence>,
    cancel: CancellationToken,
    has_ended: AtomicBool,
}

impl Watched {
    pub(super) fn new(fence: Arc<dyn Fence>, cancel: CancellationToken) -> Self {
        Self { fence, cancel, has_ended: AtomicBool::new(false) }
    }

    pub(super) fn has_ended_it(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    fn watch<'a>(&'a self, asked: BoxFuture<'a, Result<(), Displaced>>) -> BoxFuture<'a, Result<(), Displaced>> {
        let end = |_: &Displaced| {
            self.has_ended.store(true, Ordering::Release);
            self.cancel.cancel();
        };
        asked.map(move |answer| answer.inspect_err(end)).boxed()
    }
}

impl Fence for Watched {
    fn hold(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.watch(self.fence.hold())
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.watch(self.fence.check())
    }
}
