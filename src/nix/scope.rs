//! Which files a survey looks at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::normalize;

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
    /// Files from which imports lead to candidates and that nothing imports.
    pub roots: Vec<PathBuf>,
    /// Files that could not be read: path and reason.
    pub unreadable: Vec<(PathBuf, String)>,
    /// The canonical path that was asked for.
    pub target: PathBuf,
}

/// The repository around a path: the nearest folder upward with a `.git`, else the folder itself.
pub(super) fn repository(path: &Path) -> PathBuf {
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
    for path in nix_files(&root, &target) {
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
    Ok(Found { root, candidates, flakes, roots, unreadable, target })
}

/// Every `*.nix` that git tracks or would track, and the target itself.
fn nix_files(root: &Path, target: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let walk = ignore::WalkBuilder::new(root)
        .hidden(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ext| ext == "nix") && path.is_file() {
            files.insert(path.to_path_buf());
        }
    }
    if target.is_file() {
        files.insert(target.to_path_buf());
    }
    files
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

/// Files that lead to candidates by relative paths, reduced to those that no other one names.
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
    roots.into_iter().filter(|path| !path.ends_with("flake.nix")).collect()
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
