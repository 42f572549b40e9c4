//! Bringing a list to where it belongs: its images first, each from where it lies, then the list, straight by tag.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::Part;
use crate::content::{Error, Location, Pull};
use crate::events::{self, ImageOutcome, ImageReport};
use crate::layout::Trust;
use crate::oci::{Digest, Manifest, Reference, TagOrDigest};
use crate::registry::Access;
use crate::transfer::compare::{is_same, resolve_target};
use crate::transfer::context::Context;
use crate::transfer::documents::Documents;
use crate::transfer::engine::Engine;
use crate::transfer::mode::Mode;
use crate::transfer::relay::Relays;
use crate::transfer::route::{Route, Tags};
use crate::transfer::shape::Shape;
use crate::transfer::store::Store;
use crate::transfer::tally::{Tally, note_failure};

/// Reads what goes into a list, and brings the list to a registry. What it reads it keeps: an image that is copied is
/// fetched once.
pub struct Composer<'e> {
    pub(super) engine: &'e Engine,
    pub(super) context: Context,
    pub(super) documents: Documents,
    pub(super) tally: Tally,
    relays: Arc<Relays<<Store as Pull>::Blob>>,
}

impl Engine {
    /// What composes lists. Work under way ends when `cancel` says so.
    pub fn composer(&self, cancel: &CancellationToken) -> Composer<'_> {
        Composer::new(self, self.context(&Arc::from(events::IMPORT), Mode::Execute, cancel.clone()))
    }
}

impl<'e> Composer<'e> {
    pub(super) fn new(engine: &'e Engine, context: Context) -> Self {
        let (documents, tally, relays) = (Documents::default(), Tally::default(), Arc::default());
        Self { engine, context, documents, tally, relays }
    }

    pub(super) fn store(&self, location: &Location, access: Access) -> Result<Store, Error> {
        let trust = if access == Access::Push { Trust::Whole } else { Trust::Listed };
        let store = self.engine.store(location, access, trust)?;
        Ok(store.on_behalf_of(&self.tally.requests, &self.context.cancel).fenced(self.context.fence.as_ref()))
    }

    /// Brings a list to a target: images that stand in other repositories are copied or mounted, those of the target's
    /// own have to be there. A failure stands in the report, and the target's tag is what it was.
    ///
    /// Cancelled, it lets commits finish; dropped, it leaves the target valid all the same.
    pub async fn push(&self, list: &Manifest, parts: &[Part], target: &Reference) -> ImageReport {
        let clock = Instant::now();
        let source = parts.first().map_or(target, |part| &part.named);
        let mut report = ImageReport::new(source.clone(), target.clone());
        report.sources = sources(parts);
        report.digest = Some(list.digest().clone());
        // By its own name it is a type that the compiler does not see the end of.
        match self.bring(list, parts, target).boxed().await {
            Ok(outcome) => report.outcome = outcome,
            Err(error) => note_failure(&mut report, &error),
        }
        self.tally.write_to(&mut report);
        report.elapsed = clock.elapsed();
        self.context.observer.image(&self.context.claimant.rule, &report);
        report
    }

    async fn bring(&self, list: &Manifest, parts: &[Part], target: &Reference) -> Result<ImageOutcome, Error> {
        let (store, at) = (self.store(&target.into(), Access::Push)?, target.selector());
        let asked = async {
            match resolve_target(&store, &at).await? {
                Some(found) => is_same(&store, &at, &found, list.digest()).await,
                None => Ok(false),
            }
        };
        if self.context.unless_stopped(asked).await?? {
            return Ok(ImageOutcome::Unchanged);
        }
        self.assemble(list, parts, &store, &at, Tags::Move).await.map(|()| ImageOutcome::Copied)
    }

    /// Brings the parts, then puts the list under its name. If the registry then says that it lacks a part, that is
    /// brought again, once.
    pub(super) async fn assemble(
        &self,
        list: &Manifest,
        parts: &[Part],
        target: &Store,
        at: &TagOrDigest,
        tags: Tags,
    ) -> Result<(), Error> {
        let sources = self.sources_of(parts)?;
        let route = self.route(target, target, tags);
        let parts_of = parts.iter().zip(&sources);
        route.all_of(parts_of.map(|(part, source)| self.bring_part(part, source, target, tags))).await?;
        let Err(error) = route.put_as(list, at).await else { return Ok(()) };
        let Some(named) = error.missing_parts() else { return Err(error) };
        let all = parts.iter().map(|part| part.descriptor.digest.clone());
        let lost: HashSet<Digest> = if named.is_empty() { all.collect() } else { named.iter().cloned().collect() };
        self.context.knowledge.forget(target.location());
        self.bring_lost(parts, target, &lost).await?;
        route.put_as(list, at).await.map(drop)
    }

    /// Brings what the target has lost of the parts, and the documents of all of them, whatever it says to have.
    pub(super) async fn bring_lost(&self, parts: &[Part], target: &Store, lost: &HashSet<Digest>) -> Result<(), Error> {
        let sources = self.sources_of(parts)?;
        let bringing = parts.iter().zip(&sources).map(|(part, source)| self.bring_anew(part, source, target, lost));
        self.route(target, target, Tags::Move).all_of(bringing).await
    }

    /// The repository of each part, those of one repository sharing what is known of it.
    pub(super) fn sources_of(&self, parts: &[Part]) -> Result<Vec<Store>, Error> {
        let mut stores = HashMap::new();
        let store = |part: &Part| {
            let location = part.location();
            if let Some(store) = stores.get(&location) {
                return Ok(Store::clone(store));
            }
            let store = self.store(&location, Access::Pull)?;
            stores.insert(location, store.clone());
            Ok(store)
        };
        parts.iter().map(store).collect()
    }

    async fn bring_part(&self, part: &Part, source: &Store, target: &Store, tags: Tags) -> Result<(), Error> {
        let (knowledge, digest) = (&self.context.knowledge, &part.descriptor.digest);
        let at = TagOrDigest::Digest(digest.clone());
        // A list in place may lack children, so it is walked all the same.
        if !part.descriptor.is_index() && !knowledge.has_manifest(target.location(), digest) {
            let found = self.context.unless_stopped(resolve_target(target, &at)).await??;
            if found.is_some() {
                knowledge.learn_manifest(target.location(), digest);
            }
        }
        self.route(source, target, tags).bring(&self.documents, &Shape::whole(digest.clone()), &at).await.map(drop)
    }

    async fn bring_anew(
        &self,
        part: &Part,
        source: &Store,
        target: &Store,
        lost: &HashSet<Digest>,
    ) -> Result<(), Error> {
        let (route, digest) = (self.route(source, target, Tags::Move), &part.descriptor.digest);
        let plan = route.plan(&self.documents, &Shape::whole(digest.clone()), lost).await?;
        route.publish(&plan, &TagOrDigest::Digest(digest.clone())).await.map(drop)
    }

    pub(super) fn route<'a>(&'a self, source: &'a Store, target: &'a Store, tags: Tags) -> Route<'a, Store, Store> {
        let (relays, context, tally) = (&self.relays, &self.context, &self.tally);
        Route { source, target, siblings: &[], relays, context, tally, tags }
    }
}

/// What was named, each once.
fn sources(parts: &[Part]) -> Vec<Reference> {
    let mut named: Vec<Reference> = Vec::new();
    for part in parts {
        if !named.contains(&part.named) {
            named.push(part.named.clone());
        }
    }
    named
}
