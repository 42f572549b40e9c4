//! Manifests and indexes: the bytes as they came, and what they say.

mod about;
#[cfg(any(test, fuzzing))]
pub(super) mod properties;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use super::{Descriptor, Digest, media_type};
use about::{About, if_readable};

/// The largest document that is read, in bytes: what the distribution spec asks every registry to take at least.
pub const MAX_MANIFEST_SIZE: usize = 4 << 20;

/// An image manifest or an index, with the very bytes whose hash is its digest. Never serialised again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    bytes: Bytes,
    digest: Digest,
    media_type: String,
    content: Content,
    about: Option<Box<About>>,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// One image or artifact.
    Image(Image),
    /// A list of documents, usually one a platform.
    Index(Index),
}

/// The parts of an image manifest (or of an artifact's) that a mirror looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image's configuration; artifacts of the withdrawn artifact manifest have none.
    pub config: Option<Box<Descriptor>>,
    /// The layers, lowest first; may be empty.
    pub layers: Vec<Descriptor>,
}

/// The parts of an index that a mirror looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// What is listed: documents, and in build caches blobs too.
    pub manifests: Vec<Descriptor>,
}

/// Why a document is refused. The text is complete; nothing was written anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Schema 1 signs a form of the document that is not the one sent: its digest cannot be kept.
    #[error(
        "it is a Docker schema 1 manifest, which no longer has a digest of its own bytes: push the image again with a current tool"
    )]
    Schema1 {
        /// Its media type.
        media_type: &'static str,
    },
    /// CVE-2021-41190: two readers would see two different images.
    #[error("it has both `manifests` and `layers` or `config`, so it could be read as two different images")]
    Ambiguous,
    /// The registry and the document disagree on what it is.
    #[error("its mediaType {declared:?} contradicts the Content-Type {served:?}")]
    Contradiction {
        /// `mediaType` in the document.
        declared: String,
        /// `Content-Type` of the answer.
        served: String,
    },
    /// Larger than [`MAX_MANIFEST_SIZE`].
    #[error("it is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not what was asked for.
    #[error("its {size} bytes hash to {actual}, not to {expected}")]
    Digest {
        /// What was asked for, or what the registry said.
        expected: Digest,
        /// What came.
        actual: Digest,
        /// How many bytes came.
        size: usize,
    },
    /// Not what a registry answers.
    #[error("it is no image manifest or index but a web page")]
    WebPage,
    /// Of another size than the descriptor says that names it.
    #[error("it has {actual} bytes, its descriptor says {expected}")]
    Size {
        /// What the descriptor says.
        expected: u64,
        /// What is there.
        actual: usize,
    },
    /// Neither an image manifest nor an index.
    #[error("it is no image manifest or index but {what}")]
    Unknown {
        /// What it is instead, as far as can be told.
        what: String,
    },
    /// Something else stands where a list of referrers is looked for.
    #[error("it is no OCI index, as a list of referrers is one")]
    NoReferrers,
    /// Broken JSON, or fields of the wrong shape.
    #[error("it is no valid manifest: {0}")]
    Json(String),
}

impl ManifestError {
    /// The media type of what is refused, where the registry tells it.
    pub fn media_type(&self) -> Option<&str> {
        match self {
            Self::Schema1 { media_type } => Some(media_type),
            Self::Contradiction { served, .. } => Some(served),
            _ => None,
        }
    }
}

impl Manifest {
    /// Reads a document.
    ///
    /// `content_type` is the answer's, where there was one. `expected` is the digest that was asked for: identity is
    /// the hash of the bytes against it, whatever a header says (CVE-2025-24882).
    ///
    /// # Errors
    /// For everything named in [`ManifestError`].
    pub fn parse(bytes: Bytes, content_type: Option<&str>, expected: Option<&Digest>) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_SIZE {
            return Err(ManifestError::TooLarge { limit: MAX_MANIFEST_SIZE });
        }
        let served = content_type.map(media_type::essence);
        // Before its digest, which is not that of the bytes.
        if let Some(media_type) = served.and_then(schema_1) {
            return Err(ManifestError::Schema1 { media_type });
        }
        let digest = digest_of(&bytes, expected).map_err(|error| match served {
            // A web page's digest is not what is wrong with it.
            Some("text/html") => ManifestError::WebPage,
            _ => error,
        })?;
        if bytes.trim_ascii_start().starts_with(b"[") {
            // serde would take its elements for the fields, in their order.
            return Err(ManifestError::Json("it is a list".to_owned()));
        }
        let mut document: Document = serde_json::from_slice(&bytes).map_err(|error| not_json(served, &error))?;
        let media_type = document.media_type(served)?;
        let about = document.take_about();
        let content = document.into_content(&media_type)?;
        Ok(Self { bytes, digest, media_type, content, about })
    }

    /// The document's bytes, as the registry sent them.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The document's digest, hashed from its bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The media type under which the document is pushed.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// What the document says.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The documents that this one lists; none for an image.
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let listed = match &self.content {
            Content::Index(index) => index.manifests.as_slice(),
            Content::Image(_) => &[],
        };
        listed.iter().filter(|d| d.is_manifest())
    }

    /// The blobs that this document itself names and that registries keep: config and layers, not foreign layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.all_blobs().filter(|blob| !blob.is_foreign_layer())
    }

    /// The layers that this document itself names and that registries keep; none for a list.
    pub fn layers(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = match &self.content {
            Content::Image(image) => image.layers.as_slice(),
            Content::Index(_) => &[],
        };
        layers.iter().filter(|layer| !layer.is_foreign_layer())
    }

    /// The layers that it names and that lie elsewhere.
    pub fn foreign_layers(&self) -> impl Iterator<Item = &Descriptor> {
        self.all_blobs().filter(|blob| blob.is_foreign_layer())
    }

    fn all_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, others) = match &self.content {
            Content::Image(image) => (image.config.as_deref(), &image.layers),
            Content::Index(index) => (None, &index.manifests),
        };
        let is_image = matches!(self.content, Content::Image(_));
        config.into_iter().chain(others.iter().filter(move |d| is_image || !d.is_manifest()))
    }
}

fn digest_of(bytes: &[u8], expected: Option<&Digest>) -> Result<Digest, ManifestError> {
    let Some(expected) = expected else {
        return Ok(Digest::of(bytes));
    };
    let mut hasher = expected.hasher();
    hasher.update(bytes);
    let actual = hasher.finish();
    if actual == *expected {
        Ok(actual)
    } else {
        Err(ManifestError::Digest { expected: expected.clone(), actual, size: bytes.len() })
    }
}

fn schema_1(media_type: &str) -> Option<&'static str> {
    media_type::DOCKER_SCHEMA_1.into_iter().find(|known| *known == media_type)
}

fn not_json(served: Option<&str>, error: &serde_json::Error) -> ManifestError {
    match served {
        Some(t) if !t.ends_with("json") => {
            ManifestError::Unknown { what: format!("a document of type {:?}", shortened(t)) }
        }
        _ => ManifestError::Json(shortened(&error.to_string())),
    }
}

/// What a document says of itself, as errors show it: it may be megabytes.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

/// A document as JSON has it. Written by many tools: `null` stands for an empty list in some.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default, deserialize_with = "if_readable")]
    subject: Option<Descriptor>,
    #[serde(default, deserialize_with = "if_readable")]
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "if_readable")]
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    fn take_about(&mut self) -> Option<Box<About>> {
        About {
            subject: self.subject.take(),
            artifact_type: self.artifact_type.take(),
            annotations: self.annotations.take(),
        }
        .unless_empty()
    }

    /// The type that counts: the answer's where it names a manifest, else the document's own, else told by its fields.
    fn media_type(&self, served: Option<&str>) -> Result<String, ManifestError> {
        let served = served.filter(|t| media_type::is_manifest(t));
        let declared = self.media_type.as_deref().filter(|t| !t.is_empty());
        match (declared, served) {
            (Some(declared), Some(served)) if declared != served => {
                Err(ManifestError::Contradiction { declared: shortened(declared), served: served.to_owned() })
            }
            (Some(known), _) | (None, Some(known)) => Ok(known.to_owned()),
            (None, None) if self.schema_version == Some(1) => {
                Err(ManifestError::Schema1 { media_type: media_type::DOCKER_SCHEMA_1[1] })
            }
            (None, None) if self.manifests.is_some() => Ok(media_type::OCI_INDEX.to_owned()),
            (None, None) if self.config.is_some() => Ok(media_type::OCI_MANIFEST.to_owned()),
            (None, None) => Err(ManifestError::Unknown { what: "a JSON document without mediaType".to_owned() }),
        }
    }

    fn into_content(self, media_type: &str) -> Result<Content, ManifestError> {
        if self.manifests.is_some() && (self.layers.is_some() || self.config.is_some()) {
            return Err(ManifestError::Ambiguous);
        }
        match media_type {
            media_type::OCI_INDEX | media_type::DOCKER_LIST => {
                if self.layers.is_some() || self.config.is_some() {
                    return Err(ManifestError::Ambiguous);
                }
                Ok(Content::Index(Index { manifests: self.manifests.unwrap_or_default() }))
            }
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST if self.manifests.is_some() => {
                Err(ManifestError::Ambiguous)
            }
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST if self.config.is_none() => {
                Err(ManifestError::Json("an image manifest names its `config`".to_owned()))
            }
            media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST => {
                Ok(Content::Image(Image { config: self.config.map(Box::new), layers: self.layers.unwrap_or_default() }))
            }
            media_type::OCI_ARTIFACT => {
                Ok(Content::Image(Image { config: None, layers: self.blobs.unwrap_or_default() }))
            }
            other => Err(match schema_1(other) {
                Some(media_type) => ManifestError::Schema1 { media_type },
                None => ManifestError::Unknown { what: format!("a document of type {:?}", shortened(other)) },
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn parse(json: &str, content_type: Option<&str>) -> Result<Manifest, ManifestError> {
        Manifest::parse(Bytes::copy_from_slice(json.as_bytes()), content_type, None)
    }

    fn image() -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{EMPTY},"layers":[{EMPTY}]}}"#,
            media_type::OCI_MANIFEST
        )
    }

    #[test]
    fn bytes_and_digest_are_kept_as_they_came() {
        let json = image();
        let manifest = parse(&json, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).unwrap();
        assert_eq!(manifest.bytes(), json.as_bytes());
        assert_eq!(*manifest.digest(), Digest::of(json.as_bytes()));
        assert_eq!(manifest.blobs().count(), 2);
    }

    #[test]
    fn an_index_may_list_blobs_beside_documents() {
        let json = format!(
            r#"{{"schemaVersion":2,"manifests":[{EMPTY},{}]}}"#,
            EMPTY.replace("application/vnd.oci.empty.v1+json", media_type::OCI_MANIFEST)
        );
        let index = parse(&json, Some(media_type::OCI_INDEX)).unwrap();
        assert_eq!((index.children().count(), index.blobs().count()), (1, 1));
    }

    #[test]
    fn null_is_an_empty_list() {
        let json = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":null}}"#);
        assert_eq!(parse(&json, None).unwrap().blobs().count(), 1);
    }

    #[test]
    fn foreign_layers_are_no_blobs_of_the_registry() {
        let foreign = EMPTY
            .replace("application/vnd.oci.empty.v1+json", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
        let json = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[{foreign}]}}"#);
        assert_eq!(parse(&json, Some(media_type::DOCKER_MANIFEST)).unwrap().blobs().count(), 1);
    }

    #[test]
    fn schema_1_is_refused_by_type_and_by_content() {
        let [signed, plain] = media_type::DOCKER_SCHEMA_1;
        for (content_type, media_type) in [(Some(signed), signed), (Some("application/json"), plain), (None, plain)] {
            let refused = parse(r#"{"schemaVersion":1,"fsLayers":[]}"#, content_type);
            assert_eq!(refused, Err(ManifestError::Schema1 { media_type }));
        }
        let of_payload = Digest::of(b"what is signed");
        let refused = Manifest::parse(Bytes::from_static(b"{}"), Some(signed), Some(&of_payload));
        assert_eq!(refused, Err(ManifestError::Schema1 { media_type: signed }));
    }

    #[test]
    fn a_document_that_reads_two_ways_is_refused() {
        for content_type in [media_type::OCI_INDEX, media_type::OCI_MANIFEST] {
            let both = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"manifests":[]}}"#);
            assert_eq!(parse(&both, Some(content_type)), Err(ManifestError::Ambiguous));
        }
        assert_eq!(
            parse(r#"{"schemaVersion":2,"manifests":[]}"#, Some(media_type::OCI_MANIFEST)),
            Err(ManifestError::Ambiguous)
        );
    }

    #[test]
    fn a_type_that_contradicts_the_answer_is_refused() {
        let error = parse(&image(), Some(media_type::DOCKER_MANIFEST)).unwrap_err();
        assert!(matches!(error, ManifestError::Contradiction { .. }), "{error}");
    }

    #[test]
    fn a_list_of_what_a_manifests_fields_hold_is_none() {
        let list = format!(r#"[2,"{}",null,null,null,[]]"#, media_type::OCI_INDEX);
        assert_eq!(parse(&list, None), Err(ManifestError::Json("it is a list".to_owned())));
    }

    #[test]
    fn a_type_without_end_is_cut_in_errors() {
        let error = parse(&format!(r#"{{"mediaType":"{}"}}"#, "x".repeat(1 << 20)), None).unwrap_err();
        assert!(error.to_string().len() < 300);
    }

    #[test]
    fn a_web_page_is_named_as_what_it_is() {
        let error = parse("<html>", Some("text/html; charset=utf-8")).unwrap_err();
        assert_eq!(error.to_string(), r#"it is no image manifest or index but a document of type "text/html""#);
    }

    #[test]
    fn too_large_and_wrong_digests_are_refused() {
        let large = Bytes::from(vec![b' '; MAX_MANIFEST_SIZE + 1]);
        assert!(matches!(Manifest::parse(large, None, None), Err(ManifestError::TooLarge { .. })));
        let other = Digest::of(b"other");
        let error = Manifest::parse(Bytes::from(image()), None, Some(&other)).unwrap_err();
        assert!(matches!(error, ManifestError::Digest { .. }));
    }
}
