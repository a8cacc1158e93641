//! Which small tarballs go into packs: those of a run that brings many.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::Store;
use super::pack::PackDraft;
use crate::integrity::ContentId;
use crate::tarball::verified::Shelf as _;

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

impl Store {
    /// Keeps a tarball that is in memory.
    pub(super) fn keep_small(&self, id: ContentId, bytes: &[u8]) -> io::Result<()> {
        if self.packs_next() {
            return self.pack(id, bytes);
        }
        let mut draft = self.begin(&id)?;
        draft.write(bytes)?;
        draft.keep().map(drop)
    }

    fn packs_next(&self) -> bool {
        let mut packing = self.inner.packing.0.lock().unwrap_or_else(PoisonError::into_inner);
        packing.kept += 1;
        packing.kept > SINGLE
    }

    fn pack(&self, id: ContentId, bytes: &[u8]) -> io::Result<()> {
        if self.trouble().is_some() {
            return Err(io::Error::other("the store cannot be written"));
        }
        let mut packing = self.inner.packing.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut draft = match packing.draft.take() {
            Some(draft) => draft,
            None => self.new_pack()?,
        };
        // If this fails, the draft is dropped; what was packed before can still be read by this process.
        let packed = draft.add(id, bytes)?;
        if draft.is_full() {
            draft.keep()?;
        } else {
            packing.draft = Some(draft);
        }
        drop(packing);
        self.inner.distrusted.remove(&id);
        self.inner.packs.learn(&self.packs_dir(), packed);
        Ok(())
    }

    fn new_pack(&self) -> io::Result<PackDraft> {
        let (temporary, file) = self.draft_file()?;
        let place = self.packs_dir().join(temporary.file_name().unwrap_or_default());
        PackDraft::new(file, temporary, place)
    }

    /// Puts what was packed in its place, for other processes and later ones. Whoever keeps tarballs calls it when he is
    /// done; the store's end does, too.
    pub fn settle(&self) {
        if let Err(error) = self.inner.packing.settle() {
            self.note(error);
        }
    }
}

impl Packing {
    pub(super) fn settle(&self) -> io::Result<()> {
        let draft = self.0.lock().unwrap_or_else(PoisonError::into_inner).draft.take();
        draft.map_or(Ok(()), PackDraft::keep)
    }
}
