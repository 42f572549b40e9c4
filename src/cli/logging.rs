//! The log on stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Global;
use super::progress::Progress;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// When to colour; `Auto` is on a terminal, unless `NO_COLOR` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

/// Starts the log: a daemon tells what it does, a command only what deserves a look.
pub(super) fn init(global: &Global, daemon: bool, progress: &Progress) {
    let level = match (global.quiet, global.verbose, daemon) {
        (true, _, _) => LevelFilter::ERROR,
        (false, 0, false) => LevelFilter::WARN,
        (false, 0, true) | (false, 1, false) => LevelFilter::INFO,
        (false, _, _) => LevelFilter::DEBUG,
    };
    let color = match global.color {
        Color::Auto => io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        Color::Always => true,
        Color::Never => false,
    };
    let progress = progress.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(move || AboveTheBar(progress.clone()))
        .with_ansi(color)
        .with_target(false);
    let lines = match global.log_format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second call, from a test in the same process, changes nothing.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(Targets::new().with_target("regferry", level)))
        .try_init();
}

/// Writes to stderr without tearing the progress bar.
struct AboveTheBar(Progress);

impl Write for AboveTheBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
