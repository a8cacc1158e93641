//! The files of a repository: discovery, bounded reading, positions.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::FileType;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use tracing::debug;

use super::syntax::ast::{FileId, Location, Span, to_u32};

/// Larger files hold no hand-written Nix, JSON or TOML.
pub const MAX_BYTES: u64 = 8 << 20;

/// Entries of a folder that is read as a set.
const MAX_ENTRIES: usize = 20_000;

/// A file that was read.
#[derive(Debug)]
pub struct SourceFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// What it holds.
    pub text: Rc<str>,
    /// Byte offsets of the line starts.
    lines: Vec<u32>,
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing outside of the root is read.
    #[error("outside the repository")]
    Outside,
    /// See [`MAX_BYTES`].
    #[error("larger than 8 MiB")]
    TooLarge,
    /// Not UTF-8.
    #[error("not UTF-8 text")]
    NotText,
    /// What the system says.
    #[error("cannot read the file: {0}")]
    Io(String),
}

/// All files below one root, read once.
#[derive(Debug)]
pub struct Files {
    root: PathBuf,
    /// Texts to take instead of what is on disk.
    instead: BTreeMap<PathBuf, Vec<u8>>,
    /// What counts as not being there.
    absent: BTreeSet<PathBuf>,
    read: Vec<SourceFile>,
    index: HashMap<PathBuf, Result<FileId, ReadError>>,
    /// Files that were counted as input, by their real path: links can lead to one file by any number of paths.
    counted: HashSet<PathBuf>,
    /// Those that were asked about: where a path leads is asked of the system once, not for each of a thousand calls in a file.
    asked: HashSet<FileId>,
    /// Where paths lead: of a thousand services 60,000 links were read that were none, a third of the time of `list`.
    real: RefCell<HashMap<PathBuf, Option<Real>>>,
}

/// Where a path leads, and to what.
#[derive(Debug, Clone)]
struct Real {
    path: PathBuf,
    kind: FileType,
}

impl Real {
    /// What is at a path whose folder is no link.
    fn of(path: PathBuf) -> Option<Self> {
        let kind = path.symlink_metadata().ok()?.file_type();
        if !kind.is_symlink() {
            return Some(Self { path, kind });
        }
        let path = path.canonicalize().ok()?;
        let kind = path.symlink_metadata().ok()?.file_type();
        Some(Self { path, kind })
    }
}

impl Files {
    /// `root` is absolute and canonical.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            instead: BTreeMap::new(),
            absent: BTreeSet::new(),
            read: Vec::new(),
            index: HashMap::new(),
            counted: HashSet::new(),
            asked: HashSet::new(),
            real: RefCell::default(),
        }
    }

    /// The same with other texts for some files, and without others.
    #[must_use]
    pub fn instead(self, instead: BTreeMap<PathBuf, Vec<u8>>, absent: BTreeSet<PathBuf>) -> Self {
        Self { instead, absent, ..self }
    }

    /// The folder that bounds every read.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads a file once; the same answer every time.
    ///
    /// # Errors
    /// When the file is missing, too large, no text, or outside the root.
    pub fn read(&mut self, path: &Path) -> Result<FileId, ReadError> {
        let path = normalize(path);
        if let Some(known) = self.index.get(&path) {
            return known.clone();
        }
        let answer = self.load(&path);
        match &answer {
            Ok(file) => debug!(file = %path.display(), bytes = self.get(*file).text.len(), "read"),
            Err(error) => debug!(file = %path.display(), why = %error, "cannot be read"),
        }
        self.index.insert(path, answer.clone());
        answer
    }

    fn load(&mut self, path: &Path) -> Result<FileId, ReadError> {
        let text = String::from_utf8(self.content(path)?).map_err(|_| ReadError::NotText)?;
        Ok(self.add(path.to_owned(), &text))
    }

    /// The bytes of a file that is not text of the evaluation, such as a patch.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        self.content(&normalize(path)).ok()
    }

    fn content(&self, path: &Path) -> Result<Vec<u8>, ReadError> {
        if !self.contains(path) {
            return Err(ReadError::Outside);
        }
        if is_in(path, &self.absent) {
            return Err(ReadError::Io(std::io::ErrorKind::NotFound.to_string()));
        }
        let io = |error: std::io::Error| ReadError::Io(error.kind().to_string());
        // A link inside may lead to anywhere: what another machine does not have decides nothing.
        let real = path.canonicalize().map_err(io)?;
        if !real.starts_with(&self.root) {
            return Err(ReadError::Outside);
        }
        let meta = std::fs::metadata(&real).map_err(io)?;
        if !meta.is_file() {
            return Err(ReadError::Io("not a regular file".to_owned()));
        }
        if meta.len() > MAX_BYTES {
            return Err(ReadError::TooLarge);
        }
        let instead = self.instead.get(path).cloned();
        instead.map_or_else(|| std::fs::read(&real), Ok).map_err(io)
    }

    fn add(&mut self, path: PathBuf, text: &str) -> FileId {
        let mut lines = vec![0];
        lines.extend(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| to_u32(i + 1)));
        let id = FileId(to_u32(self.read.len()));
        self.read.push(SourceFile { path, text: Rc::from(text), lines });
        id
    }

    /// Whether a file that was read is asked about for the first time, by any path.
    pub fn counts(&mut self, id: FileId) -> bool {
        if !self.asked.insert(id) {
            return false;
        }
        let path = &self.get(id).path;
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        self.counted.insert(real)
    }

    /// A file that was read before.
    #[must_use]
    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.read[id.0 as usize]
    }

    /// Whether the path lies below the root.
    #[must_use]
    pub fn contains(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }

    /// Whether a regular file (or a link to one inside the root) is there.
    #[must_use]
    pub fn is_file(&self, path: &Path) -> bool {
        self.real(path).is_some_and(|real| real.kind.is_file())
    }

    /// Whether a folder is there, inside the root.
    #[must_use]
    pub fn is_dir(&self, path: &Path) -> bool {
        self.real(path).is_some_and(|real| real.kind.is_dir())
    }

    fn real(&self, path: &Path) -> Option<Real> {
        if !self.contains(path) || is_in(&normalize(path), &self.absent) {
            return None;
        }
        self.resolve(path).filter(|real| real.path.starts_with(&self.root))
    }

    /// What the system says of a path, asked once: folder by folder, so that neighbours have theirs in common.
    fn resolve(&self, path: &Path) -> Option<Real> {
        if let Some(known) = self.real.borrow().get(path) {
            return known.clone();
        }
        let real = match (path.parent(), path.components().next_back()) {
            (Some(parent), Some(Component::Normal(name))) if path != self.root => {
                self.resolve(parent).and_then(|parent| Real::of(parent.path.join(name)))
            }
            _ => Real::of(path.canonicalize().ok()?),
        };
        self.real.borrow_mut().insert(path.to_owned(), real.clone());
        real
    }

    /// The names and kinds of a folder's entries, sorted; nothing outside the root, and `None` of more entries than a
    /// folder of sources has.
    #[must_use]
    pub fn read_dir(&self, path: &Path) -> Option<Vec<(String, &'static str)>> {
        let real = self.real(path)?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(real.path).ok()? {
            if names.len() >= MAX_ENTRIES {
                return None;
            }
            let entry = entry.ok()?;
            let kind = entry.file_type().ok()?;
            let name = entry.file_name().into_string().ok()?;
            let kind = match (kind.is_dir(), kind.is_file(), kind.is_symlink()) {
                (true, _, _) => "directory",
                (_, true, _) => "regular",
                (_, _, true) => "symlink",
                _ => "unknown",
            };
            if name != ".git" && !self.absent.contains(&path.join(&name)) {
                names.push((name, kind));
            }
        }
        names.sort();
        Some(names)
    }

    /// One-based line and column (in characters) of a byte offset.
    #[must_use]
    pub fn position(&self, file: FileId, offset: u32) -> (usize, usize) {
        let source = self.get(file);
        let line = source.lines.partition_point(|start| *start <= offset).max(1);
        let start = source.lines[line - 1] as usize;
        let end = (offset as usize).min(source.text.len());
        let column =
            source.text.get(start..end).map_or(0, |text| text.chars().filter(|c| *c != '\u{feff}').count());
        (line, column + 1)
    }

    /// The text of a span.
    #[must_use]
    pub fn text(&self, location: Location) -> &str {
        let Span { start, end } = location.span;
        self.get(location.file).text.get(start as usize..end as usize).unwrap_or("")
    }

    /// A path as it is shown: relative to the root.
    #[must_use]
    pub fn display(&self, path: &Path) -> String {
        let above = |top: &Path| path.strip_prefix(top).ok();
        // What is outside is shown as the repository sees it: a report does not tell where on the machine that lies.
        let found = self.root.ancestors().enumerate().find_map(|(up, top)| Some((up, above(top)?)));
        let Some((up, rest)) = found else { return path.display().to_string() };
        let relative: PathBuf = std::iter::repeat_n(Path::new(".."), up).chain([rest]).collect();
        if relative.as_os_str().is_empty() { ".".to_owned() } else { relative.display().to_string() }
    }

    /// Every file read so far.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.read.iter()
    }
}

/// Resolves `.` and `..` without looking at the disk, as Nix does.
#[must_use]
pub fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// Whether a path is one of these, or lies in one of them.
#[must_use]
pub fn is_in(path: &Path, paths: &BTreeSet<PathBuf>) -> bool {
    !paths.is_empty() && path.ancestors().any(|path| paths.contains(path))
}
