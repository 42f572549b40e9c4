//! `[service]`: what the daemon itself needs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::keys::{Table, section};
use super::problems::Problems;
use super::raw;
use super::secrets::secret_file;
use super::values;
use super::written::Entry;

/// What the daemon itself needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where metrics and health are served; none turns them off.
    pub listen: Option<SocketAddr>,
    /// The file with the tokens of who may change something over the API; without it nobody may.
    pub api_token_file: Option<PathBuf>,
    /// Who may look over the API.
    pub api_read: ApiRead,
    /// The directory for what outlives the process; without it nothing does.
    pub state_dir: Option<PathBuf>,
    /// How long transfers in flight may go on after the signal to stop.
    pub shutdown_grace: Duration,
}

/// Who may look at what the daemon does over the API.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiRead {
    /// Whoever reaches it.
    #[default]
    Open,
    /// Who has a token.
    Token,
}

impl ApiRead {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "open" => Ok(Self::Open),
            "token" => Ok(Self::Token),
            other => Err(format!("{other:?} is neither \"open\" nor \"token\"")),
        }
    }
}

impl Default for Service {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464)),
            api_token_file: None,
            api_read: ApiRead::Open,
            state_dir: None,
            shutdown_grace: Duration::from_secs(30),
        }
    }
}

impl Service {
    /// Reads an address to listen on, as the file and the command line write it: `IP:PORT`, `localhost:PORT`, or
    /// nothing for none.
    ///
    /// # Errors
    /// A text that says what to write instead.
    pub fn parse_listen(text: &str) -> Result<Option<SocketAddr>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
        match local {
            Some(port) => Ok(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
            None => text.parse().map(Some).map_err(|_| {
                format!("{text:?} is no address: write IP:PORT, as 127.0.0.1:9464, or 0.0.0.0:9464 for all interfaces")
            }),
        }
    }
}

/// Relative paths start from `folder`.
pub(super) fn service(entry: Entry<Table<raw::Service>>, folder: &Path, problems: &mut Problems<'_>) -> Service {
    let (raw, default) = (section(entry, problems), Service::default());
    let listen = values::parsed(raw.listen, values::TEXT, problems, Service::parse_listen);
    let read = values::parsed(raw.api_read, values::TEXT, problems, ApiRead::parse);
    if let Some(read) = &read
        && raw.api_token_file.is_none()
        && *read.get_ref() == ApiRead::Token
    {
        problems.add(&read.span(), "needs `api_token_file` beside it: without a token nobody could look");
    }
    let in_place = |_: &str| "if it holds the token itself, write that into a file, and name the file".to_owned();
    Service {
        listen: listen.map_or(default.listen, Spanned::into_inner),
        api_token_file: secret_file(raw.api_token_file, folder, in_place, problems),
        api_read: read.map_or(default.api_read, Spanned::into_inner),
        state_dir: state_dir(raw.state_dir, folder, problems),
        shutdown_grace: values::duration_or_zero(raw.shutdown_grace, problems).unwrap_or(default.shutdown_grace),
    }
}

/// It need not be there yet.
fn state_dir(entry: Entry<String>, folder: &Path, problems: &mut Problems<'_>) -> Option<PathBuf> {
    let not_empty = |text: &str| match text {
        "" => Err("names no directory: leave it out where nothing is to be remembered".to_owned()),
        text => Ok(folder.join(text)),
    };
    values::parsed(entry, values::TEXT, problems, not_empty).map(Spanned::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_an_ip_and_a_port() {
        for (text, means) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("[::]:9464", "[::]:9464"),
            ("localhost:0", "127.0.0.1:0"),
        ] {
            assert_eq!(Service::parse_listen(text), Ok(Some(means.parse().unwrap())));
        }
        assert_eq!(Service::parse_listen(""), Ok(None));
        for text in [":9464", "9464", "127.0.0.1", "localhost:http", "example.com:80", "localhost:65536"] {
            assert!(Service::parse_listen(text).unwrap_err().contains("write IP:PORT"), "{text}");
        }
    }
}
