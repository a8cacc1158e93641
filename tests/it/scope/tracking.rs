//! What git does not track is not there for a flake.

use std::fs;

use super::{commit, flake, git};

#[test]
fn a_lockfile_that_git_does_not_track_is_told_in_a_flake() {
    let project = flake(&["web"]);
    project.run(&["update"]);
    git(&project, ".", &["rm", "-q", "--cached", "web/package-lock.json"]);
    let told = "exit 0\n--- stdout\n1 in sync\n--- stderr\nwarning: git does not track web/package-lock.json: Nix sees nothing \
                else in a flake\n  hint: `git add web/package-lock.json`, with --force where .gitignore names it\n";
    assert_eq!(project.transcript(&["check"]), told);
    assert!(project.transcript(&["check", "--deny", "untracked"]).starts_with("exit 1\n"));
    let said = project.transcript(&["update", "--deny", "untracked"]);
    assert!(
        said.starts_with("exit 2\n") && said.ends_with("error: there are files that git does not track\n"),
        "{said}"
    );
    let github = project.transcript(&["check", "--format", "github"]);
    assert!(github.contains("::warning file=web/package-lock.json,line=1,col=1,title="), "{github}");
    // The index is what counts, committed or not; an ignored file can be in it.
    project.write(".gitignore", "package-lock.json\n");
    assert_eq!(project.transcript(&["check"]), told);
    git(&project, ".", &["add", "--force", "web/package-lock.json"]);
    assert_eq!(project.transcript(&["check", "--deny", "untracked"]), "exit 0\n--- stdout\n1 in sync\n");
    assert_eq!(project.transcript(&["check", "--deny", "uncovered"]), "exit 0\n--- stdout\n1 in sync\n");
}

#[test]
fn without_a_flake_nix_sees_what_is_there() {
    let project = flake(&["web"]);
    let text =
        "{ pkgs }: { web = pkgs.buildNpmPackage { pname = \"web\"; src = ./web; npmDepsHash = \"\"; }; }\n";
    project.write("default.nix", text);
    fs::remove_file(project.path("flake.nix")).unwrap();
    commit(&project);
    git(&project, ".", &["rm", "-q", "--cached", "web/package-lock.json"]);
    project.run(&["update"]);
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n1 in sync\n");
}

#[test]
fn what_is_tracked_although_it_is_ignored_is_looked_at() {
    let project = flake(&["web"]);
    project.write(".gitignore", "*.nix\n/web\n");
    let said = project.transcript(&["check"]);
    assert!(said.ends_with("1 stale\n"), "{said}");
    // A file of our own reading keeps its word.
    project.write(".ignore", "/flake.nix\n");
    let said = project.transcript(&["check"]);
    assert!(said.contains("no npm derivation found"), "{said}");
}
