//! Fences to test with.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use regferry::content::{Displaced, Fence};

/// Lets everything through, and counts how often it is asked.
#[derive(Default)]
pub(super) struct Open {
    pub(super) holds: AtomicUsize,
    pub(super) checks: AtomicUsize,
}

impl Fence for Open {
    fn hold(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.holds.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(())))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Says no.
pub(super) enum Shut {
    /// Before anything is written.
    AtHold,
    /// From this check on.
    AtCheck(AtomicUsize),
}

impl Shut {
    pub(super) fn at_check(number: usize) -> Self {
        Self::AtCheck(AtomicUsize::new(number))
    }
}

fn displaced() -> Result<(), Displaced> {
    Err(Displaced::new("another replica has taken this over"))
}

impl Fence for Shut {
    fn hold(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        let answer = if matches!(self, Self::AtHold) { displaced() } else { Ok(()) };
        Box::pin(std::future::ready(answer))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Displaced>> {
        let answer = match self {
            Self::AtHold => displaced(),
            Self::AtCheck(left) => {
                let left = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                left.map_or_else(|_| displaced(), |_| Ok(()))
            }
        };
        Box::pin(std::future::ready(answer))
    }
}
