//! A downloaded archive as a tree in memory. Nothing is written to a disk, so no name in it can lead anywhere.

use std::io::{self, Read as _};

use flate2::read::MultiGzDecoder;
use gnu_archive::tree::{Entry, Tree};
use gnu_archive::unpack::{self, Modes, Names};

use super::origin::Top;
use super::zip::{self, ZipError};

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is something else.
    #[error("it is not an archive: {0}")]
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
    #[error("what it has at its top is not a folder")]
    TopKind,
    /// The tree cannot be hashed.
    #[error("its tree cannot be hashed")]
    Nar(#[source] io::Error),
}

impl ArchiveError {
    /// Whether more comes out of it than was allowed.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(
            self,
            Self::Tar(unpack::Error::TooLarge { .. })
                | Self::Zip(ZipError::Refused(unpack::Error::TooLarge { .. }))
        )
    }
}

/// An unpacked archive, seen from where its tree begins.
pub(super) struct Unpacked {
    tree: Tree,
    root: Vec<Vec<u8>>,
}

impl Unpacked {
    /// Unpacks an archive, whatever its format, into at most `limit` bytes.
    pub(super) fn new(bytes: &[u8], top: Top, limit: u64) -> Result<Self, ArchiveError> {
        let tree = unpack(bytes, limit)?;
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

/// Unpacks an archive of a format that its first bytes tell into at most `limit` bytes.
fn unpack(bytes: &[u8], limit: u64) -> Result<Tree, ArchiveError> {
    let is_tar = bytes.get(257..262) == Some(b"ustar");
    match bytes {
        [0x1f, 0x8b, ..] => {
            Ok(unpack::unpack(MultiGzDecoder::new(bytes), limit, Names::Whole, Modes::SANDBOX)?)
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Ok(zip::unpack(bytes, limit)?),
        _ if is_tar => Ok(unpack::unpack(bytes.take(u64::MAX), limit, Names::Whole, Modes::SANDBOX)?),
        [b'B', b'Z', b'h', ..] => Err(ArchiveError::Format("bzip2")),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err(ArchiveError::Format("xz")),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err(ArchiveError::Format("zstd")),
        [] => Err(ArchiveError::NotOne("it is empty")),
        // Many servers send a page to log in with status 200.
        _ if bytes.trim_ascii_start().starts_with(b"<") => {
            Err(ArchiveError::NotOne("it looks like a web page"))
        }
        _ => Err(ArchiveError::NotOne("it is neither gzip nor tar nor zip")),
    }
}

/// How many bytes the files of an archive take once it is unpacked and hashed: where the fuzzer comes in.
#[cfg(fuzzing)]
pub fn unpacked_bytes(bytes: &[u8], limit: u64) -> Option<u64> {
    use super::digest::DigestKind;
    use super::nar;
    let unpacked = Unpacked::new(bytes, Top::Kept, limit).ok()?;
    let _ = nar::hash(&unpacked, DigestKind::Sha256);
    let (mut total, mut folders) = (0, vec![Vec::new()]);
    while let Some(folder) = folders.pop() {
        match unpacked.look(&folder)? {
            Entry::Directory(names) => {
                folders.extend(names.iter().map(|name| [&folder[..], &[name]].concat()))
            }
            Entry::File { content, .. } => total += content.len() as u64,
            Entry::Symlink(target) => total += target.len() as u64,
        }
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};

    use super::*;

    const LIMIT: u64 = 1 << 20;

    fn tar_of_zeros() -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("r/zeros").unwrap();
        header.set_mode(0o644);
        header.set_size(2 * LIMIT);
        header.set_cksum();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(header.as_bytes()).unwrap();
        encoder.write_all(&vec![0; 2 << 20]).unwrap();
        encoder.finish().unwrap()
    }

    /// `entries` files of `length` zeros, each claiming nothing about its size beforehand.
    fn zip_of_zeros(entries: usize, length: usize) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
        for n in 0..entries {
            let builder = archive.new_file(format!("r/{n}"));
            let builder = builder.compression_method(rawzip::CompressionMethod::DEFLATE);
            let (mut entry, config) = builder.start().unwrap();
            let mut writer = config.wrap(DeflateEncoder::new(&mut entry, Compression::best()));
            writer.write_all(&vec![0; length]).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn bombs_are_bounded() {
        for bomb in
            [tar_of_zeros(), zip_of_zeros(1, 2 << 20), zip_of_zeros(3, 400 << 10), zip_of_zeros(2100, 0)]
        {
            let refused = unpack(&bomb, LIMIT).unwrap_err().to_string();
            assert_eq!(refused, "the archive unpacks to more than 1048576 bytes");
            assert!(bomb.len() < 400 << 10);
        }
        assert!(unpack(&zip_of_zeros(1, 400 << 10), LIMIT).is_ok());
    }
}
