//! What Nix makes of an output that it has already: a stale hash builds green, and a tree that was added by
//! `--add-to-store` is never fetched. A builder that writes down each of its runs is the witness.

use std::fs;
use std::process::Command;

use crate::support::program::{Ran, run, with_store_in};
use crate::support::project::Project;

/// `buildNpmPackage` down to its fixed-output derivation, whose builder is the drop-in.
const PKGS: &str = r#"
{ tool, mark, overrides }:
{
  buildNpmPackage = { pname, version, src, npmDepsHash }: derivation {
    name = "${pname}-${version}-npm-deps";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" "echo ran >>\"$mark\"; exec \"$tool\" \"$src/package-lock.json\" \"$out\"" ];
    inherit src tool mark;
    outputHash = npmDepsHash;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    NIX_NPM_REGISTRY_OVERRIDES = overrides;
  };
}
"#;

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; version = "1.0.0"; src = ./web; npmDepsHash = ""; };
}
"#;

/// A repository, and a Nix store of its own.
struct Scene(Project);

impl Scene {
    fn new() -> Self {
        let project = Project::new();
        let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
        project.lock("web", &[&left]);
        project.write("default.nix", SITES);
        project.write("../pkgs.nix", PKGS);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_npm-nixhash"), project.path("../prefetch-npm-deps"))
            .unwrap();
        Self(project)
    }

    /// Where this store keeps what.
    fn in_store<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        with_store_in(command, &self.0.root().parent().unwrap().join("nix"))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
    }

    fn build(&self) -> Ran {
        let mut command = Command::new("nix-build");
        command.current_dir(self.0.root()).env_clear().env("HOME", self.0.path("../home"));
        self.in_store(&mut command).args(["--no-out-link", "default.nix", "-A", "web", "--arg", "pkgs"]);
        let text = |name: &str| format!("\"{}\"", self.0.root().parent().unwrap().join(name).display());
        let overrides = serde_json::json!({ "registry.npmjs.org": self.0.registry.url() }).to_string();
        command.arg(format!(
            "import ../pkgs.nix {{ tool = {}; mark = {}; overrides = {overrides:?}; }}",
            text("prefetch-npm-deps"),
            text("mark")
        ));
        for (option, value) in [("sandbox", "false"), ("build-users-group", ""), ("substitute", "false")] {
            command.args(["--option", option, value]);
        }
        run(&mut command)
    }

    /// How often the builder ran.
    fn fetches(&self) -> usize {
        fs::read_to_string(self.0.path("../mark")).map_or(0, |text| text.lines().count())
    }

    fn nix_hash(&self, args: &[&str]) -> Ran {
        let mut command = self.0.command(args);
        run(self.in_store(&mut command))
    }
}

#[test]
fn a_stale_hash_builds_green_from_the_cached_output_and_check_says_so() {
    let scene = Scene::new();
    assert_eq!(scene.nix_hash(&["update"]).code, 0);
    let first = scene.build();
    assert_eq!((first.code, scene.fetches()), (0, 1), "{}", first.stderr);
    // The lockfile moves on, the hash does not.
    let right = scene.0.registry.publish("right", "2.0.0", &[]);
    scene.0.lock("web", &[&right]);
    let stale = scene.build();
    assert_eq!(
        (stale.code, &stale.stdout, scene.fetches()),
        (0, &first.stdout, 1),
        "green, and of the old lockfile"
    );
    let held = fs::read_to_string(format!("{}/package-lock.json", stale.stdout.trim())).unwrap();
    assert!(held.contains("left-1.0.0.tgz") && !held.contains("right-2.0.0.tgz"));
    let check = scene.nix_hash(&["check"]);
    assert_eq!(check.code, 1, "{}{}", check.stdout, check.stderr);
    assert!(check.stdout.contains("stale  web  "), "{}", check.stdout);
    // And made right it is fetched again.
    assert_eq!(scene.nix_hash(&["update"]).code, 0);
    let fresh = scene.build();
    assert_eq!((fresh.code, scene.fetches()), (0, 2), "{}", fresh.stderr);
    assert_ne!(fresh.stdout, first.stdout);
    assert_eq!(scene.nix_hash(&["check"]).code, 0);
}

#[test]
fn after_update_add_to_store_nothing_is_fetched() {
    let scene = Scene::new();
    let update = scene.nix_hash(&["update", "--add-to-store", "--json"]);
    assert_eq!(update.code, 0, "{}", update.stderr);
    let report: serde_json::Value = serde_json::from_str(&update.stdout).unwrap();
    // A builder that cannot even start would do.
    fs::remove_file(scene.0.path("../prefetch-npm-deps")).unwrap();
    let built = scene.build();
    assert_eq!((built.code, scene.fetches()), (0, 0), "{}", built.stderr);
    assert_eq!(Some(built.stdout.trim()), report["sites"][0]["store_path"].as_str());
    // Once there, it is not made again.
    assert_eq!(scene.nix_hash(&["update", "--add-to-store", "--offline"]).code, 0);
}

#[test]
fn hash_add_to_store_prints_the_path_that_nix_uses() {
    let scene = Scene::new();
    let hash = scene.nix_hash(&["hash", "web", "--add-to-store", "web-1.0.0-npm-deps"]);
    assert_eq!(hash.code, 0, "{}", hash.stderr);
    let path = hash.stdout.lines().last().unwrap().to_owned();
    scene.nix_hash(&["update"]);
    let built = scene.build();
    assert_eq!((built.code, built.stdout.trim(), scene.fetches()), (0, &*path, 0), "{}", built.stderr);
    let mut verify = Command::new("nix-store");
    verify.env_clear().env("HOME", scene.0.path("../home"));
    assert_eq!(run(scene.in_store(&mut verify).args(["--verify-path", &path])).code, 0);
}
