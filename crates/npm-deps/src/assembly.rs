//! One tree on its way to its hash: a NAR that is encoded as far as its contents have arrived.
//!
//! The NAR's order is known beforehand ([`CacheTree::contents`]). An [`Assembly`] is advanced by any thread that has time; it stops
//! without blocking where the next content is not there yet, so that a few threads can serve any number of trees and
//! no content is held longer than the trees that want it need it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use camino::{Utf8Path, Utf8PathBuf};
use nix_nar::{Encoder, FileSystem, FileSystemMetadata};
use npm_tarballs::Tarball;
use npm_tarballs::cacache::{CacheTree, Node};
use npm_tarballs::integrity::ContentId;
use sha2::{Digest as _, Sha256};

use super::outputs::Staged;

/// The sha256 of a NAR: what `npmDepsHash` states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NarHash(pub [u8; 32]);

impl NarHash {
    /// The SRI text: `sha256-<padded base64>`.
    #[must_use]
    pub fn sri(&self) -> String {
        format!("sha256-{}", BASE64.encode(self.0))
    }
}

/// How far an [`Assembly`] got.
#[derive(Debug, PartialEq, Eq)]
pub enum AssemblyProgress {
    /// It goes on when this content is there.
    Waits(ContentId),
    /// The whole tree has been hashed.
    Done(NarHash),
}

/// Why a tree could not be hashed to its end.
#[derive(Debug)]
pub enum Broken {
    /// A content on disk vanished, or turned out to be damaged while it was read. It will not be found there again.
    Lost(io::Error),
    /// Anything else: most of all, that an output cannot be written.
    Failed(io::Error),
}

/// A tree that is being hashed.
pub struct Assembly {
    encoder: Encoder<View>,
    view: View,
    hash: Sha256,
    outputs: Option<Staged>,
    buffer: Vec<u8>,
}

/// Bytes that are encoded and hashed at a time: large enough to make calls cheap, small enough for the cache.
const CHUNK: usize = 64 * 1024;

impl Assembly {
    /// Starts to hash `tree`.
    ///
    /// # Errors
    /// The encoder will not begin.
    pub(super) fn new(tree: Arc<CacheTree>, outputs: Staged) -> io::Result<Self> {
        let mirror = outputs.tree().map(Path::to_owned);
        let view = View(Arc::new(Mutex::new(Contents::new(tree, mirror))));
        let encoder = Encoder::new_with_filesystem("", view.clone()).map_err(io::Error::other)?;
        Ok(Self { encoder, view, hash: Sha256::new(), outputs: Some(outputs), buffer: Vec::new() })
    }

    /// Hashes on, until the end or until a content is missing. `take` hands out contents that are there.
    ///
    /// # Errors
    /// A content cannot be read, or an output not written. The assembly is of no use then.
    pub(crate) fn advance(
        &mut self,
        mut take: impl FnMut(ContentId) -> Option<Tarball>,
    ) -> Result<AssemblyProgress, Broken> {
        self.buffer.resize(CHUNK, 0);
        loop {
            if let Some(missing) = self.view.contents().refill(&mut take) {
                // A waiting tree holds no buffer: there may be a thousand of them.
                self.buffer = Vec::new();
                // The encoder is left in the middle of the NAR: it goes on from there when the content is here.
                return Ok(AssemblyProgress::Waits(missing));
            }
            let length = self.encoder.read(&mut self.buffer).map_err(|error| self.broken(error))?;
            if length == 0 {
                return self.finish().map_err(Broken::Failed);
            }
            let bytes = &self.buffer[..length];
            self.hash.update(bytes);
            if let Some(outputs) = &mut self.outputs {
                outputs.write_nar(bytes).map_err(|error| Broken::Failed(io::Error::other(error)))?;
            }
        }
    }

    fn broken(&self, error: io::Error) -> Broken {
        if self.view.contents().lost { Broken::Lost(error) } else { Broken::Failed(error) }
    }

    fn finish(&mut self) -> io::Result<AssemblyProgress> {
        self.buffer = Vec::new();
        if let Some(outputs) = self.outputs.take() {
            outputs.finish().map_err(io::Error::other)?;
        }
        Ok(AssemblyProgress::Done(NarHash(std::mem::take(&mut self.hash).finalize().into())))
    }
}

/// The file system that the encoder reads, shared with the assembly that feeds it.
#[derive(Clone)]
struct View(Arc<Mutex<Contents>>);

impl View {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A poisoned lock means that another thread panicked, and with it the run.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Contents {
    tree: Arc<CacheTree>,
    mirror: Option<PathBuf>,
    /// Index of the content that the encoder asks for next.
    next: usize,
    loaded: Option<Tarball>,
    /// Bytes of the current file that the encoder has not read yet.
    unread: u64,
    /// Whether reading a content failed.
    lost: bool,
    sizes: HashMap<ContentId, u64>,
    index_file: Option<(Utf8PathBuf, Vec<u8>)>,
}

impl Contents {
    fn new(tree: Arc<CacheTree>, mirror: Option<PathBuf>) -> Self {
        let sizes = HashMap::with_capacity(tree.contents().len());
        Self { tree, mirror, next: 0, loaded: None, unread: 0, lost: false, sizes, index_file: None }
    }

    /// Makes sure that the encoder can be asked for more; returns what is missing.
    fn refill(&mut self, take: &mut impl FnMut(ContentId) -> Option<Tarball>) -> Option<ContentId> {
        // One content at a time, so that a tree never holds more than the one that is being hashed.
        if self.unread > 0 || self.loaded.is_some() {
            return None;
        }
        let wanted = *self.tree.contents().get(self.next)?;
        self.loaded = take(wanted);
        self.loaded.is_none().then_some(wanted)
    }

    fn describe(&mut self, path: &Utf8Path) -> io::Result<FileSystemMetadata> {
        let tree = Arc::clone(&self.tree);
        let length = match tree.node(path).ok_or_else(|| no_such(path))? {
            Node::Directory(_) => return Ok(FileSystemMetadata::Directory),
            Node::Bytes(bytes) => bytes.len() as u64,
            Node::Lockfile(bytes) => bytes.len() as u64,
            Node::Content(id) => self.loaded(id)?.len(),
            // Index files come behind all contents in a NAR, so the sizes are known here.
            Node::Index(lines) => {
                let lines: Option<Vec<_>> =
                    lines.iter().map(|entry| Some(entry.line(*self.sizes.get(&entry.content)?))).collect();
                let bytes = lines.ok_or_else(|| no_such(path))?.join("\n").into_bytes();
                let length = bytes.len() as u64;
                self.index_file = Some((path.to_owned(), bytes));
                length
            }
        };
        Ok(FileSystemMetadata::File { executable: false, length })
    }

    fn open(&mut self, path: &Utf8Path) -> io::Result<Box<dyn Read + Send>> {
        let tree = Arc::clone(&self.tree);
        Ok(match tree.node(path).ok_or_else(|| no_such(path))? {
            Node::Directory(_) => return Err(no_such(path)),
            Node::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Node::Lockfile(bytes) => Box::new(io::Cursor::new(Arc::clone(bytes))),
            Node::Content(id) => {
                self.loaded(id)?;
                let tarball = self.loaded.take().ok_or_else(|| no_such(path))?;
                self.next += 1;
                self.unread = tarball.len();
                self.sizes.insert(id, tarball.len());
                Box::new(tarball.reader().inspect_err(|_| self.lost = true)?)
            }
            Node::Index(_) => match self.index_file.take() {
                Some((described, bytes)) if described == path => Box::new(io::Cursor::new(bytes)),
                _ => return Err(no_such(path)),
            },
        })
    }

    fn loaded(&self, id: ContentId) -> io::Result<&Tarball> {
        self.loaded
            .as_ref()
            // The order is the tree's own (`contents`); to hash one under another's path would be a wrong hash without
            // an error.
            .filter(|tarball| tarball.id() == id)
            .ok_or_else(|| io::Error::other("content out of order"))
    }
}

fn no_such(path: &Utf8Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{path} is not in the tree"))
}

impl FileSystem for View {
    type File = ViewFile;

    fn metadata(&self, path: &Utf8Path) -> io::Result<FileSystemMetadata> {
        self.contents().describe(path)
    }

    fn read_dir(&self, path: &Utf8Path) -> io::Result<Vec<String>> {
        let contents = self.contents();
        if let Some(mirror) = &contents.mirror {
            // Also empty folders are part of the tree.
            fs::create_dir_all(mirror.join(path))?;
        }
        match contents.tree.node(path) {
            Some(Node::Directory(names)) => Ok(names),
            _ => Err(no_such(path)),
        }
    }

    fn open(&self, path: &Utf8Path) -> io::Result<ViewFile> {
        let mut contents = self.contents();
        let copy = contents.mirror.as_deref().map(|mirror| create(&mirror.join(path))).transpose()?;
        let source = contents.open(path)?;
        Ok(ViewFile { source, copy, view: self.clone() })
    }
}

fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

/// A file of the tree that is being read, and copied to the mirror on the way.
struct ViewFile {
    source: Box<dyn Read + Send>,
    copy: Option<File>,
    view: View,
}

impl Read for ViewFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer);
        let mut contents = self.view.contents();
        let length = read.inspect_err(|_| contents.lost = true)?;
        contents.unread = contents.unread.saturating_sub(length as u64);
        drop(contents);
        if let Some(copy) = &mut self.copy {
            copy.write_all(&buffer[..length])?;
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use npm_tarballs::cacache::IndexEntry;

    use super::*;
    use crate::outputs::{Outputs, Reception, Recipient};

    /// Counts the bytes of a NAR.
    #[derive(Debug, Clone, Default)]
    struct Counted(Arc<Mutex<usize>>);

    impl Recipient for Counted {
        fn begin(&self) -> io::Result<Box<dyn Reception>> {
            Ok(Box::new(self.clone()))
        }
    }

    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.0.lock().unwrap() += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Reception for Counted {
        fn finish(self: Box<Self>) -> io::Result<()> {
            Ok(())
        }
    }

    /// Two contents of several chunks in one tree, as the tree has them.
    fn tree_of_two() -> (Arc<CacheTree>, Vec<Tarball>) {
        let contents = [1, 2].map(|byte| Tarball::of(vec![byte; 3 * CHUNK].into()));
        let entry = |tarball: &Tarball| IndexEntry {
            url: format!("https://host.example/{}", tarball.id().hex()),
            integrity: tarball.id().sri(),
            content: tarball.id(),
            accept: None,
        };
        let tree = CacheTree::new(1, contents.iter().map(entry).collect(), Arc::from(&b"{}"[..]));
        let ordered =
            tree.contents().iter().map(|id| contents.iter().find(|one| one.id() == *id).unwrap().clone());
        let ordered = ordered.collect();
        (Arc::new(tree), ordered)
    }

    #[test]
    fn a_content_is_asked_for_once_the_one_before_it_was_hashed() {
        let (tree, contents) = tree_of_two();
        let counted = Counted::default();
        let outputs = Outputs { recipient: Some(Arc::new(counted.clone())), ..Outputs::default() };
        let mut assembly = Assembly::new(tree, Staged::begin(&outputs).unwrap()).unwrap();
        let waits = |assembly: &mut Assembly, here: usize| {
            assembly.advance(|id| contents[..here].iter().find(|one| one.id() == id).cloned()).unwrap()
        };
        assert_eq!(waits(&mut assembly, 0), AssemblyProgress::Waits(contents[0].id()));
        assert!(*counted.0.lock().unwrap() < CHUNK);
        assert_eq!(waits(&mut assembly, 1), AssemblyProgress::Waits(contents[1].id()));
        assert!(*counted.0.lock().unwrap() >= 3 * CHUNK, "all of it is hashed");
        assert!(matches!(waits(&mut assembly, 2), AssemblyProgress::Done(_)));
    }

    #[test]
    fn a_content_out_of_its_order_is_an_error_and_no_other_hash() {
        let (tree, contents) = tree_of_two();
        let staged = Staged::begin(&Outputs::default()).unwrap();
        let mut assembly = Assembly::new(tree, staged).unwrap();
        let broken = assembly.advance(|_| Some(contents[1].clone())).unwrap_err();
        let Broken::Failed(error) = broken else { panic!("{broken:?}") };
        assert!(error.to_string().contains("content out of order"), "{error}");
    }

    #[test]
    fn an_index_file_is_read_under_the_path_that_it_was_described_under() {
        let (tree, contents) = tree_of_two();
        let mut view = Contents::new(Arc::clone(&tree), None);
        view.sizes = contents.iter().map(|content| (content.id(), content.len())).collect();
        let mut folders = vec![Utf8PathBuf::from("_cacache/index-v5")];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            let Some(Node::Directory(names)) = tree.node(&folder) else {
                files.push(folder);
                continue;
            };
            folders.extend(names.iter().map(|name| folder.join(name)));
        }
        let [one, other] = &files[..] else { panic!("{files:?}") };
        view.describe(one).unwrap();
        assert!(view.open(other).is_err());
        view.describe(one).unwrap();
        let mut text = String::new();
        view.open(one).unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains("\"size\":196608"), "{text}");
        assert!(view.open(one).is_err(), "each is read once");
    }
}
