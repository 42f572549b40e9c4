//! Progress, on a terminal only: a bar of the bytes of blobs, and images; or how many requests were answered, for what
//! moves none.

use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::events::{Direction, ImageReport, Observer, Request};
use crate::oci::{Host, Size};

/// `⠋ ████░░░░  12.0 MiB of 48.2 MiB  5.1 MiB/s  7s left  3 of 18 images`, within 80 columns.
const LINE: &str = "{spinner} {cells}{bytes}{rate}{left}{msg}";

/// `⠋ 4711 requests answered`
const REQUESTS: &str = "{spinner} {pos} requests answered";

/// What progress is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    Requests,
}

/// A line on stderr, or nothing where stderr is no terminal. Cheap to clone.
#[derive(Clone)]
pub(super) struct Progress(Option<(ProgressBar, Unit)>);

impl Progress {
    pub(super) fn new(wanted: Option<Unit>) -> Self {
        let Some(unit) = wanted.filter(|_| std::io::stderr().is_terminal()) else { return Self(None) };
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
        let line = match unit {
            Unit::Bytes => LINE,
            Unit::Requests => REQUESTS,
        };
        if let Ok(style) = ProgressStyle::with_template(line) {
            let style = style.with_key("cells", cells).with_key("bytes", bytes);
            bar.set_style(style.with_key("rate", rate).with_key("left", left));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some((bar, unit)))
    }

    /// The listener that moves it.
    pub(super) fn observer(&self) -> Option<Arc<dyn Observer>> {
        self.0.clone().map(|(bar, unit)| match unit {
            Unit::Bytes => Arc::new(Bar::new(bar)) as Arc<dyn Observer>,
            Unit::Requests => Arc::new(Counter(bar)),
        })
    }

    /// Does something to the terminal while the bar is out of the way.
    pub(super) fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some((bar, _)) => bar.suspend(work),
            None => work(),
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some((bar, _)) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

// A line that cannot be written is drawn again in a moment.

/// The bar itself; indicatif's own is full while nothing is planned.
fn cells(state: &ProgressState, line: &mut dyn Write) {
    const WIDTH: u64 = 20;
    let total = state.len().unwrap_or_default().max(1);
    let full = (u128::from(state.pos()) * u128::from(WIDTH) / u128::from(total)).min(u128::from(WIDTH)) as usize;
    let _ = write!(line, "{}{}", "█".repeat(full), "░".repeat(WIDTH as usize - full));
}

fn bytes(state: &ProgressState, line: &mut dyn Write) {
    let _ = match state.len() {
        None | Some(0) => write!(line, "  no bytes yet"),
        Some(total) => write!(line, "  {} of {}", Size(state.pos()), Size(total)),
    };
}

fn rate(state: &ProgressState, line: &mut dyn Write) {
    if state.pos() > 0 {
        let _ = write!(line, "  {}/s", Size(state.per_sec() as u64));
    }
}

fn left(state: &ProgressState, line: &mut dyn Write) {
    if state.pos() > 0 && state.len().is_some_and(|total| total > state.pos()) {
        let _ = write!(line, "  {:#} left", HumanDuration(state.eta()));
    }
}

/// Moves the bar. What is planned is an upper bound: blobs that turn out to be mounted are never sent, and what breaks
/// off may be sent twice.
struct Bar {
    bar: ProgressBar,
    known: AtomicUsize,
    done: AtomicUsize,
}

impl Bar {
    fn new(bar: ProgressBar) -> Self {
        Self { bar, known: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    fn show_images(&self) {
        let (done, known) = (self.done.load(Ordering::Relaxed), self.known.load(Ordering::Relaxed));
        if known > 0 {
            self.bar.set_message(format!("  {done} of {known} images"));
        }
    }
}

impl Observer for Bar {
    fn planned(&self, bytes: u64) {
        self.bar.inc_length(bytes);
    }

    fn bytes(&self, _registry: &Host, direction: Direction, bytes: u64) {
        if direction == Direction::Written {
            self.bar.inc(bytes);
        }
    }

    fn found(&self, _rule: &str, images: usize) {
        self.known.fetch_add(images, Ordering::Relaxed);
        self.show_images();
    }

    fn image(&self, _rule: &str, _image: &ImageReport) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.show_images();
    }
}

/// Counts answers.
struct Counter(ProgressBar);

impl Observer for Counter {
    fn request(&self, _request: &Request<'_>) {
        self.0.inc(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageReport {
        let reference = "localhost:5000/a:1".parse::<crate::oci::Reference>().unwrap();
        ImageReport::new(reference.clone(), reference)
    }

    #[test]
    fn the_bar_knows_bytes_written_of_planned_and_images_done_of_found() {
        let bar = Bar::new(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden()));
        let host: Host = "localhost:5000".parse().unwrap();
        bar.found("a", 2);
        bar.found("b", 3);
        bar.planned(1000);
        bar.planned(24);
        bar.bytes(&host, Direction::Read, 512);
        bar.bytes(&host, Direction::Written, 500);
        bar.image("a", &image());
        assert_eq!((bar.bar.position(), bar.bar.length()), (500, Some(1024)));
        assert_eq!(bar.bar.message(), "  1 of 5 images");
    }

    #[test]
    fn images_of_which_no_number_is_known_are_not_counted() {
        let bar = Bar::new(ProgressBar::hidden());
        bar.image("import", &image());
        assert_eq!(bar.bar.message(), "");
    }
}
