//! Bits into bytes: least significant bit first, as RFC 1951 section 3.1.1 packs them.

/// A growing byte string that can be written a few bits at a time.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, the first one in the lowest place.
    pending: u64,
    /// How many of `pending` are valid: always below 32 between calls.
    count: u32,
}

impl BitWriter {
    /// Appends the `width` (at most 32) low bits of `value`; its higher bits must be zero.
    #[inline]
    pub(super) fn write(&mut self, value: u32, width: u32) {
        self.pending |= u64::from(value) << self.count;
        self.count += width;
        if self.count >= 32 {
            #[expect(clippy::cast_possible_truncation, reason = "the low half is what is meant")]
            let word = self.pending as u32;
            self.bytes.extend_from_slice(&word.to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Fills the byte under way with zero bits.
    pub(super) fn align(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.bytes.extend(self.pending.to_le_bytes().iter().take(bytes));
        self.pending = 0;
        self.count = 0;
    }

    /// Appends whole bytes. Only meaningful after [`align`](Self::align).
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.count, 0, "bytes go on a byte boundary");
        self.bytes.extend_from_slice(bytes);
    }

    /// The whole bytes written so far; the caller drains them.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::BitWriter;

    #[test]
    fn low_bits_first_and_zero_padding() {
        let mut bits = BitWriter::default();
        bits.write(0b1, 1);
        bits.write(0b10, 2);
        bits.write(0x3ffff, 18);
        bits.write(0, 15);
        bits.write(1, 1);
        bits.align();
        assert_eq!(bits.bytes_mut(), &[0xfd, 0xff, 0x1f, 0, 0x10]);
    }

    #[test]
    fn aligning_twice_adds_nothing() {
        let mut bits = BitWriter::default();
        bits.write(u32::MAX, 32);
        bits.align();
        bits.align();
        bits.extend(b"x");
        assert_eq!(bits.bytes_mut(), &[255, 255, 255, 255, b'x']);
    }
}
