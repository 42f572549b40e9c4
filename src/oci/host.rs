//! A registry's host, or the directory of an image layout in its place, as references and the configuration write it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Component, Path};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::InvalidName;
use super::names::without_login;

/// `HOST[:PORT]` of a registry, with Docker Hub's many names made one: `docker.io`. Or `oci:DIR`, the directory of an
/// image layout, which stands where a registry would. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    text: Arc<str>,
    /// Told apart from a registry by more than its text: `oci:5000` could be either.
    is_layout: bool,
}

/// The name people use for Docker Hub; its API answers elsewhere, see [`Host::api_authority`].
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// What the name of an image layout begins with.
pub const LAYOUT_PREFIX: &str = "oci:";
/// Longer than any path that a system opens.
const LONGEST_PATH: usize = 4096;

impl Host {
    /// Docker Hub, which a reference without a host means.
    pub fn docker_hub() -> Self {
        Self::registry(DOCKER_HUB)
    }

    fn registry(text: &str) -> Self {
        Self { text: Arc::from(text), is_layout: false }
    }

    /// The image layout in a directory. Different spellings of one path (`./out/`, `out`) are one.
    ///
    /// # Errors
    /// If no reference could name the directory.
    pub fn layout(dir: &str) -> Result<Self, InvalidName> {
        let invalid = |reason: &str| Err(InvalidName::because(format!("the directory {dir:?} of a layout {reason}")));
        if dir.is_empty() {
            return Err(InvalidName::because("it names no directory: write oci:DIR, oci:DIR:TAG or oci:DIR@DIGEST"));
        }
        if dir.contains([':', '@']) {
            return invalid("has a ':' or '@' in it, which separate tag and digest: name it relatively, or by a link");
        }
        if dir.contains(char::is_control) || dir.len() > LONGEST_PATH {
            return invalid("is no path that can be shown on one line");
        }
        let parts = Path::new(dir).components().filter(|part| *part != Component::CurDir);
        let path: std::path::PathBuf = parts.collect();
        match path.to_str() {
            Some(path) if path == "~" || path.starts_with("~/") => {
                invalid("begins with a '~' that no shell expands there: write $HOME")
            }
            Some(path) => {
                let path = if path.is_empty() { "." } else { path };
                Ok(Self { text: Arc::from(format!("{LAYOUT_PREFIX}{path}")), is_layout: true })
            }
            None => invalid("is no text"),
        }
    }

    /// The directory, if this is an image layout.
    pub fn layout_dir(&self) -> Option<&Path> {
        self.is_layout.then(|| Path::new(&self.text[LAYOUT_PREFIX.len()..]))
    }

    /// Whether this is an image layout rather than a registry.
    pub fn is_layout(&self) -> bool {
        self.is_layout
    }

    /// The host as users write it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is Docker Hub, where official images live under `library/`.
    pub fn is_docker_hub(&self) -> bool {
        !self.is_layout && &*self.text == DOCKER_HUB
    }

    /// `HOST[:PORT]` where the registry's API really answers.
    pub fn api_authority(&self) -> &str {
        if self.is_docker_hub() { DOCKER_HUB_API } else { &self.text }
    }

    /// Whether this is the machine itself (`localhost`, `127.0.0.0/8`, `[::1]`), where registries speak plain HTTP.
    pub fn is_loopback(&self) -> bool {
        let name = self.name();
        name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// The host without its port.
    pub fn name(&self) -> &str {
        let end = match self.text.rfind(']') {
            Some(bracket) => bracket + 1,
            None => self.text.find(':').unwrap_or(self.text.len()),
        };
        &self.text[..end]
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
        Ok(Self::registry(&lower))
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
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
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
    fn a_layouts_directory_has_one_spelling_and_is_no_registry() {
        for (dir, means) in [
            ("out", "oci:out"),
            ("./out//a/./b/", "oci:out/a/b"),
            ("/srv/images/", "oci:/srv/images"),
            ("../out", "oci:../out"),
            (".", "oci:."),
            ("./", "oci:."),
            ("5000", "oci:5000"),
            ("my images", "oci:my images"),
        ] {
            let host = Host::layout(dir).unwrap();
            assert_eq!((host.as_str(), host.is_layout()), (means, true));
            assert_eq!(Host::layout(&means[4..]).unwrap().layout_dir(), host.layout_dir());
        }
        for dir in ["", "a:b", "a@b", "a\nb", "~", "~/out", &"a/".repeat(3000)] {
            assert!(Host::layout(dir).is_err(), "{dir} was taken");
        }
        assert_ne!(Host::layout("5000").unwrap(), host("oci:5000"));
        assert_eq!(host("oci:5000").layout_dir(), None);
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
