//! One file that outlives the process: frames, one a line, each with a checksum before it. Frames are added at the end, and
//! now and then the file is written anew. Wherever a process or the machine dies, what is read later is how it was after
//! some frame, and whether that was the last one is known.
//!
//! Everything here blocks.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::oci::Digest;

/// The file, in the directory that it has for itself.
const NAME: &str = "history";
/// What is in it, and of which form.
const FORM: &str = "regferry history";
const VERSION: u32 = 1;
/// How much of a checksum stands before a frame.
const CHECKSUM: usize = 16;
/// What is larger was not written by us: of everything that is kept so much is never needed.
const LARGEST: u64 = 512 << 20;

/// The file, open for more. Nobody else has it open meanwhile.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    length: u64,
    _lock: File,
}

/// What was found in the file.
pub(super) struct Opened<F> {
    pub(super) journal: Journal,
    /// The frames, in their order.
    pub(super) frames: Vec<F>,
    /// Why they are not all that there were.
    pub(super) loss: Option<String>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0} is in use by another regferry")]
    InUse(PathBuf),
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

impl Journal {
    /// Opens the file in a directory, and makes both if they are not there. What is no such file, of another version, or
    /// damaged, is put aside, and an empty one takes its place.
    pub(super) fn open<F: DeserializeOwned>(folder: &Path) -> Result<Opened<F>, Error> {
        let io = |error| Error::Io { path: folder.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let lock = File::open(folder).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => {
                let reason = format!("it cannot be locked, which takes a file system with locks: {error}");
                return Err(io(io::Error::new(error.kind(), reason)));
            }
        }
        let path = folder.join(NAME);
        let opened = Self::open_file(folder, lock, &path);
        opened.map_err(|error| Error::Io { path, error })
    }

    fn open_file<F: DeserializeOwned>(folder: &Path, lock: File, path: &Path) -> io::Result<Opened<F>> {
        let file = match OpenOptions::new().read(true).append(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Opened { journal: Self::begun(folder, lock)?, frames: Vec::new(), loss: None });
            }
            Err(error) => return Err(error),
        };
        let (aside, why) = match read(&file, file.metadata()?.len())? {
            Found::Frames { frames, whole, is_cut } => {
                let loss = is_cut
                    .then(|| format!("the end of {} was lost in a crash: what is before it holds", path.display()));
                if is_cut {
                    file.set_len(whole)?;
                }
                let journal = Self { folder: folder.to_owned(), file, length: whole, _lock: lock };
                return Ok(Opened { journal, frames, loss });
            }
            Found::OtherVersion(version) => ("other-version", format!("is of version {version}, not {VERSION}")),
            Found::Damaged => ("damaged", "is damaged".to_owned()),
        };
        let aside = folder.join(format!("{NAME}.{aside}"));
        fs::rename(path, &aside)?;
        let loss = format!("{} {why}: it was put aside as {}, and begun anew", path.display(), aside.display());
        Ok(Opened { journal: Self::begun(folder, lock)?, frames: Vec::new(), loss: Some(loss) })
    }

    fn begun(folder: &Path, lock: File) -> io::Result<Self> {
        let (file, length) = written::<()>(folder, std::iter::empty())?;
        Ok(Self { folder: folder.to_owned(), file, length, _lock: lock })
    }

    /// How long the file is, in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds a frame. It is on the disk when this returns; after an error the file is as before.
    pub(super) fn add(&mut self, frame: &impl Serialize) -> io::Result<()> {
        let line = line(frame)?;
        let added = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        match added {
            Ok(()) => self.length += line.len() as u64,
            // Half a frame would be taken for a crash's, which is as good.
            Err(_) => drop(self.file.set_len(self.length)),
        }
        added
    }

    /// The same, for who opens it.
    pub(super) fn tell(&mut self, frame: &impl Serialize) -> Result<(), Error> {
        self.add(frame).map_err(|error| Error::Io { path: self.folder.join(NAME), error })
    }

    /// Writes the file anew, with these frames alone. After an error it is as before.
    pub(super) fn replace<F: Serialize>(&mut self, frames: impl Iterator<Item = F>) -> io::Result<()> {
        (self.file, self.length) = written(&self.folder, frames)?;
        Ok(())
    }

    /// From now on nothing can be added.
    #[cfg(test)]
    pub(super) fn fill_disk(&mut self) {
        self.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
    }

    /// Removes the file, since what is in it holds no longer and nothing can be added.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(self.folder.join(NAME))
    }
}

/// What a file has in it.
enum Found<F> {
    Frames {
        frames: Vec<F>,
        /// How long the part is that is whole.
        whole: u64,
        /// Whether there is more behind it: half a frame.
        is_cut: bool,
    },
    OtherVersion(u32),
    Damaged,
}

fn read<F: DeserializeOwned>(file: impl io::Read, length: u64) -> io::Result<Found<F>> {
    let mut reader = BufReader::new(file.take(LARGEST));
    let (mut line, mut frames, mut whole) = (Vec::new(), Vec::new(), 0);
    reader.read_until(b'\n', &mut line)?;
    match version(&line) {
        Some(VERSION) if length <= LARGEST => {}
        Some(VERSION) | None => return Ok(Found::Damaged),
        Some(other) => return Ok(Found::OtherVersion(other)),
    }
    loop {
        whole += line.len() as u64;
        line.clear();
        reader.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\n") {
            Some(line) => match frame(line) {
                Some(frame) => frames.push(frame),
                None => return Ok(Found::Damaged),
            },
            None => return Ok(Found::Frames { frames, whole, is_cut: !line.is_empty() }),
        }
    }
}

fn version(line: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    text.strip_prefix(FORM)?.strip_prefix(' ')?.parse().ok()
}

fn frame<F: DeserializeOwned>(line: &[u8]) -> Option<F> {
    let (sum, text) = line.split_at_checked(CHECKSUM)?;
    let text = text.strip_prefix(b" ").filter(|text| checksum(text).as_bytes() == sum)?;
    serde_json::from_slice(text).ok()
}

fn line(frame: &impl Serialize) -> io::Result<Vec<u8>> {
    // JSON has no line breaks in it.
    let text = serde_json::to_vec(frame)?;
    let mut line = checksum(&text).into_bytes();
    line.push(b' ');
    line.extend(text);
    line.push(b'\n');
    Ok(line)
}

fn checksum(text: &[u8]) -> String {
    Digest::of(text).hex().chars().take(CHECKSUM).collect()
}

/// Writes a file beside the one that there is, which it replaces when all of it is on the disk.
fn written<F: Serialize>(folder: &Path, frames: impl Iterator<Item = F>) -> io::Result<(File, u64)> {
    let draft = folder.join(format!("{NAME}.new"));
    // What a crash has left of one is of no use.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&draft)?;
    let named = write_all(&mut file, frames).and_then(|length| {
        file.sync_all()?;
        fs::rename(&draft, folder.join(NAME))?;
        File::open(folder)?.sync_all()?;
        Ok(length)
    });
    match named {
        Ok(length) => Ok((file, length)),
        Err(error) => {
            drop(fs::remove_file(&draft));
            Err(error)
        }
    }
}

fn write_all<F: Serialize>(file: &mut File, frames: impl Iterator<Item = F>) -> io::Result<u64> {
    let head = format!("{FORM} {VERSION}\n");
    file.write_all(head.as_bytes())?;
    let mut length = head.len() as u64;
    for frame in frames {
        let line = line(&frame)?;
        file.write_all(&line)?;
        length += line.len() as u64;
    }
    Ok(length)
}

/// What holds whatever comes.
#[cfg(any(test, fuzzing))]
pub(super) mod properties {
    use super::*;

    /// What is read of any bytes is no longer than they are.
    pub(in super::super) fn is_read(data: &[u8]) {
        let found = read::<serde_json::Value>(data, data.len() as u64);
        if let Ok(Found::Frames { whole, .. }) = found {
            assert!(whole <= data.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &Path) -> Opened<String> {
        Journal::open(folder).unwrap()
    }

    fn texts(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("frame {number}")).collect()
    }

    /// The bytes of a file with some frames.
    fn file_with(count: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = open(folder.path());
        texts(count).iter().for_each(|text| opened.journal.add(text).unwrap());
        fs::read(folder.path().join(NAME)).unwrap()
    }

    fn open_bytes(bytes: &[u8]) -> (tempfile::TempDir, Opened<String>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), bytes).unwrap();
        let opened = open(folder.path());
        (folder, opened)
    }

    #[test]
    fn what_is_added_is_there_the_next_time_and_what_is_replaced_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("state/regferry");
        let mut opened = open(&folder);
        assert!(opened.frames.is_empty() && opened.loss.is_none());
        texts(2).iter().for_each(|text| opened.journal.add(text).unwrap());
        let length = opened.journal.length();
        drop(opened);

        let mut again = open(&folder);
        assert_eq!((again.frames, again.journal.length(), again.loss), (texts(2), length, None));
        again.journal.replace(["other"].iter()).unwrap();
        again.journal.add(&"more").unwrap();
        drop(again.journal);
        assert_eq!(open(&folder).frames, ["other", "more"]);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn only_one_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path());
        let second = Journal::open::<String>(folder.path());
        assert!(matches!(second, Err(Error::InUse(_))));
        drop(first);
        open(folder.path());
    }

    #[test]
    fn a_file_that_is_cut_anywhere_has_the_frames_before_or_is_put_aside() {
        let whole = file_with(3);
        let head = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for length in 0..whole.len() {
            let (folder, mut opened) = open_bytes(&whole[..length]);
            let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(opened.frames, texts(lines.saturating_sub(1)), "{length}");
            let is_at_a_frames_end = whole[..length].ends_with(b"\n");
            assert_eq!(opened.loss.is_none(), is_at_a_frames_end, "{length}");
            assert_eq!(folder.path().join("history.damaged").exists(), length < head);
            // It is as good as any other then.
            opened.journal.add(&"more").unwrap();
            drop(opened);
            assert_eq!(open(folder.path()).frames.last().unwrap(), "more");
        }
    }

    #[test]
    fn no_bit_that_flips_makes_another_frame_of_one() {
        let whole = file_with(3);
        for place in (0..whole.len() * 8).step_by(5) {
            let mut bytes = whole.clone();
            bytes[place / 8] ^= 1 << (place % 8);
            let (_folder, opened) = open_bytes(&bytes);
            assert!(opened.loss.is_some(), "{place}");
            assert!(texts(3).starts_with(&opened.frames), "{place}: {:?}", opened.frames);
        }
    }

    #[test]
    fn what_is_of_another_version_is_put_aside_under_a_name_that_says_so() {
        for (text, aside) in [
            ("regferry history 2\nwhatever", "history.other-version"),
            ("regferry history 0\n", "history.other-version"),
            ("no such file\n", "history.damaged"),
            ("\0\u{1}\u{2}", "history.damaged"),
        ] {
            let (folder, opened) = open_bytes(text.as_bytes());
            assert!(opened.frames.is_empty());
            let kept = folder.path().join(aside);
            assert!(opened.loss.unwrap().contains(kept.to_str().unwrap()), "{text}");
            assert_eq!(fs::read_to_string(kept).unwrap(), text);
        }
    }

    #[test]
    fn a_file_where_a_directory_belongs_and_a_directory_where_the_file_does_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Journal::open::<String>(&file), Err(Error::Io { .. })));
        fs::create_dir_all(folder.path().join("state").join(NAME)).unwrap();
        assert!(matches!(Journal::open::<String>(&folder.path().join("state")), Err(Error::Io { .. })));
    }

    #[test]
    fn what_a_crash_has_left_of_a_new_file_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("history.new"), "regferry hist").unwrap();
        let mut opened = open(folder.path());
        opened.journal.add(&"one").unwrap();
        drop(opened);
        assert_eq!(open(folder.path()).frames, ["one"]);
    }
}
