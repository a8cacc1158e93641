//! A shelf for bodies of this run only: one anonymous temporary file that all of them share.
//!
//! One file, because a run may put aside more bodies than a process may open files. Each body is a list of extents;
//! nothing is freed before the end, when the system removes the file.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::integrity::ContentId;
use crate::positioned::{read_at, write_at};
use crate::tarball::verified::{Draft, Shelf, Source};

/// What a draft gathers before it writes: extents have this size, so that few of them are needed.
const EXTENT: usize = 256 << 10;

/// An anonymous temporary file, made when it is first needed.
#[derive(Default)]
pub struct Spool {
    dir: Option<PathBuf>,
    area: Mutex<Option<Arc<Area>>>,
}

/// The file, and how much of it is taken.
struct Area {
    file: File,
    end: Mutex<u64>,
}

#[derive(Clone, Copy)]
struct Extent {
    offset: u64,
    len: usize,
}

impl Spool {
    /// A spool in `dir`; [`Spool::default`] uses the system's folder for temporary files.
    #[must_use]
    pub fn in_dir(dir: PathBuf) -> Self {
        Self { dir: Some(dir), area: Mutex::default() }
    }

    fn area(&self) -> io::Result<Arc<Area>> {
        let mut area = self.area.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(area) = &*area {
            return Ok(Arc::clone(area));
        }
        let file = self.dir.as_ref().map_or_else(tempfile::tempfile, tempfile::tempfile_in)?;
        let made = Arc::new(Area { file, end: Mutex::new(0) });
        *area = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Shelf for Spool {
    fn begin(&self, _: &ContentId) -> io::Result<Box<dyn Draft>> {
        Ok(Box::new(SpoolDraft { area: self.area()?, pending: Vec::new(), extents: Vec::new() }))
    }
}

impl Area {
    fn append(&self, bytes: &[u8]) -> io::Result<Extent> {
        let offset = {
            let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            let offset = *end;
            *end += bytes.len() as u64;
            offset
        };
        write_at(&self.file, bytes, offset)?;
        Ok(Extent { offset, len: bytes.len() })
    }
}

struct SpoolDraft {
    area: Arc<Area>,
    pending: Vec<u8>,
    extents: Vec<Extent>,
}

impl SpoolDraft {
    fn flush(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.extents.push(self.area.append(&self.pending)?);
            self.pending.clear();
        }
        Ok(())
    }
}

impl Draft for SpoolDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.pending.len() + bytes.len() > EXTENT {
            self.flush()?;
        }
        if bytes.len() >= EXTENT {
            self.extents.push(self.area.append(bytes)?);
        } else {
            self.pending.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn keep(mut self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        self.flush()?;
        Ok(Arc::new(Spooled { area: self.area, extents: self.extents.into() }))
    }
}

struct Spooled {
    area: Arc<Area>,
    extents: Arc<[Extent]>,
}

impl Source for Spooled {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let (area, extents) = (Arc::clone(&self.area), Arc::clone(&self.extents));
        Ok(Box::new(SpoolReader { area, extents, current: 0, position: 0 }))
    }
}

struct SpoolReader {
    area: Arc<Area>,
    extents: Arc<[Extent]>,
    current: usize,
    position: usize,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(extent) = self.extents.get(self.current) else { return Ok(0) };
        let want = buffer.len().min(extent.len - self.position);
        let got = read_at(&self.area.file, &mut buffer[..want], extent.offset + self.position as u64)?;
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
        let spool = Spool::default();
        let id = ContentId::sha512_of(b"");
        let mut drafts: Vec<_> = (0..3_u8).map(|_| spool.begin(&id).unwrap()).collect();
        let sizes = [1, EXTENT - 1, EXTENT, 3, 2 * EXTENT + 1];
        for size in sizes {
            for (n, draft) in (0_u8..).zip(&mut drafts) {
                draft.write(&vec![n; size]).unwrap();
            }
        }
        for (n, draft) in (0_u8..).zip(drafts) {
            let mut bytes = Vec::new();
            draft.keep().unwrap().open().unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes.len(), sizes.iter().sum::<usize>());
            assert!(bytes.iter().all(|byte| *byte == n));
        }
    }
}
