//! Who does the work: the queue knows neither rules nor registries.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::content::Fence;
use crate::events::RuleReport;
use crate::transfer::{Crew, Mode, Task, Worked};

/// Does what the queue hands out. Cancelled by the token, both end as soon as what is being committed is.
pub trait Hands: Send + Sync + 'static {
    /// What a tick's run is for; `rechecked` is the last tick whose run looked below unchanged tags. None if there is no
    /// such rule here.
    fn mode(&self, rule: &str, at: u64, rechecked: Option<u64>) -> Option<Mode>;

    /// Runs a rule, its images brought by `crew`. None if there is no such rule here.
    fn run(
        self: Arc<Self>,
        rule: Arc<str>,
        mode: Mode,
        crew: Arc<dyn Crew>,
        fence: Arc<dyn Fence>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<RuleReport>>;

    /// Does one image. None if its rule is another here, or there is none.
    fn work(
        self: Arc<Self>,
        task: Task,
        fence: Arc<dyn Fence>,
        cancel: CancellationToken,
    ) -> BoxFuture<'static, Option<Worked>>;
}
