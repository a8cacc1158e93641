//! Eight states, eight blocks, one compression (FIPS 180-4, 6.4.2).
//!
//! It is written once, without an instruction of any processor: loops over eight words, of which the compiler makes one
//! instruction each where it may use AVX-512. So what the tests see on any machine is what runs there. Intrinsics took a fifth
//! less, and would be code that a machine without AVX-512 never ran.

#![expect(clippy::inline_always, reason = "what is not inlined is compiled for any processor")]
#![expect(clippy::many_single_char_names, reason = "the standard's names")]

use std::sync::LazyLock;

use super::{BLOCK, START};

/// How many messages go side by side.
pub const LANES: usize = 8;

/// One word of each lane.
type Words = [u64; LANES];

/// The constants of the rounds: the fractional parts of the cube roots of the first eighty primes (FIPS 180-4, 4.2.3).
#[rustfmt::skip]
const ROUNDS: [u64; 80] = [
    0x428a_2f98_d728_ae22, 0x7137_4491_23ef_65cd, 0xb5c0_fbcf_ec4d_3b2f, 0xe9b5_dba5_8189_dbbc,
    0x3956_c25b_f348_b538, 0x59f1_11f1_b605_d019, 0x923f_82a4_af19_4f9b, 0xab1c_5ed5_da6d_8118,
    0xd807_aa98_a303_0242, 0x1283_5b01_4570_6fbe, 0x2431_85be_4ee4_b28c, 0x550c_7dc3_d5ff_b4e2,
    0x72be_5d74_f27b_896f, 0x80de_b1fe_3b16_96b1, 0x9bdc_06a7_25c7_1235, 0xc19b_f174_cf69_2694,
    0xe49b_69c1_9ef1_4ad2, 0xefbe_4786_384f_25e3, 0x0fc1_9dc6_8b8c_d5b5, 0x240c_a1cc_77ac_9c65,
    0x2de9_2c6f_592b_0275, 0x4a74_84aa_6ea6_e483, 0x5cb0_a9dc_bd41_fbd4, 0x76f9_88da_8311_53b5,
    0x983e_5152_ee66_dfab, 0xa831_c66d_2db4_3210, 0xb003_27c8_98fb_213f, 0xbf59_7fc7_beef_0ee4,
    0xc6e0_0bf3_3da8_8fc2, 0xd5a7_9147_930a_a725, 0x06ca_6351_e003_826f, 0x1429_2967_0a0e_6e70,
    0x27b7_0a85_46d2_2ffc, 0x2e1b_2138_5c26_c926, 0x4d2c_6dfc_5ac4_2aed, 0x5338_0d13_9d95_b3df,
    0x650a_7354_8baf_63de, 0x766a_0abb_3c77_b2a8, 0x81c2_c92e_47ed_aee6, 0x9272_2c85_1482_353b,
    0xa2bf_e8a1_4cf1_0364, 0xa81a_664b_bc42_3001, 0xc24b_8b70_d0f8_9791, 0xc76c_51a3_0654_be30,
    0xd192_e819_d6ef_5218, 0xd699_0624_5565_a910, 0xf40e_3585_5771_202a, 0x106a_a070_32bb_d1b8,
    0x19a4_c116_b8d2_d0c8, 0x1e37_6c08_5141_ab53, 0x2748_774c_df8e_eb99, 0x34b0_bcb5_e19b_48a8,
    0x391c_0cb3_c5c9_5a63, 0x4ed8_aa4a_e341_8acb, 0x5b9c_ca4f_7763_e373, 0x682e_6ff3_d6b2_b8a3,
    0x748f_82ee_5def_b2fc, 0x78a5_636f_4317_2f60, 0x84c8_7814_a1f0_ab72, 0x8cc7_0208_1a64_39ec,
    0x90be_fffa_2363_1e28, 0xa450_6ceb_de82_bde9, 0xbef9_a3f7_b2c6_7915, 0xc671_78f2_e372_532b,
    0xca27_3ece_ea26_619c, 0xd186_b8c7_21c0_c207, 0xeada_7dd6_cde0_eb1e, 0xf57d_4f7f_ee6e_d178,
    0x06f0_67aa_7217_6fba, 0x0a63_7dc5_a2c8_98a6, 0x113f_9804_bef9_0dae, 0x1b71_0b35_131c_471b,
    0x28db_77f5_2304_7d84, 0x32ca_ab7b_40c7_2493, 0x3c9e_be0a_15c9_bebc, 0x431d_67c4_9c10_0d4c,
    0x4cc5_d4be_cb3e_42b6, 0x597f_299c_fc65_7e2a, 0x5fcb_6fab_3ad6_faec, 0x6c44_198c_4a47_5817,
];

/// Whether this processor has lanes that pay, and they were seen to do what `ring` does.
#[must_use]
pub fn side_by_side() -> bool {
    /// A machine that builds this need not have what it runs on: so the lanes prove themselves where they are used, once.
    static PROVED: LazyLock<bool> = LazyLock::new(|| wide::detected() && agrees_with_ring());
    *PROVED
}

/// Takes each lane's state through its blocks. All lanes have as many.
pub(crate) fn compress(state: &mut [Words; 8], blocks: [&[[u8; BLOCK]]; LANES]) {
    if wide::detected() {
        wide::compress(state, blocks);
    } else {
        compress_lanes(state, blocks);
    }
}

/// Hashes eight messages, of which each differs from the others, of one block and the padding.
fn agrees_with_ring() -> bool {
    let messages: [[u8; BLOCK]; LANES] =
        std::array::from_fn(|lane| std::array::from_fn(|at| (at * 37 + lane * 101 + 1).to_le_bytes()[0]));
    let mut padding = [0; BLOCK];
    padding[0] = 0x80;
    padding[BLOCK - 8..].copy_from_slice(&(BLOCK as u64 * 8).to_be_bytes());
    let whole: [_; LANES] = std::array::from_fn(|lane| [messages[lane], padding]);
    let mut state = START.map(|word| [word; LANES]);
    compress(&mut state, std::array::from_fn(|lane| whole[lane].as_slice()));
    messages.iter().enumerate().all(|(lane, message)| {
        let expected = super::sha512(message);
        expected.chunks_exact(8).zip(&state).all(|(bytes, word)| *bytes == word[lane].to_be_bytes())
    })
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::{BLOCK, LANES, Words, compress_lanes};

    pub(super) fn detected() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
    }

    #[expect(unsafe_code, reason = "the one way into code for these processors")]
    pub(super) fn compress(state: &mut [Words; 8], blocks: [&[[u8; BLOCK]]; LANES]) {
        assert!(detected(), "bug: lanes of a processor that has none");
        // SAFETY: the line above made sure that the processor has the instructions, which is all that is asked for: the function
        // is an ordinary one otherwise.
        unsafe { with_avx512(state, blocks) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn with_avx512(state: &mut [Words; 8], blocks: [&[[u8; BLOCK]]; LANES]) {
        compress_lanes(state, blocks);
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod wide {
    use super::{BLOCK, LANES, Words, compress_lanes};

    pub(super) fn detected() -> bool {
        false
    }

    pub(super) fn compress(state: &mut [Words; 8], blocks: [&[[u8; BLOCK]]; LANES]) {
        compress_lanes(state, blocks);
    }
}

// Always inlined, as all below: only so is it compiled for the processor of its caller.
#[inline(always)]
fn compress_lanes(state: &mut [Words; 8], blocks: [&[[u8; BLOCK]]; LANES]) {
    for number in 0..blocks[0].len() {
        let mut schedule = load(blocks.map(|blocks| &blocks[number]));
        let mut s = *state;
        for sixteen in 0..5 {
            for t in 0..16 {
                if sixteen > 0 {
                    let small0 = mixed::<1, 8>(schedule[(t + 1) % 16], 7);
                    let small1 = mixed::<19, 61>(schedule[(t + 14) % 16], 6);
                    let old = add(schedule[t], small0);
                    schedule[t] = add(old, add(schedule[(t + 9) % 16], small1));
                }
                s = round(s, schedule[t], ROUNDS[sixteen * 16 + t]);
            }
        }
        for (word, more) in state.iter_mut().zip(s) {
            *word = add(*word, more);
        }
    }
}

#[inline(always)]
fn round(state: [Words; 8], scheduled: Words, constant: u64) -> [Words; 8] {
    let [a, b, c, d, e, f, g, h] = state;
    let one = add(add(add(h, [constant; LANES]), add(scheduled, choose(e, f, g))), rotated::<14, 18, 41>(e));
    let two = add(rotated::<28, 34, 39>(a), majority(a, b, c));
    [add(one, two), a, b, c, add(d, one), e, f, g]
}

/// The first block's words of all lanes, then the second words, and so on.
#[inline(always)]
fn load(blocks: [&[u8; BLOCK]; LANES]) -> [Words; 16] {
    let mut words = [[0; LANES]; 16];
    for lane in 0..LANES {
        let (of_lane, _) = blocks[lane].as_chunks();
        for t in 0..16 {
            words[t][lane] = u64::from_be_bytes(of_lane[t]);
        }
    }
    words
}

#[inline(always)]
fn add(one: Words, other: Words) -> Words {
    let mut sum = [0; LANES];
    for lane in 0..LANES {
        sum[lane] = one[lane].wrapping_add(other[lane]);
    }
    sum
}

/// The large sigmas: three rotations.
#[inline(always)]
fn rotated<const A: u32, const B: u32, const C: u32>(x: Words) -> Words {
    let mut made = [0; LANES];
    for lane in 0..LANES {
        made[lane] = x[lane].rotate_right(A) ^ x[lane].rotate_right(B) ^ x[lane].rotate_right(C);
    }
    made
}

/// The small sigmas: two rotations and a shift.
#[inline(always)]
fn mixed<const A: u32, const B: u32>(x: Words, shift: u32) -> Words {
    let mut made = [0; LANES];
    for lane in 0..LANES {
        made[lane] = x[lane].rotate_right(A) ^ x[lane].rotate_right(B) ^ (x[lane] >> shift);
    }
    made
}

/// Bits of the second where the first has ones, of the third elsewhere.
#[inline(always)]
fn choose(x: Words, y: Words, z: Words) -> Words {
    let mut made = [0; LANES];
    for lane in 0..LANES {
        made[lane] = (x[lane] & y[lane]) | (!x[lane] & z[lane]);
    }
    made
}

/// The bits that two or more of them have.
#[inline(always)]
fn majority(x: Words, y: Words, z: Words) -> Words {
    let mut made = [0; LANES];
    for lane in 0..LANES {
        made[lane] = (x[lane] & y[lane]) | (z[lane] & (x[lane] | y[lane]));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a processor with AVX-512 the tests of the crate go through its instructions; this is what the others do.
    #[test]
    fn lanes_do_what_one_after_the_other_does_with_and_without_the_processors_help() {
        let mut random = fastrand::Rng::with_seed(5);
        for count in [0, 1, 2, 7] {
            let mut states: [[u64; 8]; LANES] =
                std::array::from_fn(|_| std::array::from_fn(|_| random.u64(..)));
            let mut messages = vec![vec![[0; BLOCK]; count]; LANES];
            messages.iter_mut().flatten().for_each(|block| random.fill(block));
            let lanes: [Words; 8] = std::array::from_fn(|word| states.map(|state| state[word]));
            let (mut plain, mut helped) = (lanes, lanes);
            compress_lanes(&mut plain, std::array::from_fn(|lane| messages[lane].as_slice()));
            compress(&mut helped, std::array::from_fn(|lane| messages[lane].as_slice()));
            for (state, message) in states.iter_mut().zip(&messages) {
                sha2::block_api::compress512(state, message);
            }
            let expected: [Words; 8] = std::array::from_fn(|word| states.map(|state| state[word]));
            assert_eq!((plain, helped), (expected, expected), "{count} blocks");
        }
    }

    #[test]
    fn lanes_that_are_there_prove_themselves() {
        assert!(agrees_with_ring());
    }
}
