//! Which files a survey looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::normalize;
use super::shell::LOCKFILES;
use crate::repository::{
    self, Border, Listing,
    git::{Git, GitError, Tracked},
};

/// What to survey: always a repository as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The folder that bounds imports and lockfiles, see [`repository::around`].
    pub root: PathBuf,
    /// Nix files that count although git ignores them, because somebody named them.
    pub also: Vec<PathBuf>,
    /// Texts to take instead of what these files hold on disk, by absolute path.
    pub instead: BTreeMap<PathBuf, Vec<u8>>,
    /// Lockfiles that somebody states for derivations whose source cannot be known: attribute path and absolute path.
    pub stated: BTreeMap<String, PathBuf>,
}

impl Scope {
    /// The repository at this folder.
    #[must_use]
    pub fn of(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), also: Vec::new(), instead: BTreeMap::new(), stated: BTreeMap::new() }
    }
}

/// The files of a repository that can matter.
pub(super) struct Found {
    /// The folder that bounds everything, canonical.
    pub root: PathBuf,
    /// Files that spell `npmDeps` or `fetchNpmDeps`.
    pub candidates: Vec<PathBuf>,
    /// Folders with a `flake.nix`.
    pub flakes: Vec<PathBuf>,
    /// Files from which imports lead to candidates: first those that nothing imports, then all that are no candidates
    /// themselves.
    pub roots: Vec<PathBuf>,
    /// Lockfiles that git tracks or would track, but not those of installed packages.
    pub lockfiles: Vec<PathBuf>,
    /// Files that could not be read: path and reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// Folders that belong to somebody else.
    pub borders: Vec<Border>,
    /// What git tracks, where it has the repository and tells.
    pub tracked: Result<Arc<Tracked>, GitError>,
}

/// Walks the repository.
///
/// # Errors
/// When its folder cannot be resolved.
pub(super) fn discover(scope: &Scope) -> Result<Found, String> {
    let root = scope.root.canonicalize().map_err(|error| error.kind().to_string())?;
    let tracked = Git::of(&root).tracked().cloned();
    let Listing { mut nix, lockfiles, borders } = repository::list(&root, tracked.as_ref().ok(), &LOCKFILES);
    nix.extend(scope.also.iter().cloned());
    let mut texts: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut unreadable = Vec::new();
    for path in nix {
        let instead = scope.instead.get(&path).cloned();
        match instead.map_or_else(|| std::fs::read(&path), Ok) {
            Ok(bytes) => {
                texts.insert(path, bytes);
            }
            Err(error) => unreadable.push((path, error.kind().to_string())),
        }
    }
    let candidates: Vec<PathBuf> =
        texts.iter().filter(|(_, bytes)| mentions(bytes)).map(|(path, _)| path.clone()).collect();
    let mut flakes: Vec<PathBuf> = texts
        .keys()
        .filter(|path| path.ends_with("flake.nix"))
        .filter_map(|path| path.parent().map(Path::to_path_buf))
        .collect();
    flakes.sort_by_key(|folder| (folder.components().count(), folder.clone()));
    let roots = import_roots(&texts, &candidates);
    let lockfiles = lockfiles.into_iter().collect();
    Ok(Found { root, candidates, flakes, roots, lockfiles, unreadable, borders, tracked })
}

fn mentions(bytes: &[u8]) -> bool {
    contains(bytes, b"importNpmLock")
        || contains(bytes, b"npmDeps")
        || contains(bytes, b"NpmDeps")
        || contains(bytes, b"buildNpmPackage")
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    let mut from = 0;
    while let Some(hit) = haystack[from..].iter().position(|byte| byte == first) {
        let start = from + hit + 1;
        if haystack[start..].starts_with(rest) {
            return true;
        }
        from = start;
    }
    false
}

/// Files that lead to candidates by relative paths, first those that no other one names. The others come after them: a
/// path may be handed to something that is not known, or files may name each other.
fn import_roots(texts: &BTreeMap<PathBuf, Vec<u8>>, candidates: &[PathBuf]) -> Vec<PathBuf> {
    let mut importers: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, bytes) in texts {
        let folder = path.parent().unwrap_or(path);
        for target in relative_paths(bytes) {
            let resolved = normalize(&folder.join(target));
            for file in [resolved.clone(), resolved.join("default.nix")] {
                if file != *path && texts.contains_key(&file) {
                    importers.entry(file).or_default().insert(path.clone());
                }
            }
            // A folder may be read as a whole.
            if resolved.extension().is_none() {
                let below = candidates.iter().filter(|file| {
                    *file != path && file.starts_with(&resolved) && !path.starts_with(&resolved)
                });
                for file in below {
                    importers.entry(file.clone()).or_default().insert(path.clone());
                }
            }
        }
    }
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    let mut queue: Vec<PathBuf> = candidates.to_vec();
    let mut roots = BTreeSet::new();
    while let Some(path) = queue.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        match importers.get(&path) {
            Some(from) if !from.is_empty() => queue.extend(from.iter().cloned()),
            _ => {
                roots.insert(path);
            }
        }
    }
    seen.retain(|path| !roots.contains(path) && candidates.binary_search(path).is_err());
    roots.into_iter().chain(seen).filter(|path| !path.ends_with("flake.nix")).collect()
}

/// Texts that look like relative paths; comments and strings are included, which does no harm.
fn relative_paths(bytes: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(hit) = bytes[at..].iter().position(|byte| *byte == b'.') {
        let start = at + hit;
        let rest = &bytes[start..];
        let fresh = start == 0 || !is_path_byte(bytes[start - 1]);
        if fresh && (rest.starts_with(b"./") || rest.starts_with(b"../")) {
            let length = rest.iter().take_while(|byte| is_path_byte(**byte)).count();
            paths.push(String::from_utf8_lossy(&rest[..length]).into_owned());
            at = start + length.max(1);
        } else {
            at = start + 1;
        }
    }
    paths
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/' | b'_' | b'-' | b'+')
}
