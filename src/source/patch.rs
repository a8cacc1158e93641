//! A source's patches, applied to the lockfiles in it.

use std::fs;
use std::sync::Arc;

use nix_sites::{LockfileInside, Patch, RemoteSource, Shrinkwrap, apply_diff};
use npm_lockfile::FILE_NAMES;

/// The two files, in the order in which npm looks for them.
pub type LockfilePair = [Option<Arc<[u8]>>; 2];

/// Why it is not known what patches make of a lockfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unpatched(String);

/// Applies a source's patches to its lockfiles.
///
/// # Errors
/// When a patch is not known, or does not fit exactly.
pub(crate) fn apply_all(
    source: &RemoteSource,
    inside: &LockfileInside,
    mut files: LockfilePair,
) -> Result<LockfilePair, Unpatched> {
    let join = |folder: &str, name: &str| {
        if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
    };
    let of_shrinkwrap = match &inside.shrinkwrap {
        Shrinkwrap::In(folder) => folder,
        Shrinkwrap::Ignored | Shrinkwrap::Anywhere => &inside.folder,
    };
    let targets = [join(of_shrinkwrap, FILE_NAMES[0]), join(&inside.folder, FILE_NAMES[1])];
    for patch in &source.patches {
        match patch {
            Patch::Other(what) => return Err(Unpatched(format!("{what} may touch the lockfile"))),
            Patch::Local { path, strip, .. } => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let fail = |why: String| Unpatched(format!("the patch {name} {why}"));
                let bytes = fs::read(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
                apply_diff(&bytes, *strip, &source.patched_in, &targets, &mut files)
                    .map_err(|why| fail(why.to_owned()))?;
            }
        }
    }
    Ok(files)
}
