//! Lists that are composed of images that stand elsewhere: what `docker manifest` and `docker buildx imagetools create`
//! do.
//!
//! [`Composition`] is the list in the making, and pure; [`Composer`] reads what goes into it, and brings it to where it
//! belongs. A list that a rule keeps composed ([`keep`]) is made anew when one of its sources points elsewhere.

mod composition;
mod keep;
mod mark;
mod part;
mod push;
mod read;
mod revision;

pub use composition::{Composition, NotComposed};
pub use part::Part;
pub use push::Composer;
pub use read::Contents;
