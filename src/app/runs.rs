//! The daemon's runs under way: of rules, and of imports by their ids.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::events::RuleReport;

/// One run at most of each rule, or of whatever has a name; each ends with a `T`. Dropped, they end where they are.
pub(super) struct Runs<T = RuleReport> {
    under_way: JoinSet<T>,
    rules: HashMap<task::Id, Run>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self { under_way: JoinSet::new(), rules: HashMap::new() }
    }
}

struct Run {
    rule: Arc<str>,
    cancel: CancellationToken,
}

impl<T: Send + 'static> Runs<T> {
    /// Starts the work of a rule, which ends by itself when its token says so.
    pub(super) fn start<W>(&mut self, rule: &Arc<str>, work: impl FnOnce(CancellationToken) -> W)
    where
        W: Future<Output = T> + Send + 'static,
    {
        let cancel = CancellationToken::new();
        let handle = self.under_way.spawn(work(cancel.clone()));
        self.rules.insert(handle.id(), Run { rule: Arc::clone(rule), cancel });
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rules that run.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.values().map(|run| &run.rule)
    }

    /// Stops a rule's run, if there is one: commits are let through, then it ends.
    pub(super) fn stop(&self, rule: &str) {
        self.rules.values().filter(|run| &*run.rule == rule).for_each(|run| run.cancel.cancel());
    }

    /// Stops all of them, in the same way.
    pub(super) fn stop_all(&self) {
        self.rules.values().for_each(|run| run.cancel.cancel());
    }

    /// Waits for a run to end, and returns whose it was, and what was wrong with us if it did not end by itself. Waits
    /// forever while there is none. Cancel safe.
    pub(super) async fn next_end(&mut self) -> (Arc<str>, Result<T, JoinError>) {
        loop {
            let (id, ended) = match self.under_way.join_next_with_id().await {
                None => std::future::pending().await,
                Some(Ok((id, report))) => (id, Ok(report)),
                Some(Err(fault)) => (fault.id(), Err(fault)),
            };
            if let Some(run) = self.rules.remove(&id) {
                return (run.rule, ended);
            }
        }
    }

    /// Ends all of them where they are.
    pub(super) async fn abort(&mut self) {
        self.under_way.shutdown().await;
        self.rules.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[tokio::test]
    async fn a_run_that_panics_is_told_and_takes_no_other_along() {
        let (bad, good): (Arc<str>, Arc<str>) = ("bad".into(), "good".into());
        let mut runs = Runs::default();
        runs.start(&bad, |_| async { panic!("on purpose") });
        runs.start(&good, |cancel| async move {
            cancel.cancelled().await;
            RuleReport::begun(&"good".into(), SystemTime::now())
        });

        let (rule, ended) = runs.next_end().await;
        assert_eq!(rule, bad);
        assert!(ended.is_err_and(|fault| fault.to_string().contains("on purpose")));
        assert_eq!(runs.rules().collect::<Vec<_>>(), [&good]);

        runs.stop("good");
        let (rule, ended) = runs.next_end().await;
        assert_eq!(rule, good);
        assert!(ended.is_ok());
    }
}
