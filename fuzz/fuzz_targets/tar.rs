//! A tar archive, plain and in gzip: as a source, and as a git dependency that is packed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_nixhash::{source::archive::unpacks, tarball::gzip::compress, tarball::repack::repack};

const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    unpacks(bytes, LIMIT);
    let packed = compress(bytes);
    unpacks(&packed, LIMIT);
    let again = |bytes: &[u8]| repack(bytes, LIMIT).ok().map(|repacked| repacked.bytes);
    assert_eq!(again(&packed), again(&packed));
    let _ = repack(bytes, LIMIT);
});
