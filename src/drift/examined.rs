//! What is wrong with a lockfile of the repository, whatever its hash is.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use npm_lockfile::LockedTree;
use npm_lockfile::completeness::Completeness;

use super::findings::{Finding, out_of_step};

/// Those of a run, by their paths.
pub(super) type ExaminedLockfiles = HashMap<PathBuf, Examined>;

/// A lockfile with the manifest beside it. Its text is read once for both questions: of a repository whose hashes are all right, that
/// is most of what is left to do.
#[derive(Default)]
pub(super) struct Examined {
    /// What it has of what an offline install needs. Nothing where it is none: that is refused where its hash is computed.
    pub completeness: Option<Arc<Completeness>>,
    /// What `npm ci` refuses it for. Without a manifest beside it, it is not known which one it goes with.
    pub findings: Vec<Finding>,
}

impl Examined {
    pub(super) fn of(path: &Path, lockfile: &[u8]) -> Self {
        let Ok(tree) = LockedTree::read(lockfile) else { return Self::default() };
        let manifest = manifest_beside(path);
        Self {
            completeness: Some(Arc::new(tree.completeness(manifest.as_deref()))),
            findings: manifest.map(|own| out_of_step(path, &tree, &own)).unwrap_or_default(),
        }
    }
}

/// The `package.json` in the folder of a lockfile.
pub(super) fn manifest_beside(lockfile: &Path) -> Option<Vec<u8>> {
    fs::read(lockfile.with_file_name("package.json")).ok()
}
