//! A registry's host, as references and the configuration write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::InvalidName;
use super::names::without_login;

/// `HOST[:PORT]` of a registry, with Docker Hub's many names made one: `docker.io`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Arc<str>);

/// The name people use for Docker Hub; its API answers elsewhere, see [`Host::api_authority`].
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";

impl Host {
    /// Docker Hub, which a reference without a host means.
    pub fn docker_hub() -> Self {
        Self(Arc::from(DOCKER_HUB))
    }

    /// The host as users write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is Docker Hub, where official images live under `library/`.
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == DOCKER_HUB
    }

    /// `HOST[:PORT]` where the registry's API really answers.
    pub fn api_authority(&self) -> &str {
        if self.is_docker_hub() { DOCKER_HUB_API } else { &self.0 }
    }

    /// Whether this is the machine itself (`localhost`, `127.0.0.0/8`, `[::1]`), where registries speak plain HTTP.
    pub fn is_loopback(&self) -> bool {
        let name = self.name();
        name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The host without its port.
    pub fn name(&self) -> &str {
        let end = match self.0.rfind(']') {
            Some(bracket) => bracket + 1,
            None => self.0.find(':').unwrap_or(self.0.len()),
        };
        &self.0[..end]
    }
}

impl FromStr for Host {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let lower = text.to_ascii_lowercase();
        if matches!(&*lower, DOCKER_HUB | DOCKER_HUB_API | "index.docker.io") {
            return Ok(Self::docker_hub());
        }
        if lower.contains("://") {
            return Err(InvalidName::because(format!(
                "{:?} is a URL: a host is written without its scheme",
                without_login(text)
            )));
        }
        let (name, port) = split_port(&lower);
        if !is_name(name) || !port.is_none_or(is_port) {
            return Err(InvalidName::because(format!(
                "{:?} is no host: HOST, HOST:PORT or [IPV6]:PORT",
                without_login(text)
            )));
        }
        Ok(Self(Arc::from(lower)))
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    let after_bracket = text.rfind(']').map_or(0, |bracket| bracket + 1);
    match text[after_bracket..].find(':') {
        Some(colon) => (&text[..after_bracket + colon], Some(&text[after_bracket + colon + 1..])),
        None => (text, None),
    }
}

fn is_name(name: &str) -> bool {
    if let Some(v6) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().is_ok();
    }
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        })
}

fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok_and(|number| number > 0) && port.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        text.parse().unwrap()
    }

    #[test]
    fn docker_hub_has_one_name_and_its_own_api_host() {
        for text in ["docker.io", "index.docker.io", "registry-1.docker.io", "Docker.IO"] {
            assert_eq!(host(text), Host::docker_hub());
        }
        assert_eq!(Host::docker_hub().api_authority(), "registry-1.docker.io");
        assert_eq!(host("ghcr.io").api_authority(), "ghcr.io");
    }

    #[test]
    fn loopback_is_told_by_name_and_address() {
        for text in ["localhost", "localhost:5000", "127.0.0.1", "127.8.8.8:1", "[::1]", "[::1]:5000"] {
            assert!(host(text).is_loopback(), "{text}");
        }
        for text in ["ghcr.io", "10.0.0.1:5000", "[::2]:5000", "localhost.example", "127.0.0.1.example"] {
            assert!(!host(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ":5000",
            "a:b",
            "a:0",
            "a:65536",
            "a:+80",
            "http://a",
            "a/b",
            "-a",
            "a..b",
            "[::1",
            "[zz]:1",
            "user@host",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text} was taken");
        }
    }
}
