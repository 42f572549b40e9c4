//! What is written down at once, and what is made of it when it is read.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::telemetry::Status;
use crate::telemetry::status::Past;
use crate::transfer::{Recollection, Remembered};

/// So many rows a frame has at most.
const MOST: usize = 2000;

/// What has changed since the frame before.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Frame {
    /// When it was written, in seconds since 1970.
    pub(super) at: u64,
    /// Whether no work was under way then that changes targets.
    pub(super) settled: bool,
    /// How long the file was when it was last written anew; 0 in what was written then.
    #[serde(default)]
    pub(super) base: u64,
    /// By which version.
    #[serde(default)]
    pub(super) version: String,
    /// What is known of the rules.
    #[serde(default)]
    pub(super) past: Vec<Past>,
    /// What the engine has learnt.
    #[serde(default)]
    pub(super) learnt: Vec<Remembered>,
}

impl Frame {
    /// Says that work is under way.
    pub(super) fn unsettled(base: u64) -> Self {
        Self { at: now(), base, ..Self::default() }
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The rows in frames like `last`, which alone says that work has ended, if it does: what was cut off in between is not
/// believed.
pub(super) fn frames(past: Vec<Past>, learnt: Vec<Remembered>, last: Frame) -> impl Iterator<Item = Frame> {
    let (mut past, mut learnt) = (past.into_iter().peekable(), learnt.into_iter().peekable());
    let mut last = Some(last);
    std::iter::from_fn(move || {
        let past_rows: Vec<Past> = past.by_ref().take(MOST).collect();
        let learnt_rows: Vec<Remembered> = learnt.by_ref().take(MOST - past_rows.len()).collect();
        let rows = Frame {
            past: past_rows,
            learnt: learnt_rows,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Frame::default()
        };
        let Frame { at, base, .. } = *last.as_ref()?;
        match past.peek().is_none() && learnt.peek().is_none() {
            true => last.take().map(|Frame { settled, .. }| Frame { at, base, settled, ..rows }),
            false => Some(Frame { at, base, ..rows }),
        }
    })
}

/// Goes on with what an earlier process has written down; with how it saw the targets only if that is believed, and the
/// clock did not go back since. Returns whether all of it was taken.
pub(super) fn take_in(
    frames: Vec<Frame>,
    status: &Status,
    recollection: &Recollection,
    are_targets_believed: bool,
) -> bool {
    let is_believed = are_targets_believed && frames.iter().all(|frame| frame.at <= now());
    let (mut past, mut is_all) = (Vec::new(), true);
    for frame in frames {
        let is_ours = frame.version == env!("CARGO_PKG_VERSION");
        for row in frame.learnt {
            if (row.is_of_a_target() && !is_believed) || (row.is_of_a_version() && !is_ours) {
                is_all = false;
            } else {
                recollection.recall(row);
            }
        }
        past.extend(frame.past);
    }
    let knew_more = status.recall(past);
    is_all && !knew_more
}
