//! A hosted archive, unpacked and packed again in memory: what nixpkgs hashes for a git dependency.
//!
//! nixpkgs runs, as an ordinary user with umask 022,
//!
//! ```sh
//! tar --extract --gzip --strip-components=1 -C package
//! tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu -I 'gzip -n -9' --create package
//! ```
//!
//! [`repack`] gives the bytes of the second for all that a git host makes of a repository. It refuses what
//! such an archive never holds, what either command fails on, and where the outcome would hang on the
//! surroundings:
//!
//! * absolute names, `..`, zero bytes, parts over 255 bytes and names over 4095;
//! * devices, pipes, sparse files, volumes and unknown types;
//! * entries below something that is not a directory (a symbolic link, too: nothing is ever written through
//!   one);
//! * directories where something else is, or the reverse; anything where a link with an absolute target or
//!   one with `..` is; hard links to no earlier entry;
//! * files and directories that their owner could not read back;
//! * more unpacked bytes than the caller allows, damaged or cut off data, text behind the end.
//!
//! Symbolic links are kept as they are, also those that point out of the tree: they are only text here,
//! repositories do hold them, and the hash contains them. A later file or link of the same name takes the
//! place of the earlier one.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::gzip::Encoder;
use super::pack::Packer;
use super::tree::{PackError, Tree};
pub use super::unpack::{EntryProblem, Error, Modes};
use super::unpack::{Names, unpack};

/// The folder that all entries are put in.
const TOP: &[u8] = b"package";

/// A repacked archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repacked {
    /// The new archive: a gzip file.
    pub bytes: Vec<u8>,
    /// `package.json` at the top of the package, followed if it is a link; none if it is missing or not
    /// UTF-8.
    pub package_json: Option<String>,
    /// `package-lock.json` beside it, likewise.
    pub package_lock: Option<String>,
}

impl From<PackError> for Error {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Unreadable(name) => Error::entry(&name, EntryProblem::Unreadable),
            PackError::Write(source) => Error::Write(source),
        }
    }
}

/// Repacks a hosted `.tar.gz`, whose first path component is dropped, as a package.
///
/// `limit` bounds, in bytes, the unpacked archive, and with it the memory used (a small multiple).
///
/// # Errors
/// [`Error::Entry`] for an entry that is refused, [`Error::TooLarge`] beyond `limit`, [`Error::Damaged`] for
/// data that is not an archive or if `archive` cannot be read to its end.
pub fn repack(archive: impl Read, limit: u64) -> Result<Repacked, Error> {
    repack_as(archive, limit, Modes::SANDBOX)
}

/// The same with other permissions: what nixpkgs' tool makes of it outside of the sandbox.
///
/// # Errors
/// Those of [`repack`].
pub fn repack_as(archive: impl Read, limit: u64, modes: Modes) -> Result<Repacked, Error> {
    // Of several members gzip unpacks all, one behind the other.
    let tree = unpack(MultiGzDecoder::new(archive), limit, Names::WithoutFirstPart, modes)?;
    let mut packer = Packer::new(Encoder::new(Vec::new()));
    tree.pack(TOP, &mut packer)?;
    let bytes = packer.finish().and_then(Encoder::finish).map_err(Error::Write)?;
    Ok(Repacked {
        bytes,
        package_json: text(&tree, b"package.json"),
        package_lock: text(&tree, b"package-lock.json"),
    })
}

fn text(tree: &Tree, name: &[u8]) -> Option<String> {
    String::from_utf8(tree.read(&[name])?.to_vec()).ok()
}
