//! A run's images, handed to a crew, and what comes back of them.

use std::collections::HashMap;
use std::iter::Peekable;
use std::pin::pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use std::vec::IntoIter;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FusedFuture as _, FutureExt as _, join_all};
use futures_util::stream::FuturesUnordered;

use super::{Brought, Crew, Hangs, Task, TaskTarget};
use crate::content::{Location, Pull as _};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::{Digest, Tag};
use crate::transfer::context::Context;
use crate::transfer::delivered::Delivered;
use crate::transfer::delivery::{Delivery, Prepared};
use crate::transfer::job::{Job, Place, Way};
use crate::transfer::mode::Mode;
use crate::transfer::notes::Notes;
use crate::transfer::route::Before;
use crate::transfer::rule::Rule;
use crate::transfer::stock::Stock;
use crate::transfer::tally::note_failure;

/// So many tags that hang something on images go along with each image: most repositories have none, or one for each.
const MOST_HUNG: usize = 16;

/// The run on whose behalf images are handed out.
pub(in crate::transfer) struct HandOut<'a> {
    pub(in crate::transfer) crew: &'a dyn Crew,
    pub(in crate::transfer) rule: &'a Arc<Rule>,
    pub(in crate::transfer) context: &'a Context,
    pub(in crate::transfer) notes: &'a Notes,
    pub(in crate::transfer) mode: Mode,
    pub(in crate::transfer) begun: SystemTime,
}

/// One image on its way to all of its targets.
type Image = Vec<(Place, Job)>;

impl HandOut<'_> {
    /// Serves all targets. When each has been looked at, every image goes out with all of its targets; when all are back,
    /// each target is pruned.
    pub(in crate::transfer) async fn run(&self, deliveries: Vec<Delivery<'_>>, stocks: Vec<Stock>) -> Vec<Delivered> {
        let preparing: Vec<_> = deliveries.into_iter().map(|delivery| delivery.prepare(stocks.clone())).collect();
        drop(stocks);
        let mut prepared = join_all(preparing).await;
        let mut jobs: Image = prepared.iter_mut().flat_map(|target| std::mem::take(&mut target.jobs)).collect();
        jobs.sort_unstable_by_key(|(place, _)| *place);
        self.hand_out(Images(jobs.into_iter().peekable()), &mut prepared).await;
        join_all(prepared.into_iter().map(Prepared::finish)).await
    }

    /// Once the run is stopped nothing goes out any more, and the crew brings back what is out.
    async fn hand_out(&self, mut images: Images, prepared: &mut [Prepared<'_>]) {
        let cancel = &self.context.cancel;
        let mut tasks = Tasks::of(self);
        let mut out: FuturesUnordered<BoxFuture<'_, (Image, Vec<Brought>)>> = FuturesUnordered::new();
        let stopping = async {
            cancel.cancelled().await;
            self.crew.stop().await;
        };
        let mut stopping = pin!(stopping.fuse());
        loop {
            while out.len() < self.crew.most().max(1)
                && !cancel.is_cancelled()
                && let Some(image) = images.next()
            {
                let bringing = self.crew.bring(tasks.task(&image));
                out.push(Box::pin(async move { (image, bringing.await) }));
            }
            tokio::select! {
                biased;
                () = &mut stopping => {}
                back = out.next() => match back {
                    Some((image, brought)) => self.take(image, brought, prepared),
                    None => break,
                },
            }
        }
        if cancel.is_cancelled() && !stopping.is_terminated() {
            stopping.await;
        }
        for (place, job) in images.flatten() {
            let mut image = job.report();
            note_failure(&mut image, &self.context.stopped());
            self.context.observer.image(&self.rule.name, &image);
            prepared[place.target].delivered.images.push((place, image));
        }
    }

    /// Puts what became of an image where the run's own work would have.
    fn take(&self, image: Image, brought: Vec<Brought>, prepared: &mut [Prepared<'_>]) {
        let mut brought = brought.into_iter();
        for (place, job) in image {
            let Brought { image, sighting, is_told, sight: _ } = brought.next().unwrap_or_else(|| {
                let error = Some("whoever brought it did not say what became of it here".to_owned());
                Brought::untold(ImageReport { error, ..job.report() })
            });
            self.notes.add_sighting(&image.source, sighting);
            if let (ImageOutcome::Copied, Some(digest)) = (image.outcome, &image.digest) {
                // A prune does not delete what was brought just now.
                self.context.knowledge.learn_manifest(&Location::from(&image.target), digest);
            }
            if is_told {
                self.context.observer.brought(&self.rule.name, &image);
            } else {
                self.context.observer.image(&self.rule.name, &image);
            }
            prepared[place.target].delivered.images.push((place, image));
        }
    }
}

/// One image with its place and job at each of its targets, from all that there is to do, in order.
struct Images(Peekable<IntoIter<(Place, Job)>>);

impl Iterator for Images {
    type Item = Image;

    fn next(&mut self) -> Option<Image> {
        let first = self.0.next()?;
        let of = |place: &Place| (place.repository, place.item);
        let own = of(&first.0);
        let mut image = vec![first];
        while let Some(more) = self.0.next_if(|(place, _)| of(place) == own) {
            image.push(more);
        }
        Some(image)
    }
}

/// Makes tasks.
struct Tasks<'a> {
    run: &'a HandOut<'a>,
    fingerprint: Digest,
    begun: u64,
    /// How many were made for the same image and targets.
    made: HashMap<String, u32>,
}

impl<'a> Tasks<'a> {
    fn of(run: &'a HandOut<'a>) -> Self {
        let begun = run.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = u64::try_from(begun.as_millis()).unwrap_or(u64::MAX);
        Self { run, fingerprint: run.rule.fingerprint(), begun, made: HashMap::new() }
    }

    fn task(&mut self, image: &[(Place, Job)]) -> Task {
        let (_, first) = &image[0];
        let mut task = Task {
            rule: Arc::clone(&self.run.rule.name),
            fingerprint: self.fingerprint.clone(),
            mode: self.run.mode,
            begun: self.begun,
            since: None,
            source: first.way.source.location().clone(),
            from: first.original.from.clone(),
            hangs: hangs(&first.way),
            targets: image.iter().map(|(_, job)| self.target(job)).collect(),
            copy: 0,
            documents: Vec::new(),
        };
        let made = self.made.entry(task.id()).or_default();
        task.copy = std::mem::replace(made, *made + 1);
        task
    }

    fn target(&self, job: &Job) -> TaskTarget {
        let location = job.way.target.location();
        TaskTarget {
            location: location.clone(),
            to: job.to.clone(),
            is_absent: job.before == Before::Absent,
            is_new: self.run.context.knowledge.is_new(location),
            seen: None,
            brought: None,
        }
    }
}

fn hangs(way: &Way) -> Hangs {
    let Some(hung) = &way.hung else { return Hangs::Unlisted };
    let tags: Vec<Tag> = hung.tags().take(MOST_HUNG + 1).cloned().collect();
    if tags.len() > MOST_HUNG { Hangs::Many } else { Hangs::Tags(tags) }
}
