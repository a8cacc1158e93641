//! Reading a pack.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::SystemTime;

use bytes::Bytes;

use super::record::{RECORD, Record};
use crate::integrity::ContentId;
use crate::positioned::{read_exact_at, write_at};
use crate::store::checking::damage;
use crate::store::entry::{Checksum, mark_used};
use crate::verified::IN_MEMORY;

pub(super) const MAGIC: &[u8; 8] = b"npmnixp1";
/// Magic and number of records.
// At the end, because tarballs are appended as they come: a pack whose writing was cut short has none, and counts as
// nothing.
pub(super) const TRAILER: u64 = 16;

/// A pack. One that is open stays readable when another process prunes it.
pub(in crate::store) struct Pack {
    /// `None` if it is opened for each reading, because too many are open already.
    file: Option<File>,
    path: PathBuf,
    used: Once,
}

impl Pack {
    /// The pack at `path`, what it holds and when it was used last; `None` if it is none, or vanished.
    pub(super) fn open(path: &Path, keep_open: bool) -> Option<(Self, Vec<Record>, SystemTime)> {
        let file = File::open(path).ok()?;
        let records = records(&file).ok()?;
        let modified = file.metadata().and_then(|metadata| metadata.modified()).ok()?;
        Some((Self::new(keep_open.then_some(file), path.to_owned()), records, modified))
    }

    pub(super) fn new(file: Option<File>, path: PathBuf) -> Self {
        Self { file, path, used: Once::new() }
    }

    /// A tarball's bytes.
    ///
    /// # Errors
    /// `InvalidData` if they are damaged, else what the system said.
    pub(super) fn read(&self, record: &Record) -> io::Result<Bytes> {
        match &self.file {
            Some(file) => self.read_from(file, record),
            None => self.read_from(&File::open(&self.path)?, record),
        }
    }

    fn read_from(&self, file: &File, record: &Record) -> io::Result<Bytes> {
        self.used
            .call_once(|| mark_used(file, file.metadata().and_then(|metadata| metadata.modified()).ok()));
        // Only small tarballs are packed; a file has no say in how much memory is taken.
        let len = usize::try_from(record.len).ok().filter(|len| *len <= IN_MEMORY).ok_or_else(damage)?;
        let mut bytes = vec![0; len];
        match read_exact_at(file, &mut bytes, record.offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(damage()),
            result => result?,
        }
        if Checksum::of(&bytes).sum(&record.id) == record.sum { Ok(bytes.into()) } else { Err(damage()) }
    }

    /// Makes the record of a damaged tarball unreadable, so that nobody looks for it here again.
    pub(super) fn blot(&self, id: &ContentId) -> io::Result<()> {
        let file = File::options().read(true).write(true).open(&self.path)?;
        let (start, table) = table(&file)?;
        for (index, record) in table.as_chunks::<RECORD>().0.iter().enumerate() {
            if Record::decode(record).is_some_and(|record| record.id == *id) {
                write_at(&file, &[0; RECORD], start + (index * RECORD) as u64)?;
            }
        }
        Ok(())
    }
}

/// What a pack file holds.
///
/// # Errors
/// `InvalidData` if it is not a pack, or a torn one.
pub(super) fn records(file: &File) -> io::Result<Vec<Record>> {
    let (start, table) = table(file)?;
    let records = table.as_chunks().0.iter().filter_map(Record::decode);
    Ok(records
        // A record that points into the table, or behind it, was not written by this program.
        .filter(|record| record.offset.checked_add(record.len).is_some_and(|end| end <= start))
        .collect())
}

/// Where the records stand, and their bytes.
fn table(file: &File) -> io::Result<(u64, Vec<u8>)> {
    let len = file.metadata()?.len();
    let trailer = len.checked_sub(TRAILER).ok_or_else(damage)?;
    let mut magic = [0; 8];
    read_exact_at(file, &mut magic, trailer)?;
    let mut count = [0; 8];
    read_exact_at(file, &mut count, trailer + 8)?;
    let table = u64::from_le_bytes(count).checked_mul(RECORD as u64).filter(|_| magic == *MAGIC);
    let start = table.and_then(|table| trailer.checked_sub(table)).ok_or_else(damage)?;
    let mut records = vec![0; usize::try_from(trailer - start).map_err(|_| damage())?];
    read_exact_at(file, &mut records, start)?;
    Ok((start, records))
}
