//! Tar archives, unpacked into a folder in memory; every refusal is here.

use std::io::{self, Read};

use tar::{Archive, EntryType};

use super::members::{Member, Members};
use super::tree::{Misfit, Tree};

/// Which permissions are left of those in an archive, and what folders get that no entry describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Modes {
    /// The bits that stay.
    pub kept: u32,
    /// The permissions of folders that no entry describes.
    pub made: u32,
}

impl Modes {
    /// Those of an ordinary user with umask 022, as in Nix's sandbox.
    pub const SANDBOX: Self = Self::umask(0o022);

    /// Those of root with umask 022, for whom tar restores permissions as they are.
    pub const ROOT: Self = Self { kept: 0o777, made: 0o755 };

    /// Those of an ordinary user with this umask.
    #[must_use]
    pub const fn umask(mask: u32) -> Self {
        Self { kept: 0o777 & !mask, made: 0o777 & !mask }
    }
}

impl Default for Modes {
    fn default() -> Self {
        Self::SANDBOX
    }
}
/// The longest part of a name that a file system takes, in bytes.
const PART: usize = 255;
/// The longest name, or target of a link, that Linux takes, in bytes.
const PATH: usize = 4095;
/// Each file and directory counts as this many bytes against the limit: it will have a header.
const HEADER: u64 = 512;

/// Why an archive is not unpacked, or not packed again.
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
        problem: EntryProblem,
    },
    /// The new archive could not be written.
    #[error("the archive cannot be packed again")]
    Write(#[source] io::Error),
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProblem {
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
    #[error("is a hard link to `{0}`, which is not an earlier file")]
    HardLink(String),
    /// Its permissions keep its owner from reading it.
    #[error("may not be read by its owner")]
    Unreadable,
}

/// Which part of an entry's name is its place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// All of it.
    Whole,
    /// What follows the first part, as `tar --strip-components=1` has it.
    WithoutFirstPart,
}

/// Reads a whole tar archive into a tree of at most `limit` bytes.
///
/// # Errors
/// The first entry that is refused, an archive that is damaged, or one that unpacks to more than `limit`.
pub fn unpack(archive: impl Read, limit: u64, names: Names, modes: Modes) -> Result<Tree, Error> {
    let mut input = Limited { inner: archive, left: limit, exceeded: false };
    let outcome = unpack_from(&mut input, limit, names, modes);
    // Whatever the reader of the archive made of it: the limit is the reason.
    if input.exceeded {
        return Err(Error::TooLarge { limit });
    }
    outcome
}

fn unpack_from(input: &mut impl Read, limit: u64, names: Names, modes: Modes) -> Result<Tree, Error> {
    let mut tree = Tree::with(modes.made);
    let mut archive = Archive::new(&mut *input);
    let mut members = Members::new(&mut archive).map_err(Error::Damaged)?;
    while let Some(member) = members.next_member().map_err(Error::Damaged)? {
        add(&mut tree, member, names, modes)?;
        if tree.nodes() as u64 > limit / HEADER {
            return Err(Error::TooLarge { limit });
        }
    }
    // To the end, so that a file that is cut off or damaged there is noticed.
    io::copy(input, &mut io::sink()).map_err(Error::Damaged)?;
    Ok(tree)
}

/// Puts an entry in its place.
fn add<R: Read>(tree: &mut Tree, member: Member<'_, R>, names: Names, modes: Modes) -> Result<(), Error> {
    let name = member.name.clone();
    let refused = |problem| Error::entry(&name, problem);
    let Some(path) = place(&name, names).map_err(refused)? else {
        return Ok(());
    };
    // Hosts archive files as 0664 and 0775: what umask takes from that shows in the hash.
    let mode = member.mode & modes.kept;
    let target = member.target.clone();
    let outcome = match member.kind {
        EntryType::Directory => tree.directory(&path, mode),
        // Before tar had a type for directories, a slash at the end was their mark.
        EntryType::Regular | EntryType::Continuous if name.ends_with(b"/") => tree.directory(&path, mode),
        EntryType::Regular | EntryType::Continuous => {
            tree.file(&path, mode, member.content().map_err(Error::Damaged)?)
        }
        EntryType::Symlink if target.is_empty() || target.len() > PATH || target.contains(&0) => {
            return Err(refused(EntryProblem::Target(shown(&target))));
        }
        EntryType::Symlink => tree.symlink(&path, &target),
        // `--strip-components` shortens the targets of hard links, too; those of symbolic links it leaves alone.
        EntryType::Link => match place(&target, names) {
            Ok(Some(target)) => tree.hard_link(&path, &target),
            _ => Err(Misfit::Target),
        },
        other => return Err(refused(EntryProblem::Type(char::from(other.as_byte())))),
    };
    outcome.map_err(|misfit| refused(explain(misfit, &target)))
}

/// What to say when an entry has no place, `target` being what it links to.
fn explain(misfit: Misfit, target: &[u8]) -> EntryProblem {
    match misfit {
        Misfit::Through => EntryProblem::Through,
        Misfit::Replaces => EntryProblem::Replaces,
        Misfit::Placeholder => EntryProblem::Placeholder,
        Misfit::Target => EntryProblem::HardLink(shown(target)),
    }
}

/// The parts of a name that count; none if there is none. `.` and repeated slashes mean nothing, except right behind a
/// first part that is dropped: there tar leaves a slash and goes to the root of the file system.
///
/// # Errors
/// The name leads out of the tree, is too long, or holds a zero byte.
pub fn place(name: &[u8], names: Names) -> Result<Option<Vec<&[u8]>>, EntryProblem> {
    if name.starts_with(b"/") {
        return Err(EntryProblem::Absolute);
    }
    if name.contains(&0) {
        return Err(EntryProblem::ZeroByte);
    }
    let mut parts = name.split(|byte| *byte == b'/');
    let first = if names == Names::WithoutFirstPart { parts.next() } else { None };
    if first.is_some() && parts.clone().next() == Some(b"") && parts.clone().nth(1).is_some() {
        return Err(EntryProblem::Absolute);
    }
    let parts: Vec<_> = parts.filter(|part| !matches!(*part, b"" | b".")).collect();
    if first.iter().chain(&parts).any(|part| *part == b"..") {
        return Err(EntryProblem::Parent);
    }
    let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
    if length > PATH + 1 || parts.iter().any(|part| part.len() > PART) {
        return Err(EntryProblem::LongPath);
    }
    Ok((!parts.is_empty()).then_some(parts))
}

impl Error {
    /// What is wrong with the entry of this name.
    #[must_use]
    pub fn entry(name: &[u8], problem: EntryProblem) -> Self {
        Self::Entry { entry: shown(name), problem }
    }
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

#[cfg(test)]
mod tests {
    use super::{EntryProblem, Names, place};

    #[test]
    fn a_path_of_4095_bytes_has_a_place_and_a_longer_one_has_none() {
        let parts = |last: &str| [vec!["x".repeat(255); 15].join("/").as_str(), last].join("/");
        let longest = parts(&"x".repeat(255));
        assert_eq!(longest.len(), 4095);
        assert_eq!(
            place(longest.as_bytes(), Names::Whole).map(|parts| parts.map(|parts| parts.len())),
            Ok(Some(16))
        );
        for longer in [parts(&format!("{}/y", "x".repeat(254))), parts(&"x".repeat(256))] {
            assert_eq!(longer.len(), 4096);
            assert_eq!(place(longer.as_bytes(), Names::Whole), Err(EntryProblem::LongPath));
        }
    }
}
