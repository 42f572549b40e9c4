//! `[transfer]`: limits over all rules together.

use super::keys::{Table, section};
use super::problems::Problems;
use super::raw;
use super::values;
use super::written::Entry;
use crate::transfer::Limits;

pub(super) fn limits(entry: Entry<Table<raw::Transfer>>, problems: &mut Problems<'_>) -> Limits {
    let (raw, default) = (section(entry, problems), Limits::default());
    Limits {
        max_images: values::count(raw.max_images, problems).unwrap_or(default.max_images),
        max_blobs: values::count(raw.max_blobs, problems).unwrap_or(default.max_blobs),
    }
}
