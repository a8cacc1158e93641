//! What `add --bundled` and `add --platforms` write, built by real Nix: fixed-output downloads of the registry's tarballs, the
//! phases as they stand, and the program, run.
//!
//! nixpkgs is played by the few functions that the expressions call; downloads are Nix's own (`builtin:fetchurl`).

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::program::{Ran, Scratch, run, succeed, with_store_in};

/// Programs that answer to `--version` with nothing else.
const PROGRAMS: [(&str, &str); 3] = [
    ("prettier", "--bundled"),
    // All that it depends on is in its tarball.
    ("npm", "--bundled"),
    ("esbuild", "--platforms"),
];

const FLAKE: &str = "{
  outputs =
    { nixpkgs, ... }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
    in
    {
      packages.x86_64-linux = { };
    };
}
";

/// nixpkgs, as far as it is called: `stdenv.mkDerivation` unpacks its source and runs `installPhase`.
///
/// Nix kills a builder once its output ends, which some sandboxes take for the end of one that is just leaving: what sleeps on
/// behind each keeps the output open until the builder is gone.
const PKGS: &str = r##"
{ node, path }:
let
  program = name: text: derivation {
    inherit name text;
    system = builtins.currentSystem;
    builder = "/bin/bash";
    args = [ "-ec" "mkdir -p $out/bin; printf '%s' \"$text\" >$out/bin/${name}; chmod +x $out/bin/${name}; sleep 0.3 &" ];
    PATH = path;
  };
  nodejs = program "node" "#!/bin/bash\nexec ${node} \"$@\"\n";
  # makeWrapper FILE WRAPPER [--add-flags FLAG | --prefix PATH : FOLDER]
  makeWrapper = program "makeWrapper" ''
    #!/bin/bash
    mkdir -p "$(dirname "$2")"
    case $3 in
    "") printf '#!/bin/bash\nexec %s "$@"\n' "$1" ;;
    --add-flags) printf '#!/bin/bash\nexec %s %s "$@"\n' "$1" "$4" ;;
    --prefix) printf '#!/bin/bash\nPATH=%s:$PATH exec %s "$@"\n' "$6" "$1" ;;
    *) exit 1 ;;
    esac >"$2"
    chmod +x "$2"
  '';
  mkDerivation = function:
    let
      final = function final // { finalPackage = package; };
      arguments = final;
      package = derivation {
        name = "${arguments.pname}-${arguments.version}";
        system = builtins.currentSystem;
        builder = "/bin/bash";
        args = [ "-ec" ''
          for tool in $nativeBuildInputs; do PATH=$tool/bin:$PATH; done
          runHook() { :; }
          mkdir source; tar -xzf $src -C source; cd source/*
          eval "$installPhase"
          sleep 0.3 &
        '' ];
        inherit (arguments) src installPhase nativeBuildInputs;
        PATH = path;
      } // { inherit (arguments) meta; passthru = arguments.passthru or { }; };
    in
    package;
  stdenv = {
    inherit mkDerivation;
    hostPlatform = { system = builtins.currentSystem; isLinux = true; };
    cc.cc = makeWrapper;
  };
in
{
  inherit makeWrapper nodejs stdenv;
  nodejs_20 = nodejs; nodejs_22 = nodejs; nodejs_24 = nodejs; nodejs_26 = nodejs;
  stdenvNoCC = stdenv;
  autoPatchelfHook = makeWrapper;
  fetchurl = { url, hash }: import <nix/fetchurl.nix> { inherit url hash; };
  lib = {
    optionals = condition: list: if condition then list else [ ];
    getLib = package: package;
    licenses = builtins.listToAttrs (map (name: { inherit name; value = name; }) [ "mit" "artistic2" ]);
  };
}
"##;

fn build(place: &Scratch, attr: &str) -> Ran {
    let path = std::env::join_paths(["/usr/local/bin", "/usr/bin", "/bin"].map(Path::new)).unwrap();
    let node = succeed(Command::new("node").args(["-p", "process.execPath"]));
    let expression = format!(
        "((import ./flake.nix).outputs {{ nixpkgs.legacyPackages.x86_64-linux = import ./pkgs.nix {{ node = \"{}\"; path = \"{}\"; }}; }})\
         .packages.x86_64-linux.{attr}",
        node.trim(),
        path.to_str().unwrap()
    );
    let mut command = Command::new("nix-build");
    command.current_dir(place.path("repo")).args(["--no-out-link", "-E", &expression]);
    for (option, value) in [("sandbox", "false"), ("build-users-group", ""), ("substitute", "false")] {
        command.args(["--option", option, value]);
    }
    with_store_in(&mut command, &place.path("nix"));
    run(&mut command)
}

#[test]
fn what_add_writes_without_a_lockfile_is_built_by_nix_and_answers() {
    let place = Scratch::new();
    fs::create_dir_all(place.path("repo")).unwrap();
    place.write("repo/flake.nix", FLAKE);
    place.write("repo/pkgs.nix", PKGS);
    succeed(Command::new("git").args(["init", "-q"]).arg(place.path("repo")));
    succeed(Command::new("git").args(["-C"]).arg(place.path("repo")).args(["add", "."]));
    let tool = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_npm-nixhash"));
        command.args(arguments).current_dir(place.path("repo"));
        run(command.env("NPM_NIXHASH_CACHE", place.path("cache")))
    };
    for (name, shape) in PROGRAMS {
        let attr = format!("packages.x86_64-linux.{name}");
        let ran = tool(&["add", name, shape, "--into", "flake.nix", "--attr", &attr, "--json"]);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        let said: Value = serde_json::from_str(&ran.stdout).unwrap();
        let version = said["version"].as_str().unwrap();
        let built = build(&place, name);
        assert_eq!(built.code, 0, "{name}: {}", built.stderr);
        let program = Path::new(built.stdout.trim()).join("bin").join(name);
        let got = succeed(Command::new(program).arg("--version"));
        assert_eq!(got.trim(), version, "{name}");
    }
    let ran = tool(&["check", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let sites = report["sites"].as_array().unwrap();
    assert!(
        sites.len() > PROGRAMS.len() + 3 && sites.iter().all(|site| site["status"] == "in-sync"),
        "{}",
        ran.stdout
    );
}
