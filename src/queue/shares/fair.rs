//! Who is to have how much: as much as it wants, and where that is too much for all, nobody more than another.

use crate::registry::WHOLE;

/// What everybody who wants anything is to have at least, as long as there is enough for all of them.
const FLOOR: u32 = WHOLE / 20;

/// Divides the whole by what each wants (max-min fairness). What nobody wants is everybody's alike, so that who begins
/// to want something can begin at once. The parts are never more than the whole.
pub fn divide(wants: &[u32]) -> Vec<u32> {
    let count = wants.len() as u64;
    let wanting = wants.iter().filter(|want| **want > 0).count();
    if count == 0 {
        return Vec::new();
    }
    let floor = FLOOR.min(WHOLE / wanting.max(1) as u32);
    let wants: Vec<u32> = wants.iter().map(|want| if *want > 0 { (*want).clamp(floor, WHOLE) } else { 0 }).collect();
    let level = level(&wants);
    let mut parts: Vec<u32> = wants.iter().map(|want| (*want).min(level)).collect();
    let spare = u64::from(WHOLE).saturating_sub(sum(&parts)) / count;
    // What is left because it cannot be divided alike is left.
    let spare = u32::try_from(spare).unwrap_or(WHOLE);
    parts.iter_mut().for_each(|part| *part += spare);
    parts
}

/// The most that anybody may have, if all are to have what they want up to that and it is to be no more than the whole.
fn level(wants: &[u32]) -> u32 {
    let mut ascending = wants.to_vec();
    ascending.sort_unstable();
    let mut left = WHOLE;
    for (served, want) in ascending.iter().enumerate() {
        let each = left / (wants.len() - served) as u32;
        if *want > each {
            return each;
        }
        left -= want;
    }
    WHOLE
}

fn sum(parts: &[u32]) -> u64 {
    parts.iter().map(|part| u64::from(*part)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_wants_are_met_and_large_ones_share_the_rest() {
        assert_eq!(divide(&[WHOLE, 200_000, WHOLE]), [400_000, 200_000, 400_000]);
        assert_eq!(divide(&[WHOLE, WHOLE, WHOLE]), [333_333; 3]);
        assert_eq!(divide(&[WHOLE, 1, 0]), [950_000, 50_000, 0], "a floor for who wants anything");
    }

    #[test]
    fn what_nobody_wants_is_everybodys_alike() {
        assert_eq!(divide(&[0, 0]), [500_000, 500_000]);
        assert_eq!(divide(&[400_000, 0, 0]), [600_000, 200_000, 200_000]);
        assert_eq!(divide(&[0]), [WHOLE]);
        assert_eq!(divide(&[]), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn never_more_than_the_whole_and_nobody_who_wants_is_left_out(
            wants in prop::collection::vec(prop_oneof![Just(0), Just(WHOLE), 0..=WHOLE, any::<u32>()], 1..60),
        ) {
            let parts = divide(&wants);
            prop_assert!(sum(&parts) <= u64::from(WHOLE));
            prop_assert!(sum(&parts) + 2 * wants.len() as u64 > u64::from(WHOLE), "more is left than cannot be divided");
            let most = parts.iter().max().unwrap();
            for (want, part) in wants.iter().zip(&parts) {
                prop_assert!(*want == 0 || *part >= FLOOR.min(WHOLE / wants.len() as u32), "{part} for {want}");
                // Who has less than it wants has no less than anybody: where there is something to spare, all have
                // what they want.
                prop_assert!(part >= want || part == most || *want > WHOLE, "{part} for {want}, and another has {most}");
            }
        }

        #[test]
        fn who_wants_more_has_no_less(wants in prop::collection::vec(0..=WHOLE, 2..20)) {
            let parts = divide(&wants);
            let both: Vec<(u32, u32)> = wants.into_iter().zip(parts).collect();
            for pair in both.windows(2) {
                let (a, b) = (pair[0], pair[1]);
                prop_assert!(a.0 <= b.0 && a.1 <= b.1 || a.0 >= b.0 && a.1 >= b.1);
            }
        }
    }
}
