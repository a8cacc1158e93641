//! `--changed-since`.

use std::fs;

use super::{commit, flake, git};

#[test]
fn only_what_changed_since_the_branches_parted_is_looked_at() {
    let project = flake(&["web", "api", "worker"]);
    project.run(&["update"]);
    // Each in a file of its own, so that one does not move the others.
    for name in ["web", "api", "worker"] {
        let text = project.read("flake.nix");
        let start = text.find(&format!("      {name} = ")).unwrap();
        let start = start + format!("      {name} = ").len();
        let end = start + text[start..].find("};").unwrap() + 1;
        project
            .write(&format!("nix/{name}.nix"), format!("pkgs: {}\n", text[start..end].replace("./", "../")));
        project.write("flake.nix", format!("{}import ./nix/{name}.nix pkgs{}", &text[..start], &text[end..]));
    }
    commit(&project);
    assert_eq!(
        project.transcript(&["check", "--changed-since", "HEAD"]),
        "exit 0\n--- stdout\nnothing to do, 3 not changed\n"
    );
    git(&project, ".", &["checkout", "-q", "-b", "topic"]);
    let stale = |name: &str| project.write(name, project.read(name) + "\n");
    // Committed on the branch, staged, and neither; of the main branch nothing counts that is not in this one.
    stale("web/package-lock.json");
    commit(&project);
    git(&project, ".", &["checkout", "-q", "main"]);
    stale("worker/package-lock.json");
    commit(&project);
    git(&project, ".", &["checkout", "-q", "topic"]);
    let since = |revision: &str| project.transcript(&["check", "--changed-since", revision]);
    assert!(since("main").ends_with("1 stale, 2 not changed\n"), "{}", since("main"));
    project.write("api/src/new.js", "");
    assert!(since("main").ends_with("1 stale, 1 in sync, 1 not changed\n"), "{}", since("main"));
    git(&project, ".", &["add", "-A"]);
    assert!(since("main").ends_with("1 stale, 1 in sync, 1 not changed\n"), "{}", since("main"));
    fs::remove_file(project.path("nix/worker.nix")).unwrap();
    project.write("nix/worker.nix", project_text(&project.read("nix/web.nix")));
    assert!(!since("main").contains("not changed"), "{}", since("main"));
    assert!(since("HEAD").ends_with("1 stale, 1 in sync, 1 not changed\n"), "{}", since("HEAD"));
}

/// The Nix file of `web` as one of `worker`.
fn project_text(text: &str) -> String {
    text.replace("web", "worker")
}

#[test]
fn a_revision_that_is_not_there_is_told() {
    let project = flake(&["web"]);
    assert_eq!(
        project.transcript(&["check", "--changed-since", "origin/main"]),
        "exit 2\n--- stderr\nerror: git knows no commit `origin/main`\n  hint: fetch it first: a shallow clone has neither old \
         commits nor merge bases\n"
    );
    fs::remove_dir_all(project.path(".git")).unwrap();
    let said = project.transcript(&["check", "--changed-since", "HEAD"]);
    assert!(said.starts_with("exit 2\n--- stderr\nerror: git knows nothing of this folder\n"), "{said}");
}
