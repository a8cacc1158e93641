//! Entries being written: a temporary file that becomes an entry by a rename.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::entry::Checksum;
use super::{Store, StoredEntry};
use crate::integrity::ContentId;
use crate::verified::{Draft, VerifiedContent};

/// Where files cannot be locked, drafts that nobody touched for so long belong to a process that was killed.
const ABANDONED: Duration = Duration::from_hours(1);

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// A temporary file in the store's folder; dropping it removes the file. It is locked as long as its process lives, which
/// the system sees to: so a process that can lock it knows that nobody will complete it.
pub(super) struct DraftFile {
    pub(super) file: File,
    path: PathBuf,
    kept: bool,
}

impl DraftFile {
    /// What the file is called, which is one of a kind.
    pub(super) fn name(&self) -> &OsStr {
        self.path.file_name().unwrap_or_default()
    }

    /// A second handle, for reading.
    pub(super) fn reader(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// Puts the file in its place, whose folder is made only if it is missing, which is rare.
    pub(super) fn keep(mut self, place: &Path) -> io::Result<()> {
        match fs::rename(&self.path, place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                place.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::rename(&self.path, place)
            }
            result => result,
        }?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if !self.kept {
            // A draft that stays behind is swept later.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// An entry in the making.
pub(super) struct EntryDraft {
    store: Store,
    id: ContentId,
    draft: DraftFile,
    checksum: Checksum,
}

impl EntryDraft {
    pub(super) fn create(store: &Store, id: ContentId) -> io::Result<Self> {
        Ok(Self { store: store.clone(), id, draft: store.draft_file()?, checksum: Checksum::new() })
    }
}

impl Write for EntryDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.draft.file.write_all(bytes)?;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Draft for EntryDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes).map_err(|source| self.store.note(source))
    }

    fn keep(self: Box<Self>) -> io::Result<Arc<dyn VerifiedContent>> {
        let Self { store, id, mut draft, checksum } = *self;
        let len = checksum.len();
        draft.file.write_all(&checksum.footer(&id))?;
        draft.keep(&store.path(&id))?;
        store.inner.distrusted.remove(&id);
        Ok(Arc::new(StoredEntry { store, id, len }))
    }
}

impl Store {
    /// A new file for a draft.
    ///
    /// # Errors
    /// The store could not be written before, or cannot now.
    pub(super) fn draft_file(&self) -> io::Result<DraftFile> {
        self.writable()?;
        let dir = self.drafts()?;
        loop {
            let unique = (std::process::id(), fastrand::u32(..), COUNTER.fetch_add(1, Ordering::Relaxed));
            let path = dir.join(format!("{}-{:08x}-{}", unique.0, unique.1, unique.2));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                // Somebody who sweeps may have been quicker.
                Ok(file) if is_taken(&file) || !path.exists() => {}
                Ok(file) => return Ok(DraftFile { file, path, kept: false }),
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
        self.sweep();
        Ok(self.inner.drafts.get_or_init(|| dir))
    }

    /// Removes the drafts of processes that are gone.
    pub fn sweep(&self) {
        self.swept();
    }

    /// Removes the drafts of processes that are gone; how many there were, and their bytes.
    pub(super) fn swept(&self) -> Drafts {
        let mut swept = Drafts::default();
        for draft in self.draft_files() {
            let len = draft.metadata().map_or(0, |metadata| metadata.len());
            if is_abandoned(&draft.path()) && fs::remove_file(draft.path()).is_ok() {
                swept.add(len);
            }
        }
        swept
    }

    /// The drafts that are there, be their processes alive or gone.
    pub(super) fn drafts_left(&self) -> Drafts {
        let mut left = Drafts::default();
        for draft in self.draft_files() {
            left.add(draft.metadata().map_or(0, |metadata| metadata.len()));
        }
        left
    }

    fn draft_files(&self) -> impl Iterator<Item = fs::DirEntry> {
        fs::read_dir(self.versioned().join("tmp")).into_iter().flatten().flatten()
    }
}

/// Files that are not entries yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drafts {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Drafts {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Locks a file, and tells whether somebody else has it. Where files cannot be locked nobody has.
fn is_taken(file: &File) -> bool {
    matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(fs::TryLockError::WouldBlock) => false,
        Err(fs::TryLockError::Error(_)) => {
            let modified = file.metadata().and_then(|metadata| metadata.modified());
            let idle = modified.ok().and_then(|then| SystemTime::now().duration_since(then).ok());
            idle.is_some_and(|idle| idle >= ABANDONED)
        }
    }
}
