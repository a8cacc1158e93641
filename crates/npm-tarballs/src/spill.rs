//! Spilled bodies of this run: one anonymous temporary file that all of them share.
//!
//! One file, because a run may put aside more bodies than a process may open files. Each body is a list of extents, which
//! go to other bodies once it is dropped: the file grows to what waits at one time, not to what ever waited.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::integrity::ContentId;
use crate::positioned::{read_at, write_at};
use crate::verified::{Draft, SpillTarget, VerifiedContent};

/// The room of an extent, and what a draft gathers before it writes: large, so that few of them are needed.
const EXTENT: usize = 256 << 10;

/// An anonymous temporary file in the folder of the system, made when it is first needed.
#[derive(Default)]
pub struct SpillFile {
    area: Mutex<Option<Arc<Area>>>,
}

/// The file, and how it is divided.
struct Area {
    file: File,
    room: Mutex<Room>,
}

/// Where extents may be placed.
#[derive(Default)]
struct Room {
    end: u64,
    /// Places of extents that nobody reads any longer.
    free: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Extent {
    offset: u64,
    len: usize,
}

/// The extents of one body, in order. They are free again when it is dropped.
struct Extents {
    area: Arc<Area>,
    list: Vec<Extent>,
}

impl SpillFile {
    fn area(&self) -> io::Result<Arc<Area>> {
        let mut area = self.area.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(area) = &*area {
            return Ok(Arc::clone(area));
        }
        let file = tempfile::tempfile()?;
        let made = Arc::new(Area { file, room: Mutex::default() });
        *area = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl SpillTarget for SpillFile {
    fn begin(&self, _: &ContentId) -> io::Result<Box<dyn Draft>> {
        let extents = Extents { area: self.area()?, list: Vec::new() };
        Ok(Box::new(SpillDraft { extents, pending: Vec::new() }))
    }
}

impl Area {
    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    // Each place has room for a whole extent, however short the one in it is: so any of them will do for the next.
    fn take(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            let offset = self.end;
            self.end += EXTENT as u64;
            offset
        })
    }
}

impl Extents {
    /// Appends at most [`EXTENT`] bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let extent = Extent { offset: self.area.room().take(), len: bytes.len() };
        // Listed before it is written, so that its place is not lost if that fails.
        self.list.push(extent);
        write_at(&self.area.file, bytes, extent.offset)
    }
}

impl Drop for Extents {
    fn drop(&mut self) {
        self.area.room().free.extend(self.list.iter().map(|extent| extent.offset));
    }
}

struct SpillDraft {
    extents: Extents,
    pending: Vec<u8>,
}

impl SpillDraft {
    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.extents.append(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
}

impl Draft for SpillDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.pending.len() + bytes.len() > EXTENT {
            self.flush()?;
        }
        let mut whole = bytes.chunks_exact(EXTENT);
        whole.by_ref().try_for_each(|extent| self.extents.append(extent))?;
        self.pending.extend_from_slice(whole.remainder());
        Ok(())
    }

    fn keep(mut self: Box<Self>) -> io::Result<Arc<dyn VerifiedContent>> {
        self.flush()?;
        Ok(Arc::new(SpilledContent(Arc::new(self.extents))))
    }
}

struct SpilledContent(Arc<Extents>);

impl VerifiedContent for SpilledContent {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(SpillReader { extents: Arc::clone(&self.0), current: 0, position: 0 }))
    }
}

struct SpillReader {
    extents: Arc<Extents>,
    current: usize,
    position: usize,
}

impl Read for SpillReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(extent) = self.extents.list.get(self.current) else { return Ok(0) };
        let want = buffer.len().min(extent.len - self.position);
        let offset = extent.offset + self.position as u64;
        let got = read_at(&self.extents.area.file, &mut buffer[..want], offset)?;
        if got == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.position += got;
        if self.position == extent.len {
            (self.current, self.position) = (self.current + 1, 0);
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drafts_that_interleave_do_not_mix() {
        let spill = SpillFile::default();
        let id = ContentId::sha512_of(b"");
        let mut drafts: Vec<_> = (0..3_u8).map(|_| spill.begin(&id).unwrap()).collect();
        let sizes = [1, EXTENT - 1, 1, EXTENT, EXTENT, 3, EXTENT - 1, 2 * EXTENT + 1];
        // No two parts of a body, and no two bodies, are alike.
        let part = |n: u8, at: usize| vec![n * 10 + u8::try_from(at).unwrap(); sizes[at]];
        for at in 0..sizes.len() {
            for (n, draft) in (0_u8..).zip(&mut drafts) {
                draft.write(&part(n, at)).unwrap();
            }
        }
        for (n, draft) in (0_u8..).zip(drafts) {
            let mut bytes = Vec::new();
            draft.keep().unwrap().open().unwrap().read_to_end(&mut bytes).unwrap();
            let whole: Vec<u8> = (0..sizes.len()).flat_map(|at| part(n, at)).collect();
            assert!(bytes == whole, "{n}");
        }
    }

    #[test]
    fn what_fits_into_one_extent_takes_one() {
        let spill = SpillFile::default();
        let mut draft = spill.begin(&ContentId::sha512_of(b"")).unwrap();
        draft.write(&[1]).unwrap();
        draft.write(&vec![2; EXTENT - 1]).unwrap();
        let _content = draft.keep().unwrap();
        assert_eq!(spill.area().unwrap().room().end, EXTENT as u64);
    }

    #[test]
    fn a_file_that_was_cut_is_an_error_and_no_end() {
        let spill = SpillFile::default();
        let mut reader = park(&spill, 1).open().unwrap();
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        spill.area().unwrap().file.set_len(EXTENT as u64 + 5).unwrap();
        let mut bytes = Vec::new();
        assert_eq!(reader.read_to_end(&mut bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(bytes.len(), EXTENT + 5);
    }

    fn park(spill: &SpillFile, byte: u8) -> Arc<dyn VerifiedContent> {
        let mut draft = spill.begin(&ContentId::sha512_of(b"")).unwrap();
        draft.write(&vec![byte; 3 * EXTENT + 1]).unwrap();
        draft.keep().unwrap()
    }

    #[test]
    fn room_is_used_again_but_not_under_a_reader() {
        let spill = SpillFile::default();
        let first = park(&spill, 1);
        let mut reader = first.open().unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
        drop(first);
        for byte in 2..10 {
            let body = park(&spill, byte);
            let mut bytes = Vec::new();
            body.open().unwrap().read_to_end(&mut bytes).unwrap();
            assert!(bytes.len() == 3 * EXTENT + 1 && bytes.iter().all(|read| *read == byte));
        }
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert!(rest.len() == 3 * EXTENT - 9 && rest.iter().all(|read| *read == 1));
        let length = spill.area().unwrap().file.metadata().unwrap().len();
        assert!(length <= 8 * EXTENT as u64, "two bodies of four extents each at a time, not {length} bytes");
    }
}
