//! Huffman codes. Many sets of code lengths are optimal for the same counts; this builds the one that GNU
//! gzip builds: ties between equal counts go to the shallower tree, and too long codes are shortened by its
//! repair rule.

/// A prefix code: for each symbol its length in bits (0 = unused) and its bits, ready to be written low bit
/// first.
#[derive(Debug)]
pub(super) struct Code {
    lengths: Vec<u8>,
    bits: Vec<u16>,
    used: usize,
}

impl Code {
    /// The code for these counts, one per symbol, with no code longer than `limit` bits (at most 15).
    ///
    /// There are always at least two codes: where fewer symbols occur, the lowest free ones get a code too.
    pub(super) fn for_counts(counts: &[u32], limit: u8) -> Self {
        let mut counts = counts.to_vec();
        let used = ensure_two(&mut counts);
        let lengths = lengths(&counts, used, limit);
        Self { bits: canonical(&lengths), lengths, used }
    }

    /// The code with these lengths.
    pub(super) fn from_lengths(lengths: Vec<u8>) -> Self {
        Self { bits: canonical(&lengths), used: lengths.len(), lengths }
    }

    /// Lengths of the symbols up to the last one that has a code.
    pub(super) fn used_lengths(&self) -> &[u8] {
        &self.lengths[..self.used]
    }

    /// Length of the code of `symbol` in bits.
    pub(super) fn length(&self, symbol: usize) -> u64 {
        self.lengths.get(symbol).map_or(0, |length| u64::from(*length))
    }

    /// The code of `symbol` and its length in bits.
    #[inline]
    pub(super) fn code(&self, symbol: usize) -> (u32, u32) {
        (u32::from(self.bits[symbol]), u32::from(self.lengths[symbol]))
    }

    /// Bits needed to write symbols that occur this often, each followed by `extra` bits.
    pub(super) fn cost(&self, counts: &[u32], extra: impl Fn(usize) -> u64) -> u64 {
        counts
            .iter()
            .enumerate()
            .map(|(symbol, &n)| u64::from(n) * (self.length(symbol) + extra(symbol)))
            .sum()
    }
}

/// Gives counts to unused symbols until two are used; returns one more than the last used symbol.
fn ensure_two(counts: &mut [u32]) -> usize {
    let mut used = counts.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
    let mut leaves = counts.iter().filter(|&&n| n > 0).count();
    while leaves < 2 {
        // As gzip does: PKZIP's format wants a distance code even where there is no match, and of a single one a bit.
        let symbol = if used < 3 { used } else { 0 };
        used = used.max(symbol + 1);
        counts[symbol] = 1;
        leaves += 1;
    }
    used
}

/// A heap of tree nodes, the lightest on top; among equals the one with the shallower tree below it.
struct Heap {
    /// Node numbers; the first place is unused, so that the children of `i` are `2 i` and `2 i + 1`.
    nodes: Vec<usize>,
    weight: Vec<u32>,
    height: Vec<u8>,
}

impl Heap {
    fn new(counts: &[u32]) -> Self {
        let mut nodes = vec![0];
        nodes.extend((0..counts.len()).filter(|&symbol| counts[symbol] > 0));
        let mut heap = Self { nodes, weight: counts.to_vec(), height: vec![0; counts.len()] };
        for place in (1..=heap.len() / 2).rev() {
            heap.sink(place);
        }
        heap
    }

    fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    fn before(&self, a: usize, b: usize) -> bool {
        (self.weight[a], self.height[a]) <= (self.weight[b], self.height[b])
    }

    /// Moves the node at `place` down to where no child comes before it.
    fn sink(&mut self, mut place: usize) {
        let node = self.nodes[place];
        let mut child = 2 * place;
        while child <= self.len() {
            if child < self.len() && self.before(self.nodes[child + 1], self.nodes[child]) {
                child += 1;
            }
            if self.before(node, self.nodes[child]) {
                break;
            }
            self.nodes[place] = self.nodes[child];
            place = child;
            child *= 2;
        }
        self.nodes[place] = node;
    }

    /// Takes the top away.
    fn pop(&mut self) -> usize {
        let top = self.nodes.swap_remove(1);
        if self.len() > 0 {
            self.sink(1);
        }
        top
    }

    /// Puts a new node, the parent of `a` and of the present top `b`, in the place of the top; returns its
    /// number.
    fn join(&mut self, a: usize, b: usize) -> usize {
        let parent = self.weight.len();
        self.weight.push(self.weight[a] + self.weight[b]);
        self.height.push(self.height[a].max(self.height[b]) + 1);
        self.nodes[1] = parent;
        self.sink(1);
        parent
    }
}

/// Code lengths for counts of which at least two are not zero; `used` is one more than the last such symbol.
fn lengths(counts: &[u32], used: usize, limit: u8) -> Vec<u8> {
    let mut heap = Heap::new(counts);
    let mut parent = vec![0; 2 * counts.len()];
    // Nodes in the order in which they left the heap: every child before its parent, the root last.
    let mut order = Vec::with_capacity(2 * counts.len());
    while heap.len() >= 2 {
        let (a, b) = (heap.pop(), heap.nodes[1]);
        order.extend([a, b]);
        let node = heap.join(a, b);
        parent[a] = node;
        parent[b] = node;
    }
    let mut depth = vec![0; 2 * counts.len()];
    let mut per_length = [0_u16; 16];
    let mut overlong = 0;
    for &node in order.iter().rev() {
        let wanted: u8 = depth[parent[node]] + 1;
        overlong += i32::from(wanted > limit);
        depth[node] = wanted.min(limit);
        if node < used {
            per_length[usize::from(depth[node])] += 1;
        }
    }
    if overlong > 0 {
        repair(&mut per_length, usize::from(limit), overlong);
        deal(&mut depth, &per_length, order.iter().copied().filter(|&node| node < used));
    }
    depth.truncate(counts.len());
    depth
}

/// Makes room for `overlong` nodes that were cut at `limit`: the deepest shorter leaf goes one level down and
/// takes one of them for a sibling, until all have a place.
fn repair(per_length: &mut [u16; 16], limit: usize, mut overlong: i32) {
    while overlong > 0 {
        let Some(from) = (1..limit).rev().find(|&bits| per_length[bits] > 0) else {
            return;
        };
        per_length[from] -= 1;
        per_length[from + 1] += 2;
        per_length[limit] -= 1;
        overlong -= 2;
    }
}

/// Hands the lengths out again: the longest to the leaves that left the heap first.
fn deal(depth: &mut [u8], per_length: &[u16; 16], mut leaves: impl Iterator<Item = usize>) {
    for bits in (1..16_u8).rev() {
        for _ in 0..per_length[usize::from(bits)] {
            if let Some(leaf) = leaves.next() {
                depth[leaf] = bits;
            }
        }
    }
}

/// The canonical code of RFC 1951 section 3.2.2 for these lengths, each code bit-reversed for writing low bit
/// first.
fn canonical(lengths: &[u8]) -> Vec<u16> {
    let mut next = [0_u16; 17];
    for &length in lengths {
        next[usize::from(length) + 1] += u16::from(length > 0);
    }
    for bits in 1..16 {
        next[bits] = (next[bits] + next[bits - 1]) << 1;
    }
    // `next[bits]` now is the first code of that length: the codes of all shorter ones, doubled.
    lengths
        .iter()
        .map(|&length| {
            let code = next[usize::from(length)];
            next[usize::from(length)] = code.wrapping_add(1);
            if length == 0 { 0 } else { code.reverse_bits() >> (16 - length) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_codes_at_least() {
        assert_eq!(Code::for_counts(&[0; 30], 15).used_lengths(), [1, 1]);
        assert_eq!(Code::for_counts(&[0, 9, 0, 0], 15).used_lengths(), [0, 1, 1]);
        assert_eq!(Code::for_counts(&[0, 0, 0, 9], 15).used_lengths(), [1, 0, 0, 1]);
    }

    #[test]
    fn codes_are_complete_and_short_enough_for_steep_counts() {
        let mut counts = vec![1_u32, 1];
        while counts.len() < 24 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        for limit in [7, 15] {
            let code = Code::for_counts(&counts, limit);
            let space: u32 = code.used_lengths().iter().map(|&length| 1 << (limit - length)).sum();
            assert_eq!(space, 1 << limit, "every bit string means something");
        }
    }

    #[test]
    fn the_example_of_the_standard() {
        let code = Code::from_lengths(vec![3, 3, 3, 3, 3, 2, 4, 4]);
        let reversed = |symbol| {
            let (bits, width) = code.code(symbol);
            bits.reverse_bits() >> (32 - width)
        };
        assert_eq!((0..8).map(reversed).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 0, 14, 15]);
    }
}
