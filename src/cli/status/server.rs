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
    /// The daemon that the environment has listen here, or else the usual one.
    ///
    /// # Errors
    /// If it listens nowhere, or what the environment says is no address.
    pub(super) fn of_environment() -> Result<Self, String> {
        Self::listening(std::env::var("REGFERRY_LISTEN").ok().as_deref())
    }

    fn listening(listen: Option<&str>) -> Result<Self, String> {
        let address = match listen {
            None => Service::default().listen,
            Some(text) => Service::parse_listen(text).map_err(|reason| format!("REGFERRY_LISTEN: {reason}"))?,
        };
        match address {
            Some(address) => format!("http://{}", here(address)).parse(),
            None => {
                Err("the daemon listens nowhere, as REGFERRY_LISTEN says: name one that does with --server".to_owned())
            }
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
        url.map(Self)
            .ok_or_else(|| format!("--server {text}: it is no URL: write http://HOST:PORT, as http://127.0.0.1:9464"))
    }
}

/// Without a login that stands in it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.path().trim_end_matches('/');
        write!(f, "{}{path}", self.0.origin().ascii_serialization())
    }
}

/// Who listens everywhere listens on this machine, too.
fn here(address: SocketAddr) -> SocketAddr {
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
            (None, "http://127.0.0.1:9464"),
            (Some("0.0.0.0:8080"), "http://127.0.0.1:8080"),
            (Some("[::]:8080"), "http://[::1]:8080"),
            (Some("10.1.2.3:80"), "http://10.1.2.3"),
            (Some("localhost:8080"), "http://127.0.0.1:8080"),
        ] {
            assert_eq!(Server::listening(listen).unwrap().to_string(), server);
        }
        assert!(Server::listening(Some("")).unwrap_err().contains("--server"));
        assert!(Server::listening(Some("here")).unwrap_err().contains("REGFERRY_LISTEN"));
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
}
