//! npm's own cache, read by content address. It is never written, and never trusted: every byte is hashed again.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checking::{Check, Checking, Distrusted, damage};
use crate::integrity::{ContentId, Hasher};
use crate::tarball::verified::{IN_MEMORY, Source, Tarball};

/// A `_cacache` folder.
#[derive(Debug, Clone)]
pub struct NpmCache {
    content: PathBuf,
    distrusted: Distrusted,
}

impl NpmCache {
    /// The cache in npm's `cache` folder (`~/.npm` unless npm is configured otherwise).
    #[must_use]
    pub fn at(cache: &Path) -> Self {
        Self { content: cache.join("_cacache").join("content-v2"), distrusted: Distrusted::default() }
    }

    fn path(&self, id: &ContentId) -> PathBuf {
        let hex = id.hex();
        let mut path = self.content.clone();
        path.extend([id.algorithm().name(), &hex[..2], &hex[2..4], &hex[4..]]);
        path
    }

    /// The length of content that seems to be there; only reading it tells whether it is right.
    #[must_use]
    pub fn probe(&self, id: &ContentId) -> Option<u64> {
        let metadata = std::fs::metadata(self.path(id)).ok()?;
        (!self.distrusted.contains(id)).then_some(metadata.len())
    }

    /// The tarball, if npm has it. Small content was hashed; a large one is hashed while it is read (see [`Source`]).
    #[must_use]
    pub fn get(&self, id: &ContentId) -> Option<Tarball> {
        if self.distrusted.contains(id) {
            return None;
        }
        let path = self.path(id);
        let mut file = File::open(&path).ok()?;
        let len = file.metadata().ok()?.len();
        if len > IN_MEMORY as u64 {
            let cached = Cached { path, id: *id, len, distrusted: self.distrusted.clone() };
            return Some(Tarball::shelved(*id, len, Arc::new(cached)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).ok()?);
        file.read_to_end(&mut bytes).ok()?;
        Tarball::verify(*id, bytes.into()).ok()
    }
}

/// Large content in npm's cache, which npm may remove or replace at any time.
struct Cached {
    path: PathBuf,
    id: ContentId,
    len: u64,
    distrusted: Distrusted,
}

impl Source for Cached {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let reader = File::open(&self.path)?;
        let (id, distrusted) = (self.id, self.distrusted.clone());
        if reader.metadata()?.len() != self.len {
            distrusted.add(id);
            return Err(damage());
        }
        let check = Digest { hasher: Hasher::new(id.algorithm()), id };
        Ok(Box::new(Checking::new(reader, self.len, check, move || distrusted.add(id))))
    }
}

struct Digest {
    hasher: Hasher,
    id: ContentId,
}

impl Check for Digest {
    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn approves(self) -> bool {
        self.hasher.finish() == self.id
    }
}
