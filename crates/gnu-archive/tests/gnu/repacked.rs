//! Repacked archives: known hashes, and what repacking keeps, normalises and finds.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gnu_archive::gzip::compress;
use gnu_archive::pack::{EntryKind, Packer};
use gnu_archive::repack::{Repacked, repack};
use sha2::{Digest, Sha512};

const LIMIT: u64 = 1 << 24;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/../../fixtures/tarball/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
}

fn repacked(name: &str) -> Repacked {
    repack(&fixture(name)[..], LIMIT).expect("an archive")
}

/// An archive of these entries, as a host would serve it.
fn archive(entries: &[(&str, u32, EntryKind<'_>)]) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    for (name, mode, kind) in entries {
        packer.append(name.as_bytes(), *mode, *kind).expect("memory");
    }
    compress(&packer.finish().expect("memory"))
}

#[test]
fn the_integrity_of_hosted_archives() {
    for (name, expected) in [
        (
            "locked",
            "jJeRYl9TQjkPpqrxUUL14q7lS697xJZzgFbd4tXZ+6fC8h4dLs2710feC7maJWfMZ8fXW8qEiApNcsVvSdFqqw==",
        ),
        ("long", "WNssvfQu5fRNMvgBeYDh9SdJpYUB15KX5sNxrlntf+DVBI2lEazcfsukC57ZztTtv410ZZlb3ejZ95gnJnvwKA=="),
        ("plain", "TVDjy/wKHZlC3lea6rXxym7rrIDQ9XwpPh2btKIPcdqUCdxz5QR0eeQ00iWUnAWVXQDr4Xr40R9p6z1rozwhtQ=="),
        (
            "scripted",
            "77VbfFWGDE3Hg4sTjiZBcxEzh/aETVuV39eA/98bd2QKqXFR203vwrj2S6Y88cREy4Bx9IUnG8qvJcydCr38tw==",
        ),
    ] {
        let repacked = repacked(&format!("{name}.tar.gz"));
        assert_eq!(STANDARD.encode(Sha512::digest(&repacked.bytes)), expected, "{name}");
    }
}

#[test]
fn what_it_says_of_itself() {
    let locked = repacked("locked.tar.gz");
    assert!(locked.package_json.is_some_and(|text| text.contains("\"scripts\"")));
    assert!(locked.package_lock.is_some_and(|text| text.contains("\"lockfileVersion\": 3")));
    let scripted = repacked("scripted.tar.gz");
    assert!(scripted.package_json.is_some() && scripted.package_lock.is_none());
}

#[test]
fn texts_are_found_through_links_and_only_if_they_are_texts() {
    let of = |entries: &[_]| repack(&archive(entries)[..], LIMIT).expect("an archive");
    let linked = of(&[
        ("r/package.json", 0o777, EntryKind::Symlink(b"sub/p.json")),
        ("r/sub/p.json", 0o644, EntryKind::File(b"{}")),
        ("r/package-lock.json", 0o777, EntryKind::Symlink(b"../package/sub/p.json")),
    ]);
    assert_eq!((linked.package_json.as_deref(), linked.package_lock), (Some("{}"), None));
    let latin = of(&[
        ("r/package.json", 0o644, EntryKind::File(b"\xe9")),
        ("r/package-lock.json/", 0o755, EntryKind::Directory),
    ]);
    assert_eq!((latin.package_json, latin.package_lock), (None, None));
    let shrinkwrap = of(&[
        ("r/npm-shrinkwrap.json", 0o644, EntryKind::File(b"{}")),
        ("package-lock.json", 0o644, EntryKind::File(b"{}")),
    ]);
    assert_eq!((shrinkwrap.package_json, shrinkwrap.package_lock), (None, None));
}

/// What differs between two servings of one commit does not matter.
#[test]
fn order_and_umask_of_the_host_do_not_matter() {
    let one = archive(&[
        ("r/", 0o775, EntryKind::Directory),
        ("r/b", 0o664, EntryKind::File(b"1")),
        ("r/a", 0o775, EntryKind::File(b"2")),
    ]);
    let other = archive(&[("s/a", 0o755, EntryKind::File(b"2")), ("s/b", 0o644, EntryKind::File(b"1"))]);
    let [one, other] = [one, other].map(|archive| repack(&archive[..], LIMIT).expect("an archive"));
    assert_eq!(one, other);
}

#[test]
fn repacking_what_was_repacked_changes_nothing() {
    for name in ["locked", "long", "plain", "scripted"] {
        let once = repacked(&format!("{name}.tar.gz"));
        assert!(repack(&once.bytes[..], LIMIT).expect("an archive") == once, "{name}");
    }
}
