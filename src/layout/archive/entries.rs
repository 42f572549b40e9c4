//! The entries of a tar that may come from anyone. Only plain files are taken; what else may stand in a tar, links first
//! of all, is refused.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use tar::{EntryType, Header, PaxExtensions};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::BLOCK;
use crate::content::Cause;

/// What an entry says beside its header (a long name, say) is not longer than this.
const MOST_SAID: u64 = 64 << 10;
/// So many bytes are read at once.
const PIECE: usize = 256 << 10;

/// A tar, read from its beginning to its end.
pub(super) struct Entries<R> {
    reader: R,
    /// Of the entry that is being read.
    left: u64,
    padding: u64,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Relative, without `.` and `..`.
    pub(super) path: String,
    pub(super) size: u64,
}

/// What extra entries say of the one after them.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: AsyncRead + Unpin> Entries<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, left: 0, padding: 0 }
    }

    /// The next file; what is left of the one before is passed over. `None` at the end, when the reader has nothing more
    /// either.
    pub(super) async fn next(&mut self) -> Result<Option<File>, Cause> {
        self.pass_over().await?;
        let mut said = Said::default();
        loop {
            let Some(block) = self.block().await? else { return Ok(None) };
            let header = Header::from_byte_slice(&block);
            let size = size_of(header, &block)?;
            let path = said.path.take().map_or_else(|| header.path_bytes(), Cow::Owned);
            match header.entry_type() {
                EntryType::XHeader => said.note_pax(&self.said(size).await?)?,
                EntryType::XGlobalHeader => drop(self.said(size).await?),
                EntryType::GNULongName => {
                    let name = self.said(size).await?;
                    said.path = Some(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec());
                }
                EntryType::Directory => self.open(said.size.take().unwrap_or(size)),
                EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => {
                    self.open(said.size.take().unwrap_or(size));
                }
                EntryType::Regular | EntryType::Continuous => {
                    let size = said.size.unwrap_or(size);
                    self.open(size);
                    return Ok(Some(File { path: relative(&path)?, size }));
                }
                other => {
                    let path = String::from_utf8_lossy(&path).escape_debug().take(100).collect::<String>();
                    let reason = format!("its entry {path:?} is no file but {}", kind(other));
                    return Err(Cause::Layout(reason));
                }
            }
            self.pass_over().await?;
        }
    }

    /// The next bytes of the file; `None` at its end.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Cause> {
        if self.left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let mut piece = BytesMut::with_capacity(most);
        let read = (&mut self.reader).take(most as u64).read_buf(&mut piece).await.map_err(|error| broken(&error))?;
        if read == 0 {
            return Err(cut_off());
        }
        self.left -= read as u64;
        Ok(Some(piece.freeze()))
    }

    /// All bytes of the file.
    pub(super) async fn whole(&mut self) -> Result<Bytes, Cause> {
        let mut whole = BytesMut::new();
        while let Some(piece) = self.piece().await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    async fn pass_over(&mut self) -> Result<(), Cause> {
        while self.piece().await?.is_some() {}
        self.left = std::mem::take(&mut self.padding);
        while self.piece().await?.is_some() {}
        Ok(())
    }

    fn open(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    /// What an extra entry says.
    async fn said(&mut self, size: u64) -> Result<Bytes, Cause> {
        if size > MOST_SAID {
            return Err(Cause::Layout(format!("its header of an entry is longer than {MOST_SAID} bytes")));
        }
        self.open(size);
        self.whole().await
    }

    /// The next header; `None` at the end. What comes after that is read, since its writer waits for a reader.
    async fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Cause> {
        let (mut block, mut filled) = ([0; BLOCK], 0);
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..]).await.map_err(|error| broken(&error))? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(cut_off()),
                read => filled += read,
            }
        }
        if block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        tokio::io::copy(&mut self.reader, &mut tokio::io::sink()).await.map_err(|error| broken(&error))?;
        Ok(None)
    }
}

impl Said {
    fn note_pax(&mut self, records: &[u8]) -> Result<(), Cause> {
        let unreadable = || Cause::Layout("its extended header cannot be read".to_owned());
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|_| unreadable())?;
            match record.key().map_err(|_| unreadable())? {
                "path" => self.path = Some(record.value_bytes().to_vec()),
                "size" => {
                    self.size = Some(record.value().ok().and_then(|size| size.parse().ok()).ok_or_else(unreadable)?);
                }
                key if key.starts_with("GNU.sparse.") => {
                    return Err(Cause::Layout("it has a sparse file, which an image layout has none of".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn size_of(header: &Header, block: &[u8; BLOCK]) -> Result<u64, Cause> {
    let no_tar =
        || Cause::Layout("what comes is no tar: pipe an image layout in, as `copy REF -` writes it".to_owned());
    // The sum counts its own field as spaces. Source: POSIX, pax, "ustar Interchange Format".
    let sum: u32 = block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
    if header.cksum().ok() != Some(sum) {
        return Err(no_tar());
    }
    header.entry_size().map_err(|_| no_tar())
}

fn relative(path: &[u8]) -> Result<String, Cause> {
    let refused = |path: &str, why: &str| {
        let path = path.escape_debug().take(100).collect::<String>();
        Err(Cause::Layout(format!("its entry {path:?} {why}")))
    };
    let Ok(path) = str::from_utf8(path) else {
        return refused(&String::from_utf8_lossy(path), "has no name that can be read");
    };
    if path.starts_with('/') {
        return refused(path, "is absolute");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refused(path, "leads out of the layout");
    }
    Ok(parts.join("/"))
}

fn kind(of: EntryType) -> &'static str {
    match of {
        EntryType::Symlink | EntryType::Link => "a link",
        EntryType::GNUSparse => "a sparse file",
        EntryType::Fifo | EntryType::Char | EntryType::Block => "a pipe or a device",
        _ => "something else",
    }
}

fn cut_off() -> Cause {
    Cause::Layout("it ends in the middle: what writes it has failed".to_owned())
}

fn broken(error: &std::io::Error) -> Cause {
    Cause::Layout(format!("it cannot be read: {error}"))
}
