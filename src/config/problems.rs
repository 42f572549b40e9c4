//! The list that all steps of reading add to.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use super::error::{ConfigError, Place, Problem, position};
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
        self.written(at).contains("${")
    }

    /// The value here as the file has it.
    pub(super) fn written(&self, at: &Range<usize>) -> &'t str {
        self.text.get(at.clone()).unwrap_or_default()
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
