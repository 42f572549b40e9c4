//! A list that is kept composed of what its sources point at: it follows them when all of them are there, and agree.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;

use super::mark::{is_composed_of, mark};
use super::{Composer, Composition, Contents};
use crate::content::{Cause, Error, Location, Pull};
use crate::events::{BlobCounts, ImageReport, RuleReport};
use crate::oci::{Digest, Manifest, Reference, TagOrDigest};
use crate::registry::Access;
use crate::transfer::compare::resolve_target;
use crate::transfer::context::Context;
use crate::transfer::damage::Damage;
use crate::transfer::done::Done;
use crate::transfer::engine::Engine;
use crate::transfer::knowledge::Claim;
use crate::transfer::mode::Mode;
use crate::transfer::places::{Source, Target};
use crate::transfer::route::Tags;
use crate::transfer::rule::{Kept, Rule};
use crate::transfer::shape::Shape;
use crate::transfer::store::Store;
use crate::transfer::tally::note_failure;
use crate::transfer::verify::{Checked, Depth};

/// The list of a run: its sources, and where it goes.
struct Keeping<'r> {
    rule: &'r Rule,
    kept: Kept,
    mode: Mode,
    sources: Vec<&'r Reference>,
    target: Store,
    at: TagOrDigest,
}

/// A list that can be written, and what it is made of.
struct Made {
    list: Manifest,
    composition: Composition,
}

/// What the target has under the list's tag.
enum There {
    UpToDate(Digest),
    Other(Option<Digest>),
}

impl Engine {
    /// Does all the work of a run of a rule that keeps a list composed.
    pub(in crate::transfer) async fn keep_composed(
        &self,
        rule: &Arc<Rule>,
        kept: Kept,
        mode: Mode,
        context: &Context,
        report: &mut RuleReport,
    ) {
        let sources: Vec<&Reference> = rule.scope.sources.iter().filter_map(image).collect();
        let Some((first, target)) = sources.first().zip(rule.scope.targets.first().and_then(tag)) else { return };
        let _shares = (self.images.join(&target.host), context.blobs.join(&target.host));
        context.observer.found(&rule.name, 1);
        let clock = Instant::now();
        let mut image = ImageReport::new((*first).clone(), target.clone());
        image.sources = sources.iter().map(|source| (*source).clone()).collect();
        report.warnings.extend(contested(context, rule, first, &target));

        let composer = Composer::new(self, context.clone());
        let access = if mode.changes() { Access::Push } else { Access::Pull };
        let done = match composer.store(&Location::from(&target), access) {
            Ok(target_store) => {
                let keeping = Keeping { rule, kept, mode, sources, target: target_store, at: target.selector() };
                composer.keep(&keeping, &mut image).await
            }
            Err(error) => Err(error),
        };
        composer.tally.write_to(&mut image);
        match done {
            Ok(done) => done.tell(&mut image),
            Err(error) => note_failure(&mut image, &error),
        }
        image.elapsed = clock.elapsed();
        context.observer.image(&rule.name, &image);
        report.images.push(image);
    }
}

fn image(source: &Source) -> Option<&Reference> {
    match source {
        Source::Image(image) => Some(image),
        Source::Repository(_) | Source::Repositories(..) => None,
    }
}

fn tag(target: &Target) -> Option<Reference> {
    match target {
        Target::Repository { location, tag: Some(tag) } => Some(location.reference(&TagOrDigest::Tag(tag.clone()))),
        Target::Repository { tag: None, .. } | Target::Below { .. } => None,
    }
}

/// A warning, if another rule writes the same tag.
fn contested(context: &Context, rule: &Rule, source: &Reference, target: &Reference) -> Option<String> {
    let claim = Arc::new(Claim { rule: Arc::clone(&rule.name), source: source.into() });
    let other = context.knowledge.claim(&target.into(), target.tag.as_ref()?, &claim)?;
    Some(format!("{target} is written by the rule {:?} too, and the last one wins", other.rule))
}

impl Composer<'_> {
    async fn keep(&self, keeping: &Keeping<'_>, report: &mut ImageReport) -> Result<Done, Error> {
        let found = try_join_all(keeping.sources.iter().map(|source| self.digest_of(source)));
        let found = self.context.unless_stopped(found).await??;
        let missing = keeping.sources.iter().zip(&found).filter(|(_, found)| found.is_none());
        let missing: Vec<String> = missing.map(|(source, _)| source.to_string()).collect();
        if !missing.is_empty() {
            return Ok(waiting_for(&missing.join(", ")));
        }
        let digests: Vec<Digest> = found.into_iter().flatten().collect();
        match self.context.unless_stopped(self.look_at(keeping, &digests)).await?? {
            There::UpToDate(root) => {
                report.digest = Some(root.clone());
                self.look_below(keeping, &digests, &root).await
            }
            There::Other(found) => Box::pin(self.follow(keeping, &digests, found.as_ref(), report)).await,
        }
    }

    async fn digest_of(&self, source: &Reference) -> Result<Option<Digest>, Error> {
        match &source.digest {
            Some(digest) => Ok(Some(digest.clone())),
            None => {
                let store = self.store(&source.into(), Access::Pull)?;
                store.resolve(&store.meant(source).await?).await
            }
        }
    }

    /// A HEAD, or nothing at all, where it is remembered what these sources become; else a GET, since the list says what
    /// it was composed of.
    async fn look_at(&self, keeping: &Keeping<'_>, digests: &[Digest]) -> Result<There, Error> {
        let route = self.route(&keeping.target, &keeping.target, Tags::Move);
        let composed = &self.context.memory.facts.composed;
        let there = match composed.get(&digests.to_vec()) {
            Some(root) if keeping.mode == Mode::Follow && route.seen(&keeping.at).as_ref() == Some(&root) => {
                return Ok(There::UpToDate(root));
            }
            Some(root) => match resolve_target(&keeping.target, &keeping.at).await? {
                Some(found) if found == root => There::UpToDate(root),
                found => There::Other(found),
            },
            None => match keeping.target.manifest(&keeping.at).await? {
                Some(list) if is_composed_of(&list, digests) => {
                    composed.insert(digests.to_vec(), list.digest().clone());
                    There::UpToDate(list.digest().clone())
                }
                found => There::Other(found.map(|found| found.digest().clone())),
            },
        };
        route.remember(
            &keeping.at,
            match &there {
                There::UpToDate(root) => Some(root),
                There::Other(_) => None,
            },
        );
        Ok(there)
    }

    /// Composes the list and writes it, unless something is waited for.
    async fn follow(
        &self,
        keeping: &Keeping<'_>,
        digests: &[Digest],
        found: Option<&Digest>,
        report: &mut ImageReport,
    ) -> Result<Done, Error> {
        let (rule, memory) = (keeping.rule, &self.context.memory);
        if let (Some(found), false) = (found, rule.overwrite) {
            let reason = format!("the target has {found}, its sources are others now, and the rule does not overwrite");
            return Ok(Done::LeftAlone(reason));
        }
        let _permit = self.route(&keeping.target, &keeping.target, Tags::Move).permit().await?;
        let awaited = (Arc::clone(&rule.name), digests.to_vec());
        if let Some(reason) = memory.facts.awaited.get(&awaited).filter(|_| keeping.kept.same_revision) {
            return Ok(waiting_for(&reason));
        }
        let contents = self.read_sources(keeping, digests).await?;
        if keeping.kept.same_revision
            && let Some(reason) = self.awaited_revision(&keeping.sources, &contents).await?
        {
            memory.facts.awaited.insert(awaited, Arc::from(reason.as_str()));
            return Ok(waiting_for(&reason));
        }
        let Made { list, composition } = compose(keeping, digests, contents)?;
        let root = list.digest();
        report.digest = Some(root.clone());
        match keeping.mode {
            Mode::Verify(_) => return Ok(Done::other(found, &format!("its sources make {root}"))),
            Mode::Plan => return self.plan_parts(keeping, &composition).await,
            Mode::Execute | Mode::Follow | Mode::Repair => {}
        }
        let tags = if rule.overwrite { Tags::Move } else { Tags::Stay };
        let put = self.assemble(&list, &composition.manifests, &keeping.target, &keeping.at, tags).await;
        let done = Done::of_put(put, root)?;
        if matches!(done, Done::Copied) {
            memory.facts.composed.insert(digests.to_vec(), root.clone());
        }
        Ok(done)
    }

    /// By the digests that were seen: a tag that moves meanwhile changes nothing.
    async fn read_sources(&self, keeping: &Keeping<'_>, digests: &[Digest]) -> Result<Vec<Contents>, Error> {
        let sources = keeping.sources.iter().zip(digests).map(|(source, digest)| async move {
            self.read(&Reference { digest: Some(digest.clone()), ..(*source).clone() }).await
        });
        try_join_all(sources).await
    }

    async fn plan_parts(&self, keeping: &Keeping<'_>, composition: &Composition) -> Result<Done, Error> {
        let (mut blobs, mut bytes) = (BlobCounts::default(), 0);
        let parts = &composition.manifests;
        for (part, source) in parts.iter().zip(self.sources_of(parts)?) {
            let (route, digest) = (self.route(&source, &keeping.target, Tags::Move), &part.descriptor.digest);
            if resolve_target(&keeping.target, &TagOrDigest::Digest(digest.clone())).await?.is_some() {
                continue;
            }
            let plan = route.plan(&self.documents, &Shape::whole(digest.clone()), &HashSet::new()).await?;
            let (of_part, more) = plan.rehearse(&self.context.knowledge, keeping.target.location());
            blobs.copied += of_part.copied;
            blobs.mounted += of_part.mounted;
            blobs.present += of_part.present;
            bytes += more;
        }
        Ok(Done::Planned(blobs, bytes))
    }

    /// A list in place may have lost parts since: `verify` says so, a repair brings them again from the sources.
    async fn look_below(&self, keeping: &Keeping<'_>, digests: &[Digest], root: &Digest) -> Result<Done, Error> {
        let depth = match keeping.mode {
            Mode::Verify(depth) => depth,
            Mode::Repair => Depth::Shallow,
            Mode::Execute | Mode::Follow | Mode::Plan => return Ok(Done::Unchanged),
        };
        let (route, checked) = (self.route(&keeping.target, &keeping.target, Tags::Move), Checked::default());
        let _permit = route.permit().await?;
        let shape = Shape::whole(root.clone());
        let damage = route.damage(&shape, &keeping.at, depth, &checked).await?;
        if damage.is_empty() {
            return Ok(Done::Unchanged);
        }
        if keeping.mode != Mode::Repair {
            return Ok(Done::Different(damage.iter().map(Damage::to_string).collect()));
        }
        let lost = route.note_lost(&damage, &checked);
        let contents = self.read_sources(keeping, digests).await?;
        let Made { list, composition } = compose(keeping, digests, contents)?;
        self.bring_lost(&composition.manifests, &keeping.target, &lost).await?;
        if lost.contains(list.digest()) {
            route.put(&list, &TagOrDigest::Digest(list.digest().clone())).await?;
        }
        route.look_again((&shape, &keeping.at), &lost, &checked).await?;
        Ok(Done::Copied)
    }
}

fn waiting_for(what: &str) -> Done {
    Done::LeftAlone(format!("waiting for {what}"))
}

fn compose(keeping: &Keeping<'_>, digests: &[Digest], contents: Vec<Contents>) -> Result<Made, Error> {
    let mut composition = Composition::default();
    composition.add(contents.into_iter().flat_map(|contents| contents.parts));
    let list = composition.marked(mark(digests)).map_err(|error| {
        let target = keeping.target.location().reference(&keeping.at);
        Error::new(format!("composing {target}"), Cause::Protocol(error.to_string()))
    })?;
    Ok(Made { list, composition })
}
