//! Platforms: what an image runs on.

mod matching;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An operating system and architecture, as an index's descriptors and an image's config name it.
///
/// Written `linux/arm/v7`, or with Windows' build number `windows(10.0.17763.1697)/amd64` (containerd's form).
/// Source: OCI image-spec, "Image Index", `platform`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, …: Go's `GOOS`.
    #[serde(default, deserialize_with = "or_empty")]
    pub os: String,
    /// `amd64`, `arm64`, …: Go's `GOARCH`.
    #[serde(default, deserialize_with = "or_empty")]
    pub architecture: String,
    /// `v7` of `linux/arm/v7`.
    #[serde(default)]
    pub variant: Option<String>,
    /// Windows' build, `10.0.17763.1697`.
    #[serde(default, rename = "os.version")]
    pub os_version: Option<String>,
    /// Features that the host must have, `win32k`.
    #[serde(default, rename = "os.features", deserialize_with = "or_empty")]
    pub os_features: Vec<String>,
}

/// `null` stands for what is empty: some builders write it.
fn or_empty<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The keys stand in the order in which Docker and the spec's own types write them, since lists are hashed; optional ones
/// that are empty are left out, as there.
impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            architecture: &'a str,
            os: &'a str,
            #[serde(rename = "os.version", skip_serializing_if = "str::is_empty")]
            os_version: &'a str,
            #[serde(rename = "os.features", skip_serializing_if = "<[String]>::is_empty")]
            os_features: &'a [String],
            #[serde(skip_serializing_if = "str::is_empty")]
            variant: &'a str,
        }
        Written {
            architecture: &self.architecture,
            os: &self.os,
            os_version: self.os_version.as_deref().unwrap_or_default(),
            os_features: &self.os_features,
            variant: self.variant.as_deref().unwrap_or_default(),
        }
        .serialize(serializer)
    }
}

/// Why a text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid platform {text:?}: write OS/ARCHITECTURE[/VARIANT], as linux/arm/v7 or windows(10.0.17763.1697)/amd64"
)]
pub struct InvalidPlatform {
    text: String,
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        parse(text).ok_or_else(|| InvalidPlatform { text: text.chars().take(100).collect() })
    }
}

fn parse(text: &str) -> Option<Platform> {
    let mut parts = text.split('/');
    let (os, os_version) = match parts.next()?.split_once('(') {
        Some((os, version)) => (os, Some(version.strip_suffix(')')?)),
        None => (text.split('/').next()?, None),
    };
    let architecture = parts.next()?;
    let variant = parts.next();
    let well_formed = parts.next().is_none()
        && [Some(os), Some(architecture), variant, os_version].into_iter().flatten().all(is_word);
    well_formed.then(|| Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: variant.map(str::to_owned),
        os_version: os_version.map(str::to_owned),
        os_features: Vec::new(),
    })
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.os)?;
        // Some builders write the fields that they do not fill.
        if let Some(version) = self.os_version.as_deref().filter(|version| !version.is_empty()) {
            write!(f, "({version})")?;
        }
        write!(f, "/{}", self.architecture)?;
        match self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_read_as_they_are_written() {
        for text in ["linux/amd64", "linux/arm/v7", "windows(10.0.17763.1697)/amd64", "unknown/unknown"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn fields_that_are_empty_are_not_written() {
        let json = r#"{"os":"linux","architecture":"amd64","variant":"","os.version":"","os.features":null}"#;
        assert_eq!(serde_json::from_str::<Platform>(json).unwrap().to_string(), "linux/amd64");
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "windows(10/amd64", "linux amd64", "a/b c"] {
            assert!(text.parse::<Platform>().is_err(), "{text} was taken");
        }
    }

    #[test]
    fn json_has_the_specs_keys() {
        let json = r#"{"os":"windows","architecture":"amd64","os.version":"10.0.17763.1697","os.features":["win32k"]}"#;
        let platform: Platform = serde_json::from_str(json).unwrap();
        assert_eq!(platform.os_version.as_deref(), Some("10.0.17763.1697"));
        assert_eq!(serde_json::to_value(&platform).unwrap(), serde_json::from_str::<serde_json::Value>(json).unwrap());
    }
}
