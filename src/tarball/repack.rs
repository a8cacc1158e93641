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

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::gzip::Encoder;
use super::members::{Member, Members};
use super::pack::Packer;
use super::tree::{Misfit, PackError, Tree};

/// The folder that all entries are put in.
const TOP: &[u8] = b"package";
/// What umask 022 leaves of permissions.
const PERMISSIONS: u32 = 0o755;
/// The longest part of a name that a file system takes, in bytes.
const PART: usize = 255;
/// The longest name, or target of a link, that Linux takes, in bytes.
const PATH: usize = 4095;
/// Each file and directory counts as this many bytes against the limit: it will have a header.
const HEADER: u64 = 512;

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

/// Why an archive is not repacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The gzip file or the archive's structure is damaged, or reading failed.
    #[error("the archive is damaged or cut off")]
    Damaged(#[source] io::Error),
    /// More comes out of it than the caller allows.
    #[error("the archive unpacks to more than {limit} bytes")]
    TooLarge {
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// One entry is refused.
    #[error("archive entry `{entry}` {problem}")]
    Entry {
        /// The entry's name; control characters and bytes that are not UTF-8 are escaped or replaced.
        entry: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The new archive could not be written.
    #[error("the archive cannot be packed again")]
    Write(#[source] io::Error),
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Its name begins with a slash, or does so once its first part is dropped.
    #[error("has an absolute path")]
    Absolute,
    /// Its name contains `..`.
    #[error("has `..` in its path")]
    Parent,
    /// Its name contains a zero byte.
    #[error("has a zero byte in its path")]
    ZeroByte,
    /// Its name, or a part of it, is longer than systems allow.
    #[error("has a path of over {PATH} bytes, or a part of it of over {PART}")]
    LongPath,
    /// It is a device, a pipe or something unknown; this is the type's letter.
    #[error("is neither a file nor a directory nor a link (its type is `{0}`)")]
    Type(char),
    /// It lies below a link or a file.
    #[error("lies below something that is not a directory")]
    Through,
    /// A directory replaces something else, or the reverse.
    #[error("exists twice, once as a directory and once as something else")]
    Replaces,
    /// It has the name of an earlier symbolic link whose target is absolute or contains `..`. Which of the
    /// two is left then depends on the file system: tar creates such links last.
    #[error("has the name of an earlier link that points out of its folder")]
    Placeholder,
    /// A link without a usable target.
    #[error("is a link to `{0}`, which cannot be a link's target")]
    Target(String),
    /// A hard link to something that no earlier entry is, or that is a directory.
    #[error("is a hard link to `{0}`, which is no earlier file")]
    HardLink(String),
    /// Its permissions keep its owner from reading it.
    #[error("may not be read by its owner")]
    Unreadable,
}

impl From<PackError> for Error {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Unreadable(name) => refuse(&name, Problem::Unreadable),
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
/// data that is no archive or if `archive` cannot be read to its end.
pub fn repack(archive: impl Read, limit: u64) -> Result<Repacked, Error> {
    let tree = unpack(archive, limit)?;
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
    String::from_utf8(tree.read(name)?.to_vec()).ok()
}

/// Reads the whole archive into a tree.
fn unpack(archive: impl Read, limit: u64) -> Result<Tree, Error> {
    let mut input = Limited { inner: MultiGzDecoder::new(archive), left: limit, exceeded: false };
    let outcome = unpack_from(&mut input, limit);
    if input.exceeded {
        return Err(Error::TooLarge { limit });
    }
    outcome
}

fn unpack_from(input: &mut impl Read, limit: u64) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    let mut archive = Archive::new(&mut *input);
    let mut members = Members::new(&mut archive).map_err(Error::Damaged)?;
    while let Some(member) = members.next().map_err(Error::Damaged)? {
        add(&mut tree, member)?;
        if tree.len() as u64 > limit / HEADER {
            return Err(Error::TooLarge { limit });
        }
    }
    // To the end, so that a file that is cut off or damaged there is noticed.
    io::copy(input, &mut io::sink()).map_err(Error::Damaged)?;
    Ok(tree)
}

/// Puts an entry in its place.
fn add<R: Read>(tree: &mut Tree, member: Member<'_, R>) -> Result<(), Error> {
    let name = member.name.clone();
    let refused = |problem| refuse(&name, problem);
    let Some(path) = place(&name).map_err(refused)? else {
        return Ok(());
    };
    let mode = member.mode & PERMISSIONS;
    let target = member.target.clone();
    let outcome = match member.kind {
        EntryType::Directory => tree.directory(&path, mode),
        // Before tar had a type for directories, a slash at the end was their mark.
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => tree.directory(&path, mode),
        EntryType::Regular | EntryType::Continuous => {
            tree.file(&path, mode, member.content().map_err(Error::Damaged)?)
        }
        EntryType::Symlink if target.is_empty() || target.len() > PATH || target.contains(&0) => {
            return Err(refused(Problem::Target(shown(&target))));
        }
        EntryType::Symlink => tree.symlink(&path, &target),
        EntryType::Link => match place(&target) {
            Ok(Some(target)) => tree.hard_link(&path, &target),
            _ => Err(Misfit::Target),
        },
        other => return Err(refused(Problem::Type(char::from(other.as_byte())))),
    };
    outcome.map_err(|misfit| refused(explain(misfit, &target)))
}

/// What to say when an entry has no place, `target` being what it links to.
fn explain(misfit: Misfit, target: &[u8]) -> Problem {
    match misfit {
        Misfit::Through => Problem::Through,
        Misfit::Replaces => Problem::Replaces,
        Misfit::Placeholder => Problem::Placeholder,
        Misfit::Target => Problem::HardLink(shown(target)),
    }
}

/// The parts of a name without the first one; none if no other is left. `.` and repeated slashes mean
/// nothing, except right behind the first part: there tar leaves a slash and goes to the root of the file
/// system.
fn place(name: &[u8]) -> Result<Option<Vec<&[u8]>>, Problem> {
    if name.starts_with(b"/") {
        return Err(Problem::Absolute);
    }
    if name.contains(&0) {
        return Err(Problem::ZeroByte);
    }
    let mut parts = name.split(|byte| *byte == b'/');
    let first = parts.next();
    if parts.clone().next() == Some(b"") && parts.clone().nth(1).is_some() {
        return Err(Problem::Absolute);
    }
    let parts: Vec<_> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    if first.iter().chain(&parts).any(|part| *part == b"..") {
        return Err(Problem::Parent);
    }
    let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
    if length > PATH + 1 || parts.iter().any(|part| part.len() > PART) {
        return Err(Problem::LongPath);
    }
    Ok((!parts.is_empty()).then_some(parts))
}

fn refuse(name: &[u8], problem: Problem) -> Error {
    Error::Entry { entry: shown(name), problem }
}

/// A name for people: on one line, whatever it holds.
fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}

/// A reader that fails once more than `left` bytes have come.
struct Limited<R> {
    inner: R,
    left: u64,
    exceeded: bool,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(n as u64) else {
            self.exceeded = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(n)
    }
}
