//! `hash`: its outputs, what it refuses, what it warns of, and fetcher version 2.

use std::fs;

use serde_json::{Value, json};

use crate::support::program::{Ran, Scratch, overrides, run};
use crate::support::registry::{Fault, Registry};
use crate::support::truth::{rows_of, serve_all};

/// Runs `hash` on a lockfile; the folder's name is taken out of what it says.
fn hash(place: &Scratch, lockfile: &Value, arguments: &[&str]) -> Ran {
    place.write("package-lock.json", lockfile.to_string());
    let mut ran = run(place.npm_nixhash(["hash", "package-lock.json"]).args(arguments));
    ran.stderr = ran.stderr.replace(place.path("").to_str().unwrap(), "");
    ran
}

fn packages(entries: &Value) -> Value {
    json!({ "lockfileVersion": 3, "packages": entries })
}

#[test]
fn refusals_name_the_place_the_reason_and_a_cure() {
    let anew = "let npm write the entry again: remove it from the lockfile and run `npm install --package-lock-only`";
    let other_host =
        "depend on a published version, or on a commit at github.com, bitbucket.org or git.sr.ht";
    let entry = |entry: Value| packages(&json!({ "node_modules/a": entry }));
    let v1 = |entry: Value| json!({ "lockfileVersion": 1, "dependencies": { "p": { "version": "1.0.0", "dependencies": { "a": entry } } } });
    for (lockfile, expected, hint) in [
        (
            packages(&json!({})),
            "the lockfile has no package to fetch",
            "set forceEmptyCache = true if it really needs nothing",
        ),
        (
            entry(json!({ "version": "1.0.0" })),
            "1 package without `resolved`, and no other to fetch: node_modules/a@1.0.0",
            "`npm-nixhash repair` fills in what is missing, without moving a version",
        ),
        (
            entry(json!({ "resolved": "https://h/a.tgz" })),
            "node_modules/a: no integrity for https://h/a.tgz",
            anew,
        ),
        (
            entry(json!({ "resolved": "https://h/a.tgz", "integrity": " " })),
            "node_modules/a: no integrity for https://h/a.tgz",
            anew,
        ),
        (
            entry(json!({ "resolved": "git+ssh://git@gitlab.com/a/b.git#c" })),
            "node_modules/a: git dependency on a host that nixpkgs' fetcher does not support: \
             git+ssh://git@gitlab.com/a/b.git",
            other_host,
        ),
        (
            entry(json!({ "resolved": "git+ssh://git@github.com/a/b.git" })),
            "node_modules/a: git dependency without a commit: git+ssh://git@github.com/a/b.git",
            other_host,
        ),
        (
            v1(json!({ "version": "npm:real@1.0.0" })),
            "p > a: the alias npm:real@1.0.0 has no `resolved`",
            anew,
        ),
        (v1(json!({ "resolved": "https://h/a.tgz" })), "p > a: no `version`", anew),
        (
            json!({ "lockfileVersion": 2, "packages": {}, "dependencies": { "a": {} } }),
            "a in `dependencies`, which nixpkgs' fetcher reads too: no `version`",
            "write the lockfile again with `npm install --package-lock-only --lockfile-version 3`",
        ),
    ] {
        let ran = hash(&Scratch::new(), &lockfile, &[]);
        let stderr = format!("error: package-lock.json: {expected}\n  hint: {hint}\n");
        assert_eq!(ran, Ran { code: 2, stdout: String::new(), stderr });
    }
    let md5 = entry(json!({ "resolved": "https://h/a.tgz", "integrity": "md5-1B2M2Y8AsgTpgAmY7PhCfg==" }));
    let ran = hash(&Scratch::new(), &md5, &[]);
    assert!(ran.stderr.contains("node_modules/a: ") && ran.stderr.contains("md5"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: let npm record a sha512"), "{}", ran.stderr);
    let ran =
        hash(&Scratch::new(), &packages(&json!({})), &["--fetcher-version", "0", "--force-empty-cache"]);
    assert_eq!(
        ran.stderr,
        "error: package-lock.json: fetcher version 0 does not exist\n  hint: use 1 or 2\n"
    );
}

#[test]
fn warnings_come_with_a_hash() {
    let write = "`npm-nixhash repair` fills in what is missing, without moving a version";
    for (lockfile, version, expected) in [
        (
            packages(
                &json!({ "node_modules/a": { "version": "1.0.0" }, "node_modules/b": { "version": "2.0.0" } }),
            ),
            "1",
            format!(
                "2 packages without `resolved`: the hash covers none of them, and an offline install that needs one fails \
                 (ENOTCACHED): node_modules/a@1.0.0, node_modules/b@2.0.0\n  hint: {write}\n"
            ),
        ),
        (
            packages(&json!({ "node_modules/a": { "resolved": "a.tgz", "integrity": "sha1-x" } })),
            "1",
            "1 entry with a `resolved` that is not a URL, which nixpkgs' fetcher passes over: node_modules/a\n"
                .to_owned(),
        ),
        (
            packages(&json!({})),
            "3",
            "fetcher version 3: nixpkgs accepts only 1 and 2 since August 2026\n".to_owned(),
        ),
    ] {
        let ran = hash(&Scratch::new(), &lockfile, &["--force-empty-cache", "--fetcher-version", version]);
        assert_eq!((ran.code, ran.stderr), (0, format!("warning: package-lock.json: {expected}")));
        assert!(ran.stdout.starts_with("sha256-"), "{}", ran.stdout);
    }
}

/// A lockfile with one package of a registry.
fn one(registry: &Registry, name: &str) -> Value {
    let published = registry.publish(name, "1.0.0", &[]);
    let entry = json!({ "version": "1.0.0", "resolved": published.url, "integrity": published.integrity });
    packages(&json!({ format!("node_modules/{name}"): entry }))
}

#[test]
fn a_packument_that_does_not_exist_is_left_out_and_any_other_failure_fails() {
    let registry = Registry::start();
    let lockfile = one(&registry, "@corp/a");
    let overrides = overrides(&registry);
    let mut arguments: Vec<_> = overrides.iter().map(String::as_str).collect();
    arguments.extend(["--fetcher-version", "2", "--json", "--no-cache"]);
    let run = |more: &[&str]| hash(&Scratch::new(), &lockfile, &[&arguments[..], more].concat());
    let count = |ran: &Ran| serde_json::from_str::<Value>(&ran.stdout).unwrap()["packages"].clone();

    assert_eq!(count(&run(&[])), 2);
    registry.fault("/@corp%2fa", 1, Fault::Status(404));
    let absent = run(&[]);
    assert_eq!((count(&absent), absent.stderr.as_str()), (json!(1), ""));

    let asked = registry.count("/@corp%2fa");
    let assumed = run(&["--private-scope", "@corp"]);
    assert_eq!(registry.count("/@corp%2fa"), asked, "the public registry must not learn the name");
    assert_eq!(count(&assumed), 1);
    assert_eq!(assumed.stderr, format!("warning: package-lock.json: {}\n", assumed_warning()));

    registry.fault("/@corp%2fa", 1, Fault::Status(403));
    let failed = run(&[]);
    assert_eq!((failed.code, failed.stdout.as_str()), (2, ""));
    assert!(
        failed.stderr.contains("@corp/a is not available") && failed.stderr.contains("403"),
        "{}",
        failed.stderr
    );
    registry.fault("/@corp%2fa", 9, Fault::Status(500));
    let failed = run(&[]);
    assert_eq!((failed.code, failed.stdout.as_str()), (2, ""));
    assert!(failed.stderr.contains("500"), "{}", failed.stderr);
}

#[test]
fn packuments_are_those_of_the_entries_that_speak_for_their_urls() {
    let registry = Registry::start();
    let a = registry.publish("a", "1.0.0", &[]);
    let weak = json!({ "name": "ghost", "version": "1.0.0", "resolved": a.url });
    let strong = json!({ "name": "a", "version": "1.0.0", "resolved": a.url, "integrity": a.integrity });
    // Whichever stands first.
    for (first, second) in [(&strong, &weak), (&weak, &strong)] {
        let lockfile = packages(&json!({ "node_modules/p": first, "node_modules/q": second }));
        let arguments = ["--fetcher-version", "2", "--json", "--no-cache"];
        let overrides = overrides(&registry);
        let overrides: Vec<_> = overrides.iter().map(String::as_str).collect();
        let ran = hash(&Scratch::new(), &lockfile, &[&arguments[..], &overrides].concat());
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["packages"], 2, "{}", ran.stderr);
    }
    assert_eq!((registry.count("/a"), registry.count("/ghost")), (2, 0));
}

fn assumed_warning() -> String {
    "1 package taken as absent from the public registry without asking; the hash equals nixpkgs' only if that is so: \
     @corp/a"
        .to_owned()
}

#[test]
fn outputs_are_whole_and_agree_with_the_hash() {
    let registry = serve_all();
    let row = rows_of("git-plain-v3").remove(0);
    let place = Scratch::new();
    let lockfile: Value = serde_json::from_slice(&fs::read(row.lockfile()).unwrap()).unwrap();
    place.write("package-lock.json", fs::read(row.lockfile()).unwrap());
    let arguments = ["deep/out", "--nar", "tree.nar", "--store-path", "web-1.0.0-npm-deps"];
    let mut command = place.npm_nixhash(["hash", "."]);
    let ran = run(command.args(arguments).args(overrides(&registry)));
    let hash = row.hash.unwrap();
    let path = ran.stdout.strip_prefix(&format!("{hash}\n")).unwrap();
    assert!(path.starts_with("/nix/store/") && path.ends_with("-web-1.0.0-npm-deps\n"), "{path}");
    assert_eq!(place.names("deep/out"), ["_cacache", "package-lock.json"]);
    assert_eq!(place.names("deep"), ["out"], "nothing else is left");
    let copy: Value =
        serde_json::from_slice(&fs::read(place.path("deep/out/package-lock.json")).unwrap()).unwrap();
    assert_eq!(copy, lockfile);
    assert!(fs::read(place.path("tree.nar")).unwrap().starts_with(b"\x0d\0\0\0\0\0\0\0nix-archive-1"));

    // What stands there is not overwritten, and that is said before anything is fetched.
    let before = registry.requests().len();
    let ran = run(place.npm_nixhash(["hash", ".", "deep/out", "--no-cache"]).args(overrides(&registry)));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("deep/out exists and is not an empty folder\n  hint: "), "{}", ran.stderr);
    assert_eq!(registry.requests().len(), before);
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let registry = serve_all();
    let row = rows_of("git-plain-v3").remove(0);
    let place = Scratch::new();
    place.write("package-lock.json", fs::read(row.lockfile()).unwrap());
    registry.fault("/is-number/-/is-number-7.0.0.tgz", 9, Fault::Status(403));
    fs::create_dir(place.path("empty")).unwrap();
    let before = place.names(".");
    for out in ["out", "empty"] {
        let mut command = place.npm_nixhash(["hash", ".", out, "--nar", "tree.nar", "--no-cache"]);
        let ran = run(command.args(overrides(&registry)));
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{}", ran.stderr);
        assert_eq!(place.names("."), before);
        assert!(place.names("empty").is_empty());
    }
    let ran =
        run(place.npm_nixhash(["hash", ".", "out", "--nar", "no/such/folder"]).args(overrides(&registry)));
    assert!(ran.stderr.contains("cannot write ") && ran.stderr.contains("no/such/folder"), "{}", ran.stderr);
    assert_eq!(place.names("."), before);
}
