//! Entries being written: a temporary file that becomes an entry by a rename.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::entry::Checksum;
use super::{Store, StoredEntry};
use crate::integrity::ContentId;
use crate::tarball::verified::{Draft, Source};

/// Drafts that nobody touched for so long belong to a process that was killed.
pub(super) const ABANDONED: Duration = Duration::from_hours(1);

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A draft in the store's folder; dropping it removes the file.
pub(super) struct FileDraft {
    store: Store,
    id: ContentId,
    temporary: PathBuf,
    file: File,
    checksum: Checksum,
    kept: bool,
}

impl FileDraft {
    pub(super) fn create(store: &Store, id: ContentId) -> io::Result<Self> {
        let (temporary, file) = store.draft_file()?;
        Ok(Self { store: store.clone(), id, temporary, file, checksum: Checksum::new(), kept: false })
    }
}

/// Puts a draft in its place, whose folder is made only if it is missing, which is rare.
pub(super) fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::rename(temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::rename(temporary, path)
        }
        result => result,
    }
}

impl Write for FileDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Draft for FileDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).map_err(|source| self.store.note(source))
    }

    fn keep(mut self: Box<Self>) -> io::Result<Arc<dyn Source>> {
        let checksum = std::mem::replace(&mut self.checksum, Checksum::new());
        let len = checksum.len();
        self.file.write_all(&checksum.footer(&self.id))?;
        let path = self.store.path(&self.id);
        place(&self.temporary, &path)?;
        self.kept = true;
        self.store.inner.distrusted.remove(&self.id);
        Ok(Arc::new(StoredEntry { store: self.store.clone(), id: self.id, len }))
    }
}

impl Drop for FileDraft {
    fn drop(&mut self) {
        if !self.kept {
            // A draft that stays behind is swept later.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl Store {
    /// A new file for a draft. Its name is one of a kind.
    pub(super) fn draft_file(&self) -> io::Result<(PathBuf, File)> {
        let dir = self.drafts()?;
        loop {
            let unique = (std::process::id(), fastrand::u32(..), COUNTER.fetch_add(1, Ordering::Relaxed));
            let temporary = dir.join(format!("{}-{:08x}-{}", unique.0, unique.1, unique.2));
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok((temporary, file)),
                // Another process, in another pid namespace perhaps, had the same idea.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The drafts' folder; made, and swept of abandoned drafts, once a run.
    fn drafts(&self) -> io::Result<&PathBuf> {
        if let Some(dir) = self.inner.drafts.get() {
            return Ok(dir);
        }
        let dir = self.versioned().join("tmp");
        fs::create_dir_all(&dir)?;
        self.sweep(ABANDONED);
        Ok(self.inner.drafts.get_or_init(|| dir))
    }

    /// Removes drafts that were not touched for `age`.
    pub(super) fn sweep(&self, age: Duration) -> u64 {
        let Ok(drafts) = fs::read_dir(self.versioned().join("tmp")) else { return 0 };
        let now = SystemTime::now();
        let stale = drafts.flatten().filter(|draft| {
            let modified = draft.metadata().and_then(|metadata| metadata.modified());
            modified.is_ok_and(|then| now.duration_since(then).is_ok_and(|idle| idle >= age))
        });
        stale.filter(|draft| fs::remove_file(draft.path()).is_ok()).count() as u64
    }
}
