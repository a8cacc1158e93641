//! The tarball store on disk: verified tarballs of earlier runs, keyed by what they are, and where they came from.
//!
//! ```text
//! <dir>/v1/<algo>/<h[0:2]>/<h[2:]>     the tarball's bytes and a footer (see [`entry`])
//! <dir>/v1/packs/<name>                many small tarballs of one run (see [`pack`])
//! <dir>/v1/tmp/                        drafts; they become entries or packs by a rename
//! <dir>/origins-v1                     which URLs served which tarballs (see [`origins`])
//! ```
//!
//! Many processes use one store at once without locks: an entry appears whole, by a rename, and two processes that
//! write the same one write the same bytes. Nothing is synced to disk, because the footer tells a torn file from a
//! whole one; a damaged entry is removed when it is met and counts as missing. A store that cannot be written still
//! serves what it has; the first failure is kept for the shell to show (see [`Store::trouble`]).

mod checking;
mod draft;
mod entry;
pub mod memo;
pub mod npm_cache;
mod origins;
mod pack;
mod packing;
mod prune;
pub mod shared;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{fs, io};

pub use draft::Drafts;
use error_advice::Advise;
pub use prune::{Pruned, Stats};

use self::checking::Distrusted;
use self::origins::Origins;
use self::pack::Packs;
use self::packing::Packing;
use crate::integrity::ContentId;
use crate::verified::{Draft, SpillTarget, Tarball, VerifiedContent};

/// The version of the layout; another one lives beside it, untouched.
const VERSION: &str = "v1";

/// A folder of verified tarballs. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    trouble: OnceLock<StoreTrouble>,
    /// Entries that were found damaged.
    distrusted: Distrusted,
    packs: Packs,
    packing: Packing,
    origins: Origins,
    /// The drafts' folder, once it was made and swept.
    drafts: OnceLock<PathBuf>,
}

/// Why the store keeps nothing: a warning, never a failure.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the tarball store {}: nothing is kept for the next run", dir.display())]
pub struct StoreTrouble {
    /// The store's folder.
    pub dir: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Advise for StoreTrouble {
    fn advice(&self) -> Option<Cow<'static, str>> {
        Some("name a writable folder with NPM_NIXHASH_CACHE, or use --no-cache".into())
    }
}

impl Store {
    /// The store in `dir`. Touches nothing: folders are made by the first write.
    #[must_use]
    pub fn at(dir: PathBuf) -> Self {
        let packs = Packs::at(dir.join(VERSION).join("packs"));
        let origins = Origins::at(&dir);
        Self {
            inner: Arc::new(Inner {
                dir,
                trouble: OnceLock::new(),
                distrusted: Distrusted::default(),
                packs,
                packing: Packing::default(),
                origins,
                drafts: OnceLock::new(),
            }),
        }
    }

    /// The store's folder, as it was handed in.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// The first failure to write, if there was one; from then on nothing was written.
    #[must_use]
    pub fn trouble(&self) -> Option<&StoreTrouble> {
        self.inner.trouble.get()
    }

    /// Where an entry lies that is not in a pack.
    #[must_use]
    pub fn path(&self, id: &ContentId) -> PathBuf {
        let hex = id.hex();
        let mut path = self.versioned();
        path.extend([id.algorithm().name(), &hex[..2], &hex[2..]]);
        path
    }

    fn versioned(&self) -> PathBuf {
        self.inner.dir.join(VERSION)
    }

    /// The length of an entry that seems to be there; only reading it tells whether it is whole.
    #[must_use]
    pub fn probe(&self, id: &ContentId) -> Option<u64> {
        if self.inner.distrusted.contains(id) {
            return None;
        }
        let single = || fs::metadata(self.path(id)).ok()?.len().checked_sub(entry::FOOTER as u64);
        self.inner.packs.probe(id).or_else(single)
    }

    /// The tarball, if the store has it. A small one is whole, a large one is checked while it is read (see [`VerifiedContent`]).
    /// A damaged entry is removed.
    #[must_use]
    pub fn get(&self, id: &ContentId) -> Option<Tarball> {
        if self.inner.distrusted.contains(id) {
            return None;
        }
        if let Some(bytes) = self.inner.packs.read(id) {
            return Some(Tarball::checked(*id, bytes));
        }
        let loaded = entry::load(&self.path(id), id, self);
        loaded.inspect_err(|error| self.condemn(id, error)).ok()
    }

    /// Gives an entry up if what reading it said is that it is damaged.
    fn condemn(&self, id: &ContentId, error: &io::Error) {
        if error.kind() == io::ErrorKind::InvalidData {
            tracing::warn!(content = %self.path(id).display(), "a damaged tarball of the store is removed");
            self.inner.distrusted.add(*id);
            // Failing to remove it is not a loss: the next write replaces it.
            let _ = fs::remove_file(self.path(id));
        }
    }

    /// Keeps a verified tarball. `false` if the store cannot be written; see [`Store::trouble`].
    pub fn put(&self, tarball: &Tarball) -> bool {
        // It may have come from another URL before, or be there and damaged, which is found when it is read.
        if self.probe(&tarball.id()).is_some() {
            return true;
        }
        let Some(bytes) = tarball.bytes() else { return self.copy(tarball).is_ok() };
        self.keep_small(tarball.id(), bytes).map_err(|source| self.note(source)).is_ok()
    }

    /// A handle on the entry with this tarball's bytes, if there is one: it takes no memory.
    #[must_use]
    pub fn handle(&self, tarball: &Tarball) -> Option<Tarball> {
        let (id, len) = (tarball.id(), tarball.len());
        let entry = StoredEntry { store: self.clone(), id, len };
        (self.probe(&id) == Some(len)).then(|| Tarball::on_disk(id, len, Arc::new(entry)))
    }

    fn copy(&self, tarball: &Tarball) -> io::Result<()> {
        let mut draft = draft::EntryDraft::create(self, tarball.id())?;
        io::copy(&mut tarball.reader()?, &mut draft)?;
        Box::new(draft).keep().map(drop)
    }

    /// # Errors
    /// Writing failed before, and is not tried again.
    fn writable(&self) -> io::Result<()> {
        let failed = || io::Error::other("the store cannot be written");
        self.trouble().map_or(Ok(()), |_| Err(failed()))
    }

    /// Remembers the first failure to write.
    fn note(&self, source: io::Error) -> io::Error {
        let copy = io::Error::new(source.kind(), source.to_string());
        tracing::warn!(store = %self.inner.dir.display(), why = %source, "the store cannot be written");
        let _ = self.inner.trouble.set(StoreTrouble { dir: self.inner.dir.clone(), source });
        copy
    }
}

impl SpillTarget for Store {
    fn begin(&self, id: &ContentId) -> io::Result<Box<dyn Draft>> {
        Ok(Box::new(draft::EntryDraft::create(self, *id).map_err(|source| self.note(source))?))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = self.packing.settle().and_then(|()| self.origins.settle());
    }
}

/// An entry that was whole when it was written; it is checked again at each reading.
struct StoredEntry {
    store: Store,
    id: ContentId,
    len: u64,
}

impl VerifiedContent for StoredEntry {
    fn open(&self) -> io::Result<Box<dyn io::Read + Send>> {
        if let Some(bytes) = self.store.inner.packs.read(&self.id) {
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        let (store, id) = (self.store.clone(), self.id);
        let damaged = move || store.condemn(&id, &checking::damage());
        let opened = entry::open(&self.store.path(&id), &id, self.len, damaged);
        opened.inspect_err(|error| self.store.condemn(&id, error))
    }
}

#[cfg(test)]
mod tests;
