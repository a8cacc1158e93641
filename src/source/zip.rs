//! Zip archives, unpacked as Info-ZIP's `unzip` does it for a user with umask 022.
//!
//! Permissions and links exist only in archives made on Unix; files from elsewhere are plain. The central directory is
//! what counts.

use std::io::{self, Read};

use flate2::bufread::DeflateDecoder;
use gnu_archive::tree::Tree;
use gnu_archive::unpack::{self, EntryProblem, Modes, Names};
use rawzip::{CompressionMethod, ZipArchive, ZipSliceArchive};

/// Why a zip archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// Its structure is damaged.
    #[error("the zip archive is damaged or cut off")]
    Damaged(#[source] rawzip::Error),
    /// The data of an entry is damaged.
    #[error("the entry `{entry}` of the zip archive cannot be read")]
    Entry {
        /// The entry.
        entry: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An entry that `unzip` would ask a person about, or read otherwise on another system.
    #[error("the entry `{entry}` of the zip archive {why}")]
    Unusual {
        /// The entry.
        entry: String,
        /// What is unusual.
        why: &'static str,
    },
    /// An entry that is refused in any archive.
    #[error(transparent)]
    Refused(#[from] unpack::Error),
}

impl From<rawzip::Error> for ZipError {
    fn from(error: rawzip::Error) -> Self {
        Self::Damaged(error)
    }
}

type Archive<'a> = ZipSliceArchive<&'a [u8]>;
type Header<'a> = rawzip::ZipFileHeaderRecord<'a>;

/// Unpacks a zip archive into a tree of at most `limit` bytes.
pub(super) fn unpack(bytes: &[u8], limit: u64) -> Result<Tree, ZipError> {
    let archive = ZipArchive::from_slice(bytes)?;
    let mut tree = Tree::new();
    let mut left = limit;
    let mut entries = archive.entries();
    while let Some(header) = entries.next_entry()? {
        add(&archive, &header, &mut tree, &mut left, limit)?;
        // Each entry costs memory, also an empty one.
        left = left.checked_sub(512).ok_or(unpack::Error::TooLarge { limit })?;
    }
    Ok(tree)
}

fn add(
    archive: &Archive<'_>,
    header: &Header<'_>,
    tree: &mut Tree,
    left: &mut u64,
    limit: u64,
) -> Result<(), ZipError> {
    let raw = header.file_path();
    let name: &[u8] = raw.as_bytes();
    let refused = |problem| unpack::Error::entry(name, problem);
    let Some(path) = unpack::place(name, Names::Whole).map_err(refused)? else { return Ok(()) };
    judge(header, name)?;
    let mode = header.mode();
    let permissions = mode.value() & Modes::SANDBOX.kept;
    if header.is_dir() {
        return tree
            .directory(&path, permissions | 0o700)
            .map_err(|_| refused(EntryProblem::Replaces).into());
    }
    let content = content(archive, header, name, left, limit)?;
    let placed = if mode.is_symlink() {
        tree.symlink(&path, &content)
    } else {
        tree.file(&path, permissions, content)
    };
    placed.map_err(|_| refused(EntryProblem::Through).into())
}

/// Refuses what different programs unpack differently.
fn judge(header: &Header<'_>, name: &[u8]) -> Result<(), ZipError> {
    let unusual =
        |why| Err(ZipError::Unusual { entry: String::from_utf8_lossy(name).escape_debug().to_string(), why });
    if name.contains(&b'\\') {
        return unusual("has a backslash in its name");
    }
    if header.flags().is_encrypted() {
        return unusual("is encrypted");
    }
    // 19 is macOS.
    let unix = matches!(header.version_made_by().creator_system().as_u8(), 3 | 19);
    if !unix && header.external_attributes() >> 16 != 0 {
        return unusual("has permissions although it was not made on Unix");
    }
    Ok(())
}

fn content(
    archive: &Archive<'_>,
    header: &Header<'_>,
    name: &[u8],
    left: &mut u64,
    limit: u64,
) -> Result<Vec<u8>, ZipError> {
    let shown = || String::from_utf8_lossy(name).escape_debug().to_string();
    let entry = archive.get_entry(header.wayfinder())?;
    let mut content = Vec::new();
    // One byte more than there is room for: so too much is told from just enough.
    let bound = left.saturating_add(1);
    let read = match header.compression_method() {
        CompressionMethod::STORE => {
            entry.verifying_reader(entry.data()).take(bound).read_to_end(&mut content)
        }
        CompressionMethod::DEFLATE => {
            let inflated = DeflateDecoder::new(entry.data());
            entry.verifying_reader(inflated).take(bound).read_to_end(&mut content)
        }
        _ => {
            return Err(ZipError::Unusual {
                entry: shown(),
                why: "is compressed in a way that is not supported",
            });
        }
    };
    read.map_err(|source| ZipError::Entry { entry: shown(), source })?;
    *left = left.checked_sub(content.len() as u64).ok_or(unpack::Error::TooLarge { limit })?;
    Ok(content)
}
