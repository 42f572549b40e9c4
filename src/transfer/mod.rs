//! What is to be where, and bringing it there: select → plan → copy → publish.
//!
//! Start at [`Engine`]: it runs a rule or an import. A [`route`](self) is one source repository and one target
//! repository; everything on it is written against the traits of [`content`](crate::content).

mod batch;
mod bring;
mod context;
mod copy;
mod damage;
mod delivery;
mod documents;
mod engine;
mod expand;
mod image;
mod import;
mod knowledge;
mod lanes;
mod listed;
mod listings;
mod memory;
mod mend;
mod notes;
mod once;
mod original;
mod plan;
mod platforms;
mod prune;
mod publish;
mod referrers;
mod relay;
mod route;
mod rule;
mod run;
mod select;
mod shape;
mod shares;
mod stock;
mod supply;
mod survey;
mod tally;
mod verify;

pub use engine::{Engine, Limits};
pub use image::Mode;
pub use import::{Import, ImportError};
pub use knowledge::Knowledge;
pub use listings::Listings;
pub use platforms::{InvalidChoice, PlatformMode, Platforms};
pub use prune::{Neighbour, Prune};
pub use referrers::{ArtifactTypes, Referrers};
pub use rule::{Appends, RepositoryPattern, Rule, Scope, Source, Target, has_glob};
pub use select::{
    InvalidPattern, InvalidRange, Pattern, Selection, Stage, StageKind, TagFilter, Unmatched, VersionRange,
};
pub use survey::{Found, Side, Survey, SurveyedCatalog, SurveyedRegistry, SurveyedRepository};
pub use verify::Depth;
