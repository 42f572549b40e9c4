//! Where a daemon is, and what it says.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Client, redirect};
use url::Url;

use crate::config::Service;
use crate::oci::Host;
use crate::registry::install_provider;
use crate::telemetry::status::Snapshot;

/// A health check that takes longer has failed.
const TIMEOUT: Duration = Duration::from_secs(5);

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
    pub(super) async fn ask(&self) -> Result<Answer, String> {
        let failed = |reason: &dyn fmt::Display| {
            format!(
                "asking {self}: {reason}; is `regferry serve` there? --server and REGFERRY_SERVER name another place"
            )
        };
        let response = self.client().map_err(|error| failed(&reason(error)))?.get(self.url()).send().await;
        let response = response.map_err(|error| failed(&reason(error)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(failed(&format!("the answer is {status}")));
        }
        let text = response.text().await.map_err(|error| failed(&reason(error)))?;
        match serde_json::from_str(&text) {
            Ok(snapshot) => Ok(Answer { text, snapshot }),
            Err(error) => Err(failed(&format!("the answer is no status of a regferry's ({error})"))),
        }
    }

    fn url(&self) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}/api/v1/status", self.0.path().trim_end_matches('/')));
        url
    }

    /// For plain HTTP no roots of trust are needed; to this machine no proxy leads.
    fn client(&self) -> reqwest::Result<Client> {
        install_provider();
        let mut builder = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none());
        if self.0.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let host = self.0.host_str().and_then(|host| host.parse::<Host>().ok());
        if host.is_some_and(|host| host.is_loopback()) {
            builder = builder.no_proxy();
        }
        builder.user_agent(concat!("regferry/", env!("CARGO_PKG_VERSION"))).build()
    }
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

fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer in {TIMEOUT:?}");
    }
    anyhow::Error::from(error.without_url()).root_cause().to_string()
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
        assert_eq!(server.url().path(), "/ferry/api/v1/status");
        assert_eq!("http://r:1".parse::<Server>().unwrap().url().as_str(), "http://r:1/api/v1/status");
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
