//! The fake registry, seen from the wire.

mod api;
mod chaos;
mod faults;
mod likeness;
mod limits;
mod options;
mod recording;
mod referrers;
mod tokens;
mod uploads;
mod wire;
