//! packaging/conformance.sh, which holds our hashes against nixpkgs' own tool once a week: with a stand-in for that tool that
//! answers with what truth.tsv records of it, once right, once wrong, once not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::program::{Ran, Scratch, run};

const CASES: [&str; 3] = ["tiny-v3", "alias-v3", "empty-v3"];

/// Looks its answer up, and leaves what is not recorded to ours.
const STAND_IN: &str = r#"#!/usr/bin/env bash
flag=-
[ -z "$FORCE_GIT_DEPS" ] || flag=forceGitDeps
[ -z "$FORCE_EMPTY_CACHE" ] || flag=forceEmptyCache
row=$(basename "$(dirname "$1")")/$NPM_FETCHER_VERSION/$flag
[ "$row" != "$LIES" ] || { echo "wrong as ordered" >&2; echo sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; exit; }
[ "$row" != "$BREAKS" ] || { echo "the registry is down" >&2; exit 1; }
hash=$(awk -F'\t' -v row="$row" '$1 "/" $2 "/" $3 == row { print $4 }' "$(dirname "$0")/truth.tsv")
case $hash in sha256-*) echo "$hash" ;; *) exec "$(dirname "$0")/ours/prefetch-npm-deps" "$@" ;; esac
"#;

struct Bench {
    place: Scratch,
}

impl Bench {
    fn new() -> Self {
        let place = Scratch::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        place.write("truth.tsv", fs::read(root.join("fixtures/lockfiles/truth.tsv")).unwrap());
        let program = place.write("npm-nixhash", fs::read(env!("CARGO_BIN_EXE_npm-nixhash")).unwrap());
        fs::create_dir(place.path("ours")).unwrap();
        std::os::unix::fs::symlink(&program, place.path("ours/prefetch-npm-deps")).unwrap();
        let stand_in = place.write("stand-in", STAND_IN);
        // Both tools run as `nobody`.
        for path in [&program, &stand_in, &place.path("")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { place }
    }

    fn compare(&self, given: &[(&str, &str)]) -> Ran {
        let mut command =
            Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/conformance.sh"));
        command.arg(self.place.path("stand-in")).arg(self.place.path("npm-nixhash")).args(CASES);
        run(command.envs(given.iter().copied()))
    }
}

#[test]
fn conformance_finds_the_first_difference_and_takes_no_silence_for_agreement() {
    let bench = Bench::new();
    let right = bench.compare(&[]);
    assert_eq!(
        (right.code, right.stdout.as_str()),
        (0, "14 the same, 4 refused by both, 0 different\n"),
        "{}",
        right.stderr
    );

    let wrong = bench.compare(&[("LIES", "alias-v3/2/-")]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
    let first = wrong.stdout.lines().next().unwrap();
    assert!(
        first.starts_with("different: alias-v3, fetcher version 2: nixpkgs sha256-AAAA")
            && first.contains(", npm-nixhash sha256-"),
        "{first}"
    );
    assert!(
        wrong.stdout.contains("nixpkgs' tool said:\nwrong as ordered\nnpm-nixhash said:\n"),
        "{}",
        wrong.stdout
    );
    assert!(wrong.stdout.ends_with("13 the same, 4 refused by both, 1 different\n"), "{}", wrong.stdout);

    let silent = bench.compare(&[("BREAKS", "tiny-v3/1/-")]);
    assert_eq!(silent.code, 1, "{}", silent.stdout);
    assert!(
        silent.stdout.contains("different: tiny-v3, fetcher version 1: nixpkgs refused"),
        "{}",
        silent.stdout
    );
}
