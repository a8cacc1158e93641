//! What git recorded, to tell a source that moved on from one that was replaced under its name.
//!
//! A hash that the commit has for the very same origin was true of that origin. A hash that it has for another one, or
//! not at all, says nothing about this one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::digest::{Digest, Recorded};
use super::origin::Origin;
use super::resolve;
use crate::nix::{self, Scope};
use crate::repository::git::{Git, GitError};

/// Files that Nix expressions are made of, or read.
const READ: [&str; 5] = ["nix", "json", "toml", "lock", "txt"];

/// Whether a file may be one that Nix expressions are made of, or read.
#[must_use]
pub fn is_read(path: &Path) -> bool {
    path.extension().is_some_and(|own| READ.iter().any(|known| *own == **known))
}

/// What the last commit of a repository records.
pub struct Head {
    root: PathBuf,
    committed: OnceLock<Result<Vec<Committed>, String>>,
    staged: OnceLock<BTreeMap<PathBuf, Vec<u8>>>,
}

/// A source of the last commit.
struct Committed {
    /// `None` if its origin is not known.
    identity: Option<String>,
    recorded: Option<Digest>,
}

impl Head {
    /// The last commit of the repository at `root`. Nothing is read before it is asked for.
    #[must_use]
    pub fn of(root: PathBuf) -> Self {
        Self { root, committed: OnceLock::new(), staged: OnceLock::new() }
    }

    /// The repository's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the last commit records this hash for this origin.
    ///
    /// # Errors
    /// When that is not known: why.
    pub fn records(&self, origin: &Origin, recorded: &Digest) -> Result<bool, String> {
        let read = || self.read().map_err(|error| error.to_string());
        let committed = self.committed.get_or_init(read).as_ref().map_err(Clone::clone)?;
        let identity = origin.identity();
        let same_hash: Vec<_> =
            committed.iter().filter(|source| source.recorded.as_ref() == Some(recorded)).collect();
        if same_hash.iter().any(|source| source.identity.as_ref() == Some(&identity)) {
            return Ok(true);
        }
        if same_hash.iter().any(|source| source.identity.is_none()) {
            return Err("the last commit has this hash for a source that is not known".to_owned());
        }
        Ok(false)
    }

    /// The bytes that the next commit has of a JSON file, as things are staged, where the file itself holds others; nothing if
    /// they are the same, or not known.
    #[must_use]
    pub fn staged(&self, path: &Path) -> Option<&[u8]> {
        let is_json = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
        let staged = self.staged.get_or_init(|| Git::of(&self.root).staged(is_json).unwrap_or_default());
        staged.get(path).map(Vec::as_slice)
    }

    fn read(&self) -> Result<Vec<Committed>, GitError> {
        let instead = Git::of(&self.root).committed(is_read)?;
        let scope = Scope { instead, ..Scope::of(&self.root) };
        let survey = nix::survey(&scope);
        let sources = survey.sites.iter().flat_map(nix::Site::sources);
        let committed = sources.map(|source| match resolve(source) {
            Ok(resolved) => Committed {
                identity: Some(resolved.origin.identity()),
                recorded: match resolved.recorded {
                    Recorded::Known(digest) => Some(digest),
                    Recorded::Placeholder(_) => None,
                },
            },
            Err(_) => Committed { identity: None, recorded: super::recorded(source) },
        });
        Ok(committed.collect())
    }
}
