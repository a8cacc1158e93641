//! Writing a pack.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::reader::MAGIC;
use super::{Pack, Packed, Record};
use crate::integrity::ContentId;
use crate::positioned::write_at;
use crate::store::draft;
use crate::store::entry::Checksum;

/// A pack is closed at this size, so that pruning can be as fine, and a killed process loses no more.
pub(super) const FULL: u64 = 16 << 20;

/// A pack in the making; dropping it removes the file.
pub(in crate::store) struct PackDraft {
    pack: Arc<Pack>,
    file: File,
    temporary: PathBuf,
    place: PathBuf,
    records: Vec<Record>,
    end: u64,
    kept: bool,
}

impl PackDraft {
    /// A pack that is written to `temporary`, a new and empty file, and will be renamed to `place`.
    pub(in crate::store) fn new(file: File, temporary: PathBuf, place: PathBuf) -> io::Result<Self> {
        // Its own readers use this file too, and find it where it will be.
        let pack = Arc::new(Pack::new(Some(File::open(&temporary)?), place.clone()));
        Ok(Self { pack, file, temporary, place, records: Vec::new(), end: 0, kept: false })
    }

    /// Appends a tarball, which can be read at once.
    pub(in crate::store) fn add(&mut self, id: ContentId, bytes: &[u8]) -> io::Result<Packed> {
        write_at(&self.file, bytes, self.end)?;
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
    pub(in crate::store) fn keep(mut self) -> io::Result<()> {
        let mut table: Vec<u8> = self.records.iter().flat_map(Record::encode).collect();
        table.extend(MAGIC);
        table.extend((self.records.len() as u64).to_le_bytes());
        write_at(&self.file, &table, self.end)?;
        draft::place(&self.temporary, &self.place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for PackDraft {
    fn drop(&mut self) {
        if !self.kept {
            // A draft that stays behind is swept later.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
