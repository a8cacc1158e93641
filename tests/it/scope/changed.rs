//! `--changed-since`.

use std::fs;

use super::{commit, flake, git};
use crate::support::project::Project;

/// The counts of a run that is about what changed since a revision, and whether it says what it did not look at.
fn since(project: &Project, revision: &str) -> String {
    let said = project.transcript(&["check", "--changed-since", revision]);
    let (stdout, stderr) = said.split_once("--- stderr\n").unwrap_or((&said, ""));
    let counts = stdout.lines().last().unwrap().to_owned();
    assert_eq!(counts.contains("not changed"), stderr.contains("note: not looked at: "), "{said}");
    counts
}

#[test]
fn only_what_changed_since_the_branches_parted_is_looked_at() {
    let project = flake(&["web", "api", "worker"]);
    project.run(&["update"]);
    commit(&project);
    let commit_id = git(&project, ".", &["rev-parse", "HEAD"]);
    assert_eq!(
        project.transcript(&["check", "--changed-since", "HEAD"]),
        format!(
            "exit 0\n--- stdout\nnothing to do, 3 not changed\n--- stderr\nnote: not looked at: 3 derivations that are as they \
             were at {}; a hash that was wrong there already is not seen, nor what moved outside of the repository\n",
            &commit_id[..10]
        )
    );
    let report = project.run(&["check", "--json", "--changed-since", "HEAD"]).stdout;
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["left_out"]["since"], commit_id);
    git(&project, ".", &["checkout", "-q", "-b", "topic"]);
    let stale = |name: &str| project.write(name, project.read(name) + "\n");
    // Committed on the branch, staged, and neither; of the main branch nothing counts that is not in this one.
    stale("web/package-lock.json");
    commit(&project);
    git(&project, ".", &["checkout", "-q", "main"]);
    stale("worker/package-lock.json");
    commit(&project);
    git(&project, ".", &["checkout", "-q", "topic"]);
    assert_eq!(since(&project, "main"), "1 stale, 2 not changed");
    project.write("api/src/new.js", "");
    assert_eq!(since(&project, "main"), "1 stale, 1 in sync, 1 not changed");
    git(&project, ".", &["add", "-A"]);
    assert_eq!(since(&project, "main"), "1 stale, 1 in sync, 1 not changed");
    assert_eq!(since(&project, "HEAD"), "1 in sync, 2 not changed");
}

#[test]
fn of_a_file_that_says_something_of_many_only_what_it_says_of_each_counts() {
    let project = flake(&["web", "api", "worker"]);
    project.run(&["update"]);
    commit(&project);
    let text = project.read("flake.nix");
    // Positions move, comments come, an attribute is added that no hash depends on: nothing of that is a change.
    project.write(
        "flake.nix",
        text.replacen('{', "# a flake\n{", 1)
            .replace("version = \"1.0.0\"", "meta = { }; version = \"1.0.0\""),
    );
    assert_eq!(since(&project, "HEAD"), "nothing to do, 3 not changed");
    // A hash is edited, an option appears, a derivation is new.
    let at = text.find("pname = \"api-service\"").unwrap();
    project.write("flake.nix", format!("{}forceGitDeps = true; {}", &text[..at], &text[at..]));
    assert_eq!(since(&project, "HEAD"), "1 in sync, 2 not changed");
    let hash = text.split('"').find(|part| part.starts_with("sha256-")).unwrap();
    project.write("flake.nix", text.replacen(hash, "", 1));
    assert_eq!(since(&project, "HEAD"), "1 stale, 2 not changed");
    let web = text.find("      web = ").unwrap();
    let new = "      new = pkgs.buildNpmPackage { pname = \"new\"; src = ./api; npmDepsHash = \"\"; };\n";
    project.write("flake.nix", format!("{}{new}{}", &text[..web], &text[web..]));
    assert_eq!(since(&project, "HEAD"), "1 stale, 3 not changed");
    // A second run in the same state sees what the first one wrote.
    assert!(
        project
            .transcript(&["update", "--changed-since", "HEAD"])
            .contains("1 updated, 3 not changed in 1 file")
    );
    assert_eq!(since(&project, "HEAD"), "1 in sync, 3 not changed");
}

#[test]
fn what_leads_to_a_derivation_is_followed_into_data_imports_and_new_files() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    for name in ["web", "api"] {
        project.lock(name, &[&left]);
    }
    let flake = "{\n  outputs = { self, nixpkgs }:\n    let\n      pkgs = nixpkgs.legacyPackages.x86_64-linux;\n      data = builtins.fromJSON \
                 (builtins.readFile ./data.json);\n      make = import ./make.nix pkgs;\n    in {\n      packages.x86_64-linux = \
                 builtins.mapAttrs (name: hash: make name hash) data;\n    };\n}\n";
    project.write("flake.nix", flake);
    project.write(
        "make.nix",
        "pkgs: name: hash: pkgs.buildNpmPackage { pname = name; src = ./. + \"/${name}\"; npmDepsHash = hash; forceGitDeps = \
         builtins.pathExists ./force; }\n",
    );
    project.write("data.json", "{\n  \"api\": \"\",\n  \"web\": \"\"\n}\n");
    commit(&project);
    project.run(&["update"]);
    commit(&project);
    assert_eq!(since(&project, "HEAD"), "nothing to do, 2 not changed");
    let data = project.read("data.json");
    let web = data.find("\"web\"").unwrap();
    project.write("data.json", format!("{}\"web\": \"\"\n}}\n", &data[..web]));
    assert_eq!(since(&project, "HEAD"), "1 stale, 1 not changed");
    project.write("data.json", &data);
    // One function makes them all, and asks whether a file is there.
    project.write("force", "");
    assert_eq!(since(&project, "HEAD"), "2 in sync");
    fs::remove_file(project.path("force")).unwrap();
    project.write("make.nix", project.read("make.nix").replace("builtins.pathExists ./force", "true"));
    assert_eq!(since(&project, "HEAD"), "2 in sync");
    // A file that cannot be parsed is told, although no derivation of it is left.
    project.write("make.nix", "pkgs: name: hash: pkgs.buildNpmPackage {");
    assert!(project.transcript(&["check", "--changed-since", "HEAD"]).starts_with("exit 2\n"));
}

#[test]
fn a_submodule_that_moved_or_was_edited_changed_whatever_the_index_says() {
    let project = flake(&["web", "api"]);
    let source = project.path("../source");
    fs::create_dir(&source).unwrap();
    fs::rename(project.path("web"), source.join("web")).unwrap();
    git(&project, "../source", &["init", "-q", "-b", "main"]);
    git(&project, "../source", &["add", "-A"]);
    git(&project, "../source", &["commit", "-qm", "x"]);
    git(&project, ".", &["submodule", "--quiet", "add", "../source", "vendor"]);
    project.write("flake.nix", project.read("flake.nix").replace("./web", "./vendor/web"));
    project.run(&["update"]);
    commit(&project);
    assert_eq!(since(&project, "HEAD"), "nothing to do, 2 not changed");
    let edited = project.read("vendor/web/package-lock.json") + "\n";
    project.write("vendor/web/package-lock.json", &edited);
    assert_eq!(since(&project, "HEAD"), "1 stale, 1 not changed", "edited in the submodule");
    git(&project, "vendor", &["commit", "-qam", "y"]);
    assert_eq!(since(&project, "HEAD"), "1 stale, 1 not changed", "checked out, and not staged");
    git(&project, ".", &["add", "vendor"]);
    assert_eq!(since(&project, "HEAD"), "1 stale, 1 not changed", "staged");
    project.run(&["update", "--changed-since", "HEAD"]);
    commit(&project);
    assert_eq!(since(&project, "HEAD"), "nothing to do, 2 not changed");
}

#[test]
fn a_lockfile_without_a_hash_counts_where_it_changed() {
    let project = flake(&["web"]);
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("site", &[&left]);
    project.write(
        "flake.nix",
        project.read("flake.nix").replace(
            "packages.x86_64-linux = {\n",
            "packages.x86_64-linux = {\n      site = pkgs.mkShell { deps = pkgs.importNpmLock { npmRoot = ./site; }; };\n",
        ),
    );
    project.run(&["update"]);
    commit(&project);
    assert_eq!(since(&project, "HEAD"), "nothing to do, 1 not changed");
    let cut = project.read("site/package-lock.json");
    let cut = cut.lines().filter(|line| !line.contains("\"resolved\"") && !line.contains("\"integrity\""));
    project.write("site/package-lock.json", cut.collect::<Vec<_>>().join("\n"));
    let said = project.transcript(&["check", "--changed-since", "HEAD"]);
    assert!(
        said.starts_with("exit 1\n") && said.contains("1 incomplete, 1 not changed, 1 lockfile without"),
        "{said}"
    );
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
