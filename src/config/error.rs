//! What is wrong with a configuration, a line each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why there is no configuration. Prints one problem a line, in the order of the file's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One mistake, or the one reason why the file could not be looked into: prints as `FILE:LINE: KEY: what is wrong`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub(super) file: PathBuf,
    pub(super) place: Place,
    pub(super) message: String,
}

/// Where in the file a problem is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    Position { line: usize, column: usize },
    Key { line: usize, key: String },
}

impl ConfigError {
    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    pub(super) fn unreadable(file: &Path, error: &io::Error) -> Self {
        let message = format!("cannot be read: {error}");
        Self::new(vec![Problem { file: file.to_owned(), place: Place::Nowhere, message }])
    }

    /// A text that is no TOML. Of the parser's error only the message is taken: its full print shows the line, which
    /// may hold a password.
    pub(super) fn malformed(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        let message = format!("no valid TOML: {}", error.message());
        Self::new(vec![Problem { file: file.to_owned(), place: Place::Position { line, column }, message }])
    }
}

/// The line and the column of a byte in a text, counted from one. A column is a character.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match &self.place {
            Place::Nowhere => {}
            Place::Position { line, column } => write!(f, ":{line}:{column}")?,
            Place::Key { line, key } => write!(f, ":{line}: {key}")?,
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let text = "a\nbé c\n";
        assert_eq!(position(text, 0), (1, 1));
        assert_eq!(position(text, text.find('c').unwrap()), (2, 4));
        assert_eq!(position(text, 4), (2, 2), "inside of a character counts as its start");
        assert_eq!(position(text, 99), (3, 1), "past the end is the end");
    }
}
