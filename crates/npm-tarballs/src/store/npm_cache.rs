//! npm's own cache, read through its index. It is never written, and never trusted: every byte is hashed again.
//!
//! The index says which content a URL had. A content that no line of the index leads to is not looked at: that its digest
//! is right tells nothing of where it came from.
//!
//! ```text
//! _cacache/index-v5/<k[0:2]>/<k[2:4]>/<k[4:]>      <k>: sha256 of the request's key in hex
//! ```
//!
//! Each line of such a file is the sha1 of an entry, a tab, and the entry as JSON; keys may share a file, the last line
//! of a key counts, and one whose `integrity` is null says that the content was deleted.

use std::fs::{self, File};
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::checking::{Check, Checking, Distrusted, damage};
use crate::cacache::cache_key;
use crate::integrity::{ContentId, Hasher, Integrity, hex};
use crate::verified::{IN_MEMORY, Tarball, VerifiedContent};

/// The largest index file that is read: far above what npm writes for one key.
const INDEX_LIMIT: u64 = 4 << 20;

/// A `_cacache` folder.
#[derive(Debug, Clone)]
pub struct NpmCache {
    folder: PathBuf,
    distrusted: Distrusted,
}

/// A line of the index, as far as it matters here.
#[derive(Deserialize)]
struct IndexedContent {
    key: String,
    integrity: Option<String>,
}

impl NpmCache {
    /// The cache in npm's `cache` folder (`~/.npm` unless npm is configured otherwise).
    #[must_use]
    pub fn at(cache: &Path) -> Self {
        Self { folder: cache.join("_cacache"), distrusted: Distrusted::default() }
    }

    /// What the index says that a URL had.
    fn indexed(&self, url: &str) -> Option<ContentId> {
        let key = cache_key(url);
        let mut file = File::open(fanned(self.folder.join("index-v5"), &hex(&Sha256::digest(&key)))).ok()?;
        if file.metadata().ok()?.len() > INDEX_LIMIT {
            return None;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let entry = |line: &str| {
            let (checksum, json) = line.split_once('\t')?;
            let line: IndexedContent = serde_json::from_str(json).ok()?;
            // npm appends without a lock, and passes over a torn line itself.
            (checksum == hex(&Sha1::digest(json)) && line.key == key).then_some(line)
        };
        let last = text.lines().filter_map(entry).next_back()?;
        Some(Integrity::strongest_of(&last.integrity?).ok()?.id())
    }

    /// Where the content lies that this URL is known to have had, if it can be `id`.
    fn place(&self, url: &str, id: &ContentId) -> Option<PathBuf> {
        if self.distrusted.contains(id) {
            return None;
        }
        let indexed = self.indexed(url)?;
        // npm may file by sha512 what the lockfile has a sha1 of; the bytes will tell whether they belong together.
        let foreign = indexed.algorithm() == id.algorithm() && indexed != *id;
        let folder = self.folder.join("content-v2").join(indexed.algorithm().name());
        (!foreign).then(|| fanned(folder, &indexed.hex()))
    }

    /// Whether this content is there, from whatever URL.
    #[must_use]
    pub fn holds(&self, id: &ContentId) -> bool {
        fanned(self.folder.join("content-v2").join(id.algorithm().name()), &id.hex()).exists()
    }

    /// The length of content from this URL that seems to be there; only reading it tells whether it is right.
    #[must_use]
    pub fn probe(&self, url: &str, id: &ContentId) -> Option<u64> {
        Some(fs::metadata(self.place(url, id)?).ok()?.len())
    }

    /// The tarball, if npm has it from this URL. Small content was hashed; a large one is hashed while it is read (see
    /// [`VerifiedContent`]).
    #[must_use]
    pub fn get(&self, url: &str, id: &ContentId) -> Option<Tarball> {
        let path = self.place(url, id)?;
        let mut file = File::open(&path).ok()?;
        let len = file.metadata().ok()?.len();
        if len > IN_MEMORY as u64 {
            let cached = Cached { path, id: *id, len, distrusted: self.distrusted.clone() };
            return Some(Tarball::on_disk(*id, len, Arc::new(cached)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(len).ok()?);
        file.read_to_end(&mut bytes).ok()?;
        Tarball::verify(*id, bytes.into()).ok()
    }
}

/// A path below `folder` that begins with two times two digits of `hex`, as npm lays out its cache.
fn fanned(mut folder: PathBuf, hex: &str) -> PathBuf {
    folder.extend([&hex[..2], &hex[2..4], &hex[4..]]);
    folder
}

/// Large content in npm's cache, which npm may remove or replace at any time.
struct Cached {
    path: PathBuf,
    id: ContentId,
    len: u64,
    distrusted: Distrusted,
}

impl VerifiedContent for Cached {
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
