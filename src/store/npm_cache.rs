//! npm's own cache, read by content address. It is never written, and never trusted: every byte is hashed again.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::integrity::{ContentId, Hasher};
use crate::tarball::verified::{IN_MEMORY, Source, Tarball};

/// A `_cacache` folder.
#[derive(Debug, Clone)]
pub struct NpmCache {
    content: PathBuf,
}

impl NpmCache {
    /// The cache in npm's `cache` folder (`~/.npm` unless npm is configured otherwise).
    #[must_use]
    pub fn at(cache: &Path) -> Self {
        Self { content: cache.join("_cacache").join("content-v2") }
    }

    fn path(&self, id: &ContentId) -> PathBuf {
        let hex = id.hex();
        let mut path = self.content.clone();
        path.extend([id.algorithm().name(), &hex[..2], &hex[2..4], &hex[4..]]);
        path
    }

    /// The length of content that seems to be there; only [`NpmCache::get`] knows whether it is right.
    #[must_use]
    pub fn probe(&self, id: &ContentId) -> Option<u64> {
        std::fs::metadata(self.path(id)).ok().map(|metadata| metadata.len())
    }

    /// The tarball, if npm has it and its bytes are right.
    #[must_use]
    pub fn get(&self, id: &ContentId) -> Option<Tarball> {
        let path = self.path(id);
        let mut file = File::open(&path).ok()?;
        let len = file.metadata().ok()?.len();
        if len > IN_MEMORY as u64 {
            check(&mut file, id).ok()?;
            return Some(Tarball::shelved(*id, len, Arc::new(Cached { path, id: *id })));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).ok()?);
        file.read_to_end(&mut bytes).ok()?;
        Tarball::verify(*id, bytes.into()).ok()
    }
}

/// Large content in npm's cache; hashed again at each opening, since npm may have removed or replaced it.
struct Cached {
    path: PathBuf,
    id: ContentId,
}

impl Source for Cached {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path)?;
        check(&mut file, &self.id)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(file))
    }
}

fn check(file: &mut File, id: &ContentId) -> io::Result<()> {
    let mut hasher = Hasher::new(id.algorithm());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let right = hasher.finish() == *id;
    right
        .then_some(())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "npm's cache holds other bytes"))
}
