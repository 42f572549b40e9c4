//! Which platforms of a registry a platform that a user names means.

use super::Platform;

/// The name that builders give to what runs nowhere, as attestations.
const UNKNOWN: &str = "unknown";

impl Platform {
    /// Whether this, as a user writes it, means `found`, as an index or an image's config has it.
    ///
    /// Both are read as containerd reads them: `x86_64` is `amd64`, `aarch64` and `arm64/v8` are `arm64`, `armhf` is
    /// `arm/v7`, an image that is for `arm` without a variant is for `arm/v7`. Of that,
    ///
    /// - without a variant every variant of the architecture is meant: `linux/arm` is v5, v6 and v7, as for crane. Any
    ///   of them may be what a machine of that architecture gets at the source; and `linux/amd64` is `amd64/v3` too;
    /// - with a variant just this one: `linux/arm/v7`, or `linux/arm64/v8` where a list has `arm64/v9` beside it. Docker
    ///   would run v6 where there is no v7; a choice for a mirror says what is to be there;
    /// - without a build of Windows every build is meant; `windows(10.0.17763)` means all revisions of this one, and
    ///   `windows(10.0.17763.1697)` this revision alone. An image that names no build is none of them;
    /// - features that the host must have (`os.features`) are never looked at.
    ///
    /// Source: `Normalize` of containerd's `platforms`.
    pub fn means(&self, found: &Self) -> bool {
        let (wanted, there) = (Machine::of(self), Machine::of(found));
        let any_variant = self.variant.is_none() && !names_its_variant(&self.architecture);
        wanted.os == there.os
            && wanted.architecture == there.architecture
            && (any_variant || wanted.variant == there.variant)
            && self.os_version.as_ref().is_none_or(|version| is_of_version(found.os_version.as_deref(), version))
    }

    /// Whether a reader of a list cannot tell the two apart: the same machine, however it is spelt, with the same build
    /// and the same features.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        Machine::of(self) == Machine::of(other)
            && said(&self.os_version) == said(&other.os_version)
            && self.os_features == other.os_features
    }

    /// Whether it says nothing: `unknown/unknown`, or both names empty.
    pub fn is_unknown(&self) -> bool {
        [&self.os, &self.architecture].iter().all(|name| matches!(name.as_str(), "" | UNKNOWN))
    }

    /// What an image's config says that the image runs on; `None` for the config of an artifact, which may be anything.
    /// Source: OCI image-spec, "Image Configuration".
    pub fn of_config(config: &[u8]) -> Option<Self> {
        let platform: Self = serde_json::from_slice(config).ok()?;
        (!platform.is_unknown()).then_some(platform)
    }
}

/// A platform under the names that all its spellings have in common; no variant is the architecture's first.
#[derive(PartialEq, Eq)]
struct Machine {
    os: String,
    architecture: String,
    variant: String,
}

impl Machine {
    fn of(platform: &Platform) -> Self {
        let os = platform.os.to_ascii_lowercase();
        let architecture = platform.architecture.to_ascii_lowercase();
        let variant = platform.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_str()) {
            ("i386", _) => ("386", ""),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
            ("armel", _) | ("arm", "6") => ("arm", "v6"),
            ("arm", "5") => ("arm", "v5"),
            ("arm", "8") => ("arm", "v8"),
            same => same,
        };
        let os = if os == "macos" { "darwin".to_owned() } else { os };
        Self { os, architecture: architecture.to_owned(), variant: variant.to_owned() }
    }
}

fn names_its_variant(architecture: &str) -> bool {
    ["armhf", "armel"].iter().any(|name| architecture.eq_ignore_ascii_case(name))
}

/// Whether a version is the wanted one, or begins with all of its numbers.
fn is_of_version(found: Option<&str>, wanted: &str) -> bool {
    let rest = found.and_then(|found| found.strip_prefix(wanted));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn means(wanted: &str, found: &str) -> bool {
        let parse = |text: &str| text.parse::<Platform>().unwrap();
        parse(wanted).means(&parse(found))
    }

    #[test]
    fn one_machine_has_many_names() {
        for (wanted, found) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/v7", "linux/arm"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
            ("Linux/AMD64", "linux/amd64"),
        ] {
            assert!(means(wanted, found), "{wanted} does not mean {found}");
        }
    }

    #[test]
    fn without_a_variant_all_of_them_are_meant_and_with_one_only_this() {
        for variant in ["v5", "v6", "v7"] {
            assert!(means("linux/arm", &format!("linux/arm/{variant}")));
        }
        assert!(means("linux/amd64", "linux/amd64/v3"));
        for (wanted, found) in [
            ("linux/arm/v7", "linux/arm/v6"),
            ("linux/arm/v6", "linux/arm"),
            ("linux/armhf", "linux/arm/v6"),
            ("linux/arm64/v8", "linux/arm64/v9"),
            ("linux/amd64/v3", "linux/amd64"),
            ("linux/arm", "linux/arm64"),
            ("linux/amd64", "windows/amd64"),
        ] {
            assert!(!means(wanted, found), "{wanted} means {found}");
        }
    }

    #[test]
    fn a_build_of_windows_is_meant_by_all_its_leading_numbers() {
        let found = "windows(10.0.17763.1697)/amd64";
        for wanted in ["windows/amd64", "windows(10.0.17763)/amd64", found] {
            assert!(means(wanted, found), "{wanted}");
        }
        for wanted in ["windows(10.0.1776)/amd64", "windows(10.0.17763.169)/amd64", "windows(10.0.20348)/amd64"] {
            assert!(!means(wanted, found), "{wanted}");
        }
        assert!(!means(found, "windows/amd64"));
    }

    #[test]
    fn two_entries_of_a_list_are_for_one_platform_whatever_its_spelling() {
        let parse = |text: &str| text.parse::<Platform>().unwrap();
        for (one, other) in [("linux/arm64", "linux/arm64/v8"), ("linux/x86_64", "linux/amd64"), ("a/b", "a/b")] {
            assert!(parse(one).is_same_as(&parse(other)), "{one} {other}");
        }
        for (one, other) in
            [("linux/arm/v6", "linux/arm/v7"), ("windows/amd64", "windows(10.0.17763.1)/amd64"), ("a/b", "a/c")]
        {
            assert!(!parse(one).is_same_as(&parse(other)), "{one} {other}");
        }
        let with_features = Platform { os_features: vec!["win32k".to_owned()], ..parse("windows/amd64") };
        assert!(!with_features.is_same_as(&parse("windows/amd64")));
    }

    #[test]
    fn a_config_says_what_an_image_runs_on_unless_it_is_an_artifacts() {
        let config = br#"{"created":"2024-01-01T00:00:00Z","os":"windows","os.version":"10.0.17763.1697","architecture":"amd64","rootfs":{}}"#;
        assert_eq!(Platform::of_config(config), "windows(10.0.17763.1697)/amd64".parse().ok());
        for config in ["{}", "", "null", r#"{"name":"a chart","version":"1"}"#, r#"{"os":1}"#] {
            assert_eq!(Platform::of_config(config.as_bytes()), None, "{config}");
        }
    }

    proptest! {
        #[test]
        fn every_platform_means_itself(text in "[a-z]{1,3}(\\([0-9]{1,2}(\\.[0-9]){0,3}\\))?/(arm|arm64|amd64|x86_64|armhf|i386|[a-z]{3})(/(v?[1-9]|[a-z]))?") {
            prop_assert!(means(&text, &text), "{}", text);
        }
    }
}
