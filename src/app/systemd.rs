//! What systemd is told of the daemon (`Type=notify`). Elsewhere nobody listens, and nothing is told.
//!
//! Source: sd_notify(3), sd_watchdog_enabled(3).

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior};

/// The daemon runs its rules.
pub(super) fn ready(rules: usize) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("rules in force: {rules}"))]);
}

/// The configuration is being changed; [`ready`] or [`refused`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!("the clock cannot be told to systemd: {error}"),
    }
}

/// A new configuration was refused, and the daemon goes on with the old one.
pub(super) fn refused() {
    let status = "the configuration on disk is refused, see the log; the one before it is served";
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The daemon stops, and needs so long at most and a moment to be gone, whatever the unit says.
pub(super) fn stopping(within: Duration) {
    const MOMENT: Duration = Duration::from_secs(1);
    let within = u32::try_from((within + MOMENT).as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(within)]);
}

/// A sign of life, where one is wanted.
pub(super) struct Watchdog(Option<Interval>);

impl Watchdog {
    /// Twice as often as systemd wants it (`WatchdogSec`).
    pub(super) fn of_the_environment() -> Self {
        Self(sd_notify::watchdog_enabled().filter(|period| !period.is_zero()).map(|period| {
            let mut ticks = tokio::time::interval(period / 2);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        }))
    }

    /// Gives signs of life for as long as it is polled.
    pub(super) async fn feed(&mut self) {
        match &mut self.0 {
            None => std::future::pending().await,
            Some(ticks) => loop {
                ticks.tick().await;
                tell(&[NotifyState::Watchdog]);
            },
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd was not told: {error}");
    }
}
