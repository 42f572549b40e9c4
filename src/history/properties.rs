//! What holds for every file that may be what an earlier process has left.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::frame::{self, Frame};
use super::journal;
use crate::events::Observer as _;
use crate::telemetry::Status;
use crate::telemetry::status::{Choice, Past};
use crate::transfer::{Recollection, Remembered};

/// A file is read to an end. A frame is taken in, or is none; what is written down of it then is taken in again as it is.
pub fn history(data: &[u8]) {
    journal::properties::is_read(data);
    let Ok(frame) = serde_json::from_slice::<Frame>(data) else { return };
    let names: BTreeSet<String> = frame.past.iter().map(|row| row.rule().to_owned()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let first = take_in(frame, &names);
    let again = Frame {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        past: first.0.clone(),
        learnt: first.1.clone(),
        ..Frame::default()
    };
    assert_eq!(take_in(again, &names), first);
}

fn take_in(frame: Frame, names: &[&str]) -> (Vec<Past>, Vec<Remembered>) {
    let (status, recollection) = (Arc::new(Status::new("1", Timestamp::UNIX_EPOCH)), Recollection::of_nothing());
    status.rules(names);
    frame::take_in(vec![frame], &status, &recollection, true);
    for name in names {
        assert!(status.rule(name).is_some_and(|rule| rule.runs.len() <= 20));
        let images = status.images(name, &Choice::default(), 1, 10);
        assert!(serde_json::to_string(&images).is_ok());
    }
    (status.past(), recollection.all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_history_or_none(data in prop::collection::vec(any::<u8>(), 0..400)) {
            history(&data);
        }

        #[test]
        fn any_change_of_a_frame_is_one_or_none(
            at in 0..FRAME.len(),
            removed in 0..20usize,
            put in "[\\-0-9:TZ\"\\]\\[{},a-z]{0,6}",
        ) {
            let end = FRAME.len().min(at + removed);
            prop_assume!(FRAME.is_char_boundary(at) && FRAME.is_char_boundary(end));
            history([&FRAME[..at], &put, &FRAME[end..]].concat().as_bytes());
        }
    }

    const FRAME: &str = include_str!("../../fuzz/seeds/history/frame");

    #[test]
    fn the_seed_is_a_frame() {
        let frame: Frame = serde_json::from_str(FRAME).unwrap();
        assert!(frame.past.len() > 3 && frame.learnt.len() > 5);
        history(FRAME.as_bytes());
    }
}
