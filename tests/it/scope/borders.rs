//! Other repositories and other tools' folders inside of a repository: read where a path leads in, never searched, never
//! written, named once.

use std::fs;
use std::time::{Duration, Instant};

use super::{commit, flake, git, listed, seen_from};
use crate::support::project::Project;

/// A Nix file with a derivation whose source is beside it.
const OTHER: &str = "{ pkgs }: pkgs.buildNpmPackage { pname = \"other\"; src = ./.; npmDepsHash = \"\"; }\n";

/// A repository of its own in a folder of the project.
fn nested(project: &Project, folder: &str) {
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock(folder, &[&left]);
    project.write(&format!("{folder}/default.nix"), OTHER);
    git(project, folder, &["init", "-q", "-b", "main"]);
    git(project, folder, &["add", "-A"]);
    git(project, folder, &["commit", "-qm", "x"]);
}

#[test]
fn nested_repositories_worktrees_submodules_and_tools_folders_are_borders() {
    let project = flake(&["web"]);
    project.run(&["update"]);
    nested(&project, "../other");
    git(&project, ".", &["submodule", "--quiet", "add", "../other", "module"]);
    commit(&project);
    nested(&project, "clone");
    git(&project, ".", &["worktree", "add", "-q", "tree"]);
    // As cargo leaves it where CARGO_HOME is in the project.
    let checkout = ".cargo-home/git/checkouts/npm-nixhash-0123/4567";
    project.write(&format!("{checkout}/.cargo-ok"), "");
    project.write(&format!("{checkout}/default.nix"), OTHER);
    project.write(&format!("{checkout}/package-lock.json"), "{}");
    project.write("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# cargo\n");
    project.write("cache/default.nix", OTHER);
    let note = format!(
        "note: not searched: {checkout} (another tool's folder), cache (another tool's folder), clone (a repository of its \
         own) and 2 more\n"
    );
    assert_eq!(project.transcript(&["check"]), format!("exit 0\n--- stdout\n1 in sync\n--- stderr\n{note}"));
    assert_eq!(listed(&project, &[]), ["web"]);
    let report: serde_json::Value =
        serde_json::from_slice(&project.run(&["check", "--json"]).stdout).unwrap();
    let kinds: Vec<_> =
        report["borders"].as_array().unwrap().iter().map(|border| border["what"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "another tool's folder",
            "another tool's folder",
            "a repository of its own",
            "a submodule",
            "a work tree of its own"
        ]
    );
    // Each of them is a repository for who stands in it.
    for (folder, service) in [("module", "other"), ("clone", "other"), ("tree", "web")] {
        let said = seen_from(&project, &project.path(folder), &["list"]);
        assert!(said.contains(service) && !said.contains("not chosen"), "{folder}: {said}");
    }
}

#[test]
fn what_lies_beyond_a_border_is_read_and_never_written() {
    let project = flake(&["web"]);
    project.run(&["update"]);
    nested(&project, "../other");
    git(&project, ".", &["submodule", "--quiet", "add", "../other", "module"]);
    project.write(
        "flake.nix",
        project.read("flake.nix").replace(
            "      web = ",
            "      other = import ./module { inherit pkgs; };\n      locked = pkgs.buildNpmPackage { pname = \"locked\"; src = \
             ./module; npmDepsHash = \"\"; };\n      web = ",
        ),
    );
    commit(&project);
    let before = project.read("module/default.nix");
    let said = project.transcript(&["check"]);
    assert!(said.starts_with("exit 1\n") && said.contains("  module/default.nix:1:76\n"), "{said}");
    assert!(!project.transcript(&["check", "--format", "patch"]).contains("module/default.nix"));
    let said = project.transcript(&["update"]);
    assert!(
        said.starts_with("exit 2\n") && said.contains("1 updated, 1 in sync, 1 failed in 1 file"),
        "{said}"
    );
    assert!(said.contains("belongs to a submodule, which is not changed from here"), "{said}");
    assert!(said.contains("hint: run `npm-nixhash -C [ROOT]/module update` there"), "{said}");
    assert_eq!(project.read("module/default.nix"), before);
    let said = seen_from(&project, &project.path("module"), &["update"]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(project.transcript(&["check"]).starts_with("exit 0\n"));
}

#[test]
fn a_folder_of_gits_that_somebody_made_to_harm_does_no_harm() {
    let pipe = |path: std::path::PathBuf| {
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    };
    for name in [".git/HEAD", ".git/config", ".git/index", ".git/packed-refs"] {
        let project = flake(&["web"]);
        pipe(project.path(name));
        let started = Instant::now();
        let said = project.transcript(&["check", "."]);
        assert!(said.starts_with("exit 1\n"), "{name}: {said}");
        assert!(said.contains("which files Nix sees in a flake is not known: "), "{name}: {said}");
        assert!(started.elapsed() < Duration::from_secs(15), "{name}");
    }
    // A configuration that would have git run a program.
    let project = flake(&["web"]);
    let ran = project.path("ran");
    let config = project.read(".git/config")
        + &format!(
            "[core]\n\tfsmonitor = touch {0}\n\tsshCommand = touch {0}\n[include]\n\tpath = /dev/zero\n",
            ran.display()
        );
    project.write(".git/config", config);
    assert!(project.transcript(&["check", "--changed-since", "HEAD"]).starts_with("exit 0\n"));
    assert!(project.transcript(&["check"]).starts_with("exit 1\n"));
    assert!(!ran.exists());
}
