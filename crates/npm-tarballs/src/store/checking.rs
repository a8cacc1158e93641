//! Large content that is checked while it is read, so that it is read once.
//!
//! The last bytes are handed out only when all of them were found right. A reader that goes to the end can therefore rely on
//! what was read; one that stops before cannot.

use std::collections::HashSet;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::integrity::ContentId;

/// Tells right bytes from others, a piece at a time.
pub(super) trait Check: Sized + Send {
    /// Takes the next bytes.
    fn update(&mut self, bytes: &[u8]);
    /// Whether all bytes were right, now that the last of them was seen.
    fn approves(self) -> bool;
}

/// A reader of exactly `left` bytes, which calls `damaged` if they are not what they should be.
pub(super) struct Checking<R, C, D> {
    reader: R,
    left: u64,
    /// `None` once there was a verdict.
    check: Option<C>,
    /// Is told of damage, once.
    damaged: D,
    spoiled: bool,
}

impl<R: Read, C: Check, D: FnMut()> Checking<R, C, D> {
    pub(super) fn new(reader: R, left: u64, check: C, damaged: D) -> Self {
        Self { reader, left, check: Some(check), damaged, spoiled: false }
    }
}

impl<R: Read, C: Check, D: FnMut()> Read for Checking<R, C, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.spoiled {
            // A reader that asks again must not take what it has for all there is.
            return Err(damage());
        }
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..want])?;
        if let Some(check) = &mut self.check {
            check.update(&buffer[..read]);
        }
        self.left -= read as u64;
        let cut_off = read == 0;
        let wrong = self.left == 0 && !self.check.take().is_some_and(C::approves);
        if cut_off || wrong {
            self.spoiled = true;
            (self.damaged)();
            return Err(damage());
        }
        Ok(read)
    }
}

/// What a reader says of damaged content.
pub(super) fn damage() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the tarball on disk is damaged")
}

/// Contents that were found damaged: not to be looked for again, even where they cannot be removed.
#[derive(Debug, Clone, Default)]
pub(super) struct Distrusted(Arc<Mutex<HashSet<ContentId>>>);

impl Distrusted {
    fn set(&self) -> MutexGuard<'_, HashSet<ContentId>> {
        // The set is whole after every call on it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, id: ContentId) {
        self.set().insert(id);
    }

    /// The content was written again.
    pub(super) fn remove(&self, id: &ContentId) {
        self.set().remove(id);
    }

    pub(super) fn contains(&self, id: &ContentId) -> bool {
        self.set().contains(id)
    }
}
