//! Replicas, their bucket and the messages between them, in any order that the world may bring.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A bucket that takes what is written in place of what stands there, and replicas that may be gone.
struct World {
    start: Instant,
    now: Instant,
    table: Table,
    revision: u64,
    replicas: Vec<Replica>,
    under_way: Vec<Message>,
}

struct Replica {
    holder: Holder,
    /// What it last read, which may be old.
    read: (Table, u64),
    wish: Wish,
    crashed: bool,
}

enum Message {
    Write { from: usize, beat: Beat, in_place_of: u64 },
    Answer { to: usize, beat: Beat, is_written: bool },
}

/// What can happen next.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes: who does nothing meanwhile stands still.
    Pass {
        millis: u64,
    },
    Read {
        who: usize,
    },
    Beat {
        who: usize,
    },
    /// One of the messages under way arrives, whichever was sent first.
    Arrive {
        which: usize,
    },
    /// One of them is lost.
    Lose {
        which: usize,
    },
    Wish {
        who: usize,
        wish: Wish,
    },
    Crash {
        who: usize,
    },
    Join,
    Leave {
        who: usize,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let who = || 0usize..6;
    let which = || 0usize..8;
    let parts = || prop_oneof![Just(0), Just(WHOLE), 0..=WHOLE];
    prop_oneof![
        4 => (1u64..3000).prop_map(|millis| Event::Pass { millis }),
        4 => who().prop_map(|who| Event::Read { who }),
        6 => who().prop_map(|who| Event::Beat { who }),
        8 => which().prop_map(|which| Event::Arrive { which }),
        1 => which().prop_map(|which| Event::Lose { which }),
        2 => (who(), parts(), parts()).prop_map(|(who, want, bound)| Event::Wish { who, wish: Wish { want, bound } }),
        1 => who().prop_map(|who| Event::Crash { who }),
        1 => Just(Event::Join),
        1 => who().prop_map(|who| Event::Leave { who }),
    ]
}

impl World {
    fn of(count: usize) -> Self {
        let start = Instant::now();
        let (table, replicas, under_way) = (Table::default(), Vec::new(), Vec::new());
        let mut world = Self { start, now: start, table, revision: 0, replicas, under_way };
        (0..count).for_each(|_| world.join());
        world
    }

    fn join(&mut self) {
        let holder = Holder::new(format!("replica-{}", self.replicas.len()), Timing::STANDARD);
        let read = (Table::default(), 0);
        self.replicas.push(Replica { holder, read, wish: Wish { want: WHOLE, bound: 0 }, crashed: false });
    }

    fn happens(&mut self, event: &Event) {
        match *event {
            Event::Pass { millis } => self.now += Duration::from_millis(millis),
            Event::Read { who } => self.read(who),
            Event::Beat { who } => self.beat(who),
            Event::Arrive { which } => self.arrive(which),
            Event::Lose { which } if which < self.under_way.len() => drop(self.under_way.remove(which)),
            Event::Lose { .. } => {}
            Event::Wish { who, wish } => self.alive(who, |_, replica| replica.wish = wish),
            Event::Crash { who } => self.alive(who, |_, replica| replica.crashed = true),
            Event::Join if self.replicas.len() < 6 => self.join(),
            Event::Join => {}
            Event::Leave { who } => self.leave(who),
        }
    }

    fn alive(&mut self, who: usize, does: impl FnOnce(Instant, &mut Replica)) {
        let now = self.now;
        if let Some(replica) = self.replicas.get_mut(who).filter(|replica| !replica.crashed) {
            does(now, replica);
        }
    }

    fn read(&mut self, who: usize) {
        let stands = (self.table.clone(), self.revision);
        self.alive(who, |now, replica| {
            replica.holder.see(&stands.0, now);
            replica.read = stands;
        });
    }

    fn beat(&mut self, who: usize) {
        let mut sent = None;
        self.alive(who, |now, replica| {
            let beat = replica.holder.beat(&replica.read.0, replica.wish, now);
            sent = Some(Message::Write { from: who, beat, in_place_of: replica.read.1 });
        });
        self.under_way.extend(sent);
    }

    fn arrive(&mut self, which: usize) {
        if which >= self.under_way.len() {
            return;
        }
        match self.under_way.remove(which) {
            Message::Write { from, beat, in_place_of } => {
                let is_written = in_place_of == self.revision;
                if is_written {
                    (self.table, self.revision) = (beat.table.clone(), self.revision + 1);
                }
                self.under_way.push(Message::Answer { to: from, beat, is_written });
            }
            Message::Answer { to, beat, is_written } => self.alive(to, |_, replica| {
                if is_written { replica.holder.written(&beat) } else { replica.holder.not_written(&beat) }
            }),
        }
    }

    fn leave(&mut self, who: usize) {
        let (table, revision) = (self.table.clone(), self.revision);
        let mut left = None;
        self.alive(who, |_, replica| {
            left = Some(replica.holder.leave(&table));
            replica.crashed = true;
        });
        if let Some(table) = left {
            (self.table, self.revision) = (table, revision + 1);
        }
    }

    /// A second in which nothing goes wrong: each reads what stands there, and its beat is written.
    fn good_second(&mut self) {
        self.now += SECOND;
        self.under_way.clear();
        for who in 0..self.replicas.len() {
            self.read(who);
            self.beat(who);
            while !self.under_way.is_empty() {
                self.arrive(0);
            }
        }
    }

    /// What all that run use together; who crashed uses nothing, who stands still does.
    fn in_use(&self) -> u64 {
        self.shares().iter().map(|share| u64::from(*share)).sum()
    }

    fn shares(&self) -> Vec<u32> {
        let alive = self.replicas.iter().filter(|replica| !replica.crashed);
        alive.map(|replica| replica.holder.in_use(self.now).map_or(0, |in_use| in_use.share)).collect()
    }

    fn wants(&self) -> Vec<u32> {
        self.replicas.iter().filter(|replica| !replica.crashed).map(|replica| replica.wish.want).collect()
    }

    fn written(&self) -> u64 {
        self.table.replicas.values().map(|entry| u64::from(entry.share)).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_never_more_than_the_whole_is_in_use_and_then_all_have_their_part(
        events in prop::collection::vec(event(), 1..250),
    ) {
        let mut world = World::of(3);
        for event in &events {
            world.happens(event);
            prop_assert!(world.in_use() <= u64::from(WHOLE), "{:?} after {:?}", world.shares(), world.now - world.start);
            prop_assert!(world.written() <= u64::from(WHOLE), "{:?}", world.table);
        }

        // What is bound stays so; without it, all have what is theirs.
        world.replicas.iter_mut().for_each(|replica| replica.wish.bound = 0);
        for _ in 0..9 {
            world.good_second();
            prop_assert!(world.in_use() <= u64::from(WHOLE));
        }
        prop_assert_eq!(world.shares(), divide(&world.wants()));
    }
}

#[test]
fn when_two_of_three_die_the_third_has_all_of_it_within_seven_seconds() {
    let mut world = World::of(3);
    (0..5).for_each(|_| world.good_second());
    assert_eq!(world.shares(), [333_333; 3]);
    world.happens(&Event::Crash { who: 0 });
    world.happens(&Event::Crash { who: 2 });
    let seconds = (1..).find(|_| {
        world.good_second();
        world.shares() == [WHOLE]
    });
    assert!(seconds.unwrap() <= 7, "{seconds:?}");
}

#[test]
fn what_one_does_not_need_is_anothers_within_two_seconds_and_back_within_three() {
    let mut world = World::of(3);
    (0..5).for_each(|_| world.good_second());
    world.replicas[0].wish.want = 0;
    world.replicas[1].wish.want = 100_000;
    (0..2).for_each(|_| world.good_second());
    assert_eq!(world.shares(), [0, 100_000, 900_000]);
    world.replicas[0].wish.want = WHOLE;
    (0..3).for_each(|_| world.good_second());
    assert_eq!(world.shares(), [450_000, 100_000, 450_000]);
}

#[test]
fn who_stands_still_uses_nothing_when_its_time_is_over_and_has_its_part_again_when_it_goes_on() {
    let mut world = World::of(2);
    (0..5).for_each(|_| world.good_second());
    let still = world.replicas.pop().unwrap();
    (0..8).for_each(|_| world.good_second());
    assert_eq!((still.holder.in_use(world.now), world.shares()), (None, vec![WHOLE]));
    world.replicas.push(still);
    (0..3).for_each(|_| world.good_second());
    assert_eq!(world.shares(), [WHOLE / 2; 2]);
}

#[test]
fn who_is_cut_off_uses_its_share_until_it_expires() {
    let mut world = World::of(2);
    (0..5).for_each(|_| world.good_second());
    let cut = &world.replicas[1].holder;
    let in_use = cut.in_use(world.now).unwrap();
    assert_eq!((in_use.share, in_use.until - world.now), (WHOLE / 2, Timing::STANDARD.ttl));
    assert_eq!(cut.in_use(in_use.until), None);
}

#[test]
fn what_cannot_be_given_back_is_kept_until_it_can() {
    let mut world = World::of(1);
    (0..2).for_each(|_| world.good_second());
    world.replicas[0].wish.bound = 700_000;
    world.join();
    (0..3).for_each(|_| world.good_second());
    assert_eq!(world.shares(), [700_000, 300_000]);
    world.replicas[0].wish.bound = 0;
    (0..2).for_each(|_| world.good_second());
    assert_eq!(world.shares(), [500_000, 500_000]);
}

#[test]
fn an_answer_that_is_lost_lets_nobody_use_more() {
    let mut world = World::of(1);
    world.read(0);
    world.beat(0);
    world.arrive(0);
    assert_eq!(world.table.replicas["replica-0"].share, WHOLE, "it is written");
    world.happens(&Event::Lose { which: 0 });
    assert_eq!(world.shares(), [0], "and nobody knows");
    world.good_second();
    assert_eq!(world.shares(), [WHOLE]);
}
