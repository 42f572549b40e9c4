//! The machine an image is for.

use serde::{Deserialize, Serialize};

/// What a list says of a child, and an image's config of itself. The fields stand in the order in
/// which Docker writes them.
///
/// ```
/// use testkit::Platform;
///
/// let windows = Platform::from("windows/amd64").os_version("10.0.17763.1697");
/// assert_eq!(windows.architecture, "amd64");
/// assert_eq!(Platform::from("linux/arm/v7").variant.as_deref(), Some("v7"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `linux`, `windows`, …
    pub os: String,
    /// The build of the operating system, for Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// `v7`, `v8`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The same platform for one build of the operating system.
    #[must_use]
    pub fn os_version(mut self, version: &str) -> Self {
        self.os_version = Some(version.to_owned());
        self
    }
}

/// `os/architecture` or `os/architecture/variant`.
impl From<&str> for Platform {
    fn from(text: &str) -> Self {
        let mut words = text.splitn(3, '/').map(str::to_owned);
        Self {
            os: words.next().unwrap_or_default(),
            architecture: words.next().unwrap_or_default(),
            os_version: None,
            variant: words.next(),
        }
    }
}
