//! The progress bar: bytes of blobs, on a terminal only.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::events::{Direction, ImageOutcome, ImageReport, Observer};
use crate::oci::Host;

/// A bar on stderr, or nothing where stderr is no terminal. Cheap to clone.
#[derive(Clone)]
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn new(wanted: bool) -> Self {
        if !wanted || !std::io::stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {msg}",
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }

    /// The listener that moves the bar.
    pub(super) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.0.clone().map(|bar| Arc::new(Bar(bar)) as Arc<dyn Observer>)
    }

    /// Does something to the terminal while the bar is out of the way.
    pub(super) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(work),
            None => work(),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

struct Bar(ProgressBar);

impl Observer for Bar {
    fn planned(&self, bytes: u64) {
        self.0.inc_length(bytes);
    }

    fn bytes(&self, _registry: &Host, direction: Direction, bytes: u64) {
        if direction == Direction::Written {
            self.0.inc(bytes);
        }
    }

    fn image(&self, _rule: &str, image: &ImageReport) {
        if image.outcome == ImageOutcome::Copied {
            self.0.set_message(image.target.to_string());
        }
    }
}
