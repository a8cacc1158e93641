//! The drop-in as the builder of real fixed-output derivations, in a Nix store of the test's own.

use std::process::Command;

use sha2::Digest as _;

use crate::support::program::{Ran, Scratch, run, with_store_in};
use crate::support::registry::Registry;
use crate::support::truth::{Row, rows, serve_host};

/// What is built: cases of all kinds, and both fetcher versions.
const BUILT: [(&str, &str); 10] = [
    ("tiny-v3", "1"),
    ("tiny-v1", "2"),
    ("old-v2", "1"),
    ("alias-v3", "2"),
    ("bundled-v3", "1"),
    ("workspaces-v3", "2"),
    ("sha1-only-v3", "1"),
    ("empty-v3", "2"),
    ("git-v1", "1"),
    ("git-scripted-v3", "1"),
];

/// `fetchNpmDeps`, down to what the fetcher sees of it. Only git archives are led elsewhere, to a server with a
/// certificate that nobody trusts.
const EXPRESSION: &str = r#"
{ tool, lockfile, outputHash, fetcherVersion, flags, archives }:
derivation ({
  name = "npm-deps";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "exec \"$tool\" \"$lockfile\" \"$out\"" ];
  inherit tool outputHash;
  lockfile = builtins.path { path = lockfile; name = "package-lock.json"; };
  outputHashMode = "recursive";
  outputHashAlgo = "sha256";
  SSL_CERT_FILE = "/no-cert-file.crt";
  NPM_FETCHER_VERSION = fetcherVersion;
  NIX_NPM_REGISTRY_OVERRIDES = builtins.toJSON { "codeload.github.com" = archives; };
} // builtins.listToAttrs (map (name: { inherit name; value = true; })
  (builtins.filter (name: builtins.isString name && name != "") (builtins.split "," flags))))
"#;

/// A Nix store, and the server of git archives.
struct Nix {
    place: Scratch,
    archives: Registry,
}

impl Nix {
    fn new() -> Self {
        let archives = Registry::start();
        serve_host(&archives, "codeload.github.com");
        let place = Scratch::new();
        place.write("fetch.nix", EXPRESSION);
        drop(place.prefetch_npm_deps([""; 0]));
        Self { place, archives }
    }

    /// A program of Nix that knows only this store.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.place.path("")).env("HOME", self.place.path("home"));
        with_store_in(&mut command, &self.place.path("nix"));
        command
    }

    fn build(&self, row: &Row, hash: &str) -> Ran {
        let flags: Vec<_> = row
            .variables()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with("FORCE"))
            .collect();
        let mut command = self.program("nix-build");
        command.args(["fetch.nix", "--no-out-link"]);
        for (option, value) in [("sandbox", "false"), ("build-users-group", ""), ("substitute", "false")] {
            command.args(["--option", option, value]);
        }
        for (name, value) in [
            ("tool", self.place.path("prefetch-npm-deps").to_str().unwrap()),
            ("lockfile", row.lockfile().to_str().unwrap()),
            ("outputHash", hash),
            ("fetcherVersion", &row.fetcher_version),
            ("flags", &flags.join(",")),
            ("archives", &self.archives.tls_url()),
        ] {
            command.args(["--argstr", name, value]);
        }
        run(&mut command)
    }
}

fn built() -> Vec<Row> {
    let wanted = |row: &Row| BUILT.contains(&(&row.case, &row.fetcher_version)) && row.hash.is_some();
    let rows: Vec<_> = rows().into_iter().filter(wanted).collect();
    assert_eq!(rows.len(), BUILT.len());
    rows
}

#[test]
fn nix_accepts_the_tree_under_the_right_hash() {
    let nix = Nix::new();
    for row in built() {
        let ran = nix.build(&row, row.hash.as_ref().unwrap());
        assert_eq!(ran.code, 0, "{row:?}\n{}", ran.stderr);
        let path = ran.stdout.trim_end();
        let dump = nix.program("nix-store").args(["--dump", path]).output().unwrap();
        assert!(dump.status.success());
        let hash = npm_deps::NarHash(sha2::Sha256::digest(&dump.stdout).into());
        assert_eq!(Some(hash.sri()), row.hash, "{row:?}");
    }
}

#[test]
fn nix_refuses_it_under_another_hash_and_names_the_right_one() {
    let nix = Nix::new();
    let other = format!("sha256-{}=", "A".repeat(43));
    for row in built() {
        let ran = nix.build(&row, &other);
        assert_ne!(ran.code, 0, "{row:?}");
        let got = ran.stderr.lines().find_map(|line| line.trim().strip_prefix("got:"));
        assert_eq!(got.map(|got| got.trim().to_owned()), row.hash, "{row:?}\n{}", ran.stderr);
    }
}
