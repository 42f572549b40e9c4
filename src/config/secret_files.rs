//! Files that hold secrets.

use std::path::{Path, PathBuf};

use super::expand::only_variable;
use super::problems::Problems;
use super::values;
use super::written::{Entry, span};

/// A file with a secret in it, which may come later. Not so one whose path is a variable's whole value: where that is the
/// secret itself, by a slip, the path would be shown in every error. So the value is not shown here either. `in_place` says
/// what to do with such a variable.
pub(super) fn secret_file(
    entry: Entry<String>,
    folder: &Path,
    in_place: impl FnOnce(&str) -> String,
    problems: &mut Problems<'_>,
) -> Option<PathBuf> {
    let span = span(entry.as_ref())?;
    let path = folder.join(values::text(entry, problems)?);
    match only_variable(problems.written(&span)) {
        Some(name) if !path.metadata().is_ok_and(|found| !found.is_dir()) => {
            let in_place = in_place(name);
            let reason = format!("the variable {name} does not hold the path of a file that is there: {in_place}");
            problems.add(&span, reason);
            None
        }
        _ => Some(path),
    }
}
