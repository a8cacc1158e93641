//! The symbols of DEFLATE: which code stands for a length or a distance, and how many extra bits follow it
//! (RFC 1951, section 3.2.5).

/// Bytes 0 to 255, the end of the block, and 29 length codes.
pub(super) const LITERALS: usize = 286;
/// Distance codes.
pub(super) const DISTANCES: usize = 30;
/// The symbol that closes a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// The shortest match that can be written.
pub(super) const MIN_MATCH: usize = 3;
/// The longest match that can be written.
pub(super) const MAX_MATCH: usize = 258;

/// Extra bits after each of the 29 length codes.
const LENGTH_EXTRA: [u8; 29] =
    [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// Extra bits after each of the 30 distance codes.
const DISTANCE_EXTRA: [u8; DISTANCES] =
    [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

/// First value of each length code, counted from [`MIN_MATCH`].
const LENGTH_BASE: [u16; 29] = bases(&LENGTH_EXTRA);
/// First value of each distance code, counted from distance 1.
const DISTANCE_BASE: [u16; DISTANCES] = bases(&DISTANCE_EXTRA);
/// Length code of every length, counted from [`MIN_MATCH`].
const LENGTH_CODE: [u8; 256] = length_codes();

/// A symbol together with the extra bits that must follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    /// Index in the alphabet.
    pub(super) code: usize,
    /// Value of the extra bits.
    pub(super) extra: u32,
    /// Number of the extra bits.
    pub(super) width: u32,
}

const fn bases<const N: usize>(extra: &[u8; N]) -> [u16; N] {
    let mut bases = [0; N];
    let mut i = 1;
    while i < N {
        bases[i] = bases[i - 1] + (1 << extra[i - 1]);
        i += 1;
    }
    bases
}

#[expect(clippy::cast_possible_truncation, reason = "there are 29 codes")]
const fn length_codes() -> [u8; 256] {
    let mut codes = [0; 256];
    let mut code = 0;
    while code < 28 {
        let mut i = LENGTH_BASE[code] as usize;
        while i < 256 && i < LENGTH_BASE[code] as usize + (1 << LENGTH_EXTRA[code]) {
            codes[i] = code as u8;
            i += 1;
        }
        code += 1;
    }
    // The longest length has a code of its own, although the code before it could spell it with its extra
    // bits.
    codes[255] = 28;
    codes
}

/// The symbol in the literal alphabet of a match `MIN_MATCH + over` long.
#[inline]
pub(super) fn length_symbol(over: u8) -> Symbol {
    let index = usize::from(LENGTH_CODE[usize::from(over)]);
    let width = u32::from(LENGTH_EXTRA[index]);
    // The longest length lies beyond its code's neighbour, at an offset that its zero extra bits cannot hold.
    let extra = if width == 0 { 0 } else { u32::from(over) - u32::from(LENGTH_BASE[index]) };
    Symbol { code: END_OF_BLOCK + 1 + index, extra, width }
}

/// The symbol in the distance alphabet of a distance of 1 to 32768 bytes.
#[inline]
pub(super) fn distance_symbol(distance: u16) -> Symbol {
    let back = u32::from(distance.wrapping_sub(1));
    let code = if back < 4 {
        back
    } else {
        // Two codes for each power of two: the bit below the highest one chooses between them.
        let top = back.ilog2();
        2 * top + ((back >> (top - 1)) & 1)
    } as usize;
    Symbol { code, extra: back - u32::from(DISTANCE_BASE[code]), width: u32::from(DISTANCE_EXTRA[code]) }
}

/// Extra bits that follow `code` of the literal alphabet.
pub(super) fn literal_extra(code: usize) -> u64 {
    code.checked_sub(END_OF_BLOCK + 1).and_then(|i| LENGTH_EXTRA.get(i)).map_or(0, |bits| u64::from(*bits))
}

/// Extra bits that follow `code` of the distance alphabet.
pub(super) fn distance_extra(code: usize) -> u64 {
    DISTANCE_EXTRA.get(code).map_or(0, |bits| u64::from(*bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_standard() {
        assert_eq!(length_symbol(0), Symbol { code: 257, extra: 0, width: 0 });
        assert_eq!(length_symbol(8), Symbol { code: 265, extra: 0, width: 1 });
        assert_eq!(length_symbol(254), Symbol { code: 284, extra: 30, width: 5 });
        assert_eq!(length_symbol(255), Symbol { code: 285, extra: 0, width: 0 });
        assert_eq!(distance_symbol(1).code, 0);
        assert_eq!(distance_symbol(5), Symbol { code: 4, extra: 0, width: 1 });
        assert_eq!(distance_symbol(24577), Symbol { code: 29, extra: 0, width: 13 });
        assert_eq!(distance_symbol(32768), Symbol { code: 29, extra: 8191, width: 13 });
    }

    #[test]
    fn every_length_and_distance_is_within_its_code() {
        for over in 0..=255 {
            let symbol = length_symbol(over);
            assert!(symbol.extra < 1 << symbol.width);
        }
        for distance in 1..=32768 {
            let symbol = distance_symbol(distance);
            assert!(symbol.extra < 1 << symbol.width);
            assert_eq!(u32::from(DISTANCE_BASE[symbol.code]) + symbol.extra + 1, u32::from(distance));
        }
    }
}
