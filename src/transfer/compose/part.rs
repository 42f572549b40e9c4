//! One entry of a list that is being composed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::content::Location;
use crate::oci::{Descriptor, Digest, Platform, Reference};
use crate::transfer::platforms::attested;

/// An entry, and where its content lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What was named: this image, or a list that has it.
    #[serde(rename = "ref")]
    pub named: Reference,
    /// What the list says of it.
    #[serde(flatten)]
    pub descriptor: Descriptor,
}

impl Part {
    /// The repository that has it.
    pub fn location(&self) -> Location {
        Location::from(&self.named)
    }

    /// Its name, which does not move, with the tag that was named.
    pub fn reference(&self) -> Reference {
        Reference { digest: Some(self.descriptor.digest.clone()), ..self.named.clone() }
    }

    /// The machine that it is for: none for attestations and artifacts.
    pub fn machine(&self) -> Option<&Platform> {
        self.descriptor.platform.as_ref().filter(|platform| !platform.is_unknown())
    }

    pub(super) fn machine_name(&self) -> String {
        self.machine().map(ToString::to_string).unwrap_or_default()
    }

    /// Whether it is an image whose platform nobody has said: neither its config nor a user.
    pub(super) fn lacks_platform(&self) -> bool {
        self.descriptor.platform.as_ref().is_some_and(|named| named.os.is_empty() || named.architecture.is_empty())
    }

    /// Whether a list may hold one of both only.
    pub(super) fn is_for_same_machine(&self, other: &Self) -> bool {
        self.machine().zip(other.machine()).is_some_and(|(one, other)| one.is_same_as(other))
    }

    /// Whether it is an attestation of this image.
    pub(super) fn attests(&self, image: &Digest) -> bool {
        attested(&self.descriptor).is_some_and(|attested| attested == *image)
    }
}

/// `registry.example/app:1.4-arm64@sha256:ab12… (linux/arm64)`
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reference().fmt(f)?;
        match self.machine() {
            Some(platform) => write!(f, " ({platform})"),
            None => Ok(()),
        }
    }
}
