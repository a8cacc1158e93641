//! Inputs for comparisons: reproducible from a seed, shaped after what compressors trip over.

/// A small reproducible generator (splitmix64).
pub struct Rng(pub u64);

impl Rng {
    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound` (which must not be 0).
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    /// A number in the range `low..=high`.
    pub fn range(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// Small numbers often, large ones up to `high` sometimes.
    pub fn skewed(&mut self, high: usize) -> usize {
        let bits = self.below(usize::BITS as usize - high.leading_zeros() as usize + 1);
        self.below(1 << bits).min(high)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// How a stretch of bytes is made.
type Maker = fn(&mut Rng, &mut Vec<u8>, usize);

/// Each appends bytes until the length given.
const MAKERS: [Maker; 10] =
    [words, noise, few_symbols, runs, period, copies, steep, zeros, records, counters];

/// An input of `size` bytes: one kind of bytes, or several kinds one after another.
pub fn structured(rng: &mut Rng, size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(size + 512);
    let pieces = if rng.once_in(2) { 1 } else { rng.range(2, 9) };
    for piece in 1..=pieces {
        let maker = rng.pick(&MAKERS);
        let until = if piece == pieces { size } else { rng.range(out.len().min(size), size) };
        maker(rng, &mut out, until);
    }
    out.truncate(size);
    out
}

fn words(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let vocabulary: Vec<Vec<u8>> = (0..rng.range(3, 2000))
        .map(|_| (0..rng.range(1, 12)).map(|_| b"etaoinshrdlucmfw"[rng.skewed(15)]).collect())
        .collect();
    while out.len() < until {
        out.extend(&vocabulary[rng.skewed(vocabulary.len() - 1)]);
        out.push(rng.pick(b"   \n,.("));
    }
}

fn noise(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    while out.len() < until {
        out.extend(rng.next().to_le_bytes());
    }
}

fn few_symbols(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let symbols = rng.range(1, 40);
    while out.len() < until {
        out.push(rng.below(symbols).to_le_bytes()[0]);
    }
}

fn runs(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let symbols = rng.range(1, 256);
    while out.len() < until {
        let length = match rng.below(3) {
            0 => rng.range(1, 6),
            1 => rng.range(250, 265) * rng.range(1, 3),
            _ => rng.skewed(4000),
        };
        let byte = rng.below(symbols).to_le_bytes()[0];
        out.extend(std::iter::repeat_n(byte, length));
    }
}

fn period(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let length = match rng.below(4) {
        0 => rng.range(1, 300),
        1 => rng.range(4090, 4102),
        2 => rng.range(32490, 32780),
        _ => rng.range(1, 70000),
    };
    let start = out.len();
    noise(rng, out, start + length);
    out.truncate(start + length);
    let damage = rng.pick(&[0, 0, 3000, 260, 40, 5]);
    while out.len() < until {
        let byte = out[out.len() - length];
        let damaged = damage > 0 && rng.once_in(damage);
        out.push(if damaged { rng.byte() } else { byte });
    }
}

/// Copies of earlier bytes at telling distances and of telling lengths, with bytes of their own between.
fn copies(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let fresh = rng.pick(&[0, 1, 4, 20]);
    let symbols = rng.pick(&[2, 16, 256]);
    while out.len() < until {
        for _ in 0..=rng.below(fresh + 1) {
            out.push(rng.below(symbols).to_le_bytes()[0]);
        }
        let distance = match rng.below(5) {
            0 => rng.range(4090, 4100),
            1 => rng.range(32500, 32512),
            2 => rng.range(1, 8),
            _ => rng.skewed(40000).max(1),
        };
        let length = match rng.below(4) {
            0 => rng.range(3, 5),
            1 => rng.range(28, 36),
            2 => rng.range(254, 262),
            _ => rng.skewed(600),
        };
        if distance <= out.len() {
            for _ in 0..length {
                out.push(out[out.len() - distance]);
            }
        }
    }
}

/// Symbols whose counts fall as Fibonacci numbers do, which makes for the longest codes.
fn steep(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let first = rng.byte();
    let ratio = rng.pick(&[2, 3]);
    while out.len() < until {
        let mut symbol = first;
        while !rng.once_in(ratio) && symbol != first.wrapping_sub(1) {
            symbol = symbol.wrapping_add(1);
        }
        out.push(symbol);
    }
}

fn zeros(_: &mut Rng, out: &mut Vec<u8>, until: usize) {
    if out.len() < until {
        out.resize(until, 0);
    }
}

/// Blocks of 512 bytes as in a tar stream: mostly zero headers, then text.
fn records(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    while out.len() < until {
        let next = out.len() + 512;
        out.extend(format!("package/lib/file{}.js", rng.skewed(99999)).bytes());
        out.resize(next - 412, 0);
        out.extend(
            format!("0000644\x000000000\x000000000\x00{:011o}\x0000000000000\x00", rng.skewed(1 << 20))
                .bytes(),
        );
        out.resize(next, 0);
        let body = next + rng.skewed(3000);
        words(rng, out, body);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}

fn counters(rng: &mut Rng, out: &mut Vec<u8>, until: usize) {
    let mut value = rng.next();
    let step = rng.skewed(1 << 20) as u64;
    let width = rng.range(1, 8);
    while out.len() < until {
        out.extend(&value.to_le_bytes()[..width]);
        value = value.wrapping_add(step);
    }
}
