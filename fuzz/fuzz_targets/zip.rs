//! A zip archive as a source: within the limit, and twice the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_nixhash::source::archive::unpacked_bytes;

const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let unpacked = unpacked_bytes(bytes, LIMIT);
    assert!(unpacked.is_none_or(|unpacked| unpacked <= LIMIT));
    assert_eq!(unpacked, unpacked_bytes(bytes, LIMIT));
});
