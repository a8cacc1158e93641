//! Which small tarballs go into packs: those of a run that brings many.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Store;
use super::pack::PackDraft;
use crate::integrity::ContentId;
use crate::verified::SpillTarget as _;

/// So many small tarballs of a run get files of their own: a run that brings a few makes no pack, or there would be
/// more packs than it is worth looking through.
const SINGLE: usize = 32;

/// What this process has packed so far.
#[derive(Default)]
pub(super) struct Packing(Mutex<Progress>);

#[derive(Default)]
struct Progress {
    /// Small tarballs that were kept.
    kept: usize,
    draft: Option<PackDraft>,
}

impl Packing {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settle(&self) -> io::Result<()> {
        let draft = self.progress().draft.take();
        draft.map_or(Ok(()), PackDraft::keep)
    }
}

impl Store {
    /// Keeps a tarball that is in memory.
    pub(super) fn keep_small(&self, id: ContentId, bytes: &[u8]) -> io::Result<()> {
        let mut progress = self.inner.packing.progress();
        progress.kept += 1;
        if progress.kept > SINGLE {
            return self.pack(&mut progress, id, bytes);
        }
        drop(progress);
        let mut draft = self.begin(&id)?;
        draft.write(bytes)?;
        draft.keep().map(drop)
    }

    fn pack(&self, progress: &mut Progress, id: ContentId, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        let mut draft = match progress.draft.take() {
            Some(draft) => draft,
            None => self.inner.packs.begin(self.draft_file()?)?,
        };
        // If this fails, the draft is dropped; what was packed before can still be read by this process.
        let packed = draft.add(id, bytes)?;
        if draft.is_full() {
            draft.keep()?;
        } else {
            progress.draft = Some(draft);
        }
        self.inner.distrusted.remove(&id);
        self.inner.packs.learn(packed);
        Ok(())
    }

    /// Puts what was packed in its place, for other processes and later ones. The caller that keeps tarballs calls it when it is
    /// done; the store's end does, too.
    pub fn settle(&self) {
        if let Err(error) = self.inner.packing.settle().and_then(|()| self.inner.origins.settle()) {
            self.note(error);
        }
    }
}
