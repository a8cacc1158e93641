//! One entry's format: the bytes, then a footer of 32 bytes that tells a whole entry from a torn or changed one.
//!
//! ```text
//! magic "npmnixh1" | length of the bytes, u64 little-endian | xxh3-128 of (bytes, digest), little-endian
//! ```
//!
//! The digest in the name was checked when the entry was written; hashing it again at each reading would cost more
//! than all the rest. The checksum is not a defence against someone who writes to the store on purpose, only against
//! damage, and takes the digest in so that an entry under another's name is damage too.

use std::fs::{File, FileTimes};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::checking::{Check, Checking, damage};
use super::{Store, StoredEntry};
use crate::integrity::ContentId;
use crate::verified::{IN_MEMORY, Tarball};

/// The footer's length.
pub(super) const FOOTER: usize = 32;
const MAGIC: &[u8; 8] = b"npmnixh1";
/// Entries are marked as used at most this often: pruning needs no finer clock, and a mark is a write.
const MARK_EVERY: Duration = Duration::from_hours(24);

/// Sums up bytes while they pass.
pub(super) struct Checksum {
    state: Box<twox_hash::xxhash3_128::Hasher>,
    len: u64,
}

impl Checksum {
    pub(super) fn new() -> Self {
        Self { state: Box::default(), len: 0 }
    }

    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut checksum = Self::new();
        checksum.update(bytes);
        checksum
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.state.write(bytes);
        self.len += bytes.len() as u64;
    }

    /// Bytes so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The sum of the bytes and the digest.
    pub(super) fn sum(mut self, id: &ContentId) -> u128 {
        self.state.write(id.digest());
        self.state.finish_128()
    }

    pub(super) fn footer(self, id: &ContentId) -> [u8; FOOTER] {
        footer(self.len, self.sum(id))
    }
}

fn footer(len: u64, sum: u128) -> [u8; FOOTER] {
    let mut footer = [0; FOOTER];
    footer[..8].copy_from_slice(MAGIC);
    footer[8..16].copy_from_slice(&len.to_le_bytes());
    footer[16..].copy_from_slice(&sum.to_le_bytes());
    footer
}

/// Opens an entry. A small one is checked; of a large one, which stays on disk, only the footer's form is, and the rest
/// while it is read.
///
/// # Errors
/// `InvalidData` if it is damaged, else what the system said.
pub(super) fn load(path: &Path, id: &ContentId, store: &Store) -> io::Result<Tarball> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let len = body_len(metadata.len())?;
    let tarball = if len <= IN_MEMORY as u64 {
        Tarball::checked(*id, read_small(&mut file, len, id)?)
    } else {
        read_footer(&mut file, len)?;
        Tarball::on_disk(*id, len, Arc::new(StoredEntry { store: store.clone(), id: *id, len }))
    };
    mark_used(&file, metadata.modified().ok());
    Ok(tarball)
}

/// A reader of an entry's bytes, which are checked on the way if there are many of them, and before if there are few.
///
/// # Errors
/// As for [`load`]; damage that only reading shows is an error of the reader, and told to `damaged`.
pub(super) fn open(
    path: &Path,
    id: &ContentId,
    len: u64,
    damaged: impl FnMut() + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = File::open(path)?;
    if body_len(reader.metadata()?.len())? != len {
        return Err(damage());
    }
    if len <= IN_MEMORY as u64 {
        return Ok(Box::new(Cursor::new(read_small(&mut reader, len, id)?)));
    }
    let check = Sum { found: read_footer(&mut reader, len)?, checksum: Checksum::new(), id: *id };
    reader.seek(SeekFrom::Start(0))?;
    Ok(Box::new(Checking::new(reader, len, check, damaged)))
}

/// Compares with the footer that was found.
struct Sum {
    found: [u8; FOOTER],
    checksum: Checksum,
    id: ContentId,
}

impl Check for Sum {
    fn update(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
    }

    fn approves(self) -> bool {
        self.checksum.footer(&self.id) == self.found
    }
}

fn body_len(file_len: u64) -> io::Result<u64> {
    file_len.checked_sub(FOOTER as u64).ok_or_else(damage)
}

fn read_small(file: &mut File, len: u64, id: &ContentId) -> io::Result<Bytes> {
    let len = usize::try_from(len).map_err(|_| damage())?;
    let mut bytes = vec![0; len + FOOTER];
    file.read_exact(&mut bytes).map_err(|_| damage())?;
    let found: [u8; FOOTER] = bytes[len..].try_into().expect("bug: the footer is what is left");
    bytes.truncate(len);
    if found == Checksum::of(&bytes).footer(id) { Ok(bytes.into()) } else { Err(damage()) }
}

/// The footer, if its form is right.
fn read_footer(file: &mut File, len: u64) -> io::Result<[u8; FOOTER]> {
    let mut found = [0; FOOTER];
    file.seek(SeekFrom::Start(len))?;
    file.read_exact(&mut found).map_err(|_| damage())?;
    if found[..16] == footer(len, 0)[..16] { Ok(found) } else { Err(damage()) }
}

/// Moves the modification time on, which is what pruning goes by; failing to is not a loss.
pub(super) fn mark_used(file: &File, modified: Option<SystemTime>) {
    let now = SystemTime::now();
    let stale = modified.is_none_or(|then| now.duration_since(then).is_ok_and(|age| age > MARK_EVERY));
    if stale {
        let _ = file.set_times(FileTimes::new().set_modified(now));
    }
}
