//! Sources that are not in the repository, with the local registry standing in for every host.

mod archives;
mod changed;
mod failures;
mod forges;
mod inside;
mod tarballs;
mod tokens;

use std::process::Output;

use archives::{Item, hash_of, npm_hash, tar_gz};

use crate::support::project::Project;

/// All hosts that the tests name.
const HOSTS: [&str; 8] = [
    "github.com",
    "gitlab.com",
    "gitea.example",
    "codeberg.org",
    "git.sr.ht",
    "bitbucket.org",
    "example.org",
    "api.github.com",
];

/// A hash that is real, and of nothing here.
const OTHER: &str = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

/// The archive of a repository with one file in it, and its hash.
pub fn one_file_archive(name: &str, text: &str) -> (Vec<u8>, String) {
    let items = [Item::file(name, text)];
    (tar_gz("r-1/", &items), hash_of(&items))
}

fn run(project: &Project, arguments: &[&str]) -> Output {
    let mut command = project.command(arguments);
    for host in HOSTS {
        command.arg(format!("--registry-override={host}={}", project.registry.url()));
    }
    command.output().unwrap()
}

fn transcript(project: &Project, arguments: &[&str]) -> String {
    project.render(&run(project, arguments))
}

/// A package with a lockfile that wants one package of the registry.
fn package(project: &Project) -> (Vec<Item>, String) {
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let lockfile = crate::support::project::lockfile("tool", &[&left]);
    let items = vec![
        Item::file("package.json", r#"{"name":"tool","version":"1.0.0"}"#),
        Item::file("package-lock.json", &lockfile),
        Item::program("bin/tool", "#!/bin/sh\n"),
        Item::link("bin/other", "tool"),
        Item::file(&format!("deep/{}/{}.txt", "a".repeat(120), "b".repeat(90)), "long\n"),
    ];
    (items, lockfile)
}

/// A derivation whose source is this expression.
fn derivation(source: &str, hash: &str) -> String {
    format!(
        "{{ pkgs }}:\npkgs.buildNpmPackage rec {{\n  pname = \"tool\";\n  version = \"1.0.0\";\n  src = {source};\n  \
         npmDepsHash = \"{hash}\";\n}}\n"
    )
}

/// A fetcher's call from its name and arguments.
fn call(fetcher: &str, arguments: &str) -> String {
    format!("{fetcher} {{ {arguments} }}")
}
