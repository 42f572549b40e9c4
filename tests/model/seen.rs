//! What runs believe of a target's tag without asking: who moves it says so before and after, who looks at it asks before
//! who moved it last, and a run hears what was moved since the one that looked.
//!
//! What replicas do is what `transfer/moves.rs`, `queue/moves.rs` and `queue/seen/` do, one line for each question to a
//! server. No lease and no time is in it: whoever writes may stand still for any time between any two lines.

use stateright::{Model, Property};

use crate::{breaks, holds};

const BELIEVED: &str = "what the next run believes without asking is so";

/// What is left out of the protocol, by hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// A tag is written, and then it is told.
    ToldLate,
    /// Of two who move a tag at the same time each says when it is over.
    EndedByEach,
    /// It is looked first, and then it is asked who moves it.
    AskedLate,
    /// What is going on counts as over.
    GoingOn,
    /// What was seen under an owner before counts.
    OfOthers,
    /// It is not looked whether all that was told is there to be heard.
    NoBase,
}

#[derive(Clone)]
struct Seen {
    workers: usize,
    /// How often the source's tag moves.
    flips: u8,
    /// How many images are worked on.
    jobs: u8,
    runs: u8,
    deaths: u8,
    /// How many messages the bucket of moves drops.
    drops: u8,
    broken: Broken,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    source: u8,
    target: u8,
    /// The number of the last message in the bucket of moves.
    count: u8,
    told: Option<Told>,
    /// A rule's two bases.
    bases: [Option<u8>; 2],
    kept: Option<Kept>,
    run: Option<Run>,
    /// What an owner has who has lost the rule, and does not know it.
    late: Option<Kept>,
    workers: Vec<Worker>,
    flips: u8,
    jobs: u8,
    runs: u8,
    deaths: u8,
    drops: u8,
}

/// The last that was told of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Told {
    number: u8,
    is_over: bool,
}

/// What a run leaves to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kept {
    base: u8,
    key: usize,
    sight: Option<Sight>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sight {
    image: u8,
    last: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Run {
    base: u8,
    key: usize,
    before: Option<Sight>,
    now: Option<Sight>,
}

/// `since`: the base of the run that has handed the image out; 0 for what no run has, as an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Given {
        since: u8,
    },
    /// It knows who moved the tag last, if that is over.
    Asked {
        since: u8,
        last: Option<u8>,
    },
    /// It knows what the source has.
    Read {
        since: u8,
        last: Option<u8>,
        image: u8,
    },
    Begun {
        since: u8,
        image: u8,
        begun: Option<u8>,
    },
    Written {
        since: u8,
        image: u8,
        begun: Option<u8>,
    },
    /// It has looked or written, and still has to ask or to tell, by a mistake.
    Late {
        since: u8,
        image: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Flip,
    Begin,
    Keep,
    /// Another owner takes the rule; this one does not hear of it.
    Lose,
    KeepLate,
    Give {
        worker: usize,
        is_import: bool,
    },
    /// The worker does what comes next.
    Next(usize),
    Die(usize),
    Drop,
}

impl State {
    fn tell(&mut self, is_over: bool) -> u8 {
        self.count += 1;
        self.told = Some(Told { number: self.count, is_over });
        self.count
    }

    fn begin(&mut self, broken: Broken) -> Option<u8> {
        let is_contested = self.told.is_some_and(|told| !told.is_over);
        let number = self.tell(false);
        (!is_contested || broken == Broken::EndedByEach).then_some(number)
    }

    fn end(&mut self, begun: u8, broken: Broken) -> Option<u8> {
        let is_ours = self.told == Some(Told { number: begun, is_over: false });
        (is_ours || broken == Broken::EndedByEach).then(|| self.tell(true))
    }

    /// What is told of the tag, to who is about to look.
    fn last(&self, broken: Broken) -> Option<u8> {
        match self.told {
            None => Some(0),
            Some(Told { number, is_over }) => (is_over || broken == Broken::GoingOn).then_some(number),
        }
    }

    /// What a run would believe that began now.
    fn believed(&self, broken: Broken) -> Option<Sight> {
        let Kept { base, key, sight } = self.kept?;
        let holds = |last: u8| match self.told.filter(|told| told.number > base) {
            None => last <= base,
            Some(told) => told == Told { number: last, is_over: true },
        };
        let is_whole = self.bases[key] == Some(base) || broken == Broken::NoBase;
        sight.filter(|sight| is_whole && holds(sight.last))
    }

    fn note(&mut self, since: u8, sight: Sight, broken: Broken) {
        if let Some(run) = &mut self.run
            && (run.base == since || broken == Broken::OfOthers)
        {
            run.now = Some(sight);
        }
    }
}

impl Seen {
    fn next(&self, state: &mut State, who: usize) {
        let broken = self.broken;
        state.workers[who] = match state.workers[who] {
            Worker::Idle => Worker::Idle,
            Worker::Given { since } => self.given(state, since),
            Worker::Asked { since, last } => Worker::Read { since, last, image: state.source },
            Worker::Read { since, image, .. } if image == state.target && broken == Broken::AskedLate => {
                Worker::Late { since, image }
            }
            Worker::Read { since, last, image } if image == state.target => {
                if let Some(last) = last {
                    state.note(since, Sight { image, last }, broken);
                }
                Worker::Idle
            }
            Worker::Read { since, image, .. } if broken == Broken::ToldLate => {
                state.target = image;
                Worker::Late { since, image }
            }
            Worker::Late { since, image } if broken == Broken::ToldLate => {
                Worker::Written { since, image, begun: state.begin(broken) }
            }
            Worker::Late { since, image } => {
                if let Some(last) = state.last(broken) {
                    state.note(since, Sight { image, last }, broken);
                }
                Worker::Idle
            }
            Worker::Read { since, image, .. } => Worker::Begun { since, image, begun: state.begin(broken) },
            Worker::Begun { since, image, begun } => {
                state.target = image;
                Worker::Written { since, image, begun }
            }
            Worker::Written { since, image, begun } => {
                if let Some(last) = begun.and_then(|begun| state.end(begun, broken)) {
                    state.note(since, Sight { image, last }, broken);
                }
                Worker::Idle
            }
        };
    }

    /// What the last run has seen is not asked for where the source has it still.
    fn given(&self, state: &mut State, since: u8) -> Worker {
        let before = state.run.filter(|run| run.base == since).and_then(|run| run.before);
        match before {
            Some(sight) if sight.image == state.source => {
                state.note(since, sight, self.broken);
                Worker::Idle
            }
            Some(sight) => Worker::Asked { since, last: Some(sight.last) },
            None => Worker::Asked { since, last: state.last(self.broken) },
        }
    }
}

impl Model for Seen {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            source: 1,
            target: 1,
            count: 0,
            told: None,
            bases: [None; 2],
            kept: None,
            run: None,
            late: None,
            workers: vec![Worker::Idle; self.workers],
            flips: 0,
            jobs: 0,
            runs: 0,
            deaths: 0,
            drops: 0,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut may = |can: bool, action: Action| actions.extend(can.then_some(action));
        may(state.flips < self.flips, Action::Flip);
        may(state.run.is_none() && state.runs < self.runs, Action::Begin);
        may(state.run.is_some(), Action::Keep);
        may(state.run.is_some() && state.late.is_none(), Action::Lose);
        may(state.late.is_some(), Action::KeepLate);
        may(state.drops < self.drops, Action::Drop);
        for (who, worker) in state.workers.iter().enumerate() {
            let is_idle = *worker == Worker::Idle;
            may(
                is_idle && state.jobs < self.jobs && state.run.is_some(),
                Action::Give { worker: who, is_import: false },
            );
            may(is_idle && state.jobs < self.jobs, Action::Give { worker: who, is_import: true });
            may(!is_idle, Action::Next(who));
            may(!is_idle && state.deaths < self.deaths, Action::Die(who));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Flip => {
                next.flips += 1;
                next.source = 3 - next.source;
            }
            Action::Begin => {
                next.runs += 1;
                let key = next.kept.map_or(0, |kept| 1 - kept.key);
                next.count += 1;
                next.bases[key] = Some(next.count);
                let before = next.believed(self.broken);
                next.run = Some(Run { base: next.count, key, before, now: None });
            }
            Action::Keep | Action::Lose => {
                let Run { base, key, now, .. } = next.run.take()?;
                let kept = Some(Kept { base, key, sight: now });
                *(if action == Action::Keep { &mut next.kept } else { &mut next.late }) = kept;
            }
            Action::KeepLate => next.kept = next.late.take(),
            Action::Give { worker, is_import } => {
                next.jobs += 1;
                let since = next.run.filter(|_| !is_import).map_or(0, |run| run.base);
                next.workers[worker] = Worker::Given { since };
            }
            Action::Next(who) => self.next(&mut next, who),
            Action::Die(who) => {
                next.deaths += 1;
                next.workers[who] = Worker::Idle;
            }
            Action::Drop => {
                next.drops += 1;
                let told = next.told.map(|told| told.number);
                let oldest = [next.bases[0], next.bases[1], told].into_iter().flatten().min()?;
                next.told = next.told.filter(|told| told.number != oldest);
                next.bases = next.bases.map(|base| base.filter(|base| *base != oldest));
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(BELIEVED, |model: &Seen, state: &State| {
            state.believed(model.broken).is_none_or(|sight| sight.image == state.target)
        })]
    }
}

fn two() -> Seen {
    Seen { workers: 2, flips: 2, jobs: 3, runs: 2, deaths: 1, drops: 0, broken: Broken::Nothing }
}

#[test]
fn what_is_believed_of_a_tag_is_so_whoever_moves_it_and_however_late() {
    holds(two());
}

#[test]
fn what_is_believed_of_a_tag_is_so_also_where_moves_are_forgotten() {
    holds(Seen { workers: 1, runs: 3, deaths: 0, drops: 3, ..two() });
}

#[test]
fn a_move_that_is_told_afterwards_is_found_out() {
    assert!(breaks(Seen { broken: Broken::ToldLate, ..two() }, BELIEVED));
}

#[test]
fn two_who_both_say_when_it_is_over_are_found_out() {
    assert!(breaks(Seen { broken: Broken::EndedByEach, ..two() }, BELIEVED));
}

#[test]
fn a_look_before_the_question_is_found_out() {
    assert!(breaks(Seen { broken: Broken::AskedLate, ..two() }, BELIEVED));
}

#[test]
fn a_move_that_is_going_on_and_counts_as_over_is_found_out() {
    assert!(breaks(Seen { broken: Broken::GoingOn, ..two() }, BELIEVED));
}

#[test]
fn what_was_seen_under_another_owner_and_counts_is_found_out() {
    assert!(breaks(Seen { broken: Broken::OfOthers, ..two() }, BELIEVED));
}

#[test]
fn a_base_that_nobody_looks_for_is_found_out() {
    assert!(breaks(Seen { broken: Broken::NoBase, drops: 3, ..two() }, BELIEVED));
}
