//! SHA-512 of several messages side by side, in the lanes of AVX-512 registers.
//!
//! One message is hashed one step after the other, whatever the processor: that bounds it at 0.5 GB/s or so. Eight of them do
//! not depend on each other, and AVX-512 has registers for eight and an instruction that rotates them: together they take a
//! quarter of the time, or a fifth. Processors without it gain nothing, and hash with `ring`, one message after the other.

mod kernel;

use std::fmt;

use ring::digest;

pub use kernel::{LANES, side_by_side};

/// Bytes of a block.
const BLOCK: usize = 128;

/// With fewer lanes at work than this, one message after the other is as quick: a block of all lanes takes as long as one of a
/// single message does in `sha2`.
const WORTHWHILE: usize = 2;

/// What the state begins with: the fractional parts of the square roots of the first eight primes (FIPS 180-4, 5.3.5).
const START: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

/// The SHA-512 of a message that is there as a whole.
#[must_use]
pub fn sha512(message: &[u8]) -> [u8; 64] {
    Sha512::alone().chain(message).finish()
}

/// A SHA-512 in progress, which can take its next bytes alone or beside others.
#[derive(Clone)]
pub struct Sha512(Progress);

#[derive(Clone)]
enum Progress {
    /// Where lanes are of use.
    Open(Open),
    /// Where they are not.
    Ring(digest::Context),
}

/// A state that can be put in a lane and taken out again.
#[derive(Clone)]
struct Open {
    words: [u64; 8],
    /// What came of the message, in bytes.
    length: u128,
    /// Its last bytes, as many as do not fill a block.
    rest: [u8; BLOCK],
}

impl Default for Sha512 {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Sha512 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sha512").finish_non_exhaustive()
    }
}

impl Sha512 {
    /// The hash of nothing yet, which lanes take where this processor has them.
    #[must_use]
    pub fn new() -> Self {
        if side_by_side() { Self::for_lanes() } else { Self::alone() }
    }

    /// The same, for lanes even where they do not pay: what tests compare.
    #[must_use]
    pub fn for_lanes() -> Self {
        Self(Progress::Open(Open { words: START, length: 0, rest: [0; BLOCK] }))
    }

    /// The same, for a message that will never have others beside it.
    #[must_use]
    pub fn alone() -> Self {
        Self(Progress::Ring(digest::Context::new(&digest::SHA512)))
    }

    /// Adds the next bytes, alone.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Progress::Open(open) => {
                let blocks = open.take_in(bytes);
                sha2::block_api::compress512(&mut open.words, blocks);
            }
            Progress::Ring(context) => context.update(bytes),
        }
    }

    fn chain(mut self, bytes: &[u8]) -> Self {
        self.update(bytes);
        self
    }

    /// The hash of all the bytes.
    #[must_use]
    pub fn finish(self) -> [u8; 64] {
        match self.0 {
            Progress::Open(open) => open.finish(),
            Progress::Ring(context) => {
                let mut hash = [0; 64];
                hash.copy_from_slice(context.finish().as_ref());
                hash
            }
        }
    }
}

impl Open {
    fn filled(&self) -> usize {
        usize::try_from(self.length % BLOCK as u128).expect("bug: a remainder is less than its divisor")
    }

    /// Takes in the next bytes but for whole blocks of them, which are still to be compressed.
    fn take_in<'a>(&mut self, mut bytes: &'a [u8]) -> &'a [[u8; BLOCK]] {
        let filled = self.filled();
        self.length += bytes.len() as u128;
        if filled > 0 {
            let (fits, after) = bytes.split_at(bytes.len().min(BLOCK - filled));
            self.rest[filled..filled + fits.len()].copy_from_slice(fits);
            if filled + fits.len() < BLOCK {
                return &[];
            }
            sha2::block_api::compress512(&mut self.words, &[self.rest]);
            bytes = after;
        }
        let (blocks, rest) = bytes.as_chunks();
        self.rest[..rest.len()].copy_from_slice(rest);
        blocks
    }

    /// Ends the message as FIPS 180-4, 5.1.2 has it: a bit, zeros, and the length in bits.
    fn finish(mut self) -> [u8; 64] {
        let filled = self.filled();
        let bits = (self.length * 8).to_be_bytes();
        let mut last = [[0; BLOCK]; 2];
        last[0][..filled].copy_from_slice(&self.rest[..filled]);
        last[0][filled] = 0x80;
        let used = if filled + 1 + bits.len() <= BLOCK { 1 } else { 2 };
        last[used - 1][BLOCK - bits.len()..].copy_from_slice(&bits);
        sha2::block_api::compress512(&mut self.words, &last[..used]);
        let mut hash = [0; 64];
        for (bytes, word) in hash.chunks_exact_mut(8).zip(self.words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        hash
    }
}

/// A message in a lane: its state, and the blocks that it has still to go through.
struct Run<'a> {
    words: &'a mut [u64; 8],
    blocks: &'a [[u8; BLOCK]],
}

/// Gives each hash its next bytes, all of them side by side: any number, of any lengths. A hash that is done makes room for the
/// next one.
pub fn update_together(messages: &mut [(&mut Sha512, &[u8])]) {
    let mut waiting: Vec<Run<'_>> = Vec::with_capacity(messages.len());
    for (hash, bytes) in messages {
        match &mut hash.0 {
            Progress::Ring(context) => context.update(bytes),
            Progress::Open(open) => {
                let blocks = open.take_in(bytes);
                waiting.push(Run { words: &mut open.words, blocks });
            }
        }
    }
    // The longest first, so that lanes are not left alone with it at the end; the next one is the last.
    waiting.sort_by_key(|run| run.blocks.len());
    let mut lanes: Vec<Run<'_>> = Vec::with_capacity(LANES);
    loop {
        lanes.retain(|run| !run.blocks.is_empty());
        while lanes.len() < LANES
            && let Some(run) = waiting.pop()
        {
            lanes.push(run);
        }
        if lanes.len() < WORTHWHILE {
            break;
        }
        advance(&mut lanes);
    }
    for run in lanes {
        sha2::block_api::compress512(run.words, run.blocks);
    }
}

/// Takes all lanes as far as the shortest goes.
fn advance(lanes: &mut [Run<'_>]) {
    let count = lanes.iter().map(|run| run.blocks.len()).min().unwrap_or_default();
    let mut state = [[0; LANES]; 8];
    for (lane, run) in lanes.iter().enumerate() {
        for (word, of_lanes) in run.words.iter().zip(&mut state) {
            of_lanes[lane] = *word;
        }
    }
    // An empty lane goes along with the first one, and what it makes is left where it is.
    let blocks = std::array::from_fn(|lane| &lanes.get(lane).unwrap_or(&lanes[0]).blocks[..count]);
    kernel::compress(&mut state, blocks);
    for (lane, run) in lanes.iter_mut().enumerate() {
        for (word, of_lanes) in run.words.iter_mut().zip(&state) {
            *word = of_lanes[lane];
        }
        run.blocks = &run.blocks[count..];
    }
}
