//! The configuration: TOML as people write it, made into settings that cannot be wrong in form.
//!
//! `raw` declares the file's shape. [`Config::parse`] reads it in three steps: variables are expanded in the parsed
//! tree (never in the text, so that no value can become syntax), the tree is deserialised whatever the kinds of its
//! values, and each section is resolved into the types that the rest of the program takes. Every step adds what it
//! finds wrong to one list: a file's mistakes are told all at once, each with its line and key.

mod certificates;
mod cluster;
mod compose;
mod conflicts;
mod error;
mod expand;
mod keys;
mod kinds;
mod notifications;
mod parts;
mod places;
mod problems;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod prune;
mod raw;
mod registries;
mod rules;
mod schedule;
mod scope;
mod secrets;
mod service;
mod tags;
mod transfer;
mod values;
mod webhooks;
mod written;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize as _;
use toml::de::DeTable;

use crate::events::WebhookKind;
use crate::oci::Host;
use crate::queue;
use crate::registry::Settings;
use crate::telemetry::notify::Channel;
use crate::transfer::Limits;

pub use error::{ConfigError, Problem};
pub use rules::ScheduledRule;
pub use service::{ApiRead, Service};

use keys::Table;
use places::Places;
use problems::Problems;

/// A configuration, checked. The default is what holds without a file.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// What the daemon itself needs.
    pub service: Service,
    /// The registries whose messages about pushes are taken, each with the file of its secrets.
    pub webhooks: BTreeMap<WebhookKind, PathBuf>,
    /// Who is told when rules begin to fail, and when they have recovered.
    pub notifications: Vec<Arc<Channel>>,
    /// Limits over all rules together.
    pub limits: Limits,
    /// Registries that something is set for; the others have [`Settings::for_host`].
    pub registries: HashMap<Host, Settings>,
    /// The cluster that this process is part of; none for one that works alone.
    pub cluster: Option<queue::Settings>,
    /// The rules in the file's order, then those that keep a list composed; there may be none.
    pub rules: Vec<ScheduledRule>,
}

impl Config {
    /// Reads a file, with the process's environment for its variables.
    ///
    /// # Errors
    /// If the file cannot be read, or for what [`Config::parse`] finds wrong with it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_sections(path, |_| true)
    }

    /// Reads `[service]` of a file, whatever the rest of it is: to find a daemon one needs neither the variables nor the
    /// files that its rules and registries do.
    ///
    /// # Errors
    /// If the file cannot be read, is no TOML, or has mistakes in this section.
    pub fn load_service(path: &Path) -> Result<Service, ConfigError> {
        Self::load_sections(path, |section| section == "service").map(|config| config.service)
    }

    /// Reads the text of a file. `file` is its name in errors, and what relative paths in it start from; `env` looks
    /// variables up. Files that the text names as `ca_file` are opened, those whose path a variable holds looked for.
    ///
    /// # Errors
    /// If the text is no TOML, with the first place where it is not; else all mistakes in it, in the order of lines.
    pub fn parse(text: &str, file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::parse_sections(text, file, env, |_| true)
    }

    fn load_sections(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::parse_sections(&text, path, &|name| std::env::var(name).ok(), wanted)
    }

    fn parse_sections(
        text: &str,
        file: &Path,
        env: &dyn Fn(&str) -> Option<String>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, ConfigError> {
        let malformed = |error: toml::de::Error| ConfigError::malformed(file, text, &error);
        let mut tree = DeTable::parse(text).map_err(malformed)?;
        let sections = std::mem::take(tree.get_mut());
        tree.get_mut().extend(sections.into_iter().filter(|(section, _)| wanted(section.get_ref())));
        let mut problems = Problems::new(file, text, Places::of(tree.get_ref()));
        expand::table(tree.get_mut(), env, &mut problems);
        let written = Table::<raw::File>::deserialize(toml::Deserializer::from(tree)).map_err(malformed)?;

        let raw = written.known(&mut problems);
        let folder = file.parent().unwrap_or(Path::new(""));
        let defaults = rules::defaults(raw.defaults, &mut problems);
        let rules = rules::rules(raw.rules, raw.compose, &defaults, &mut problems);
        let config = Self {
            service: service::service(raw.service, folder, &mut problems),
            webhooks: webhooks::webhooks(raw.webhooks, folder, &mut problems),
            notifications: notifications::notifications(raw.notifications, &rules.names, folder, &mut problems),
            limits: transfer::limits(raw.transfer, &mut problems),
            registries: registries::registries(raw.registries, folder, &mut problems),
            cluster: cluster::cluster(raw.cluster, folder, &mut problems),
            rules: rules.sound,
        };
        problems.none_or_error().map(|()| config)
    }
}
