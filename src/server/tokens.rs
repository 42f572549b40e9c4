//! The tokens of the API: lines of a file, which may be rotated while the daemon runs.
//!
//! Several lines are several valid tokens, so that a rotation has a time in which the old one and the new one both hold.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use ring::rand::SystemRandom;

use crate::files::Stamps;

/// A file of tokens is a few lines.
const LONGEST_FILE: u64 = 64 << 10;

/// The tokens in a file, read again when it has changed.
pub(super) struct Tokens {
    file: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    stamps: Stamps,
    tokens: Result<Valid, String>,
}

/// Tokens that hold. They are kept and compared as their codes under a key that only this process has, so that neither the
/// time that it takes nor the memory tells one.
struct Valid {
    key: Key,
    codes: Vec<Tag>,
}

/// What is in a file, if it can be used.
///
/// # Errors
/// A text that says what is wrong with it, and what it should be.
pub fn check_token_file(file: &Path) -> Result<(), String> {
    Valid::read(file).map(drop)
}

impl Tokens {
    pub(super) fn of(file: PathBuf) -> Self {
        let read = Mutex::new(Read::of(&file));
        Self { file, read }
    }

    /// The file that they are in.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether a token is one of them, by the file as it is now. Looks at the file, which blocks.
    ///
    /// # Errors
    /// What is wrong with the file: then no token holds.
    pub(super) fn hold(&self, token: &str) -> Result<bool, String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamps.again() != read.stamps {
            *read = Read::of(&self.file);
            match &read.tokens {
                Ok(valid) => tracing::info!(tokens = valid.codes.len(), "the API's tokens were read again"),
                Err(error) => tracing::error!(error, "the API's tokens cannot be read, and nobody is let in"),
            }
        }
        read.tokens.as_ref().map(|valid| valid.hold(token)).map_err(Clone::clone)
    }
}

impl Read {
    /// The file is looked at before it is read: what changes in between is seen later.
    fn of(file: &Path) -> Self {
        Self { stamps: Stamps::of([file.to_owned()]), tokens: Valid::read(file) }
    }
}

impl Valid {
    fn read(file: &Path) -> Result<Self, String> {
        let wrong = |reason: String| format!("reading the API's tokens from {}: {reason}", file.display());
        let mut bytes = Vec::new();
        let opened = File::open(file).and_then(|opened| opened.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
        opened.map_err(|error| wrong(error.to_string()))?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(wrong(format!("it has more than {} KiB: write one token a line", LONGEST_FILE >> 10)));
        }
        let tokens = tokens(&bytes).map_err(wrong)?;
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| wrong("the system gives no random numbers".to_owned()))?;
        let codes = tokens.into_iter().map(|token| hmac::sign(&key, token.as_bytes())).collect();
        Ok(Self { key, codes })
    }

    /// All of them are looked at, whichever holds.
    fn hold(&self, token: &str) -> bool {
        let holds = |code: &Tag| hmac::verify(&self.key, token.as_bytes(), code.as_ref()).is_ok();
        self.codes.iter().filter(|code| holds(code)).count() > 0
    }
}

/// One token a line. What is wrong is told without them.
fn tokens(bytes: &[u8]) -> Result<Vec<&str>, String> {
    let advice = "write one token a line, as `openssl rand -hex 32` makes them";
    let text = std::str::from_utf8(bytes).map_err(|_| format!("it is no UTF-8 text: {advice}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    let tokens: Vec<&str> = lines
        .map(|(index, line)| match line.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(line),
            false => Err(format!("line {} has characters that no header can carry, or spaces: {advice}", index + 1)),
        })
        .collect::<Result<_, _>>()?;
    if tokens.is_empty() { Err(format!("it is empty: {advice}")) } else { Ok(tokens) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file_of(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, text).unwrap();
        (folder, file)
    }

    #[test]
    fn each_line_is_a_token_and_nothing_else_is() {
        let (_folder, file) = file_of(b"old\r\nnew\n\n");
        let tokens = Tokens::of(file);
        for (token, holds) in
            [("old", true), ("new", true), ("", false), ("old\r", false), ("ol", false), ("old\nnew", false)]
        {
            assert_eq!(tokens.hold(token), Ok(holds), "{token:?}");
        }
    }

    #[test]
    fn a_rotated_token_holds_at_once_and_the_old_one_no_more() {
        let (_folder, file) = file_of(b"one\n");
        let tokens = Tokens::of(file.clone());
        assert_eq!(tokens.hold("one"), Ok(true));
        fs::write(&file, "another\n").unwrap();
        assert_eq!((tokens.hold("one"), tokens.hold("another")), (Ok(false), Ok(true)));
    }

    #[test]
    fn a_file_that_is_emptied_or_taken_away_lets_nobody_in() {
        let (_folder, file) = file_of(b"one\n");
        let tokens = Tokens::of(file.clone());
        fs::write(&file, "\n").unwrap();
        assert!(tokens.hold("one").unwrap_err().contains("it is empty"));
        fs::remove_file(&file).unwrap();
        assert!(tokens.hold("one").unwrap_err().contains("No such file"));
        fs::write(&file, "one").unwrap();
        assert_eq!(tokens.hold("one"), Ok(true));
    }

    #[test]
    fn what_is_no_file_of_tokens_is_told_without_what_it_holds() {
        for text in [&b""[..], b"\n\n", b"s3cr\xff", b"s3cret two", b"ok\ns3cr\xc3\xa9t", &[b'x'; (64 << 10) + 1]] {
            let (_folder, file) = file_of(text);
            let error = check_token_file(&file).unwrap_err();
            assert!(error.contains("one token a line") && !error.contains("s3") && !error.contains("xx"), "{error}");
        }
    }
}
