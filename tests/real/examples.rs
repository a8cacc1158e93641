//! The example of each crate does what its page says. They are built as `cargo test` builds them.

use std::path::PathBuf;
use std::process::Command;

use crate::support::pages::root;
use crate::support::program::{Scratch, overrides, succeed};
use crate::support::project::lockfile;
use crate::support::registry::{Registry, tgz};

/// Builds all examples, and tells where they are.
///
/// What cargo told this test of its own package is taken away: a cargo that has these from outside builds `ring`, and all that
/// rests on it, again (four minutes), and so does the next one that has not.
fn built() -> PathBuf {
    let mut build = Command::new(env!("CARGO"));
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_LINKS", "CARGO_PKG_NAME"] {
        build.env_remove(name);
    }
    for part in ["MAJOR", "MINOR", "PATCH", "PRE"] {
        build.env_remove(format!("CARGO_PKG_VERSION_{part}"));
    }
    let features = ["--features", "real-parts"];
    succeed(build.args(["build", "--quiet", "--workspace", "--examples"]).args(features).current_dir(root()));
    PathBuf::from(env!("CARGO_BIN_EXE_npm-nixhash")).with_file_name("examples")
}

#[test]
fn the_example_of_each_crate_runs() {
    let (examples, place) = (built(), Scratch::new());
    let run = |name: &str, arguments: &[&str]| {
        succeed(Command::new(examples.join(name)).args(arguments).current_dir(place.path("")))
    };
    let text = |name: &str, text: &str| place.write(name, text);

    place.write("in.tar.gz", tgz(&[("package.json", b"{}"), ("cli.js", b"#!/usr/bin/env node\n")]));
    assert_eq!(run("repack", &["in.tar.gz", "out.tgz"]), "");
    let gnu = "mkdir p && tar -xzf in.tar.gz --strip-components=1 -C p && mv p package && tar --sort=name --mtime=@0 \
               --owner=0 --group=0 --numeric-owner --format=gnu -I 'gzip -n -9' -cf gnu.tgz package && cmp gnu.tgz out.tgz";
    succeed(place.shell().args(["-c", &format!("umask 022; {gnu}")]));
    let looked = run("look", &["in.tar.gz"]);
    assert!(looked.starts_with("sha512-") && looked.contains("cli.js (Node)"), "{looked}");

    text("merged", "a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n");
    assert_eq!(run("sides", &["merged"]), "ours:\nb\ntheirs:\nc");
    text("some.nix", "{ a = \"x${b}\"; }");
    assert_eq!(run("strings", &["some.nix"]), "1:7: x${...}");
    text("sum.nix", "{ a = 1 + 1; b = [ \"c\" null ]; }");
    assert_eq!(run("eval", &["sum.nix"]), "{ a = 2; b = [ \"c\" null ]; }");
    assert_eq!(run("disk", &[]), "nothing was saved: no space is left; remove something");
    text("words", "left and right");
    assert_eq!(run("edit", &["words", "left", "right"]), "right and right");

    let registry = Registry::start();
    let package = registry.publish("left-pad", "1.3.0", &[("index.js", b"")]);
    text("package-lock.json", &lockfile("a", &[&package]));
    assert_eq!(run("needs", &["package-lock.json"]), format!("left-pad {}", package.url));
    let hash = run("hash", &["package-lock.json", &registry.url()]);
    let mut ours = place.npm_nixhash(["hash", "package-lock.json", "--no-cache"]);
    assert_eq!(hash, succeed(ours.args(overrides(&registry))));
    let release = run("releases", &[&registry.url(), "left-pad", "1.3.0"]);
    assert!(release.starts_with("left-pad 1.3.0 "), "{release}");

    place.write("repo/package-lock.json", lockfile("a", &[&package]));
    place.write("repo/.git/HEAD", "ref: refs/heads/main\n");
    place.write(
        "repo/default.nix",
        format!("{{ pkgs }}: pkgs.buildNpmPackage {{ src = ./.; npmDepsHash = \"{hash}\"; }}"),
    );
    let files = run("files", &["repo"]);
    assert!(files.contains("repo/default.nix") && files.contains("repo/package-lock.json"), "{files}");
    let site = run("sites", &["repo"]);
    assert!(site.contains("default.nix:1:") && site.ends_with("repo/package-lock.json"), "{site}");
    let cache = format!("file://{}", place.path("cache").display());
    let published = run("publish", &[&cache, "a-npm-deps", "words"]);
    assert!(published.starts_with("/nix/store/") && published.ends_with("-a-npm-deps"), "{published}");
}
