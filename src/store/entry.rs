//! One entry's format: the bytes, then a footer of 32 bytes that tells a whole entry from a torn or changed one.
//!
//! ```text
//! magic "npmnixh1" | length of the bytes, u64 little-endian | xxh3-128 of (bytes, digest), little-endian
//! ```
//!
//! The digest in the name was checked when the entry was written; hashing it again at each reading would cost more
//! than all the rest. The checksum is no defence against someone who writes to the store on purpose, only against
//! damage, and takes the digest in so that an entry under another's name is damage too.

use std::fs::{File, FileTimes};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use twox_hash::XxHash3_128;

use super::StoredEntry;
use crate::integrity::ContentId;
use crate::tarball::verified::{IN_MEMORY, Tarball};

/// The footer's length.
pub(super) const FOOTER: usize = 32;
const MAGIC: &[u8; 8] = b"npmnixh1";
/// Entries are marked as used at most this often: pruning needs no finer clock, and a mark is a write.
const MARK_EVERY: Duration = Duration::from_hours(24);

/// Makes a footer while the bytes pass.
pub(super) struct Checksum {
    state: Box<twox_hash::xxhash3_128::Hasher>,
    len: u64,
}

impl Checksum {
    pub(super) fn new() -> Self {
        Self { state: Box::default(), len: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.state.write(bytes);
        self.len += bytes.len() as u64;
    }

    pub(super) fn footer(mut self, id: &ContentId) -> [u8; FOOTER] {
        let len = self.len;
        self.update(id.digest());
        footer(len, self.state.finish_128())
    }
}

fn footer(len: u64, sum: u128) -> [u8; FOOTER] {
    let mut footer = [0; FOOTER];
    footer[..8].copy_from_slice(MAGIC);
    footer[8..16].copy_from_slice(&len.to_le_bytes());
    footer[16..].copy_from_slice(&sum.to_le_bytes());
    footer
}

/// Opens and checks an entry; a large one stays on disk.
///
/// Errors: `InvalidData` if it is damaged, else what the system said.
pub(super) fn load(path: &Path, id: &ContentId) -> io::Result<Tarball> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let len = body_len(metadata.len())?;
    let tarball = if len <= IN_MEMORY as u64 {
        Tarball::checked(*id, read_small(&mut file, len, id)?)
    } else {
        check_large(&mut file, len, id)?;
        Tarball::shelved(*id, len, Arc::new(StoredEntry { path: path.to_owned(), id: *id }))
    };
    mark_used(&file, metadata.modified().ok());
    Ok(tarball)
}

/// A reader of an entry's bytes, checked before the first is handed out.
pub(super) fn open(path: &Path, id: &ContentId) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    let len = body_len(file.metadata()?.len())?;
    if len <= IN_MEMORY as u64 {
        return Ok(Box::new(Cursor::new(read_small(&mut file, len, id)?)));
    }
    check_large(&mut file, len, id)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(Box::new(file.take(len)))
}

fn body_len(file_len: u64) -> io::Result<u64> {
    file_len.checked_sub(FOOTER as u64).ok_or_else(damaged)
}

fn read_small(file: &mut File, len: u64, id: &ContentId) -> io::Result<Bytes> {
    let len = usize::try_from(len).map_err(|_| damaged())?;
    let mut bytes = vec![0; len + FOOTER];
    file.read_exact(&mut bytes).map_err(|_| damaged())?;
    // The digest takes the footer's place behind the bytes, so that one pass hashes both.
    let found: [u8; FOOTER] = bytes[len..].try_into().expect("bug: the footer is what is left");
    bytes.truncate(len);
    bytes.extend_from_slice(id.digest());
    let expected = footer(len as u64, XxHash3_128::oneshot(&bytes));
    bytes.truncate(len);
    if found == expected { Ok(bytes.into()) } else { Err(damaged()) }
}

fn check_large(file: &mut File, len: u64, id: &ContentId) -> io::Result<()> {
    let mut checksum = Checksum::new();
    let mut buffer = vec![0; 256 << 10];
    let mut left = len;
    while left > 0 {
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.read_exact(&mut buffer[..want]).map_err(|_| damaged())?;
        checksum.update(&buffer[..want]);
        left -= want as u64;
    }
    let mut found = [0; FOOTER];
    file.read_exact(&mut found).map_err(|_| damaged())?;
    if found == checksum.footer(id) { Ok(()) } else { Err(damaged()) }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the store's entry is damaged")
}

/// Moves the modification time on, which is what pruning goes by; failing to is no loss.
fn mark_used(file: &File, modified: Option<SystemTime>) {
    let now = SystemTime::now();
    let stale = modified.is_none_or(|then| now.duration_since(then).is_ok_and(|age| age > MARK_EVERY));
    if stale {
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}
