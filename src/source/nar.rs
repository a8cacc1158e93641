//! The hash of an unpacked tree: that of its Nix archive, which never exists as a whole.

use std::io::{self, Cursor};

use camino::{Utf8Path, Utf8PathBuf};
use gnu_archive::tree::Entry;
use nix_nar::{Encoder, FileSystem, FileSystemMetadata};

use super::archive::Unpacked;
use super::digest::{DigestKind, Hasher, SourceDigest};

/// Bytes that are encoded and hashed at a time.
const CHUNK: usize = 64 * 1024;

/// Hashes a tree.
///
/// # Errors
/// When a name or the target of a link is not UTF-8.
pub(super) fn hash(tree: &Unpacked, kind: DigestKind) -> io::Result<SourceDigest> {
    hashed(Encoder::new_with_filesystem("", View(tree)).map_err(io::Error::other)?, kind)
}

/// Hashes a file of the store that is not executable.
///
/// # Errors
/// Never, but the encoder could have some.
pub(super) fn hash_file(content: &[u8], kind: DigestKind) -> io::Result<SourceDigest> {
    hashed(Encoder::new_with_filesystem("", File(content)).map_err(io::Error::other)?, kind)
}

fn hashed(mut encoder: impl io::Read, kind: DigestKind) -> io::Result<SourceDigest> {
    let mut hasher = Hasher::new(kind);
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = encoder.read(&mut buffer)?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..length]);
    }
}

/// A file as the encoder sees it.
struct File<'a>(&'a [u8]);

impl<'a> FileSystem for File<'a> {
    type File = Cursor<&'a [u8]>;

    fn metadata(&self, _: &Utf8Path) -> io::Result<FileSystemMetadata> {
        Ok(FileSystemMetadata::File { executable: false, length: self.0.len() as u64 })
    }

    fn read_dir(&self, _: &Utf8Path) -> io::Result<Vec<String>> {
        Err(io::Error::other("not a directory"))
    }

    fn open(&self, _: &Utf8Path) -> io::Result<Self::File> {
        Ok(Cursor::new(self.0))
    }
}

/// A tree as the encoder sees it.
struct View<'a>(&'a Unpacked);

impl<'a> View<'a> {
    fn look(&self, path: &Utf8Path) -> io::Result<Entry<'a>> {
        let names: Vec<&[u8]> =
            path.as_str().split('/').filter(|name| !name.is_empty()).map(str::as_bytes).collect();
        self.0.look(&names).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, path.to_string()))
    }
}

impl<'a> FileSystem for View<'a> {
    type File = Cursor<&'a [u8]>;

    fn metadata(&self, path: &Utf8Path) -> io::Result<FileSystemMetadata> {
        Ok(match self.look(path)? {
            Entry::Directory(_) => FileSystemMetadata::Directory,
            Entry::File { executable, content } => {
                FileSystemMetadata::File { executable, length: content.len() as u64 }
            }
            Entry::Symlink(target) => {
                FileSystemMetadata::Symlink { target_path: Utf8PathBuf::from(text(target)?) }
            }
        })
    }

    fn read_dir(&self, path: &Utf8Path) -> io::Result<Vec<String>> {
        match self.look(path)? {
            Entry::Directory(names) => names.into_iter().map(text).collect(),
            _ => Err(io::Error::other("not a directory")),
        }
    }

    fn open(&self, path: &Utf8Path) -> io::Result<Self::File> {
        match self.look(path)? {
            Entry::File { content, .. } => Ok(Cursor::new(content)),
            _ => Err(io::Error::other("not a file")),
        }
    }
}

fn text(name: &[u8]) -> io::Result<String> {
    String::from_utf8(name.to_vec())
        .map_err(|_| io::Error::other(format!("the name `{}` is not UTF-8", name.escape_ascii())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nix-hash --type sha256 FILE`, as SRI.
    #[test]
    fn a_file_is_hashed_as_nix_does_it() {
        let hash = hash_file(b"hello\n", DigestKind::Sha256).unwrap();
        assert_eq!(hash.sri(), "sha256-HDfQGvQL4ugGkd48w99EN3ppmvuxfGjwgJZLL9Bx/BM=");
        assert_eq!(
            hash_file(b"", DigestKind::Sha256).unwrap().sri(),
            "sha256-d6xi4mKdjkX2JFicDIv5niSzpyI0m/Hnm8GGAIU04kY="
        );
    }
}
