//! The list that all steps of reading add to.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use super::error::{ConfigError, Place, Problem, position};
use super::expand::is_variable_name;
use super::places::Places;

/// What was found wrong so far, and what is needed to say where.
pub(super) struct Problems<'t> {
    file: &'t Path,
    text: &'t str,
    places: Places,
    found: Vec<(usize, String)>,
    spoilt: HashSet<usize>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: &'t Path, text: &'t str, places: Places) -> Self {
        Self { file, text, places, found: Vec::new(), spoilt: HashSet::new() }
    }

    /// Something is wrong with the key or the value that stands here.
    pub(super) fn add(&mut self, at: &Range<usize>, message: impl Into<String>) {
        if !self.spoilt.contains(&at.start) {
            self.found.push((at.start, message.into()));
        }
    }

    /// What the value here says could not be made out: whatever else is found wrong with it is not worth telling.
    pub(super) fn spoil(&mut self, at: &Range<usize>) {
        self.spoilt.insert(at.start);
    }

    /// The key and the line of what stands here, to name it in another one's problem.
    pub(super) fn name(&self, at: &Range<usize>) -> String {
        format!("{} (line {})", self.places.key(at.start), self.line(at))
    }

    pub(super) fn line(&self, at: &Range<usize>) -> usize {
        position(self.text, at.start).0
    }

    /// Whether the value here was written with a variable in it.
    pub(super) fn has_variable(&self, at: &Range<usize>) -> bool {
        self.text.get(at.clone()).is_some_and(|written| written.contains("${"))
    }

    /// The variable that the value here was written as, and as nothing else: `"${NAME}"` or `"${NAME:-default}"`.
    pub(super) fn variable(&self, at: &Range<usize>) -> Option<&'t str> {
        let written = self.text.get(at.clone())?.trim_matches(['"', '\'']);
        let inside = written.strip_prefix("${")?.strip_suffix('}')?;
        Some(inside.split_once(":-").map_or(inside, |(name, _)| name)).filter(|name| is_variable_name(name))
    }

    /// # Errors
    /// All that was found wrong, in the order of the file, if anything was.
    pub(super) fn none_or_error(mut self) -> Result<(), ConfigError> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(offset, _)| *offset);
        let problem = |(offset, message)| {
            let place = Place::Key { line: position(self.text, offset).0, key: self.places.key(offset).to_owned() };
            Problem { file: self.file.to_owned(), place, message }
        };
        Err(ConfigError::new(self.found.into_iter().map(problem).collect()))
    }
}
