//! The flake of this repository, in real Nix, with the stub in the place of nixpkgs: all that can be proved without it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::program::{Ran, Scratch, run, with_store_in};
use crate::support::project::Project;

/// The files of this repository that a flake sees, and a store for them.
struct Flake {
    place: Scratch,
}

impl Flake {
    fn new() -> Self {
        let place = Scratch::new();
        let list = "git ls-files --cached --others --exclude-standard -z | \
                    while IFS= read -r -d '' f; do [ ! -e \"$f\" ] && [ ! -L \"$f\" ] || printf '%s\\0' \"$f\"; done | \
                    xargs -0 cp -P --parents -t \"$0\"";
        let target = place.path("flake");
        std::fs::create_dir(&target).unwrap();
        let mut copy = Command::new("bash");
        copy.args(["-euo", "pipefail", "-c", list]).arg(&target).current_dir(env!("CARGO_MANIFEST_DIR"));
        let ran = run(&mut copy);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        Self { place }
    }

    fn folder(&self) -> PathBuf {
        self.place.path("flake")
    }

    fn stub(&self) -> PathBuf {
        self.folder().join("tests/stub-nixpkgs")
    }

    /// A program of Nix that knows only the store of this test.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.place.path("")).stdin(Stdio::null());
        with_store_in(&mut command, &self.place.path("nix")).env("HOME", self.place.path("home"));
        command
    }

    /// `nix flake COMMAND` on our flake; the stub asks for the current system, which is impure.
    fn nix_flake(&self, arguments: &[&str]) -> Ran {
        let reference = |path: &Path| format!("path:{}", path.display());
        let mut command = self.program("nix");
        command.args(["--extra-experimental-features", "nix-command flakes", "flake"]).args(arguments);
        command.args(["--impure", "--no-write-lock-file", "--override-input", "nixpkgs"]);
        run(command.arg(reference(&self.stub())).arg(reference(&self.folder())))
    }
}

#[test]
fn every_output_evaluates() {
    let flake = Flake::new();
    let check = flake.nix_flake(&["check", "--no-build"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    let show = flake.nix_flake(&["show", "--json"]);
    assert_eq!(show.code, 0, "{}", show.stderr);
    let outputs: serde_json::Value = serde_json::from_str(&show.stdout).unwrap();
    for system in ["x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"] {
        for (output, names) in [
            ("packages", &["default", "npm-nixhash"][..]),
            ("apps", &["default"]),
            ("devShells", &["default"]),
            ("checks", &["build", "tests", "fmt", "clippy"]),
        ] {
            let there = outputs[output][system].as_object().unwrap_or_else(|| panic!("{output}.{system}"));
            let mut there: Vec<_> = there.keys().map(String::as_str).collect();
            let mut names = names.to_vec();
            there.sort_unstable();
            names.sort_unstable();
            assert_eq!(there, names, "{output}.{system}");
        }
    }
    let overlays: Vec<_> = outputs["overlays"].as_object().unwrap().keys().collect();
    assert_eq!(overlays, ["default", "prefetch-npm-deps"]);
}

#[test]
fn the_overlays_the_module_and_the_expression_for_nixpkgs_do_what_they_say() {
    let flake = Flake::new();
    let mut command = flake.program("nix-instantiate");
    command.args(["--eval", "--strict", "--json"]).arg(flake.folder().join("tests/real/own_flake.nix"));
    command.arg("--arg").arg("flake").arg(flake.folder()).arg("--arg").arg("stub").arg(flake.stub());
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let expected = serde_json::json!({
        "moduleChecks": true,
        "moduleFetches": true,
        "moduleRuns": true,
        "defaultNix": true,
        "nixpkgsExpression": {
            "name": "npm-nixhash-VERSION",
            "mainProgram": "npm-nixhash",
            "checksTheVersion": true,
            "instantiates": true,
        },
        "plainHasIt": false,
        "defaultHasIt": true,
        "defaultLeavesTheFetcher": true,
        "optInReplacesTheTool": true,
        "fetcherUsesIt": true,
        "hookUsesIt": true,
        "theToolIsOurs": true,
        "bothAgree": true,
    });
    assert_eq!(found, expected);
}

/// Builds the check on what `project` holds, with the trees that were made of its lockfiles before.
fn check(flake: &Flake, project: &Project, exclude: &[&str]) -> Ran {
    let mut command = flake.program("nix-build");
    for (option, value) in [("sandbox", "false"), ("build-users-group", ""), ("substitute", "false")] {
        command.args(["--option", option, value]);
    }
    command.arg("--no-out-link").arg(flake.folder().join("tests/real/own_check.nix"));
    command.arg("--arg").arg("flake").arg(flake.folder()).arg("--arg").arg("stub").arg(flake.stub());
    let list = |words: Vec<String>| format!("[ {} ]", words.join(" "));
    let quoted = |path: PathBuf| format!("\"{}\"", path.display());
    let trees =
        ["web-deps", "api-deps"].map(|name| quoted(project.path("..").join(name).canonicalize().unwrap()));
    command.args(["--argstr", "program", env!("CARGO_BIN_EXE_npm-nixhash")]);
    command.args(["--argstr", "src"]).arg(project.root()).args(["--arg", "deps", &list(trees.to_vec())]);
    command.args(["--arg", "exclude", &list(exclude.iter().map(|name| format!("\"{name}\"")).collect())]);
    run(&mut command)
}

#[test]
fn the_check_proves_hashes_without_network_and_sees_through_a_cached_output() {
    let (flake, project) = (Flake::new(), Project::new());
    let packages =
        ["left", "right"].map(|name| project.registry.publish(name, "1.0.0", &[("index.js", b"1")]));
    std::fs::remove_dir(project.path(".git")).unwrap();
    let service = |name: &str| {
        format!(
            "{name} = pkgs.buildNpmPackage {{ pname = \"{name}\"; version = \"1\"; src = ./{name}; npmDepsHash = \"\"; }};\n"
        )
    };
    project.write("default.nix", format!("{{ pkgs }}: {{\n{}{}}}\n", service("web"), service("api")));
    project.lock("web", &[&packages[0], &packages[1]]);
    project.lock("api", &[&packages[1]]);
    for name in ["web", "api"] {
        assert!(project.run(&["hash", name, &format!("../{name}-deps")]).status.success());
    }
    assert!(project.run(&["update"]).status.success());
    let right = check(&flake, &project, &[]);
    assert_eq!(right.code, 0, "{}", right.stderr);

    // The lockfile changes, the hash does not, and its output is there: a build would be content with it.
    let lockfile = project.read("web/package-lock.json");
    project.write("web/package-lock.json", format!("{lockfile}\n"));
    let stale = check(&flake, &project, &[]);
    assert!(stale.code != 0 && stale.stderr.contains("stale  web  "), "{}", stale.stderr);
    assert_eq!(check(&flake, &project, &["web"]).code, 0, "what is excluded is not looked at");
    let more = project.registry.publish("more", "1.0.0", &[]);
    project.lock("web", &[&packages[0], &more]);
    let missing = check(&flake, &project, &[]);
    assert!(missing.code != 0 && missing.stderr.contains("more is not on disk"), "{}", missing.stderr);
    project.write("web/package-lock.json", lockfile);

    // What the registry says of packages is not in a tree that was fetched for version 1.
    let before = project.read("default.nix");
    project.write("default.nix", before.replace("src = ./api;", "src = ./api; npmDepsFetcherVersion = 2;"));
    assert!(project.run(&["update"]).status.success());
    let unproven = check(&flake, &project, &[]);
    assert!(unproven.code != 0 && unproven.stderr.contains("right is not on disk"), "{}", unproven.stderr);
    assert_eq!(check(&flake, &project, &["api"]).code, 0);
}
