//! Programs that are pinned by their tarballs alone: bumped by hand, made right by one `update`, judged by Nix.
//!
//! Nine programs behind a wrapper in another file, some of them in a feature that is off, and five that ship a package for
//! each platform, held in a JSON file. The versions are the last two that the registry has; what is right is said by
//! `nix-hash` and `nix-prefetch-url --unpack` of what `npm pack` downloads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::program::succeed;

const PROGRAMS: [&str; 9] = [
    "ruvector",
    "@claude-flow/cli",
    "ruflo",
    "agentic-qe",
    "codebase-memory-mcp",
    "agent-browser",
    "playwright",
    "@mermaid-js/mermaid-cli",
    "wrangler",
];

/// The packages of a program, by platform.
const PLATFORMS: [(&str, [&str; 2]); 5] = [
    ("esbuild", ["@esbuild/linux-x64", "@esbuild/darwin-arm64"]),
    ("biome", ["@biomejs/cli-linux-x64", "@biomejs/cli-darwin-arm64"]),
    ("rollup", ["@rollup/rollup-linux-x64-gnu", "@rollup/rollup-darwin-arm64"]),
    ("swc", ["@swc/core-linux-x64-gnu", "@swc/core-darwin-arm64"]),
    ("oxide", ["@tailwindcss/oxide-linux-x64-gnu", "@tailwindcss/oxide-darwin-arm64"]),
];
const SYSTEMS: [&str; 2] = ["x86_64-linux", "aarch64-darwin"];

fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{command:?}\n{}", text(&output.stderr));
    text(&output.stdout)
}

/// The last two versions of some packages that all of them have, without pre-releases.
fn last_two(packages: &[&str]) -> [String; 2] {
    let versions = |package: &&str| {
        let all = said(Command::new("npm").args(["view", package, "versions", "--json"]));
        let all: Vec<String> = serde_json::from_str(&all).unwrap();
        all.into_iter().filter(|version| !version.contains(['-', '+'])).collect::<Vec<_>>()
    };
    let mut common = versions(&packages[0]);
    for package in &packages[1..] {
        let own = versions(package);
        common.retain(|version| own.contains(version));
    }
    let parse = |text: &String| nodejs_semver::Version::parse(text).unwrap();
    common.sort_by_key(parse);
    let mut last = common.into_iter().rev();
    let new = last.next().unwrap();
    [last.next().unwrap_or_else(|| panic!("{packages:?} has two versions")), new]
}

/// How a hash is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Sri,
    Hex,
    Base32,
    Sha512,
    Tree,
}

const FORMS: [Form; 5] = [Form::Sri, Form::Hex, Form::Base32, Form::Sha512, Form::Tree];

struct Packed {
    folder: tempfile::TempDir,
    known: BTreeMap<String, PathBuf>,
}

impl Packed {
    /// The tarball as npm downloads it.
    fn tarball(&mut self, package: &str, version: &str) -> PathBuf {
        let spec = format!("{package}@{version}");
        if let Some(path) = self.known.get(&spec) {
            return path.clone();
        }
        let file =
            said(Command::new("npm").args(["pack", "--silent", &spec]).current_dir(self.folder.path()));
        let path = self.folder.path().join(file.lines().last().unwrap());
        self.known.insert(spec, path.clone());
        path
    }

    /// What Nix says of it.
    fn hash(&mut self, package: &str, version: &str, form: Form) -> String {
        let path = self.tarball(package, version);
        let flat =
            |arguments: &[&str]| said(Command::new("nix-hash").arg("--flat").args(arguments).arg(&path));
        let sri = |kind: &str, base16: &str| {
            let digest = data_encoding::HEXLOWER.decode(base16.as_bytes()).unwrap();
            format!("{kind}-{}", data_encoding::BASE64.encode(&digest))
        };
        match form {
            Form::Sri => sri("sha256", &flat(&["--type", "sha256"])),
            Form::Hex => flat(&["--type", "sha256"]),
            Form::Base32 => flat(&["--type", "sha256", "--base32"]),
            Form::Sha512 => sri("sha512", &flat(&["--type", "sha512"])),
            Form::Tree => {
                let url = format!("file://{}", path.display());
                let store = self.folder.path().join("store");
                let mut nix = Command::new("nix-prefetch-url");
                nix.args(["--unpack", "--type", "sha256", &url]).env("NIX_REMOTE", store);
                let base32 = said(&mut nix);
                let base16 =
                    said(Command::new("nix-hash").args(["--to-base16", "--type", "sha256", &base32]));
                sri("sha256", &base16)
            }
        }
    }
}

/// The flake, with a version and a hash for each program.
fn flake(rows: &[(String, String)]) -> String {
    let mut text = "{
  outputs = { nixpkgs, ... }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
      inherit (pkgs) lib;
      cfg = { extras = false; };
      npmCli = import ./lib/npm-cli.nix { inherit pkgs lib; };
      pins = lib.importJSON ./platforms.json;
    in
    {
      packages.x86_64-linux = {
"
    .to_owned();
    for (i, ((version, hash), name)) in rows.iter().zip(PROGRAMS).enumerate() {
        let form = FORMS[i % FORMS.len()];
        let argument = match form {
            Form::Sri | Form::Hex | Form::Base32 => "sha256",
            Form::Sha512 => "sha512",
            Form::Tree => "treeHash",
        };
        let call =
            format!("npmCli {{ pkgName = \"{name}\"; version = \"{version}\"; {argument} = \"{hash}\"; }}");
        // Every third one is behind a feature that is off.
        let call = if i % 3 == 2 { format!("if cfg.extras or false then {call} else null") } else { call };
        writeln!(text, "        tool-{i} = {call};").unwrap();
    }
    text += "      };
      tools = lib.genAttrs [ \"x86_64-linux\" \"aarch64-darwin\" ] (system: lib.mapAttrs (name: pin: pkgs.fetchurl {
        url = \"https://registry.npmjs.org/${pin.packages.${system}}/-/${baseNameOf pin.packages.${system}}-${pin.version}.tgz\";
        hash = pin.hashes.${system};
      }) pins);
    };
}
";
    text
}

const WRAPPER: &str = r#"{ pkgs, lib }:
{ pkgName, version, sha256 ? null, sha512 ? null, treeHash ? null }:
let
  url = "https://registry.npmjs.org/${pkgName}/-/${lib.last (lib.splitString "/" pkgName)}-${version}.tgz";
in
pkgs.stdenvNoCC.mkDerivation {
  pname = lib.replaceStrings [ "@" "/" ] [ "" "-" ] pkgName;
  inherit version;
  src =
    if treeHash != null then pkgs.fetchzip { inherit url; hash = treeHash; }
    else if sha512 != null then pkgs.fetchurl { inherit url sha512; }
    else pkgs.fetchurl { inherit url sha256; };
}
"#;

fn update(folder: &Path, cache: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_npm-nixhash"));
    let output =
        command.args(arguments).current_dir(folder).env("NPM_NIXHASH_CACHE", cache).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn bumped_programs_are_made_right_by_one_update() {
    let place = tempfile::tempdir().unwrap();
    let repo = place.path().join("repo");
    let cache = place.path().join("cache");
    fs::create_dir_all(repo.join("lib")).unwrap();
    succeed(Command::new("git").args(["init", "-q"]).arg(&repo));
    let mut packed = Packed { folder: tempfile::tempdir().unwrap(), known: BTreeMap::new() };

    let versions: Vec<[String; 2]> = PROGRAMS.iter().map(|name| last_two(&[name])).collect();
    let platform_versions: Vec<[String; 2]> =
        PLATFORMS.iter().map(|(_, packages)| last_two(packages)).collect();
    let mut programs = |shown: usize, hashed: usize| -> Vec<(String, String)> {
        let rows = PROGRAMS.iter().zip(&versions).enumerate();
        rows.map(|(i, (name, versions))| {
            let hash = packed.hash(name, &versions[hashed], FORMS[i % FORMS.len()]);
            (versions[shown].clone(), hash)
        })
        .collect()
    };
    let flakes = [flake(&programs(0, 0)), flake(&programs(1, 0)), flake(&programs(1, 1))];
    let mut platforms = |shown: usize, hashed: usize| -> String {
        let mut pins = serde_json::Map::new();
        for ((name, packages), versions) in PLATFORMS.iter().zip(&platform_versions) {
            let mut of = |system: usize| packed.hash(packages[system], &versions[hashed], Form::Sri);
            let hashes = json!({ SYSTEMS[0]: of(0), SYSTEMS[1]: of(1) });
            let packages = json!({ SYSTEMS[0]: packages[0], SYSTEMS[1]: packages[1] });
            let pin = json!({ "version": versions[shown], "packages": packages, "hashes": hashes });
            pins.insert((*name).to_owned(), pin);
        }
        serde_json::to_string_pretty(&Value::Object(pins)).unwrap() + "\n"
    };
    let pins = [platforms(0, 0), platforms(1, 0), platforms(1, 1)];

    fs::write(repo.join("lib/npm-cli.nix"), WRAPPER).unwrap();
    let write = |state: usize| {
        fs::write(repo.join("flake.nix"), &flakes[state]).unwrap();
        fs::write(repo.join("platforms.json"), &pins[state]).unwrap();
    };
    write(0);
    succeed(Command::new("git").current_dir(&repo).args(["add", "."]));
    let identity = ["-c", "user.name=x", "-c", "user.email=x@x"];
    succeed(Command::new("git").current_dir(&repo).args(identity).args(["commit", "-qm", "x"]));
    let (code, said) = update(&repo, &cache, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("{} in sync", PROGRAMS.len() + 2 * PLATFORMS.len())), "{said}");

    write(1);
    let (code, said) = update(&repo, &cache, &["update"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(fs::read_to_string(repo.join("flake.nix")).unwrap(), flakes[2], "{said}");
    assert_eq!(fs::read_to_string(repo.join("platforms.json")).unwrap(), pins[2], "{said}");
    println!(
        "{} programs and {} platform packages bumped and made right",
        PROGRAMS.len(),
        2 * PLATFORMS.len()
    );
}
