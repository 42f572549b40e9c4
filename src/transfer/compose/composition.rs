//! The list in the making: which entries, in which order, of which type.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Part;
use crate::oci::{ListType, Manifest, ManifestError, list_json, media_type};

/// What a list is to be made of. The same parts in the same order are the same bytes, on every machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Composition {
    /// The list's type; without it the parts tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<ListType>,
    /// The list's own annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Its entries in their order.
    pub manifests: Vec<Part>,
}

/// Why there is no list. The text is complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotComposed {
    /// It would list nothing.
    #[error("there is no manifest to list")]
    Empty,
    /// A config without a platform, and nobody who names one.
    #[error("manifest {0} must have an OS and Architecture to be pushed to a registry, and its config names none")]
    NoPlatform(Box<Part>),
    /// Readers take one of both, and nobody knows which.
    #[error("two manifests are for {}: {} and {}", .0.1.machine_name(), .0.0.reference(), .0.1.reference())]
    SamePlatform(Box<(Part, Part)>),
    /// Docker's lists have none.
    #[error("a Docker manifest list has no annotations: let it be an OCI index, or leave them out")]
    Annotated,
    /// Docker's lists name a platform for every entry.
    #[error("a Docker manifest list names the platform of each manifest, and {0} has none: let it be an OCI index")]
    NoMachine(Box<Part>),
    /// It would be too large.
    #[error("the list cannot be made: {0}")]
    Document(#[from] ManifestError),
}

impl Composition {
    /// Adds entries at the end. One that is there already, for the same platform, is not there twice.
    pub fn add(&mut self, parts: impl IntoIterator<Item = Part>) {
        for part in parts {
            let is_there = |old: &Part| {
                old.descriptor.digest == part.descriptor.digest && old.descriptor.platform == part.descriptor.platform
            };
            if !self.manifests.iter().any(is_there) {
                self.manifests.push(part);
            }
        }
    }

    /// Puts entries in the place of those that are for the same platforms, and others at the end. What attests an image
    /// that goes, goes with it.
    pub fn replace(&mut self, parts: Vec<Part>) {
        let digests = |parts: &[Part]| parts.iter().map(|part| part.descriptor.digest.clone()).collect::<HashSet<_>>();
        let (before, mut replaced) = (digests(&self.manifests), HashSet::new());
        for part in &parts {
            let mut places = self.manifests.iter_mut().enumerate();
            let place = places.find(|(number, old)| !replaced.contains(number) && old.is_for_same_machine(part));
            if let Some((number, old)) = place {
                replaced.insert(number);
                *old = part.clone();
            }
        }
        let now = digests(&self.manifests);
        self.manifests.retain(|part| !before.difference(&now).any(|gone| part.attests(gone)));
        self.add(parts);
    }

    /// The list, if readers can tell its entries apart.
    ///
    /// # Errors
    /// For everything named in [`NotComposed`].
    pub fn list(&self) -> Result<Manifest, NotComposed> {
        self.list_with(&self.annotations)
    }

    /// The list with an annotation that says where it comes from, and that does not make it an index: readers of Docker's
    /// lists pass over it.
    pub(super) fn marked(&self, (key, value): (&str, String)) -> Result<Manifest, NotComposed> {
        let mut annotations = self.annotations.clone();
        annotations.insert(key.to_owned(), value);
        self.list_with(&annotations)
    }

    fn list_with(&self, annotations: &BTreeMap<String, String>) -> Result<Manifest, NotComposed> {
        self.check()?;
        let json = self.json_with(annotations)?;
        Ok(Manifest::parse(Bytes::from(json), Some(self.list_type().media_type()), None)?)
    }

    fn check(&self) -> Result<(), NotComposed> {
        if self.manifests.is_empty() {
            return Err(NotComposed::Empty);
        }
        if let Some(part) = self.manifests.iter().find(|part| part.lacks_platform()) {
            return Err(NotComposed::NoPlatform(Box::new(part.clone())));
        }
        if let Some(error) = self.same_platform() {
            return Err(error);
        }
        if self.list_type() == ListType::Docker {
            if self.is_annotated() {
                return Err(NotComposed::Annotated);
            }
            if let Some(part) = self.manifests.iter().find(|part| part.descriptor.platform.is_none()) {
                return Err(NotComposed::NoMachine(Box::new(part.clone())));
            }
        }
        Ok(())
    }

    /// The list's bytes as it stands, whatever it still lacks.
    ///
    /// # Errors
    /// None that its entries can cause.
    pub fn json(&self) -> Result<Vec<u8>, ManifestError> {
        self.json_with(&self.annotations)
    }

    fn json_with(&self, annotations: &BTreeMap<String, String>) -> Result<Vec<u8>, ManifestError> {
        let listed: Vec<_> = self.manifests.iter().map(|part| part.descriptor.clone()).collect();
        list_json(self.list_type().media_type(), &listed, annotations)
    }

    /// Two entries that are for the same platform.
    pub fn same_platform(&self) -> Option<NotComposed> {
        self.manifests.iter().enumerate().find_map(|(number, second)| {
            let first = self.manifests[..number].iter().find(|first| first.is_for_same_machine(second))?;
            Some(NotComposed::SamePlatform(Box::new((first.clone(), second.clone()))))
        })
    }

    /// Docker's where all is Docker's and nothing is said that a Docker list has no place for.
    fn list_type(&self) -> ListType {
        let is_docker = |part: &Part| {
            let media_type = part.descriptor.media_type.as_str();
            matches!(media_type, media_type::DOCKER_MANIFEST | media_type::DOCKER_LIST)
        };
        self.media_type.unwrap_or_else(|| {
            let is_docker = self.manifests.iter().all(is_docker) && !self.is_annotated();
            if is_docker { ListType::Docker } else { ListType::Oci }
        })
    }

    fn is_annotated(&self) -> bool {
        let has_some = |part: &Part| part.descriptor.annotations.as_ref().is_some_and(|some| !some.is_empty());
        !self.annotations.is_empty() || self.manifests.iter().any(has_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Descriptor, Platform};
    use insta::assert_snapshot;
    use testkit::{Image, content};

    fn part(image: &Image) -> Part {
        let document = &image.root;
        let text = format!(
            r#"{{"mediaType":"{}","digest":"{}","size":{}}}"#,
            document.media_type,
            document.digest(),
            document.bytes.len()
        );
        let platform = image
            .platform
            .as_ref()
            .map(|platform| serde_json::from_value(serde_json::to_value(platform).unwrap()).unwrap());
        let descriptor = Descriptor { platform, ..serde_json::from_str(&text).unwrap() };
        Part { named: "registry.example/app:1".parse().unwrap(), descriptor }
    }

    fn docker(platform: &str, seed: u64) -> Part {
        part(&Image::docker(platform).layer(seed, 10).build())
    }

    fn oci(platform: &str, seed: u64) -> Part {
        part(&Image::oci(platform).layer(seed, 10).build())
    }

    fn attestation(of: &Part, seed: u64) -> Part {
        let mut part = oci("unknown/unknown", seed);
        let digest = of.descriptor.digest.to_string();
        let said = [("vnd.docker.reference.type", "attestation-manifest"), ("vnd.docker.reference.digest", &digest)];
        part.descriptor.annotations = Some(said.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
        part
    }

    fn composed(parts: &[Part]) -> Composition {
        Composition { manifests: parts.to_vec(), ..Composition::default() }
    }

    fn media_type(composition: &Composition) -> String {
        composition.list().unwrap().media_type().to_owned()
    }

    #[test]
    fn the_bytes_never_change_or_lists_would_be_written_again() {
        let list = composed(&content::hello_world().children.iter().map(part).collect::<Vec<_>>()).list().unwrap();
        assert_snapshot!(list.digest(), @"sha256:919dc8ac85cb34917129ddf02d60dd925f9d0250b4ef8ea840ef2c872e4c1805");
        let mut annotated = composed(&[oci("linux/amd64", 1), oci("linux/arm/v7", 2)]);
        annotated.annotations.insert("org.opencontainers.image.version".to_owned(), "1.4".to_owned());
        annotated.manifests[1].descriptor.annotations = Some([("a".to_owned(), "b".to_owned())].into());
        assert_snapshot!(std::str::from_utf8(&annotated.json().unwrap()).unwrap(), @r#"
        {
           "schemaVersion": 2,
           "mediaType": "application/vnd.oci.image.index.v1+json",
           "manifests": [
              {
                 "mediaType": "application/vnd.oci.image.manifest.v1+json",
                 "size": 495,
                 "digest": "sha256:70f07eaac5d3dfdd2347d1d3d749b260649e3fa9e4ddee2ff5c2375fac86bbd5",
                 "platform": {
                    "architecture": "amd64",
                    "os": "linux"
                 }
              },
              {
                 "mediaType": "application/vnd.oci.image.manifest.v1+json",
                 "size": 495,
                 "digest": "sha256:ef67e5f5725ab274df0d16c749aa032e9718ce2b1ed003de08b3fa10d2712a66",
                 "platform": {
                    "architecture": "arm",
                    "os": "linux",
                    "variant": "v7"
                 },
                 "annotations": {
                    "a": "b"
                 }
              }
           ],
           "annotations": {
              "org.opencontainers.image.version": "1.4"
           }
        }
        "#);
    }

    #[test]
    fn the_type_is_that_of_the_children_and_annotations_need_an_index() {
        let all_docker = composed(&[docker("linux/amd64", 1), docker("linux/arm64", 2)]);
        assert_eq!(media_type(&all_docker), media_type::DOCKER_LIST);
        let mixed = composed(&[docker("linux/amd64", 1), oci("linux/arm64", 2)]);
        assert_eq!(media_type(&mixed), media_type::OCI_INDEX);
        let said = composed(&[oci("linux/amd64", 1)]);
        assert_eq!(
            media_type(&Composition { media_type: Some(ListType::Docker), ..said }),
            media_type::DOCKER_LIST,
            "what is said counts"
        );
        let mut annotated = all_docker;
        annotated.annotations.insert("a".to_owned(), "b".to_owned());
        assert_eq!(media_type(&annotated), media_type::OCI_INDEX);
        annotated.media_type = Some(ListType::Docker);
        assert_eq!(annotated.list(), Err(NotComposed::Annotated));
    }

    #[test]
    fn one_platform_twice_is_refused_by_name_and_one_image_twice_is_one_entry() {
        let (one, other) = (oci("linux/arm64", 1), oci("linux/arm64/v8", 2));
        let error = composed(&[one.clone(), other.clone()]).list().unwrap_err().to_string();
        for name in [one.reference().to_string(), other.reference().to_string(), "linux/arm64".to_owned()] {
            assert!(error.contains(&name), "{error}");
        }
        let mut list = composed(&[]);
        assert_eq!(list.list(), Err(NotComposed::Empty));
        list.add([one.clone(), one.clone()]);
        assert_eq!(list.manifests, [one]);
    }

    #[test]
    fn an_image_whose_config_names_no_platform_is_refused_and_an_artifact_is_not() {
        let mut unknown = oci("linux/amd64", 1);
        unknown.descriptor.platform = Some(Platform::default());
        assert!(matches!(composed(&[unknown]).list(), Err(NotComposed::NoPlatform(_))));
        let artifact = part(&Image::artifact("text/x").build());
        assert_eq!(media_type(&composed(std::slice::from_ref(&artifact))), media_type::OCI_INDEX);
        let docker = Composition { media_type: Some(ListType::Docker), ..composed(&[artifact]) };
        assert!(matches!(docker.list(), Err(NotComposed::NoMachine(_))));
    }

    #[test]
    fn later_images_take_the_place_of_those_for_the_same_platform_and_of_what_attests_them() {
        let (amd, arm, newer) = (oci("linux/amd64", 1), oci("linux/arm64", 2), oci("linux/arm64/v8", 3));
        let (of_amd, of_arm, of_newer) = (attestation(&amd, 4), attestation(&arm, 5), attestation(&newer, 6));
        let mut list = composed(&[amd.clone(), arm, of_amd.clone(), of_arm]);

        list.replace(vec![newer.clone(), of_newer.clone()]);

        assert_eq!(list.manifests, [amd, newer, of_amd, of_newer]);
        let before = list.clone();
        let again = vec![list.manifests[1].clone(), list.manifests[3].clone()];
        list.replace(again);
        assert_eq!(list, before, "the same again changes nothing");
        list.replace(vec![oci("linux/s390x", 7), oci("linux/s390x", 8)]);
        assert!(matches!(list.list(), Err(NotComposed::SamePlatform(_))), "none of two that are new is the later one");
    }

    #[test]
    fn a_composition_reads_as_it_is_written() {
        let mut list = composed(&[docker("linux/arm/v7", 1)]);
        list.media_type = Some(ListType::Oci);
        list.annotations.insert("a".to_owned(), "b".to_owned());
        let json = serde_json::to_string_pretty(&list).unwrap();
        assert_eq!(serde_json::from_str::<Composition>(&json).unwrap(), list, "{json}");
    }
}
