//! What is known of the cluster, by a replica of one.

use std::sync::OnceLock;

use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Registry, Result};

use super::families::Families;
use crate::events::{ClusterNews, LeaseKind, Queue};

/// The families of a cluster, which are shown from the first news of one on: a process that works alone has none.
#[derive(Default)]
pub(super) struct Cluster(OnceLock<Option<Shown>>);

struct Shown {
    connected: IntGauge,
    replicas: IntGauge,
    backlog: IntGaugeVec,
    redeliveries: IntCounterVec,
    dead_letters: IntCounterVec,
    leases: IntGaugeVec,
    share: GaugeVec,
}

impl Cluster {
    pub(super) fn learnt(&self, registry: &Registry, news: &ClusterNews<'_>) {
        // Nothing else has these names: it cannot fail, and a metric is not worth a panic.
        if let Some(shown) = self.0.get_or_init(|| Shown::new(&Families(registry)).ok()) {
            shown.learnt(news);
        }
    }
}

impl Shown {
    fn new(families: &Families<'_>) -> Result<Self> {
        let shown = Self {
            connected: families.single("regferry_cluster_connected", "Whether NATS is reached.")?,
            replicas: families
                .single("regferry_cluster_replicas", "Replicas that this one hears of, itself among them.")?,
            backlog: families.count(
                "regferry_cluster_backlog",
                "Work that waits or is being done, over all replicas.",
                &["queue"],
            )?,
            redeliveries: families.counter(
                "regferry_cluster_redeliveries_total",
                "Work that this replica was given after another had begun it.",
                &["queue"],
            )?,
            dead_letters: families.counter(
                "regferry_cluster_dead_letters_total",
                "Work that was put aside since it had been begun too often.",
                &["queue"],
            )?,
            leases: families.count("regferry_cluster_leases", "Leases that this replica holds.", &["kind"])?,
            share: families.gauge(
                "regferry_cluster_share",
                "The part of the registry's limits that this replica may use, from 0 to 1.",
                &["registry"],
            )?,
        };
        for queue in Queue::ALL.map(Queue::as_str) {
            shown.redeliveries.with_label_values(&[queue]);
            shown.dead_letters.with_label_values(&[queue]);
        }
        LeaseKind::ALL.iter().for_each(|kind| shown.leases.with_label_values(&[kind.as_str()]).set(0));
        Ok(shown)
    }

    fn learnt(&self, news: &ClusterNews<'_>) {
        match *news {
            ClusterNews::Connected(is_connected) => self.connected.set(is_connected.into()),
            ClusterNews::Replicas(count) => self.replicas.set(count.try_into().unwrap_or(i64::MAX)),
            ClusterNews::Backlog { queue, messages } => {
                self.backlog.with_label_values(&[queue.as_str()]).set(messages.try_into().unwrap_or(i64::MAX));
            }
            ClusterNews::Redelivered(queue) => self.redeliveries.with_label_values(&[queue.as_str()]).inc(),
            ClusterNews::DeadLetter(queue) => self.dead_letters.with_label_values(&[queue.as_str()]).inc(),
            ClusterNews::Leases { kind, held } => {
                self.leases.with_label_values(&[kind.as_str()]).set(held.try_into().unwrap_or(i64::MAX));
            }
            ClusterNews::Share { registry, part: Some(part) } => {
                self.share.with_label_values(&[registry.as_str()]).set(part);
            }
            ClusterNews::Share { registry, part: None } => {
                // What is not there is as good as removed.
                let _ = self.share.remove_label_values(&[registry.as_str()]);
            }
        }
    }
}
