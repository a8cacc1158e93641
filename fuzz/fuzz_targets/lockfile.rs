//! A lockfile is read or refused, twice the same way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_nixhash::lockfile::Lockfile;

fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| format!("{:?}", Lockfile::parse(bytes));
    assert_eq!(read(bytes), read(bytes));
});
