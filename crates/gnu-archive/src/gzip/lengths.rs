//! How a block describes its own codes: the code lengths, run-length coded and then Huffman coded once more
//! (RFC 1951, section 3.2.7).

use super::bits::BitWriter;
use super::huffman::Code;

/// In this order the header gives the code lengths of the 19 symbols, so that the rare ones can be left off
/// the end.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// The longest code that the header's three bits can name.
const LIMIT: u8 = 7;

/// One symbol of the description: a code length, or a repetition with its count in extra bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Item {
    symbol: u8,
    extra: u32,
    width: u32,
}

impl Item {
    fn length(length: u8) -> Self {
        Self { symbol: length, extra: 0, width: 0 }
    }

    /// `count` times `length` again (3 to 6), or `count` zeros (3 to 10, 11 to 138).
    fn run(length: u8, count: u32) -> Self {
        match (length, count) {
            (1.., _) => Self { symbol: 16, extra: count - 3, width: 2 },
            (0, ..=10) => Self { symbol: 17, extra: count - 3, width: 3 },
            (0, _) => Self { symbol: 18, extra: count - 11, width: 7 },
        }
    }
}

/// The description of a block's two codes, ready to be weighed and written.
pub(super) struct Description {
    items: Vec<Item>,
    code: Code,
    /// How many of [`ORDER`] are given.
    given: usize,
    literals: usize,
    distances: usize,
}

impl Description {
    /// Describes the two codes of a block. A run never spans both, though the format would let it.
    pub(super) fn new(literals: &Code, distances: &Code) -> Self {
        let mut items = Vec::with_capacity(literals.used_lengths().len() + distances.used_lengths().len());
        describe(literals.used_lengths(), &mut items);
        describe(distances.used_lengths(), &mut items);
        let code = Code::for_counts(&counts(&items), LIMIT);
        let given =
            ORDER.iter().rposition(|&symbol| code.length(symbol) > 0).map_or(4, |last| (last + 1).max(4));
        let (literals, distances) = (literals.used_lengths().len(), distances.used_lengths().len());
        Self { items, code, given, literals, distances }
    }

    /// Size in bits.
    pub(super) fn cost(&self) -> u64 {
        let items: u64 =
            self.items.iter().map(|i| self.code.length(i.symbol.into()) + u64::from(i.width)).sum();
        5 + 5 + 4 + 3 * self.given as u64 + items
    }

    /// Writes it, which is what stands between a dynamic block's three first bits and its data.
    pub(super) fn write(&self, out: &mut BitWriter) {
        #[expect(clippy::cast_possible_truncation, reason = "alphabets have 286, 30 and 19 symbols")]
        let [literals, distances, given] = [self.literals as u32, self.distances as u32, self.given as u32];
        out.write(literals - 257, 5);
        out.write(distances - 1, 5);
        out.write(given - 4, 4);
        for &symbol in &ORDER[..self.given] {
            out.write(self.code.code(symbol).1, 3);
        }
        for item in &self.items {
            let (code, width) = self.code.code(item.symbol.into());
            out.write(code, width);
            out.write(item.extra, item.width);
        }
    }
}

fn counts(items: &[Item]) -> [u32; 19] {
    let mut counts = [0; 19];
    for item in items {
        counts[usize::from(item.symbol)] += 1;
    }
    counts
}

/// Appends the description of `lengths`, taking runs greedily.
fn describe(lengths: &[u8], items: &mut Vec<Item>) {
    for run in lengths.chunk_by(|a, b| a == b) {
        let length = run[0];
        #[expect(clippy::cast_possible_truncation, reason = "alphabets have at most 286 symbols")]
        let mut left = run.len() as u32;
        if length > 0 {
            items.push(Item::length(length));
            left -= 1;
        }
        let most = if length > 0 { 6 } else { 138 };
        while left >= 3 {
            let count = left.min(most);
            items.push(Item::run(length, count));
            left -= count;
        }
        items.extend((0..left).map(|_| Item::length(length)));
    }
}

#[cfg(test)]
mod tests {
    use super::{BitWriter, Code, Description, Item, describe};

    fn described(lengths: &[u8]) -> Vec<Item> {
        let mut items = Vec::new();
        describe(lengths, &mut items);
        items
    }

    #[test]
    fn runs_of_zeros() {
        assert_eq!(described(&[0, 0]), [Item::length(0); 2]);
        assert_eq!(described(&[0; 3]), [Item { symbol: 17, extra: 0, width: 3 }]);
        assert_eq!(described(&[0; 10]), [Item { symbol: 17, extra: 7, width: 3 }]);
        assert_eq!(described(&[0; 11]), [Item { symbol: 18, extra: 0, width: 7 }]);
        assert_eq!(described(&[0; 139]), [Item { symbol: 18, extra: 127, width: 7 }, Item::length(0)]);
    }

    #[test]
    fn a_length_stands_once_before_its_repetitions() {
        assert_eq!(described(&[5; 3]), [Item::length(5); 3]);
        assert_eq!(described(&[5; 4]), [Item::length(5), Item { symbol: 16, extra: 0, width: 2 }]);
        assert_eq!(
            described(&[5; 9]),
            [Item::length(5), Item { symbol: 16, extra: 3, width: 2 }, Item::length(5), Item::length(5)]
        );
    }

    /// Whether a block is stored, fixed or has codes of its own hangs on single bits of what they take.
    #[test]
    fn a_description_takes_the_bits_that_it_says() {
        let mut rests = [false; 8];
        for used in 2..280 {
            let mut literals = [0; 286];
            (0..used).for_each(|symbol| literals[symbol] = [1, 2, 3, 4, 5, 6, 7][symbol % 7]);
            literals[256] = 1;
            let literals = Code::for_counts(&literals, 15);
            let description = Description::new(&literals, &Code::for_counts(&[3; 30][..used.min(30)], 15));
            let bits = description.cost();
            // What is behind it begins a byte of its own only if it fills the one before.
            let mut out = BitWriter::default();
            description.write(&mut out);
            out.write(1, 1);
            out.align();
            let bytes = out.bytes_mut();
            assert_eq!(bytes.len() as u64, bits / 8 + 1, "{used}");
            assert_eq!(bytes.last().map(|last| u64::from(last.ilog2())), Some(bits % 8), "{used}");
            rests[usize::try_from(bits % 8).unwrap()] = true;
        }
        assert_eq!(rests, [true; 8]);
    }
}
