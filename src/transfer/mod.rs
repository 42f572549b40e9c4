//! What is to be where, and bringing it there: select → plan → copy → publish.
//!
//! Start at [`Engine`]: it runs a rule or an import. A [`route`](self) is one source repository and one target
//! repository; everything on it is written against the traits of [`content`](crate::content).

mod batch;
mod bring;
mod context;
mod copy;
mod documents;
mod engine;
mod image;
mod import;
mod knowledge;
mod lanes;
mod plan;
mod publish;
mod route;
mod rule;
mod run;
mod select;
mod tally;
mod work;

pub use engine::{Engine, Limits};
pub use image::Mode;
pub use import::{Import, ImportError};
pub use knowledge::Knowledge;
pub use rule::{Images, Rule};
pub use select::{InvalidPattern, Selection, TagFilter};
