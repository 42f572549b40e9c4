//! Prometheus metrics. Base units, bounded labels: never a tag or a digest.

mod cluster;
mod earlier;
mod families;
mod notifications;
mod pulls;
mod registries;
mod rules;
#[cfg(test)]
mod tests;
mod webhooks;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, IntGauge, Registry, TextEncoder};

use crate::events::{
    BlobOutcome, ClusterNews, Direction, ImageReport, Observer, Request, Retry, RuleReport, ThrottleReason,
    WebhookKind, WebhookOutcome,
};
use crate::oci::{Host, Reference};

pub use earlier::NoMetrics;
pub(super) use notifications::NotificationOutcome;

use cluster::Cluster;
use families::Families;
use notifications::Notifications;
use pulls::Pulls;
use registries::Registries;
use rules::Rules;
use webhooks::Webhooks;

/// Counts events for Prometheus.
///
/// Rules are those that [`Observer::rules`] last told of. A new one begins with zeros: one that never succeeded shows a
/// last success of 0, so that it can be alerted on. One that it no longer tells of is shown no more, whatever is told
/// later; the daemon tells of a rule that was removed until its run has ended, so that this is counted still.
pub struct Metrics {
    registry: Registry,
    rules: Rules,
    registries: Registries,
    pulls: Pulls,
    webhooks: Webhooks,
    notifications: Notifications,
    cluster: Cluster,
    in_flight: IntGauge,
    last_reload: IntGauge,
}

impl Metrics {
    /// Metrics of no rules yet.
    ///
    /// # Errors
    /// If two metrics have one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let families = Families(&registry);
        let build_info = families.count("regferry_build_info", "The version that runs; always 1.", &["version"])?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let last_reload = families.single(
            "regferry_config_last_reload_successful",
            "Whether the configuration was usable when it was last read.",
        )?;
        last_reload.set(1);
        Ok(Self {
            rules: Rules::new(&families)?,
            registries: Registries::new(&families)?,
            pulls: Pulls::new(&families)?,
            webhooks: Webhooks::new(&families)?,
            notifications: Notifications::new(&families)?,
            cluster: Cluster::default(),
            in_flight: families.single("regferry_transfers_in_flight", "Blobs being transferred.")?,
            last_reload,
            registry,
        })
    }

    /// The longest time between two ticks of a rule's schedule, for alerts that fit every rule. The rule has to have been
    /// told of.
    pub fn set_interval(&self, rule: &str, longest: Duration) {
        self.rules.set_interval(rule, longest);
    }

    /// The configuration was read again: it was usable, or the old one stays.
    pub fn reloaded(&self, is_usable: bool) {
        self.last_reload.set(is_usable.into());
    }

    /// Messages of these registries are taken from now on.
    pub fn webhooks_are(&self, kinds: impl IntoIterator<Item = WebhookKind>) {
        kinds.into_iter().for_each(|kind| self.webhooks.begin(kind));
    }

    /// A registry's message came.
    pub fn heard(&self, kind: WebhookKind, outcome: WebhookOutcome) {
        self.webhooks.heard(kind, outcome);
    }

    pub(super) fn notifications_are<'n>(&self, names: impl Iterator<Item = &'n str>) {
        self.notifications.follow(names);
    }

    pub(super) fn notified(&self, name: &str, outcome: NotificationOutcome, changes: usize) {
        self.notifications.count(name, outcome, changes);
    }

    /// Says no longer how many pulls are left at other registries: no rule pulls there any more.
    pub fn keep_registries(&self, is_kept: impl Fn(&Host) -> bool) {
        self.pulls.keep_registries(is_kept);
    }

    /// Says nothing of rules that are not to run: a zero would claim that they never succeeded.
    pub fn show_only(&self, runs: impl Fn(&str) -> bool) {
        self.rules.show_only(runs);
    }

    /// Takes over when rules last succeeded from what another process wrote with [`Metrics::render_for_files`], where that
    /// is later than what is known. Of rules that have succeeded in this process nothing is taken over.
    ///
    /// # Errors
    /// If the text is not what was written, or empty; then nothing is taken over.
    pub fn take_over(&self, written: &str) -> Result<(), NoMetrics> {
        for (rule, time) in earlier::of_rules(written, rules::LAST_SUCCESS)? {
            self.rules.succeeded_elsewhere(&rule, time);
        }
        Ok(())
    }

    /// A rule has succeeded at `time` on another replica of the cluster: each of them shows when it last did, the runs of
    /// others it does not count.
    pub fn succeeded_elsewhere(&self, rule: &str, time: SystemTime) {
        let time = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.rules.succeeded_in_cluster(rule, time.as_secs_f64());
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// If a metric cannot be written as text.
    pub fn render(&self) -> prometheus::Result<String> {
        encoded(&self.gathered())
    }

    /// The metrics for who shows them beside its own: without those of the process, which it has too, and which are of
    /// a process that is gone.
    ///
    /// # Errors
    /// As [`Metrics::render`].
    pub fn render_for_files(&self) -> prometheus::Result<String> {
        let mut families = self.gathered();
        families.retain(|family| !family.name().starts_with("process_"));
        encoded(&families)
    }

    fn gathered(&self) -> Vec<MetricFamily> {
        self.pulls.forget_past();
        self.registry.gather()
    }
}

fn encoded(families: &[MetricFamily]) -> prometheus::Result<String> {
    let mut text = Vec::new();
    TextEncoder::new().encode(families, &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

impl Observer for Metrics {
    fn rules(&self, names: &[&str]) {
        self.rules.follow(names);
    }

    fn request(&self, request: &Request<'_>) {
        self.registries.requested(request);
    }

    fn retry(&self, retry: &Retry<'_>) {
        self.registries.tried_again(retry);
    }

    fn throttled(&self, registry: &Host, reason: ThrottleReason, waited: Duration) {
        self.registries.throttled(registry, reason, waited);
    }

    fn pulls_left(&self, registry: &Host, remaining: u64, window: Duration) {
        self.pulls.announced(registry, remaining, window);
    }

    fn bytes(&self, registry: &Host, direction: Direction, bytes: u64) {
        self.registries.moved(registry, direction, bytes);
    }

    fn transfer_started(&self) {
        self.in_flight.inc();
    }

    fn transfer_ended(&self) {
        self.in_flight.dec();
    }

    fn blob(&self, rule: &str, outcome: BlobOutcome) {
        self.rules.count_blob(rule, outcome);
    }

    fn image(&self, rule: &str, image: &ImageReport) {
        self.rules.count_image(rule, image.outcome);
    }

    fn pruned(&self, rule: &str, _tag: &Reference) {
        self.rules.count_pruned(rule);
    }

    fn run_ended(&self, run: &RuleReport) {
        self.rules.count_run(run);
    }

    fn cluster(&self, news: &ClusterNews<'_>) {
        self.cluster.learnt(&self.registry, news);
    }
}
