//! Pulls that are counted and announced, as Docker Hub does it: a GET of a manifest is one, a HEAD
//! is none.
//!
//! Source: Docker's documentation, "Docker Hub pull usage and limits".

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderName;
use serde_json::Value;
use tokio::time::Instant;

use super::answer::Answer;
use super::locked;
use super::route::{Call, Endpoint};

/// What a registry grants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub(super) limit: usize,
    pub(super) window: Duration,
}

/// The pulls of the last window, where there is a quota.
#[derive(Debug)]
pub(super) struct Pulls {
    quota: Option<Quota>,
    taken: Mutex<VecDeque<Instant>>,
}

impl Pulls {
    pub(super) fn new(quota: Option<Quota>) -> Self {
        Self { quota, taken: Mutex::default() }
    }

    /// Counts a pull, or refuses it.
    pub(super) fn take(&self) -> Result<(), Box<Answer>> {
        let Some(quota) = self.quota else { return Ok(()) };
        if self.left(quota) == 0 {
            let message = "You have reached your unauthenticated pull rate limit.";
            return Err(Answer::error(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message, Value::Null));
        }
        self.spend();
        Ok(())
    }

    /// A pull that somebody else makes at the same account.
    pub(super) fn spend(&self) {
        locked(&self.taken).push_back(Instant::now());
    }

    /// Tells what is left, with every answer about a manifest.
    pub(super) fn announce(&self, call: &Call, answer: Answer) -> Answer {
        let Some(quota) = self.quota.filter(|_| call.endpoint == Endpoint::Manifest) else { return answer };
        let told = |count: usize| format!("{count};w={}", quota.window.as_secs().max(1));
        answer
            .with(HeaderName::from_static("ratelimit-limit"), &told(quota.limit))
            .with(HeaderName::from_static("ratelimit-remaining"), &told(self.left(quota)))
    }

    fn left(&self, quota: Quota) -> usize {
        let (mut taken, now) = (locked(&self.taken), Instant::now());
        while taken.front().is_some_and(|taken| now - *taken >= quota.window) {
            taken.pop_front();
        }
        quota.limit.saturating_sub(taken.len())
    }
}
