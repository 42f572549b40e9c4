//! `index.json`: the images of a layout. Source: OCI image-spec, "Image Layout", "index.json file".

#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::oci::{Descriptor, Digest, Manifest, Reference, Tag, media_type};

/// Source: OCI image-spec, "Pre-Defined Annotation Keys".
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Where containerd, and `docker save` with it, write the full name.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// So many tags are told of a layout.
const MOST_NAMED: usize = 20;

/// The list as it was read: what is not known of it stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listing {
    fields: Map<String, Value>,
    images: Vec<Value>,
}

impl Listing {
    pub(super) fn empty() -> Self {
        let fields = [("schemaVersion", json!(2)), ("mediaType", json!(media_type::OCI_INDEX))];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Self { fields: fields.into_iter().collect(), images: Vec::new() }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut fields: Map<String, Value> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let images = match fields.remove("manifests") {
            Some(Value::Array(images)) => images,
            Some(Value::Null) | None => Vec::new(),
            Some(_) => return Err("`manifests` is no list".to_owned()),
        };
        Ok(Self { fields, images })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut fields = self.fields.clone();
        fields.insert("manifests".to_owned(), Value::Array(self.images.clone()));
        Value::Object(fields).to_string().into_bytes()
    }

    /// The image with this tag: the one that is named so, else the one whose full name ends so.
    ///
    /// # Errors
    /// If there are several, or it cannot be read.
    pub(super) fn tagged(&self, tag: &Tag) -> Result<Option<Descriptor>, String> {
        let exactly: Vec<&Value> = self.images.iter().filter(|image| ref_name(image) == Some(tag.as_str())).collect();
        let meant = match exactly.as_slice() {
            [] => self.images.iter().filter(|image| tag_of(image).as_ref() == Some(tag)).collect(),
            _ => exactly,
        };
        let Some(first) = meant.first() else { return Ok(None) };
        if meant.iter().any(|other| other.get("digest") != first.get("digest")) {
            return Err(format!("several images have the tag {tag}: choose one by its digest"));
        }
        descriptor(first).map(Some)
    }

    /// The image that is meant where no name is given: `latest`, or the only one.
    ///
    /// # Errors
    /// If there is none or several, telling their tags.
    pub(super) fn unnamed(&self) -> Result<Descriptor, String> {
        if let Some(latest) = self.tagged(&Tag::latest())? {
            return Ok(latest);
        }
        match self.images.as_slice() {
            [first, others @ ..] if others.iter().all(|other| other.get("digest") == first.get("digest")) => {
                descriptor(first)
            }
            [] => Err("it has no image".to_owned()),
            _ => {
                let tags = self.tags();
                let named: Vec<&str> = tags.iter().take(MOST_NAMED).map(Tag::as_str).collect();
                let named = if named.is_empty() { "none has a tag".to_owned() } else { named.join(", ") };
                Err(format!("it has several images: name a tag or a digest ({named})"))
            }
        }
    }

    /// All tags, each once.
    pub(super) fn tags(&self) -> Vec<Tag> {
        let tags: BTreeSet<Tag> = self.images.iter().filter_map(tag_of).collect();
        tags.into_iter().collect()
    }

    /// What is listed of a document.
    pub(super) fn image(&self, digest: &Digest) -> Option<Descriptor> {
        let digest = digest.to_string();
        self.images.iter().find(|image| image["digest"] == digest).and_then(|image| descriptor(image).ok())
    }

    /// What is listed and can be read.
    pub(super) fn images(&self) -> impl Iterator<Item = Descriptor> {
        self.images.iter().filter_map(|image| descriptor(image).ok())
    }

    /// Lists a document under a tag, which whatever had it loses; or without one, if it is not listed. Returns whether
    /// that changed anything.
    pub(super) fn list(&mut self, manifest: &Manifest, tag: Option<&Tag>) -> bool {
        let digest = manifest.digest().to_string();
        let is_ours = |image: &Value| image["digest"] == digest;
        match tag {
            None if self.images.iter().any(is_ours) => return false,
            None => {}
            Some(tag) => {
                let is_named = |image: &Value| ref_name(image) == Some(tag.as_str());
                let mut named = self.images.iter().filter(|image| is_named(image));
                if named.next().is_some_and(is_ours) && named.next().is_none() {
                    return false;
                }
                // Listed without a tag it was there for its own sake, and is so under the tag.
                self.images.retain(|image| !(is_named(image) || is_ours(image) && is_nameless(image)));
            }
        }
        let mut image = json!({"mediaType": manifest.media_type(), "digest": digest, "size": manifest.bytes().len()});
        if let Some(tag) = tag {
            image["annotations"] = json!({REF_NAME: tag.as_str()});
        }
        self.images.push(image);
        true
    }

    /// Lists no longer what has this tag. Returns whether anything had.
    pub(super) fn remove_tag(&mut self, tag: &Tag) -> bool {
        self.retain(|image| tag_of(image).as_ref() != Some(tag))
    }

    /// Lists a document no longer. Returns whether it was there.
    pub(super) fn remove(&mut self, digest: &Digest) -> bool {
        let digest = digest.to_string();
        self.retain(|image| image["digest"] != digest)
    }

    fn retain(&mut self, stays: impl Fn(&Value) -> bool) -> bool {
        let before = self.images.len();
        self.images.retain(stays);
        self.images.len() < before
    }
}

fn annotation<'i>(image: &'i Value, key: &str) -> Option<&'i str> {
    image.get("annotations")?.get(key)?.as_str()
}

fn ref_name(image: &Value) -> Option<&str> {
    annotation(image, REF_NAME)
}

fn is_nameless(image: &Value) -> bool {
    ref_name(image).or_else(|| annotation(image, CONTAINERD_NAME)).is_none()
}

/// The tag that an image has: its name, or the end of its full name, which some tools write instead.
fn tag_of(image: &Value) -> Option<Tag> {
    match ref_name(image) {
        Some(name) => name.parse().ok().or_else(|| tag_of_reference(name)),
        None => tag_of_reference(annotation(image, CONTAINERD_NAME)?),
    }
}

fn tag_of_reference(name: &str) -> Option<Tag> {
    name.parse::<Reference>().ok()?.tag
}

fn descriptor(image: &Value) -> Result<Descriptor, String> {
    serde_json::from_value(image.clone()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(text: &'static str) -> Manifest {
        Manifest::parse(text.into(), Some(media_type::OCI_INDEX), None).unwrap()
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    fn listed(names: &[(&str, Value)]) -> Listing {
        let entry = |(bytes, annotations): &(&str, Value)| json!({"mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(bytes.as_bytes()).to_string(), "size": 1, "annotations": annotations});
        let images: Vec<Value> = names.iter().map(entry).collect();
        Listing::parse(json!({"schemaVersion": 2, "manifests": images}).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_tag_moves_and_what_is_not_known_stays() {
        let before = r#"{"schemaVersion":2,"x":1,"annotations":{"a":"b"},"manifests":[{"digest":"md5:0","y":[2]}]}"#;
        let mut listing = Listing::parse(before.as_bytes()).unwrap();
        let (old, new) = (image(r#"{"manifests":[]}"#), image(r#"{"manifests":[] }"#));
        let v1 = tag("v1");
        assert!(listing.list(&old, Some(&v1)) && listing.list(&new, Some(&v1)) && !listing.list(&new, Some(&v1)));
        assert!(!listing.list(&new, None) && listing.list(&old, None) && !listing.list(&old, None));

        let read = Listing::parse(&listing.to_bytes()).unwrap();
        assert_eq!(read, listing);
        assert_eq!(read.tagged(&v1).unwrap().unwrap().digest, *new.digest());
        assert_eq!((&read.fields["x"], &read.images[0]["y"], read.images.len()), (&json!(1), &json!([2]), 3));
        assert!(listing.list(&old, Some(&tag("v2"))));
        assert_eq!(listing.images.len(), 3, "what had no tag has one now");
        assert!(listing.remove_tag(&v1) && !listing.remove_tag(&v1) && listing.image(new.digest()).is_none());
        assert_eq!(listing.tags(), [tag("v2")]);
    }

    #[test]
    fn full_names_are_known_by_their_tags() {
        let listing = listed(&[
            ("podman", json!({REF_NAME: "docker.io/library/alpine:3.20"})),
            ("buildx", json!({REF_NAME: "v1", CONTAINERD_NAME: "docker.io/acme/app:v1"})),
            ("containerd", json!({CONTAINERD_NAME: "ghcr.io/acme/app:v2"})),
            ("exact", json!({REF_NAME: "3.21"})),
            ("full", json!({REF_NAME: "r.example/other:3.21"})),
            ("nameless", json!(null)),
            ("odd", json!({REF_NAME: "a b"})),
        ]);
        assert_eq!(listing.tags(), ["3.20", "3.21", "v1", "v2"].map(tag));
        for (name, bytes) in [("3.20", "podman"), ("3.21", "exact"), ("v1", "buildx"), ("v2", "containerd")] {
            assert_eq!(listing.tagged(&tag(name)).unwrap().unwrap().digest, Digest::of(bytes.as_bytes()));
        }
        assert_eq!(listing.tagged(&tag("latest")), Ok(None));
        assert!(listing.unnamed().unwrap_err().contains("(3.20, 3.21, v1, v2)"));
    }

    #[test]
    fn a_tag_that_is_given_twice_is_no_answer() {
        let name = || json!({REF_NAME: "v1"});
        assert!(listed(&[("a", name()), ("b", name())]).tagged(&tag("v1")).unwrap_err().contains("by its digest"));
        let twice = listed(&[("a", name()), ("a", name())]);
        assert!(twice.tagged(&tag("v1")).unwrap().is_some() && twice.unnamed().is_ok());
    }

    #[test]
    fn what_is_no_list_of_images_is_refused() {
        for text in ["", "[]", "null", "{", r#"{"manifests":{}}"#, r#"{"manifests":1}"#] {
            assert!(Listing::parse(text.as_bytes()).is_err(), "{text} was taken");
        }
        assert_eq!(Listing::parse(br#"{"manifests":null}"#).unwrap().tags(), []);
    }
}
