//! Why a hash is stale: what changed in the lockfile since the hash was written, as git has it.

use std::fs;

use serde_json::{Value, json};

use crate::support::git::{self, commit, git};
use crate::support::project::Project;

/// A service whose hash is right and committed, and one on another lockfile.
fn project() -> Project {
    let project = Project::new();
    git::init(&project);
    lock(&project, "web", &[("debug", "4.3.5"), ("old", "1.0.0")]);
    lock(&project, "api", &[("ms", "2.1.3")]);
    project.write(
        "default.nix",
        "{ pkgs }:\n{\n  web = pkgs.buildNpmPackage { src = ./web; npmDepsHash = \"\"; };\n  \
         api = pkgs.buildNpmPackage { src = ./api; npmDepsHash = \"\"; };\n}\n",
    );
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    commit(&project, "right");
    project
}

fn lock(project: &Project, folder: &str, packages: &[(&str, &str)]) {
    let published: Vec<_> =
        packages.iter().map(|(name, version)| project.registry.publish(name, version, &[])).collect();
    project.lock(folder, &published.iter().collect::<Vec<_>>());
}

const NEWER: [(&str, &str); 3] = [("debug", "4.3.6"), ("new", "1.0.0"), ("ms", "2.1.3")];

fn because(project: &Project) -> Value {
    report(project, &["check", "--json"])["sites"].as_array().unwrap()[0]["because"].clone()
}

fn report(project: &Project, args: &[&str]) -> Value {
    serde_json::from_slice(&project.run(args).stdout).unwrap()
}

#[test]
fn a_changed_lockfile_is_told_in_every_form() {
    let project = project();
    let first = git(&project.root(), &["rev-parse", "HEAD"]);
    lock(&project, "web", &NEWER);
    let text = "debug 4.3.5 -> 4.3.6, +2, -1 packages; web/package-lock.json changed since the last commit";
    let check = project.transcript(&["check"]);
    assert!(check.contains(&format!("\n  because   {text}\n")), "{check}");
    assert_eq!(
        because(&project),
        json!({
            "code": "lockfile-changed", "text": text, "last_changed": null,
            "since": { "commit": first, "state": "hash-written" },
            "packages": {
                "moved": [{ "name": "debug", "from": "4.3.5", "to": "4.3.6" }],
                "added": ["ms 2.1.3", "new 1.0.0"], "removed": ["old 1.0.0"], "replaced": []
            }
        })
    );
    let second = commit(&project, "newer");
    let text = format!(
        "debug 4.3.5 -> 4.3.6, +2, -1 packages; web/package-lock.json last changed in {}",
        &second[..7]
    );
    // What changed later elsewhere changes nothing of this.
    project.write("web/other.js", "");
    commit(&project, "other");
    assert_eq!(because(&project)["last_changed"], second);
    let annotation = project.transcript(&["check", "--format", "github"]);
    assert!(annotation.contains(&format!("; because {text}\n")), "{annotation}");
    let sarif = project.transcript(&["check", "--format", "sarif"]);
    assert!(sarif.contains(&format!("; because {text}\"")), "{sarif}");
    let markdown = project.transcript(&["check", "--format", "markdown"]);
    assert!(markdown.contains("| should say | because |\n"), "{markdown}");
    assert!(markdown.contains("<code>debug 4.3.5 -&#62; 4.3.6, +2, -1 packages&#59; "), "{markdown}");
    let update = project.transcript(&["update"]);
    assert!(update.contains(&format!("\n  because   {text}\n")), "{update}");
    assert!(!project.transcript(&["check"]).contains("because"), "in sync");
}

#[test]
fn fingerprints_do_not_depend_on_what_git_knows() {
    let project = project();
    lock(&project, "web", &NEWER);
    let fingerprint = || report(&project, &["check", "--format", "codequality"])[0]["fingerprint"].clone();
    let before = fingerprint();
    commit(&project, "newer");
    assert_eq!(fingerprint(), before);
}

#[test]
fn nothing_in_the_lockfile_is_told_as_that() {
    let project = project();
    let first = git(&project.root(), &["rev-parse", "HEAD"]);
    let text = project.read("default.nix");
    // The hash of the other lockfile.
    let right: Vec<String> = report(&project, &["check", "--json"])["sites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|site| site["hash"].as_str().unwrap().to_owned())
        .collect();
    project.write("default.nix", text.replace(&right[0], &right[1]));
    assert_eq!(because(&project)["text"], "it is the hash of api/package-lock.json");
    // The fetcher's version changed, and nothing else.
    project.write("default.nix", text.replacen("src = ./web;", "src = ./web; npmDepsFetcherVersion = 2;", 1));
    assert_eq!(
        because(&project),
        json!({
            "code": "other-options", "text": "it is the hash of this lockfile with fetcherVersion 1",
            "since": null, "last_changed": null, "packages": null
        })
    );
    // A phase edits the lockfile now.
    let phase = r#"src = ./web; postPatch = "substituteInPlace package-lock.json --replace-fail web wob";"#;
    project.write("default.nix", text.replacen("src = ./web;", phase, 1));
    let because = because(&project);
    assert_eq!(
        (&because["code"], &because["since"]["commit"]),
        (&json!("lockfile-unchanged"), &json!(first)),
        "{because}"
    );
    assert!(
        because["text"].as_str().unwrap().contains("as it was when the hash was written in "),
        "{because}"
    );
}

#[test]
fn the_past_of_a_hash_goes_through_merges() {
    let project = project();
    let written = git(&project.root(), &["rev-parse", "HEAD"]);
    git(&project.root(), &["checkout", "-q", "-b", "topic"]);
    lock(&project, "web", &NEWER);
    let changed = commit(&project, "newer");
    git(&project.root(), &["checkout", "-q", "main"]);
    project.write("readme", "");
    commit(&project, "readme");
    git(&project.root(), &["merge", "-q", "--no-ff", "-m", "merge", "topic"]);
    let because = because(&project);
    assert_eq!((&because["since"]["commit"], &because["last_changed"]), (&json!(written), &json!(changed)));
}

/// A copy of the project's repository by `git clone`, with what is checked out there in place of the project's files.
fn clone(project: &Project, options: &[&str]) {
    let root = project.root();
    let origin = root.with_file_name("origin");
    fs::rename(&root, &origin).unwrap();
    git(&origin, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.display());
    git(origin.parent().unwrap(), &[&["clone", "-q"], options, &[&url, "repo"]].concat());
    // Nothing may be fetched later.
    fs::rename(&origin, origin.with_file_name("gone")).unwrap();
}

#[test]
fn a_shallow_clone_says_nothing_that_it_does_not_know() {
    let project = project();
    lock(&project, "web", &NEWER);
    commit(&project, "newer");
    clone(&project, &["--depth", "1"]);
    assert_eq!(because(&project), Value::Null);
    // Against the last commit it can tell.
    lock(&project, "web", &[("debug", "4.3.7"), ("new", "1.0.0"), ("ms", "2.1.3")]);
    let because = because(&project);
    assert_eq!(because["since"]["state"], "last-commit");
    assert_eq!(because["text"], "debug 4.3.6 -> 4.3.7; web/package-lock.json changed since the last commit");
}

#[test]
fn a_pull_request_is_compared_with_where_it_parted() {
    let project = project();
    let root = project.root();
    project.write("readme", "");
    commit(&project, "readme");
    project.write("readme", "more");
    let base = commit(&project, "more");
    git(&root, &["checkout", "-q", "-b", "topic"]);
    lock(&project, "web", &NEWER);
    let newer = commit(&project, "newer");
    // The first commit is out of reach, as in a clone of limited depth.
    clone(&project, &["--depth", "2", "--no-single-branch", "-b", "topic"]);
    let mut command = project.command(&["check", "--json"]);
    command.env("GITHUB_BASE_REF", "main");
    let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let because = &report["sites"][0]["because"];
    assert_eq!(because["since"], json!({ "commit": base, "state": "merge-base" }));
    assert_eq!(because["last_changed"], newer, "{because}");
    let since = self::report(&project, &["check", "--json", "--changed-since", "origin/main"]);
    assert_eq!(since["sites"][0]["because"]["since"]["commit"], base);
}

#[test]
fn a_partial_clone_tells_what_is_there_and_fetches_nothing() {
    let project = project();
    lock(&project, "web", &NEWER);
    commit(&project, "newer");
    clone(&project, &["--filter=blob:none"]);
    // The lockfile of the first commit is not there.
    assert_eq!(because(&project), Value::Null);
    // That of the last one is.
    lock(&project, "web", &[("debug", "5.0.0")]);
    let because = because(&project);
    assert_eq!(because["since"]["state"], "last-commit");
    assert_eq!(
        because["text"],
        "debug 4.3.6 -> 5.0.0, -2 packages; web/package-lock.json changed since the last commit"
    );
}
