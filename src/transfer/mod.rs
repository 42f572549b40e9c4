//! What is to be where, and bringing it there: select → plan → copy → publish.
//!
//! Start at [`Engine`]: it runs a rule or an import. A [`route`](self) is one source repository and one target
//! repository; everything on it is written against the traits of [`content`](crate::content).

mod batch;
mod bring;
mod context;
mod copy;
mod delivery;
mod documents;
mod engine;
mod expand;
mod image;
mod import;
mod knowledge;
mod lanes;
mod memory;
mod notes;
mod original;
mod plan;
mod platforms;
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
mod tally;

pub use engine::{Engine, Limits};
pub use image::Mode;
pub use import::{Import, ImportError};
pub use knowledge::Knowledge;
pub use platforms::{InvalidChoice, PlatformMode, Platforms};
pub use referrers::{ArtifactTypes, Referrers};
pub use rule::{Appends, RepositoryPattern, Rule, Scope, Source, Target, has_glob};
pub use select::{InvalidPattern, Selection, TagFilter};
