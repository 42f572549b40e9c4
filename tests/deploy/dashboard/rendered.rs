//! The dashboard as text, for who has no Grafana: the test leaves it in `target/tmp/dashboard.txt`.

use std::fmt::Write as _;

use super::panels::{Query, Series};

const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const WIDTH: usize = 40;

/// A heading for each panel, and a line for each of its series: how it went, and its last value.
pub(super) fn text(shown: &[(Query, Vec<Series>)]) -> String {
    let (mut text, mut panel) = (String::new(), "");
    for (query, found) in shown {
        if panel != query.panel {
            panel = &query.panel;
            let _ = write!(text, "\n{panel}\n");
        }
        for series in found {
            let last = series.values.last().copied().unwrap_or(f64::NAN);
            let _ = writeln!(text, "  {:<40} {last:>16.3}  {}", series.name, curve(&series.values));
        }
    }
    text
}

fn curve(values: &[f64]) -> String {
    let shown = &values[values.len().saturating_sub(WIDTH)..];
    let most = shown.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max);
    if shown.len() < 2 || most == 0.0 {
        return String::new();
    }
    let height = |value: &f64| {
        let eighths = (value / most * 7.0).clamp(0.0, 7.0);
        // What is no number is drawn as a gap.
        if value.is_finite() { HEIGHTS[eighths as usize] } else { ' ' }
    };
    shown.iter().map(height).collect()
}
