//! The cases of `fixtures/lockfiles` that need nothing but `fixtures/archives`, through the program.

use crate::support::program::{Scratch, overrides, run};
use crate::support::truth::{Row, rows, serve_all};

/// Cases whose tarballs are all kept in `fixtures/archives`.
const OFFLINE: [&str; 16] = [
    "duplicate-url-v1",
    "duplicate-without-integrity-v3",
    "empty-v3",
    "git-locked-v3",
    "git-long-v3",
    "git-plain-v3",
    "git-scripted-v3",
    "git-v1",
    "integrity-set-v3",
    "links-and-files-v3",
    "sha1-only-v3",
    "tarball-url-v3",
    "tiny-v1",
    "tiny-v2",
    "tiny-v3",
    "v1-file-tarball",
];

/// The rows of those cases.
pub fn offline() -> Vec<Row> {
    let rows: Vec<_> = rows().into_iter().filter(|row| OFFLINE.contains(&row.case.as_str())).collect();
    assert_eq!(rows.len(), 28, "a row is missing");
    rows
}

#[test]
fn every_hash_is_the_one_that_nixpkgs_printed() {
    let registry = serve_all();
    for row in offline() {
        let place = Scratch::new();
        let mut command = place.npm_nixhash(["hash", row.lockfile().to_str().unwrap()]);
        let ran = run(command.args(row.arguments()).args(overrides(&registry)));
        if let Some(hash) = &row.hash {
            assert_eq!((ran.stdout.trim_end(), ran.code), (hash.as_str(), 0), "{row:?}\n{}", ran.stderr);
        } else {
            assert_eq!((ran.stdout.as_str(), ran.code), ("", 2), "{row:?}");
            assert!(ran.stderr.contains("install scripts (install)"), "{}", ran.stderr);
        }
    }
}
