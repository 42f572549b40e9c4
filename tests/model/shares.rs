//! The shares of one limit: real holders, a bucket, and the messages between them.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use regferry::queue::shares::{Beat, Holder, Table, Timing, divide};
use regferry::registry::{WHOLE, Wish};
use stateright::{Model, Property};

use crate::{breaks, holds};

const NEVER_TOO_MUCH: &str = "no more than the whole is in use";

/// Time goes by these.
const STEP: Duration = Duration::from_secs(1);
const TIMING: Timing = Timing { beat: STEP, ttl: Duration::from_secs(2), margin: Duration::from_secs(1) };
/// For so long what is written is known to be gone, when nothing goes wrong.
const RECOVERED: u8 = 8;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

#[derive(Clone)]
struct Shares {
    /// How long it is looked.
    steps: u8,
    /// How many beats a replica sends.
    beats: u8,
    crashes: u8,
    /// Whether the replicas have their shares when it begins.
    settled: bool,
    replicas: Vec<(Timing, Wish)>,
    /// A replica takes what it has sent for written.
    believes_what_it_sends: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    step: u8,
    crashes: u8,
    table: Table,
    revision: u8,
    replicas: Vec<Replica>,
    under_way: Vec<Message>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Replica {
    holder: Holder,
    wish: Wish,
    beats: u8,
    crashed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Message {
    Write {
        from: usize,
        number: u8,
        in_place_of: u8,
        beat: Beat,
    },
    /// It is written.
    Answer {
        to: usize,
        number: u8,
        beat: Beat,
    },
}

impl Message {
    /// Messages that are under way have no order: these two states are one.
    fn key(&self) -> (usize, u8) {
        let (Self::Write { from: who, number, .. } | Self::Answer { to: who, number, .. }) = self;
        (*who, *number)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Pass,
    /// Reads what stands there, and sends what is to stand there.
    Beat(usize),
    /// A message arrives, whichever was sent first. One that never does is lost.
    Arrive(usize),
    Crash(usize),
}

impl State {
    fn now(&self) -> Instant {
        *START + STEP * u32::from(self.step)
    }

    fn in_use(&self) -> u32 {
        let alive = self.replicas.iter().filter(|replica| !replica.crashed);
        alive.filter_map(|replica| replica.holder.in_use(self.now())).map(|in_use| in_use.share).sum()
    }

    fn beat(&mut self, who: usize) {
        let now = self.now();
        let Replica { holder, wish, beats, .. } = &mut self.replicas[who];
        let beat = holder.beat(&self.table, *wish, now);
        *beats += 1;
        let number = *beats;
        self.send(Message::Write { from: who, number, in_place_of: self.revision, beat });
    }

    fn send(&mut self, message: Message) {
        self.under_way.push(message);
        self.under_way.sort_by_key(Message::key);
    }

    fn arrive(&mut self, which: usize) {
        match self.under_way.remove(which) {
            Message::Write { from, number, in_place_of, beat } => {
                let is_written = in_place_of == self.revision;
                if is_written {
                    (self.table, self.revision) = (beat.table.clone(), self.revision + 1);
                    // No other is written any more, and nobody learns anything by that.
                    self.under_way.retain(|message| matches!(message, Message::Answer { .. }));
                }
                if is_written && !self.replicas[from].crashed {
                    self.send(Message::Answer { to: from, number, beat });
                }
            }
            Message::Answer { to, beat, .. } => self.replicas[to].holder.written(&beat),
        }
    }

    /// A step in which nothing goes wrong.
    fn good_step(&mut self) {
        self.step += 1;
        self.under_way.clear();
        for who in 0..self.replicas.len() {
            if !self.replicas[who].crashed {
                self.beat(who);
                while !self.under_way.is_empty() {
                    self.arrive(0);
                }
            }
        }
    }

    /// Whether all that live have their fair shares when nothing goes wrong for a while, and never too much until then.
    fn recovers(&self) -> bool {
        let mut state = self.clone();
        for _ in 0..RECOVERED {
            state.good_step();
            if state.in_use() > WHOLE {
                return false;
            }
        }
        let alive: Vec<&Replica> = state.replicas.iter().filter(|replica| !replica.crashed).collect();
        let fair = divide(&alive.iter().map(|replica| replica.wish.want).collect::<Vec<_>>());
        let has = |replica: &&Replica| replica.holder.in_use(state.now()).map_or(0, |in_use| in_use.share);
        alive.iter().map(has).collect::<Vec<_>>() == fair
    }
}

impl Model for Shares {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let replica = |(name, (timing, wish)): (char, &(Timing, Wish))| Replica {
            holder: Holder::new(Arc::from(name.to_string()), *timing),
            wish: *wish,
            beats: 0,
            crashed: false,
        };
        let replicas = ('a'..).zip(&self.replicas).map(replica).collect();
        let table = Table::default();
        let mut state = State { step: 0, crashes: 0, table, revision: 0, replicas, under_way: Vec::new() };
        if self.settled {
            (0..3).for_each(|_| state.good_step());
            (state.step, state.revision) = (3, 0);
            state.replicas.iter_mut().for_each(|replica| replica.beats = 0);
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let first = if self.settled { 3 } else { 0 };
        if state.step - first < self.steps {
            actions.push(Action::Pass);
        }
        for (who, replica) in state.replicas.iter().enumerate().filter(|(_, replica)| !replica.crashed) {
            if replica.beats < self.beats {
                actions.push(Action::Beat(who));
            }
            if state.crashes < self.crashes {
                actions.push(Action::Crash(who));
            }
        }
        actions.extend((0..state.under_way.len()).map(Action::Arrive));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Pass => next.step += 1,
            Action::Beat(who) => {
                next.beat(who);
                if self.believes_what_it_sends {
                    let own = next.under_way.iter().rfind(|message| message.key().0 == who).cloned();
                    let Some(Message::Write { beat, .. }) = own else { return None };
                    next.replicas[who].holder.written(&beat);
                }
            }
            Action::Arrive(which) => next.arrive(which),
            Action::Crash(who) => {
                next.crashes += 1;
                let dead = &mut next.replicas[who];
                // It is all the same what it knew.
                (dead.crashed, dead.holder) = (true, Holder::new("dead", TIMING));
                next.under_way.retain(|message| !matches!(message, Message::Answer { to, .. } if *to == who));
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_TOO_MUCH, |_, state: &State| state.in_use() <= WHOLE),
            Property::always("what lives has its fair share in the end", |_, state: &State| state.recovers()),
            Property::sometimes("a replica takes the share of a dead one", |_, state: &State| {
                state.crashes > 0 && state.in_use() == WHOLE
            }),
        ]
    }
}

fn greedy() -> (Timing, Wish) {
    (TIMING, Wish { want: WHOLE, bound: 0 })
}

fn two() -> Shares {
    Shares {
        steps: 4,
        beats: 2,
        crashes: 1,
        settled: true,
        replicas: vec![greedy(), greedy()],
        believes_what_it_sends: false,
    }
}

#[test]
fn the_shares_of_two_replicas_are_never_more_than_the_whole() {
    holds(two());
}

#[test]
fn three_replicas_of_which_one_wants_little_never_use_more_than_the_whole() {
    let modest = (TIMING, Wish { want: WHOLE / 10, bound: 0 });
    let model = Shares { beats: 1, replicas: vec![greedy(), greedy(), modest], ..two() };
    holds(model);
}

#[test]
fn a_share_that_is_given_away_before_it_has_expired_is_found_out() {
    let hasty = (Timing { ttl: STEP, margin: Duration::ZERO, ..TIMING }, greedy().1);
    let slow = (Timing { ttl: STEP * 3, ..TIMING }, greedy().1);
    let model = Shares { replicas: vec![hasty, slow], ..two() };
    assert!(breaks(model, NEVER_TOO_MUCH));
}

#[test]
fn a_share_that_is_used_before_it_is_written_is_found_out() {
    let model = Shares { settled: false, believes_what_it_sends: true, ..two() };
    assert!(breaks(model, NEVER_TOO_MUCH));
}
