//! Which platforms of an image: pure, for lists that somebody else fetches.
//!
//! The rules, for each child of a list by its descriptor:
//!
//! - A child that names a platform is kept if a wanted platform means it ([`Platform::means`]), else dropped. So is a
//!   whole list that names one.
//! - A list that names none is looked into, and is kept as far as its children are.
//! - An attestation, as BuildKit hangs it beside an image (`unknown/unknown`, with annotations that name the image's
//!   digest), follows what it attests in the same list: it is kept if that is kept as it is, else dropped.
//! - Everything else that names no platform is kept: artifacts, and the blobs of a build cache. Nothing says that it is
//!   for a machine that nobody wants, and what is dropped in silence is missed late.
//!
//! So platforms choose among what has platforms. A list that has none at all, as a single artifact, is taken whole.
//!
//! Of an image with some of the wanted platforms those are taken; what it lacks is told. One that has platforms and none
//! of the wanted is an error ([`NoSuchPlatform`]), which lists those there are: [`Platforms::missing`].
//!
//! A smaller list stays a list, also when one image is left of it: a reader that asks it for `linux/arm64` is told so
//! when there is none, where a bare image would be handed to every machine; attestations keep their place; and a platform
//! that is wanted later is added to it without the tag changing its kind.

mod fields;
mod mark;
#[cfg(test)]
mod properties;
mod rewrite;
mod seen;

use std::collections::HashMap;

pub(super) use rewrite::NotSmaller;
pub(super) use seen::{Available, Census, Names, NoSuchPlatform, Seen};

use crate::oci::{Content, Descriptor, Digest, Manifest, Platform, media_type};

/// What an annotation says of a manifest that attests an image. Source: BuildKit, "Attestation Storage".
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const ATTESTATION: &str = "attestation-manifest";

/// What becomes of a list of which some platforms are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlatformMode {
    /// A smaller list is written, under its own digest; any registry takes it.
    Rewrite,
    /// The list is written as it is, under its digest, and names images that are not there; few registries take it.
    Sparse,
}

/// The platforms that a rule wants: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platforms {
    wanted: Vec<Platform>,
    mode: PlatformMode,
}

/// Why platforms cannot be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChoice {
    /// Nothing would be mirrored.
    #[error("no platform is named: leave `platforms` out for all of them")]
    Empty,
    /// It is no machine, and attestations come along anyway.
    #[error("{0} is no platform to choose: attestations follow the image that they attest")]
    Unknown(Platform),
}

/// What becomes of a list's child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is wanted, with all that it names.
    Keep,
    /// It is not wanted.
    Drop,
    /// It is a list that has to be fetched to tell.
    LookInside,
}

impl Platforms {
    /// Platforms as the user names them, in any order.
    ///
    /// # Errors
    /// If there is none, or one that is no machine's.
    pub fn new(wanted: Vec<Platform>, mode: PlatformMode) -> Result<Self, InvalidChoice> {
        match wanted.iter().find(|platform| platform.is_unknown()) {
            Some(unknown) => Err(InvalidChoice::Unknown(unknown.clone())),
            None if wanted.is_empty() => Err(InvalidChoice::Empty),
            None => Ok(Self { wanted, mode }),
        }
    }

    /// What becomes of a list.
    pub fn mode(&self) -> PlatformMode {
        self.mode
    }

    /// The platforms, as they were named.
    pub fn wanted(&self) -> &[Platform] {
        &self.wanted
    }

    /// What becomes of each child of a list, in the list's order, blobs among them. Nothing for what is no list.
    pub fn choose<'a>(&self, list: &'a Manifest) -> Vec<(&'a Descriptor, Fate)> {
        let children = listed(list);
        // Two platforms may share an image.
        let mut images: HashMap<&Digest, Fate> = HashMap::new();
        for image in children.iter().filter(|child| attested(child).is_none()) {
            let fate = images.entry(&image.digest).or_insert(Fate::Drop);
            *fate = if *fate == Fate::Keep { Fate::Keep } else { self.fate(image) };
        }
        let follow = |child: &Descriptor| match attested(child).and_then(|image| images.get(&image)) {
            None => self.fate(child),
            Some(Fate::Keep) => Fate::Keep,
            Some(Fate::Drop | Fate::LookInside) => Fate::Drop,
        };
        children.iter().map(|child| (child, follow(child))).collect()
    }

    /// What becomes of a child whatever stands beside it.
    fn fate(&self, child: &Descriptor) -> Fate {
        match platform_of(child) {
            Some(platform) if self.wants(platform) => Fate::Keep,
            Some(_) => Fate::Drop,
            None if media_type::is_index(&child.media_type) => Fate::LookInside,
            None => Fate::Keep,
        }
    }

    fn wants(&self, found: &Platform) -> bool {
        self.wanted.iter().any(|wanted| wanted.means(found))
    }
}

/// The config that tells what a single image runs on ([`Platform::of_config`]); `None` for an artifact, which has no
/// platform, and for a list.
pub(super) fn platform_config(image: &Manifest) -> Option<&Descriptor> {
    match image.content() {
        Content::Image(image) => image.config.as_deref().filter(|d| media_type::is_image_config(&d.media_type)),
        Content::Index(_) => None,
    }
}

fn listed(document: &Manifest) -> &[Descriptor] {
    match document.content() {
        Content::Index(index) => &index.manifests,
        Content::Image(_) => &[],
    }
}

/// The platform that a child names, if it is a machine's.
fn platform_of(child: &Descriptor) -> Option<&Platform> {
    child.platform.as_ref().filter(|platform| !platform.is_unknown())
}

/// The digest of what a child attests, if it is an attestation.
fn attested(child: &Descriptor) -> Option<Digest> {
    let annotations = child.annotations.as_ref()?;
    let is_attestation = annotations.get(REFERENCE_TYPE).is_some_and(|kind| kind == ATTESTATION);
    annotations.get(REFERENCE_DIGEST).filter(|_| is_attestation)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use testkit::{Image, content};

    pub(super) fn wanted(platforms: &[&str]) -> Platforms {
        let platforms = platforms.iter().map(|text| text.parse().unwrap()).collect();
        Platforms::new(platforms, PlatformMode::Rewrite).unwrap()
    }

    pub(super) fn manifest(image: &Image) -> Manifest {
        parse(std::str::from_utf8(&image.root.bytes).unwrap())
    }

    pub(super) fn parse(json: &str) -> Manifest {
        Manifest::parse(Bytes::copy_from_slice(json.as_bytes()), None, None).unwrap()
    }

    /// A child as BuildKit writes it, with a digest of this letter alone.
    pub(super) fn child(letter: char, platform: &str) -> String {
        let (os, architecture) = platform.split_once('/').unwrap();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":1041,"platform":{{"architecture":"{architecture}","os":"{os}"}}}}"#,
            digest(letter)
        )
    }

    pub(super) fn attestation(letter: char, of: char) -> String {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":840,"annotations":{{"vnd.docker.reference.digest":"{}","vnd.docker.reference.type":"attestation-manifest"}},"platform":{{"architecture":"unknown","os":"unknown"}}}}"#,
            digest(letter),
            digest(of)
        )
    }

    pub(super) fn plain(letter: char, media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":7}}"#, digest(letter))
    }

    pub(super) fn list(children: &[String]) -> Manifest {
        parse(&format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{}]}}"#,
            media_type::OCI_INDEX,
            children.join(",")
        ))
    }

    pub(super) fn digest(letter: char) -> String {
        format!("sha256:{}", letter.to_string().repeat(64))
    }

    fn fates(wanted: &Platforms, list: &Manifest) -> Vec<Fate> {
        wanted.choose(list).into_iter().map(|(_, fate)| fate).collect()
    }

    use Fate::{Drop, Keep, LookInside};

    #[test]
    fn the_wanted_platforms_of_a_list_are_kept() {
        let list = manifest(&content::hello_world());
        assert_eq!(fates(&wanted(&["linux/amd64", "linux/arm64"]), &list), [Keep, Keep, Drop]);
        assert_eq!(fates(&wanted(&["windows(10.0.17763)/amd64"]), &list), [Drop, Drop, Keep]);
    }

    #[test]
    fn an_attestation_follows_its_image_wherever_it_stands() {
        let list =
            list(&[attestation('e', 'a'), child('a', "linux/amd64"), child('b', "linux/arm64"), attestation('d', 'b')]);
        assert_eq!(fates(&wanted(&["linux/amd64"]), &list), [Keep, Keep, Drop, Drop]);
        assert_eq!(fates(&wanted(&["linux/arm64"]), &list), [Drop, Drop, Keep, Keep]);
    }

    #[test]
    fn an_attestation_of_what_is_not_listed_is_kept_as_anything_without_a_platform() {
        let nameless = attestation('e', 'a').replace("vnd.docker.reference.digest", "other");
        let list = list(&[child('a', "linux/amd64"), nameless, attestation('d', 'f')]);
        assert_eq!(fates(&wanted(&["linux/arm64"]), &list), [Drop, Keep, Keep]);
    }

    #[test]
    fn one_image_for_two_platforms_keeps_its_attestation_if_either_is_wanted() {
        let list = list(&[child('a', "linux/amd64"), child('a', "linux/arm64"), attestation('b', 'a')]);
        assert_eq!(fates(&wanted(&["linux/amd64"]), &list), [Keep, Drop, Keep]);
        assert_eq!(fates(&wanted(&["linux/arm64"]), &list), [Drop, Keep, Keep]);
    }

    #[test]
    fn what_names_no_platform_is_kept() {
        let list = list(&[
            child('a', "linux/amd64"),
            plain('b', media_type::OCI_MANIFEST),
            plain('c', "application/vnd.buildkit.cacheconfig.v0"),
            child('d', "unknown/unknown"),
        ]);
        assert_eq!(fates(&wanted(&["linux/arm64"]), &list), [Drop, Keep, Keep, Keep]);
    }

    #[test]
    fn a_list_inside_a_list_is_looked_into_unless_it_names_a_platform() {
        let nested = child('c', "linux/arm64").replace(media_type::OCI_MANIFEST, media_type::OCI_INDEX);
        let other = child('d', "linux/s390x").replace(media_type::OCI_MANIFEST, media_type::OCI_INDEX);
        let list = list(&[plain('a', media_type::OCI_INDEX), plain('b', media_type::DOCKER_LIST), nested, other]);
        assert_eq!(fates(&wanted(&["linux/arm64"]), &list), [LookInside, LookInside, Keep, Drop]);
    }

    #[test]
    fn a_choice_of_nothing_or_of_no_machine_is_refused() {
        assert_eq!(Platforms::new(vec![], PlatformMode::Sparse), Err(InvalidChoice::Empty));
        let unknown = vec!["linux/amd64".parse().unwrap(), "unknown/unknown".parse().unwrap()];
        let error = Platforms::new(unknown, PlatformMode::Sparse).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown/unknown is no platform to choose: attestations follow the image that they attest"
        );
    }

    #[test]
    fn the_config_of_an_image_tells_its_platform_and_an_artifact_has_none() {
        let image = manifest(&Image::docker("linux/amd64").layer(1, 10).build());
        assert!(platform_config(&image).is_some());
        assert!(platform_config(&manifest(&Image::artifact("application/vnd.example").build())).is_none());
        assert!(platform_config(&manifest(&content::hello_world())).is_none());
    }
}
