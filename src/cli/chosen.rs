//! `--rule NAME`: which of the configuration's rules a command is about.

use super::Failure;
use crate::config::Config;

#[derive(Debug, clap::Args)]
pub(super) struct Rules {
    /// Only the rule of this name. Repeatable
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
}

impl Rules {
    /// # Errors
    /// If a name is no rule's.
    pub(super) fn check(&self, config: &Config) -> Result<(), Failure> {
        let known: Vec<&str> = config.rules.iter().map(|scheduled| &*scheduled.rule.name).collect();
        match self.rules.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => {
                Err(Failure::usage(format!("--rule {name}: there is no such rule; there are: {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    /// Whether a rule is chosen: each is, if none is named.
    pub(super) fn has(&self, rule: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|chosen| chosen == rule)
    }
}
