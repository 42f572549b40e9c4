//! A rule's images on their way to one of its targets.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::abreast::side_by_side;
use super::batch::Batch;
use super::context::Context;
use super::delivered::Delivered;
use super::engine::Engine;
use super::job::{Job, Place, Way};
use super::knowledge::Claim;
use super::mode::Mode;
use super::notes::Notes;
use super::prune::{Gaps, Ground};
use super::relay::Relays;
use super::route::Before;
use super::rule::Rule;
use super::stock::{Item, Stock};
use super::store::Store;
use super::tally::note_failure;
use crate::content::{Cause, Error, Location, Pull};
use crate::events::ImageReport;
use crate::oci::{Reference, Tag, TagOrDigest};
use crate::registry::Access;

/// One of a rule's targets, served on its own: another that is slow or broken does not hold it up.
pub(super) struct Delivery<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) context: &'a Context,
    pub(super) rule: &'a Arc<Rule>,
    pub(super) mode: Mode,
    /// Which of the rule's targets this is.
    pub(super) index: usize,
    pub(super) relays: Arc<Relays<<Store as Pull>::Blob>>,
    pub(super) notes: Arc<Notes>,
    pub(super) gaps: Arc<Gaps>,
}

/// A repository to be written, and what is known of it.
pub(super) struct Leg {
    pub(super) way: Arc<Way>,
    /// The target's tags, if they were listed.
    pub(super) here: Option<HashSet<Tag>>,
}

/// A target that was looked at, and what is to be done there.
pub(super) struct Prepared<'a> {
    pub(super) delivery: Delivery<'a>,
    pub(super) jobs: Vec<(Place, Job)>,
    pub(super) delivered: Delivered,
    grounds: Vec<Ground>,
}

impl<'a> Delivery<'a> {
    /// Serves the target, all of it in this process.
    pub(super) async fn run(self, stocks: Vec<Stock>) -> Delivered {
        let host = self.rule.scope.targets[self.index].host();
        let _shares = (self.context.images.join(host), self.context.blobs.join(host));
        let mut prepared = self.prepare(stocks).await;
        let Prepared { delivery, jobs, delivered, .. } = &mut prepared;
        let batch =
            Batch { engine: delivery.engine, context: delivery.context, rule: delivery.rule, mode: delivery.mode };
        Box::pin(batch.run(std::mem::take(jobs), delivered)).await;
        prepared.finish().await
    }

    /// Looks at the target.
    pub(super) async fn prepare(self, stocks: Vec<Stock>) -> Prepared<'a> {
        let mut delivered = Delivered::default();
        let legs = side_by_side(stocks.iter().map(|stock| self.leg(stock))).await;
        let grounds = self.grounds(&stocks, &legs);

        let mut jobs = Vec::new();
        for (number, (stock, leg)) in stocks.iter().zip(legs).enumerate() {
            match leg {
                Ok((leg, warning)) => {
                    delivered.warnings.extend(warning);
                    jobs.extend(self.jobs(number, stock, &leg, &mut delivered));
                }
                Err(error) if error.is_cancelled() => {}
                Err(error) => delivered.errors.push(error.with_advice()),
            }
        }
        drop(stocks);
        self.context.observer.found(&self.rule.name, jobs.len() + delivered.images.len());
        delivered.images.reserve_exact(jobs.len());
        Prepared { delivery: self, jobs, delivered, grounds }
    }

    /// Looks at the target; lists it only where that saves asking tag by tag.
    async fn leg(&self, stock: &Stock) -> Result<(Leg, Option<String>), Error> {
        let store = |location: &Location| self.engine.target(location, self.mode, self.context);
        let target = store(&stock.targets[self.index].location)?;
        let others = stock.targets.iter().enumerate().filter(|(index, _)| *index != self.index);
        // One that cannot be spoken to fails by itself.
        let siblings = others.filter_map(|(_, other)| store(&other.location).ok()).collect();
        let source = stock.source.clone();
        if source.location() == target.location() && stock.listed {
            let what = format!("mirroring {}", source.location());
            return Err(Error::new(what, Cause::Protocol("source and target are the same".to_owned())));
        }

        let (mut here, mut warning) = (None, None);
        if stock.listed {
            match self.context.unless_stopped(self.context.listings.tags(&target, Access::Push)).await? {
                Ok(Some(tags)) => here = Some(tags.iter().cloned().collect()),
                Ok(None) => {
                    self.context.knowledge.learn_new(target.location());
                    here = Some(HashSet::new());
                }
                // Not every login may list what it may write: each tag is asked for instead.
                Err(error) if error.is_refusal() => {
                    warning = Some(format!("{error}; each tag is looked up by itself"));
                }
                Err(error) => return Err(error),
            }
        }
        let way = Way {
            source,
            target,
            siblings,
            seat: stock.seat.clone(),
            relays: Arc::clone(&self.relays),
            hung: stock.hung.clone(),
            notes: Arc::clone(&self.notes),
            checked: Arc::default(),
        };
        Ok((Leg { way: Arc::new(way), here }, warning))
    }

    /// What there is to do in one repository. What the rule names and the source lacks has failed already.
    fn jobs(&self, number: usize, stock: &Stock, leg: &Leg, delivered: &mut Delivered) -> Vec<(Place, Job)> {
        let destination = &stock.targets[self.index];
        let place = |item| Place { repository: number, item, target: self.index };
        for (item, tag) in stock.missing.iter().enumerate() {
            let at = TagOrDigest::Tag(tag.clone());
            let source = stock.source.location();
            let mut image = ImageReport::new(source.reference(&at), destination.location.reference(&at));
            let what = format!("looking for {tag} in the tags of {source}");
            note_failure(&mut image, &Error::new(what, Cause::NotFound));
            self.context.observer.image(&self.rule.name, &image);
            delivered.images.push((place(item), image));
        }
        let claim = Arc::new(Claim { rule: Arc::clone(&self.rule.name), source: stock.source.location().clone() });
        let mut contested: BTreeMap<Arc<str>, (usize, Reference)> = BTreeMap::new();
        let job = |(index, item): (usize, &Item)| {
            let to = item.name_at(destination);
            if let TagOrDigest::Tag(tag) = &to
                && let Some(other) = self.context.knowledge.claim(&destination.location, tag, &claim)
            {
                contested
                    .entry(Arc::clone(&other.rule))
                    .or_insert_with(|| (0, destination.location.reference(&to)))
                    .0 += 1;
            }
            let is_absent = matches!((&to, &leg.here), (TagOrDigest::Tag(tag), Some(tags)) if !tags.contains(tag));
            let before = if is_absent { Before::Absent } else { Before::Unknown };
            let job =
                Job { way: Arc::clone(&leg.way), original: Arc::clone(&item.original), to, before, serving: None };
            (place(stock.missing.len() + index), job)
        };
        let jobs = stock.items.iter().enumerate().map(job).collect();
        let warning = |(rule, (count, first)): (Arc<str>, (usize, Reference))| {
            format!("{first} is written by the rule {rule:?} too, and the last one wins; tags that both write: {count}")
        };
        delivered.warnings.extend(contested.into_iter().map(warning));
        jobs
    }
}

impl Prepared<'_> {
    /// Prunes, when all images are done.
    pub(super) async fn finish(self) -> Delivered {
        let Self { delivery, mut delivered, grounds, .. } = self;
        if !matches!(delivery.mode, Mode::Verify(_)) {
            Box::pin(delivery.prune(grounds, &mut delivered)).await;
        }
        delivered
    }
}
