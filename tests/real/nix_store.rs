//! Nix's own programs about a tree that this tool wrote: its NAR, its hash, its store path.

use std::fs;
use std::process::Command;

use crate::support::program::{Scratch, overrides, run, succeed};
use crate::support::truth::{rows, serve_all};

const NAME: &str = "web-1.0.0-npm-deps";

/// Cases that `fixtures/archives` is enough for.
const CASES: [&str; 6] =
    ["tiny-v1", "git-plain-v3", "git-long-v3", "sha1-only-v3", "links-and-files-v3", "empty-v3"];

#[test]
fn nix_agrees_on_the_nar_the_hash_and_the_store_path() {
    let registry = serve_all();
    for row in rows().into_iter().filter(|row| CASES.contains(&row.case.as_str())) {
        let place = Scratch::new();
        let lockfile = row.lockfile();
        let arguments = ["hash", lockfile.to_str().unwrap(), NAME, "--nar", "tree.nar", "--store-path", NAME];
        let mut command = place.npm_nixhash(arguments);
        let ran = run(command.args(row.arguments()).args(overrides(&registry)));
        assert_eq!(ran.code, 0, "{row:?}\n{}", ran.stderr);
        let [hash, store_path] = ran.stdout.lines().collect::<Vec<_>>()[..] else { panic!("{ran:?}") };

        // A store below this folder that believes to be /nix/store.
        let store = place.path("nix");
        let nix = |program: &str| {
            let mut command = Command::new(program);
            command.current_dir(place.path("")).env("HOME", place.path("home")).env("NIX_REMOTE", &store);
            command
        };
        let dump = nix("nix-store").args(["--dump", NAME]).output().unwrap();
        assert!(dump.status.success(), "{dump:?}");
        assert!(dump.stdout == fs::read(place.path("tree.nar")).unwrap(), "{row:?}: another NAR");
        let features = ["--extra-experimental-features", "nix-command"];
        assert_eq!(succeed(nix("nix").args(features).args(["hash", "path", "--sri", NAME])), hash, "{row:?}");
        let base32 = succeed(nix("nix-hash").args(["--type", "sha256", "--base32", NAME]));
        let to_sri = ["hash", "to-sri", "--type", "sha256", &base32];
        assert_eq!(succeed(nix("nix").args(features).args(to_sri)), hash, "{row:?}");
        let added = succeed(nix("nix-store").args(["--add-fixed", "--recursive", "sha256", NAME]));
        assert_eq!(added, store_path, "{row:?}");
    }
}
