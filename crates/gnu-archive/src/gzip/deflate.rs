//! From input to blocks: lazy matching, which prefers a longer match one byte later.

use super::alphabet::{MAX_MATCH, MIN_MATCH};
use super::bits::BitWriter;
use super::block::Block;
use super::window::{LOOKAHEAD, Match, REACH, SIZE, Window};

/// Three bytes farther back than this cost more as a match than as literals.
const TOO_FAR: usize = 4096;
/// No match: one byte shorter than the shortest.
const NONE: usize = MIN_MATCH - 1;

/// A DEFLATE compressor that makes the decisions of GNU gzip at level 9.
pub(super) struct Deflate {
    window: Window,
    block: Block,
    out: BitWriter,
    /// Where in the window the next byte to look at is.
    position: usize,
    /// Where the block under way begins; before the window once it has moved on.
    block_start: isize,
    /// The match found at the byte before, not yet written.
    found: Match,
    /// The byte before was neither written nor is it part of a match that was.
    pending: bool,
    started: bool,
}

impl Deflate {
    /// A compressor that has seen nothing and writes behind what `out` holds.
    pub(super) fn new(out: BitWriter) -> Self {
        Self {
            window: Window::new(),
            block: Block::new(),
            out,
            position: 0,
            block_start: 0,
            found: Match { length: NONE, start: 0 },
            pending: false,
            started: false,
        }
    }

    /// The bytes written so far, to be drained.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        self.out.bytes_mut()
    }

    /// Bits that can be written behind the end.
    pub(super) fn writer(&mut self) -> &mut BitWriter {
        &mut self.out
    }

    /// Takes at least one byte of `input` and compresses as far as may be; returns how many were taken.
    pub(super) fn feed(&mut self, input: &[u8]) -> usize {
        if self.window.is_full() {
            self.slide();
        }
        let taken = self.window.fill(input);
        if self.ahead() >= LOOKAHEAD {
            self.start();
            while self.ahead() >= LOOKAHEAD {
                self.step();
            }
        }
        taken
    }

    /// Compresses the rest and closes the last block.
    pub(super) fn finish(&mut self) {
        // gzip also slides when it looks for input that does not come any more, and which byte is at position 0 shows
        // in the output.
        if self.position >= SIZE + REACH {
            self.slide();
        }
        self.window.seal();
        self.start();
        while self.ahead() > 0 {
            self.step();
        }
        if self.pending {
            self.block.literal(self.window.byte(self.position - 1), self.covered());
        }
        self.close(true);
    }

    fn ahead(&self) -> usize {
        self.window.end() - self.position
    }

    fn start(&mut self) {
        if !self.started {
            self.started = true;
            self.window.start();
        }
    }

    /// Forgets the lower half of the window. The position is in the upper one, or else it could still look
    /// ahead.
    fn slide(&mut self) {
        self.window.slide();
        self.position -= SIZE;
        self.block_start -= SIZE.cast_signed();
        self.found.start = self.found.start.wrapping_sub(SIZE);
    }

    /// Input from the start of the block to the present position, in bytes.
    fn covered(&self) -> usize {
        self.position.wrapping_sub(self.block_start.cast_unsigned())
    }

    /// Looks at one byte: writes the match that the byte before began, or that byte, or puts this one off.
    fn step(&mut self) {
        let candidate = self.window.insert(self.position);
        let before = self.found;
        self.found = self.look(candidate, before);
        if before.length >= MIN_MATCH && self.found.length <= before.length {
            self.take(before);
            return;
        }
        if self.pending {
            let full = self.block.literal(self.window.byte(self.position - 1), self.covered());
            if full {
                self.close(false);
            }
        }
        self.pending = true;
        self.position += 1;
    }

    /// The match at the present position, if one is better than `before`.
    fn look(&self, candidate: usize, before: Match) -> Match {
        // gzip's start of a match is one variable: where nothing is found it is still that of the byte before.
        let none = Match { length: NONE, start: before.start };
        let near = candidate != 0 && self.position - candidate <= REACH;
        // From here on a longest match would be read past the end of the window; gzip stops here, too.
        let inside = self.position <= 2 * SIZE - LOOKAHEAD;
        if !near || !inside || before.length >= MAX_MATCH {
            return none;
        }
        let found = self.window.longest(self.position, candidate, before);
        let length = found.length.min(self.ahead());
        if length == MIN_MATCH && self.position.wrapping_sub(found.start) > TOO_FAR {
            return Match { length: NONE, ..found };
        }
        Match { length, ..found }
    }

    /// Writes the match that begins at the byte before, and enters the bytes it covers into the chains.
    fn take(&mut self, found: Match) {
        let distance = self.position - 1 - found.start;
        #[expect(clippy::cast_possible_truncation, reason = "distances reach 32506, lengths 258")]
        let full = self.block.repeat(distance as u16, (found.length - MIN_MATCH) as u8, self.covered());
        for _ in 0..found.length - 2 {
            self.position += 1;
            self.window.insert(self.position);
        }
        self.position += 1;
        self.pending = false;
        self.found.length = NONE;
        if full {
            self.close(false);
        }
    }

    fn close(&mut self, last: bool) {
        let raw = usize::try_from(self.block_start).ok();
        let raw = raw.and_then(|start| self.window.slice(start..self.position));
        self.block.close(raw, last, &mut self.out);
        self.block_start = self.position.cast_signed();
    }
}
