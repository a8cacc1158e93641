//! Replacing files: each one atomically, all of them or none.
//!
//! Every new text is first written in full for its folder, synced, and given the file's permissions; only then do they take
//! the places of the originals, one after the other. A process that is killed in between leaves each file old or new.
//!
//! Several runs at once take turns: each file is locked from the look at what it holds until it is replaced. What another
//! run has made right meanwhile is right.

mod draft;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{io, thread};

pub(crate) use draft::FileDraft;
pub use draft::sweep;
use error_advice::Advise;
use tracing::info;

/// How long another run is waited for, which takes milliseconds for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file whose bytes shall change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReplacement {
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
    /// Files were replaced, a later one could not be, and these could not be put back.
    #[error("replaced and cannot be put back: {}", names(paths))]
    Half {
        /// The files that hold their new bytes although they should not.
        paths: Vec<PathBuf>,
        /// Why the first of them could not be put back.
        #[source]
        source: Box<ReplaceError>,
    },
}

impl Advise for ReplaceError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Changed(_) => Some("another program is writing to it; run this again".into()),
            Self::Half { .. } => Some("git has the old texts; the new ones are right by themselves".into()),
            Self::Io { .. } => None,
        }
    }
}

fn names(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Replaces all files, or none. A file that holds its new bytes already is left as it is.
///
/// # Errors
/// When a file changed to something else meanwhile, or cannot be read, written or renamed. What had been replaced by then
/// is put back.
pub fn replace_all(replacements: &[FileReplacement]) -> Result<(), ReplaceError> {
    // One order for all runs, so that no two wait for each other.
    let mut ordered: Vec<&FileReplacement> = replacements.iter().collect();
    ordered.sort_by(|a, b| a.path.cmp(&b.path));
    let staged = ordered.iter().map(|one| Staged::prepare(one)).collect::<Result<Vec<_>, _>>()?;
    let mut done: Vec<&FileReplacement> = Vec::new();
    for (staged, replacement) in staged.into_iter().zip(ordered) {
        let Some(staged) = staged else { continue };
        if let Err(error) = staged.commit() {
            put_back(&done)?;
            return Err(error);
        }
        info!(file = %replacement.path.display(), bytes = replacement.new.len(), "written");
        done.push(replacement);
    }
    Ok(())
}

/// Puts back all that can be put back, and names the rest.
fn put_back(done: &[&FileReplacement]) -> Result<(), ReplaceError> {
    let mut left = Vec::new();
    let mut first = None;
    for FileReplacement { path, old, new } in done {
        let back = FileReplacement { path: path.clone(), old: new.clone(), new: old.clone() };
        let restored = Staged::prepare(&back).and_then(|staged| staged.map_or(Ok(()), Staged::commit));
        if let Err(error) = restored {
            left.push(path.clone());
            first.get_or_insert(error);
        }
    }
    match first {
        None => Ok(()),
        Some(source) => Err(ReplaceError::Half { paths: left, source: Box::new(source) }),
    }
}

/// A new text that waits for its place.
struct Staged {
    draft: FileDraft,
    target: PathBuf,
    /// The file as it was, locked.
    _old: File,
}

impl Staged {
    /// `None` where the file holds its new bytes already.
    fn prepare(replacement: &FileReplacement) -> Result<Option<Self>, ReplaceError> {
        let FileReplacement { path, old, new } = replacement;
        let fail = |source| ReplaceError::Io { path: path.clone(), source };
        let target = fs::canonicalize(path).map_err(fail)?;
        let (file, now) = locked(&target).map_err(fail)?;
        if now == *new {
            return Ok(None);
        }
        if now != *old {
            return Err(ReplaceError::Changed(path.clone()));
        }
        let draft = write_beside(&target, new).map_err(fail)?;
        Ok(Some(Self { draft, target, _old: file }))
    }

    fn commit(self) -> Result<(), ReplaceError> {
        let Self { draft, target, _old } = self;
        draft.replace(&target).map_err(|source| ReplaceError::Io { path: target, source })
    }
}

/// A file and what it holds, locked as far as the file system can do that. Another run may have replaced it while its lock
/// was waited for: then the lock is that of a file that is gone, and the new one is looked at.
fn locked(path: &Path) -> io::Result<(File, Vec<u8>)> {
    let started = Instant::now();
    loop {
        let mut file = File::open(path)?;
        while matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            if started.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "another program holds its lock"));
            }
            thread::sleep(Duration::from_millis(2));
        }
        if is_same(&file, path)? || started.elapsed() > PATIENCE {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok((file, bytes));
        }
    }
}

fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let (open, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}

fn write_beside(target: &Path, bytes: &[u8]) -> io::Result<FileDraft> {
    let mut draft = FileDraft::in_folder(target.parent().unwrap_or(Path::new("/")))?;
    draft.allow_as(target)?;
    draft.write(bytes)?;
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replacement(path: PathBuf, old: &str, new: &str) -> FileReplacement {
        FileReplacement { path, old: old.into(), new: new.into() }
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

    #[test]
    fn what_another_run_made_right_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "2").unwrap();
        fs::write(&b, "1").unwrap();
        replace_all(&[replacement(a.clone(), "1", "2"), replacement(b.clone(), "1", "2")]).unwrap();
        assert_eq!(fs::read_to_string(&a).unwrap() + &fs::read_to_string(&b).unwrap(), "22");
    }

    #[test]
    fn runs_that_write_one_file_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("count");
        fs::write(&file, "").unwrap();
        let add = &|writer: usize| {
            for line in 0..20 {
                loop {
                    let old = fs::read_to_string(&file).unwrap();
                    match replace_all(&[replacement(file.clone(), &old, &format!("{old}{writer} {line}\n"))])
                    {
                        Ok(()) => break,
                        Err(ReplaceError::Changed(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        };
        thread::scope(|scope| (0..4).for_each(|writer| drop(scope.spawn(move || add(writer)))));
        let mut lines: Vec<_> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), 80);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn all_that_cannot_be_put_back_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| {
            let path = folder.path().join(name);
            fs::write(&path, "somebody else's").unwrap();
            path
        });
        let done = paths.clone().map(|path| replacement(path, "1", "2"));
        let error = put_back(&done.iter().collect::<Vec<_>>()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("replaced and cannot be put back: {}, {}", paths[0].display(), paths[1].display())
        );
    }
}
