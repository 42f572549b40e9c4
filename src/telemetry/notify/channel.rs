//! Where messages go.

use std::path::PathBuf;
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::registry::Password;

/// Where messages about some rules go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// What it is called in the log and in metrics.
    pub name: Arc<str>,
    /// Its URL, which is a secret: whoever has it may post there.
    pub url: Password,
    /// What is posted.
    pub format: Format,
    /// The rules that it is told of; all of them without it.
    pub rules: Option<RuleNames>,
    /// What is sent as `Authorization: Bearer`.
    pub token: Option<Password>,
    /// CA certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// What is posted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// A document of our own.
    #[default]
    Json,
    /// A text as Slack takes it.
    Slack,
}

/// Globs over the names of rules.
#[derive(Debug, Clone)]
pub struct RuleNames {
    globs: Vec<String>,
    matcher: GlobSet,
}

/// As they are written.
impl PartialEq for RuleNames {
    fn eq(&self, other: &Self) -> bool {
        self.globs == other.globs
    }
}

impl Eq for RuleNames {}

impl RuleNames {
    /// Names that match one of these globs.
    ///
    /// # Errors
    /// If one is no glob.
    pub fn new(globs: Vec<String>) -> Result<Self, String> {
        let mut matcher = GlobSetBuilder::new();
        for text in &globs {
            let glob = GlobBuilder::new(text).literal_separator(false).build();
            matcher.add(glob.map_err(|error| format!("{text:?} is no pattern: {}", error.kind()))?);
        }
        let matcher = matcher.build().map_err(|error| error.kind().to_string())?;
        Ok(Self { globs, matcher })
    }
}

impl Channel {
    /// Whether its URL and its token can be had.
    ///
    /// # Errors
    /// A text that says what is wrong, without them.
    pub fn check(&self) -> Result<(), String> {
        self.place().map(drop)
    }

    pub(super) fn takes(&self, rule: &str) -> bool {
        self.rules.as_ref().is_none_or(|rules| rules.matcher.is_match(rule))
    }

    /// The URL and the token as they are now. Reads files, which blocks.
    pub(super) fn place(&self) -> Result<(Url, Option<SecretString>), String> {
        let of_this = |error: String| format!("notifications.{:?}: {error}", self.name);
        let url = self.url.read_as("url").and_then(|url| parse_url(url.expose_secret())).map_err(of_this)?;
        let token = self.token.as_ref().map(|token| token.read_as("token")).transpose().map_err(of_this)?;
        Ok((url, token))
    }
}

/// A URL that something can be posted to.
///
/// # Errors
/// Why it is none, without what it says.
pub fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| "the url is none that can be posted to: write https://HOST/…".to_owned())
}
