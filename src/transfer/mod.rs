//! What is to be where, and bringing it there: select → plan → copy → publish.
//!
//! Start at [`Engine`]: it runs a rule or an import. A [`route`](self) is one source repository and one target
//! repository; everything on it is written against the traits of [`content`](crate::content).

mod abreast;
mod batch;
mod bring;
mod choice;
mod compare;
mod compose;
mod config;
mod context;
mod copy;
mod crew;
mod damage;
mod delete;
mod delivered;
mod delivery;
mod documents;
mod done;
mod engine;
mod expand;
mod fingerprint;
mod hearsay;
mod image;
mod import;
mod inventory;
mod job;
mod knowledge;
mod lanes;
mod listed;
mod listings;
mod memory;
mod mend;
mod mode;
mod moves;
mod notes;
mod once;
mod original;
mod places;
mod plan;
mod platforms;
mod progress;
mod prune;
mod publish;
mod pushed;
mod referrers;
mod relay;
mod route;
mod rule;
mod run;
mod select;
mod shape;
mod shares;
mod stock;
mod store;
mod supply;
mod survey;
mod tagged;
mod tally;
mod together;
mod verify;

pub use choice::{ChoiceError, image_for, only_image};
pub use compose::{Composer, Composition, Contents, NotComposed, Part};
pub use config::{read_config, read_image_config};
pub use crew::{
    AtTarget, Brought, Crew, Document, ForeignTask, Hangs, Parked, Sight, Sighting, Task, TaskTarget, Worked,
};
pub use delete::{Removal, RemovalError, Removed};
pub use engine::{Engine, Limits};
pub use hearsay::{BlobPlace, Hearsay};
pub use import::{
    Extent, Import, ImportError, ImportResult, Imported, NoTarget, tagged_target, target_or_latest, untagged_target,
};
pub use inventory::{Catalogue, Entry, Order, Reached};
pub use knowledge::Knowledge;
pub use listings::Listings;
pub use mode::Mode;
pub use moves::{Movable, Moves};
pub use places::{Appends, RepositoryPattern, Source, Target, has_glob};
pub use platforms::{InvalidChoice, PlatformMode, Platforms, is_own_annotation};
pub use pushed::{Arrived, Pushed, Sender, concerned};
pub use referrers::{ArtifactTypes, LeftOut, Referrer, ReferrerTrees, Referrers, referrers_of};
pub use rule::{Kept, Neighbour, Prune, Rule, Scope};
pub use select::{
    InvalidPattern, InvalidRange, Pattern, Selection, Stage, StageKind, TagFilter, Unmatched, VersionRange,
};
pub use store::Store;
pub use survey::{Found, Side, Survey, SurveyedCatalog, SurveyedRegistry, SurveyedRepository};
pub use verify::Depth;
