//! Files of a layout: opened with suspicion, and changed one step at a time.

#[cfg(test)]
pub(super) mod faults;

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::content::Cause;

/// What the names of files begin with that are not whole yet.
const UNFINISHED: &str = ".regferry-";
/// A name that another process gives its file too is passed over, so often.
const MOST_NAMES: usize = 1000;

/// Tells the files apart that one process writes at once.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Whoever changes files does it through this. Tests let it fail from a step on, as a crash would.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk {
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<faults::Faults>,
}

impl Disk {
    /// Makes a folder below one that is there; one that is there is as good.
    pub(super) fn create_folder(&self, path: &Path) -> Result<(), Cause> {
        let made = self.step(|| match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        });
        made.map_err(|error| at(path, &error))
    }

    /// Makes a folder, and those above it.
    pub(super) fn create_folders(&self, path: &Path) -> Result<(), Cause> {
        self.step(|| fs::create_dir_all(path)).map_err(|error| at(path, &error))
    }

    /// Sees to it that the names in a folder outlive a loss of power.
    pub(super) fn sync_folder(&self, path: &Path) -> Result<(), Cause> {
        let synced = self.step(|| File::open(path)?.sync_all());
        #[cfg(test)]
        self.faults.note(faults::Step::SyncedFolder(path.to_owned()));
        synced.map_err(|error| at(path, &error))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests count the steps in it")]
    fn step<T>(&self, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        step()
    }

    #[cfg(test)]
    fn step<T>(&self, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.faults.take()?;
        step()
    }
}

/// A file that gets its name when it is whole. Dropped before that, it is removed. As long as it is locked, somebody is
/// writing it: what a crash leaves behind is not.
#[derive(Debug)]
pub(super) struct Unfinished {
    disk: Disk,
    path: PathBuf,
    file: File,
    is_named: bool,
}

impl Unfinished {
    /// Begins a file in a folder.
    pub(super) fn in_folder(disk: &Disk, folder: &Path) -> Result<Self, Cause> {
        for _ in 0..MOST_NAMES {
            let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
            match disk.step(|| File::create_new(&path)) {
                // Between its making and its locking another may have taken it for a crash's, and removed it.
                Ok(file) if file.try_lock().is_ok() && is_still(&path, &file) => {
                    return Ok(Self { disk: disk.clone(), path, file, is_named: false });
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&path, &error)),
            }
        }
        Err(Cause::Layout(format!("{}: no new file could be locked there", folder.display())))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let Self { disk, file, path, .. } = self;
        disk.step(|| file.write_all(bytes)).map_err(|error| at(path, &error))
    }

    /// Gives it its name, when all of it is on the disk. What has the name already is replaced.
    pub(super) fn name(mut self, path: &Path) -> Result<(), Cause> {
        self.disk.step(|| self.file.sync_all()).map_err(|error| at(&self.path, &error))?;
        #[cfg(test)]
        self.disk.faults.note(faults::Step::Synced(self.path.clone()));
        self.disk.step(|| fs::rename(&self.path, path)).map_err(|error| at(path, &error))?;
        #[cfg(test)]
        self.disk.faults.note(faults::Step::Renamed(self.path.clone(), path.to_owned()));
        self.is_named = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_named {
            // There is nobody left to tell.
            let _ = self.disk.step(|| fs::remove_file(&self.path));
        }
    }
}

/// Removes files that were begun and that nobody writes any more.
pub(super) fn remove_leftovers(disk: &Disk, folder: &Path) -> Result<(), Cause> {
    for entry in fs::read_dir(folder).map_err(|error| at(folder, &error))? {
        let entry = entry.map_err(|error| at(folder, &error))?;
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        // What cannot be opened, or is gone meanwhile, is not in the way either.
        if let Ok(Some((file, _))) = open(&entry.path())
            && file.try_lock().is_ok()
        {
            disk.step(|| fs::remove_file(entry.path())).map_err(|error| at(&entry.path(), &error))?;
        }
    }
    Ok(())
}

/// Opens a file that is one, and tells its size; `None` if there is none.
///
/// # Errors
/// If it is a link, which may lead out of the layout, or anything else but a file.
pub(super) fn open(path: &Path) -> Result<Option<(File, u64)>, Cause> {
    let no_file = |what: &str| Err(Cause::Layout(format!("{} is {what} in place of a file", path.display())));
    match look(path)? {
        None => return Ok(None),
        Some(seen) if seen.is_dir() => return no_file("a directory"),
        Some(seen) if !seen.is_file() => return no_file("a device, pipe or socket"),
        Some(_) => {}
    }
    // What is there by now may be something else: no link is followed, and no pipe waited for.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| at(path, &error))?,
    };
    let opened = file.metadata().map_err(|error| at(path, &error))?;
    if opened.is_file() { Ok(Some((file, opened.len()))) } else { no_file("something else") }
}

/// Reads a file as a whole, up to `limit` bytes.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Bytes>, Cause> {
    let Some((file, _)) = open(path)? else { return Ok(None) };
    let (mut bytes, most) = (Vec::new(), limit as u64 + 1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| at(path, &error))?;
    if bytes.len() > limit {
        return Err(Cause::Layout(format!("{} is larger than {limit} bytes", path.display())));
    }
    Ok(Some(bytes.into()))
}

/// Whether a folder is there.
///
/// # Errors
/// If it is a link, or anything else.
pub(super) fn has_folder(path: &Path) -> Result<bool, Cause> {
    match look(path)? {
        Some(seen) if !seen.is_dir() => Err(Cause::Layout(format!("{} is no directory", path.display()))),
        seen => Ok(seen.is_some()),
    }
}

/// Whether a folder is not there, or has nothing in it but files that were begun and never finished.
pub(super) fn is_empty(path: &Path) -> Result<bool, Cause> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        entries => entries.map_err(|error| at(path, &error))?,
    };
    for entry in entries {
        let name = entry.map_err(|error| at(path, &error))?.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Locks a directory, if nobody has locked it: advisory, and among processes too.
pub(super) fn try_lock(path: &Path) -> Result<Option<File>, Cause> {
    let directory = File::open(path).map_err(|error| at(path, &error))?;
    match directory.try_lock() {
        Ok(()) => Ok(Some(directory)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Cause::Layout(format!(
            "{} cannot be locked, which takes a file system with locks: {error}",
            path.display()
        ))),
    }
}

fn look(path: &Path) -> Result<Option<Metadata>, Cause> {
    match fs::symlink_metadata(path) {
        Ok(seen) if seen.is_symlink() => Err(Cause::Layout(format!(
            "{} is a symbolic link, which may lead out of the layout: put what it leads to in its place",
            path.display()
        ))),
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, &error)),
    }
}

fn is_still(path: &Path, file: &File) -> bool {
    let same = |seen: Metadata, opened: Metadata| (seen.dev(), seen.ino()) == (opened.dev(), opened.ino());
    fs::symlink_metadata(path).ok().zip(file.metadata().ok()).is_some_and(|(seen, opened)| same(seen, opened))
}

pub(super) fn at(path: &Path, error: &io::Error) -> Cause {
    let advice = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": make room there; what is listed is as it was",
        _ => "",
    };
    Cause::Layout(format!("{}: {error}{advice}", path.display()))
}
