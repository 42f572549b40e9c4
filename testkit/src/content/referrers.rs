//! What refers to a document: signatures, SBOMs and the like, each with the document as its `subject`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Descriptor, Document, json, media_type};

/// How a list of referrers names one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<BTreeMap<String, String>>,
}

// The fields of a document that say what it is about.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// The digest of the document that this one refers to.
    #[must_use]
    pub fn subject(&self) -> Option<String> {
        self.about().subject.map(|subject| subject.digest)
    }

    /// The index of these documents as referrers: what the referrers API answers, and what stands under the subject's
    /// tag where there is no such API.
    #[must_use]
    pub fn referrers<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Document {
        let manifests: Vec<_> = documents.into_iter().map(Document::as_referrer).collect();
        let list = json::List { schema_version: 2, media_type: media_type::OCI_INDEX, manifests };
        Document { media_type: media_type::OCI_INDEX.to_owned(), bytes: json::render(&list) }
    }

    /// The distribution spec, "Listing Referrers": where an image says no type, its config's counts.
    pub(crate) fn as_referrer(&self) -> Referrer {
        let about = self.about();
        let own = about.artifact_type.filter(|own| !own.is_empty());
        Referrer {
            media_type: self.media_type.clone(),
            digest: self.digest(),
            size: self.bytes.len() as u64,
            artifact_type: own.or(about.config.map(|config| config.media_type)),
            annotations: about.annotations,
        }
    }

    fn about(&self) -> About {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}
