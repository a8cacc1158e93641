//! GNU tar format, as `tar --format=gnu --mtime=@0 --owner=0 --group=0 --numeric-owner` of GNU tar 1.34
//! writes it.
//!
//! ```text
//! archive = entry*, two blocks of zeros, zeros to a multiple of 10240 bytes
//! entry   = [long link target] [long name] header data, zeros to a multiple of 512 bytes
//! long …  = header named "././@LongLink" of type K (target) or L (name), the text and a NUL, zeros to 512
//! ```
//!
//! A name or target is long when it has more than 100 bytes; the header then holds its first 100. Numbers are
//! octal, with a NUL behind them, or base-256 with the highest bit set where octal does not suffice. What
//! stands in which place was settled by comparing with the program.

use std::io::{self, Write};

const BLOCK: usize = 512;
/// An archive is a whole number of these.
const RECORD: u64 = 10240;
/// Room for a name, or for a link's target.
const NAME: usize = 100;
/// The name of an entry that holds a long name.
const LONG: &[u8] = b"././@LongLink";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind<'a> {
    /// A directory.
    Directory,
    /// A regular file with this content.
    File(&'a [u8]),
    /// A symbolic link to this target.
    Symlink(&'a [u8]),
    /// Another name of an earlier entry, whose full name this is.
    HardLink(&'a [u8]),
}

impl EntryKind<'_> {
    fn flag(self) -> u8 {
        match self {
            EntryKind::File(_) => b'0',
            EntryKind::HardLink(_) => b'1',
            EntryKind::Symlink(_) => b'2',
            EntryKind::Directory => b'5',
        }
    }

    /// The bytes behind the header, and the name in it to which a link points.
    fn content_and_target(&self) -> (&[u8], &[u8]) {
        match self {
            EntryKind::Directory => (b"", b""),
            EntryKind::File(content) => (content, b""),
            EntryKind::Symlink(target) | EntryKind::HardLink(target) => (b"", target),
        }
    }
}

/// Writes an archive entry by entry, in the order given.
#[derive(Debug)]
pub struct Packer<W: Write> {
    inner: W,
    /// Bytes written.
    written: u64,
}

impl<W: Write> Packer<W> {
    /// An archive that goes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { inner, written: 0 }
    }

    /// Adds an entry. `name` is its full name, a directory's with a slash at the end; `mode` its nine
    /// permission bits.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn append(&mut self, name: &[u8], mode: u32, kind: EntryKind<'_>) -> io::Result<()> {
        let (content, target) = kind.content_and_target();
        // In this order, as GNU tar writes them.
        self.long(b'K', target)?;
        self.long(b'L', name)?;
        self.write(&header(name, mode, kind.flag(), content.len() as u64, target))?;
        self.write(content)?;
        self.pad(BLOCK as u64)
    }

    /// Closes the archive and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.write(&[0; 2 * BLOCK])?;
        self.pad(RECORD)?;
        Ok(self.inner)
    }

    /// The entry that holds `text`, if a header has no room for it.
    fn long(&mut self, flag: u8, text: &[u8]) -> io::Result<()> {
        if text.len() <= NAME {
            return Ok(());
        }
        self.write(&header(LONG, 0o644, flag, text.len() as u64 + 1, b""))?;
        self.write(text)?;
        self.write(&[0])?;
        self.pad(BLOCK as u64)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        self.inner.write_all(bytes)
    }

    /// Zeros to a multiple of `unit` bytes.
    fn pad(&mut self, unit: u64) -> io::Result<()> {
        let missing = self.written.next_multiple_of(unit) - self.written;
        self.written += missing;
        io::copy(&mut io::Read::take(io::repeat(0), missing), &mut self.inner).map(drop)
    }
}

/// A header block with its checksum.
fn header(name: &[u8], mode: u32, flag: u8, size: u64, target: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block[..NAME], name);
    number(&mut block[100..108], mode.into());
    number(&mut block[108..116], 0);
    number(&mut block[116..124], 0);
    number(&mut block[124..136], size);
    number(&mut block[136..148], 0);
    // The sum is taken with blanks in its own place.
    put(&mut block[148..156], b"        ");
    block[156] = flag;
    put(&mut block[157..257], target);
    // GNU's magic, older than POSIX's; the names of user and group behind it stay empty by `--numeric-owner`.
    put(&mut block[257..265], b"ustar  \0");
    let sum = block.iter().map(|byte| u64::from(*byte)).sum();
    // One digit less than the field has room for, so that the NUL is followed by a space.
    number(&mut block[148..155], sum);
    block
}

/// As much of `text` as there is room for.
fn put(field: &mut [u8], text: &[u8]) {
    field.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
}

/// Octal digits that fill the field but for a NUL, or else base-256.
fn number(field: &mut [u8], value: u64) {
    let Some((last, digits)) = field.split_last_mut() else {
        return;
    };
    let octal = 3 * digits.len();
    if octal >= 64 || value >> octal == 0 {
        *last = 0;
        for (i, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b'0' + (value >> (3 * i) & 7).to_le_bytes()[0];
        }
        return;
    }
    let bytes = value.to_be_bytes();
    field.fill(0);
    field.iter_mut().rev().zip(bytes.iter().rev()).for_each(|(to, from)| *to = *from);
    field[0] |= 0x80;
}

#[cfg(test)]
mod tests {
    use super::{EntryKind, Packer, number};

    fn written(width: usize, value: u64) -> Vec<u8> {
        let mut field = vec![b'?'; width];
        number(&mut field, value);
        field
    }

    #[test]
    fn octal_where_it_suffices_base_256_beyond() {
        assert_eq!(written(8, 0o755), b"0000755\0");
        assert_eq!(written(12, (8 << 30) - 1), b"77777777777\0");
        assert_eq!(written(12, 8 << 30), b"\x80\0\0\0\0\0\0\x02\0\0\0\0");
    }

    #[test]
    fn an_empty_archive_is_one_record() {
        assert_eq!(Packer::new(Vec::new()).finish().unwrap(), [0; 10240]);
    }

    #[test]
    fn names_are_long_from_101_bytes() {
        for (length, blocks) in [(100, 1), (101, 3), (511, 3), (512, 4)] {
            let mut packer = Packer::new(Vec::new());
            packer.append(&vec![b'n'; length], 0o644, EntryKind::File(b"")).unwrap();
            assert_eq!(packer.written, blocks * 512, "{length}");
        }
    }

    #[test]
    fn a_long_target_comes_before_a_long_name() {
        let mut packer = Packer::new(Vec::new());
        packer.append(&[b'n'; 101], 0o777, EntryKind::Symlink(&[b't'; 101])).unwrap();
        let bytes = packer.finish().unwrap();
        assert_eq!([bytes[156], bytes[1024 + 156], bytes[2048 + 156]], *b"KL2");
        assert_eq!(bytes[2048 + 157..][..101], [&[b't'; 100][..], b"u"].concat());
    }
}
