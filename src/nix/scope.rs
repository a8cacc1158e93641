//! Which files a survey looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::normalize;
use super::shell::LOCKFILES;

/// What to survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// A flake's folder, a repository, any folder in it, or one Nix file.
    pub path: PathBuf,
    /// The folder that bounds imports and lockfiles; by default the repository around `path`: the nearest folder upward
    /// with a `.git`, else the folder itself.
    pub root: Option<PathBuf>,
    /// Texts to take instead of what these files hold on disk, by absolute path.
    pub instead: BTreeMap<PathBuf, Vec<u8>>,
}

impl Scope {
    /// A path in the repository around it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), root: None, instead: BTreeMap::new() }
    }
}

/// The files of a repository that can matter.
pub(super) struct Found {
    /// The folder that bounds everything.
    pub root: PathBuf,
    /// Files that spell `npmDeps` or `fetchNpmDeps`.
    pub candidates: Vec<PathBuf>,
    /// Folders with a `flake.nix`.
    pub flakes: Vec<PathBuf>,
    /// Files from which imports lead to candidates: first those that nothing imports, then all that are no candidates
    /// themselves.
    pub roots: Vec<PathBuf>,
    /// Lockfiles below the target that git tracks or would track, but not those of installed packages.
    pub lockfiles: Vec<PathBuf>,
    /// Files that could not be read: path and reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The canonical path that was asked for.
    pub target: PathBuf,
}

/// The repository around a path: the nearest folder upward with a `.git`, else the folder itself.
#[must_use]
pub fn repository(path: &Path) -> PathBuf {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    folder.ancestors().find(|ancestor| ancestor.join(".git").exists()).unwrap_or(folder).to_path_buf()
}

/// Walks the repository.
///
/// # Errors
/// When the path itself cannot be resolved.
pub(super) fn discover(scope: &Scope) -> Result<Found, String> {
    let target = scope.path.canonicalize().map_err(|error| error.kind().to_string())?;
    let root = match &scope.root {
        Some(root) => root.canonicalize().map_err(|error| error.kind().to_string())?,
        None => repository(&target),
    };
    let mut texts: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut unreadable = Vec::new();
    let Listing { nix, lockfiles } = list(&root, &target);
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
    flakes.retain(|folder| folder.starts_with(&target) || target.starts_with(folder));
    flakes.sort_by_key(|folder| (folder.components().count(), folder.clone()));
    let wanted: Vec<PathBuf> = candidates.iter().filter(|path| path.starts_with(&target)).cloned().collect();
    let roots = import_roots(&texts, &wanted);
    Ok(Found { root, candidates, flakes, roots, lockfiles, unreadable, target })
}

/// What a repository holds.
#[derive(Default)]
struct Listing {
    nix: BTreeSet<PathBuf>,
    lockfiles: Vec<PathBuf>,
}

/// Every `*.nix` that git tracks or would track, and the target itself; lockfiles of the same kind below the target.
fn list(root: &Path, target: &Path) -> Listing {
    let mut listing = Listing::default();
    let walk = ignore::WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ext| ext == "nix") && path.is_file() {
            listing.nix.insert(path.to_path_buf());
        } else if path.starts_with(target) && is_lockfile(path) && path.is_file() {
            listing.lockfiles.push(path.to_path_buf());
        }
    }
    if target.is_file() {
        listing.nix.insert(target.to_path_buf());
    }
    listing.lockfiles.sort();
    listing
}

fn is_lockfile(path: &Path) -> bool {
    let named = path.file_name().is_some_and(|name| LOCKFILES.iter().any(|lockfile| name == *lockfile));
    named && !path.components().any(|part| part.as_os_str() == "node_modules")
}

fn mentions(bytes: &[u8]) -> bool {
    contains(bytes, b"npmDeps") || contains(bytes, b"NpmDeps") || contains(bytes, b"buildNpmPackage")
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
