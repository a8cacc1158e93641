//! Packs: many small tarballs in one file, because a file of its own costs a small one more than its download.
//!
//! ```text
//! the tarballs, one behind the other
//! a record for each (see [`record`])
//! magic "npmnixp1" | number of records, u64 little-endian
//! ```
//!
//! A pack appears whole, by a rename, like any entry; it is not changed afterwards, but for a record that is blotted out
//! when its tarball turns out to be damaged. It is pruned as a whole.

mod reader;
mod record;
mod writer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
pub(super) use reader::Pack;
use record::Record;
pub(super) use writer::PackDraft;

use super::draft::DraftFile;
use crate::integrity::ContentId;

/// The packs of a store as this process knows them: those that were there when it first looked, and its own.
pub(super) struct Packs {
    dir: PathBuf,
    known: OnceLock<Mutex<HashMap<ContentId, Packed>>>,
}

/// So many packs are kept open; a process may not open as many files as it likes.
const OPEN: usize = 64;

/// Where a tarball lies in a pack.
#[derive(Clone)]
pub(super) struct Packed {
    pub(super) pack: Arc<Pack>,
    pub(super) record: Record,
}

impl Packs {
    /// The packs in `dir`. Touches nothing.
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir, known: OnceLock::new() }
    }

    /// Where the packs lie.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The known places; looks for packs if nobody did before.
    fn known(&self) -> MutexGuard<'_, HashMap<ContentId, Packed>> {
        let known = self.known.get_or_init(|| Mutex::new(survey(&self.dir)));
        // A panic elsewhere does not leave the map half changed.
        known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: &ContentId) -> Option<Packed> {
        self.known().get(id).cloned()
    }

    /// A pack in the making that will lie here.
    pub(super) fn begin(&self, draft: DraftFile) -> io::Result<PackDraft> {
        PackDraft::new(draft, &self.dir)
    }

    /// The length of a tarball that seems to be in a pack.
    pub(super) fn probe(&self, id: &ContentId) -> Option<u64> {
        self.find(id).map(|packed| packed.record.len)
    }

    /// A tarball's bytes, checked; `None` if no pack has it. One that cannot be read is forgotten, and blotted out if it is
    /// damaged.
    pub(super) fn read(&self, id: &ContentId) -> Option<Bytes> {
        let packed = self.find(id)?;
        let read = packed.pack.read(&packed.record).inspect_err(|error| {
            self.forget(id, &packed);
            if error.kind() == io::ErrorKind::InvalidData {
                // Failing to is not a loss: the next reader finds the damage, too.
                let _ = packed.pack.blot(id);
            }
        });
        read.ok()
    }

    fn forget(&self, id: &ContentId, what: &Packed) {
        // Meanwhile the tarball may have been written again, into another pack; that one stays.
        if let Entry::Occupied(found) = self.known().entry(*id)
            && Arc::ptr_eq(&found.get().pack, &what.pack)
        {
            found.remove();
        }
    }

    /// Makes a tarball known that was just written.
    pub(super) fn learn(&self, packed: Packed) {
        self.known().insert(packed.record.id, packed);
    }
}

/// What all packs hold; of several that hold the same the youngest counts.
fn survey(dir: &Path) -> HashMap<ContentId, Packed> {
    let open = |(n, path): (usize, PathBuf)| Pack::open(&path, n < OPEN);
    let mut packs: Vec<_> = files(dir).enumerate().filter_map(open).collect();
    packs.sort_by_key(|(_, _, modified)| *modified);
    let mut known = HashMap::new();
    for (pack, records, _) in packs {
        let pack = Arc::new(pack);
        known.extend(
            records.into_iter().map(|record| (record.id, Packed { pack: Arc::clone(&pack), record })),
        );
    }
    known
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// What a pack file holds; nothing if it is none.
pub(super) fn contents(path: &Path) -> Vec<ContentId> {
    let records = File::open(path).and_then(|file| reader::records(&file)).unwrap_or_default();
    records.into_iter().map(|record| record.id).collect()
}

#[cfg(test)]
mod tests;
