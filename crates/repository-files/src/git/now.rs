//! The objects that git would make of the files as they are on disk.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::hash::Kind;
use gix::index::entry;

use super::absolute;
use super::reader::Reader;

/// A larger file is not hashed again: its time and size have to do.
const LARGEST: u64 = 64 << 20;

/// The files on disk, and what the index knows of them.
pub(super) struct Now {
    entries: BTreeMap<PathBuf, IndexEntry>,
    /// When the index was written, in seconds.
    written: i64,
}

struct IndexEntry {
    id: ObjectId,
    mode: entry::Mode,
    /// Seconds and nanoseconds of the last change, and the size, when git looked.
    seen: (u32, u32, u32),
    /// Not checked out on purpose.
    skipped: bool,
}

impl Now {
    pub(super) fn new(root: &Path, index: Option<gix::index::File>) -> Self {
        let Some(index) = index else { return Self { entries: BTreeMap::new(), written: 0 } };
        let entry = |entry: &gix::index::Entry| {
            let path = absolute(root, entry.path(&index))?;
            let seen = (entry.stat.mtime.secs, entry.stat.mtime.nsecs, entry.stat.size);
            let skipped = entry.flags.contains(entry::Flags::SKIP_WORKTREE);
            Some((path, IndexEntry { id: entry.id, mode: entry.mode, seen, skipped }))
        };
        Self {
            entries: index.entries().iter().filter_map(entry).collect(),
            written: index.timestamp().unix_seconds(),
        }
    }

    /// What the index names.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.entries.keys()
    }

    /// The object of what is at a path; `None` if nothing is there.
    pub(super) fn id(&self, path: &Path, kind: Kind) -> Option<ObjectId> {
        let Some(entry) = self.entries.get(path) else { return id(path, kind) };
        // A folder of a sparse index is not on disk.
        if entry.skipped || entry.mode == entry::Mode::DIR {
            return Some(entry.id);
        }
        if entry.mode == entry::Mode::COMMIT {
            return checked_out(path, entry.id);
        }
        let metadata = fs::symlink_metadata(path).ok()?;
        if self.is_as_seen(entry, &metadata) { Some(entry.id) } else { id(path, kind) }
    }

    /// Whether a file is as it was when git looked. One that was written in the second of the index may have changed
    /// after that.
    fn is_as_seen(&self, entry: &IndexEntry, metadata: &Metadata) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let (seconds, nanoseconds, size) = entry.seen;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the index has 32 bits of each"
        )]
        let now = (metadata.mtime() as u32, metadata.mtime_nsec() as u32, metadata.size() as u32);
        now == (seconds, nanoseconds, size) && metadata.mtime() < self.written
    }
}

/// The commit that is checked out of a submodule: a bot moves that first, and the index perhaps later. Of one that is not
/// there the recorded one counts; `None` where it cannot be known.
fn checked_out(submodule: &Path, recorded: ObjectId) -> Option<ObjectId> {
    if !submodule.join(".git").exists() {
        return Some(recorded);
    }
    Reader::open(submodule).ok()?.head().ok()
}

fn id(path: &Path, kind: Kind) -> Option<ObjectId> {
    let metadata = fs::symlink_metadata(path).ok()?;
    if metadata.is_symlink() {
        let target = fs::read_link(path).ok()?;
        return hash(target.as_os_str().as_encoded_bytes(), kind);
    }
    regular(path, &metadata, kind)
}

/// The object of a file's bytes; links are followed.
pub(super) fn blob_id(path: &Path, of: ObjectId) -> Option<ObjectId> {
    regular(path, &fs::metadata(path).ok()?, of.kind())
}

fn regular(path: &Path, metadata: &Metadata, kind: Kind) -> Option<ObjectId> {
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
    hash(&bytes, kind)
}

fn hash(bytes: &[u8], kind: Kind) -> Option<ObjectId> {
    gix::objs::compute_hash(kind, gix::objs::Kind::Blob, bytes).ok()
}
