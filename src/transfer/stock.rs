//! What a source has for a rule: the images that are to be at every target.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::context::Context;
use super::engine::Engine;
use super::expand::{Destination, Images, Mapping};
use super::original::Original;
use super::referrers::Hung;
use super::rule::Rule;
use super::select::Stage;
use super::store::Store;
use crate::content::{Cause, Error, Pull};
use crate::events::{Selected, StageReport};
use crate::oci::{Host, Tag, TagOrDigest};
use crate::registry::{Access, Seat};

/// One source repository, looked at.
#[derive(Clone)]
pub(super) struct Stock {
    pub(super) source: Store,
    /// None for a layout, which counts no pulls.
    pub(super) seat: Option<Arc<Seat>>,
    /// One for each of the rule's targets, in their order.
    pub(super) targets: Vec<Destination>,
    pub(super) items: Vec<Item>,
    /// Tags that the rule names and the source's listing does not have.
    pub(super) missing: Vec<Tag>,
    /// Whether the source was listed: then a listing of the target is worth its request too.
    pub(super) listed: bool,
    /// What the source's listing tells of referrers, if they are wanted and it was to be had.
    pub(super) hung: Option<Arc<Hung>>,
}

/// One image.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) original: Arc<Original>,
    /// The tag under which it was found, and is written; none, if the destination says it.
    tag: Option<Tag>,
}

impl Item {
    /// Under what it is written.
    pub(super) fn name_at(&self, destination: &Destination) -> TagOrDigest {
        self.tag.clone().map_or_else(|| destination.name_of(&self.original.from), TagOrDigest::Tag)
    }

    fn of_tag(tag: Tag) -> Self {
        Self { original: Arc::new(Original::new(TagOrDigest::Tag(tag.clone()))), tag: Some(tag) }
    }
}

/// What the sources tell while they are looked at.
#[derive(Default)]
pub(super) struct Told {
    pub(super) warnings: Vec<String>,
    pub(super) selections: Vec<Selected>,
}

/// The parts that a run has in the quotas of its sources' registries.
#[derive(Default)]
pub(super) struct Seats(Mutex<HashMap<Host, Arc<Seat>>>);

impl Engine {
    /// Looks at one source: lists its tags, if the rule has patterns for them. Tells what is worth it.
    pub(super) async fn stock(
        &self,
        rule: &Rule,
        mapping: &Mapping,
        seats: &Seats,
        context: &Context,
        told: &Mutex<Told>,
    ) -> Result<Stock, Error> {
        let seat = self.seat(rule, &mapping.source.host, seats)?;
        let source = self.source(&mapping.source)?;
        let source = source.on_behalf_of(&Arc::default(), &context.cancel).seated(seat.as_ref());
        let mut stock = Stock {
            source,
            seat,
            targets: mapping.targets.clone(),
            items: Vec::new(),
            missing: Vec::new(),
            listed: false,
            hung: None,
        };
        match (&mapping.images, rule.scope.tags.exact_tags()) {
            (Images::One(from), _) => {
                stock.items.push(Item { original: Arc::new(Original::new(from.clone())), tag: None });
            }
            (Images::Tags, Some(tags)) => stock.items.extend(tags.into_iter().map(Item::of_tag)),
            (Images::Tags, None) => {
                let (warnings, selected) = context.unless_stopped(stock.list(rule, context)).await??;
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.warnings.extend(warnings);
                told.selections.push(selected);
            }
        }
        if !rule.referrers.is_none() && stock.hung.is_none() {
            // One listing tells of all images; without it each is asked for by itself.
            let listed = context.unless_stopped(context.listings.tags(&stock.source, Access::Pull)).await?;
            stock.hung = listed.ok().flatten().map(|tags| Arc::new(Hung::among(&*tags)));
        }
        Ok(stock)
    }

    /// The run's part in a registry's quota of pulls.
    pub(super) fn seat(&self, rule: &Rule, host: &Host, seats: &Seats) -> Result<Option<Arc<Seat>>, Error> {
        if host.is_layout() {
            return Ok(None);
        }
        let mut seats = seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.get(host) {
            return Ok(Some(Arc::clone(seat)));
        }
        let seat = Arc::new(self.registries.seat(host, self.last_success(&rule.name))?);
        seats.insert(host.clone(), Arc::clone(&seat));
        Ok(Some(seat))
    }
}

/// The tags of a source, which has to be there.
pub(super) async fn listed(source: &Store, context: &Context) -> Result<Arc<[Tag]>, Error> {
    let missing = || Error::new(format!("listing the tags of {}", source.location()), Cause::NotFound);
    context.listings.tags(source, Access::Pull).await?.ok_or_else(missing)
}

impl Stock {
    /// Under what its images are written, those among them that the source lacks.
    pub(super) fn names_at(&self, destination: &Destination) -> impl Iterator<Item = TagOrDigest> {
        let missing = self.missing.iter().cloned().map(TagOrDigest::Tag);
        self.items.iter().map(|item| item.name_at(destination)).chain(missing)
    }

    /// Lists the source's tags and chooses among them. Returns what is worth telling.
    async fn list(&mut self, rule: &Rule, context: &Context) -> Result<(Vec<String>, Selected), Error> {
        let at = self.source.location().clone();
        let listed = listed(&self.source, context).await?;
        self.hung = (!rule.referrers.is_none()).then(|| Arc::new(Hung::among(&*listed)));
        let selection = rule.scope.tags.select(listed.to_vec());
        let selected = Selected {
            source: format!("tags of {at}"),
            listed: selection.listed,
            chosen: selection.tags.len(),
            stages: selection.stages.iter().map(stage).collect(),
        };
        let mut told = Vec::new();
        if selection.tags.is_empty() && selection.missing.is_empty() && selection.unmatched.is_empty() {
            told.push(format!("{at} has no tag for this rule"));
        }
        told.extend(selection.unmatched.iter().map(|part| format!("{part} matches no tag of {at}")));
        self.items = selection.tags.into_iter().map(Item::of_tag).collect();
        self.missing = selection.missing;
        self.listed = true;
        Ok((told, selected))
    }
}

fn stage(stage: &Stage) -> StageReport {
    let examples = stage.examples.iter().map(ToString::to_string).collect();
    StageReport { stage: stage.what.as_str().to_owned(), dropped: stage.dropped, examples }
}
