//! Archives that no host would make: every one is refused with a message that names the entry, none makes a
//! panic, a loop or much memory.

use std::error::Error as _;

use flate2::Compression;
use flate2::read::GzEncoder;
use gnu_archive::gzip::compress;
use gnu_archive::pack::{EntryKind, Packer};
use gnu_archive::repack::{Error, repack};

use crate::inputs::Rng;

const LIMIT: u64 = 1 << 24;
const FILE: EntryKind<'_> = EntryKind::File(b"content");

/// Name, mode and kind of an entry.
type Entries<'a> = &'a [(&'a [u8], u32, EntryKind<'a>)];

fn tar(entries: Entries<'_>) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    for (name, mode, kind) in entries {
        packer.append(name, *mode, *kind).expect("memory");
    }
    packer.finish().expect("memory")
}

/// The same with the type of the first header replaced.
fn typed(kind: u8, mut tar: Vec<u8>) -> Vec<u8> {
    let sum = u32::from(kind) - u32::from(tar[156]);
    let digits = std::str::from_utf8(&tar[148..154]).expect("digits");
    let sum = u32::from_str_radix(digits, 8).expect("octal").wrapping_add(sum);
    tar[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    tar[156] = kind;
    tar
}

/// A pax header with this text before the rest.
fn pax(kind: u8, records: &str, rest: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    packer.append(b"pax_global_header", 0o644, EntryKind::File(records.as_bytes())).expect("memory");
    let whole = packer.finish().expect("memory");
    let length = 512 + records.len().next_multiple_of(512);
    [&typed(kind, whole[..length].to_vec()), rest].concat()
}

fn refusal(tar: &[u8]) -> String {
    let error = repack(&compress(tar)[..], LIMIT).expect_err("a refusal");
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[test]
fn names_and_links_that_lead_elsewhere() {
    let long = [b"r/".as_slice(), &[b'x'; 256]].concat();
    let deep = [b"r".as_slice(), &b"/x".repeat(2049)].concat();
    let target = vec![b'x'; 4097];
    let cases: [(Entries<'_>, &str); 16] = [
        (&[(b"r/a", 0o777, EntryKind::Symlink(&target))], "x`, which cannot be a link's target"),
        (&[(b"r/../../x", 0o644, FILE)], "archive entry `r/../../x` has `..` in its path"),
        (&[(b"../r/x", 0o644, FILE)], "archive entry `../r/x` has `..` in its path"),
        (&[(b"/r/x", 0o644, FILE)], "archive entry `/r/x` has an absolute path"),
        (&[(b"r//x", 0o644, FILE)], "archive entry `r//x` has an absolute path"),
        (
            &[(b"r/a", 0o777, EntryKind::Symlink(b"b")), (b"r/a/b", 0o644, FILE)],
            "archive entry `r/a/b` lies below something that is not a directory",
        ),
        (
            &[(b"r/a", 0o777, EntryKind::Symlink(b".")), (b"r/a/", 0o755, EntryKind::Directory)],
            "archive entry `r/a/` exists twice, once as a directory and once as something else",
        ),
        (
            &[(b"r/a", 0o777, EntryKind::Symlink(b"/b")), (b"r/a", 0o644, FILE)],
            "archive entry `r/a` has the name of an earlier link that points out of its folder",
        ),
        (
            &[(b"r/a", 0o644, EntryKind::HardLink(b"r/../../etc/passwd"))],
            "archive entry `r/a` is a hard link to `r/../../etc/passwd`, which is not an earlier file",
        ),
        (
            &[(b"r/a", 0o644, EntryKind::HardLink(b""))],
            "archive entry `r/a` is a hard link to ``, which is not an earlier file",
        ),
        (
            &[(b"r/a", 0o777, EntryKind::Symlink(b""))],
            "archive entry `r/a` is a link to ``, which cannot be a link's target",
        ),
        (&[(&long, 0o644, FILE)], "has a path of over 4095 bytes, or a part of it of over 255"),
        (&[(&deep, 0o644, FILE)], "has a path of over 4095 bytes, or a part of it of over 255"),
        (&[(b"r/a", 0o044, FILE)], "archive entry `package/a` may not be read by its owner"),
        (
            &[(b"r/a/", 0o644, EntryKind::Directory)],
            "archive entry `package/a/` may not be read by its owner",
        ),
        (&[(b"r/\n\xff", 0o000, FILE)], "archive entry `package/\\n\u{fffd}` may not be read by its owner"),
    ];
    for (entries, message) in cases {
        let refusal = refusal(&tar(entries));
        assert!(refusal.ends_with(message), "{refusal}");
    }
}

#[test]
fn devices_and_things_unheard_of() {
    for kind in *b"346SVMDNZ" {
        let refusal = refusal(&typed(kind, tar(&[(b"r/a", 0o644, FILE)])));
        let letter = char::from(kind);
        let message = format!(
            "archive entry `r/a` is neither a file nor a directory nor a link (its type is `{letter}`)"
        );
        assert_eq!(refusal, message);
    }
}

#[test]
fn pax_headers() {
    let plain = tar(&[(b"r/a", 0o644, FILE)]);
    let expected = repack(&compress(&plain)[..], LIMIT).expect("an archive");
    let repacked = |tar: Vec<u8>| repack(&compress(&tar)[..], LIMIT).expect("an archive");
    assert_eq!(
        repacked(pax(b'g', "52 comment=0123456789012345678901234567890123456789\n", &plain)),
        expected
    );
    let named = tar(&[(b"r/wrong", 0o644, FILE)]);
    assert_eq!(repacked(pax(b'x', "12 path=r/a\n", &named)), expected);
    for (records, message) in [
        ("10 size=9\n", "a size is given by a pax record"),
        ("22 GNU.sparse.major=1\n", "sparse files are not supported"),
        ("99 path=r/a\n", "a pax record is damaged"),
        ("12 path=r/\0\n", "archive entry `r/\\0` has a zero byte in its path"),
        ("14 path=../r/a\n", "a pax record is damaged"),
        ("15 path=../r/a\n", "archive entry `../r/a` has `..` in its path"),
    ] {
        let refusal = refusal(&pax(b'x', records, &named));
        assert!(refusal.ends_with(message), "{refusal}");
    }
}

#[test]
fn too_much() {
    let zeros = tar(&[(b"r/a", 0o644, EntryKind::File(&vec![0; 1 << 20]))]);
    let whole = zeros.len() as u64;
    let zeros = compress(&zeros);
    assert!(repack(&zeros[..], whole).is_ok());
    for limit in [0, 1, 511, 10240, whole - 1] {
        assert!(
            matches!(repack(&zeros[..], limit), Err(Error::TooLarge { limit: l }) if l == limit),
            "{limit}"
        );
    }
    // Few bytes, but folders upon folders.
    let deep = [b"r".as_slice(), &b"/x".repeat(2000), b"/y"].concat();
    let deep = compress(&tar(&[(&deep, 0o644, FILE)]));
    assert!(repack(&deep[..], LIMIT).is_ok());
    assert!(matches!(repack(&deep[..], 100_000), Err(Error::TooLarge { .. })));
}

#[test]
fn damaged_files() {
    let whole = compress(&tar(&[(b"r/a", 0o644, FILE), (b"r/b", 0o777, EntryKind::Symlink(b"a"))]));
    for length in 0..whole.len() {
        assert!(matches!(repack(&whole[..length], LIMIT), Err(Error::Damaged(_))), "{length}");
    }
    assert!(repack(&[&whole[..], b"more"].concat()[..], LIMIT).is_err(), "text behind the end");
    let mut checksum = whole.clone();
    let at = whole.len() - 6;
    checksum[at] ^= 1;
    assert!(matches!(repack(&checksum[..], LIMIT), Err(Error::Damaged(_))), "checksum");
}

/// Headers changed at random: whatever comes of it, no panic, and nothing escapes the top folder.
#[test]
fn random_damage() {
    let base = tar(&[
        (b"r/", 0o755, EntryKind::Directory),
        (&[b"r/".as_slice(), &[b'n'; 120]].concat(), 0o644, FILE),
        (b"r/b", 0o777, EntryKind::Symlink(&[b't'; 140])),
        (b"r/c", 0o644, FILE),
        (b"r/d", 0o644, EntryKind::HardLink(b"r/c")),
    ]);
    let mut accepted = 0;
    for seed in 0..2000 {
        let mut rng = Rng(seed);
        let mut bytes = base.clone();
        for _ in 0..=rng.below(4) {
            let at = rng.below(bytes.len());
            bytes[at] = rng.next().to_le_bytes()[0];
        }
        mend_checksums(&mut bytes);
        // Uncompressed, since 2000 of them take their time.
        let archive = GzEncoder::new(&bytes[..], Compression::none());
        accepted += usize::from(repack(archive, 1 << 20).is_ok());
    }
    assert!(accepted > 300, "most damage must get past the checksum: {accepted}");
}

/// Gives every block that looks like a header the checksum it should have.
fn mend_checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
