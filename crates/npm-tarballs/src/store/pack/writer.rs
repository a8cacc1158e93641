//! Writing a pack.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::reader::MAGIC;
use super::{Pack, Packed, Record};
use crate::integrity::ContentId;
use crate::positioned::write_at;
use crate::store::draft::DraftFile;
use crate::store::entry::Checksum;

/// A pack is closed at this size, so that pruning can be as fine, and a killed process loses no more.
pub(super) const FULL: u64 = 16 << 20;

/// A pack in the making.
pub(in crate::store) struct PackDraft {
    pack: Arc<Pack>,
    draft: DraftFile,
    place: PathBuf,
    records: Vec<Record>,
    end: u64,
}

impl PackDraft {
    /// A pack that will lie in `dir`.
    pub(super) fn new(draft: DraftFile, dir: &Path) -> io::Result<Self> {
        let place = dir.join(draft.name());
        // Its own readers use this file too, and find it where it will be.
        let pack = Arc::new(Pack::new(Some(draft.reader()?), place.clone()));
        Ok(Self { pack, draft, place, records: Vec::new(), end: 0 })
    }

    /// Appends a tarball, which can be read at once.
    pub(in crate::store) fn add(&mut self, id: ContentId, bytes: &[u8]) -> io::Result<Packed> {
        write_at(&self.draft.file, bytes, self.end)?;
        let sum = Checksum::of(bytes).sum(&id);
        let record = Record { id, offset: self.end, len: bytes.len() as u64, sum };
        self.end += record.len;
        self.records.push(record);
        Ok(Packed { pack: Arc::clone(&self.pack), record })
    }

    pub(in crate::store) fn is_full(&self) -> bool {
        self.end >= FULL
    }

    /// Writes the table of contents and puts the pack in its place.
    pub(in crate::store) fn keep(self) -> io::Result<()> {
        let mut table: Vec<u8> = self.records.iter().flat_map(Record::encode).collect();
        table.extend(MAGIC);
        table.extend((self.records.len() as u64).to_le_bytes());
        write_at(&self.draft.file, &table, self.end)?;
        self.draft.keep(&self.place)
    }
}
