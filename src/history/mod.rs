//! What outlives the process, in one file of `state_dir`: the last runs and the images of each rule, for who looks; and
//! what the engine has learnt, which saves requests. Losing it loses nothing else: whatever is wrong with the file, the
//! work goes on without it, and one warning says so.

mod frame;
mod journal;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task;

use crate::telemetry::{Metrics, Status};
use crate::transfer::{Recollection, Remembered};
use frame::{Frame, frames, now};
use journal::{Journal, Opened};

/// How often a daemon writes down what has changed; a machine that dies loses no more.
pub const EVERY: Duration = Duration::from_secs(1);

/// The file is written anew when it is so many times as long as it was then,
const GROWTH: u64 = 2;
/// and so many bytes longer.
const SLACK: u64 = 1 << 20;

/// Keeps what outlives the process. The default keeps nothing.
#[derive(Default)]
pub struct History {
    is_kept: AtomicBool,
    /// How much work is under way, or was broken off, that changes targets.
    at_work: AtomicUsize,
    /// Whether the file may say that there is none. Who begins work adds to the work first and looks here then; who writes
    /// sets this first and looks at the work then: so one of them sees the other.
    may_be_settled: AtomicBool,
    /// Held while the file is written, never on a thread that others wait for.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    journal: Journal,
    status: Arc<Status>,
    recollection: Recollection,
    /// Whether others write to the targets too, so that nobody knows how they are.
    is_one_of_many: bool,
    /// Whether the file says that no work is under way.
    is_settled: bool,
    /// How long the file was when it was last written anew, by whatever process.
    base: u64,
    /// Whether rows in it hold no more.
    is_to_be_replaced: bool,
}

impl History {
    /// Takes in what the file in a directory knows of the rules that `status` has, and keeps it from then on. What is wrong
    /// with the file is logged. Blocks.
    ///
    /// Where a process died at work, a target may be another than it was seen last: how targets were is forgotten then, as
    /// it is where the clock went back. So it is for `is_one_of_many`, in a cluster: others have changed them.
    pub fn open(
        folder: &Path,
        status: &Arc<Status>,
        metrics: &Metrics,
        recollection: Recollection,
        is_one_of_many: bool,
    ) -> Self {
        match Kept::open(folder, status, recollection, is_one_of_many) {
            Ok(kept) => {
                for rule in status.snapshot(true).rules {
                    if let Some(at) = rule.last_success {
                        metrics.succeeded_elsewhere(&rule.name, at.into());
                    }
                }
                Self {
                    is_kept: true.into(),
                    may_be_settled: kept.is_settled.into(),
                    kept: Mutex::new(Some(kept)),
                    ..Self::default()
                }
            }
            Err(error) => {
                tracing::warn!("[service] state_dir is not used: {error}; nothing is remembered for the next start");
                Self::default()
            }
        }
    }

    /// Whether anything is kept.
    pub fn is_kept(&self) -> bool {
        self.is_kept.load(Ordering::Relaxed)
    }

    /// Work begins that may change targets; [`History::end`] is to be called when it has come to its own end. Where that
    /// never happens, the next process believes nothing of the targets.
    pub async fn begin(self: &Arc<Self>) {
        self.at_work.fetch_add(1, Ordering::SeqCst);
        if self.is_kept() && self.may_be_settled.load(Ordering::SeqCst) {
            self.blocking(|history| {
                history.with(Kept::unsettle);
                history.may_be_settled.store(false, Ordering::SeqCst);
            })
            .await;
        }
    }

    /// Work ended by itself.
    pub fn end(&self) {
        self.at_work.fetch_sub(1, Ordering::SeqCst);
    }

    /// Writes down what has changed.
    pub async fn write(self: &Arc<Self>) {
        if self.is_kept() {
            self.blocking(Self::write_now).await;
        }
    }

    /// Writes down what has changed, again and again, until it is dropped.
    pub async fn keep(self: Arc<Self>) {
        while self.is_kept() {
            tokio::time::sleep(EVERY).await;
            self.write().await;
        }
    }

    fn write_now(&self) {
        self.with(|kept| {
            self.may_be_settled.store(true, Ordering::SeqCst);
            let is_settled = self.at_work.load(Ordering::SeqCst) == 0;
            let written = kept.write(is_settled);
            self.may_be_settled.store(is_settled, Ordering::SeqCst);
            written
        });
    }

    async fn blocking(self: &Arc<Self>, work: impl FnOnce(&Self) + Send + 'static) {
        let history = Arc::clone(self);
        // A panic there is a fault of ours, and loses what was to be kept alone.
        drop(task::spawn_blocking(move || work(&history)).await);
    }

    /// Does something with the file. Where that fails, nothing is kept any more.
    fn with(&self, work: impl FnOnce(&mut Kept) -> std::io::Result<()>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Err(error)) = kept.as_mut().map(work) else { return };
        self.is_kept.store(false, Ordering::Relaxed);
        if let Some(Kept { journal, is_settled, .. }) = kept.take() {
            tracing::warn!("[service] state_dir: {error}; nothing is remembered for the next start");
            // The next process would believe what holds no longer.
            if is_settled && let Err(error) = journal.remove() {
                tracing::warn!("[service] state_dir: its file cannot be removed: {error}; remove it by hand");
            }
        }
    }
}

impl Kept {
    fn open(
        folder: &Path,
        status: &Arc<Status>,
        recollection: Recollection,
        is_one_of_many: bool,
    ) -> Result<Self, journal::Error> {
        let Opened { mut journal, frames, loss } = Journal::open::<Frame>(folder)?;
        let base = frames.iter().map(|frame| frame.base).max().filter(|base| *base > 0).unwrap_or(journal.length());
        if let Some(loss) = &loss {
            tracing::warn!("[service] state_dir: {loss}");
            // What the file says up to here may have been taken back in what is lost of it.
            journal.tell(&Frame::unsettled(base))?;
        }
        let is_settled = loss.is_none() && frames.last().is_none_or(|frame| frame.settled);
        let is_all = frame::take_in(frames, status, &recollection, is_settled && !is_one_of_many);
        recollection.watch();
        status.watch();
        let status = Arc::clone(status);
        Ok(Self { journal, status, recollection, is_one_of_many, is_settled, base, is_to_be_replaced: !is_all })
    }

    /// Says in the file that work is under way.
    fn unsettle(&mut self) -> std::io::Result<()> {
        if self.is_settled {
            self.journal.add(&Frame::unsettled(self.base))?;
            self.is_settled = false;
        }
        Ok(())
    }

    fn write(&mut self, is_settled: bool) -> std::io::Result<()> {
        let (past, learnt) = (self.status.changes(), self.recollection.changes());
        let is_news = !past.rows.is_empty() || !learnt.rows.is_empty() || is_settled != self.is_settled;
        let is_long = self.journal.length() > GROWTH * self.base + SLACK;
        let frame = |base| Frame { at: now(), settled: is_settled, base, ..Frame::default() };
        if past.is_more || learnt.is_more || is_long || self.is_to_be_replaced {
            let (past, learnt) = (self.status.past(), self.told(self.recollection.all()));
            self.journal.replace(frames(past, learnt, frame(0)))?;
            (self.base, self.is_to_be_replaced) = (self.journal.length(), false);
        } else if is_news {
            let learnt = self.told(learnt.rows);
            frames(past.rows, learnt, frame(self.base)).try_for_each(|frame| self.journal.add(&frame))?;
        }
        self.is_settled = is_settled;
        Ok(())
    }

    /// What may be told of what was learnt.
    fn told(&self, mut rows: Vec<Remembered>) -> Vec<Remembered> {
        rows.retain(|row| !(self.is_one_of_many && row.is_of_a_target()));
        rows
    }
}
