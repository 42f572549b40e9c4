//! One limit of a registry, kept by many replicas together: each uses its share of it, and all shares are never more
//! than the whole. Pure: the clock is a parameter, and nothing is read or written here.
//!
//! All of it stands in one document a limit, a [`Table`], which is changed only by who knows what stands there. Each
//! replica has an entry, and changes nothing but that and what is left of the dead. A [`Holder`] is one replica's side.
//! Why the sum holds, whoever crashes, stands still or is cut off:
//!
//! - The entries of a table are never more than the whole: who writes takes no more than the others leave.
//! - What a replica uses is never more than its entry: it uses less first and writes that then, and uses more when it
//!   knows that this is written. An answer that is lost changes nothing: what was asked for may be written or not.
//! - A replica uses its share until [`Timing::ttl`] after it sent what was written last. The others count from when
//!   they saw that, which is later, and count longer. So its share is given to others when it is not used any more.
//!
//! Clocks are compared with themselves alone, and have to run as fast as each other within [`Timing::margin`]. A machine
//! whose clock stands still with it, as that of a suspended virtual machine does, may use a share for `ttl` after it
//! wakes.

mod fair;
mod holder;
mod news;
mod table;

pub use fair::divide;
pub use holder::{Beat, Holder, Timing};
pub use news::QuotaNews;
pub use table::{Entry, Left, Table};
