//! What is measured.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::corpus::Corpus;

/// A corpus, how much of it the target has, and what lies between.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// As the user names it.
    pub(crate) name: String,
    pub(crate) corpus: Corpus,
    pub(crate) there: There,
    pub(crate) between: Between,
}

/// What the target has before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    Nothing,
    /// The first half of the repositories.
    Half,
    Everything,
}

/// What lies between the contender and both registries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Between {
    /// Nothing, so that nothing is counted.
    Nothing,
    /// A proxy that lets each request wait.
    Proxy(Duration),
}

/// All that `make bench` measures when it is told nothing else, by name.
pub(crate) const ALL: [&str; 9] =
    ["a-cold@0", "a-cold@20", "a-half@0", "a-unchanged@20", "c-unchanged@20", "big", "start", "growth", "versions"];

/// What the user named.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Contenders beside each other.
    Compared(Case),
    /// How long programs take to say their version.
    Versions,
    /// Plots against the number of images, the size of a layer, latency.
    Growth,
}

impl Wanted {
    /// Reads `NAME` or `NAME@MILLISECONDS`; `delay` is that of cases that say none.
    pub(crate) fn read(text: &str, delay: Option<Duration>) -> Result<Self> {
        match text {
            "versions" => Ok(Self::Versions),
            "growth" => Ok(Self::Growth),
            _ => Ok(Self::Compared(Case::read(text, delay)?)),
        }
    }
}

impl Case {
    fn read(text: &str, delay: Option<Duration>) -> Result<Self> {
        let (name, own_delay) = match text.split_once('@') {
            None => (text, delay),
            Some((name, delay)) => (name, Some(Duration::from_millis(delay.parse().context("a delay is in ms")?))),
        };
        let mut case: Self = name.parse()?;
        if let Some(delay) = own_delay {
            case.between = Between::Proxy(delay);
        }
        if let Between::Proxy(delay) = case.between {
            case.name = format!("{name}@{}", delay.as_millis());
        }
        Ok(case)
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let none = Between::Proxy(Duration::ZERO);
        let (corpus, there, between) = match name {
            "a-cold" => (Corpus::A, There::Nothing, none),
            "a-half" => (Corpus::A, There::Half, none),
            "a-unchanged" => (Corpus::A, There::Everything, Between::Proxy(Duration::from_millis(20))),
            "c-unchanged" => (Corpus::Lists(1000), There::Everything, Between::Proxy(Duration::from_millis(20))),
            "big" => (Corpus::Layer(1024), There::Nothing, Between::Nothing),
            "start" => (Corpus::Lists(1), There::Everything, none),
            _ => anyhow::bail!("no case is called {name:?}; there are {}", ALL.join(", ")),
        };
        Ok(Self { name: name.to_owned(), corpus, there, between })
    }
}

impl Case {
    /// What is measured, for a heading.
    pub(crate) fn title(&self) -> String {
        let corpus = match self.corpus {
            Corpus::A => "Corpus A".to_owned(),
            Corpus::Lists(1) => "One image".to_owned(),
            Corpus::Lists(tags) => format!("One repository of {tags} tags"),
            Corpus::Layer(mib) => format!("One layer of {mib} MiB"),
        };
        let there = match self.there {
            There::Nothing => "cold",
            There::Half => "half of the repositories there",
            There::Everything => "unchanged",
        };
        let between = match self.between {
            Between::Nothing => "no proxy".to_owned(),
            Between::Proxy(delay) => format!("{} ms a request", delay.as_millis()),
        };
        format!("{corpus}, {there}, {between}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_that_is_read() {
        for name in ALL {
            assert!(Wanted::read(name, None).is_ok(), "{name}");
        }
        assert!(Wanted::read("b-cold", None).is_err());
    }

    #[test]
    fn a_case_says_its_delay_or_gets_one() {
        let name = |text: &str, delay: Option<u64>| match Wanted::read(text, delay.map(Duration::from_millis)).unwrap()
        {
            Wanted::Compared(case) => case.name,
            Wanted::Versions | Wanted::Growth => text.to_owned(),
        };
        assert_eq!(name("a-cold", None), "a-cold@0");
        assert_eq!(name("a-unchanged", None), "a-unchanged@20");
        assert_eq!(name("a-cold", Some(100)), "a-cold@100");
        assert_eq!(name("a-cold@7", Some(100)), "a-cold@7");
        assert_eq!(name("big", None), "big");
    }
}
