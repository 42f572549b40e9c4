//! Which of the wanted platforms there are, in an image and in all images of a rule.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::{Platforms, listed, platform_of};
use crate::oci::{Digest, Manifest, Platform};

/// An error shows no more platforms than this, and no more characters of one.
const SHOWN: usize = 20;
const SHOWN_CHARS: usize = 60;

/// The platforms that something has: a list, all lists of an image, all images of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeSet<Platform>);

/// None of these platforms is there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no image for {}; {}", Names(.wanted), Available(.available))]
pub struct NoSuchPlatform {
    /// Those that were looked for.
    pub wanted: Vec<Platform>,
    /// Those that there are, in the order of their names.
    pub available: Vec<Platform>,
}

/// What the images of one rule have, until all of them are told.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Census {
    seen: Seen,
    is_partial: bool,
}

impl Seen {
    /// What the children of a list name. Lists inside of it have to be added.
    pub fn in_list(list: &Manifest) -> Self {
        Self::at_target(list, &HashSet::new())
    }

    /// What a single image's config names, if it is not an artifact's.
    pub fn in_config(config: &[u8]) -> Self {
        Self(Platform::of_config(config).into_iter().collect())
    }

    /// What the children of a list name, without those that are left out of it.
    pub fn at_target(list: &Manifest, left_out: &HashSet<Digest>) -> Self {
        let there = listed(list).iter().filter(|child| !left_out.contains(&child.digest));
        Self(there.filter_map(platform_of).cloned().collect())
    }

    /// Each of them, in the order of their names.
    pub fn into_platforms(self) -> Vec<Platform> {
        self.0.into_iter().collect()
    }

    /// Adds what something else has.
    pub fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    fn has(&self, wanted: &Platform) -> bool {
        self.0.iter().any(|found| wanted.means(found))
    }
}

impl FromIterator<Platform> for Seen {
    fn from_iter<I: IntoIterator<Item = Platform>>(platforms: I) -> Self {
        Self(platforms.into_iter().collect())
    }
}

impl Platforms {
    /// The wanted platforms that an image does not have, in their order: worth a warning that names them, since older
    /// tags often lack a newer platform. None for what has no platforms at all.
    ///
    /// # Errors
    /// If the image has platforms and none of the wanted: nothing of it would be mirrored.
    pub fn missing(&self, image: &Seen) -> Result<Vec<Platform>, NoSuchPlatform> {
        let missing = self.absent(image);
        if missing.len() == self.wanted().len() {
            return Err(NoSuchPlatform::new(missing, image));
        }
        Ok(missing)
    }

    /// Whether an image has all wanted platforms.
    ///
    /// # Errors
    /// With those that it does not have; all of them, of what has no platforms at all.
    pub fn all_in(&self, image: &Seen) -> Result<(), NoSuchPlatform> {
        let lacking: Vec<Platform> = self.wanted().iter().filter(|wanted| !image.has(wanted)).cloned().collect();
        if lacking.is_empty() { Ok(()) } else { Err(NoSuchPlatform::new(lacking, image)) }
    }

    fn absent(&self, seen: &Seen) -> Vec<Platform> {
        let absent = self.wanted().iter().filter(|wanted| !seen.0.is_empty() && !seen.has(wanted));
        absent.cloned().collect()
    }
}

impl Census {
    /// Adds an image.
    pub(in super::super) fn add(&mut self, image: Seen) {
        self.seen.add(image);
    }

    /// Adds an image that nobody looked into, as an unchanged one: it may have any platform.
    pub(in super::super) fn add_unknown(&mut self) {
        self.is_partial = true;
    }

    /// All that were seen.
    pub(in super::super) fn platforms(&self) -> Vec<Platform> {
        self.seen.0.iter().cloned().collect()
    }

    /// Whether there is an image that nobody looked into.
    pub(in super::super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The wanted platforms that no image of the rule has: most likely misspelt, and an error of the rule. `None` if
    /// every one is somewhere, or may be.
    pub(in super::super) fn nowhere(&self, platforms: &Platforms) -> Option<NoSuchPlatform> {
        let absent = platforms.absent(&self.seen);
        (!self.is_partial && !absent.is_empty()).then(|| NoSuchPlatform::new(absent, &self.seen))
    }
}

impl NoSuchPlatform {
    fn new(wanted: Vec<Platform>, seen: &Seen) -> Self {
        Self { wanted, available: seen.0.iter().cloned().collect() }
    }
}

/// Platforms as a message names them: what a registry says of them may be long, and anything.
pub(in super::super) struct Names<'a>(pub(in super::super) &'a [Platform]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clean = |platform: &Platform| {
            platform.to_string().chars().filter(|c| !c.is_control()).take(SHOWN_CHARS).collect::<String>()
        };
        let names: Vec<String> = self.0.iter().take(SHOWN).map(clean).collect();
        f.write_str(&names.join(", "))?;
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The platforms that something has, as a message tells them.
pub(in super::super) struct Available<'a>(pub(in super::super) &'a [Platform]);

impl fmt::Display for Available<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("it names no platform") } else { write!(f, "there are: {}", Names(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{attestation, child, list, manifest, plain, wanted};
    use super::*;
    use crate::oci::media_type;
    use testkit::content;

    #[test]
    fn a_platform_that_an_image_has_not_is_an_error_that_lists_those_there_are() {
        let seen = Seen::in_list(&manifest(&content::hello_world()));
        let error = wanted(&["linux/riscv64"]).missing(&seen).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no image for linux/riscv64; there are: linux/amd64, linux/arm64/v8, windows(10.0.17763.1697)/amd64"
        );
    }

    #[test]
    fn one_of_several_that_is_missing_is_told_and_no_error() {
        let seen = Seen::in_list(&manifest(&content::hello_world()));
        let missing = wanted(&["linux/riscv64", "linux/amd64", "linux/arm/v7"]).missing(&seen).unwrap();
        assert_eq!(missing, ["linux/riscv64".parse().unwrap(), "linux/arm/v7".parse().unwrap()]);
    }

    #[test]
    fn where_all_are_wanted_the_first_that_is_missing_is_an_error() {
        let seen = Seen::in_list(&manifest(&content::hello_world()));
        assert_eq!(wanted(&["linux/amd64", "windows/amd64"]).all_in(&seen), Ok(()));
        let error = wanted(&["linux/amd64", "linux/riscv64"]).all_in(&seen).unwrap_err();
        assert!(error.to_string().starts_with("no image for linux/riscv64; there are: linux/amd64, "), "{error}");
        let error = wanted(&["linux/amd64"]).all_in(&Seen::default()).unwrap_err();
        assert_eq!(error.to_string(), "no image for linux/amd64; it names no platform");
    }

    #[test]
    fn what_has_no_platforms_lacks_none() {
        let artifacts = list(&[plain('a', media_type::OCI_MANIFEST), attestation('b', 'a')]);
        for seen in [Seen::in_list(&artifacts), Seen::in_config(b"{}"), Seen::default()] {
            assert_eq!(wanted(&["linux/amd64"]).missing(&seen), Ok(vec![]));
        }
    }

    #[test]
    fn a_single_image_of_another_platform_is_an_error() {
        let seen = Seen::in_config(br#"{"os":"linux","architecture":"amd64"}"#);
        assert_eq!(wanted(&["linux/amd64"]).missing(&seen), Ok(vec![]));
        let error = wanted(&["linux/arm64", "linux/arm"]).missing(&seen).unwrap_err();
        assert_eq!(error.to_string(), "no image for linux/arm64, linux/arm; there are: linux/amd64");
    }

    #[test]
    fn a_platform_that_no_image_of_a_rule_has_is_told_with_all_that_were_seen() {
        let platforms = wanted(&["linux/amd64", "linux/amr64"]);
        let mut census = Census::default();
        assert_eq!(census.nowhere(&platforms), None);
        census.add(Seen::in_list(&list(&[child('a', "linux/amd64")])));
        census.add(Seen::in_list(&list(&[child('b', "linux/arm64"), child('c', "linux/amd64")])));
        let error = census.nowhere(&platforms).unwrap();
        assert_eq!(error.to_string(), "no image for linux/amr64; there are: linux/amd64, linux/arm64");
        assert_eq!(census.nowhere(&wanted(&["linux/arm64"])), None);
    }

    #[test]
    fn an_image_that_nobody_looked_into_may_have_any_platform() {
        let mut census = Census::default();
        census.add(Seen::in_list(&list(&[child('a', "linux/amd64")])));
        census.add_unknown();
        assert_eq!(census.nowhere(&wanted(&["linux/arm64"])), None);
    }

    #[test]
    fn an_error_is_short_and_clean_whatever_a_registry_calls_its_platforms() {
        let long = child('a', "linux/amd64").replace("amd64", &format!(r"\u001b[31m{}", "x".repeat(5000)));
        let many: Vec<String> = (0..100).map(|n| child('b', &format!("linux/arch{n:02}"))).chain([long]).collect();
        let error = wanted(&["linux/amd64"]).missing(&Seen::in_list(&list(&many))).unwrap_err().to_string();
        assert!(error.len() < 2500 && !error.contains(char::is_control), "{error}");
        assert!(error.ends_with("and 81 more"), "{error}");
    }
}
