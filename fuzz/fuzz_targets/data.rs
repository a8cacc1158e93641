//! JSON and TOML that a Nix file reads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use npm_nixhash::nix::{Scope, survey};

const READER: &str = r#"let
  pkgs = import <nixpkgs> { };
  json = builtins.fromJSON (builtins.readFile ./data.json);
  toml = builtins.fromTOML (builtins.readFile ./data.toml);
in {
  a = pkgs.buildNpmPackage { pname = "a"; version = json.version or "1"; src = ./a; npmDepsHash = json.hash or ""; };
  b = pkgs.buildNpmPackage { pname = "b"; version = toml.version or "1"; src = ./b; npmDepsHash = toml.hash or ""; };
}
"#;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder");
    for (name, bytes) in [("default.nix", READER.as_bytes()), ("data.json", bytes), ("data.toml", bytes)] {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
    }
    survey(&Scope::new(folder.path()));
});
