use std::fs;
use std::time::SystemTime;

use jiff::Timestamp;

use super::*;
use crate::events::{ImageOutcome, ImageReport, Observer as _, RuleReport, RunOutcome};
use crate::oci::{Digest, Reference};
use crate::telemetry::status::Choice;
use crate::transfer::Remembered;

/// A process with a state, and what it does.
struct Process {
    status: Arc<Status>,
    metrics: Metrics,
    recollection: Recollection,
    history: Arc<History>,
}

impl Process {
    fn start(folder: &Path, rules: &[&str]) -> Self {
        Self::start_as(folder, rules, false)
    }

    fn start_as(folder: &Path, rules: &[&str], is_one_of_many: bool) -> Self {
        let (status, metrics) = (Arc::new(Status::new("1", Timestamp::now())), Metrics::new().unwrap());
        status.rules(rules);
        metrics.rules(rules);
        let recollection = Recollection::of_nothing();
        let history = History::open(folder, &status, &metrics, recollection.clone(), is_one_of_many);
        Self { status, metrics, recollection, history: Arc::new(history) }
    }

    fn run(&self, rule: &str, outcome: RunOutcome, images: &[(&str, ImageOutcome)]) {
        self.status.run_started(rule);
        let image = |(target, outcome): &(&str, ImageOutcome)| {
            let target: Reference = target.parse().unwrap();
            let platforms = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
            let (digest, error) =
                (Some(Digest::of(b"image")), (*outcome == ImageOutcome::Failed).then(|| "no".to_owned()));
            ImageReport {
                outcome: *outcome,
                digest,
                platforms,
                error,
                bytes: 5,
                ..ImageReport::new(target.clone(), target)
            }
        };
        let images: Vec<ImageReport> = images.iter().map(image).collect();
        images.iter().for_each(|image| self.status.image(rule, image));
        let elapsed = Duration::from_millis(1500);
        let begun = RuleReport::begun(&rule.into(), SystemTime::now() - elapsed);
        self.status.run_ended(&RuleReport { outcome, images, elapsed, ..begun });
    }

    /// What is shown of a rule and its images, as text.
    fn shown(&self, rule: &str) -> String {
        let (detail, images) = (self.status.rule(rule), self.status.images(rule, &Choice::default(), 1, 100));
        serde_json::to_string_pretty(&(detail, images)).unwrap()
    }

    fn learn(&self, tag: &str) {
        self.recollection.recall(Remembered::Tag {
            at: "r.example/app".parse().unwrap(),
            tag: tag.parse().unwrap(),
            seen: Some((Digest::of(tag.as_bytes()), at())),
        });
    }

    /// The tags that are known to be in place.
    fn tags(&self) -> Vec<String> {
        let tag = |row| match row {
            Remembered::Tag { tag, .. } => Some(tag.to_string()),
            _ => None,
        };
        let mut tags: Vec<String> = self.recollection.all().into_iter().filter_map(tag).collect();
        tags.sort();
        tags
    }
}

fn at() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

const ALL: &[(&str, ImageOutcome)] = &[
    ("r.example/app:v1", ImageOutcome::Copied),
    ("r.example/app:v2", ImageOutcome::Unchanged),
    ("r.example/app:v3", ImageOutcome::Failed),
];

#[tokio::test]
async fn a_process_that_is_killed_leaves_what_was_shown_of_its_rules_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &["app", "other"]);
    first.run("app", RunOutcome::Success, &ALL[..2]);
    first.run("app", RunOutcome::Failure, ALL);
    first.history.write().await;
    let (shown, other) = (first.shown("app"), first.shown("other"));
    assert!(shown.contains("linux/arm64") && shown.contains("last_success\": \"2"), "{shown}");
    drop(first);

    let second = Process::start(folder.path(), &["other", "app"]);
    assert_eq!((second.shown("app"), second.shown("other")), (shown.clone(), other));
    let text = second.metrics.render().unwrap();
    let success = |rule: &str| format!("regferry_rule_last_success_timestamp_seconds{{rule=\"{rule}\"}} ");
    let of = |rule: &str| text.lines().find_map(|line| line.strip_prefix(&success(rule))?.parse::<f64>().ok()).unwrap();
    assert!(of("app") > 1e9 && of("other") == 0.0, "{text}");

    // Written anew, it says the same.
    let mut kept = second.history.kept.lock().unwrap();
    kept.as_mut().unwrap().is_to_be_replaced = true;
    kept.as_mut().unwrap().write(true).unwrap();
    drop(kept);
    drop(second);
    assert_eq!(Process::start(folder.path(), &["app"]).shown("app"), shown);
}

#[tokio::test]
async fn images_that_are_a_rules_no_more_are_forgotten_over_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &["app"]);
    first.run("app", RunOutcome::Success, &ALL[..2]);
    first.history.write().await;
    drop(first);
    let second = Process::start(folder.path(), &["app"]);
    second.run("app", RunOutcome::Success, &ALL[1..2]);
    second.history.write().await;
    let shown = second.shown("app");
    assert!(!shown.contains("app:v1"), "{shown}");
    drop(second);
    assert_eq!(Process::start(folder.path(), &["app"]).shown("app"), shown);
}

#[tokio::test]
async fn rules_that_are_gone_are_taken_out_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &["gone", "app"]);
    first.run("gone", RunOutcome::Success, ALL);
    first.run("app", RunOutcome::Success, ALL);
    first.history.write().await;
    drop(first);
    let second = Process::start(folder.path(), &["app"]);
    second.history.write().await;
    let text = fs::read_to_string(folder.path().join("history")).unwrap();
    assert!(!text.contains("gone") && text.contains("app:v2"), "{text}");
}

#[tokio::test]
async fn what_a_run_sees_in_place_again_and_again_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &["app"]);
    let mut lengths = Vec::new();
    for _ in 0..3 {
        process.run("app", RunOutcome::Success, &[("r.example/app:v1", ImageOutcome::Unchanged)]);
        process.history.write().await;
        process.history.write().await;
        lengths.push(fs::metadata(folder.path().join("history")).unwrap().len());
    }
    let text = fs::read_to_string(folder.path().join("history")).unwrap();
    assert_eq!(text.matches("app:v1").count(), 2, "as target and as source: {text}");
    assert!(lengths[2] - lengths[1] < 600, "a run more is a row more: {lengths:?}");
}

#[tokio::test]
async fn the_file_grows_neither_with_the_number_of_runs_nor_of_processes() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), &["app"]);
    for round in 0..40 {
        if round % 4 == 0 {
            drop(process);
            process = Process::start(folder.path(), &["app"]);
        }
        for _ in 0..200 {
            process.run("app", RunOutcome::Failure, ALL);
        }
        process.history.write().await;
        let length = fs::metadata(folder.path().join("history")).unwrap().len();
        assert!(length < 3 * SLACK, "{length}");
    }
    assert_eq!(process.status.rule("app").unwrap().runs.len(), 20);
}

#[tokio::test]
async fn how_targets_were_is_known_to_the_next_process_when_work_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &[]);
    first.history.begin().await;
    first.learn("v1");
    first.history.end();
    first.history.write().await;
    drop(first);
    assert_eq!(Process::start(folder.path(), &[]).tags(), ["v1"]);
    assert_eq!(Process::start(folder.path(), &[]).tags(), ["v1"], "as often as it is asked for");
}

#[tokio::test]
async fn a_process_that_dies_at_work_leaves_nothing_of_the_targets_to_be_believed_nor_does_the_next_before_it_has_looked()
 {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &[]);
    first.learn("v1");
    first.history.write().await;
    first.history.begin().await;
    first.learn("v2");
    first.history.write().await;
    drop(first);

    let second = Process::start(folder.path(), &[]);
    assert_eq!(second.tags(), Vec::<String>::new());
    drop(second);
    let third = Process::start(folder.path(), &[]);
    assert_eq!(third.tags(), Vec::<String>::new());
    third.history.begin().await;
    third.learn("v3");
    third.history.end();
    third.history.write().await;
    drop(third);
    assert_eq!(Process::start(folder.path(), &[]).tags(), ["v3"]);
}

#[tokio::test]
async fn work_that_begins_while_the_file_is_written_is_told_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), &[]);
    process.learn("v1");
    for _ in 0..50 {
        let (begun, written) = (Arc::clone(&process.history), Arc::clone(&process.history));
        process.learn("v1");
        let (begun, written) = tokio::join!(
            tokio::spawn(async move { begun.begin().await }),
            tokio::spawn(async move { written.write().await }),
        );
        begun.and(written).unwrap();
        let is_settled = process.history.kept.lock().unwrap().as_ref().unwrap().is_settled;
        assert!(!is_settled);
        process.history.end();
        process.history.write().await;
    }
}

#[tokio::test]
async fn a_member_of_a_cluster_neither_believes_nor_tells_how_targets_were() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &[]);
    first.learn("v1");
    first.history.write().await;
    drop(first);
    let member = Process::start_as(folder.path(), &[], true);
    assert_eq!(member.tags(), Vec::<String>::new());
    member.learn("v2");
    member.history.write().await;
    drop(member);
    assert_eq!(Process::start(folder.path(), &[]).tags(), Vec::<String>::new());
}

#[tokio::test]
async fn what_another_version_made_of_documents_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let smaller =
        Remembered::Smaller { of: Digest::of(b"list"), platforms: Vec::new(), is: Some(Digest::of(b"smaller")) };
    let mut journal = Journal::open::<Frame>(folder.path()).unwrap().journal;
    for version in ["0.0.1", env!("CARGO_PKG_VERSION")] {
        let frame =
            Frame { settled: true, version: version.to_owned(), learnt: vec![smaller.clone()], ..Frame::default() };
        journal.replace(std::iter::once(frame)).unwrap();
        drop(journal);
        let known = Process::start(folder.path(), &[]).recollection.all();
        assert_eq!(known.len(), usize::from(version != "0.0.1"), "{version}");
        journal = Journal::open::<Frame>(folder.path()).unwrap().journal;
    }
}

#[tokio::test]
async fn nothing_of_the_targets_is_believed_when_the_clock_went_back() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &[]);
    first.learn("v1");
    first.history.write().await;
    drop(first);
    let mut journal = Journal::open::<Frame>(folder.path()).unwrap().journal;
    journal.add(&Frame { settled: true, at: at() + 60, ..Frame::default() }).unwrap();
    drop(journal);
    assert_eq!(Process::start(folder.path(), &[]).tags(), Vec::<String>::new());
}

#[tokio::test]
async fn who_comes_second_and_who_has_no_place_to_write_go_on_without() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &["app"]);
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [folder.path(), &file, Path::new("/proc/regferry")] {
        let process = Process::start(place, &["app"]);
        assert!(!process.history.is_kept());
        process.history.begin().await;
        process.run("app", RunOutcome::Success, ALL);
        process.history.end();
        process.history.write().await;
    }
    assert!(first.history.is_kept());
}

#[tokio::test]
async fn a_disk_that_is_full_ends_it_once_and_what_was_written_is_not_believed_for_ever() {
    for is_settled in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(folder.path(), &["app"]);
        process.learn("v1");
        process.history.write().await;
        if !is_settled {
            process.history.begin().await;
        }
        process.history.kept.lock().unwrap().as_mut().unwrap().journal.fill_disk();
        process.history.begin().await;
        process.run("app", RunOutcome::Success, ALL);
        process.history.write().await;
        assert!(!process.history.is_kept());
        process.history.write().await;
        process.history.end();
        drop(process);
        assert_eq!(Process::start(folder.path(), &["app"]).tags(), Vec::<String>::new(), "{is_settled}");
    }
}
