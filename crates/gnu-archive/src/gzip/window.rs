//! What has been seen: the last 32 KiB of input and where in it each three bytes occurred.
//!
//! Positions are those of GNU gzip, since they show in the output: the window is 64 KiB, its upper half moves
//! down when less than [`LOOKAHEAD`] bytes are left to see, and position 0 is never found, because its number
//! means "nothing" in the chains. What lies behind the end of the input is seen too (a longest match is
//! looked for before it is cut at the end), so old bytes there are kept just as they are.

use super::alphabet::{MAX_MATCH, MIN_MATCH};

/// How far back a match may begin, in bytes, and half of the window.
pub(super) const SIZE: usize = 0x8000;
/// Input that must be visible ahead before another step is made, as long as there may be more.
pub(super) const LOOKAHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
/// The farthest match that is looked for.
pub(super) const REACH: usize = SIZE - LOOKAHEAD;
/// Links followed from one position when looking for a match.
// This and the next are what gzip has for level 9.
const CHAIN: usize = 4096;
/// With a match of this length in hand, only a quarter of them.
const GOOD: usize = 32;

const MASK: usize = SIZE - 1;

/// A match: its length, and where in the window it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub(super) length: usize,
    pub(super) start: usize,
}

/// The window and its chains.
pub(super) struct Window {
    bytes: Box<[u8]>,
    /// Where the input ends in `bytes`.
    end: usize,
    /// Last position of each hash; 0 is none.
    heads: Box<[u16; SIZE]>,
    /// For each position, modulo the window's half, the one before it with the same hash.
    links: Box<[u16; SIZE]>,
    hash: usize,
}

impl Window {
    /// A window that has seen nothing.
    #[expect(
        clippy::large_stack_arrays,
        reason = "64 KiB cross the stack once, for arrays without bounds checks"
    )]
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; 2 * SIZE].into_boxed_slice(),
            end: 0,
            heads: Box::new([0; SIZE]),
            links: Box::new([0; SIZE]),
            hash: 0,
        }
    }

    /// Where the input seen so far ends.
    #[inline]
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Whether there is no room for more input.
    pub(super) fn is_full(&self) -> bool {
        self.end >= self.bytes.len()
    }

    /// The byte at `position`.
    #[inline]
    pub(super) fn byte(&self, position: usize) -> u8 {
        self.bytes[position]
    }

    /// The bytes of a range.
    pub(super) fn slice(&self, range: std::ops::Range<usize>) -> Option<&[u8]> {
        self.bytes.get(range)
    }

    /// Takes from `input` what there is room for; returns how many bytes.
    pub(super) fn fill(&mut self, input: &[u8]) -> usize {
        let room = &mut self.bytes[self.end..];
        let taken = room.len().min(input.len());
        room[..taken].copy_from_slice(&input[..taken]);
        self.end += taken;
        taken
    }

    /// Moves the upper half down, forgetting the lower one: all positions become less by [`SIZE`].
    pub(super) fn slide(&mut self) {
        self.bytes.copy_within(SIZE.., 0);
        self.end -= SIZE;
        for position in self.heads.iter_mut().chain(self.links.iter_mut()) {
            *position = position.saturating_sub(0x8000);
        }
    }

    /// Zeroes the two bytes behind the input, which the hashes of its last bytes take in.
    pub(super) fn seal(&mut self) {
        let behind = self.bytes.iter_mut().skip(self.end).take(MIN_MATCH - 1);
        behind.for_each(|byte| *byte = 0);
    }

    /// Starts the rolling hash with the first two bytes of the input.
    pub(super) fn start(&mut self) {
        self.hash = 0;
        self.roll(self.bytes[0]);
        self.roll(self.bytes[1]);
    }

    /// 15 bits of three bytes: the one that is two behind drops out at the top.
    #[inline]
    fn roll(&mut self, byte: u8) {
        self.hash = (self.hash << 5 ^ usize::from(byte)) & MASK;
    }

    /// Enters `position` into the chains; returns the last one with the same hash, 0 if there is none.
    #[inline]
    pub(super) fn insert(&mut self, position: usize) -> usize {
        self.roll(self.bytes[position + MIN_MATCH - 1]);
        let before = self.heads[self.hash];
        self.links[position & MASK] = before;
        #[expect(clippy::cast_possible_truncation, reason = "positions lie in a window of 64 KiB")]
        {
            self.heads[self.hash] = position as u16;
        }
        before.into()
    }

    /// The longest match for the input at `position` that is longer than `best.length`, the nearest one among
    /// equals, along the chain that starts at `candidate`; `best` itself if there is none.
    #[inline]
    pub(super) fn longest(&self, position: usize, mut candidate: usize, mut best: Match) -> Match {
        let bytes = &*self.bytes;
        let Some(here) = bytes.get(position..position + MAX_MATCH) else {
            return best;
        };
        let limit = position.saturating_sub(REACH);
        let mut links = if best.length >= GOOD { CHAIN / 4 } else { CHAIN };
        let head = pair(here, 0);
        let mut tail = pair(here, best.length - 1);
        loop {
            // The two bytes that would make it longer are the likeliest to differ.
            if pair(bytes, candidate + best.length - 1) == tail && pair(bytes, candidate) == head {
                let length = common(here, &bytes[candidate..]);
                if length > best.length {
                    best = Match { length, start: candidate };
                    if length >= MAX_MATCH {
                        return best;
                    }
                    tail = pair(here, best.length - 1);
                }
            }
            candidate = self.links[candidate & MASK].into();
            links -= 1;
            if candidate <= limit || links == 0 {
                return best;
            }
        }
    }
}

/// The two bytes at `at`.
#[inline]
fn pair(bytes: &[u8], at: usize) -> [u8; 2] {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => [a, b],
        _ => [0, 0],
    }
}

/// How many bytes the two have in common at their beginning, at most [`MAX_MATCH`].
#[inline]
fn common(a: &[u8], b: &[u8]) -> usize {
    let mut length = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let (Ok(x), Ok(y)) = (<[u8; 8]>::try_from(x), <[u8; 8]>::try_from(y)) else {
            break;
        };
        let differing = u64::from_le_bytes(x) ^ u64::from_le_bytes(y);
        if differing != 0 {
            return length + differing.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + a[length..].iter().zip(&b[length..]).take_while(|(x, y)| x == y).count()
}
