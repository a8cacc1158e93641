//! A zip archive as a source.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_nixhash::source::archive::unpacks;

fuzz_target!(|bytes: &[u8]| {
    unpacks(bytes, 1 << 20);
});
