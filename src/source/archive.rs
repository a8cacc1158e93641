//! A downloaded archive as a tree in memory. Nothing is written to a disk, so no name in it can lead anywhere.

use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;

use super::origin::Top;
use super::zip::{self, ZipError};
use crate::tarball::tree::{Entry, Tree};
use crate::tarball::unpack::{self, Names};

/// What an archive may unpack to at most: far above any real source, far below what would exhaust a machine.
const UNPACKED_LIMIT: u64 = 1 << 30;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is something else.
    #[error("it is no archive: {0}")]
    NotOne(&'static str),
    /// A format that is not read here.
    #[error("{0} archives are not supported")]
    Format(&'static str),
    /// A tar archive that is refused.
    #[error(transparent)]
    Tar(#[from] unpack::Error),
    /// A zip archive that is refused.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// Several things at the top, where one folder has to be.
    #[error("it has {0} entries at its top, where only one folder may be")]
    Top(usize),
    /// Something else at the top than a folder.
    #[error("what it has at its top is no folder")]
    TopKind,
    /// The tree cannot be hashed.
    #[error("its tree cannot be hashed")]
    Nar(#[source] io::Error),
}

/// An unpacked archive, seen from where its tree begins.
pub(super) struct Unpacked {
    tree: Tree,
    root: Vec<Vec<u8>>,
}

impl Unpacked {
    /// Unpacks an archive, whatever its format.
    pub(super) fn new(bytes: &[u8], top: Top) -> Result<Self, ArchiveError> {
        let tree = unpack(bytes)?;
        let root = match top {
            Top::Kept => Vec::new(),
            Top::Stripped | Top::OnlyFolder => only_folder(&tree, top)?,
        };
        Ok(Self { tree, root })
    }

    /// What stands at a path of the tree, following no links.
    pub(super) fn look(&self, path: &[&[u8]]) -> Option<Entry<'_>> {
        self.tree.look(&self.whole(path))
    }

    /// The bytes of a file, also through links that stay inside of the archive.
    pub(super) fn read(&self, path: &[&[u8]]) -> Option<&[u8]> {
        self.tree.read(&self.whole(path))
    }

    fn whole<'a>(&'a self, path: &[&'a [u8]]) -> Vec<&'a [u8]> {
        self.root.iter().map(Vec::as_slice).chain(path.iter().copied()).collect()
    }
}

/// The path of the only folder at the top; of a single file the top itself, which then is a folder that holds it.
fn only_folder(tree: &Tree, top: Top) -> Result<Vec<Vec<u8>>, ArchiveError> {
    let Some(Entry::Directory(names)) = tree.look(&[]) else { return Err(ArchiveError::TopKind) };
    let [name] = names.as_slice() else { return Err(ArchiveError::Top(names.len())) };
    match tree.look(&[name]) {
        Some(Entry::Directory(_)) => Ok(vec![name.to_vec()]),
        Some(Entry::File { .. }) if top == Top::Stripped => Ok(Vec::new()),
        _ => Err(ArchiveError::TopKind),
    }
}

fn unpack(bytes: &[u8]) -> Result<Tree, ArchiveError> {
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    match bytes {
        [0x1f, 0x8b, ..] => Ok(unpack::unpack(MultiGzDecoder::new(bytes), UNPACKED_LIMIT, Names::Whole)?),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Ok(zip::unpack(bytes, UNPACKED_LIMIT)?),
        _ if is_tar => Ok(unpack::unpack(bytes.take(u64::MAX), UNPACKED_LIMIT, Names::Whole)?),
        [b'B', b'Z', b'h', ..] => Err(ArchiveError::Format("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(ArchiveError::Format("xz")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(ArchiveError::Format("zstd")),
        [] => Err(ArchiveError::NotOne("it is empty")),
        _ if bytes.trim_ascii_start().starts_with(b"<") => {
            Err(ArchiveError::NotOne("it looks like a web page"))
        }
        _ => Err(ArchiveError::NotOne("it is neither gzip nor tar nor zip")),
    }
}
