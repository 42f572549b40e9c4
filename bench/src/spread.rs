//! Several measurements of the same: the one in the middle, and how far they lie apart.

use std::fmt;

/// The median, and the range around it; never of nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// 0 of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        let last = values.len().saturating_sub(1);
        // Of an even number the mean of the two in the middle.
        Self { median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), least: at(0), most: at(last) }
    }
}

/// `5.1 (4.9–5.3)`, with the precision asked for; the range only where it shows.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or_default();
        let [median, least, most] = [self.median, self.least, self.most].map(|value| format!("{value:.digits$}"));
        if least == most {
            return f.write_str(&median);
        }
        write!(f, "{median} ({least}–{most})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_before_its_range() {
        assert_eq!(format!("{:.1}", Spread::of([3.0, 1.0, 2.04])), "2.0 (1.0–3.0)");
        assert_eq!(format!("{:.1}", Spread::of([1.0, 2.0])), "1.5 (1.0–2.0)");
        assert_eq!(format!("{:.1}", Spread::of([2.01, 2.02])), "2.0");
        assert_eq!(format!("{:.0}", Spread::of([])), "0");
    }
}
