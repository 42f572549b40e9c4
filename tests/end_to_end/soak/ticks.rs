//! Whether runs keep to their ticks, judged from outside: by when they began and ended.

use std::fmt;

/// The runs of one rule, in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    pub(super) started: Vec<f64>,
    pub(super) ended: Vec<f64>,
}

/// What became of all rules' ticks.
#[derive(Debug, Default)]
pub(super) struct Ticking {
    ticks: usize,
    runs: usize,
    /// Ticks that came while the rule's run was under way, and were made good by the one after it.
    folded: usize,
    missed: Vec<f64>,
    /// How long after their ticks runs began that had not to wait for another one.
    lateness: Vec<f64>,
    /// How much later such runs began in the last third than in the first; of rules that had some in both.
    drift: Vec<f64>,
}

/// Between two ticks.
const INTERVAL: f64 = 1.0;
/// Who begins so long after the run before did not wait for its end.
const AT_ONCE: f64 = 0.1;
/// What a run may seem to be early, since only runs tell where the ticks are, and all are late by something.
const EARLY: f64 = 0.1;
/// What rules may drift: a millisecond a tick would be 40 in a minute. A busy machine delays single runs by more, but
/// not the quicker ones of most rules.
const DRIFT: f64 = 0.03;
/// What any one rule may seem to have drifted.
const WORST_DRIFT: f64 = 0.3;

impl Ticking {
    pub(super) fn of<'r>(rules: impl Iterator<Item = &'r Runs>) -> Self {
        let mut ticking = Self::default();
        rules.for_each(|runs| ticking.add(runs));
        ticking.lateness.sort_by(f64::total_cmp);
        ticking.drift.sort_by(f64::total_cmp);
        ticking
    }

    /// So many rules ticked, every second, in step from the beginning to the end.
    pub(super) fn assert_regular(&self, rules: usize, story: &str) {
        assert_eq!(self.missed, Vec::<f64>::new(), "ticks were missed\n{story}");
        // The first run and the last ones belong to ticks that are not looked at.
        assert!(self.ticks > 0 && self.runs <= self.ticks + 4 * rules, "more runs than ticks\n{story}");
        assert!(!self.drift.is_empty(), "of no rule it can be told whether it drifts\n{story}");
        let (least, most) = (share(&self.drift, 0.0), share(&self.drift, 1.0));
        assert!(share(&self.drift, 0.5).abs() < DRIFT, "the ticks drift\n{story}");
        assert!(-WORST_DRIFT < least && most < WORST_DRIFT, "a rule drifts\n{story}");
    }

    fn add(&mut self, runs: &Runs) {
        self.runs += runs.started.len();
        let free = runs.free_starts();
        let (Some(&first), Some(&end)) = (free.first(), runs.started.last()) else { return };
        // From half an interval early to half an interval late.
        let late = |at: f64| (at - first + INTERVAL / 2.0).rem_euclid(INTERVAL) - INTERVAL / 2.0;
        let third = (end - first) / 3.0;
        let usual = |from: f64, to: f64| {
            quartile(free.iter().filter(|at| (from..to).contains(*at)).map(|at| late(*at)).collect())
        };
        let (early, now) = (usual(first, first + third), usual(end - third, end));
        self.drift.extend(early.zip(now).map(|(early, now)| now - early));
        // Not of one run: the first of all are late on a machine that has much to do at first.
        let offset = early.or_else(|| usual(first, f64::INFINITY)).unwrap_or_default();
        self.lateness.extend(free.iter().map(|at| late(*at) - offset));
        self.judge(runs, first + offset);
    }

    /// Looks for the run of every tick, of those that are on this grid.
    fn judge(&mut self, runs: &Runs, grid: f64) {
        let end = runs.ended.last().copied().unwrap_or(grid);
        let ticks =
            (1..).map(|count| grid + f64::from(count) * INTERVAL).take_while(|tick| tick + 2.0 * INTERVAL < end);
        for tick in ticks {
            self.ticks += 1;
            let next = runs.started.partition_point(|start| *start < tick - EARLY);
            let Some(start) = runs.started.get(next) else { continue };
            let before = runs.ended[next - 1];
            let was_under_way = before > tick - EARLY;
            self.folded += usize::from(was_under_way);
            let due = if was_under_way { before } else { tick };
            if *start > due + INTERVAL - EARLY {
                self.missed.push(tick);
            }
        }
    }
}

impl Runs {
    /// When runs began that had not to wait for the one before.
    fn free_starts(&self) -> Vec<f64> {
        let later = self.started.iter().skip(1).zip(&self.ended).filter(|(start, end)| *start - *end > AT_ONCE);
        self.started.iter().take(1).chain(later.map(|(start, _)| start)).copied().collect()
    }
}

/// What the quicker ones are at, whatever delayed some of the others; of a few nothing can be told.
fn quartile(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    (values.len() >= 4).then(|| share(&values, 0.25))
}

/// The value that is at this share of sorted values; not a number if there are none.
fn share(values: &[f64], share: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share) as usize).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Ticking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { ticks, runs, folded, missed, lateness, drift } = self;
        let of = |values: &[f64]| [0.0, 0.5, 0.9, 0.99, 1.0].map(|part| format!("{:.0}", share(values, part) * 1e3));
        writeln!(f, "{ticks} ticks, {runs} runs, {folded} ticks folded, {} missed", missed.len())?;
        writeln!(f, "late by ms (least, half, 90 %, 99 %, most): {:?} of {} runs", of(lateness), lateness.len())?;
        write!(f, "drift in ms: {:?} of {} rules", of(drift), drift.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute of runs that take so long, each begun when `start` says for its number.
    fn minute(takes: f64, start: impl Fn(u32) -> f64) -> Runs {
        let started: Vec<f64> = (0..60).map(start).collect();
        Runs { ended: started.iter().map(|start| start + takes).collect(), started }
    }

    fn of(runs: &Runs) -> Ticking {
        Ticking::of([runs].into_iter())
    }

    #[test]
    fn runs_on_a_grid_are_regular_though_some_are_late() {
        let runs = minute(0.3, |n| 1_000.4 + f64::from(n) + if n % 5 == 0 { 0.35 } else { 0.004 });
        of(&runs).assert_regular(1, "");
    }

    #[test]
    fn a_tick_within_a_run_is_folded_into_the_one_after_it() {
        let mut runs = minute(0.3, f64::from);
        runs.ended[30] = 31.6;
        runs.started[31] = 31.601;
        runs.ended[31] = 31.9;
        let ticking = of(&runs);
        ticking.assert_regular(1, "");
        assert_eq!((ticking.folded, ticking.missed.len()), (1, 0));
    }

    #[test]
    fn a_first_run_that_is_late_and_long_does_not_shift_the_ticks() {
        let mut runs = minute(0.05, |n| f64::from(n) + if n % 3 == 0 { 0.15 } else { 0.004 });
        runs.started.drain(1..25);
        runs.ended.drain(..24);
        runs.started[0] = 0.2;
        let ticking = of(&runs);
        assert_eq!((ticking.missed.len(), ticking.drift.len()), (0, 0));
    }

    #[test]
    #[should_panic(expected = "ticks were missed")]
    fn a_tick_without_a_run_is_missed() {
        let mut runs = minute(0.3, f64::from);
        runs.started.remove(30);
        runs.ended.remove(30);
        of(&runs).assert_regular(1, "");
    }

    #[test]
    #[should_panic(expected = "drift")]
    fn a_millisecond_a_tick_is_a_drift() {
        of(&minute(0.3, |n| f64::from(n) * 1.001)).assert_regular(1, "");
    }

    #[test]
    #[should_panic(expected = "more runs than ticks")]
    fn runs_between_ticks_are_too_many() {
        of(&minute(0.1, |n| f64::from(n) / 2.0)).assert_regular(1, "");
    }
}
