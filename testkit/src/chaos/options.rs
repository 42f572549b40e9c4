//! How bad it gets.

use std::time::Duration;

use super::{Chaos, Harm};

/// Options for a [`Chaos`].
#[derive(Clone, Debug)]
pub struct Builder {
    options: Options,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) registry: String,
    pub(super) seed: u64,
    pub(super) rates: Vec<(Harm, f64)>,
    pub(super) stall: Duration,
}

impl Builder {
    pub(super) fn new(registry: &str) -> Self {
        let registry = registry.to_owned();
        Self { options: Options { registry, seed: 0, rates: Vec::new(), stall: Duration::from_secs(1) } }
    }

    /// Other seeds, other faults.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = seed;
        self
    }

    /// Commits this fault at this share, from 0 to 1, of the requests that it can happen to. All
    /// shares together make 1 at most.
    #[must_use]
    pub fn often(mut self, harm: Harm, share: f64) -> Self {
        self.options.rates.push((harm, share));
        self
    }

    /// How long what stalls stands still before it is closed; a second, if nothing is said.
    #[must_use]
    pub fn stalls_for(mut self, time: Duration) -> Self {
        self.options.stall = time;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If loopback has no port to give.
    pub async fn start(self) -> Chaos {
        Chaos::start_with(self.options).await
    }
}
