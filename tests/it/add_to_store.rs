//! `--add-to-store` with a stand-in for `nix-store`: what it is asked, what it is told, and what becomes of its failure.
//! The real one is asked in `tests/real/nix_cached.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::support::project::Project;

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; version = "1.2.3"; src = ./web; npmDepsHash = ""; };
  named = pkgs.buildNpmPackage { name = "named"; src = ./web; npmDepsHash = ""; };
  deps = pkgs.fetchNpmDeps { src = ./web; hash = ""; };
  odd = pkgs.buildNpmPackage { pname = "odd"; version = pkgs.version; src = ./web; npmDepsHash = ""; };
}
"#;

/// A project with a `nix-store` that writes down its environment and its arguments, and then does this.
fn project(then: &str) -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    project.lock("web", &[&left]);
    project.write("default.nix", SITES);
    let script = format!("#!/bin/sh\nenv >\"$HOME/env\"\necho \"$@\" >>\"$HOME/calls\"\n{then}\n");
    project.write("../bin/nix-store", script);
    fs::set_permissions(project.path("../bin/nix-store"), fs::Permissions::from_mode(0o755)).unwrap();
    project
}

fn with_nix(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", project.path("../bin").display()));
    command
}

/// Answers as the real one would for the names of [`SITES`]; nothing is in the store yet.
fn obliging(project: &Project) -> String {
    let mut cases = String::new();
    for name in ["web-1.2.3-npm-deps", "named-npm-deps", "npm-deps"] {
        let hash = project.run(&["hash", "web", "--store-path", name]);
        let text = String::from_utf8(hash.stdout).unwrap();
        cases.extend(["*/", name, ") echo ", text.lines().last().unwrap(), " ;;\n"]);
    }
    format!("[ \"$1\" = --check-validity ] && exit 1\ncase \"$4\" in\n{cases}*) exit 9 ;;\nesac")
}

#[test]
fn every_tree_is_added_under_the_name_of_its_derivation() {
    let then = obliging(&project(""));
    let project = project(&then);
    let mut command = with_nix(&project, &["update", "--add-to-store", "--json"]);
    command
        .env("NIX_NPM_TOKENS", r#"{"127.0.0.1": "s3cret"}"#)
        .env("NPM_TOKEN", "s3cret")
        .env("NIX_REMOTE", "daemon");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let paths: Vec<_> = report["sites"].as_array().unwrap().iter().map(|site| &site["store_path"]).collect();
    let ends = ["-web-1.2.3-npm-deps", "-named-npm-deps", "-npm-deps"];
    for (path, end) in paths.iter().zip(ends) {
        assert!(path.as_str().unwrap().ends_with(end), "{paths:?}");
    }
    assert!(paths[3].is_null());
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        stderr,
        "warning: odd: not added to the store, because the name of its derivation is not known\n"
    );
    let environment = project.read("../home/env");
    assert!(environment.contains("NIX_REMOTE=daemon\n") && !environment.contains("s3cret"), "{environment}");
    let calls = project.read("../home/calls");
    assert_eq!(calls.matches("--add-fixed --recursive sha256 ").count(), 3, "{calls}");
}

#[test]
fn what_is_in_the_store_is_left_alone() {
    let project = project("exit 0");
    let output = with_nix(&project, &["update", "--add-to-store"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let calls = project.read("../home/calls");
    assert_eq!(
        (calls.matches("--check-validity").count(), calls.matches("--add").count()),
        (3, 0),
        "{calls}"
    );
}

#[test]
fn a_store_that_refuses_is_an_error_after_the_files_are_right() {
    let project =
        project("[ \"$1\" = --check-validity ] && exit 1\necho one >&2\necho 'error: no space' >&2\nexit 1");
    let output = with_nix(&project, &["update", "--add-to-store"]).output().unwrap();
    let transcript = project.render(&output);
    assert!(transcript.starts_with("exit 2\n--- stdout\nupdated  web "), "{transcript}");
    let error = "error: nix-store did not add web-1.2.3-npm-deps\n  caused by: error: no space\n";
    assert!(transcript.ends_with(error), "{transcript}");
    assert!(project.transcript(&["check"]).starts_with("exit 0"));
    let output = with_nix(&project, &["hash", "web", "--add-to-store", "x"]).output().unwrap();
    assert!(project.render(&output).starts_with("exit 2\n--- stderr\nerror: nix-store did not add x\n"));
}

#[test]
fn without_nix_it_says_so() {
    let project = project("");
    let mut command = project.command(&["update", "--add-to-store"]);
    let transcript = project.render(&command.env("PATH", "/no/such/folder").output().unwrap());
    assert!(transcript.starts_with("exit 2"), "{transcript}");
    assert!(transcript.contains("error: cannot run nix-store\n") && transcript.contains("hint: install Nix"));
    let output = with_nix(&project, &["hash", "web", "--add-to-store", "no such name"]).output().unwrap();
    assert!(project.render(&output).contains("not a name that Nix accepts"));
    for args in
        [&["update", "--add-to-store", "--dry-run"][..], &["hash", "web", "out", "--add-to-store", "x"]]
    {
        assert_eq!(project.run(args).status.code(), Some(2), "{args:?}");
    }
}
