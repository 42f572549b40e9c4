//! What is to be run: the message, and what its run is called.

use serde::{Deserialize, Serialize};

use super::names::token;
use crate::transfer::{Depth, Mode};

/// A rule that is due, or that somebody wants to be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The rule's name.
    pub rule: String,
    /// The tick, or when it was asked for, in milliseconds since 1970.
    pub at: u64,
    /// What the run is for; unset for a tick, of which whoever runs it finds out.
    pub mode: Option<Mode>,
}

impl Order {
    /// `run.<rule>.<kind>`: of each kind one waits.
    pub(super) fn subject(&self) -> String {
        format!("run.{}.{}", token(&self.rule), self.kind())
    }

    /// `<rule>.<tick>`, which is the same whoever runs it.
    pub(super) fn run(&self) -> String {
        format!("{}.{}-{}", token(&self.rule), self.at, self.kind())
    }

    fn kind(&self) -> &'static str {
        match self.mode {
            None => "due",
            Some(Mode::Execute) => "execute",
            Some(Mode::Follow) => "follow",
            Some(Mode::Repair) => "repair",
            Some(Mode::Plan) => "plan",
            Some(Mode::Verify(Depth::Shallow)) => "verify",
            Some(Mode::Verify(Depth::Deep)) => "verify-deep",
        }
    }
}
