//! A block under way: literals and matches, when to close it, and in which of the three forms it is written.

use std::sync::LazyLock;

use super::alphabet::{
    DISTANCES, END_OF_BLOCK, LITERALS, distance_extra, distance_symbol, length_symbol, literal_extra,
};
use super::bits::BitWriter;
use super::huffman::Code;
use super::lengths::Description;

/// A block is closed when it holds this many literals and matches.
// gzip's buffer has room for 0x8000, and gzip closes the block before it is full.
const FULL: usize = 0x8000 - 1;
/// Every so many of them the block is judged: is it so good already that a fresh code could only help?
const JUDGED: usize = 0x1000;
/// The longest code that the format allows for literals, lengths and distances.
const LIMIT: u8 = 15;

/// The codes of RFC 1951 section 3.2.6, fixed for all time.
static FIXED: LazyLock<(Code, Code)> = LazyLock::new(|| {
    let literals = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
    (Code::from_lengths(literals), Code::from_lengths(vec![5; DISTANCES]))
});

/// A literal byte (distance 0), or a match of `MIN_MATCH + byte` bytes, `distance` bytes back.
#[derive(Clone, Copy, Debug)]
struct Token {
    distance: u16,
    byte: u8,
}

/// The literals and matches of the block under way, with their counts.
pub(super) struct Block {
    tokens: Vec<Token>,
    matches: usize,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Block {
    /// An empty block.
    pub(super) fn new() -> Self {
        let mut block = Self {
            tokens: Vec::with_capacity(FULL),
            matches: 0,
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        };
        block.clear();
        block
    }

    fn clear(&mut self) {
        self.tokens.clear();
        self.matches = 0;
        self.literals = [0; LITERALS];
        self.distances = [0; DISTANCES];
        self.literals[END_OF_BLOCK] = 1;
    }

    /// Adds a literal. `covered` is the input from the block's start to the present position, in bytes.
    /// Returns whether the block must be closed now.
    #[inline]
    pub(super) fn literal(&mut self, byte: u8, covered: usize) -> bool {
        self.literals[usize::from(byte)] += 1;
        self.push(Token { distance: 0, byte }, covered)
    }

    /// Adds a match of `MIN_MATCH + over` bytes; otherwise like [`literal`](Self::literal).
    #[inline]
    pub(super) fn repeat(&mut self, distance: u16, over: u8, covered: usize) -> bool {
        self.literals[length_symbol(over).code] += 1;
        self.distances[distance_symbol(distance).code] += 1;
        self.matches += 1;
        self.push(Token { distance, byte: over }, covered)
    }

    #[inline]
    fn push(&mut self, token: Token, covered: usize) -> bool {
        self.tokens.push(token);
        let n = self.tokens.len();
        // zlib does not ask the first; that alone gives other bytes.
        (n.is_multiple_of(JUDGED) && self.is_good(covered as u64)) || n >= FULL
    }

    /// Few matches, and yet less than half the input by a rough estimate: a byte for a literal or a length, 5
    /// bits and the extra ones for a distance.
    fn is_good(&self, covered: u64) -> bool {
        let count = self.tokens.len();
        let distances = self.distances.iter().enumerate();
        let bits: u64 = distances.map(|(code, &n)| u64::from(n) * (5 + distance_extra(code))).sum();
        self.matches < count / 2 && (count as u64 * 8 + bits) / 8 < covered / 2
    }

    /// Writes the block in its smallest form and starts the next one.
    ///
    /// `raw` is the input that it covers, if that is still at hand: without it the block cannot be stored.
    /// It is stored if that takes, with the four bytes of its length, no more bytes than the better of the
    /// coded forms; of these the fixed codes win a tie.
    pub(super) fn close(&mut self, raw: Option<&[u8]>, last: bool, out: &mut BitWriter) {
        let literals = Code::for_counts(&self.literals, LIMIT);
        let distances = Code::for_counts(&self.distances, LIMIT);
        let description = Description::new(&literals, &distances);
        let own = bytes(self.cost(&literals, &distances) + description.cost());
        let fixed = bytes(self.cost(&FIXED.0, &FIXED.1));
        let best = own.min(fixed);
        let kind = |form: u32| u32::from(last) | form << 1;
        match raw.map(|raw| (raw, u16::try_from(raw.len()))) {
            Some((raw, Ok(length))) if u64::from(length) + 4 <= best => {
                out.write(kind(0), 3);
                store(raw, length, out);
            }
            _ if fixed <= own => {
                out.write(kind(1), 3);
                self.write(&FIXED.0, &FIXED.1, out);
            }
            _ => {
                out.write(kind(2), 3);
                description.write(out);
                self.write(&literals, &distances, out);
            }
        }
        if last {
            out.align();
        }
        self.clear();
    }

    /// Size in bits of the data in these codes.
    fn cost(&self, literals: &Code, distances: &Code) -> u64 {
        literals.cost(&self.literals, literal_extra) + distances.cost(&self.distances, distance_extra)
    }

    fn write(&self, literals: &Code, distances: &Code, out: &mut BitWriter) {
        for token in &self.tokens {
            if token.distance == 0 {
                let (code, width) = literals.code(token.byte.into());
                out.write(code, width);
                continue;
            }
            for (symbol, codes) in
                [(length_symbol(token.byte), literals), (distance_symbol(token.distance), distances)]
            {
                let (code, width) = codes.code(symbol.code);
                out.write(code | symbol.extra << width, width + symbol.width);
            }
        }
        let (code, width) = literals.code(END_OF_BLOCK);
        out.write(code, width);
    }
}

/// Whole bytes that hold so many bits after the three bits that open a block.
fn bytes(bits: u64) -> u64 {
    (bits + 3).div_ceil(8)
}

/// A stored block: its length, the length's complement, and the input as it is.
fn store(raw: &[u8], length: u16, out: &mut BitWriter) {
    out.align();
    out.extend(&length.to_le_bytes());
    out.extend(&(!length).to_le_bytes());
    out.extend(raw);
}
