//! The other side of a run: one task, done as the run would do it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::watched::Watched;
use super::working::Working;
use super::{Task, Worked};
use crate::content::Fence;
use crate::transfer::context::Context;
use crate::transfer::engine::Engine;
use crate::transfer::rule::Rule;

/// A task of another rule than this process has under its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rule {rule:?} does something else here ({ours}) than where its run was begun ({theirs}): \
     give all replicas the same configuration"
)]
pub struct ForeignTask {
    rule: Arc<str>,
    ours: String,
    theirs: String,
}

impl Engine {
    /// Does a task as the run would that it is of: what several targets want is read once, and tags come last. What
    /// becomes of its image at each target is told to the observer here, once it is done.
    ///
    /// Tasks of one run that are done side by side share what a run shares. Cancelled by the token, it lets commits
    /// finish; dropped, it leaves the targets valid all the same. It does not wait for pulls: what needs some is parked,
    /// and nothing is held for it.
    ///
    /// # Errors
    /// If `rule` is not the one that the task was made of: nothing was asked or written.
    pub async fn work(
        self: &Arc<Self>,
        rule: &Arc<Rule>,
        task: Task,
        fence: Arc<dyn Fence>,
        cancel: &CancellationToken,
    ) -> Result<Worked, ForeignTask> {
        let ours = rule.fingerprint();
        if rule.name != task.rule || ours != task.fingerprint {
            let (ours, theirs) = (ours.short(), task.fingerprint.short());
            return Err(ForeignTask { rule: Arc::clone(&task.rule), ours, theirs });
        }
        let cancel = cancel.child_token();
        let fence = Arc::new(Watched::new(fence, cancel.clone()));
        let shift = self.shift(&task);
        let context = Context {
            knowledge: Arc::clone(&shift.knowledge),
            listings: Arc::clone(&shift.listings),
            fence: Some(Arc::clone(&fence) as _),
            ..self.context(&rule.name, task.mode, cancel)
        };
        // On the heap, as a run is.
        let worked = Box::pin(Working { engine: self, rule, context, shift, task }.run()).await;
        Ok(if fence.has_ended_it() { Worked::Displaced } else { worked })
    }
}
