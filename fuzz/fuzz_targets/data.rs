//! JSON and TOML that a Nix file reads: a hash in it is rewritten, and by other parsers than the program's own nothing but
//! that value is another one afterwards.
#![no_main]

mod literals;

use libfuzzer_sys::fuzz_target;
use nix_sites::{SurveyScope, survey};

const READER: &str = r#"let
  pkgs = import <nixpkgs> { };
  json = builtins.fromJSON (builtins.readFile ./data.json);
  toml = builtins.fromTOML (builtins.readFile ./data.toml);
in {
  a = pkgs.buildNpmPackage { pname = "a"; version = "1"; src = ./.; npmDepsHash = json.hash; };
  b = pkgs.buildNpmPackage { pname = "b"; version = "1"; src = ./.; npmDepsHash = toml.hash; };
}
"#;

fuzz_target!(|bytes: &[u8]| {
    let folder =
        literals::folder(&[("default.nix", READER.as_bytes()), ("data.json", bytes), ("data.toml", bytes)]);
    let scope = SurveyScope::of(folder.path());
    let texts = literals::rewritten(&survey(&scope), &scope);
    let old = std::str::from_utf8(bytes).unwrap_or_default();
    for (file, new) in texts {
        if file.ends_with("data.json") {
            let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            let (mut old, new) =
                (read(old.trim_start_matches('\u{feff}')), read(new.trim_start_matches('\u{feff}')));
            old["hash"] = literals::NEW.into();
            assert_eq!(old, new);
        } else if file.ends_with("data.toml") {
            let read = |text: &str| toml::from_str::<toml::Table>(text).expect("TOML");
            let (mut old, new) = (read(old), read(&new));
            old.insert("hash".to_owned(), literals::NEW.into());
            // Not compared as values: a number that is none is not equal to itself.
            assert_eq!(format!("{old:?}"), format!("{new:?}"));
        }
    }
});
