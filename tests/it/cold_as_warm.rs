//! The same answer with and without tarballs on disk: what was downloaded before must never make a lockfile right.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::program::{Scratch, overrides, run};
use crate::support::project::Project;
use crate::support::registry::{Fault, Published, Registry, npm_cache};
use crate::support::truth::{judged, serve_all};
use crate::truth::offline;

/// A lockfile and what is asked of it.
struct Case {
    name: String,
    lockfile: PathBuf,
    arguments: Vec<String>,
    answer: Answer,
}

/// What must be said of a lockfile.
enum Answer {
    Hash(String),
    Refusal,
    /// Whatever it is: only equality matters.
    Any,
}

/// A place with caches that hold every tarball of every fixture, and one for caches that hold none.
struct Scene {
    place: Scratch,
    registry: Registry,
}

#[derive(Debug, Clone, Copy)]
enum On {
    Nothing,
    /// Everything in the store, with the hashes of earlier runs.
    Store,
    /// Everything in the store, and no hash believed.
    StoreWithoutMemo,
    NpmCache,
}

impl Scene {
    fn filled() -> Self {
        let scene = Self { place: Scratch::new(), registry: serve_all() };
        for (n, row) in offline().into_iter().filter(|row| row.hash.is_some()).enumerate() {
            let tree = format!("trees/{n}");
            let mut command = scene.place.npm_nixhash(["hash", row.lockfile().to_str().unwrap(), &tree]);
            command.env("NPM_NIXHASH_CACHE", scene.place.path("full"));
            let ran = run(command.args(row.arguments()).args(overrides(&scene.registry)));
            assert_eq!(ran.code, 0, "{row:?}\n{}", ran.stderr);
            copy(&scene.place.path(&tree).join("_cacache"), &scene.place.path("npm/_cacache"));
        }
        scene
    }

    /// What is printed, and the exit status.
    fn answer(&self, case: &Case, on: On) -> (String, i32) {
        let mut command = self.place.npm_nixhash(["hash", case.lockfile.to_str().unwrap()]);
        command.args(&case.arguments).args(overrides(&self.registry));
        let (store, npm) = match on {
            On::Nothing => (format!("empty/{}-nothing", case.name), "no-npm"),
            On::Store | On::StoreWithoutMemo => ("full".to_owned(), "no-npm"),
            On::NpmCache => (format!("empty/{}-npm", case.name), "npm"),
        };
        if matches!(on, On::StoreWithoutMemo) {
            command.arg("--no-memo");
        }
        command.env("NPM_NIXHASH_CACHE", self.place.path(&store));
        let ran = run(command.env("npm_config_cache", self.place.path(npm)));
        (ran.stdout, ran.code)
    }

    /// The answer is right where nothing is on disk, and the same everywhere else.
    fn holds(&self, case: &Case) {
        let cold = self.answer(case, On::Nothing);
        match &case.answer {
            Answer::Hash(hash) => assert_eq!(cold, (format!("{hash}\n"), 0), "{}", case.name),
            Answer::Refusal => assert_eq!(cold, (String::new(), 2), "{}", case.name),
            Answer::Any => {}
        }
        for on in [On::Store, On::StoreWithoutMemo, On::NpmCache] {
            assert_eq!(self.answer(case, on), cold, "{} on {on:?}", case.name);
        }
    }

    fn written(&self, name: &str, lockfile: &str) -> PathBuf {
        self.place.write(&format!("cases/{name}.json"), lockfile)
    }

    /// Lockfiles whose tarballs are all on disk, and that are wrong nevertheless.
    fn wrong(&self) -> Vec<Case> {
        let ms = json!({ "version": "2.1.3", "resolved": "https://registry.npmjs.org/ms/-/ms-2.1.3.tgz", "integrity":
            "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==" });
        let at = |url: &str| {
            let mut entry = ms.clone();
            entry["resolved"] = url.into();
            entry
        };
        let entries = [
            ("missing", at("https://registry.npmjs.org/ms/-/ms-2.1.99.tgz")),
            ("foreign", at("https://registry.npmjs.org/is-odd/-/is-odd-3.0.1.tgz")),
            ("other-query", at("https://registry.npmjs.org/ms/-/ms-2.1.99.tgz?a=ms-2.1.3.tgz")),
        ];
        let mut cases = Vec::new();
        for (name, entry) in entries {
            let alone = json!({ "lockfileVersion": 3, "packages": { "node_modules/x": entry } });
            let beside = json!({ "lockfileVersion": 3, "packages": { "node_modules/ms": ms, "node_modules/x": entry } });
            let v1 = json!({ "lockfileVersion": 1, "dependencies": { "ms": ms, "x": entry } });
            for (form, lockfile) in [("alone", alone), ("beside", beside), ("v1", v1)] {
                let name = format!("{name}-{form}");
                let lockfile = self.written(&name, &lockfile.to_string());
                cases.push(Case { name, lockfile, arguments: Vec::new(), answer: Answer::Refusal });
            }
        }
        cases
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            drop(fs::copy(entry.path(), target));
        }
    }
}

#[test]
fn every_fixture_and_every_refusal_has_one_answer_whatever_is_on_disk() {
    let scene = Scene::filled();
    let mut cases = scene.wrong();
    cases.extend(offline().into_iter().enumerate().map(|(n, row)| Case {
        name: format!("{}-{n}", row.case),
        lockfile: row.lockfile(),
        arguments: row.arguments(),
        answer: row.hash.map_or(Answer::Refusal, Answer::Hash),
    }));
    cases.extend(judged().into_iter().map(|row| Case {
        lockfile: scene.written(&row.case, &row.lockfile),
        name: row.case,
        arguments: row.arguments,
        answer: if row.refused { Answer::Refusal } else { Answer::Any },
    }));
    let scene = &scene;
    std::thread::scope(|scope| {
        for cases in cases.chunks(cases.len().div_ceil(4)) {
            scope.spawn(move || cases.iter().for_each(|case| scene.holds(case)));
        }
    });
}

/// A lockfile that names these URLs, all with the integrity of one package.
fn lockfile(package: &Published, urls: &[&str]) -> Value {
    let entry = |(n, url): (usize, &&str)| {
        let entry = json!({ "version": "1.0.0", "resolved": url, "integrity": package.integrity });
        (format!("node_modules/p{n}"), entry)
    };
    json!({ "lockfileVersion": 3, "packages": Value::Object(urls.iter().enumerate().map(entry).collect()) })
}

#[test]
fn two_urls_with_one_integrity_are_both_fetched() {
    let registry = Registry::start();
    let place = Scratch::new();
    let large: Vec<u8> = (0..=250).cycle().take(2 << 20).collect();
    for (n, bytes) in [vec![7; 100], large].into_iter().enumerate() {
        let one = registry.publish_bytes(&format!("one-{n}"), "1.0.0", bytes.clone());
        let two = registry.publish_bytes(&format!("two-{n}"), "1.0.0", bytes);
        place.write("package-lock.json", lockfile(&one, &[&one.url, &two.url]).to_string());
        let hash = |arguments: &[&str]| {
            let mut command = place.npm_nixhash(["hash", "package-lock.json", "--no-memo"]);
            run(command.args(arguments).args(overrides(&registry)))
        };
        let fetched = || (registry.count(&one.path), registry.count(&two.path));
        let cold = hash(&["--no-cache"]);
        assert_eq!((cold.code, fetched()), (0, (1, 1)), "{}", cold.stderr);
        // What fails at one URL is not an answer, and leaves nothing behind, whichever comes first.
        for package in [&two, &one] {
            registry.fault(&package.path, 1, Fault::Status(404));
            let failed = hash(&["out", "--no-cache"]);
            assert_eq!((failed.code, failed.stdout.as_str()), (2, ""), "{}", package.url);
            assert!(
                failed.stderr.contains(&package.url) && failed.stderr.contains("404"),
                "{}",
                failed.stderr
            );
            assert!(!place.path("out").exists());
        }
        let before = fetched();
        assert_eq!(hash(&[]).stdout, cold.stdout);
        assert_eq!(hash(&[]).stdout, cold.stdout);
        assert_eq!(fetched(), (before.0 + 1, before.1 + 1), "the store knows both");
    }
}

#[test]
fn a_url_that_lockfiles_record_with_sha1_and_with_sha512_is_fetched_once_and_checked_for_both() {
    use npm_tarballs::integrity::{Algorithm, Hasher};
    let sha1 = |bytes: &[u8]| {
        let mut hasher = Hasher::new(Algorithm::Sha1);
        hasher.update(bytes);
        hasher.finish().sri()
    };
    let large: Vec<u8> = (0..=250).cycle().take(2 << 20).collect();
    for bytes in [vec![7; 100], large] {
        let project = Project::new();
        let package = project.registry.publish_bytes("one", "1.0.0", bytes);
        let strong = lockfile(&package, &[&package.url]).to_string();
        let weak = strong.replace(&package.integrity, &sha1(&package.bytes));
        project.write("strong/package-lock.json", &strong);
        project.write("weak/package-lock.json", &weak);
        project.write(
            "default.nix",
            "{ pkgs }: { a = pkgs.buildNpmPackage { src = ./strong; npmDepsHash = \"\"; }; b = pkgs.buildNpmPackage { src = ./weak; \
             npmDepsHash = \"\"; }; }\n",
        );
        assert!(project.transcript(&["update", "--no-memo"]).contains("2 updated"));
        assert_eq!(project.registry.count(&package.path), 1);
        let written = project.read("default.nix");
        for (folder, expected) in [("strong", &strong), ("weak", &weak)] {
            let alone = project.run(&["hash", folder, "--no-cache", "--no-memo"]).stdout;
            assert!(written.contains(String::from_utf8(alone).unwrap().trim()), "{expected}");
        }
        // Another sha1 is refused although the sha512 is right, and asked for on its own.
        let other = weak.replace(&sha1(&package.bytes), &sha1(b"other"));
        project.write("weak/package-lock.json", other);
        let said = project.transcript(&["check", "--no-memo"]);
        assert!(said.starts_with("exit 2\n") && said.contains("1 in sync, 1 failed"), "{said}");
        assert!(said.contains(&sha1(b"other")) && said.contains(&sha1(&package.bytes)), "{said}");
    }
}

#[test]
fn in_one_run_too_a_tarball_answers_only_for_its_own_url() {
    let project = Project::new();
    let right = project.registry.publish("right", "1.0.0", &[]);
    let sites = ["a", "b"].map(|name| {
        format!(
            "packages.x86_64-linux.{name} = b {{ pname = \"{name}\"; src = ./{name}; npmDepsHash = \"\"; }};"
        )
    });
    let head =
        "{ outputs = { self, nixpkgs }: let b = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage; in {";
    project.write("flake.nix", format!("{head} {} }}; }}\n", sites.concat()));
    let wrong = right.url.replace("1.0.0", "9.9.9");
    project.write("a/package-lock.json", lockfile(&right, &[&right.url]).to_string());
    project.write("b/package-lock.json", lockfile(&right, &[&wrong]).to_string());
    let transcript = project.transcript(&["check"]);
    assert!(
        transcript.contains("b/package-lock.json: p0 is not available") || transcript.contains("9.9.9"),
        "{transcript}"
    );
    assert!(!transcript.contains("a/package-lock.json: "), "{transcript}");
    assert!(transcript.starts_with("exit 2"), "{transcript}");
}

#[test]
fn offline_says_that_bytes_are_there_but_not_from_the_url() {
    let registry = Registry::start();
    let package = registry.publish("left", "1.0.0", &[]);
    let place = Scratch::new();
    let hash = |urls: &[&str], arguments: &[&str]| {
        place.write("package-lock.json", lockfile(&package, urls).to_string());
        let mut command = place.npm_nixhash(["hash", "package-lock.json", "--no-memo"]);
        run(command.args(arguments).args(overrides(&registry)))
    };
    assert_eq!(hash(&[&package.url], &[]).code, 0);
    assert_eq!(hash(&[&package.url], &["--offline"]).code, 0);
    let elsewhere = package.url.replace("left", "right");
    let ran = hash(&[&elsewhere], &["--offline"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    let said =
        format!("p0 is on disk, but not known to come from {elsewhere}\n  hint: run once without --offline");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    // The same of npm's cache.
    fs::remove_dir_all(place.path("home/.cache")).unwrap();
    npm_cache(&place.path("home/.npm"), &package);
    assert!(hash(&[&elsewhere], &["--offline"]).stderr.contains(&said));
    assert_eq!(hash(&[&package.url], &["--offline"]).code, 0);
}

#[test]
fn a_store_from_before_origins_were_known_is_fetched_for_once_more() {
    let registry = Registry::start();
    let package = registry.publish("left", "1.0.0", &[]);
    let place = Scratch::new();
    place.write("package-lock.json", lockfile(&package, &[&package.url]).to_string());
    let hash = || {
        let mut command = place.npm_nixhash(["hash", "package-lock.json", "--no-memo"]);
        assert_eq!(run(command.args(overrides(&registry))).code, 0);
        registry.count(&package.path)
    };
    assert_eq!((hash(), hash()), (1, 1));
    fs::remove_file(place.path("home/.cache/npm-nixhash/origins-v1")).unwrap();
    assert_eq!((hash(), hash()), (2, 2));
}

#[test]
fn npms_cache_answers_for_what_npm_asked_the_configured_registry() {
    let registry = Registry::start();
    let package = registry.publish("left", "1.0.0", &[]);
    let place = Scratch::new();
    place.write("package-lock.json", lockfile(&package, &[&package.url]).to_string());
    place.write("home/.npmrc", "registry=https://corp.example/npm/\n");
    let asked = Published { url: format!("https://corp.example/npm{}", package.path), ..package.clone() };
    let hash = || run(&mut place.npm_nixhash(["hash", "package-lock.json", "--offline", "--no-memo"])).code;
    assert_eq!(hash(), 2);
    npm_cache(&place.path("home/.npm"), &asked);
    assert_eq!(hash(), 0);
}
