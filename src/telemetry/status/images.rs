//! The images of a rule, each as it was when it was last looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::shortened;
use super::snapshot::{Image, ImageCounts};
use crate::events::{ImageOutcome, ImageReport};
use crate::oci::Platform;

/// The images of one rule, by what they are at the target.
#[derive(Debug, Default)]
pub(super) struct Images(BTreeMap<Box<str>, Kept>);

/// What is kept of an image; its target is the key.
#[derive(Debug)]
struct Kept {
    source: Box<str>,
    digest: Option<Box<str>>,
    /// Their names, a space between them: one piece of memory for all.
    platforms: Box<str>,
    outcome: ImageOutcome,
    seen: Timestamp,
    copied: Option<Timestamp>,
    bytes: u64,
    seconds: f32,
    error: Option<Arc<str>>,
    /// The run of the rule that looked at it last.
    run: u64,
}

/// Which images are wanted, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only those of which this became.
    pub outcome: Option<ImageOutcome>,
    /// Only those whose target, source or digest has this in it.
    pub contains: Option<String>,
    /// By the time of their last copy, the latest first; else by their names.
    pub latest_first: bool,
}

impl Images {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn counts(&self) -> ImageCounts {
        let failed = self.0.values().filter(|kept| kept.outcome == ImageOutcome::Failed).count();
        ImageCounts { total: self.0.len(), failed }
    }

    /// Whether a run has looked at it already.
    pub(super) fn is_seen_by(&self, report: &ImageReport, run: u64) -> bool {
        self.0.get(report.target.to_string().as_str()).is_some_and(|kept| kept.run == run)
    }

    /// It was looked at by a run. Returns it as it is known now, and whether more than the time of the look is new.
    pub(super) fn note(&mut self, report: &ImageReport, run: u64, at: Timestamp) -> (Image, bool) {
        let target = report.target.to_string();
        let before = self.0.get(target.as_str());
        let mut kept = Kept::new(report, run, at, before);
        if let Some(before) = before
            && before.error == kept.error
        {
            // One text, however many look at it.
            kept.error = before.error.clone();
        }
        let is_news = before.is_none_or(|before| before.differs_from(&kept));
        let image = kept.shown(&target);
        self.0.insert(target.into(), kept);
        (image, is_news)
    }

    /// Takes in one that an earlier process has seen.
    pub(super) fn recall(&mut self, image: Image) {
        let target = image.target.clone().into_boxed_str();
        self.0.insert(target, Kept::from(image));
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, target: &str) {
        self.0.remove(target);
    }

    /// Those of earlier processes were seen last at this time at the earliest.
    pub(super) fn seen_at_least(&mut self, at: Timestamp) {
        self.0.values_mut().for_each(|kept| kept.seen = kept.seen.max(at));
    }

    /// Forgets those that were seen last before a time.
    pub(super) fn keep_seen_since(&mut self, since: Timestamp) {
        self.0.retain(|_, kept| kept.seen >= since);
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Image> {
        self.0.iter().map(|(target, kept)| kept.shown(target))
    }

    /// Forgets those that a run which looked at everything has not seen. Returns which.
    pub(super) fn keep_seen_by(&mut self, run: u64) -> Vec<Box<str>> {
        self.0.extract_if(.., |_, kept| kept.run != run).map(|(target, _)| target).collect()
    }

    /// Forgets all but so many: those that failed stay before the others, and of these the ones that were seen last.
    pub(super) fn keep_at_most(&mut self, most: usize) {
        let excess = self.0.len().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let worth = |kept: &Kept| (kept.outcome == ImageOutcome::Failed, kept.run, kept.seen);
        let mut worths: Vec<_> = self.0.values().map(worth).collect();
        let (_, border, _) = worths.select_nth_unstable(excess - 1);
        let border = *border;
        // Of several that are worth as much as the last one to go, only so many go.
        let mut to_go = excess;
        self.0.retain(|_, kept| {
            let goes = to_go > 0 && worth(kept) <= border;
            to_go -= usize::from(goes);
            !goes
        });
    }

    /// So many of those that are chosen, after so many others, and how many there are in all.
    pub(super) fn page(&self, choice: &Choice, skip: usize, take: usize) -> (usize, Vec<Image>) {
        let mut chosen: Vec<_> = self.0.iter().filter(|(target, kept)| choice.takes(target, kept)).collect();
        if choice.latest_first {
            chosen.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.copied));
        }
        let page = chosen.iter().skip(skip).take(take).map(|(target, kept)| kept.shown(target)).collect();
        (chosen.len(), page)
    }
}

impl Choice {
    fn takes(&self, target: &str, kept: &Kept) -> bool {
        let has = |text: &String| {
            let places = [Some(target), Some(&*kept.source), kept.digest.as_deref()];
            places.into_iter().flatten().any(|place| place.contains(&**text))
        };
        self.outcome.is_none_or(|outcome| kept.outcome == outcome) && self.contains.as_ref().is_none_or(has)
    }
}

impl Kept {
    fn new(report: &ImageReport, run: u64, seen: Timestamp, before: Option<&Self>) -> Self {
        let (was_copied, was_tried) = (
            report.outcome == ImageOutcome::Copied,
            matches!(report.outcome, ImageOutcome::Copied | ImageOutcome::Failed),
        );
        let (bytes, seconds) = match before {
            Some(before) if !was_tried => (before.bytes, before.seconds),
            _ => (report.bytes, report.elapsed.as_secs_f32()),
        };
        let digest = report.digest.as_ref().map(|digest| digest.to_string().into_boxed_str());
        let before_it = before.filter(|before| before.digest == digest);
        let platforms = match (&report.platforms[..], before_it) {
            ([], Some(before)) => before.platforms.clone(),
            (platforms, _) => names(platforms),
        };
        Self {
            source: report.source.to_string().into(),
            platforms,
            digest,
            outcome: report.outcome,
            seen,
            copied: if was_copied { Some(seen) } else { before.and_then(|before| before.copied) },
            bytes,
            seconds,
            error: report.error.clone().map(|error| shortened(error).into()),
            run,
        }
    }

    fn differs_from(&self, now: &Self) -> bool {
        let of = |kept: &Self| (kept.outcome, kept.copied, kept.bytes);
        let texts = |kept: &Self| (kept.source.clone(), kept.digest.clone(), kept.platforms.clone());
        of(self) != of(now) || texts(self) != texts(now) || self.error != now.error
    }

    fn shown(&self, target: &str) -> Image {
        Image {
            target: target.to_owned(),
            source: self.source.to_string(),
            digest: self.digest.as_ref().map(ToString::to_string),
            platforms: self.platforms.split_whitespace().map(str::to_owned).collect(),
            outcome: self.outcome,
            seen: self.seen,
            copied: self.copied,
            bytes: self.bytes,
            seconds: (f64::from(self.seconds) * 1000.0).round() / 1000.0,
            error: self.error.clone(),
        }
    }
}

/// No run of this process has looked at it.
impl From<Image> for Kept {
    fn from(image: Image) -> Self {
        Self {
            source: image.source.into(),
            digest: image.digest.map(String::into_boxed_str),
            platforms: image.platforms.join(" ").into(),
            outcome: image.outcome,
            seen: image.seen,
            copied: image.copied,
            bytes: image.bytes,
            #[expect(clippy::cast_possible_truncation, reason = "it is shown to the millisecond")]
            seconds: image.seconds as f32,
            error: image.error,
            run: 0,
        }
    }
}

fn names(platforms: &[Platform]) -> Box<str> {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into()
}

/// How many each may keep, so that all together keep so many at most: who has few keeps all of them.
pub(super) fn fair_share(most: usize, lengths: impl IntoIterator<Item = usize>) -> usize {
    let mut lengths: Vec<usize> = lengths.into_iter().collect();
    lengths.sort_unstable();
    let (mut left, mut sharing) = (most, lengths.len());
    for length in lengths {
        if length * sharing > left {
            return left / sharing;
        }
        left -= length;
        sharing -= 1;
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn report(target: &str, outcome: ImageOutcome, error: Option<&str>) -> ImageReport {
        let target: crate::oci::Reference = target.parse().unwrap();
        ImageReport { outcome, error: error.map(str::to_owned), bytes: 7, ..ImageReport::new(target.clone(), target) }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn targets(images: &Images, choice: &Choice) -> Vec<String> {
        images.page(choice, 0, 100).1.into_iter().map(|image| image.target).collect()
    }

    #[test]
    fn what_is_in_place_shows_when_it_was_copied_and_how_large_that_was() {
        let mut images = Images::default();
        images.note(&report("r.example/a:1", ImageOutcome::Copied, None), 1, second(10));
        let unchanged = ImageReport { bytes: 0, ..report("r.example/a:1", ImageOutcome::Unchanged, None) };
        let (image, is_news) = images.note(&unchanged, 2, second(20));
        assert!(is_news && !images.note(&unchanged, 3, second(20)).1, "only the time of the look is another");
        assert_eq!((image.seen, image.copied, image.bytes), (second(20), Some(second(10)), 7));
        assert_eq!(image.outcome, ImageOutcome::Unchanged);
    }

    #[test]
    fn pages_have_an_order_and_can_be_of_one_outcome() {
        let mut images = Images::default();
        images.note(&report("r.example/b:1", ImageOutcome::Copied, None), 1, second(10));
        images.note(&report("r.example/a:1", ImageOutcome::Failed, Some("no")), 1, second(11));
        images.note(&report("r.example/c:1", ImageOutcome::Copied, None), 1, second(12));
        let choice = Choice::default();
        assert_eq!(targets(&images, &choice), ["r.example/a:1", "r.example/b:1", "r.example/c:1"]);
        let latest_first = Choice { latest_first: true, ..choice.clone() };
        assert_eq!(targets(&images, &latest_first), ["r.example/c:1", "r.example/b:1", "r.example/a:1"]);
        let failed = Choice { outcome: Some(ImageOutcome::Failed), ..choice.clone() };
        assert_eq!(targets(&images, &failed), ["r.example/a:1"]);
        let of_b = Choice { contains: Some("le/b:".to_owned()), ..choice.clone() };
        assert_eq!(targets(&images, &of_b), ["r.example/b:1"]);
        let (total, page) = images.page(&choice, 1, 1);
        assert_eq!((total, &*page[0].target), (3, "r.example/b:1"));
        assert_eq!(images.counts(), ImageCounts { total: 3, failed: 1 });
    }

    #[test]
    fn platforms_are_those_of_the_digest_that_was_last_looked_into() {
        let mut images = Images::default();
        let digest = |end: &str| Some(format!("sha256:{}{end}", "0".repeat(63)).parse().unwrap());
        let told = |images: &mut Images, end, platforms: &[&str]| {
            let platforms = platforms.iter().map(|name| name.parse().unwrap()).collect();
            let report =
                ImageReport { digest: digest(end), platforms, ..report("r.example/a:1", ImageOutcome::Copied, None) };
            images.note(&report, 1, second(10)).0.platforms
        };
        assert_eq!(told(&mut images, "1", &["linux/amd64", "linux/arm64"]), ["linux/amd64", "linux/arm64"]);
        assert_eq!(told(&mut images, "1", &[]), ["linux/amd64", "linux/arm64"]);
        assert!(told(&mut images, "2", &[]).is_empty());
    }

    #[test]
    fn failed_ones_stay_when_there_are_too_many_and_then_the_ones_seen_last() {
        let mut images = Images::default();
        for (number, outcome) in [(1, ImageOutcome::Failed), (2, ImageOutcome::Copied), (3, ImageOutcome::Copied)] {
            images.note(&report(&format!("r.example/a:{number}"), outcome, None), 1, second(number));
        }
        images.keep_at_most(2);
        assert_eq!(targets(&images, &Choice::default()), ["r.example/a:1", "r.example/a:3"]);
        images.keep_at_most(0);
        assert_eq!(images.len(), 0);
    }

    #[test]
    fn what_a_whole_run_has_not_seen_is_forgotten() {
        let mut images = Images::default();
        images.note(&report("r.example/a:1", ImageOutcome::Copied, None), 1, second(1));
        images.note(&report("r.example/a:2", ImageOutcome::Copied, None), 2, second(1));
        assert_eq!(images.keep_seen_by(2), [Box::from("r.example/a:1")]);
        assert_eq!(targets(&images, &Choice::default()), ["r.example/a:2"]);
    }

    #[test]
    fn who_has_few_keeps_all_of_them() {
        assert_eq!(fair_share(100, [10, 20, 30]), 100);
        assert_eq!(fair_share(100, [10, 200, 300]), 45);
        assert_eq!(fair_share(100, [200]), 100);
        assert_eq!(fair_share(2, [1, 1, 1]), 0);
        assert_eq!(fair_share(5, []), 5);
    }

    proptest! {
        #[test]
        fn all_together_keep_no_more_than_there_is_room_for(most in 0_usize..1000, lengths in prop::collection::vec(0_usize..500, 0..20)) {
            let share = fair_share(most, lengths.iter().copied());
            prop_assert!(lengths.iter().map(|length| share.min(*length)).sum::<usize>() <= most);
        }
    }
}
