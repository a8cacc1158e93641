//! Every way of hashing gives what the crates `ring` and `sha2` give, on processors with lanes and without.

use sha2::Digest as _;
use sha512_lanes::{LANES, Sha512, sha512, side_by_side, update_together};

/// What two others say, who have to agree.
fn expected(message: &[u8]) -> [u8; 64] {
    let ring = ring::digest::digest(&ring::digest::SHA512, message);
    let other: [u8; 64] = sha2::Sha512::digest(message).into();
    assert_eq!(ring.as_ref(), other);
    other
}

fn random(random: &mut fastrand::Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// Hashes of these messages, begun and fed side by side, `step` bytes of each at a time.
fn together(messages: &[Vec<u8>], step: usize) -> Vec<[u8; 64]> {
    let mut hashes: Vec<_> = messages.iter().map(|_| Sha512::for_lanes()).collect();
    let longest = messages.iter().map(Vec::len).max().unwrap_or_default();
    for start in (0..longest).step_by(step) {
        let part = |message: &Vec<u8>| start.min(message.len())..(start + step).min(message.len());
        let mut due: Vec<_> =
            hashes.iter_mut().zip(messages).map(|(hash, message)| (hash, &message[part(message)])).collect();
        update_together(&mut due);
    }
    hashes.into_iter().map(Sha512::finish).collect()
}

#[test]
fn the_standards_own_examples() {
    // FIPS 180-4's examples: "abc", and the empty message.
    let hex = |hash: [u8; 64]| hash.map(|byte| format!("{byte:02x}")).concat();
    let abc = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    let empty = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
    let messages = vec![b"abc".to_vec(), Vec::new(), b"abc".to_vec(), b"abc".to_vec()];
    for (hash, expected) in together(&messages, 128).into_iter().zip([abc, empty, abc, abc]) {
        assert_eq!(hex(hash), expected);
    }
    assert_eq!((hex(sha512(b"abc")), hex(sha512(b""))), (abc.to_owned(), empty.to_owned()));
}

#[test]
fn every_length_up_to_600_bytes_in_every_kind_of_hash() {
    let bytes = random(&mut fastrand::Rng::with_seed(1), 600);
    for length in 0..=bytes.len() {
        let (message, expected) = (&bytes[..length], expected(&bytes[..length]));
        assert_eq!(sha512(message), expected, "{length}");
        for mut hash in [Sha512::for_lanes(), Sha512::alone(), Sha512::new()] {
            let (a, b) = message.split_at(length / 3);
            hash.update(a);
            hash.update(b);
            assert_eq!(hash.finish(), expected, "{length}");
        }
    }
}

#[test]
fn every_length_up_to_600_bytes_beside_seven_others() {
    let bytes = random(&mut fastrand::Rng::with_seed(2), 1000);
    let messages: Vec<_> = (0..=600).map(|length| bytes[length / 2..length / 2 + length].to_vec()).collect();
    let all: Vec<_> = messages.iter().map(|message| expected(message)).collect();
    for chunk in 0..messages.len().div_ceil(LANES) {
        let range = chunk * LANES..((chunk + 1) * LANES).min(messages.len());
        assert_eq!(together(&messages[range.clone()], usize::MAX >> 1), all[range]);
    }
    assert_eq!(together(&messages, 600), all, "all in one call");
}

#[test]
fn padding_borders_with_every_step() {
    let mut rng = fastrand::Rng::with_seed(3);
    // Where the length just fits the last block, just does not, and where a block is full.
    let lengths = [0, 1, 111, 112, 113, 119, 120, 127, 128, 129, 239, 240, 241, 255, 256, 257];
    let messages: Vec<_> = lengths.iter().map(|length| random(&mut rng, *length)).collect();
    let all: Vec<_> = messages.iter().map(|message| expected(message)).collect();
    for step in 1..=257 {
        assert_eq!(together(&messages, step), all, "{step}");
    }
}

#[test]
fn any_number_of_messages_of_any_length_in_any_pieces() {
    let seed = fastrand::u64(..);
    let mut rng = fastrand::Rng::with_seed(seed);
    for round in 0..150 {
        let messages: Vec<_> = (0..rng.usize(0..20))
            .map(|_| {
                let longest = [300, 3000, 40_000][rng.usize(..3)];
                let length = rng.usize(0..longest);
                random(&mut rng, length)
            })
            .collect();
        let mut hashes: Vec<_> = messages.iter().map(|_| (Sha512::for_lanes(), 0)).collect();
        // Some take their next bytes beside others, some alone, some not at all in this turn: states go in and out of lanes.
        while hashes.iter().zip(&messages).any(|((_, at), message)| *at < message.len()) {
            let mut due = Vec::new();
            for ((hash, at), message) in hashes.iter_mut().zip(&messages) {
                let end = message.len().min(*at + rng.usize(0..9000));
                match rng.u8(..8) {
                    0 => continue,
                    1 => hash.update(&message[*at..end]),
                    _ => due.push((hash, &message[*at..end])),
                }
                *at = end;
            }
            update_together(&mut due);
        }
        for ((hash, _), message) in hashes.into_iter().zip(&messages) {
            assert_eq!(
                hash.finish(),
                expected(message),
                "seed {seed}, round {round}, {} bytes",
                message.len()
            );
        }
    }
}

#[test]
fn every_number_of_lanes_at_work() {
    let mut rng = fastrand::Rng::with_seed(4);
    for busy in 0..=2 * LANES + 1 {
        let messages: Vec<_> = (0..busy).map(|n| random(&mut rng, 1280 + n % 3 * 128)).collect();
        let all: Vec<_> = messages.iter().map(|message| expected(message)).collect();
        assert_eq!(together(&messages, 512), all, "{busy} messages");
    }
}

#[test]
fn hashes_of_both_kinds_may_stand_in_one_call() {
    let messages: Vec<_> = (0..6_u8).map(|n| vec![n; 700]).collect();
    let mut hashes: Vec<_> =
        (0..6).map(|n| if n % 2 == 0 { Sha512::alone() } else { Sha512::for_lanes() }).collect();
    update_together(
        &mut hashes.iter_mut().zip(&messages).map(|(hash, m)| (hash, &m[..])).collect::<Vec<_>>(),
    );
    for (hash, message) in hashes.into_iter().zip(&messages) {
        assert_eq!(hash.finish(), expected(message));
    }
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut hash = Sha512::for_lanes();
    hash.update(&[7; 200]);
    let mut copy = hash.clone();
    copy.update(b"more");
    assert_eq!(hash.finish(), expected(&[7; 200]));
    assert_eq!(copy.finish(), expected(&[&[7; 200][..], b"more"].concat()));
}

#[test]
fn lanes_are_used_where_the_processor_has_them() {
    #[cfg(target_arch = "x86_64")]
    assert_eq!(side_by_side(), is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"));
    #[cfg(not(target_arch = "x86_64"))]
    assert!(!side_by_side());
}
