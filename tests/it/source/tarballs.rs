//! Programs that are pinned without a lockfile: one tarball of the registry, and its hash in whatever form it is written.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use npm_tarballs::integrity::{ContentId, hex};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::transcript;
use crate::support::project::{Project, hash_of_tree};

/// A flake-less repository of pinned tarballs: attribute, fetcher, release and hash of each.
fn pins(rows: &[(&str, &str, &str, &str)]) -> String {
    let mut text = "{ pkgs, lib ? pkgs.lib }:\n{\n".to_owned();
    for (attribute, fetcher, release, hash) in rows {
        let url = format!("https://registry.npmjs.org/tool/-/tool-{release}.tgz");
        writeln!(text, "  {attribute} = {fetcher} {{\n    url = \"{url}\";\n    {hash};\n  }};").unwrap();
    }
    text + "}\n"
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn git(project: &Project, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(project.root()).args(["-c", "user.name=x", "-c", "user.email=x@x"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn each_form_of_a_hash_is_made_right_in_its_own_form() {
    let project = Project::new();
    let old = project.registry.publish("tool", "1.0.0", &[("index.js", b"1")]);
    let new = project.registry.publish("tool", "2.0.0", &[("index.js", b"2")]);
    let sri = |bytes: &[u8]| {
        let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, sha256(bytes));
        format!("sha256-{digest}")
    };
    let rows = |of: &crate::support::registry::Published| {
        [
            ("sri", "pkgs.fetchurl", format!("hash = \"{}\"", sri(&of.bytes))),
            ("hex", "pkgs.fetchurl", format!("sha256 = \"{}\"", hex(&sha256(&of.bytes)))),
            ("tagged", "builtins.fetchurl", format!("sha256 = \"sha256:{}\"", hex(&sha256(&of.bytes)))),
            ("long", "pkgs.fetchurl", format!("sha512 = \"{}\"", hex(of.id().digest()))),
            ("stated", "pkgs.fetchurl", format!("hash = \"{}\"", of.integrity)),
        ]
    };
    let written = |release: &str, rows: &[(&str, &str, String)]| {
        let rows: Vec<_> = rows.iter().map(|(a, f, h)| (*a, *f, release, h.as_str())).collect();
        pins(&rows)
    };
    project.write("pins.nix", written("1.0.0", &rows(&old)));
    assert_eq!(transcript(&project, &["check"]), "exit 0\n--- stdout\n5 in sync\n");
    git(&project, &["init", "-q"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "x"]);

    project.write("pins.nix", written("2.0.0", &rows(&old)));
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 0\n") && said.contains("5 updated in 1 file"), "{said}");
    assert_eq!(project.read("pins.nix"), written("2.0.0", &rows(&new)));
}

#[test]
fn placeholders_are_filled_in_and_what_is_unpacked_is_hashed_as_a_tree() {
    let project = Project::new();
    let release = project.registry.publish("tool", "1.0.0", &[("index.js", b"1"), ("lib/a.js", b"2")]);
    let rows = [
        ("empty", "pkgs.fetchurl", "1.0.0", "hash = \"\""),
        ("fake", "pkgs.fetchurl", "1.0.0", "sha512 = lib.fakeSha512"),
        ("tree", "pkgs.fetchzip", "1.0.0", "hash = lib.fakeHash"),
        ("archive", "builtins.fetchTree", "1.0.0", "type = \"tarball\"; narHash = \"\""),
        ("file", "builtins.fetchTree", "1.0.0", "type = \"file\"; narHash = \"\""),
    ];
    project.write("pins.nix", pins(&rows));
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 0\n") && said.contains("5 updated in 1 file"), "{said}");
    let flat = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, sha256(&release.bytes));
    let folder = project.path("../unpacked");
    fs::create_dir_all(&folder).unwrap();
    let tar = flate2::read::GzDecoder::new(release.bytes.as_ref());
    tar::Archive::new(tar).unpack(&folder).unwrap();
    let tree = hash_of_tree(&folder.join("package"));
    fs::write(folder.join("file"), &release.bytes).unwrap();
    let file = hash_of_tree(&folder.join("file"));
    let right = pins(&[
        ("empty", "pkgs.fetchurl", "1.0.0", &format!("hash = \"sha256-{flat}\"")),
        ("fake", "pkgs.fetchurl", "1.0.0", &format!("sha512 = \"{}\"", release.integrity)),
        ("tree", "pkgs.fetchzip", "1.0.0", &format!("hash = \"{tree}\"")),
        ("archive", "builtins.fetchTree", "1.0.0", &format!("type = \"tarball\"; narHash = \"{tree}\"")),
        ("file", "builtins.fetchTree", "1.0.0", &format!("type = \"file\"; narHash = \"{file}\"")),
    ]);
    assert_eq!(project.read("pins.nix"), right);
}

#[test]
fn a_sha512_is_the_registrys_own_word_and_nothing_is_downloaded() {
    let project = Project::new();
    let release = project.registry.publish("tool", "1.0.0", &[]);
    project.write("pins.nix", pins(&[("a", "pkgs.fetchurl", "1.0.0", "sha512 = \"\"")]));
    let said = transcript(&project, &["check", "--json"]);
    let report: Value = serde_json::from_str(said.split_once("--- stdout\n").unwrap().1).unwrap();
    let site = &report["sites"][0];
    assert_eq!(site["kind"], "tarball");
    assert_eq!(site["hash"], release.integrity);
    assert_eq!(site["sources"][0]["stated"], true);
    assert_eq!(project.registry.count("/tool/-/tool-1.0.0.tgz"), 0);
}

#[test]
fn a_release_that_does_not_exist_is_named_with_its_neighbours_and_others_are_made_right() {
    let project = Project::new();
    let release = project.registry.publish("tool", "1.0.0", &[]);
    project.registry.publish("tool", "1.2.0", &[]);
    let rows = [
        ("a", "pkgs.fetchurl", "1.0.0", "sha512 = \"\""),
        ("b", "pkgs.fetchurl", "1.1.0", "hash = \"\""),
        ("c", "pkgs.fetchurl", "1.3.0", "sha512 = \"\""),
    ];
    project.write("pins.nix", pins(&rows));
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 2\n") && said.contains("1 updated, 2 failed in 1 file"), "{said}");
    assert!(said.contains("the registry has no tool@1.1.0; the nearest are 1.0.0 and 1.2.0"), "{said}");
    assert!(said.contains("the registry has no tool@1.3.0; the nearest is 1.2.0"), "{said}");
    assert!(project.read("pins.nix").contains(&release.integrity));
    // What it has to say of both versions, and of the one that cannot be fetched, is asked for once.
    assert_eq!(project.registry.count("/tool"), 1);
}

#[test]
fn bytes_that_the_registry_did_not_publish_are_refused() {
    let project = Project::new();
    project.registry.publish("tool", "1.0.0", &[]);
    project.registry.serve("/tool/-/tool-1.0.0.tgz", b"other bytes".to_vec());
    let before = pins(&[("a", "pkgs.fetchurl", "1.0.0", "hash = \"\"")]);
    project.write("pins.nix", before.clone());
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("is not what the registry published: its integrity is sha512-"), "{said}");
    assert_eq!(project.read("pins.nix"), before);
    assert_ne!(ContentId::sha512_of(b"other bytes").sri(), "");
}

#[test]
fn the_hash_of_a_build_is_surely_stale_once_the_version_moved() {
    let project = Project::new();
    let text = r#"{ pkgs }:
pkgs.stdenv.mkDerivation {
  pname = "modules";
  version = "1.0.0";
  buildPhase = "npm ci";
  outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  outputHashMode = "recursive";
}
"#;
    project.write("default.nix", text);
    git(&project, &["init", "-q"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "x"]);
    let said = transcript(&project, &["check"]);
    assert!(said.starts_with("exit 0\n") && said.contains("leaves in a build"), "{said}");
    assert!(!said.contains("stale"), "{said}");
    project.write("default.nix", text.replace("1.0.0", "1.0.1"));
    let said = transcript(&project, &["check", "--deny", "undecided"]);
    assert!(said.starts_with("exit 1\n"), "{said}");
    assert!(said.contains("stale since the version moved to 1.0.1"), "{said}");
    // A hash that was taken from a build is believed.
    let built = text.replace("1.0.0", "1.0.1").replace("47DEQ", "57DEQ");
    project.write("default.nix", built);
    let said = transcript(&project, &["check"]);
    assert!(!said.contains("stale"), "{said}");
}

/// A wrapper in the shape that many flakes have: the tarball, and what npm makes of it.
const NPM_CLI: &str = r#"{ pkgs, lib }:
{ pkgName, version ? null, sha256 ? "", src ? null, nodeModulesHash }:
let
  tarball = pkgs.fetchurl {
    url = "https://registry.npmjs.org/${pkgName}/-/${baseNameOf pkgName}-${version}.tgz";
    inherit sha256;
  };
  modules = pkgs.stdenv.mkDerivation {
    name = "${lib.replaceStrings [ "@" "/" ] [ "" "-" ] pkgName}-modules";
    src = if src != null then src else tarball;
    buildPhase = "npm install --ignore-scripts";
    installPhase = "cp -r node_modules $out";
    outputHashMode = "recursive";
    outputHash = nodeModulesHash;
  };
in
pkgs.runCommand pkgName { } "ln -s ${modules} $out"
"#;

/// Four programs whose modules only a build can tell: the version in the flake, in a JSON file, in a script, and that of an input.
fn built_programs(project: &Project, [flake, json, script, input]: [&str; 4]) {
    let sha = |n: u8| format!("sha256-{}=", char::from(b'a' + n).to_string().repeat(43));
    let text = format!(
        r#"{{
  inputs.tool = {{ url = "github:acme/tool"; flake = false; }};
  outputs = {{ nixpkgs, tool, ... }}:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
      npmCli = import ./lib/npm-cli.nix {{ inherit pkgs; inherit (pkgs) lib; }};
      pin = (builtins.fromJSON (builtins.readFile ./pins.json)).held;
    in {{
      packages.x86_64-linux = {{
        given = npmCli {{ pkgName = "given"; version = "{flake}"; sha256 = ""; nodeModulesHash = "{}"; }};
        held = npmCli {{ pkgName = "@acme/held"; inherit (pin) version sha256 nodeModulesHash; }};
        scripted = pkgs.runCommand "scripted" {{ outputHash = "{}"; outputHashMode = "recursive"; }} "npm install -g tool@{script} --prefix $out";
        input = npmCli {{ pkgName = "tool"; src = tool; nodeModulesHash = "{}"; }};
      }};
    }};
}}
"#,
        sha(0),
        sha(2),
        sha(3)
    );
    project.write("flake.nix", text);
    let pin = serde_json::json!({ "version": json, "sha256": sha(4), "nodeModulesHash": sha(1) });
    project.write("pins.json", serde_json::json!({ "held": pin }).to_string());
    let locked = serde_json::json!({
        "owner": "acme", "repo": "tool", "rev": input, "type": "github",
        "narHash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" });
    let nodes = serde_json::json!({ "root": { "inputs": { "tool": "tool" } }, "tool": { "locked": locked, "flake": false } });
    let lock = serde_json::json!({ "version": 7, "root": "root", "nodes": nodes });
    project.write("flake.lock", lock.to_string());
    project.write("lib/npm-cli.nix", NPM_CLI);
}

/// The build-only sites of a report, and whether each is said to be stale.
fn stale_builds(said: &str) -> Vec<(String, bool)> {
    let report: Value =
        serde_json::from_str(&said[said.find('{').unwrap()..=said.rfind('}').unwrap()]).unwrap();
    let sites = report["sites"].as_array().unwrap().iter();
    let builds = sites
        .filter(|site| matches!(site["undecided"]["code"].as_str(), Some("build-only" | "stale-unknown")));
    builds
        .map(|site| {
            let name = site["service"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
            (name, site["undecided"]["code"] == "stale-unknown")
        })
        .collect()
}

#[test]
fn a_build_whose_version_moved_is_never_said_to_be_right_wherever_the_version_stands() {
    let project = Project::new();
    let all = |stale: [bool; 4]| {
        let mut rows: Vec<_> = ["given-modules", "scripted", "tool-modules", "acme-held-modules"]
            .map(str::to_owned)
            .into_iter()
            .zip(stale)
            .collect();
        rows.sort();
        rows
    };
    let check = || {
        let mut builds = stale_builds(&transcript(&project, &["check", "--offline", "--json"]));
        builds.sort();
        builds
    };
    let old = ["1.0.0", "1.0.0", "1.0.0", "1111111111111111111111111111111111111111"];
    built_programs(&project, old);
    // Without git nobody knows what stood there before.
    let said = transcript(&project, &["check", "--offline", "--json"]);
    let unknown = "whether it is stale is not known: git knows nothing of this folder";
    let reasons = said.lines().filter(|line| line.contains("\"reason\": ") && line.contains(unknown));
    assert_eq!(reasons.count(), 4, "{said}");
    git(&project, &["init", "-q"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "x"]);
    assert_eq!(check(), all([false; 4]));
    for (i, stale) in [
        [true, false, false, false],
        [false, false, false, true],
        [false, true, false, false],
        [false, false, true, false],
    ]
    .into_iter()
    .enumerate()
    {
        let mut moved = old;
        moved[i] = if i == 3 { "2222222222222222222222222222222222222222" } else { "1.0.1" };
        built_programs(&project, moved);
        assert_eq!(check(), all(stale), "{moved:?}");
        let denied = transcript(&project, &["update", "--offline", "--deny", "undecided"]);
        assert!(!denied.starts_with("exit 0\n"), "{denied}");
    }
}

/// A flake of some thousand lines, in which nine programs are asked for: some always, some by features that are on or off.
fn large_flake(rows: &[(String, &str, String)]) -> String {
    let mut text = "{
  outputs = { self, nixpkgs, ... }:
    let
      system = \"x86_64-linux\";
      pkgs = nixpkgs.legacyPackages.${system};
      inherit (pkgs) lib;
      cfg = { features = { agents.enable = true; extras.enable = false; }; };
      npmCli = import ./lib/npm-cli.nix { inherit pkgs lib; };
"
    .to_owned();
    for (i, (name, version, hash)) in rows.iter().enumerate() {
        writeln!(
            text,
            "      program-{i} = npmCli {{\n        pkgName = \"{name}\";\n        version = \"{version}\";"
        )
        .unwrap();
        writeln!(text, "        sha256 = \"{hash}\";\n        nodeModulesHash = lib.fakeHash;\n      }};")
            .unwrap();
        for line in 0..330 {
            writeln!(
                text,
                "      setting-{i}-{line} = {{ enable = {}; port = {}; }};",
                line % 2 == 0,
                1000 + line
            )
            .unwrap();
        }
    }
    text += "    in
    {
      packages.${system} = { inherit program-0 program-1; }
        // lib.optionalAttrs cfg.features.agents.enable { inherit program-2 program-3; }
        // lib.optionalAttrs (cfg.features.extras.enable or false) { inherit program-4 program-5; };
      nixosConfigurations.host = nixpkgs.lib.nixosSystem {
        inherit system;
        modules = [
          ({ config, ... }: {
            environment.systemPackages = [ program-6 ]
              ++ lib.optionals cfg.features.agents.enable [ program-7 ]
              ++ lib.optionals cfg.features.extras.enable [ program-8 ];
          })
        ];
      };
    };
}
";
    text
}

#[test]
fn a_large_flake_with_a_wrapper_and_features_is_made_right_by_one_update() {
    let project = Project::new();
    let names: Vec<String> =
        (0..9).map(|i| if i % 3 == 0 { format!("@acme/tool-{i}") } else { format!("tool-{i}") }).collect();
    let rows = |version: &'static str| -> Vec<(String, &'static str, String)> {
        let publish = |name: &String| {
            let release = project.registry.publish(name, version, &[("index.js", version.as_bytes())]);
            (name.clone(), version, hex(&sha256(&release.bytes)))
        };
        names.iter().map(publish).collect()
    };
    let (old, new) = (rows("1.0.0"), rows("1.1.0"));
    project.write("lib/npm-cli.nix", NPM_CLI);
    project.write("flake.nix", large_flake(&old));
    assert!(large_flake(&old).lines().count() > 3000);
    git(&project, &["init", "-q"]);
    git(&project, &["add", "."]);
    git(&project, &["commit", "-qm", "x"]);
    let said = transcript(&project, &["check"]);
    assert!(said.starts_with("exit 0\n") && said.contains("9 in sync, 9 undecided"), "{said}");
    let bumped: Vec<_> = old.iter().map(|(name, _, hash)| (name.clone(), "1.1.0", hash.clone())).collect();
    project.write("flake.nix", large_flake(&bumped));
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 0\n") && said.contains("9 updated, 9 undecided"), "{said}");
    assert_eq!(project.read("flake.nix"), large_flake(&new));
    // The hashes of the builds are placeholders, which are no ones that could be stale.
    assert!(transcript(&project, &["check", "--deny", "fake"]).starts_with("exit 1\n"));
}
