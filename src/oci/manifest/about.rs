//! What a document says of itself: what it is about, of which kind, in which words.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::{Content, Manifest};
use crate::oci::Descriptor;

impl Manifest {
    /// The document that this one is about: a signature's image, say. Source: OCI image-spec 1.1, `subject`.
    pub fn subject(&self) -> Option<&Descriptor> {
        self.about.as_ref()?.subject.as_ref()
    }

    /// What kind of artifact this is: where an image manifest does not say it, its config's media type does.
    /// Source: distribution spec, "Listing Referrers".
    pub fn artifact_type(&self) -> Option<&str> {
        let own = self.about.as_ref().and_then(|about| about.artifact_type.as_deref());
        own.filter(|own| !own.is_empty()).or_else(|| match &self.content {
            Content::Image(image) => image.config.as_ref().map(|config| config.media_type.as_str()),
            Content::Index(_) => None,
        })
    }

    /// Its annotations.
    pub fn annotations(&self) -> Option<&BTreeMap<String, String>> {
        self.about.as_ref()?.annotations.as_ref()
    }

    /// How a list of referrers names this document. Source: distribution spec, "Listing Referrers".
    pub fn as_referrer(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.bytes.len() as u64,
            platform: None,
            artifact_type: self.artifact_type().map(str::to_owned),
            annotations: self.annotations().cloned(),
        }
    }
}

/// What a document says of itself; most say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) subject: Option<Descriptor>,
    pub(super) artifact_type: Option<String>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

impl About {
    pub(super) fn unless_empty(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// A field that a copy does not depend on: of another shape, it is passed on all the same.
pub(super) fn if_readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(field: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(serde_json::Value::deserialize(field)?).ok())
}

#[cfg(test)]
mod tests {
    use super::super::ManifestError;
    use super::*;
    use crate::oci::Digest;
    use bytes::Bytes;

    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn parse(json: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(Bytes::copy_from_slice(json.as_bytes()), None, None)
    }

    #[test]
    fn an_artifact_says_what_it_is_about() {
        let json = format!(
            r#"{{"schemaVersion":2,"artifactType":"text/x","config":{EMPTY},"layers":[],"subject":{EMPTY},"annotations":{{"a":"b"}}}}"#
        );
        let manifest = parse(&json).unwrap();
        assert_eq!(manifest.subject().unwrap().size, 2);
        assert_eq!(manifest.artifact_type(), Some("text/x"));
        assert_eq!(manifest.annotations().unwrap()["a"], "b");
        let named = manifest.as_referrer();
        assert_eq!((named.digest, named.size), (Digest::of(json.as_bytes()), json.len() as u64));
        assert_eq!((named.artifact_type.as_deref(), named.annotations.unwrap().len()), (Some("text/x"), 1));
    }

    #[test]
    fn an_image_that_says_no_type_has_its_configs_and_an_index_none() {
        let typed = |fields: &str| format!(r#"{{"schemaVersion":2,{fields}}}"#);
        for artifact_type in ["", r#""artifactType":"","#] {
            let image = parse(&typed(&format!(r#"{artifact_type}"config":{EMPTY},"layers":[]"#))).unwrap();
            assert_eq!(image.artifact_type(), Some("application/vnd.oci.empty.v1+json"));
            let index = parse(&typed(&format!(r#"{artifact_type}"manifests":[]"#))).unwrap();
            assert_eq!(index.artifact_type(), None);
        }
    }

    #[test]
    fn a_subject_or_an_annotation_that_cannot_be_read_is_passed_on() {
        for odd in
            [r#""subject":"x""#, r#""subject":{"digest":"md5:0"}"#, r#""annotations":{"a":1}"#, r#""artifactType":[]"#]
        {
            let image = parse(&format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[],{odd}}}"#)).unwrap();
            assert!(image.subject().is_none() && image.annotations().is_none(), "{odd}");
        }
    }
}
