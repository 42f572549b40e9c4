//! A task under way: its image on the way to all of its targets.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::shift::Shift;
use super::{Brought, Document, Hangs, Parked, Sight, Sighting, Task, Worked};
use crate::content::{Error, NoPulls, Pull as _};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::TagOrDigest;
use crate::registry::Seat;
use crate::transfer::batch::out_of_pulls;
use crate::transfer::context::Context;
use crate::transfer::engine::Engine;
use crate::transfer::image::Ended;
use crate::transfer::job::{Job, Way};
use crate::transfer::memory::Seen;
use crate::transfer::mode::Mode;
use crate::transfer::notes::Notes;
use crate::transfer::original::Original;
use crate::transfer::referrers::Hung;
use crate::transfer::route::Before;
use crate::transfer::rule::Rule;
use crate::transfer::store::Store;
use crate::transfer::tally::note_failure;

pub(super) struct Working<'a> {
    pub(super) engine: &'a Arc<Engine>,
    pub(super) rule: &'a Arc<Rule>,
    pub(super) context: Context,
    pub(super) shift: Arc<Shift>,
    pub(super) task: Task,
}

/// What the image has in common at all of its targets.
struct Origin {
    source: Store,
    seat: Option<Arc<Seat>>,
    hung: Option<Arc<Hung>>,
    original: Arc<Original>,
}

/// What became of the targets that are not served yet.
#[derive(Default)]
struct Rest {
    /// Those that need pulls.
    parked: Vec<(usize, Job)>,
    none: Option<NoPulls>,
    /// Those that were stopped.
    stopped: Vec<(usize, ImageReport)>,
    /// Why others have no report.
    fault: Option<String>,
}

impl Working<'_> {
    pub(super) async fn run(mut self) -> Worked {
        let hosts = self.task.targets.iter().map(|target| &target.location.host);
        let shares: Vec<_> =
            hosts.map(|host| (self.context.images.join(host), self.context.blobs.join(host))).collect();
        let original = Arc::new(Original::new(self.task.from.clone()));
        // What one target has fetched is there for the next, and to go along.
        let _serving = original.serve();
        std::mem::take(&mut self.task.documents).iter().for_each(|document| document.keep_in(&original.documents));
        let origin = self.origin(Arc::clone(&original)).await;
        let (mut running, mut rest) = (JoinSet::new(), Rest::default());
        for target in 0..self.task.targets.len() {
            if self.task.targets[target].brought.is_some() {
                continue;
            }
            match origin.as_ref().map_err(Error::clone).and_then(|origin| self.job(target, origin)) {
                Ok(job) => self.start(target, job, &mut running),
                Err(error) => self.fail(target, &error, &mut rest),
            }
        }
        self.wait(running, &mut rest).await;
        drop(shares);
        match rest.none {
            Some(none) if !self.context.cancel.is_cancelled() => self.parked(rest, none, &original),
            _ => self.ended(rest),
        }
    }

    async fn origin(&self, original: Arc<Original>) -> Result<Origin, Error> {
        let seat = self.engine.seat(self.rule, &self.task.source.host, &self.shift.seats)?;
        let source = self.engine.source(&self.task.source)?;
        let source = source.on_behalf_of(&Arc::default(), &self.context.cancel).seated(seat.as_ref());
        let hung = match &self.task.hangs {
            Hangs::Unlisted => None,
            Hangs::Tags(tags) => Some(Arc::new(Hung::among(tags))),
            Hangs::Many => self.context.unless_stopped(self.shift.hung(&source)).await?,
        };
        Ok(Origin { source, seat, hung, original })
    }

    fn start(&self, target: usize, job: Job, running: &mut JoinSet<(usize, Ended, Arc<Notes>)>) {
        let (engine, rule) = (Arc::clone(self.engine), Arc::clone(self.rule));
        let (context, mode, notes) = (self.context.clone(), self.task.mode, Arc::clone(&job.way.notes));
        let is_to_look = self.task.since.is_some();
        running.spawn(async move {
            if is_to_look {
                look(&context, &job).await;
            }
            (target, Box::pin(engine.image(&context, &rule, mode, job)).await, notes)
        });
    }

    fn job(&self, target: usize, origin: &Origin) -> Result<Job, Error> {
        let (task, there) = (&self.task, &self.task.targets[target]);
        let store = |location| self.engine.target(location, task.mode, &self.context);
        if there.is_new {
            self.context.knowledge.learn_new(&there.location);
        }
        if let (Mode::Follow, Some(seen), TagOrDigest::Tag(tag)) = (task.mode, &there.seen, &there.to) {
            self.context.memory.tags.insert((there.location.clone(), tag.clone()), Seen::now(seen.digest.clone()));
            self.context.moving.believe(&there.location, tag, seen.last);
        }
        let others = task.targets.iter().enumerate().filter(|(number, _)| *number != target);
        let way = Way {
            source: origin.source.clone(),
            target: store(&there.location)?,
            siblings: others.filter_map(|(_, other)| store(&other.location).ok()).collect(),
            seat: origin.seat.clone(),
            relays: Arc::clone(&self.shift.relays),
            hung: origin.hung.clone(),
            notes: Arc::default(),
            checked: self.shift.checked(&task.source, &there.location),
        };
        Ok(Job {
            way: Arc::new(way),
            original: Arc::clone(&origin.original),
            to: there.to.clone(),
            before: if there.is_absent { Before::Absent } else { Before::Unknown },
            serving: None,
        })
    }

    async fn wait(&mut self, mut running: JoinSet<(usize, Ended, Arc<Notes>)>, rest: &mut Rest) {
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok((target, Ended::Reported(image), notes)) => self.done(target, *image, notes.sighting()),
                Ok((target, Ended::Stopped(image), _)) => rest.stopped.push((target, *image)),
                Ok((target, Ended::Parked(job, none), _)) => {
                    rest.parked.push((target, job));
                    rest.none = Some(none);
                }
                Err(panic) => rest.fault = Some(format!("a fault in regferry itself: {panic}")),
            }
        }
    }

    /// It could not be begun.
    fn fail(&mut self, target: usize, error: &Error, rest: &mut Rest) {
        let mut image = self.task.report(&self.task.targets[target]);
        note_failure(&mut image, error);
        if error.is_cancelled() {
            rest.stopped.push((target, image));
        } else {
            self.done(target, image, Sighting::Unknown);
        }
    }

    fn done(&mut self, target: usize, image: ImageReport, sighting: Sighting) {
        self.context.observer.image(&self.rule.name, &image);
        let sight = self.sight(target, &image);
        self.task.targets[target].brought = Some(Brought { image, sighting, is_told: true, sight });
    }

    /// That an image is in place, if it is, and if it is known who has moved its tag last.
    fn sight(&self, target: usize, image: &ImageReport) -> Option<Sight> {
        let (since, there) = (self.task.since?, &self.task.targets[target]);
        let TagOrDigest::Tag(tag) = &there.to else { return None };
        let in_place = self.context.memory.tags.get(&(there.location.clone(), tag.clone()))?;
        let is_well = matches!(image.outcome, ImageOutcome::Unchanged | ImageOutcome::Copied);
        let last = self.context.moving.last_of(&there.location, tag)?;
        (is_well && image.digest.as_ref() == Some(&in_place.value)).then_some(Sight { since, last })
    }

    /// All targets have their reports now.
    fn ended(self, rest: Rest) -> Worked {
        let is_stopped = !rest.stopped.is_empty() || !rest.parked.is_empty();
        let mut task = self.task;
        let waiting = rest
            .parked
            .into_iter()
            .map(|(target, job)| (target, ImageReport { outcome: ImageOutcome::Skipped, ..job.report() }));
        for (target, image) in rest.stopped.into_iter().chain(waiting) {
            task.targets[target].brought = Some(Brought::untold(image));
        }
        let brought = task.failed(rest.fault.as_deref().unwrap_or_default());
        if is_stopped { Worked::Stopped(brought) } else { Worked::Done(brought) }
    }

    /// What was fetched goes along: it would be another pull.
    fn parked(mut self, rest: Rest, none: NoPulls, original: &Original) -> Worked {
        let host = self.task.source.host.clone();
        if self.shift.is_news(&host) {
            let wait = out_of_pulls(&host, none, "images that need some wait");
            self.context.observer.out_of_pulls(&self.rule.name, &wait);
        }
        self.task.documents = Document::of(&original.documents);
        // It may be there the next time. One that met a fault is tried once more with the others.
        for (target, _) in &rest.parked {
            self.task.targets[*target].doubt();
        }
        Worked::Parked(Box::new(Parked { task: self.task, wait: none.look_again(), none }))
    }
}

/// Finds out for how long holds what is going to be seen of a target's tag. What its listing lacks is not looked at, and
/// of what others have seen they know it.
async fn look(context: &Context, job: &Job) {
    let TagOrDigest::Tag(tag) = &job.to else { return };
    let location = job.way.target.location();
    if job.before == Before::Unknown && context.moving.last_of(location, tag).is_none() {
        let _stopped = context.unless_stopped(context.moving.look(location, tag)).await;
    }
}
