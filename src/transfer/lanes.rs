//! The connections of a blob's transfer: one to each side.

use crate::content::{Pull, Push};

/// Waits for both, and returns the two sides for whoever moves the bytes.
///
/// A transfer that has the one holds it while it waits for the other. All take them in one order, by host; those inside
/// one registry take both at once. So no two wait for each other in a circle.
pub(super) async fn both<S: Pull, T: Push>(source: &S, target: &T) -> (S, T) {
    match source.location().host.cmp(&target.location().host) {
        std::cmp::Ordering::Less => {
            let source = source.in_lanes(1).await;
            (source, target.in_lanes(1).await)
        }
        std::cmp::Ordering::Greater => {
            let target = target.in_lanes(1).await;
            (source.in_lanes(1).await, target)
        }
        std::cmp::Ordering::Equal => {
            let target = target.in_lanes(2).await;
            (source.in_lanes(0).await, target)
        }
    }
}
