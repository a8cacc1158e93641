//! What git knows of a repository: which files it tracks, what the last commit holds, what changed since another one.
//!
//! git itself is not run: a `.git` folder that somebody else made can make an older git run programs. A library reads its
//! files, with nothing of the user's or the system's configuration, no includes, and no network. What is read is bounded,
//! and so is the time: a FIFO in the place of an object would let a reader wait for ever.

mod attributes;
mod history;
mod merging;
mod now;
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use gix::bstr::{BStr, ByteSlice as _};
use gix::index::entry;
use tracing::debug;

pub use self::attributes::{MergedBy, merged_by};
pub use self::history::{ComparedState, Earlier, HistoryAnswer, HistoryQuestion, Last, Past};
pub use self::merging::{Marks, Versions, merge};
use self::now::Now;
use self::reader::Reader;
use super::list::{BorderKind, walk};

/// What git's files are given to answer. The index of a hundred thousand files takes tens of milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Texts of a commit that are kept at one time, in bytes.
const MOST_TEXT: usize = 256 << 20;

/// Why something is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// There is no repository of git's.
    #[error("git knows nothing of this folder")]
    None,
    /// Its top is elsewhere.
    #[error("the repository's folder is not the top of git's")]
    NotTheTop,
    /// A file of git's own is none, or too large.
    #[error("{} is not a file that git wrote", .0.display())]
    Odd(PathBuf),
    /// No answer in time.
    #[error("git's files did not answer in time")]
    Time,
    /// There is no commit.
    #[error("git knows no last commit of this repository")]
    NoCommit,
    /// A revision that is not there.
    #[error("git knows no commit `{0}`")]
    NoRevision(String),
    /// Two commits without a common ancestor.
    #[error("git knows no common ancestor of the last commit and `{0}`")]
    NoMergeBase(String),
    /// Anything else.
    #[error("git's files cannot be read: {0}")]
    Unreadable(String),
}

/// Asks for `what`, a word for the log, in a thread of its own, which is left behind where there is no answer.
fn in_time<T: Send + 'static>(
    what: &'static str,
    ask: impl FnOnce() -> Result<T, GitError> + Send + 'static,
) -> Result<T, GitError> {
    let (answer, answers) = mpsc::channel();
    let asking = thread::Builder::new().spawn(move || answer.send(ask()));
    asking.map_err(|error| GitError::Unreadable(error.to_string()))?;
    let began = Instant::now();
    let answer = answers.recv_timeout(PATIENCE).unwrap_or(Err(GitError::Time));
    match &answer {
        Ok(_) => debug!(what, took = ?began.elapsed(), "git knows"),
        Err(error) => debug!(what, took = ?began.elapsed(), why = %error, "git does not know"),
    }
    answer
}

/// Whether a folder is the top of a work tree: git takes a `.git` for a repository if it has a `HEAD`.
pub(super) fn is_top(folder: &Path) -> bool {
    let git = folder.join(".git");
    match fs::metadata(&git) {
        Ok(metadata) if metadata.is_dir() => fs::symlink_metadata(git.join("HEAD")).is_ok(),
        Ok(metadata) => metadata.is_file() && elsewhere(&git).is_some(),
        Err(_) => false,
    }
}

/// What kind of work tree begins at such a folder.
pub(super) fn kind_of(folder: &Path) -> BorderKind {
    let Some(target) = elsewhere(&folder.join(".git")) else { return BorderKind::Repository };
    let within = |name: &str| target.components().any(|part| part.as_os_str() == name);
    // The work tree of a submodule has both in its path: `modules/NAME/worktrees/NAME`.
    match (within("worktrees"), within("modules")) {
        (true, _) => BorderKind::Worktree,
        (false, true) => BorderKind::Submodule,
        (false, false) => BorderKind::Repository,
    }
}

/// Where the file `.git` of a worktree or submodule points.
fn elsewhere(file: &Path) -> Option<PathBuf> {
    if !fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(file).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(PathBuf::from(text.strip_prefix("gitdir:")?.trim()))
}

/// The files that git tracks: what its index names, be it committed or not.
#[derive(Debug, Default)]
pub struct Tracked {
    files: BTreeSet<PathBuf>,
    submodules: BTreeSet<PathBuf>,
    /// Folders of a sparse index, which stand for all files in them.
    folders: BTreeSet<PathBuf>,
}

impl Tracked {
    /// All of them, absolute.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter()
    }

    /// Whether git tracks this file.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.files.contains(path) || path.ancestors().any(|folder| self.folders.contains(folder))
    }

    /// Whether git tracks anything in this folder.
    pub(super) fn has_below(&self, folder: &Path) -> bool {
        // Paths are ordered by their parts, so that what lies in a folder follows it directly.
        let first = self.files.range(folder.to_owned()..).find(|path| *path != folder);
        first.is_some_and(|path| path.starts_with(folder))
            || self.folders.iter().any(|own| own.starts_with(folder))
    }

    /// Whether a submodule belongs into this folder.
    pub(super) fn is_submodule(&self, folder: &Path) -> bool {
        self.submodules.contains(folder)
    }

    fn of(root: &Path, index: &gix::index::File) -> Self {
        let mut tracked = Self::default();
        for entry in index.entries() {
            let Some(path) = absolute(root, entry.path(index)) else { continue };
            match entry.mode {
                entry::Mode::COMMIT => tracked.submodules.insert(path),
                entry::Mode::DIR => tracked.folders.insert(path),
                _ => tracked.files.insert(path),
            };
        }
        tracked
    }
}

/// A path of git's as one of the file system; `None` for what no work tree can hold.
fn absolute(root: &Path, path: &BStr) -> Option<PathBuf> {
    let relative = gix::path::from_bstr(path.trim_end_with(|c| c == '/').as_bstr()).ok()?;
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| root.join(relative))
}

/// What changed between a commit and the files as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// The commit, in hexadecimal: the merge base of the last commit and the one that was named.
    pub base: String,
    /// Files that are new, gone or others, and submodules at other commits.
    pub paths: BTreeSet<PathBuf>,
}

impl Changed {
    /// Whether a file changed, or for a folder anything in it.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        let below = self.paths.range(path.to_owned()..).next().is_some_and(|found| found.starts_with(path));
        // A submodule that moved changed whatever is in it.
        below || path.ancestors().skip(1).any(|folder| self.paths.contains(folder))
    }
}

/// What a commit has in the place of files that changed since.
#[derive(Debug, Default)]
pub struct Before {
    /// Texts of files that it has.
    pub texts: BTreeMap<PathBuf, Vec<u8>>,
    /// Everything else that changed: what it does not have, what is not text or too large, and what a partial clone left at
    /// the server.
    pub absent: BTreeSet<PathBuf>,
}

/// What git knows; nothing is read before it is asked for.
pub struct Git {
    root: PathBuf,
    tracked: OnceLock<Result<Arc<Tracked>, GitError>>,
}

impl Git {
    /// git's knowledge of the repository at this folder, which is its top.
    #[must_use]
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), tracked: OnceLock::new() }
    }

    /// What it tracks.
    ///
    /// # Errors
    /// When that is not known.
    pub fn tracked(&self) -> Result<&Arc<Tracked>, GitError> {
        let root = self.root.clone();
        let read = || {
            in_time("tracked files", move || {
                let index = Reader::open(&root)?.index()?;
                Ok(Arc::new(index.map_or_else(Tracked::default, |index| Tracked::of(&root, &index))))
            })
        };
        self.tracked.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// The bytes that the last commit has for files whose bytes on disk are others, or which are gone; of files for whose
    /// path `wanted` says so.
    ///
    /// # Errors
    /// When there is no commit, or it cannot be read.
    pub fn committed(&self, wanted: fn(&Path) -> bool) -> Result<BTreeMap<PathBuf, Vec<u8>>, GitError> {
        let root = self.root.clone();
        in_time("files of the last commit", move || {
            let reader = Reader::open(&root)?;
            let files = reader.files_of(&root, reader.head()?)?;
            let differs = |path: &Path, file| wanted(path) && now::blob_id(path, file) != Some(file);
            let changed = files.into_iter().filter(|(path, file)| file.is_regular && differs(path, file.id));
            changed.map(|(path, file)| Ok((path, reader.blob(file.id)?))).collect()
        })
    }

    /// The bytes that the index has for files whose bytes on disk are others; of files for whose path `wanted` says so.
    ///
    /// # Errors
    /// When git's files cannot be read.
    pub fn staged(&self, wanted: fn(&Path) -> bool) -> Result<BTreeMap<PathBuf, Vec<u8>>, GitError> {
        let root = self.root.clone();
        in_time("files of the index", move || {
            let reader = Reader::open(&root)?;
            let Some(index) = reader.index()? else { return Ok(BTreeMap::new()) };
            let mut staged = BTreeMap::new();
            for entry in index.entries() {
                let regular = matches!(entry.mode, entry::Mode::FILE | entry::Mode::FILE_EXECUTABLE);
                let Some(path) = absolute(&root, entry.path(&index)).filter(|path| regular && wanted(path))
                else {
                    continue;
                };
                // git itself takes a file for unchanged that differs by line endings alone.
                if now::blob_id(&path, entry.id) != Some(entry.id) {
                    staged.insert(path, reader.blob(entry.id)?);
                }
            }
            Ok(staged)
        })
    }

    /// What changed since the last commit that this revision and the last commit have in common, in submodules that are
    /// checked out, too.
    ///
    /// # Errors
    /// When a commit is not there, as in a shallow clone, or cannot be read.
    pub fn changed_since(&self, revision: &str) -> Result<Changed, GitError> {
        let (root, revision) = (self.root.clone(), revision.to_owned());
        in_time("what changed since a commit", move || {
            let reader = Reader::open(&root)?;
            let base = reader.merge_base(&revision)?;
            Ok(Changed {
                base: base.to_hex().to_string(),
                paths: differences(&root, &reader, base, DEEPEST)?,
            })
        })
    }

    /// What the commit of a comparison has in the place of what changed; of files for whose path `wanted` says so the
    /// texts.
    ///
    /// # Errors
    /// When the commit cannot be read.
    pub fn before(&self, changed: &Changed, wanted: fn(&Path) -> bool) -> Result<Before, GitError> {
        let (root, Changed { base, paths }) = (self.root.clone(), changed.clone());
        in_time("files of an earlier commit", move || {
            let reader = Reader::open(&root)?;
            let unreadable = |_| GitError::NoRevision(base.clone());
            let then =
                reader.files_of(&root, gix::ObjectId::from_hex(base.as_bytes()).map_err(unreadable)?)?;
            let mut before = Before::default();
            let mut left = MOST_TEXT;
            for path in paths {
                let file = then.get(&path).filter(|file| file.is_regular && wanted(&path));
                match file.and_then(|file| reader.blob(file.id).ok()).filter(|text| text.len() <= left) {
                    Some(text) => {
                        left -= text.len();
                        before.texts.insert(path, text);
                    }
                    None => drop(before.absent.insert(path)),
                }
            }
            Ok(before)
        })
    }
}

/// Submodules of submodules that are looked into.
const DEEPEST: usize = 8;

/// The files that a commit and the folder have different, be it that only one of them has them.
fn differences(
    root: &Path,
    reader: &Reader,
    base: gix::ObjectId,
    depth: usize,
) -> Result<BTreeSet<PathBuf>, GitError> {
    let then = reader.files_of(root, base)?;
    let index = reader.index()?;
    let tracked = index.as_ref().map(|index| Arc::new(Tracked::of(root, index)));
    let now = Now::new(root, index);
    let mut paths: BTreeSet<PathBuf> = then.keys().chain(now.paths()).cloned().collect();
    let on_disk = walk(root, tracked.as_ref(), Arc::new(Mutex::new(Vec::new()))).build().flatten();
    paths.extend(on_disk.map(ignore::DirEntry::into_path).filter(|path| !is_folder(path)));
    paths.retain(|path| now.id(path, base.kind()) != then.get(path).map(|file| file.id));
    for submodule in tracked.iter().flat_map(|tracked| &tracked.submodules) {
        if paths.contains(submodule) || !is_top(submodule) {
            continue;
        }
        // At the same commit its files may still be others.
        let below = depth.checked_sub(1).and_then(|depth| {
            let reader = Reader::open(submodule).ok()?;
            differences(submodule, &reader, reader.head().ok()?, depth).ok()
        });
        match below {
            Some(below) => paths.extend(below),
            None => drop(paths.insert(submodule.clone())),
        }
    }
    Ok(paths)
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}
