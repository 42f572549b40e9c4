//! The tokens of the API, and the secrets of webhooks: lines of a file, which may be rotated while the daemon runs.
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
    shortest: usize,
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
    /// Each as the key of what is signed with it.
    signing: Vec<Key>,
}

/// Who knows a token of the API has chosen it for this; any will do.
const ANY_LENGTH: usize = 1;

/// Whoever reaches the daemon may guess a webhook's secret, in a URL too: it has to be worth no try.
pub(super) const SHORTEST_SECRET: usize = 16;

/// What is in a file, if it can be used.
///
/// # Errors
/// A text that says what is wrong with it, and what it should be.
pub fn check_token_file(file: &Path) -> Result<(), String> {
    Valid::read(file, ANY_LENGTH).map(drop)
}

/// The same of a file with the secrets of a webhook.
///
/// # Errors
/// As [`check_token_file`].
pub fn check_secret_file(file: &Path) -> Result<(), String> {
    Valid::read(file, SHORTEST_SECRET).map(drop)
}

impl Tokens {
    pub(super) fn of(file: PathBuf) -> Self {
        Self::of_length(file, ANY_LENGTH)
    }

    /// Those that have so many characters at least.
    pub(super) fn of_length(file: PathBuf, shortest: usize) -> Self {
        let read = Mutex::new(Read::of(&file, shortest));
        Self { file, shortest, read }
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
        self.ask(|valid| valid.hold(token))
    }

    /// Whether a text is signed with one of them, by HMAC-SHA256. Looks at the file, which blocks.
    ///
    /// # Errors
    /// As [`Tokens::hold`].
    pub(super) fn signed(&self, text: &[u8], signature: &[u8]) -> Result<bool, String> {
        self.ask(|valid| valid.signed(text, signature))
    }

    fn ask(&self, what: impl FnOnce(&Valid) -> bool) -> Result<bool, String> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.stamps.again() != read.stamps {
            *read = Read::of(&self.file, self.shortest);
            match &read.tokens {
                Ok(valid) => {
                    let file = self.file.display();
                    tracing::info!(%file, tokens = valid.codes.len(), "a file of tokens was read again");
                }
                Err(error) => tracing::error!(error, "tokens cannot be read, and nobody is let in by them"),
            }
        }
        read.tokens.as_ref().map(what).map_err(Clone::clone)
    }
}

impl Read {
    /// The file is looked at before it is read: what changes in between is seen later.
    fn of(file: &Path, shortest: usize) -> Self {
        Self { stamps: Stamps::of([file.to_owned()]), tokens: Valid::read(file, shortest) }
    }
}

impl Valid {
    fn read(file: &Path, shortest: usize) -> Result<Self, String> {
        let wrong = |reason: String| format!("reading tokens from {}: {reason}", file.display());
        let mut bytes = Vec::new();
        let opened = File::open(file).and_then(|opened| opened.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
        opened.map_err(|error| wrong(error.to_string()))?;
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(wrong(format!("it has more than {} KiB: write one token a line", LONGEST_FILE >> 10)));
        }
        let tokens = tokens(&bytes, shortest).map_err(wrong)?;
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| wrong("the system gives no random numbers".to_owned()))?;
        let codes = tokens.iter().map(|token| hmac::sign(&key, token.as_bytes())).collect();
        let signing = tokens.iter().map(|token| Key::new(HMAC_SHA256, token.as_bytes())).collect();
        Ok(Self { key, codes, signing })
    }

    /// All of them are looked at, whichever holds.
    fn hold(&self, token: &str) -> bool {
        let holds = |code: &Tag| hmac::verify(&self.key, token.as_bytes(), code.as_ref()).is_ok();
        self.codes.iter().filter(|code| holds(code)).count() > 0
    }

    fn signed(&self, text: &[u8], signature: &[u8]) -> bool {
        self.signing.iter().filter(|key| hmac::verify(key, text, signature).is_ok()).count() > 0
    }
}

/// One token a line. What is wrong is told without them.
fn tokens(bytes: &[u8], shortest: usize) -> Result<Vec<&str>, String> {
    let advice = "write one token a line, as `openssl rand -hex 32` makes them";
    let text = std::str::from_utf8(bytes).map_err(|_| format!("it is no UTF-8 text: {advice}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    let tokens: Vec<&str> = lines
        .map(|(index, line)| match line.bytes().all(|b| b.is_ascii_graphic()) {
            true if line.len() < shortest => {
                Err(format!("line {} is shorter than {shortest} characters: {advice}", index + 1))
            }
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
    fn what_is_signed_with_one_of_them_is_told_from_what_is_not() {
        let (_folder, file) = file_of(b"It's-a-Secret-to-Everybody\nanother-one-of-them\n");
        let tokens = Tokens::of_length(file, SHORTEST_SECRET);
        for secret in ["It's-a-Secret-to-Everybody", "another-one-of-them"] {
            let signature = hmac::sign(&Key::new(HMAC_SHA256, secret.as_bytes()), b"Hello, World!");
            assert_eq!(tokens.signed(b"Hello, World!", signature.as_ref()), Ok(true));
            assert_eq!(tokens.signed(b"Hello, World?", signature.as_ref()), Ok(false));
            assert_eq!(tokens.signed(b"Hello, World!", &signature.as_ref()[..31]), Ok(false));
        }
        assert_eq!(tokens.signed(b"Hello, World!", b""), Ok(false));
    }

    #[test]
    fn a_secret_that_could_be_guessed_is_refused() {
        let (_folder, file) = file_of(b"long-enough-to-be-one\nhunter2\n");
        let error = check_secret_file(&file).unwrap_err();
        assert!(error.contains("line 2 is shorter than 16 characters") && !error.contains("hunter"), "{error}");
        assert_eq!(check_token_file(&file), Ok(()));
    }

    #[test]
    fn what_is_no_file_of_tokens_is_told_without_what_it_holds() {
        for text in [&b""[..], b"\n\n", b"s3cr\xff", b"s3cret two", b"ok\ns3cr\xc3\xa9t", &[b'x'; (64 << 10) + 1]] {
            let (_folder, file) = file_of(text);
            // Its name is made up by chance, and may hold anything.
            let error = check_token_file(&file).unwrap_err().replace(&file.display().to_string(), "FILE");
            assert!(error.contains("one token a line") && !error.contains("s3") && !error.contains("xx"), "{error}");
        }
    }
}
