//! Replacing files: each one atomically, all of them or none.
//!
//! Every new text is first written in full beside its file, synced, and given the file's permissions; only then are
//! they renamed over the originals, one after the other. Whoever is killed in between leaves each file old or new.

use std::{
    fs,
    fs::File,
    io,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tempfile::NamedTempFile;

/// How the new texts are named until they are in place.
pub(crate) const PREFIX: &str = ".npm-nixhash-";

/// From this age on a waiting text whose writer is gone is litter.
const ABANDONED: Duration = Duration::from_mins(1);

/// A file whose bytes shall change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The file; of a symbolic link the target is replaced.
    pub path: PathBuf,
    /// What the file held when the new bytes were made.
    pub old: Vec<u8>,
    /// What it shall hold.
    pub new: Vec<u8>,
}

/// Why no file was replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The file no longer holds what the replacement was made for.
    #[error("{} changed while its new text was made", .0.display())]
    Changed(PathBuf),
    /// The system would not have it.
    #[error("cannot replace {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file was replaced, a later one could not be, and the first could not be put back.
    #[error("{} was replaced and cannot be put back", path.display())]
    Half {
        /// The file that holds its new bytes although it should not.
        path: PathBuf,
        /// Why it could not be put back.
        #[source]
        source: io::Error,
    },
}

/// Replaces all files, or none.
///
/// Errors: a file changed meanwhile, or cannot be read, written or renamed. What had been replaced by then is put back.
pub fn replace_all(replacements: &[Replacement]) -> Result<(), ReplaceError> {
    let staged = replacements.iter().map(Staged::prepare).collect::<Result<Vec<_>, _>>()?;
    let mut done: Vec<&Replacement> = Vec::new();
    for (staged, replacement) in staged.into_iter().zip(replacements) {
        if let Err(error) = staged.commit() {
            put_back(&done)?;
            return Err(error);
        }
        done.push(replacement);
    }
    Ok(())
}

fn put_back(done: &[&Replacement]) -> Result<(), ReplaceError> {
    for replacement in done {
        let Replacement { path, old, new } = replacement;
        let back = Replacement { path: path.clone(), old: new.clone(), new: old.clone() };
        let restored = Staged::prepare(&back).and_then(Staged::commit);
        restored
            .map_err(|error| ReplaceError::Half { path: path.clone(), source: io::Error::other(error) })?;
    }
    Ok(())
}

/// A new text that waits beside its file.
struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    fn prepare(replacement: &Replacement) -> Result<Self, ReplaceError> {
        let Replacement { path, old, new } = replacement;
        let fail = |source| ReplaceError::Io { path: path.clone(), source };
        let target = fs::canonicalize(path).map_err(fail)?;
        if &fs::read(&target).map_err(fail)? != old {
            return Err(ReplaceError::Changed(path.clone()));
        }
        let file = write_beside(&target, new).map_err(fail)?;
        Ok(Self { file, target })
    }

    fn commit(self) -> Result<(), ReplaceError> {
        let Self { file, target } = self;
        match file.persist(&target) {
            Ok(_) => Ok(()),
            Err(error) => Err(ReplaceError::Io { path: target, source: error.error }),
        }
    }
}

fn write_beside(target: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let folder = target.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder)?;
    // Tells others that somebody is still at it; a file system without locks has nobody to tell.
    let _ = file.as_file().lock();
    file.write_all(bytes)?;
    file.as_file().set_permissions(fs::metadata(target)?.permissions())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Removes what killed runs left waiting in a folder. Failing at it is no failure.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    for entry in entries.flatten().filter(ours) {
        if is_abandoned(&entry.path()).unwrap_or(false) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> io::Result<bool> {
    let file = File::open(path)?;
    let age = SystemTime::now().duration_since(file.metadata()?.modified()?).unwrap_or_default();
    Ok(age >= ABANDONED && file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement(path: PathBuf, old: &str, new: &str) -> Replacement {
        Replacement { path, old: old.into(), new: new.into() }
    }

    #[test]
    fn all_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "changed meanwhile").unwrap();
        let both = [replacement(a.clone(), "1", "2"), replacement(b.clone(), "1", "2")];
        assert!(matches!(replace_all(&both), Err(ReplaceError::Changed(path)) if path == b));
        assert_eq!(fs::read_to_string(&a).unwrap(), "1");
        fs::write(&b, "1").unwrap();
        replace_all(&both).unwrap();
        assert_eq!(fs::read_to_string(&a).unwrap() + &fs::read_to_string(&b).unwrap(), "22");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_the_mode_is_kept() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("real")).unwrap();
        let (real, link) = (folder.path().join("real/flake.nix"), folder.path().join("flake.nix"));
        fs::write(&real, "1").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("real/flake.nix", &link).unwrap();
        replace_all(&[replacement(link.clone(), "1", "2")]).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "2");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
