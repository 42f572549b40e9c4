//! Processes that do a run's work together, as far as a test can tell: each has an engine of its own, and what goes from
//! one to the other goes as text.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use regferry::content::Fence;
use regferry::transfer::{Brought, Crew, Engine, Rule, Task, Worked};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::fence::Open;
use crate::support::engine;

pub(super) struct Replicas {
    pub(super) engines: Vec<Arc<Engine>>,
    pub(super) rule: Arc<Rule>,
    pub(super) fence: Arc<dyn Fence>,
    /// What was handed out.
    pub(super) tasks: Mutex<Vec<Task>>,
    /// How often a task was parked.
    pub(super) parked: AtomicUsize,
    pub(super) stop: CancellationToken,
    pub(super) most: usize,
    /// The largest number of tasks that were out.
    pub(super) peak: AtomicUsize,
    pub(super) out: AtomicUsize,
}

/// As another process reads it.
pub(super) fn again<T: Serialize + DeserializeOwned>(told: &T) -> T {
    serde_json::from_str(&serde_json::to_string(told).unwrap()).unwrap()
}

impl Replicas {
    pub(super) fn new(count: usize, rule: &Arc<Rule>) -> Self {
        Self {
            engines: (0..count).map(|_| engine()).collect(),
            rule: Arc::clone(rule),
            fence: Arc::new(Open::default()),
            tasks: Mutex::default(),
            parked: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            most: 4096,
            peak: AtomicUsize::new(0),
            out: AtomicUsize::new(0),
        }
    }

    pub(super) fn tasks(&self) -> Vec<Task> {
        self.tasks.lock().unwrap().clone()
    }

    async fn work(&self, engine: Arc<Engine>, mut task: Task) -> Vec<Brought> {
        loop {
            let (engine, rule, fence) = (Arc::clone(&engine), Arc::clone(&self.rule), Arc::clone(&self.fence));
            let (sent, cancel) = (again(&task), self.stop.clone());
            let worked = tokio::spawn(async move { engine.work(&rule, sent, fence, &cancel).await });
            match worked.await.unwrap() {
                Ok(Worked::Done(brought) | Worked::Stopped(brought)) => return again(&brought),
                Ok(Worked::Parked(parked)) => {
                    self.parked.fetch_add(1, Ordering::Relaxed);
                    if self.stop.run_until_cancelled(tokio::time::sleep(parked.wait)).await.is_none() {
                        return parked.task.left_alone("it waited for pulls");
                    }
                    task = parked.task;
                }
                Ok(Worked::Displaced) => return task.left_alone("another replica has taken it over"),
                Err(foreign) => return task.failed(&foreign.to_string()),
            }
        }
    }
}

impl Crew for Replicas {
    fn bring(&self, task: Task) -> BoxFuture<'_, Vec<Brought>> {
        let number = {
            let mut tasks = self.tasks.lock().unwrap();
            tasks.push(task.clone());
            tasks.len()
        };
        let engine = Arc::clone(&self.engines[number % self.engines.len()]);
        self.peak.fetch_max(self.out.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Box::pin(async move {
            let brought = self.work(engine, task).await;
            self.out.fetch_sub(1, Ordering::Relaxed);
            brought
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.stop.cancel();
        Box::pin(std::future::ready(()))
    }

    fn most(&self) -> usize {
        self.most
    }
}
