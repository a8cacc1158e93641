//! Reading git's files, under bounds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::objs::{Kind, TreeRefIter};
use gix::open::Options;

use super::{GitError, absolute};

/// Larger files are read by no Nix expression that is looked at here.
const LARGEST_BLOB: u64 = 8 << 20;

/// A tree of this size has a hundred thousand entries, an index a million.
pub(super) const LARGEST_TREE: u64 = 16 << 20;
const LARGEST_INDEX: u64 = 256 << 20;

/// Larger files of git's bookkeeping are not git's.
pub(super) const LARGEST_NOTE: u64 = 16 << 20;

/// Folders within folders, and entries in all; a tree that names itself is none that git made.
const DEEPEST: usize = 128;
const MOST_ENTRIES: usize = 2_000_000;

/// An open repository.
pub(super) struct Reader(gix::Repository);

/// A file of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) id: ObjectId,
    /// Neither a symbolic link nor a submodule.
    pub(super) is_regular: bool,
}

/// What the library says, in one line. Its chain of causes names files of git's own.
pub(super) fn unreadable(error: impl std::fmt::Display) -> GitError {
    GitError::Unreadable(error.to_string().lines().next().unwrap_or_default().to_owned())
}

impl Reader {
    /// The repository whose top is this folder.
    pub(super) fn open(root: &Path) -> Result<Self, GitError> {
        if !super::is_top(root) {
            return Err(GitError::None);
        }
        let git =
            super::elsewhere(&root.join(".git")).map_or_else(|| root.join(".git"), |path| root.join(path));
        require_files(&git)?;
        let options = Options::isolated().open_path_as_is(true);
        let repository = gix::open_opts(root.join(".git"), options).map_err(unreadable)?;
        // The folder of a linked work tree has little but `HEAD`: configuration, refs and objects lie in this one.
        require_files(repository.common_dir())?;
        let top = repository.workdir().and_then(|folder| folder.canonicalize().ok());
        // `core.worktree` may name any other folder.
        if top != root.canonicalize().ok() {
            return Err(GitError::NotTheTop);
        }
        Ok(Self(repository))
    }

    /// The index; `None` where there is none yet.
    pub(super) fn index(&self) -> Result<Option<gix::index::File>, GitError> {
        let path = self.0.index_path();
        match fs::symlink_metadata(&path) {
            Err(_) => return Ok(None),
            Ok(metadata) if !metadata.is_file() || metadata.len() > LARGEST_INDEX => {
                return Err(GitError::Odd(path));
            }
            Ok(_) => {}
        }
        self.0.open_index().map(Some).map_err(unreadable)
    }

    /// The last commit.
    pub(super) fn head(&self) -> Result<ObjectId, GitError> {
        self.0.head_id().map(gix::Id::detach).map_err(|_| GitError::NoCommit)
    }

    /// What a revision and the last commit have in common.
    pub(super) fn merge_base(&self, revision: &str) -> Result<ObjectId, GitError> {
        let head = self.head()?;
        let commit = self.commit(revision)?;
        let base = self.0.merge_base(commit, head);
        base.ok().flatten().map(gix::Id::detach).ok_or_else(|| GitError::NoMergeBase(revision.to_owned()))
    }

    /// The commit that a revision names.
    pub(super) fn commit(&self, revision: &str) -> Result<ObjectId, GitError> {
        let unknown = || GitError::NoRevision(revision.to_owned());
        let named = self.0.rev_parse_single(revision).map_err(|_| unknown())?;
        Ok(named.object().and_then(gix::Object::peel_to_commit).map_err(|_| unknown())?.id)
    }

    /// The commits that a commit comes from.
    pub(super) fn parents(&self, commit: ObjectId) -> Result<Vec<ObjectId>, GitError> {
        let bytes = self.read(commit, Kind::Commit, LARGEST_NOTE)?;
        Ok(gix::objs::CommitRefIter::from_bytes(&bytes, commit.kind()).parent_ids().collect())
    }

    /// All files of a commit below this folder, its top.
    pub(super) fn files_of(
        &self,
        root: &Path,
        commit: ObjectId,
    ) -> Result<BTreeMap<PathBuf, Committed>, GitError> {
        let bytes = self.read(commit, Kind::Commit, LARGEST_NOTE)?;
        let tree =
            gix::objs::CommitRefIter::from_bytes(&bytes, commit.kind()).tree_id().map_err(unreadable)?;
        let mut files = BTreeMap::new();
        self.add(&mut files, root, tree, DEEPEST)?;
        Ok(files)
    }

    fn add(
        &self,
        files: &mut BTreeMap<PathBuf, Committed>,
        folder: &Path,
        tree: ObjectId,
        depth: usize,
    ) -> Result<(), GitError> {
        if depth == 0 || files.len() > MOST_ENTRIES {
            return Err(GitError::Unreadable("a tree without end".to_owned()));
        }
        let bytes = self.read(tree, Kind::Tree, LARGEST_TREE)?;
        for entry in TreeRefIter::from_bytes(&bytes, tree.kind()) {
            let entry = entry.map_err(unreadable)?;
            let Some(path) = absolute(folder, entry.filename) else { continue };
            let id = entry.oid.to_owned();
            match entry.mode.kind() {
                EntryKind::Tree => self.add(files, &path, id, depth - 1)?,
                kind => {
                    let is_regular = matches!(kind, EntryKind::Blob | EntryKind::BlobExecutable);
                    files.insert(path, Committed { id, is_regular });
                }
            }
        }
        Ok(())
    }

    /// The bytes of a file.
    pub(super) fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError> {
        self.read(id, Kind::Blob, LARGEST_BLOB)
    }

    /// The bytes of a file that may be larger than others.
    pub(super) fn large_blob(&self, id: ObjectId, most: u64) -> Result<Vec<u8>, GitError> {
        self.read(id, Kind::Blob, most)
    }

    /// An object's bytes, unless there are more than `most` of them.
    pub(super) fn read(&self, id: ObjectId, kind: Kind, most: u64) -> Result<Vec<u8>, GitError> {
        // The header alone first: a pack of kilobytes may hold an object of gigabytes.
        let header = self.0.find_header(id).map_err(unreadable)?;
        if header.kind() != kind || header.size() > most {
            return Err(GitError::Unreadable(format!("the object {id} is not a {kind} of a usual size")));
        }
        Ok(self.0.find_object(id).map_err(unreadable)?.detach().data)
    }
}

/// Whether what git reads first is made of files of a usual size: a FIFO in place of one would never answer.
fn require_files(git: &Path) -> Result<(), GitError> {
    for name in [
        "HEAD",
        "config",
        "config.worktree",
        "commondir",
        "packed-refs",
        "shallow",
        "objects/info/alternates",
    ] {
        let path = git.join(name);
        // `HEAD` can be a symbolic link to a branch.
        if fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file() || metadata.len() > LARGEST_NOTE) {
            return Err(GitError::Odd(path));
        }
    }
    Ok(())
}
