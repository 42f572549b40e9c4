//! An import: one image, resolved once, written to one or more targets.
//!
//! First what is to be where: the source's digest, the names at the targets ([`names`]), and what of the image is wanted
//! ([`extent`]). Then all targets are asked what they have; a conflict ends it here, as a platform that is not there has
//! before. Only then is anything written ([`work`]).

mod extent;
mod names;
mod piped;
mod result;
mod target;
mod work;

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

pub use extent::Extent;
pub use result::ImportResult;
pub use target::{NoTarget, tagged_target, target_or_latest, untagged_target};

use super::choice::ChoiceError;
use super::engine::Engine;
use super::mode::Mode;
use super::referrers::Referrers;
use super::tally::Tally;
use crate::content::{Error, Location};
use crate::events::{self, ImageReport};
use crate::layout::Trust;
use crate::oci::{Digest, Reference};
use crate::registry::Access;
use work::{Leg, Work};

/// One image to bring to some targets.
#[derive(Debug, Clone)]
pub struct Import {
    /// What is read. A tag is resolved once; if it moves meanwhile, that changes nothing.
    pub source: Reference,
    /// What is written: a reference with a tag is tagged, one without is left without a tag.
    pub targets: Vec<Reference>,
    /// Repositories that get every tag that the image has in the source's repository.
    pub all_tags_in: Vec<Location>,
    /// What of the image is wanted.
    pub extent: Extent,
    /// What goes along of what refers to it.
    pub referrers: Referrers,
    /// Whether a target tag that points elsewhere may be moved.
    pub force: bool,
    /// Whether it ends with the plan: the reports say what would be done.
    pub dry_run: bool,
}

impl Import {
    /// All of an image and nothing else, to targets that do not have another one.
    pub fn new(source: Reference, targets: Vec<Reference>) -> Self {
        Self {
            source,
            targets,
            all_tags_in: Vec::new(),
            extent: Extent::Whole,
            referrers: Referrers::None,
            force: false,
            dry_run: false,
        }
    }
}

/// What came of an import.
#[derive(Debug)]
pub struct Imported {
    /// What the source's tag pointed at.
    pub source_digest: Digest,
    /// What was written: another document than the source's, where platforms were chosen.
    pub digest: Digest,
    /// One for each target. Each target's own failure stands in it.
    pub images: Vec<ImageReport>,
}

/// Why an import did not begin. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source could not be resolved, or a target not be asked.
    #[error("{}", .0.with_advice())]
    Content(#[from] Error),
    /// The source does not have the image that is wanted of it.
    #[error("choosing an image of {source_location}: {reason}")]
    Choice {
        /// Where it was looked for.
        source_location: Location,
        /// Why none was chosen.
        reason: Box<ChoiceError>,
    },
    /// All tags are wanted, and there are none.
    #[error("no tag of {location} points at {digest}: leave --all-tags-of out, and name the tag that is to be written")]
    NoTags {
        /// Where they were looked for.
        location: Location,
        /// What they would point at.
        digest: Digest,
    },
    /// Target tags that exist and point elsewhere.
    #[error("{}; nothing was written: use --force to move {}", .0.join("; "), if .0.len() == 1 { "it" } else { "them" })]
    Conflict(Vec<String>),
}

impl Engine {
    /// Brings one image to all targets.
    ///
    /// # Errors
    /// If the source cannot be resolved, or lacks what is wanted of it; if a target cannot be asked, or a target tag
    /// points elsewhere and `force` is not set: then nothing was written anywhere.
    pub async fn import(&self, import: &Import, cancel: &CancellationToken) -> Result<Imported, ImportError> {
        let (mode, access) = if import.dry_run { (Mode::Plan, Access::Pull) } else { (Mode::Execute, Access::Push) };
        let context = self.context(&Arc::from(events::IMPORT), mode, cancel.clone());
        let store = self.source(&(&import.source).into())?;
        let leg = |name: &Reference| {
            let tally = Tally::default();
            let target = self.store(&name.into(), access, Trust::Whole)?.on_behalf_of(&tally.requests, cancel);
            let source = store.on_behalf_of(&tally.requests, cancel);
            Ok(Leg { source, target, tag: name.tag.clone(), tally })
        };
        let source = store.on_behalf_of(&Arc::default(), cancel);
        // By its own name it is a type that the compiler does not see the end of.
        Work { context: &context, import, mode, source: &source }.run(leg).boxed().await
    }
}
