//! One image's job: delivered, begun under a lease, written behind the fence, its result told, and then acknowledged.
//!
//! The server is NATS 2.9's work queue: what is not acknowledged in time is given to another, and a late
//! acknowledgement is taken. What a worker does is what `queue/jobs.rs` and `queue/job_fence.rs` do, one line for each
//! question to a server. Between the fence's last look and the tag's request no time passes: that is the protocol's one
//! assumption, since registries take no condition along with a tag.

use stateright::{Model, Property};

use crate::{breaks, holds};

/// How long a job is a worker's, and a lease its holder's, in steps.
const SPAN: u8 = 2;
/// A job that was given to so many is begun by no other.
const MOST_BEGUN: u8 = 2;

const NEVER_BACK: &str = "no tag is moved back";
const ACKED_HAS_RESULT: &str = "a job that is gone has its result";
const ENDS: &str = "the image is done or reported as failed in the end";

/// What is left out of the protocol, by hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// A tag is written without a look at the lease.
    NoFence,
    /// A lease is taken without a look whether the job is still there.
    NoLookForTheJob,
    AckBeforeResult,
    AckWhenGiven,
    /// What kills its workers is given out for ever.
    NeverBuried,
}

#[derive(Clone)]
struct Jobs {
    workers: usize,
    steps: u8,
    crashes: u8,
    /// Acknowledgements that never arrive.
    losses: u8,
    /// Who looks at the image dies of it, and is started anew.
    poison: bool,
    broken: Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    step: u8,
    crashes: u8,
    losses: u8,
    /// What the source's tag points at: a later number is a later image.
    source: u8,
    /// What the target's does.
    target: u8,
    moved_back: bool,
    jobs: Vec<Job>,
    copies: u8,
    lease: Option<Lease>,
    result: Option<Outcome>,
    workers: Vec<Worker>,
}

/// A message of the queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Job {
    sequence: u8,
    deliveries: u8,
    /// Somebody's until then.
    given_until: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lease {
    holder: usize,
    until: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outcome {
    Done,
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Crashed,
    At { job: u8, until: u8, extended: bool, phase: Phase },
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Given,
    /// It knows what the source has; the target has something else.
    Looked(u8),
    /// The target has it already.
    InPlace,
    /// It has the lease, as it believes, until then.
    Held {
        seen: u8,
        until: u8,
    },
    Written {
        until: u8,
    },
    /// Another is at the image: the job is to be given back.
    Others,
    /// It was begun too often: its failure is to be told.
    Buried,
    /// Nothing is left but the acknowledgement.
    Told,
    /// The acknowledgement came first, by a mistake.
    Acked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Pass,
    SourceMoves,
    Give {
        job: usize,
        worker: usize,
    },
    Extend(usize),
    /// The worker does what comes next.
    Next(usize),
    LoseAck(usize),
    Crash(usize),
}

impl State {
    fn lease_is(&self, worker: usize) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.holder == worker && self.step < lease.until)
    }

    fn has_job(&self, sequence: u8) -> bool {
        self.jobs.iter().any(|job| job.sequence == sequence)
    }

    fn remove(&mut self, sequence: u8) {
        self.jobs.retain(|job| job.sequence != sequence);
    }

    fn release(&mut self, worker: usize) {
        if self.lease_is(worker) {
            self.lease = None;
        }
    }

    fn tell(&mut self, outcome: Outcome) {
        // The first is kept: results have message ids.
        self.result.get_or_insert(outcome);
    }

    /// Asks the server whether the lease is the worker's, which renews it.
    fn check(&mut self, worker: usize, believed: u8) -> bool {
        let is_ours = self.step < believed && self.lease_is(worker);
        if is_ours {
            self.lease = Some(Lease { holder: worker, until: self.step + SPAN });
        }
        is_ours
    }
}

impl Jobs {
    fn give(&self, state: &mut State, job: usize, worker: usize) {
        let until = state.step + SPAN;
        let Job { sequence, deliveries, given_until } = &mut state.jobs[job];
        (*deliveries, *given_until) = (deliveries.saturating_add(1).min(MOST_BEGUN + 1), until);
        let is_poison = *deliveries > MOST_BEGUN && self.broken != Broken::NeverBuried;
        let phase = if is_poison { Phase::Buried } else { Phase::Given };
        let sequence = *sequence;
        state.workers[worker] = Worker::At { job: sequence, until, extended: false, phase };
        if self.broken == Broken::AckWhenGiven {
            state.remove(sequence);
        }
    }

    /// What a worker does next. `None` if nothing.
    fn next(&self, state: &mut State, who: usize) -> Option<()> {
        let Worker::At { job, until, extended, phase } = state.workers[who].clone() else { return None };
        let is_ours = state.step < until;
        let phase = match phase {
            Phase::Given if self.poison => None,
            Phase::Given if state.source == state.target => Some(Phase::InPlace),
            Phase::Given => Some(Phase::Looked(state.source)),
            Phase::InPlace if is_ours => {
                state.tell(Outcome::Done);
                Some(Phase::Told)
            }
            Phase::Looked(seen) if self.broken == Broken::NoFence => Some(Phase::Held { seen, until }),
            Phase::Looked(seen) if is_ours => self.hold(state, who, job, seen),
            Phase::InPlace | Phase::Looked(_) => None,
            Phase::Held { seen, until } if self.broken == Broken::NoFence || state.check(who, until) => {
                state.moved_back |= seen < state.target;
                state.target = seen;
                Some(Phase::Written { until: state.step + SPAN })
            }
            Phase::Written { .. } if self.broken == Broken::AckBeforeResult => {
                state.remove(job);
                Some(Phase::Acked)
            }
            Phase::Written { until } if self.broken == Broken::NoFence || state.check(who, until) => {
                state.tell(Outcome::Done);
                Some(Phase::Told)
            }
            Phase::Acked => {
                state.tell(Outcome::Done);
                None
            }
            Phase::Held { .. } | Phase::Written { .. } => None,
            Phase::Others => {
                state.copies += 1;
                let copy = Job { sequence: state.copies, deliveries: 0, given_until: 0 };
                state.jobs.push(copy);
                state.remove(job);
                None
            }
            Phase::Buried => {
                state.tell(Outcome::Failed);
                Some(Phase::Told)
            }
            Phase::Told => {
                state.remove(job);
                None
            }
        };
        state.workers[who] = match phase {
            Some(phase) => Worker::At { job, until, extended, phase },
            None => {
                state.release(who);
                Worker::Idle
            }
        };
        Some(())
    }

    /// Takes the lease, and looks then whether there is still something to do: who had it before may have done it.
    fn hold(&self, state: &mut State, who: usize, job: u8, seen: u8) -> Option<Phase> {
        if state.lease.as_ref().is_some_and(|lease| state.step < lease.until) {
            return Some(Phase::Others);
        }
        let until = state.step + SPAN;
        state.lease = Some(Lease { holder: who, until });
        let is_there = self.broken == Broken::NoLookForTheJob || state.has_job(job);
        is_there.then_some(Phase::Held { seen, until })
    }

    /// Whether it comes to its end when nothing goes wrong any more.
    fn ends(&self, state: &State) -> bool {
        let mut state = state.clone();
        for _ in 0..60 {
            if state.jobs.is_empty() && state.workers.iter().all(|worker| !matches!(worker, Worker::At { .. })) {
                break;
            }
            let mut moved = false;
            for who in 0..state.workers.len() {
                if let Some(job) = state.given_next().filter(|_| state.workers[who] == Worker::Idle) {
                    self.give(&mut state, job, who);
                }
                moved |= self.next(&mut state, who).is_some();
            }
            if !moved || state.lease.is_some() {
                state.step += 1;
            }
        }
        state.jobs.is_empty()
            && match state.result {
                Some(Outcome::Done) => state.target > 0,
                Some(Outcome::Failed) => true,
                None => false,
            }
    }
}

impl State {
    /// A job that may be given to somebody now.
    fn given_next(&self) -> Option<usize> {
        self.jobs.iter().position(|job| self.step >= job.given_until)
    }
}

impl Model for Jobs {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            step: 0,
            crashes: 0,
            losses: 0,
            source: 1,
            target: 0,
            moved_back: false,
            jobs: vec![Job { sequence: 0, deliveries: 0, given_until: 0 }],
            copies: 0,
            lease: None,
            result: None,
            workers: vec![Worker::Idle; self.workers],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.step < self.steps {
            actions.push(Action::Pass);
        }
        if state.source == 1 {
            actions.push(Action::SourceMoves);
        }
        for (who, worker) in state.workers.iter().enumerate() {
            if *worker != Worker::Crashed && state.crashes < self.crashes {
                actions.push(Action::Crash(who));
            }
            match worker {
                Worker::Crashed => {}
                Worker::Idle => {
                    let free = (0..state.jobs.len()).filter(|job| state.step >= state.jobs[*job].given_until);
                    actions.extend(free.map(|job| Action::Give { job, worker: who }));
                }
                Worker::At { until, extended, phase, .. } => {
                    actions.push(Action::Next(who));
                    if !extended && state.step < *until {
                        actions.push(Action::Extend(who));
                    }
                    if *phase == Phase::Told && state.losses < self.losses {
                        actions.push(Action::LoseAck(who));
                    }
                }
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Pass => next.step += 1,
            Action::SourceMoves => next.source = 2,
            Action::Give { job, worker } => self.give(&mut next, job, worker),
            Action::Next(who) => self.next(&mut next, who)?,
            Action::Extend(who) => {
                let longer = next.step + SPAN;
                let Worker::At { job, until, extended, .. } = &mut next.workers[who] else { return None };
                (*until, *extended) = (longer, true);
                let job = *job;
                for given in next.jobs.iter_mut().filter(|given| given.sequence == job) {
                    given.given_until = longer;
                }
            }
            Action::LoseAck(who) => {
                next.losses += 1;
                next.release(who);
                next.workers[who] = Worker::Idle;
            }
            Action::Crash(who) => {
                next.crashes += 1;
                next.workers[who] = Worker::Crashed;
            }
        }
        // More copies say nothing more.
        (next.copies <= 2).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_BACK, |_, state: &State| !state.moved_back),
            Property::always(ACKED_HAS_RESULT, |_, state: &State| !state.jobs.is_empty() || state.result.is_some()),
            Property::always("what is reported as done is written", |_, state: &State| {
                state.result != Some(Outcome::Done) || state.target > 0
            }),
            Property::always(ENDS, |model: &Jobs, state: &State| model.ends(state)),
        ]
    }
}

fn two() -> Jobs {
    Jobs { workers: 2, steps: 5, crashes: 1, losses: 1, poison: false, broken: Broken::Nothing }
}

#[test]
fn two_workers_bring_an_image_whatever_happens_to_them() {
    holds(two());
}

#[test]
fn three_workers_bring_an_image_whatever_happens_to_two_of_them() {
    holds(Jobs { workers: 3, steps: 4, crashes: 2, losses: 0, ..two() });
}

#[test]
fn what_kills_who_looks_at_it_is_reported() {
    holds(Jobs { poison: true, ..two() });
}

#[test]
fn a_tag_that_is_written_without_the_fence_is_found_out() {
    assert!(breaks(Jobs { broken: Broken::NoFence, ..two() }, NEVER_BACK));
}

#[test]
fn a_lease_that_is_taken_for_a_job_that_is_done_is_found_out() {
    assert!(breaks(Jobs { broken: Broken::NoLookForTheJob, ..two() }, NEVER_BACK));
}

#[test]
fn an_acknowledgement_before_the_result_is_found_out() {
    assert!(breaks(Jobs { broken: Broken::AckBeforeResult, ..two() }, ACKED_HAS_RESULT));
}

#[test]
fn a_job_that_is_acknowledged_when_it_is_given_is_found_out() {
    assert!(breaks(Jobs { broken: Broken::AckWhenGiven, ..two() }, ENDS));
}

#[test]
fn a_job_that_kills_for_ever_is_found_out() {
    assert!(breaks(Jobs { poison: true, broken: Broken::NeverBuried, ..two() }, ENDS));
}
