//! Files that readers see whole: the old one or the new one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Puts a file with these bytes in the place of what is there. If it cannot be done, the old file is there still.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    let written = create(&temporary, mode)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.inspect_err(|_| {
        // What was not begun is not there; the error says more than that.
        let _ = fs::remove_file(&temporary);
    })
}

/// Whether a file could be made beside this one.
pub(super) fn try_out(path: &Path, mode: u32) -> io::Result<()> {
    let temporary = temporary(path);
    create(&temporary, mode).and_then(|_| fs::remove_file(&temporary))
}

/// The folder that a file is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name beside the file, of another one each time, that nobody takes for a file of its kind.
fn temporary(path: &Path) -> PathBuf {
    // Of a name that is as long as names may be, the beginning.
    const SHOWN: usize = 100;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().take(SHOWN).collect();
    folder_of(path).join(format!(".{name}.{:016x}.tmp", RandomState::new().hash_one(())))
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask has taken away.
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}
