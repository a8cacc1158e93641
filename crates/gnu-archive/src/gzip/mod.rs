//! Compression byte for byte as GNU `gzip -n -9` does it, for hashes that are taken of compressed bytes.
//!
//! Any gzip file that decompresses to the same bytes would serve as well, were it not hashed. zlib at its
//! level 9 makes other bytes, although both descend from the same program: they differ in when they close a
//! block, in how far a match may look past the end of the input, and in their hash chains' first position.
//! The format is RFC 1951 and RFC 1952; everything the format leaves open was settled by comparing with the
//! program.
//!
//! ```text
//! mod        header, checksum, trailer       block     literals and matches, when to close, in which form
//! deflate    lazy matching                   lengths   how a block describes its codes
//! window     what was seen, and where        huffman   counts to codes
//! alphabet   lengths and distances           bits      bits to bytes
//! ```

mod alphabet;
mod bits;
mod block;
mod deflate;
mod huffman;
mod lengths;
mod window;

use std::io::{self, Write};

use bits::BitWriter;
use deflate::Deflate;
use flate2::Crc;

/// Magic, DEFLATE, no flags, no time, slowest compression, Unix (RFC 1952, section 2.3).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3];

/// Compresses `input` to the bytes that GNU `gzip -n -9` writes when it reads it from standard input.
///
/// ```
/// # use gnu_archive::gzip::compress;
/// assert_eq!(compress(b"")[10..], [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/// ```
#[must_use]
pub fn compress(input: &[u8]) -> Vec<u8> {
    let mut core = Core::new();
    let mut rest = input;
    while !rest.is_empty() {
        rest = &rest[core.feed(rest)..];
    }
    core.finish();
    std::mem::take(core.deflate.output())
}

/// A compressor that hands the bytes of [`compress`] to a writer as they come, in about 400 KiB of memory.
///
/// How the input is cut into writes does not matter. [`finish`](Self::finish) must be called: dropping the
/// encoder leaves an incomplete file, and [`flush`](Write::flush) can only pass on blocks that are already
/// closed.
pub struct Encoder<W: Write> {
    core: Core,
    inner: W,
}

impl<W: Write> Encoder<W> {
    /// An encoder that writes to `inner`.
    pub fn new(inner: W) -> Self {
        Self { core: Core::new(), inner }
    }

    /// Writes what is left and gives the writer back.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.core.finish();
        self.drain()?;
        Ok(self.inner)
    }

    fn drain(&mut self) -> io::Result<()> {
        let output = self.core.deflate.output();
        self.inner.write_all(output)?;
        output.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        if input.is_empty() {
            return Ok(0);
        }
        let taken = self.core.feed(input);
        self.drain()?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The compressor with its checksum.
struct Core {
    deflate: Deflate,
    crc: Crc,
}

impl Core {
    fn new() -> Self {
        let mut out = BitWriter::default();
        out.extend(&HEADER);
        Self { deflate: Deflate::new(out), crc: Crc::new() }
    }

    fn feed(&mut self, input: &[u8]) -> usize {
        let taken = self.deflate.feed(input);
        self.crc.update(&input[..taken]);
        taken
    }

    fn finish(&mut self) {
        self.deflate.finish();
        let out = self.deflate.writer();
        out.extend(&self.crc.sum().to_le_bytes());
        out.extend(&self.crc.amount().to_le_bytes());
    }
}
