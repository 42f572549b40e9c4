//! The words of the field: references, digests, descriptors, platforms and manifests.
//!
//! Nothing here does I/O. Everything that reaches a URL or a path is parsed into one of these types first, so that a
//! checked grammar stands between what a registry or a user says and what is sent.

mod descriptor;
mod digest;
mod host;
mod list;
mod manifest;
pub mod media_type;
mod names;
mod platform;
mod reference;
mod referrers;
mod size;

/// What holds whatever comes, as tests and fuzzing hold it against any bytes.
#[cfg(any(test, fuzzing))]
pub mod properties {
    pub use super::digest::properties::digest;
    pub use super::manifest::properties::manifest;
    pub use super::reference::properties::reference;
}

pub use descriptor::Descriptor;
pub use digest::{Digest, Hasher, InvalidDigest};
pub use host::{Host, LAYOUT_PREFIX};
pub use list::{ListType, list_json};
pub use manifest::{Content, Image, Index, MAX_MANIFEST_SIZE, Manifest, ManifestError};
pub use names::{InvalidName, Repository, Tag, without_login};
pub use platform::{InvalidPlatform, Platform};
pub(crate) use reference::write_place;
pub use reference::{InvalidReference, Reference, TagOrDigest};
pub use referrers::{Subject, referrers_index, referrers_index_without};
pub use size::Size;
