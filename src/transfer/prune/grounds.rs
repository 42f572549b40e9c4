//! The repositories of one target that may be pruned.

use std::collections::{HashMap, HashSet};

use super::super::delivery::{Delivery, Leg};
use super::super::expand::Mapping;
use super::super::stock::Stock;
use super::super::store::Store;
use super::choice::Written;
use crate::content::{Error, Location};
use crate::oci::Tag;

/// A repository that may be pruned, and what is known of it.
pub(in super::super) struct Ground {
    pub(super) target: Store,
    /// Its tags, if they were listed.
    pub(super) here: Option<HashSet<Tag>>,
    /// What the rule writes there, from whichever source and for whichever of its targets.
    pub(super) written: Written,
}

/// What a run could not look at. What goes from there to a target is not known, so that nothing is deleted there.
pub(in super::super) struct Gaps {
    /// Whether it is not even known which repositories there are.
    everywhere: bool,
    at: HashSet<Location>,
}

impl Gaps {
    /// What is missing when these sources were looked at with these results.
    pub(in super::super) fn of<T>(everywhere: bool, mappings: &[Mapping], looked: &[Result<T, Error>]) -> Self {
        let failed = mappings.iter().zip(looked).filter(|(_, looked)| looked.is_err());
        let at = failed.flat_map(|(mapping, _)| &mapping.targets).map(|target| target.location.clone()).collect();
        Self { everywhere, at }
    }

    fn has(&self, location: &Location) -> bool {
        self.everywhere || self.at.contains(location)
    }
}

impl Delivery<'_> {
    /// The repositories of this target to be pruned, if the rule prunes: those of which every source has told what it
    /// has, and has something. Each is one target's to prune, though several may write to it.
    pub(in super::super) fn grounds<E>(
        &self,
        stocks: &[Stock],
        legs: &[Result<(Leg, Option<String>), E>],
    ) -> Vec<Ground> {
        if self.rule.prune.is_none() {
            return Vec::new();
        }
        let (mut grounds, mut doubtful) = (HashMap::new(), HashSet::new());
        for (stock, leg) in stocks.iter().zip(legs) {
            let location = &stock.targets[self.index].location;
            match leg {
                Ok((leg, _)) => join(grounds.entry(location).or_insert_with(|| leg.ground()), leg),
                Err(_) => drop(doubtful.insert(location)),
            }
        }
        for stock in stocks {
            for (index, destination) in stock.targets.iter().enumerate() {
                if index < self.index || stock.items.is_empty() {
                    doubtful.insert(&destination.location);
                }
                if let Some(ground) = grounds.get_mut(&destination.location) {
                    ground.written.extend(stock.names_at(destination));
                }
            }
        }
        let is_known = |location: &Location| !doubtful.contains(location) && !self.gaps.has(location);
        grounds.into_iter().filter(|(location, _)| is_known(location)).map(|(_, ground)| ground).collect()
    }
}

impl Leg {
    fn ground(&self) -> Ground {
        Ground { target: self.way.target.clone(), here: None, written: Written::default() }
    }
}

/// Of several sources that go to one repository, one may have had it listed.
fn join(ground: &mut Ground, leg: &Leg) {
    if ground.here.is_none() {
        ground.here.clone_from(&leg.here);
    }
}
