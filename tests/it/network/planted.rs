//! Secrets planted everywhere a user may have them, and looked for in every output, every file that is left behind, and
//! in what children are given.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use crate::support::project::Project;
use crate::support::registry::{Fault, Published};

/// Every planted secret holds this.
const MARK: &str = "PLANTED";

/// What the log tells in these runs, among others.
const LOGGED: [&str; 3] =
    ["npm_registry: GET url=", "npm_registry: GET failed", "npm_registry: asking again"];

/// A program that writes down what it is given.
fn spy(project: &Project, name: &str) {
    let log = project.path("../spied");
    let script = format!("#!/bin/sh\n{{ echo {name}; env; echo \"$@\"; }} >>{}\nexit 1\n", log.display());
    project.write(&format!("../bin/{name}"), script);
    fs::set_permissions(project.path(&format!("../bin/{name}")), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A project whose surroundings are full of secrets.
fn project() -> (Project, Published) {
    let project = Project::new();
    let manifest = json!({ "name": "left", "version": "1.0.0", "bin": "left.js" });
    let package = project.registry.publish_manifest(&manifest, &[("left.js", b"")]);
    let entry = |name: &str, url: &str| json!({ name: { "version": "1.0.0", "resolved": url, "integrity": package.integrity } });
    let mut entries = entry("node_modules/left", &format!("{}?sig=PLANTED-query", package.url));
    for (name, url) in [
        ("node_modules/user", "https://me:PLANTED-user@elsewhere.invalid/user.tgz"),
        ("node_modules/http", "http://127.0.0.1:1/http.tgz?token=PLANTED-http#PLANTED-fragment"),
        ("node_modules/git", "git+https://PLANTED-git@git.invalid/a/b.git#PLANTED"),
        ("node_modules/odd", "https://me:PLANTED-odd@host:99999/a.tgz?PLANTED"),
    ] {
        entries.as_object_mut().unwrap().extend(entry(name, url).as_object().unwrap().clone());
    }
    let all = json!({ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "packages": entries });
    project.write("bad/package-lock.json", all.to_string());
    project.lock("good", &[&package]);
    project.write("default.nix", SITES);
    for name in ["nix-store", "npm"] {
        spy(&project, name);
    }
    let host = project.registry.url().replace("http://", "");
    let npmrc = format!(
        "registry=https://me:PLANTED-registry@corp.invalid/npm/?PLANTED\n//{host}/:_authToken=PLANTED-token\n\
         //other.invalid/:_authToken=PLANTED-other\n//basic.invalid/:_auth=UExBTlRFRA==PLANTED\n\
         //pair.invalid/:username=me\n//pair.invalid/:_password=PLANTEDPASS\n_authToken=PLANTED-loose\n\
         //unset.invalid/:_authToken=${{UNSET}}PLANTED\nstrict-ssl=false\n"
    );
    project.write("../home/.npmrc", npmrc);
    project.write("../home/.netrc", "machine elsewhere.invalid login me password PLANTED-netrc\n");
    project.write(
        "../home/.config/nix/nix.conf",
        "access-tokens = github.com=PLANTED-nix git.invalid=PAT:PLANTED-pat\n",
    );
    fs::create_dir(project.path("../tmp")).unwrap();
    (project, package)
}

const SITES: &str = r#"{ pkgs }:
{
  good = pkgs.buildNpmPackage { pname = "good"; version = "1"; src = ./good; npmDepsHash = ""; };
  bad = pkgs.buildNpmPackage { pname = "bad"; version = "1"; src = ./bad; npmDepsHash = ""; };
  # The patch shows three lines around what it changes.


  query = pkgs.buildNpmPackage { pname = "q"; version = "1"; npmDepsHash = "";
    src = pkgs.fetchurl { url = "http://127.0.0.1:1/x.tgz?sig=PLANTED-nix-query"; hash = ""; }; };
  user = pkgs.buildNpmPackage { pname = "u"; version = "1"; npmDepsHash = "";
    src = pkgs.fetchzip { url = "https://me:PLANTED-nix-user@host.invalid:99999/x.tgz?PLANTED"; hash = ""; }; };
  mirror = pkgs.buildNpmPackage { pname = "m"; version = "1"; npmDepsHash = "";
    src = pkgs.fetchurl { url = "mirror://x/y?sig=PLANTED-mirror"; hash = ""; }; };
}
"#;

fn run(project: &Project, args: &[&str]) -> Output {
    let mut command: Command = project.command(args);
    let overrides =
        json!({ "registry.npmjs.org": project.registry.url().replace("//", "//me:PLANTED-override@") });
    command
        .env("NIX_NPM_REGISTRY_OVERRIDES", overrides.to_string())
        .env("NIX_NPM_TOKENS", r#"{"corp.invalid": "PLANTED-nix-token", "b.invalid": "me:PLANTED-pair"}"#)
        .env("https_proxy", "http://me:PLANTED-proxy@127.0.0.1:1/")
        .env("NIX_GITHUB_PRIVATE_USERNAME", "me")
        .env("NIX_GITHUB_PRIVATE_PASSWORD", "PLANTED-private")
        .env("GITHUB_TOKEN", "PLANTED-github")
        .env("NPM_NIXHASH_LOG", "trace")
        .env("AWS_SECRET_ACCESS_KEY", "PLANTED-aws")
        .env("GIT_CONFIG_VALUE_0", "PLANTED-bot")
        .env("TMPDIR", project.path("../tmp"))
        .env("PATH", format!("{}:/usr/bin:/bin", project.path("../bin").display()));
    command.output().unwrap()
}

/// Files below `folder` that hold the mark, but for those that the test wrote.
fn marked(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            marked(&path, found);
        } else if fs::read(&path).unwrap().windows(MARK.len()).any(|part| part == MARK.as_bytes()) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
}

#[test]
fn planted_tokens_turn_up_nowhere() {
    let (project, package) = project();
    let written = ["default.nix", "package-lock.json", ".npmrc", ".netrc", "nix.conf"];
    let commands: &[&[&str]] = &[
        &["list", "--explain"],
        &["list", "--json"],
        &["check"],
        &["check", "--format", "github"],
        &["check", "--format", "markdown"],
        &["check", "--format", "codequality"],
        &["check", "--format", "sarif"],
        &["explain", "--download"],
        &["explain", "--json"],
        &["check", "--format", "patch"],
        &["check", "--json", "--github-token"],
        &["hash", "bad"],
        &["hash", "bad", "--offline"],
        &["hash", "good", "--add-to-store", "x"],
        &["hash", "good", "--registry-override", "http://u:PLANTED-flag@m/"],
        &["hash", "good", "--registry-override", "http://u:PLANTED-flag@m/?a=b"],
        &["hash", "good", "--registry-override", "m=u:PLANTED-flag@m"],
        &["update", "--dry-run"],
        &["update", "--add-to-store"],
        &["update"],
        &["add", "left@1.0.0", "--no-cache"],
        &["add", "left@1.0.0", "--json"],
        &["repair", "bad"],
        &["repair", "--check", "--strengthen"],
        &["repair", "--offline"],
        &["cache", "dir"],
        &["cache", "stats", "--json"],
        &["cache", "prune", "--max-size", "0"],
        &["init", "github", "--print"],
        &["init", "renovate", "--dry-run"],
        &["init", "config"],
        &["man"],
    ];
    let mut logged = BTreeSet::new();
    for fault in [None, Some(Fault::Status(401)), Some(Fault::Status(404)), Some(Fault::Status(500))] {
        if let Some(fault) = fault {
            project.registry.fault(&package.path, 30, fault);
        }
        for args in commands {
            let output = run(&project, args);
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8(text).unwrap();
            assert!(!text.contains(MARK), "{args:?}:\n{text}");
            logged.extend(LOGGED.into_iter().filter(|what| text.contains(what)));
        }
    }
    assert_eq!(logged, LOGGED.into(), "the log tells of all that goes over the network");
    let mut found = Vec::new();
    marked(&project.path(".."), &mut found);
    found.retain(|name| !written.contains(&name.as_str()));
    let spied = fs::read_to_string(project.path("../spied")).unwrap();
    for line in spied.lines().filter(|line| line.contains(MARK)) {
        // npm is given what its registry and proxy need, and nothing else.
        let given = line.starts_with("https_proxy=") || line.starts_with("npm_config_registry=");
        assert!(given, "{line}");
    }
    assert!(spied.contains("nix-store\n") && spied.contains("npm\n"), "{spied}");
    found.retain(|name| name != "spied");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(fs::read_dir(project.path("../tmp")).unwrap().count(), 0, "temporary files are gone");
}
