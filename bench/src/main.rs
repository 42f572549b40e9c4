//! regferry beside its peers: the same copies between the same registries, in turn, measured and counted.
//!
//! ```console
//! $ make bench CASES="a-cold@20 a-unchanged" ROUNDS=5
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `case` | what is measured |
//! | `contender` | who is measured: regferry, skopeo, and others by a command line |
//! | `corpus` | what is copied, written to a registry's disk |
//! | `proxy` | counts and delays what goes between them |
//! | `round` | one contender, once |
//! | `measure`, `memory` | what a program and its children take |
//! | `spread`, `table`, `plot`, `docs` | what is told of it |
//! | `growth`, `versions` | regferry against what grows; the start |

mod case;
mod contender;
mod corpus;
mod docs;
mod growth;
mod machine;
mod measure;
mod memory;
mod plot;
mod proxy;
mod round;
mod spread;
mod table;
mod versions;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use case::{Case, Wanted};
use contender::Contender;
use docs::Docs;
use round::Arena;
use spread::Spread;
use table::Rounds;

/// Measures regferry beside its peers.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Inner>,
    /// What to measure, as CASE or CASE@MILLISECONDS; all of it when nothing is named.
    cases: Vec<String>,
    /// How often each contender does each case.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How long each request waits at the proxies, in ms, in cases that say no time of their own.
    #[arg(long)]
    delay: Option<u64>,
    /// What the corpora are made from.
    #[arg(long, default_value_t = corpus::SEED)]
    seed: u64,
    /// One more contender, NAME=COMMAND; the shell runs it, with {source}, {target} and {config} filled in.
    #[arg(long = "contender", value_name = "NAME=COMMAND")]
    contenders: Vec<Contender>,
    /// Only this contender, by name, and those named beside it; all of them when none is named.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also writes the results into performance.md and its plots in this folder.
    #[arg(long, value_name = "FOLDER")]
    docs: Option<PathBuf>,
    /// Where corpora and registries lie.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    folder: PathBuf,
    /// The program under test; the release build beside this one when not named.
    #[arg(long, value_name = "PROGRAM")]
    regferry: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Inner {
    /// Runs a program and writes what it took into a file.
    #[command(hide = true)]
    Measure {
        out: PathBuf,
        program: String,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Inner::Measure { out, program, arguments }) = &arguments.command {
        std::process::exit(measure::under(out, program, arguments)?);
    }
    Bench::of(arguments)?.run()
}

/// All that is known before the first round.
struct Bench {
    wanted: Vec<Wanted>,
    contenders: Vec<Contender>,
    rounds: usize,
    regferry: PathBuf,
    arena: Arena,
    docs: Option<Docs>,
}

impl Bench {
    fn of(arguments: Arguments) -> Result<Self> {
        let all = || case::ALL.map(str::to_owned).to_vec();
        let names = if arguments.cases.is_empty() { all() } else { arguments.cases };
        let delay = arguments.delay.map(Duration::from_millis);
        let wanted: Result<_> = names.iter().map(|name| Wanted::read(name, delay)).collect();
        let regferry = match arguments.regferry {
            Some(program) => program,
            None => std::env::current_exe()?.with_file_name("regferry"),
        };
        let regferry = regferry.canonicalize().with_context(|| format!("{}: `make build`", regferry.display()))?;
        let mut contenders = vec![Contender::regferry(&regferry), Contender::skopeo()];
        contenders.extend(arguments.contenders);
        contenders.retain(|contender| arguments.only.is_empty() || arguments.only.contains(&contender.name));
        fs::create_dir_all(&arguments.folder)?;
        let folder = arguments.folder.canonicalize()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let arena = Arena { folder, seed: arguments.seed, runtime };
        let docs = arguments.docs.as_deref().map(Docs::at);
        Ok(Self { wanted: wanted?, contenders, rounds: arguments.rounds.max(1), regferry, arena, docs })
    }

    fn run(&self) -> Result<()> {
        self.tell("machine", &machine::described())?;
        for wanted in &self.wanted {
            match wanted {
                Wanted::Compared(case) => self.tell(&case.name, &self.compared(case)?)?,
                Wanted::Versions => self.tell("versions", &self.versions()?)?,
                Wanted::Growth => self.growth()?,
            }
        }
        Ok(())
    }

    /// A B A B: what disturbs the machine for a while disturbs all of them.
    fn compared(&self, case: &Case) -> Result<String> {
        let mut all: Vec<Rounds> = self.contenders.iter().map(|one| (one.name.clone(), Vec::new())).collect();
        let mut hashes = Vec::new();
        for _ in 0..self.rounds {
            hashes.push(machine::hash_of_a_gib()?.as_secs_f64());
            for (contender, (_, rounds)) in self.contenders.iter().zip(&mut all) {
                rounds.push(self.arena.round(case, contender)?);
            }
        }
        let (title, table, hash) = (case.title(), table::of(&all), Spread::of(hashes));
        Ok(format!("### {title}\n\n{table}\nThe SHA-256 of a GiB, in the same rounds: {hash:.2} CPU s."))
    }

    fn versions(&self) -> Result<String> {
        let regferry = self.regferry.to_str().context("the program's path is text")?;
        versions::table(&self.arena, &[("regferry", regferry), ("skopeo", "skopeo")])
    }

    fn growth(&self) -> Result<()> {
        for growth in growth::ALL {
            let (svg, table) = growth.measured(&self.arena, &Contender::regferry(&self.regferry), self.rounds)?;
            self.tell(&format!("growth {}", growth.name), &table)?;
            if let Some(docs) = &self.docs {
                docs.plot(growth.name, &svg)?;
            }
        }
        Ok(())
    }

    /// Prints a result, and writes it down where that is wanted.
    #[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
    fn tell(&self, name: &str, text: &str) -> Result<()> {
        println!("{}\n", text.trim_end());
        self.docs.as_ref().map_or(Ok(()), |docs| docs.section(name, text))
    }
}
