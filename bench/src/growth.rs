//! regferry alone, against what grows: images, bytes, distance.

use std::time::Duration;

use anyhow::Result;

use crate::case::{Between, Case, There};
use crate::contender::Contender;
use crate::corpus::Corpus;
use crate::machine;
use crate::plot::{Plot, Scale, Series};
use crate::round::{Arena, Round};
use crate::spread::Spread;
use crate::table::Table;

const IMAGES: [u32; 4] = [100, 1_000, 10_000, 100_000];
const MIB: [u32; 5] = [1, 16, 64, 256, 1_024];
const LATENCY: [u32; 3] = [0, 20, 100];

/// One plot.
pub(crate) struct Growth {
    /// Of the plot's file.
    pub(crate) name: &'static str,
    title: &'static str,
    axis: &'static str,
    scale: Scale,
    of: &'static [u32],
    series: &'static [Line],
}

/// A name, and the case at each place of the axis.
type Line = (&'static str, fn(u32) -> Case);

/// All plots.
pub(crate) const ALL: [Growth; 3] = [
    Growth {
        name: "images",
        title: "Unchanged images",
        axis: "tags of one repository, 0 ms a request",
        scale: Scale::Logarithmic,
        of: &IMAGES,
        series: &[("", images)],
    },
    Growth {
        name: "size",
        title: "One layer, copied",
        axis: "MiB, no proxy",
        scale: Scale::Logarithmic,
        of: &MIB,
        series: &[("", size)],
    },
    Growth {
        name: "latency",
        title: "Corpus A",
        axis: "ms a request",
        scale: Scale::Linear,
        of: &LATENCY,
        series: &[("cold", cold), ("unchanged", unchanged)],
    },
];

impl Growth {
    /// Measures all of it; the plot as SVG and the same as a table.
    pub(crate) fn measured(&self, arena: &Arena, contender: &Contender, rounds: usize) -> Result<(String, String)> {
        let mut table = Table::new(&[self.axis, "", "wall s", "CPU s", "peak MiB"]);
        let mut series = Vec::new();
        for (name, case) in self.series {
            let (mut wall, mut cpu) = (Vec::new(), Vec::new());
            for at in self.of {
                let case = case(*at);
                let rounds: Result<Vec<Round>> = (0..rounds).map(|_| arena.round(&case, contender)).collect();
                let point = Point::of(&rounds?);
                wall.push((f64::from(*at), point.wall.median));
                cpu.push((f64::from(*at), point.cpu.median));
                table.row(&point.row(*at, name));
            }
            series.push(Series { name: format!("{name} wall").trim().to_owned(), points: wall });
            series.push(Series { name: format!("{name} CPU").trim().to_owned(), points: cpu });
        }
        let Self { title, axis: below, scale, .. } = *self;
        let plot = Plot { title, below, beside: "seconds", machine: &machine::described(), scale, series };
        Ok((plot.svg(), table.0))
    }
}

struct Point {
    wall: Spread,
    cpu: Spread,
    peak: Spread,
}

impl Point {
    fn of(rounds: &[Round]) -> Self {
        Self {
            wall: Spread::of(rounds.iter().map(|round| round.usage.wall.as_secs_f64())),
            cpu: Spread::of(rounds.iter().map(|round| round.usage.cpu.as_secs_f64())),
            peak: Spread::of(rounds.iter().map(|round| round.usage.peak_kib as f64 / 1024.0)),
        }
    }

    fn row(&self, at: u32, series: &str) -> [String; 5] {
        let Self { wall, cpu, peak } = self;
        [at.to_string(), series.to_owned(), format!("{wall:.2}"), format!("{cpu:.3}"), format!("{peak:.0}")]
    }
}

fn images(tags: u32) -> Case {
    case("images", Corpus::Lists(tags), There::Everything, Between::Proxy(Duration::ZERO))
}

fn size(mib: u32) -> Case {
    case("size", Corpus::Layer(mib), There::Nothing, Between::Nothing)
}

fn cold(delay: u32) -> Case {
    case("cold", Corpus::A, There::Nothing, Between::Proxy(Duration::from_millis(delay.into())))
}

fn unchanged(delay: u32) -> Case {
    case("unchanged", Corpus::A, There::Everything, Between::Proxy(Duration::from_millis(delay.into())))
}

fn case(name: &str, corpus: Corpus, there: There, between: Between) -> Case {
    Case { name: name.to_owned(), corpus, there, between }
}
