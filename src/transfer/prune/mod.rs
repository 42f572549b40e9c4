//! Deleting what a target has and the rule would not write, once the images are in place.
//!
//! [`choice`] says which tags may go, and is pure. [`grounds`] are the repositories that are looked at: those of which
//! all sources are known. [`neighbours`] finds out what other rules write there, [`deletion`] lets tags go. A tag that
//! failed to be copied is still wanted, and stays.
//!
//! Nothing to prune costs nothing beside the target's listing, but for a HEAD for each tag `sha256-…` whose image the
//! rule does not write itself.

mod choice;
mod deletion;
mod grounds;
mod neighbours;
mod pruned;
mod pruning;
mod refusal;

pub(super) use grounds::{Gaps, Ground};
