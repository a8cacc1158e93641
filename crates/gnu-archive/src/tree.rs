//! A folder in memory, filled as `tar --extract` fills one on disk and read as `tar --create` reads it.
//!
//! Names are bytes. Files have an identity of their own, as on disk, so that two hard links stay one file and
//! a name that is taken by a later entry leaves the file's other names alone. Nothing recurses, whatever the
//! depth.

use std::collections::{BTreeMap, VecDeque, btree_map};
use std::io::{self, Write};

use super::pack::{EntryKind, Packer};

/// Permissions of directories that no entry describes, and of the top: all that umask 022 leaves.
const DIRECTORY: u32 = 0o755;
/// Permissions of every symbolic link.
const SYMLINK: u32 = 0o777;
/// Symbolic links followed on the way to one file, as many as Linux follows.
const HOPS: usize = 40;

/// Why an entry has no place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Something on the way to it is not a directory.
    Through,
    /// It or what it replaces is a directory, and the other is not.
    Replaces,
    /// It would replace a link that tar creates only at the end, which may then replace it.
    Placeholder,
    /// The target of a hard link is not there, or is a directory.
    Target,
}

/// Why a tree cannot be written.
#[derive(Debug)]
pub enum PackError {
    /// The owner may not read this entry (its full name).
    Unreadable(Vec<u8>),
    /// The writer failed.
    Write(io::Error),
}

impl From<io::Error> for PackError {
    fn from(error: io::Error) -> Self {
        PackError::Write(error)
    }
}

/// What stands under a name: a number in [`Tree::directories`] or in [`Tree::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory(usize),
    File(usize),
}

#[derive(Debug)]
struct Directory {
    mode: u32,
    children: BTreeMap<Vec<u8>, Node>,
}

/// A file or a symbolic link, under as many names as it has.
#[derive(Debug)]
struct File {
    names: usize,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Regular { mode: u32, content: Vec<u8> },
    Symlink(Vec<u8>),
}

impl File {
    /// Whether it is a link whose target is absolute or contains `..`.
    fn points_out(&self) -> bool {
        matches!(&self.body, Body::Symlink(target)
            if target.starts_with(b"/") || target.split(|byte| *byte == b'/').any(|part| part == b".."))
    }
}

/// What a reader sees at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A directory and its names, in the order of their bytes.
    Directory(Vec<&'a [u8]>),
    /// A file, and whether its owner may execute it.
    File {
        /// The owner's bit.
        executable: bool,
        /// Its bytes.
        content: &'a Vec<u8>,
    },
    /// A symbolic link and its target.
    Symlink(&'a [u8]),
}

/// The folder.
#[derive(Debug)]
pub struct Tree {
    /// The first one is the top.
    directories: Vec<Directory>,
    files: Vec<File>,
    /// Permissions of directories that no entry describes.
    made: u32,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        Self::with(DIRECTORY)
    }

    /// An empty folder in which directories that no entry describes get these permissions, and it as well.
    #[must_use]
    pub fn with(made: u32) -> Self {
        let top = Directory { mode: made, children: BTreeMap::new() };
        Self { directories: vec![top], files: Vec::new(), made }
    }

    /// How many files and directories there are or were.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.directories.len() + self.files.len()
    }

    /// Adds a directory, or gives the one that is there this mode.
    ///
    /// # Errors
    /// It has no place in the tree.
    pub fn directory(&mut self, path: &[&[u8]], mode: u32) -> Result<(), Misfit> {
        let index = self.enter(path).map_err(|depth| match depth {
            depth if depth + 1 == path.len() => Misfit::Replaces,
            _ => Misfit::Through,
        })?;
        self.directories[index].mode = mode;
        Ok(())
    }

    /// Adds a regular file.
    ///
    /// # Errors
    /// It has no place in the tree.
    pub fn file(&mut self, path: &[&[u8]], mode: u32, content: Vec<u8>) -> Result<(), Misfit> {
        self.add(path, Body::Regular { mode, content })
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// It has no place in the tree.
    pub fn symlink(&mut self, path: &[&[u8]], target: &[u8]) -> Result<(), Misfit> {
        self.add(path, Body::Symlink(target.to_vec()))
    }

    /// Gives the file at `target` another name.
    ///
    /// # Errors
    /// It has no place in the tree, or `target` is not a file of it.
    pub fn hard_link(&mut self, path: &[&[u8]], target: &[&[u8]]) -> Result<(), Misfit> {
        match self.find(target) {
            Some(Node::File(file)) => self.name(path, file),
            _ => Err(Misfit::Target),
        }
    }

    fn add(&mut self, path: &[&[u8]], body: Body) -> Result<(), Misfit> {
        self.files.push(File { names: 0, body });
        self.name(path, self.files.len() - 1)
    }

    /// Puts a file under a name, in the place of the file that has it.
    fn name(&mut self, path: &[&[u8]], file: usize) -> Result<(), Misfit> {
        let Some((last, parents)) = path.split_last() else {
            return Err(Misfit::Replaces);
        };
        let parent = self.enter(parents).map_err(|_| Misfit::Through)?;
        let children = &mut self.directories[parent].children;
        let before = match children.get(*last) {
            Some(Node::Directory(_)) => return Err(Misfit::Replaces),
            Some(Node::File(before)) if self.files[*before].points_out() => {
                return Err(Misfit::Placeholder);
            }
            Some(Node::File(before)) => Some(*before),
            None => None,
        };
        // The new name first: a hard link to itself would lose its content in between.
        children.insert(last.to_vec(), Node::File(file));
        self.files[file].names += 1;
        if let Some(before) = before {
            self.unname(before);
        }
        Ok(())
    }

    /// Takes one name from a file, and its content with the last one.
    fn unname(&mut self, file: usize) {
        let file = &mut self.files[file];
        file.names -= 1;
        if file.names == 0 {
            file.body = Body::Symlink(Vec::new());
        }
    }

    /// The directory at `path`, made with all above it if need be. Fails with the index of the first name in
    /// `path` that is something else.
    fn enter(&mut self, path: &[&[u8]]) -> Result<usize, usize> {
        let mut here = 0;
        for (depth, name) in path.iter().enumerate() {
            here = match self.directories[here].children.get(*name) {
                Some(Node::Directory(next)) => *next,
                Some(Node::File(_)) => return Err(depth),
                None => self.make(here, name),
            };
        }
        Ok(here)
    }

    fn make(&mut self, parent: usize, name: &[u8]) -> usize {
        let index = self.directories.len();
        self.directories.push(Directory { mode: self.made, children: BTreeMap::new() });
        self.directories[parent].children.insert(name.to_vec(), Node::Directory(index));
        index
    }

    /// What stands at `path`, following no links.
    fn find(&self, path: &[&[u8]]) -> Option<Node> {
        path.iter().try_fold(Node::Directory(0), |node, name| match node {
            Node::Directory(here) => self.directories[here].children.get(*name).copied(),
            Node::File(_) => None,
        })
    }

    /// What stands at `path`, following no links.
    pub fn look(&self, path: &[&[u8]]) -> Option<Entry<'_>> {
        let file = match self.find(path)? {
            Node::Directory(index) => {
                let names = self.directories[index].children.keys().map(Vec::as_slice);
                return Some(Entry::Directory(names.collect()));
            }
            Node::File(file) => &self.files[file],
        };
        Some(match &file.body {
            Body::Regular { mode, content } => Entry::File { executable: mode & 0o100 != 0, content },
            Body::Symlink(target) => Entry::Symlink(target),
        })
    }

    /// The content of the regular file at `path`, or of the one to which links lead from there inside the tree.
    #[must_use]
    pub fn read(&self, path: &[&[u8]]) -> Option<&[u8]> {
        let mut trail = vec![0];
        let mut ahead: VecDeque<&[u8]> = path.iter().copied().collect();
        let mut hops = 0;
        while let Some(name) = ahead.pop_front() {
            let here = *trail.last()?;
            match name {
                b"" | b"." => continue,
                b".." => {
                    trail.pop();
                    continue;
                }
                _ => {}
            }
            let file = match self.directories[here].children.get(name)? {
                Node::Directory(next) => {
                    trail.push(*next);
                    continue;
                }
                Node::File(file) => &self.files[*file],
            };
            match &file.body {
                Body::Regular { content, .. } => return ahead.is_empty().then_some(content),
                Body::Symlink(target) => {
                    hops += 1;
                    if hops > HOPS || target.starts_with(b"/") {
                        return None;
                    }
                    target.split(|byte| *byte == b'/').rev().for_each(|part| ahead.push_front(part));
                }
            }
        }
        None
    }

    /// Writes the tree as an archive whose entries all begin with `top`, sorted by name, each directory right
    /// before what it holds. The first name of a hard link is written as a file, the others as links to it.
    ///
    /// # Errors
    /// A file or directory that its owner could not read, or what `packer` writes to fails.
    pub fn pack<W: Write>(&self, top: &[u8], packer: &mut Packer<W>) -> Result<(), PackError> {
        let mut name = [top, b"/"].concat();
        let mut first_names = BTreeMap::new();
        let mut open: Vec<(btree_map::Iter<'_, Vec<u8>, Node>, usize)> = Vec::new();
        open.push((self.open(0, &name, packer)?, name.len()));
        while let Some((children, length)) = open.last_mut() {
            name.truncate(*length);
            // The children of each folder are sorted by the bytes of their names alone, as `--sort=name` does: `a.b`
            // follows all of `a/`.
            let Some((child, node)) = children.next() else {
                open.pop();
                continue;
            };
            name.extend(child);
            match *node {
                Node::Directory(directory) => {
                    name.push(b'/');
                    open.push((self.open(directory, &name, packer)?, name.len()));
                }
                Node::File(file) => self.pack_file(file, &name, &mut first_names, packer)?,
            }
        }
        Ok(())
    }

    /// Writes a directory's own entry and returns what it holds.
    fn open<W: Write>(
        &self,
        directory: usize,
        name: &[u8],
        packer: &mut Packer<W>,
    ) -> Result<btree_map::Iter<'_, Vec<u8>, Node>, PackError> {
        let Directory { mode, children } = &self.directories[directory];
        if mode & 0o500 != 0o500 {
            return Err(PackError::Unreadable(name.to_vec()));
        }
        packer.append(name, *mode, EntryKind::Directory)?;
        Ok(children.iter())
    }

    fn pack_file<W: Write>(
        &self,
        index: usize,
        name: &[u8],
        first_names: &mut BTreeMap<usize, Vec<u8>>,
        packer: &mut Packer<W>,
    ) -> Result<(), PackError> {
        let file = &self.files[index];
        let (mode, kind) = match &file.body {
            Body::Regular { mode, content } => (*mode, EntryKind::File(content)),
            Body::Symlink(target) => (SYMLINK, EntryKind::Symlink(target)),
        };
        if mode & 0o400 == 0 {
            return Err(PackError::Unreadable(name.to_vec()));
        }
        if let Some(first) = first_names.get(&index) {
            packer.append(name, mode, EntryKind::HardLink(first))?;
            return Ok(());
        }
        if file.names > 1 {
            first_names.insert(index, name.to_vec());
        }
        packer.append(name, mode, kind)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
