//! The files of a repository that can matter, and the borders at which the search for them ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder, WalkState};

use super::git::{self, Tracked};

/// What a `CACHEDIR.TAG` begins with, as the convention of that name has it.
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Where something of somebody else begins: it is read where a path leads into it, never searched, never written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Border {
    /// The folder.
    pub folder: PathBuf,
    /// Whose it is.
    pub kind: BorderKind,
}

/// Whose folder it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BorderKind {
    /// A clone inside of the repository.
    Repository,
    /// Another work tree of some repository.
    Worktree,
    /// A submodule.
    Submodule,
    /// A folder that a tool marks as its own, such as cargo's checkouts.
    Tool,
}

impl BorderKind {
    /// What people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Repository => "a repository of its own",
            Self::Worktree => "a work tree of its own",
            Self::Submodule => "a submodule",
            Self::Tool => "another tool's folder",
        }
    }
}

/// What a repository holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// Every `*.nix` that git tracks or would track.
    pub nix: BTreeSet<PathBuf>,
    /// Lockfiles of the same kind, but not those of installed packages.
    pub lockfiles: BTreeSet<PathBuf>,
    /// Folders that were not searched, sorted.
    pub borders: Vec<Border>,
}

impl Listing {
    fn add(&mut self, path: &Path, lockfiles: &[&str]) {
        if is_nix(path) && path.is_file() {
            self.nix.insert(path.to_path_buf());
        } else if is_lockfile(path, lockfiles) && path.is_file() {
            self.lockfiles.insert(path.to_path_buf());
        }
    }

    /// The same with the borders that were met.
    fn within(mut self, borders: &Mutex<Vec<Border>>) -> Self {
        self.borders = std::mem::take(&mut borders.lock().unwrap_or_else(PoisonError::into_inner));
        self.borders.sort();
        self
    }
}

/// Walks a repository. `lockfiles` are the names of those.
///
/// What git tracks is listed even where a pattern of git's ignores it: it is in every clone, and so there for Nix.
#[must_use]
pub fn list(root: &Path, tracked: Option<&Arc<Tracked>>, lockfiles: &[&str]) -> Listing {
    let mut listing = few(root, tracked, lockfiles).unwrap_or_else(|| side_by_side(root, tracked, lockfiles));
    let mut excluded = Excluded { root, files: BTreeMap::new() };
    for path in tracked.into_iter().flat_map(|tracked| tracked.files()) {
        let listed = listing.nix.contains(path) || listing.lockfiles.contains(path);
        if !listed && (is_nix(path) || is_lockfile(path, lockfiles)) && !excluded.has(path) {
            listing.add(path, lockfiles);
        }
    }
    listing
}

/// Trees with more entries than these are walked by several threads.
const FEW: usize = 1_000;

/// What a small tree holds, walked by this thread; `None` for a larger one. The threads of a walk that finds nothing more to do sleep for
/// a millisecond before they look again, and that is a tenth of what a flake of 3,000 lines takes.
fn few(root: &Path, tracked: Option<&Arc<Tracked>>, lockfiles: &[&str]) -> Option<Listing> {
    let borders = Arc::default();
    let mut listing = Listing::default();
    for (n, entry) in walk(root, tracked, Arc::clone(&borders)).build().enumerate() {
        if n == FEW {
            return None;
        }
        if let Ok(entry) = entry {
            listing.add(entry.path(), lockfiles);
        }
    }
    Some(listing.within(&borders))
}

/// What a tree holds, walked by as many threads as there are cores: a folder costs ten calls of the system, for files of patterns
/// that are not there and marks of borders.
fn side_by_side(root: &Path, tracked: Option<&Arc<Tracked>>, lockfiles: &[&str]) -> Listing {
    let listing = Mutex::new(Listing::default());
    let borders = Arc::default();
    walk(root, tracked, Arc::clone(&borders)).build_parallel().run(|| {
        Box::new(|entry| {
            if let Ok(entry) = entry
                && (is_nix(entry.path()) || is_lockfile(entry.path(), lockfiles))
            {
                listing.lock().unwrap_or_else(PoisonError::into_inner).add(entry.path(), lockfiles);
            }
            WalkState::Continue
        })
    });
    listing.into_inner().unwrap_or_else(PoisonError::into_inner).within(&borders)
}

/// The folders in which something can change that matters: those that git tracks or would track files in, and the one in which
/// git notes what it tracks.
#[must_use]
pub fn folders(root: &Path, tracked: Option<&Arc<Tracked>>) -> BTreeSet<PathBuf> {
    let is_folder = |entry: &DirEntry| entry.file_type().is_some_and(|kind| kind.is_dir());
    let entries = walk(root, tracked, Arc::default()).build().flatten();
    let mut folders: BTreeSet<PathBuf> = entries.filter(is_folder).map(DirEntry::into_path).collect();
    let files = tracked.into_iter().flat_map(|tracked| tracked.files());
    folders
        .extend(files.filter_map(|file| file.parent()).filter(|folder| folder.is_dir()).map(Path::to_owned));
    folders.extend([root.join(".git")].into_iter().filter(|folder| folder.is_dir()));
    folders
}

/// Everything that git tracks or would track, up to the borders, which are collected.
pub(super) fn walk(
    root: &Path,
    tracked: Option<&Arc<Tracked>>,
    borders: Arc<Mutex<Vec<Border>>>,
) -> WalkBuilder {
    let tracked = tracked.cloned();
    let wanted = move |entry: &DirEntry| {
        if entry.file_name() == ".git" {
            return false;
        }
        // The top has a `.git` as well, and would end the walk at once.
        if entry.depth() == 0 || !entry.file_type().is_some_and(|kind| kind.is_dir()) {
            return true;
        }
        let Some(kind) = border(entry.path(), tracked.as_deref()) else { return true };
        let border = Border { folder: entry.path().to_owned(), kind };
        borders.lock().unwrap_or_else(PoisonError::into_inner).push(border);
        false
    };
    let mut walk = WalkBuilder::new(root);
    // Nix sees `.github` like any folder; and an unpacked archive has its `.gitignore`, but no git.
    walk.hidden(false).require_git(false).filter_entry(wanted);
    walk
}

/// Whose a folder is, if not the repository's. The template for GitLab kept `CARGO_HOME` in the project once, where cargo's
/// checkout of this program made 781 undecided sites of our own fixtures.
fn border(folder: &Path, tracked: Option<&Tracked>) -> Option<BorderKind> {
    if tracked.is_some_and(|tracked| tracked.is_submodule(folder)) {
        return Some(BorderKind::Submodule);
    }
    if git::is_top(folder) {
        return Some(git::kind_of(folder));
    }
    let marked = folder.join(".cargo-ok").exists() || is_cache(folder);
    // What the repository tracks is its own, whatever a tool says.
    let own = || tracked.is_some_and(|tracked| tracked.has_below(folder));
    (marked && !own()).then_some(BorderKind::Tool)
}

fn is_cache(folder: &Path) -> bool {
    let tag = folder.join("CACHEDIR.TAG");
    let regular = fs::symlink_metadata(&tag).is_ok_and(|metadata| metadata.is_file());
    let mut start = [0; CACHE_SIGNATURE.len()];
    let mut read = || File::open(&tag)?.read_exact(&mut start);
    regular && read().is_ok() && start == CACHE_SIGNATURE
}

fn is_nix(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "nix")
}

fn is_lockfile(path: &Path, lockfiles: &[&str]) -> bool {
    let fits = path.file_name().is_some_and(|own| lockfiles.iter().any(|name| own == *name));
    fits && !path.components().any(|part| part.as_os_str() == "node_modules")
}

/// What files named `.ignore` exclude, which counts for tracked files, too.
struct Excluded<'a> {
    root: &'a Path,
    files: BTreeMap<PathBuf, Option<Gitignore>>,
}

impl Excluded<'_> {
    fn has(&mut self, path: &Path) -> bool {
        let root = self.root;
        let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
        let mut verdicts = folders.filter_map(|folder| {
            let file = self.files.entry(folder.to_owned()).or_insert_with(|| read(folder));
            let verdict = file.as_ref()?.matched_path_or_any_parents(path, false);
            (!verdict.is_none()).then(|| verdict.is_ignore())
        });
        // The nearest file that says anything decides.
        verdicts.next().unwrap_or(false)
    }
}

fn read(folder: &Path) -> Option<Gitignore> {
    let file = folder.join(".ignore");
    if !file.is_file() {
        return None;
    }
    let mut builder = GitignoreBuilder::new(folder);
    builder.add(file);
    builder.build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with a border, an ignored file, a lockfile, and so many Nix files besides.
    fn tree(files: usize) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
            fs::write(path, text).expect("a file");
        };
        write(".gitignore", "ignored.nix\n");
        write("ignored.nix", "1");
        write("web/package-lock.json", "{}");
        write("web/node_modules/x/package-lock.json", "{}");
        write("own/.git/HEAD", "ref: refs/heads/main\n");
        write("own/inside.nix", "1");
        (0..files).for_each(|n| write(&format!("d{}/f{n}.nix", n % 7), "1"));
        root
    }

    #[test]
    fn a_large_tree_holds_the_same_as_a_small_one() {
        for (files, is_small) in [(3, true), (FEW + 1, false)] {
            let root = tree(files);
            let names = ["package-lock.json"];
            assert_eq!(few(root.path(), None, &names).is_some(), is_small);
            let listing = list(root.path(), None, &names);
            let other = side_by_side(root.path(), None, &names);
            assert_eq!((&listing.nix, &listing.borders), (&other.nix, &other.borders));
            assert_eq!(listing.nix.len(), files);
            assert_eq!(listing.lockfiles, BTreeSet::from([root.path().join("web/package-lock.json")]));
            let border = Border { folder: root.path().join("own"), kind: BorderKind::Repository };
            assert_eq!(listing.borders, [border]);
        }
    }
}
