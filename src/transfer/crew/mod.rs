//! Others who do a run's work: what is handed to them, and what comes back.
//!
//! A run is cut into [`Task`]s, one an image with all of its targets, so that what several targets want is still read
//! once. Who owns the run hands them to a [`Crew`] and puts what comes back into its report; whoever takes one does it by
//! [`Engine::work`](super::Engine::work). Tasks and their results are plain data: what carries them, and how it finds out
//! who is alive, is the crew's business.

mod brought;
mod document;
mod hand_out;
#[cfg(test)]
mod properties;
mod shift;
mod sight;
mod task;
mod watched;
mod work;
mod working;

use futures_util::future::BoxFuture;

pub use brought::{Brought, Parked, Sighting, Worked};
pub use document::Document;
pub(super) use hand_out::HandOut;
pub(super) use shift::Shifts;
pub use sight::{AtTarget, Sight};
pub use task::{Hangs, Task, TaskTarget};
pub use work::ForeignTask;

/// Who brings a run's images, in this process or others.
pub trait Crew: Send + Sync {
    /// Has a task done, and returns what became of its image at each of its targets, in their order. Who cannot have it
    /// done says so by [`Task::failed`], or [`Task::left_alone`] in a run that was stopped.
    fn bring(&self, task: Task) -> BoxFuture<'_, Vec<Brought>>;

    /// The run is stopped, by the user or its timeout: what nobody has begun is taken back, who is at work is told. What
    /// was brought until then counts; all that is still waited for ends soon, what was not done as
    /// [`Task::left_alone`].
    fn stop(&self) -> BoxFuture<'_, ()>;

    /// How many tasks of the run may be handed out before the first is done. Each takes some kilobytes meanwhile.
    fn most(&self) -> usize {
        4096
    }
}
