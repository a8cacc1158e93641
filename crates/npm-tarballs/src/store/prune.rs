//! Counting and removing entries.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use super::{Drafts, Store, origins, pack};
use crate::integrity::{Algorithm, ContentId, unhex};

/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tarballs.
    pub entries: u64,
    /// Their bytes on disk, with what the store adds.
    pub bytes: u64,
    /// What is being written, or was when a process was killed.
    pub drafts: Drafts,
}

/// What pruning removed and left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// What was removed.
    pub removed: Stats,
    /// What is left.
    pub left: Stats,
}

struct PruneCandidate {
    path: PathBuf,
    tarballs: u64,
    bytes: u64,
    used: SystemTime,
}

impl Store {
    /// Counts entries and drafts. A store that does not exist is empty.
    ///
    /// # Errors
    /// A folder of the store that cannot be listed.
    pub fn stats(&self) -> io::Result<Stats> {
        let mut stats = Stats { drafts: self.drafts_left(), ..Stats::default() };
        for entry in self.entries()? {
            stats.add(&entry);
        }
        Ok(stats)
    }

    /// Removes drafts of dead processes, entries unused for `older_than`, then the longest unused ones until `max_size` bytes are left.
    ///
    /// What lies in a pack goes together, and counts as used when any of it is.
    /// An entry that another process reads meanwhile stays readable for it or counts as missing.
    ///
    /// # Errors
    /// A folder of the store that cannot be listed, or an entry that cannot be removed.
    pub fn prune(&self, max_size: Option<u64>, older_than: Option<Duration>) -> io::Result<Pruned> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|entry| entry.used);
        let mut pruned = Pruned::default();
        pruned.removed.drafts = self.swept();
        pruned.left.drafts = self.drafts_left();
        for entry in &entries {
            pruned.left.add(entry);
        }
        let now = SystemTime::now();
        for entry in &entries {
            let age = now.duration_since(entry.used).unwrap_or_default();
            let too_old = older_than.is_some_and(|limit| age >= limit);
            let too_much = max_size.is_some_and(|limit| pruned.left.bytes > limit);
            if too_old || too_much {
                remove(&entry.path)?;
                pruned.left.subtract(entry);
                pruned.removed.add(entry);
            }
        }
        // Listed anew: what other processes wrote meanwhile keeps its lines.
        let left = self.contents()?;
        self.inner.origins.retain(|content| left.contains(content))?;
        Ok(pruned)
    }

    /// The contents of all entries, by the start of their digests.
    fn contents(&self) -> io::Result<HashSet<origins::ContentKey>> {
        let mut contents = HashSet::new();
        for algorithm in [Algorithm::Sha1, Algorithm::Sha512] {
            for group in list(&self.versioned().join(algorithm.name()))? {
                for path in list(&group)? {
                    let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
                    let digest =
                        name(&group).zip(name(&path)).and_then(|(start, rest)| unhex(&(start + &rest)));
                    let id = digest.and_then(|digest| ContentId::new(algorithm, &digest));
                    contents.extend(id.map(|id| origins::content(&id)));
                }
            }
        }
        for path in list(self.inner.packs.dir())? {
            contents.extend(pack::contents(&path).iter().map(origins::content));
        }
        Ok(contents)
    }

    fn entries(&self) -> io::Result<Vec<PruneCandidate>> {
        let mut found = Vec::new();
        for algorithm in ["sha1", "sha512"] {
            for group in list(&self.versioned().join(algorithm))? {
                for path in list(&group)? {
                    found.extend(PruneCandidate::at(path, |_| 1)?);
                }
            }
        }
        for path in list(self.inner.packs.dir())? {
            found.extend(PruneCandidate::at(path, |path| pack::contents(path).len() as u64)?);
        }
        Ok(found)
    }
}

impl PruneCandidate {
    /// `None` if it is gone since it was listed: another process prunes too.
    fn at(path: PathBuf, tarballs: impl Fn(&Path) -> u64) -> io::Result<Option<Self>> {
        let Ok(metadata) = fs::metadata(&path) else { return Ok(None) };
        let (bytes, used) = (metadata.len(), metadata.modified()?);
        Ok(Some(Self { tarballs: tarballs(&path), path, bytes, used }))
    }
}

pub(super) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Stats {
    fn add(&mut self, found: &PruneCandidate) {
        self.entries += found.tarballs;
        self.bytes += found.bytes;
    }

    fn subtract(&mut self, found: &PruneCandidate) {
        self.entries -= found.tarballs;
        self.bytes -= found.bytes;
    }
}
