//! The daemon by the calendar, and under a clock that is set: libfaketime stands between it and the machine's date. The
//! time that passes is the machine's own.

use jiff::Timestamp;
use testkit::FakeRegistry;
use testkit::content::hello_world;

use crate::daemon::Daemon;
use crate::support::{Ferry, until};

/// Where Debian's package `faketime` has it, which `scripts/install-test-tools` installs; `$LIB` is the loader's to fill in.
const LIBRARY: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// What the date is ahead of the machine's by, in seconds.
const AHEAD: &str = "ahead";

/// A daemon whose date is set at will, with one rule at half past two in Berlin, and more if the tests say so.
struct Berlin {
    daemon: Daemon,
    _registry: FakeRegistry,
}

impl Berlin {
    /// At this date; the rule's first run has ended.
    async fn at(date: &str, more: &[&str]) -> Self {
        let registry = FakeRegistry::start().await;
        registry.seed("app", "v1", &hello_world());
        let rule = |name: &str, when: &str| {
            format!("[[rules]]\nname = '{name}'\nsource = '{0}/app'\ntarget = '{0}/{name}'\n{when}\n", registry.host())
        };
        let mut config = rule("nightly", "schedule = '30 2 * * *'\ntimezone = 'Europe/Berlin'");
        more.iter().for_each(|interval| config += &rule(interval, &format!("schedule = '{interval}'")));
        let ferry = Ferry::new(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]).config(&config);
        let ferry = ferry.file(AHEAD, &seconds_until(date));
        let file = ferry.home().join(AHEAD).display().to_string();
        let ferry =
            ferry.env("LD_PRELOAD", LIBRARY).env("FAKETIME_TIMESTAMP_FILE", &file).env("FAKETIME_NO_CACHE", "1");
        // Neither the clock that only goes forward, nor the dates of files.
        let ferry = ferry.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        let berlin = Self { daemon: Daemon::of(ferry).await, _registry: registry };
        let log = berlin.daemon.log();
        assert!(!log.contains("cannot be preloaded"), "scripts/install-test-tools installs what is missing: {log}");
        berlin.has_run("nightly", 1.0).await;
        berlin
    }

    fn set_clock(&self, date: &str) {
        self.daemon.rewrite(AHEAD, &seconds_until(date));
    }

    async fn runs(&self, rule: &str) -> f64 {
        self.daemon.metric(&format!("regferry_rule_runs_total{{outcome=\"success\",rule=\"{rule}\"}}")).await
    }

    async fn has_run(&self, rule: &str, times: f64) {
        let look = async || (self.runs(rule).await >= times).then_some(());
        until(&format!("{times} runs of {rule}, as the clock is now"), look).await;
    }

    /// Waits until this is when the rule is due next.
    async fn is_due_next(&self, date: &str) {
        let look = async || (self.daemon.status().await["rules"][0]["next"] == date).then_some(());
        until(&format!("{date} as the next tick"), look).await;
    }

    /// When the rule's last run began.
    async fn began(&self) -> Timestamp {
        let status = self.daemon.status().await;
        let began = status["rules"][0]["last_run"]["started"].as_str().and_then(|date| date.parse().ok());
        began.unwrap_or_else(|| panic!("it has run: {status:#}"))
    }
}

fn seconds_until(date: &str) -> String {
    let date: Timestamp = date.parse().expect("a date");
    format!("{:+.3}", date.duration_since(Timestamp::now()).as_secs_f64())
}

#[tokio::test]
async fn a_time_that_the_clock_skips_comes_right_after_it_and_by_itself() {
    let berlin = Berlin::at("2027-03-27T11:00:00Z", &[]).await;
    berlin.is_due_next("2027-03-28T01:00:00Z").await;

    berlin.set_clock("2027-03-28T00:59:56Z");
    // It looks at the clock once a minute at least, and now.
    berlin.daemon.signal("HUP");

    berlin.has_run("nightly", 2.0).await;
    assert!(berlin.began().await >= "2027-03-28T01:00:00Z".parse().expect("a date"), "not before the clock says so");
    berlin.is_due_next("2027-03-29T00:30:00Z").await;
    assert_eq!(berlin.runs("nightly").await, 2.0);
}

#[tokio::test]
async fn nights_that_the_clock_leaps_over_are_one_tick_and_one_that_it_is_set_back_over_is_none() {
    let berlin = Berlin::at("2027-03-26T11:00:00Z", &["1s"]).await;
    berlin.is_due_next("2027-03-27T01:30:00Z").await;

    berlin.set_clock("2027-03-30T11:00:00Z");

    berlin.has_run("nightly", 2.0).await;
    berlin.is_due_next("2027-03-31T00:30:00Z").await;

    let (nightly, often) = (berlin.runs("nightly").await, berlin.runs("1s").await);
    berlin.set_clock("2027-03-30T00:29:58Z");
    berlin.has_run("1s", often + 4.0).await;
    assert_eq!((nightly, berlin.runs("nightly").await), (2.0, 2.0));
    berlin.is_due_next("2027-03-31T00:30:00Z").await;
}
