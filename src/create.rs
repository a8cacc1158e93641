//! Files that are new, together with replacements: all of them or none.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::replace::{FileDraft, FileReplacement, ReplaceError, replace_all};

/// A file that shall come into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creation {
    /// Where; folders on the way are made.
    pub path: PathBuf,
    /// What it shall hold.
    pub bytes: Vec<u8>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is something already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The system would not have it.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A replacement failed.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
}

/// Creates all files, then replaces all, or does nothing. A file appears whole.
///
/// # Errors
/// A file exists, cannot be written, or cannot be replaced. What had been created by then is removed.
pub fn create_all(creations: &[Creation], replacements: &[FileReplacement]) -> Result<(), CreateError> {
    let mut made = Vec::new();
    let result = creations
        .iter()
        .try_for_each(|creation| create(creation, &mut made))
        // Last, because it undoes itself where it fails; what was created before is removed below.
        .and_then(|()| Ok(replace_all(replacements)?));
    if result.is_err() {
        // A folder can be removed only after what was put into it.
        made.iter().rev().for_each(Created::undo);
    }
    result
}

/// What was made, in the order of making.
enum Created {
    Folder(PathBuf),
    File(PathBuf),
}

impl Created {
    fn undo(&self) {
        // Somebody else's file in a folder keeps it.
        let _ = match self {
            Self::Folder(path) => fs::remove_dir(path),
            Self::File(path) => fs::remove_file(path),
        };
    }
}

fn create(creation: &Creation, made: &mut Vec<Created>) -> Result<(), CreateError> {
    let Creation { path, bytes } = creation;
    let failed = |source| CreateError::Io { path: path.clone(), source };
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_folders(folder, made).map_err(failed)?;
    let mut draft = FileDraft::in_folder(folder).map_err(failed)?;
    draft.write(bytes).map_err(failed)?;
    draft.create(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => CreateError::Exists(path.clone()),
        _ => failed(error),
    })?;
    made.push(Created::File(path.clone()));
    Ok(())
}

fn make_folders(folder: &Path, made: &mut Vec<Created>) -> io::Result<()> {
    let missing: Vec<_> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder)?;
        made.push(Created::Folder(folder.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn creation(path: &Path) -> Creation {
        Creation { path: path.to_owned(), bytes: b"new".to_vec() }
    }

    #[test]
    fn all_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("a/b/c.json"), folder.path().join("flake.nix"));
        fs::write(&old, "changed meanwhile").unwrap();
        let stale = FileReplacement { path: old.clone(), old: b"1".to_vec(), new: b"2".to_vec() };
        assert!(matches!(create_all(&[creation(&new)], &[stale]), Err(CreateError::Replace(_))));
        assert!(!folder.path().join("a").exists(), "the folders are gone, too");
        create_all(&[creation(&new)], &[]).unwrap();
        assert_eq!(fs::read(&new).unwrap(), b"new");
        let again = [creation(&folder.path().join("a/d")), creation(&new)];
        assert!(matches!(create_all(&again, &[]), Err(CreateError::Exists(path)) if path == new));
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }
}
