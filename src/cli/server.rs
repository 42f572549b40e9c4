//! A running daemon, as other processes ask it: where it is, what it says, and what lets us in.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Failure;
use crate::config::Service;
use crate::http_client::{Body, Client, Request, Response, Setup, Tls, Trusted, bearer, innermost};
use crate::oci::Host;
use crate::registry::without_newline;
use crate::telemetry::status::Snapshot;

/// A daemon that takes longer is not well.
const TIMEOUT: Duration = Duration::from_secs(5);

/// So many bytes a state may have.
const LONGEST: usize = 256 << 20;

/// The variable that holds a token.
const TOKEN_VARIABLE: &str = "REGFERRY_API_TOKEN";

/// What lets us in.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Entrance {
    /// A file with a token of the daemon's [service] api_token_file; else REGFERRY_API_TOKEN holds one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// The URL below which a daemon shows what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server(Url);

/// What a daemon said.
#[derive(Debug)]
pub(super) struct Answer {
    /// As it came.
    pub(super) text: String,
    pub(super) snapshot: Snapshot,
}

impl Server {
    /// The daemon that the environment has listen here, or else the configuration.
    ///
    /// # Errors
    /// If it listens nowhere, or what the environment says is no address.
    pub(super) fn here(configured: impl FnOnce() -> Option<SocketAddr>) -> Result<Self, String> {
        Self::listening(std::env::var("REGFERRY_LISTEN").ok().as_deref(), configured)
    }

    fn listening(environment: Option<&str>, configured: impl FnOnce() -> Option<SocketAddr>) -> Result<Self, String> {
        let (address, says) = match environment {
            Some(text) => {
                let address = Service::parse_listen(text).map_err(|reason| format!("REGFERRY_LISTEN: {reason}"))?;
                (address, "REGFERRY_LISTEN")
            }
            None => (configured(), "[service] listen"),
        };
        match address {
            Some(address) => format!("http://{}", reached_at(address)).parse(),
            None => Err(format!("the daemon listens nowhere, as {says} says: name one that does with --server")),
        }
    }

    /// Asks for the state.
    ///
    /// # Errors
    /// A text that says where no daemon is, or what is there instead.
    pub(super) async fn ask(&self, token: Option<&SecretString>) -> Result<Answer, String> {
        let text = self.exchange(token, self.request(Method::GET, "status", Bytes::new())).await?;
        match serde_json::from_str(&text) {
            Ok(snapshot) => Ok(Answer { text, snapshot }),
            Err(error) => Err(self.failed(&format!("the answer is no status of a regferry's ({error})"))),
        }
    }

    /// Sends something that is to be done. Returns what it says of that.
    ///
    /// # Errors
    /// As [`Server::ask`], and what the daemon says if it refuses.
    pub(super) async fn send(
        &self,
        what: &str,
        body: &impl Serialize,
        token: Option<&SecretString>,
    ) -> Result<String, String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        let mut request = self.request(Method::POST, what, body.into());
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.exchange(token, request).await
    }

    fn request(&self, method: Method, what: &str, body: Bytes) -> Request {
        Request { method, url: self.url(what), headers: HeaderMap::new(), body: Body::Whole(body) }
    }

    async fn exchange(&self, token: Option<&SecretString>, mut request: Request) -> Result<String, String> {
        if let Some(token) = token {
            let header = bearer(token.expose_secret()).ok_or("the token has characters that no header can carry")?;
            request.headers.insert(AUTHORIZATION, header);
        }
        let exchanging = async {
            let client = self.client().map_err(|error| innermost(&error))?;
            let response = client.send(request).await.map_err(|error| innermost(&error))?;
            let (status, is_problem) = (response.status(), is_problem(&response));
            let text = response.bytes(LONGEST).await.map_err(|error| innermost(&*error));
            // A refusal says enough without its text.
            let text = if status.is_success() { text? } else { text.unwrap_or_default() };
            Ok((status, is_problem, String::from_utf8_lossy(&text).into_owned()))
        };
        let late = |_| Err(format!("no answer in {TIMEOUT:?}"));
        let answer: Result<_, String> = tokio::time::timeout(TIMEOUT, exchanging).await.unwrap_or_else(late);
        let (status, is_problem, text) = answer.map_err(|reason| self.failed(&reason))?;
        if status.is_success() {
            return Ok(text);
        }
        Err(match serde_json::from_str(&text).ok().filter(|_| is_problem) {
            Some(Refusal { detail, advice }) => format!("{self} refuses: {detail}: {advice}"),
            None => self.failed(&format!("the answer is {status}")),
        })
    }

    fn failed(&self, reason: &str) -> String {
        let advice = if reason.contains("certificate") {
            "name the file of its CA in SSL_CERT_FILE"
        } else {
            "is `regferry serve` there? --server and REGFERRY_SERVER name another place"
        };
        format!("asking {self}: {reason}; {advice}")
    }

    fn url(&self, what: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/api/v1/{what}", self.0.path().trim_end_matches('/')));
        url
    }

    /// For plain HTTP no roots of trust are needed; to this machine no proxy leads.
    fn client(&self) -> Result<Client, rustls::Error> {
        let trusted = if self.0.scheme() == "http" { Trusted::Only(Vec::new()) } else { Trusted::default() };
        let host = self.0.host_str().and_then(|host| host.parse::<Host>().ok());
        Client::new(Setup {
            is_proxied: !host.is_some_and(|host| host.is_loopback()),
            tls: Tls { trusted, identity: None },
            ..Setup::default()
        })
    }
}

impl Entrance {
    /// The token, from the named file, from the environment, or else from the first line of `usual`, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read, or what is there is no token.
    pub(super) fn token(&self, usual: Option<&Path>) -> Result<Option<SecretString>, Failure> {
        let wrong = |place: &dyn fmt::Display, reason: &dyn fmt::Display| Failure::usage(format!("{place}: {reason}"));
        let (place, text) = match (&self.token_file, std::env::var(TOKEN_VARIABLE), usual) {
            (Some(file), _, _) => {
                let place = format!("--token-file {}", file.display());
                let text = fs::read_to_string(file).map_err(|error| wrong(&place, &error))?;
                (place, text)
            }
            (None, Ok(token), _) => (TOKEN_VARIABLE.to_owned(), token),
            // Who may not read it may be let in without.
            (None, Err(_), Some(file)) => match fs::read_to_string(file) {
                Ok(text) => (file.display().to_string(), text),
                Err(_) => return Ok(None),
            },
            (None, Err(_), None) => return Ok(None),
        };
        let token = text.lines().map(without_newline).find(|line| !line.is_empty());
        let token = token.ok_or_else(|| wrong(&place, &"it is empty: it should hold a token"))?;
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong(
                &place,
                &"what it holds is no token: it has spaces, or characters that no header carries",
            ));
        }
        Ok(Some(SecretString::from(token)))
    }
}

/// What a daemon says when it does not do something.
#[derive(Deserialize)]
struct Refusal {
    detail: String,
    advice: String,
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/problem+json")
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        url.map(Self).ok_or_else(|| {
            let text = without_login(text);
            format!("--server {text}: it is no URL: write http://HOST:PORT, as http://127.0.0.1:9464")
        })
    }
}

/// Without a login that stands in it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.path().trim_end_matches('/');
        write!(f, "{}{path}", self.0.origin().ascii_serialization())
    }
}

/// A text that is no URL may hold a login all the same: where it ends, the last `@` says.
fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, place)) => format!("…@{place}"),
        None => text.to_owned(),
    }
}

/// Who listens everywhere listens on this machine, too.
fn reached_at(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_listens_everywhere_is_here() {
        for (listen, server) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080"),
            ("[::]:8080", "http://[::1]:8080"),
            ("10.1.2.3:80", "http://10.1.2.3"),
            ("localhost:8080", "http://127.0.0.1:8080"),
        ] {
            let unasked = || panic!("the environment goes before the configuration");
            assert_eq!(Server::listening(Some(listen), unasked).unwrap().to_string(), server);
            let configured = || Service::parse_listen(listen).unwrap();
            assert_eq!(Server::listening(None, configured).unwrap().to_string(), server);
        }
    }

    #[test]
    fn a_daemon_that_listens_nowhere_is_told_with_who_says_so() {
        for (environment, says) in [(Some(""), "as REGFERRY_LISTEN says"), (None, "as [service] listen says")] {
            let error = Server::listening(environment, || None).unwrap_err();
            assert!(error.contains(says) && error.contains("--server"), "{error}");
        }
        assert!(Server::listening(Some("here"), || None).unwrap_err().contains("REGFERRY_LISTEN: "));
    }

    #[test]
    fn a_server_is_a_url_which_may_have_a_path_and_shows_no_login() {
        let server: Server = "https://bot:s3cret@mirror.example/ferry/".parse().unwrap();
        assert_eq!(server.to_string(), "https://mirror.example/ferry");
        assert_eq!(server.url("status").path(), "/ferry/api/v1/status");
        assert_eq!("http://r:1".parse::<Server>().unwrap().url("status").as_str(), "http://r:1/api/v1/status");
        for text in ["", "127.0.0.1:9464", "localhost:9464", "ftp://r"] {
            assert!(text.parse::<Server>().unwrap_err().contains("write http://"), "{text}");
        }
    }

    #[test]
    fn the_error_for_what_is_no_url_shows_no_login() {
        for text in [
            "bot:s3cret@mirror.example:9464",
            "ftp://bot:s3cret@mirror.example",
            "http://bot:s3cret@mirror.example:port",
            "http://bot:s3c@s3cret@mirror.example:port",
            "http://s3cret@mirror .example",
        ] {
            let error = text.parse::<Server>().unwrap_err();
            assert!(error.contains("--server …@mirror") && !error.contains("s3c"), "{error}");
        }
    }
}
