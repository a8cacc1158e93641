//! A tar archive, plain and in gzip: as a source, and as a git dependency that is packed again. What is packed again unpacks
//! to itself, within the limit.
#![no_main]

use std::io::Read as _;

use gnu_archive::gzip::compress;
use gnu_archive::repack::repack;
use libfuzzer_sys::fuzz_target;
use npm_nixhash::source::archive::unpacked_bytes;
use npm_tarballs::package::look;

const LIMIT: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let packed = compress(bytes);
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unzipped).expect("gzip");
    assert!(unzipped == bytes, "compressing loses bytes");

    for source in [bytes, &packed] {
        assert!(unpacked_bytes(source, LIMIT).is_none_or(|unpacked| unpacked <= LIMIT));
        let _ = look(source);
        let again = |bytes: &[u8]| repack(bytes, LIMIT).ok();
        let first = again(source);
        assert_eq!(first, again(source));
        // The limit counts headers, of which there may be more now.
        if let Some(first) = first
            && let Ok(second) = repack(&first.bytes[..], 4 * LIMIT)
        {
            assert_eq!(first, second);
        }
    }
});
