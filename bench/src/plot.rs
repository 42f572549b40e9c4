//! Lines over two axes, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 616.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 340.0;
/// Told apart by people who see few colours too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#56b4e9", "#e69f00"];

/// What is drawn.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    /// What the axes say.
    pub(crate) below: &'a str,
    pub(crate) beside: &'a str,
    /// What it was measured on.
    pub(crate) machine: &'a str,
    /// Of both axes. Where both are logarithmic, what grows in proportion rises by 1 a step to the right, as the dashed
    /// line does.
    pub(crate) scale: Scale,
    pub(crate) series: Vec<Series>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// A line.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Where values lie on the paper.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    begin: f64,
    end: f64,
}

impl Plot<'_> {
    /// The document.
    pub(crate) fn svg(&self) -> String {
        let (x, y) = (self.below_axis(), self.beside_axis());
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
             height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut svg, LEFT, 20.0, "start", &format!("<tspan font-size=\"15\">{}</tspan>", self.title));
        text(&mut svg, f64::midpoint(LEFT, RIGHT), BOTTOM + 44.0, "middle", self.below);
        text(&mut svg, LEFT, TOP - 10.0, "end", self.beside);
        let machine = format!("<tspan font-size=\"9\" fill=\"#666\">{}</tspan>", self.machine);
        text(&mut svg, RIGHT, HEIGHT - 2.0, "end", &machine);
        self.grid(&mut svg, &x, &y);
        self.proportion(&mut svg, &x, &y);
        for (series, colour) in self.series.iter().zip(COLOURS) {
            series.draw(&mut svg, &x, &y, colour);
        }
        self.legend(&mut svg);
        svg + "</svg>\n"
    }

    fn grid(&self, svg: &mut String, x: &Axis, y: &Axis) {
        for value in y.steps() {
            let at = y.place(value);
            line(svg, (LEFT, at), (RIGHT, at), "stroke=\"#ddd\"");
            text(svg, LEFT - 8.0, at + 4.0, "end", &number(value));
        }
        let mut values: Vec<f64> = self.series.iter().flat_map(|series| &series.points).map(|point| point.0).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        for value in values {
            let at = x.place(value);
            line(svg, (at, TOP), (at, BOTTOM), "stroke=\"#eee\"");
            text(svg, at, BOTTOM + 20.0, "middle", &number(value));
        }
    }

    /// From the highest line's end downwards: what it would have been.
    fn proportion(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let ends = self.series.iter().filter_map(|series| series.points.last());
        let Some(&end) = ends.max_by(|one, other| one.1.total_cmp(&other.1)) else {
            return;
        };
        if self.scale == Scale::Linear {
            return;
        }
        // Down to the left side, or to the floor.
        let factor = (x.from / end.0).max(y.from / end.1);
        let begin = (end.0 * factor, end.1 * factor);
        let place = |(right, up): (f64, f64)| (x.place(right), y.place(up));
        line(svg, place(begin), place(end), "stroke=\"#999\" stroke-dasharray=\"4 4\"");
    }

    fn legend(&self, svg: &mut String) {
        let mut at = RIGHT;
        for (series, colour) in self.series.iter().zip(COLOURS).rev() {
            text(svg, at, TOP - 10.0, "end", &format!("<tspan fill=\"{colour}\">{}</tspan>", series.name));
            at -= 7.0 * series.name.len() as f64 + 20.0;
        }
    }

    fn below_axis(&self) -> Axis {
        let values = || self.series.iter().flat_map(|series| &series.points).map(|point| point.0);
        let least = values().fold(f64::INFINITY, f64::min);
        let most = values().fold(0.0, f64::max);
        Axis { scale: self.scale, from: least, to: most, begin: LEFT + 16.0, end: RIGHT - 24.0 }
    }

    /// Whole decades, or from 0 to a round number.
    fn beside_axis(&self) -> Axis {
        let values = || self.series.iter().flat_map(|series| &series.points).map(|point| point.1);
        let least = values().fold(f64::INFINITY, f64::min).max(1e-3);
        let most = values().fold(1e-3, f64::max);
        let (from, to) = match self.scale {
            Scale::Linear => (0.0, 4.0 * round_up(most / 4.0)),
            Scale::Logarithmic => (decade(least.log10().floor()), decade(most.log10().ceil())),
        };
        Axis { scale: self.scale, from, to, begin: BOTTOM, end: TOP }
    }
}

impl Series {
    fn draw(&self, svg: &mut String, x: &Axis, y: &Axis, colour: &str) {
        let places = self.points.iter().map(|point| (x.place(point.0), y.place(point.1)));
        let path: Vec<String> = places.clone().map(|(right, down)| format!("{right:.1},{down:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(svg, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        for ((right, down), point) in places.zip(&self.points) {
            let _ = writeln!(svg, "<circle cx=\"{right:.1}\" cy=\"{down:.1}\" r=\"3\" fill=\"{colour}\"/>");
            text(svg, right, down - 8.0, "middle", &number(point.1));
        }
    }
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Logarithmic => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
        };
        self.begin + share * (self.end - self.begin)
    }

    fn steps(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => (0..=4).map(|step| self.from + f64::from(step) * (self.to - self.from) / 4.0).collect(),
            Scale::Logarithmic => {
                let (from, to) = (self.from.log10().round() as i32, self.to.log10().round() as i32);
                (from..=to).map(|exponent| decade(exponent.into())).collect()
            }
        }
    }
}

fn decade(exponent: f64) -> f64 {
    10_f64.powf(exponent)
}

/// To 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let decade = decade(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|step| *step >= value).unwrap_or(value)
}

/// Two digits that count.
fn number(value: f64) -> String {
    match value {
        value if value >= 10.0 || value == value.round() => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" {style}/>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_are_as_far_apart_as_each_other() {
        let axis = Axis { scale: Scale::Logarithmic, from: 0.1, to: 10.0, begin: 0.0, end: 100.0 };
        assert_eq!(axis.place(1.0).round(), 50.0);
        assert_eq!(axis.steps().len(), 3);
    }

    #[test]
    fn every_point_is_drawn() {
        let points = vec![(0.0, 1.5), (20.0, 3.0), (100.0, 7.0)];
        let series = vec![Series { name: "wall".to_owned(), points }];
        let plot = Plot { title: "t", below: "ms", beside: "s", machine: "m", scale: Scale::Linear, series };
        let svg = plot.svg();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
