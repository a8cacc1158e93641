//! A new text that waits for its place, without a name as long as the system can do that.
//!
//! A file that has no name is gone with the process that writes it, so that nobody who is killed leaves one for
//! `git add`. Only for the moment between its two renames a text that replaces another one has a name; what a kill leaves
//! then is found by its lock, which the system takes away, and swept by the next run.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// How texts are named that have to have a name for a moment.
const PREFIX: &str = ".npm-nixhash-";

/// How often another name is tried.
const TRIES: usize = 32;

/// A file that is written and not yet in its place.
pub(crate) struct FileDraft {
    file: File,
    folder: PathBuf,
    /// Its name, where it has one already.
    named: Option<PathBuf>,
}

impl FileDraft {
    /// An empty one for this folder.
    pub(crate) fn in_folder(folder: &Path) -> io::Result<Self> {
        let draft = match unnamed(folder) {
            Some(file) => Self { file, folder: folder.to_owned(), named: None },
            // Not every file system has files without names.
            None => Self::named(folder)?,
        };
        // Tells the sweep of others that somebody is still at it; a file system without locks has nobody to tell.
        let _ = draft.file.lock();
        Ok(draft)
    }

    fn named(folder: &Path) -> io::Result<Self> {
        let (path, file) = try_names(folder, |path| File::options().write(true).create_new(true).open(path))?;
        Ok(Self { file, folder: folder.to_owned(), named: Some(path) })
    }

    /// Writes it in full, down to the disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.file.sync_all()
    }

    /// Gives it the rights of another file.
    pub(crate) fn allow_as(&self, other: &Path) -> io::Result<()> {
        self.file.set_permissions(fs::metadata(other)?.permissions())
    }

    /// Puts it where nothing is.
    pub(crate) fn create(mut self, target: &Path) -> io::Result<()> {
        match self.named.take() {
            None => link(&self.file, target),
            // A link, not a rename, which would replace what is there.
            Some(path) => fs::hard_link(&path, target).and_then(|()| fs::remove_file(path)),
        }
    }

    /// Puts it in the place of a file.
    pub(crate) fn replace(mut self, target: &Path) -> io::Result<()> {
        let path = match self.named.take() {
            Some(path) => path,
            None => try_names(&self.folder, |path| link(&self.file, path))?.0,
        };
        fs::rename(&path, target).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })
    }
}

impl Drop for FileDraft {
    fn drop(&mut self) {
        if let Some(path) = self.named.take() {
            let _ = fs::remove_file(path);
        }
    }
}

/// A file without a name, where the system and the file system have that. A new file has the rights that the user's mask
/// leaves.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    // Without /proc it could be given no name later.
    let file = openat(CWD, folder, flags, Mode::from_raw_mode(0o666)).ok().map(File::from);
    file.filter(|_| Path::new("/proc/self/fd").exists())
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_folder: &Path) -> Option<File> {
    None
}

/// Gives a name to a file that has none, in the documented way that needs no rights.
#[cfg(target_os = "linux")]
fn link(file: &File, path: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{AtFlags, CWD, linkat};
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, open.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn try_names<T>(folder: &Path, mut make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    for _ in 0..TRIES {
        let path = folder.join(format!("{PREFIX}{:016x}", fastrand::u64(..)));
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return Ok((path, result?)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Removes what killed runs left in a folder. Failing at it is not a failure.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PREFIX);
    for entry in entries.flatten().filter(ours) {
        if is_abandoned(&entry).unwrap_or(false) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether nobody is at a file any more: the lock of a writer ends with it.
fn is_abandoned(entry: &fs::DirEntry) -> io::Result<bool> {
    Ok(entry.file_type()?.is_file() && File::open(entry.path())?.try_lock().is_ok())
}
