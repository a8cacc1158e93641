//! The script of the GitHub Action, run as the runner runs it, with a bare repository in the place of GitHub.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::program::{Ran, Scratch, run, succeed};

const TOKEN: &str = "a-token-that-nobody-may-see";
const RIGHT: &str = "sha256-fa2wR8uveAKgoRi1+XfEGFGnaUQtivOCjfPBkh+mhMk=";

/// `github/acme/demo.git`, and a clone of its branch `bump`, whose hash is stale. Nothing has to be fetched for it.
struct Hub {
    place: Scratch,
}

impl Hub {
    fn new() -> Self {
        let hub = Self { place: Scratch::new() };
        let lockfile =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/lockfiles/empty-v3/package-lock.json");
        hub.place.write("work/package-lock.json", fs::read(lockfile).unwrap());
        hub.place.write(
            "work/flake.nix",
            "{ outputs = { nixpkgs, ... }: { packages.x86_64-linux.web = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage {\n\
             pname = \"web\"; version = \"1\"; src = ./.; forceEmptyCache = true;\nnpmDepsHash = \"\";\n}; }; }\n",
        );
        hub.git(".", &["init", "-q", "-b", "bump", "work"]);
        hub.git("work", &["add", "-A"]);
        hub.git("work", &["commit", "-qm", "bump"]);
        hub.git(".", &["clone", "-q", "--bare", "work", "github/acme/demo.git"]);
        hub
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.env("HOME", self.place.path("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        command.args(["-c", "user.name=me", "-c", "user.email=me@example.invalid"]);
        succeed(command.args(arguments).current_dir(self.place.path(folder)))
    }

    fn pushed(&self) -> String {
        self.git("github/acme/demo.git", &["rev-parse", "bump"])
    }

    /// The script in the clone; `given` overrides what a pull request of the repository's own gives.
    fn action(&self, mode: &str, given: &[(&str, &str)]) -> Ran {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("action/run.sh");
        let mut command = Command::new(script);
        command.current_dir(self.place.path("work")).env_clear().env("HOME", self.place.path("home"));
        let server = format!("file://{}", self.place.path("github").display());
        let summary = self.place.path("summary.md");
        for (name, value) in [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("PROGRAM", env!("CARGO_BIN_EXE_npm-nixhash")),
            ("MODE", mode),
            ("SCOPE", "."),
            ("TOKEN", TOKEN),
            ("COMMIT_MESSAGE", "Update $(touch injected) `touch injected`"),
            ("BRANCH", "bump"),
            ("HEAD_REPOSITORY", "acme/demo"),
            ("GITHUB_REPOSITORY", "acme/demo"),
            ("GITHUB_SERVER_URL", server.as_str()),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()),
        ] {
            command.env(name, value);
        }
        let ran = run(command.envs(given.iter().copied()));
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!said.contains(TOKEN), "{said}");
        ran
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.place.path("summary.md")).unwrap_or_default()
    }
}

#[test]
fn check_annotates_and_puts_the_patch_into_the_summary() {
    let hub = Hub::new();
    let ran = hub.action("check", &[]);
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("::error file=flake.nix,line=3"), "{}", ran.stderr);
    assert!(hub.summary().contains(&format!("+npmDepsHash = \"{RIGHT}\";")), "{}", hub.summary());
}

#[test]
fn update_pushes_one_commit_and_then_nothing() {
    let hub = Hub::new();
    let before = hub.pushed();
    let ran = hub.action("update", &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let after = hub.pushed();
    assert_eq!(hub.git("github/acme/demo.git", &["rev-parse", "bump~1"]), before);
    let commit = hub.git("github/acme/demo.git", &["show", "--format=%s", "--stat", "bump"]);
    assert!(
        commit.starts_with("Update $(touch injected) `touch injected`\n"),
        "the message is text: {commit}"
    );
    assert!(commit.contains("flake.nix") && commit.contains("1 file changed"), "{commit}");
    assert!(hub.git("github/acme/demo.git", &["show", "bump:flake.nix"]).contains(RIGHT));
    assert!(!hub.place.path("work/injected").exists());
    let config = fs::read_to_string(hub.place.path("work/.git/config")).unwrap();
    assert!(!config.contains(TOKEN) && !config.contains("extraheader"), "{config}");
    let again = hub.action("update", &[]);
    assert_eq!((again.code, hub.pushed()), (0, after), "{}", again.stderr);
    assert!(again.stdout.contains("nothing to commit"), "{}", again.stdout);
}

#[test]
fn update_of_a_fork_or_without_token_is_a_check() {
    for more in [("HEAD_REPOSITORY", "somebody/demo"), ("TOKEN", "")] {
        let hub = Hub::new();
        let before = hub.pushed();
        let ran = hub.action("update", &[more]);
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("::notice::"), "{}", ran.stdout);
        assert!(hub.summary().contains(RIGHT));
        assert_eq!(hub.pushed(), before);
        assert_eq!(hub.git("work", &["status", "--porcelain"]), "");
    }
}

#[test]
fn update_refuses_what_it_cannot_commit_to() {
    let refuses = |hub: &Hub, more: &[(&str, &str)], what: &str| {
        let ran = hub.action("update", more);
        assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(&format!("::error::{what}")), "{}", ran.stdout);
    };
    let hub = Hub::new();
    let before = hub.pushed();
    refuses(&hub, &[("BRANCH", "other")], "update needs the branch itself");
    refuses(&hub, &[("BRANCH", "-x")], "the branch has no usable name");
    hub.place.write("work/flake.nix", "{ }");
    refuses(&hub, &[], "there are changes in the checkout");
    hub.git("work", &["checkout", "-q", "--detach", "-f"]);
    refuses(&hub, &[], "update needs the branch itself");
    refuses(&hub, &[("MODE", "both")], "mode is check, update or pull-request");
    assert_eq!(hub.pushed(), before);
}

#[test]
fn update_gives_way_to_a_branch_that_moved() {
    let hub = Hub::new();
    hub.git(".", &["clone", "-q", "-b", "bump", "github/acme/demo.git", "other"]);
    hub.place.write("other/new", "1");
    hub.git("other", &["add", "-A"]);
    hub.git("other", &["commit", "-qm", "meanwhile"]);
    hub.git("other", &["push", "-q"]);
    let moved = hub.pushed();
    let ran = hub.action("update", &[]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("::error::cannot push to bump: it moved meanwhile"), "{}", ran.stdout);
    assert_eq!(hub.pushed(), moved);
}

#[test]
fn names_exclusions_and_denials_are_those_of_the_command_line() {
    let hub = Hub::new();
    let ran = hub.action("check", &[("NAMES", "wbe")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: did you mean `web`?"), "{}", ran.stderr);
    let ran = hub.action("check", &[("EXCLUDE", "we*")]);
    assert_eq!((ran.code, ran.stdout.contains("1 excluded")), (0, true), "{}", ran.stdout);
    let ran = hub.action("check", &[("DENY", "undecided frobnication")]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("'frobnication'"), "{}", ran.stderr);
}

#[test]
fn update_pushes_what_is_proven_and_fails_for_the_rest() {
    let hub = Hub::new();
    let flake = fs::read_to_string(hub.place.path("work/flake.nix")).unwrap();
    let gone = "packages.x86_64-linux.gone = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage { src = ./gone; \
                npmDepsHash = \"\"; };\n}; }";
    hub.place.write("work/flake.nix", flake.trim_end().trim_end_matches("}; }").to_owned() + gone);
    hub.git("work", &["commit", "-qam", "two"]);
    hub.git("work", &["push", "-q", &hub.place.path("github/acme/demo.git").display().to_string(), "bump"]);
    let before = hub.pushed();
    let ran = hub.action("update", &[]);
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(hub.git("github/acme/demo.git", &["rev-parse", "bump~1"]), before, "{}", ran.stderr);
    assert!(hub.git("github/acme/demo.git", &["show", "bump:flake.nix"]).contains(RIGHT));
}
