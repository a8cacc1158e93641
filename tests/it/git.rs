//! Git dependencies: what is fetched, what is refused, and whose word counts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::program::{Ran, Scratch, overrides, run, succeed};
use crate::support::registry::{Registry, tgz};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server of archives and tarballs, and a folder to run in.
struct Scene {
    registry: Registry,
    place: Scratch,
}

impl Scene {
    fn new() -> Self {
        Self { registry: Registry::start(), place: Scratch::new() }
    }

    /// Serves `github.com/acme/<name>` with these files; gives the URL of its archive.
    fn repository(&self, name: &str, files: &[(&str, &Value)]) -> String {
        let texts: Vec<_> = files.iter().map(|(file, value)| (*file, value.to_string())).collect();
        let files: Vec<_> = texts.iter().map(|(file, text)| (*file, text.as_bytes())).collect();
        self.registry.serve(&format!("/acme/{name}/tar.gz/{COMMIT}"), tgz(&files));
        format!("https://codeload.github.com/acme/{name}/tar.gz/{COMMIT}")
    }

    /// The same with a manifest and a lockfile.
    fn locked(&self, name: &str, lockfile: &Value) -> String {
        let manifest = json!({ "name": name, "version": "1.0.0", "scripts": { "prepare": "make" } });
        self.repository(name, &[("package.json", &manifest), ("package-lock.json", lockfile)])
    }

    fn hash(&self, lockfile: &Value, arguments: &[&str]) -> Ran {
        self.place.write("package-lock.json", lockfile.to_string());
        let mut command = self.place.npm_nixhash(["hash", "package-lock.json"]);
        let mut ran = run(command.args(arguments).args(overrides(&self.registry)));
        ran.stderr =
            ran.stderr.replace(&format!("{}/", self.place.path("").display()).replace("//", "/"), "");
        ran
    }

    /// From URL to integrity: what the tree of a lockfile holds.
    fn map(&self, lockfile: &Value, arguments: &[&str]) -> BTreeMap<String, String> {
        let ran = self.hash(lockfile, &[&["out"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        succeed(self.place.prefetch_npm_deps(["--map-cache", "out"]).env("CACHE_MAP_PATH", "map.json"));
        std::fs::remove_dir_all(self.place.path("out")).unwrap();
        serde_json::from_slice(&std::fs::read(self.place.path("map.json")).unwrap()).unwrap()
    }
}

fn git(name: &str) -> Value {
    json!({ "version": "1.0.0", "resolved": format!("git+ssh://git@github.com/acme/{name}.git#{COMMIT}") })
}

fn lockfile(entries: &[(&str, Value)]) -> Value {
    let packages = entries.iter().map(|(name, entry)| (format!("node_modules/{name}"), entry.clone()));
    json!({ "lockfileVersion": 3, "packages": Value::Object(packages.collect()) })
}

fn tarball(url: &str, integrity: &str) -> Value {
    json!({ "version": "1.0.0", "resolved": url, "integrity": integrity })
}

fn sha1_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    use sha1::Digest as _;
    format!("sha1-{}", base64::engine::general_purpose::STANDARD.encode(sha1::Sha1::digest(bytes)))
}

#[test]
fn lockfiles_in_archives_are_followed_to_any_depth() {
    let scene = Scene::new();
    let (a, b) = (scene.registry.publish("a", "1.0.0", &[]), scene.registry.publish("b", "1.0.0", &[]));
    let deep = scene.locked("deep", &lockfile(&[("b", tarball(&b.url, &b.integrity))]));
    let v1 = json!({ "lockfileVersion": 1, "dependencies": {
        "a": { "version": "1.0.0", "resolved": a.url, "integrity": a.integrity },
        "deep": { "version": format!("github:acme/deep#{COMMIT}") },
    }});
    let middle = scene.locked("middle", &v1);
    let top = lockfile(&[("middle", git("middle"))]);
    let map = scene.map(&top, &[]);
    assert_eq!(map.keys().collect::<Vec<_>>(), [&deep, &middle, &a.url, &b.url]);
    assert_eq!(map[&a.url], a.integrity);
    // A lockfile without anything in it is fine inside an archive.
    let empty = scene.locked("empty", &json!({ "lockfileVersion": 3, "packages": {} }));
    let map = scene.map(&lockfile(&[("empty", git("empty")), ("deep", git("deep"))]), &[]);
    assert_eq!(map.keys().collect::<Vec<_>>(), [&deep, &empty, &b.url]);
    assert_eq!(scene.registry.count(&format!("/acme/deep/tar.gz/{COMMIT}")), 2, "once a run");
}

#[test]
fn dependencies_that_go_round_come_to_an_end() {
    let scene = Scene::new();
    scene.locked("one", &lockfile(&[("two", git("two"))]));
    scene.locked("two", &lockfile(&[("one", git("one")), ("two", git("two"))]));
    let ran = scene.hash(&lockfile(&[("one", git("one"))]), &["--json"]);
    assert!(ran.stdout.contains("\"packages\": 2,"), "{ran:?}");
    assert_eq!(
        ran.stderr,
        "warning: package-lock.json: 2 git dependencies with itself among its dependencies: nixpkgs' fetcher never \
         comes to an end: node_modules/one > node_modules/two > node_modules/one, \
         node_modules/one > node_modules/two > node_modules/two\n"
    );
}

#[test]
fn the_first_to_name_a_url_decides_its_integrity() {
    let scene = Scene::new();
    let a = scene.registry.publish("a", "1.0.0", &[]);
    let weak = sha1_of(&a.bytes);
    let (strong_entry, weak_entry) = (tarball(&a.url, &a.integrity), tarball(&a.url, &weak));

    // The lockfile itself before those in archives.
    scene.locked("strong", &lockfile(&[("a", strong_entry.clone())]));
    let map = scene.map(&lockfile(&[("a", weak_entry.clone()), ("strong", git("strong"))]), &[]);
    assert_eq!(map[&a.url], weak);

    // Within one lockfile the strongest, whatever the order.
    let both = lockfile(&[("a", weak_entry.clone()), ("b/node_modules/a", strong_entry.clone())]);
    assert_eq!(scene.map(&both, &[])[&a.url], a.integrity);

    // What one git dependency brings, to any depth, before what the next one brings.
    scene.locked("m-inner", &lockfile(&[("a", weak_entry)]));
    scene.locked("l-outer", &lockfile(&[("m-inner", git("m-inner"))]));
    let map = scene.map(&lockfile(&[("l-outer", git("l-outer")), ("strong", git("strong"))]), &[]);
    assert_eq!(map[&a.url], weak);
    // And so also where the outer lockfile names the inner dependency as well, further down.
    scene.locked("z-inner", &lockfile(&[("a", tarball(&a.url, &weak))]));
    scene.locked("l-outer", &lockfile(&[("z-inner", git("z-inner"))]));
    let names = ["z-inner", "l-outer", "strong"].map(|name| (name, git(name)));
    assert_eq!(scene.map(&lockfile(&names), &[])[&a.url], weak);

    // They go by their URLs in the lockfile, not by those of their archives: `git+https:` before `git+ssh:`.
    scene.locked("z-first", &lockfile(&[("a", tarball(&a.url, &weak))]));
    let mut by_https = git("z-first");
    by_https["resolved"] = format!("git+https://github.com/acme/z-first.git#{COMMIT}").into();
    let map = scene.map(&lockfile(&[("strong", git("strong")), ("z-first", by_https)]), &[]);
    assert_eq!(map[&a.url], weak);
}

#[test]
fn files_in_the_lockfiles_of_git_dependencies_are_passed_over() {
    let scene = Scene::new();
    let file = json!({ "version": "file:lib.tgz", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" });
    let old = scene.locked("old", &json!({ "lockfileVersion": 1, "dependencies": { "lib": file } }));
    let new =
        scene.locked("new", &lockfile(&[("lib", json!({ "version": "1.0.0", "resolved": "file:lib" }))]));
    let map = scene.map(&lockfile(&[("old", git("old")), ("new", git("new"))]), &[]);
    assert_eq!(map.keys().collect::<Vec<_>>(), [&new, &old]);
}

#[test]
fn packages_that_nixpkgs_would_not_take_are_refused_with_their_place() {
    let scene = Scene::new();
    let manifest = json!({ "name": "x", "scripts": { "test": "t", "prepack": "p", "install": "i" } });
    scene.repository("scripts", &[("package.json", &manifest)]);
    scene.repository("bare", &[("README", &json!(1))]);
    scene.repository("list", &[("package.json", &json!([]))]);
    scene.locked("broken", &json!({ "lockfileVersion": 7 }));
    let inner = lockfile(&[("scripts", git("scripts")), ("x", json!({ "resolved": "https://host/x.tgz" }))]);
    scene.locked("outer", &inner);
    let refused = |name: &str| {
        let ran = scene.hash(&lockfile(&[(name, git(name))]), &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        ran.stderr
    };
    assert_eq!(
        refused("scripts"),
        "error: package-lock.json: node_modules/scripts: git dependency with install scripts (install, prepack) but \
         without a package-lock.json\n  hint: set forceGitDeps = true if the package works without running them\n"
    );
    let manifest = |name: &str, reason: &str| {
        format!("error: package-lock.json: node_modules/{name}: git dependency whose package.json {reason}\n")
    };
    assert_eq!(refused("bare"), manifest("bare", "is missing or not text"));
    assert_eq!(refused("list"), manifest("list", "is not a JSON object"));
    let broken = refused("broken");
    assert!(
        broken.contains("node_modules/broken: cannot read the package-lock.json of this git"),
        "{broken}"
    );
    assert!(broken.contains("unsupported lockfileVersion 7"), "{broken}");
    let outer = refused("outer");
    assert!(
        outer.contains("node_modules/outer > node_modules/scripts: git dependency with install"),
        "{outer}"
    );
    assert!(
        outer.contains("node_modules/outer > node_modules/x: no integrity for https://host/x.tgz"),
        "{outer}"
    );
    let forced = scene.hash(&lockfile(&[("scripts", git("scripts"))]), &["--force-git-deps"]);
    assert_eq!(forced.code, 0);
    let gone = refused("gone");
    assert!(gone.contains("gone is not available") && gone.contains("404"), "{gone}");
}

#[test]
fn bitbucket_and_sourcehut_serve_archives_too() {
    let scene = Scene::new();
    let archive = tgz(&[("package.json", b"{}")]);
    scene.registry.serve("/acme/tool/get/v1.tar.gz", archive.clone());
    scene.registry.serve("/~acme/tool/archive/v1.tar.gz", archive);
    let map = scene.map(
        &lockfile(&[
            ("a", json!({ "version": "1.0.0", "resolved": "git+ssh://git@bitbucket.org/acme/tool.git#v1" })),
            ("b", json!({ "version": "1.0.0", "resolved": "git+https://git.sr.ht/~acme/tool#v1" })),
        ]),
        &[],
    );
    let urls: Vec<_> = map.keys().map(String::as_str).collect();
    assert_eq!(
        urls,
        ["https://bitbucket.org/acme/tool/get/v1.tar.gz", "https://git.sr.ht/~acme/tool/archive/v1.tar.gz"]
    );
    let integrities: Vec<_> = map.values().collect();
    assert_eq!(integrities[0], integrities[1], "the same files make the same tarball");
}

#[test]
fn version_2_asks_for_the_packuments_of_git_dependencies_and_of_what_they_bring() {
    let scene = Scene::new();
    let a = scene.registry.publish("@acme/a", "1.0.0", &[]);
    scene.registry.publish("tool", "1.0.0", &[]);
    let tool = scene.locked("tool", &lockfile(&[("@acme/a", tarball(&a.url, &a.integrity))]));
    let map = scene.map(&lockfile(&[("tool", git("tool"))]), &["--fetcher-version", "2"]);
    let base = a.url.split("/@").next().unwrap();
    let expected = [tool.clone(), format!("{base}/@acme%2fa"), a.url.clone(), format!("{base}/tool")];
    assert_eq!(map.keys().cloned().collect::<Vec<_>>(), expected);
}
