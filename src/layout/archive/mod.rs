//! An image layout as a tar, in a pipe: written and read in one pass, nothing staged on disk.
//!
//! [`Archive`] is written as any target is, one blob after the other. [`unpack`] reads one whose entries come in any
//! order: what is no document goes to the target at once, as a blob; documents wait in a [`Parcel`] until all is there,
//! which then is read as any source is.

mod entries;
mod parcel;
#[cfg(any(test, fuzzing))]
pub(super) mod properties;
#[cfg(test)]
mod tests;
mod unpack;
mod write;

pub use parcel::Parcel;
pub use unpack::{Received, unpack};
pub use write::{Archive, Entry};

use crate::content::{Cause, Error, Location};
use crate::oci::{Host, InvalidName, Repository};

/// A tar is made of blocks.
const BLOCK: usize = 512;
/// What stands for stdin and stdout.
pub const PIPE: &str = "-";

/// The location of a layout in a pipe.
///
/// # Errors
/// Never: the name is known to be one.
pub fn pipe() -> Result<Location, Error> {
    let invalid = |error: InvalidName| Error::new("naming the pipe", Cause::Layout(error.to_string()));
    Ok(Location { host: Host::layout(PIPE).map_err(invalid)?, repository: Repository::of_layout() })
}
