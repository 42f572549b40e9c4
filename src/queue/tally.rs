//! What this replica tells of its part in the cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::events::{ClusterNews, LeaseKind, Observer, Queue};

pub(super) struct Tally {
    observer: Arc<dyn Observer>,
    rules: AtomicUsize,
    images: AtomicUsize,
}

impl Tally {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Self {
        Self { observer, rules: AtomicUsize::new(0), images: AtomicUsize::new(0) }
    }

    pub(super) fn held(&self, kind: LeaseKind) {
        let held = self.count(kind).fetch_add(1, Ordering::Relaxed) + 1;
        self.tell(&ClusterNews::Leases { kind, held });
    }

    pub(super) fn released(&self, kind: LeaseKind) {
        let held = self.count(kind).fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
        self.tell(&ClusterNews::Leases { kind, held });
    }

    pub(super) fn redelivered(&self, queue: Queue) {
        self.tell(&ClusterNews::Redelivered(queue));
    }

    pub(super) fn dead_letter(&self, queue: Queue) {
        self.tell(&ClusterNews::DeadLetter(queue));
    }

    pub(super) fn tell(&self, news: &ClusterNews<'_>) {
        self.observer.cluster(news);
    }

    fn count(&self, kind: LeaseKind) -> &AtomicUsize {
        match kind {
            LeaseKind::Rule => &self.rules,
            LeaseKind::Image => &self.images,
        }
    }
}
