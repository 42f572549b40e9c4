//! The cluster's protocols at a small size, in every order that crashes, pauses, lost and late messages allow: what must
//! always hold does, and where the protocol is broken by hand the model finds out.
//!
//! Time goes in steps, all clocks alike. Who does nothing while time passes stands still: pauses of any length are among
//! the orders. What comes to an end only if something goes on is looked at from every state: from there on nothing goes
//! wrong any more, and it has to come to its end.

mod jobs;
mod seen;
mod shares;

use std::hash::Hash;
use std::num::NonZero;

use stateright::{Checker as _, HasDiscoveries, Model};

/// Explores all of a model and fails when a property does not hold, or when there was next to nothing to look at.
fn holds<M>(model: M)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + std::fmt::Debug + Clone + PartialEq,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    let checker = model.checker().threads(cores()).spawn_bfs().join();
    checker.assert_properties();
    let states = checker.unique_state_count();
    assert!(states > 1000, "only {states} states");
}

/// Explores a model until this property of it does not hold. Whether that was found.
fn breaks<M>(model: M, property: &'static str) -> bool
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Send + Sync + std::fmt::Debug + Clone + PartialEq,
    M::Action: std::fmt::Debug + Clone + PartialEq,
{
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = model.checker().threads(cores()).finish_when(found).spawn_bfs().join();
    checker.discovery(property).is_some()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}
