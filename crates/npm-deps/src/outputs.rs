//! Where a tree goes besides into its hash: a folder, a NAR file. Whole or not at all.
//!
//! Both are made beside their place and renamed to it when they are complete, so that readers find all or
//! nothing. Two kinds of folder are filled where they stand, and emptied again on failure: one that exists already,
//! for it may be a mount point, and `$out` inside a Nix build, beside which nothing may be made.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use error_advice::Advise;
use tempfile::{NamedTempFile, TempDir};

/// Where, besides into the hash, the tree goes.
#[derive(Debug, Default, Clone)]
pub struct Outputs {
    /// A folder to write the tree to: one that does not exist yet, or an empty one.
    pub tree: Option<PathBuf>,
    /// A file to write the NAR to; one that exists is replaced.
    pub nar: Option<PathBuf>,
    /// Fill the folder where it stands even if it does not exist yet.
    pub in_place: bool,
    /// Who takes the NAR while it is hashed.
    pub recipient: Option<Arc<dyn Recipient>>,
}

/// Takes a NAR in while it is hashed: a binary cache's client. A tree that has to be made again, because something on disk
/// was lost on the way, begins again.
pub trait Recipient: fmt::Debug + Send + Sync {
    /// Begins to take in a NAR.
    ///
    /// # Errors
    /// It cannot.
    fn begin(&self) -> io::Result<Box<dyn Reception>>;
}

/// A NAR that is being taken in. What is dropped before its end must leave nothing.
pub trait Reception: Write + Send {
    /// The NAR is whole.
    ///
    /// # Errors
    /// It was not taken in.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Why an output cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// Something is there that must not be overwritten.
    #[error("{} exists and is not an empty folder", .0.display())]
    Occupied(PathBuf),
    /// Who was to take the NAR in did not.
    #[error("the NAR was not taken in")]
    Reception(#[source] io::Error),
    /// The system would not have it.
    #[error("cannot write {}", path.display())]
    Io {
        /// The output.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Advise for OutputError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Occupied(_) => {
                Some("name a folder that does not exist yet, or remove what is there".into())
            }
            Self::Io { .. } | Self::Reception(_) => None,
        }
    }
}

impl OutputError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl Outputs {
    /// Whether the tree goes anywhere at all.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.tree.is_some() || self.nar.is_some() || self.recipient.is_some()
    }

    /// Whether the outputs can be made, as far as that is known without making them.
    ///
    /// # Errors
    /// The tree's place is taken, or the NAR's folder does not exist.
    pub fn check(&self) -> Result<(), OutputError> {
        if let Some(tree) = &self.tree {
            vacant(tree)?;
        }
        let nar = self.nar.as_deref();
        nar.map_or(Ok(()), |nar| fs::metadata(folder_of(nar)).map(drop).map_err(OutputError::io(nar)))
    }
}

/// Whether there is an empty folder (`true`) or nothing (`false`).
fn vacant(path: &Path) -> Result<bool, OutputError> {
    let occupied = || OutputError::Occupied(path.to_owned());
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(OutputError::io(path)(error)),
        Ok(there) if !there.is_dir() => return Err(occupied()),
        Ok(_) => {}
    }
    let mut entries = fs::read_dir(path).map_err(OutputError::io(path))?;
    if entries.next().is_none() { Ok(true) } else { Err(occupied()) }
}

/// Outputs in the making; what is not finished is removed when this is dropped.
pub(super) struct Staged {
    tree: Option<StagedTree>,
    nar: Option<StagedNar>,
    reception: Option<Box<dyn Reception>>,
}

impl Staged {
    pub(super) fn begin(outputs: &Outputs) -> Result<Self, OutputError> {
        let tree =
            outputs.tree.as_deref().map(|path| StagedTree::begin(path, outputs.in_place)).transpose()?;
        let nar = outputs.nar.as_deref().map(StagedNar::begin).transpose()?;
        let begin = |recipient: &Arc<dyn Recipient>| recipient.begin().map_err(OutputError::Reception);
        let reception = outputs.recipient.as_ref().map(begin).transpose()?;
        Ok(Self { tree, nar, reception })
    }

    /// The folder to fill.
    pub(super) fn tree(&self) -> Option<&Path> {
        self.tree.as_ref().map(StagedTree::folder)
    }

    /// Appends to the NAR.
    pub(super) fn write_nar(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        if let Some(reception) = &mut self.reception {
            reception.write_all(bytes).map_err(OutputError::Reception)?;
        }
        self.nar.as_mut().map_or(Ok(()), |nar| nar.write(bytes))
    }

    /// Puts everything in its place.
    pub(super) fn finish(self) -> Result<(), OutputError> {
        if let Some(nar) = self.nar {
            nar.finish()?;
        }
        if let Some(reception) = self.reception {
            reception.finish().map_err(OutputError::Reception)?;
        }
        self.tree.map_or(Ok(()), StagedTree::finish)
    }
}

enum StagedTree {
    Beside { making: TempDir, path: PathBuf },
    InPlace(Unfinished),
}

impl StagedTree {
    fn begin(path: &Path, in_place: bool) -> Result<Self, OutputError> {
        let existed = vacant(path)?;
        let fail = || OutputError::io(path);
        // What stands there already may be a mount point, and a rename over it would fail or hide it.
        if existed || in_place {
            fs::create_dir_all(path).map_err(fail())?;
            return Ok(Self::InPlace(Unfinished { path: path.to_owned(), existed, armed: true }));
        }
        let parent = folder_of(path);
        fs::create_dir_all(parent).map_err(fail())?;
        let making = readable(&mut tempfile::Builder::new(), 0o777).tempdir_in(parent).map_err(fail())?;
        Ok(Self::Beside { making, path: path.to_owned() })
    }

    fn folder(&self) -> &Path {
        match self {
            Self::Beside { making, .. } => making.path(),
            Self::InPlace(unfinished) => &unfinished.path,
        }
    }

    fn finish(self) -> Result<(), OutputError> {
        match self {
            Self::InPlace(mut unfinished) => unfinished.armed = false,
            Self::Beside { mut making, path } => {
                fs::rename(making.path(), &path).map_err(OutputError::io(&path))?;
                making.disable_cleanup(true);
            }
        }
        Ok(())
    }
}

/// A folder that is filled where it stands.
struct Unfinished {
    path: PathBuf,
    existed: bool,
    armed: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // It was empty before, so all in it is ours. What cannot be removed stays; the failure is reported anyway.
        let _ = fs::remove_dir_all(&self.path);
        if self.existed {
            // An empty folder was given; it is left as it was.
            let _ = fs::create_dir(&self.path);
        }
    }
}

enum StagedNar {
    Beside {
        making: NamedTempFile,
        path: PathBuf,
    },
    /// A pipe, a device or a link (`/dev/stdout` is one or the other): nothing to put another file in the place of.
    Stream {
        stream: File,
        path: PathBuf,
    },
}

impl StagedNar {
    fn begin(path: &Path) -> Result<Self, OutputError> {
        let path = path.to_owned();
        if fs::symlink_metadata(&path).is_ok_and(|there| !there.is_file()) {
            let stream = File::create(&path).map_err(OutputError::io(&path))?;
            return Ok(Self::Stream { stream, path });
        }
        let making = readable(&mut tempfile::Builder::new(), 0o666).tempfile_in(folder_of(&path));
        Ok(Self::Beside { making: making.map_err(OutputError::io(&path))?, path })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        match self {
            Self::Beside { making, path } => making.write_all(bytes).map_err(OutputError::io(path)),
            Self::Stream { stream, path } => stream.write_all(bytes).map_err(OutputError::io(path)),
        }
    }

    fn finish(self) -> Result<(), OutputError> {
        let Self::Beside { making, path } = self else { return Ok(()) };
        // Some file systems write the name before the bytes: after a loss of power the file would be there and empty.
        making.as_file().sync_all().map_err(OutputError::io(&path))?;
        making.persist(&path).map(drop).map_err(|error| OutputError::io(&path)(error.error))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file or folder that has, but for the umask, these permissions: it will be a lasting one.
fn readable<'a>(
    builder: &'a mut tempfile::Builder<'static, 'static>,
    mode: u32,
) -> &'a mut tempfile::Builder<'static, 'static> {
    builder.prefix(".npm-nixhash-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(folder: &Path, in_place: bool) -> Outputs {
        Outputs { tree: Some(folder.join("out")), nar: Some(folder.join("nar")), in_place, recipient: None }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn outputs_appear_whole_and_with_usual_permissions() {
        for in_place in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("out")).unwrap();
            let mut staged = Staged::begin(&outputs(folder.path(), in_place)).unwrap();
            fs::write(staged.tree().unwrap().join("file"), "x").unwrap();
            staged.write_nar(b"nar").unwrap();
            assert!(!folder.path().join("nar").exists());
            staged.finish().unwrap();
            assert_eq!(names(folder.path()), ["nar", "out"]);
            assert_eq!(fs::read(folder.path().join("out/file")).unwrap(), b"x");
            assert_eq!(fs::read(folder.path().join("nar")).unwrap(), b"nar");
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
                fs::write(folder.path().join("plain"), "").unwrap();
                fs::create_dir(folder.path().join("folder")).unwrap();
                assert_eq!((mode("nar"), mode("out")), (mode("plain"), mode("folder")));
            }
        }
    }

    #[test]
    fn what_is_not_finished_leaves_no_trace() {
        for (in_place, existed) in [(false, false), (false, true), (true, false), (true, true)] {
            let folder = tempfile::tempdir().unwrap();
            if existed {
                fs::create_dir(folder.path().join("out")).unwrap();
            }
            fs::write(folder.path().join("nar"), "old").unwrap();
            let before = names(folder.path());
            let mut staged = Staged::begin(&outputs(folder.path(), in_place)).unwrap();
            fs::write(staged.tree().unwrap().join("file"), "x").unwrap();
            staged.write_nar(b"half").unwrap();
            drop(staged);
            assert_eq!(names(folder.path()), before);
            assert!(!existed || names(&folder.path().join("out")).is_empty());
            assert_eq!(fs::read(folder.path().join("nar")).unwrap(), b"old");
        }
    }

    #[test]
    fn a_tree_is_wanted_for_itself_where_any_of_it_goes_anywhere() {
        let path = || Some(PathBuf::from("out"));
        assert!(!Outputs { in_place: true, ..Outputs::default() }.wanted());
        assert!(Outputs { tree: path(), ..Outputs::default() }.wanted());
        assert!(Outputs { nar: path(), ..Outputs::default() }.wanted());
        let recipient: Option<Arc<dyn Recipient>> = Some(Arc::new(Taken::default()));
        assert!(Outputs { recipient, ..Outputs::default() }.wanted());
    }

    /// Takes a NAR in, and shows it once it is whole.
    #[derive(Debug, Default)]
    struct Taken(Arc<std::sync::Mutex<Option<Vec<u8>>>>);

    impl Recipient for Taken {
        fn begin(&self) -> io::Result<Box<dyn Reception>> {
            Ok(Box::new(Taking { nar: Vec::new(), whole: Arc::clone(&self.0) }))
        }
    }

    struct Taking {
        nar: Vec<u8>,
        whole: Arc<std::sync::Mutex<Option<Vec<u8>>>>,
    }

    impl Write for Taking {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.nar.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Reception for Taking {
        fn finish(self: Box<Self>) -> io::Result<()> {
            *self.whole.lock().unwrap() = Some(self.nar);
            Ok(())
        }
    }

    #[test]
    fn who_takes_the_nar_in_has_all_of_it_at_its_end_and_nothing_before() {
        let taken = Taken::default();
        let whole = Arc::clone(&taken.0);
        let mut staged =
            Staged::begin(&Outputs { recipient: Some(Arc::new(taken)), ..Outputs::default() }).unwrap();
        staged.write_nar(b"one ").unwrap();
        staged.write_nar(b"and two").unwrap();
        assert_eq!(*whole.lock().unwrap(), None);
        staged.finish().unwrap();
        assert_eq!(whole.lock().unwrap().as_deref(), Some(&b"one and two"[..]));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_there_is_filled_where_it_stands_for_it_may_be_a_mount_point() {
        use std::os::unix::fs::MetadataExt as _;
        for in_place in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("out");
            fs::create_dir(&out).unwrap();
            let inode = fs::metadata(&out).unwrap().ino();
            let staged = Staged::begin(&outputs(folder.path(), in_place)).unwrap();
            assert_eq!(staged.tree().unwrap(), out);
            staged.finish().unwrap();
            assert_eq!(fs::metadata(&out).unwrap().ino(), inode);
        }
        // Inside a Nix build nothing may be made beside it, also where it is not there yet.
        let folder = tempfile::tempdir().unwrap();
        let staged = Staged::begin(&outputs(folder.path(), true)).unwrap();
        assert_eq!(staged.tree().unwrap(), folder.path().join("out"));
        let staged =
            Staged::begin(&Outputs { tree: Some(folder.path().join("other")), ..Outputs::default() });
        assert_ne!(staged.unwrap().tree().unwrap(), folder.path().join("other"));
    }

    #[test]
    fn a_place_that_cannot_be_looked_at_is_not_taken_as_vacant() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let outputs = Outputs { tree: Some(folder.path().join("file/tree")), ..Outputs::default() };
        let error = outputs.check().unwrap_err();
        assert!(matches!(error, OutputError::Io { .. }), "{error}");
        assert_eq!(error.advice(), None);
        let nar = Some(folder.path().join("nowhere/nar"));
        assert!(Outputs { nar, ..Outputs::default() }.check().is_err());
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let outputs = outputs(folder.path(), false);
        assert!(outputs.check().is_ok());
        fs::write(folder.path().join("out"), "a file").unwrap();
        assert!(matches!(outputs.check(), Err(OutputError::Occupied(_))));
        fs::remove_file(folder.path().join("out")).unwrap();
        fs::create_dir_all(folder.path().join("out/below")).unwrap();
        assert_eq!(
            outputs.check().unwrap_err().advice().as_deref(),
            Some("name a folder that does not exist yet, or remove what is there")
        );
        assert!(matches!(Staged::begin(&outputs), Err(OutputError::Occupied(_))));
    }
}
