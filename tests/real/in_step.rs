//! Whether npm accepts a lockfile for a manifest, by the real `npm ci`, and whether we say the same.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::program::{Scratch, run};

const SRI: &str =
    "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==";

fn entry(name: &str, version: &str) -> Value {
    json!({ "version": version, "resolved": format!("https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"), "integrity": SRI })
}

/// What the lockfile of each situation holds, besides its root.
fn packages() -> Value {
    json!({
        "node_modules/ms": entry("ms", "2.1.3"),
        "node_modules/alias": { "name": "ms", "version": "2.1.2", "resolved": "https://registry.npmjs.org/ms/-/ms-2.1.2.tgz", "integrity": SRI },
        "node_modules/local": { "resolved": "local", "link": true },
        "local": { "version": "1.0.0" },
    })
}

/// A situation: what the manifest says beside what the lockfile was made for, and whether `npm ci` accepts it.
fn situations() -> Vec<(&'static str, Value)> {
    vec![
        ("the same", json!({ "dependencies": { "ms": "2.1.3" } })),
        ("another range that fits", json!({ "dependencies": { "ms": "^2.0.0" } })),
        ("a range that does not fit", json!({ "dependencies": { "ms": "^1.0.0" } })),
        ("an exact version", json!({ "dependencies": { "ms": "2.0.0" } })),
        ("a disjunction", json!({ "dependencies": { "ms": "1 || 2" } })),
        ("anything", json!({ "dependencies": { "ms": "*" } })),
        ("nothing", json!({ "dependencies": { "ms": "" } })),
        ("a tag", json!({ "dependencies": { "ms": "latest" } })),
        ("one that is missing", json!({ "dependencies": { "ms": "2.1.3", "left-pad": "1.3.0" } })),
        ("one that is missing for developers", json!({ "devDependencies": { "left-pad": "1.3.0" } })),
        ("one that is missing and optional", json!({ "optionalDependencies": { "left-pad": "1.3.0" } })),
        ("one that is missing and a peer", json!({ "peerDependencies": { "left-pad": "1.3.0" } })),
        (
            "one that is missing, a peer and optional",
            json!({ "peerDependencies": { "left-pad": "1.3.0" }, "peerDependenciesMeta": { "left-pad": { "optional": true } } }),
        ),
        ("an alias that fits", json!({ "dependencies": { "alias": "npm:ms@^2.1.0" } })),
        ("an alias that does not fit", json!({ "dependencies": { "alias": "npm:ms@2.1.1" } })),
        ("a folder", json!({ "dependencies": { "local": "file:local" } })),
        ("a folder in another writing", json!({ "dependencies": { "local": "./local/" } })),
        ("one that is no longer wanted", json!({})),
        (
            "twice, the second one wrong",
            json!({ "dependencies": { "ms": "2.1.3" }, "devDependencies": { "ms": "2.0.0" } }),
        ),
    ]
}

/// Whether the real client accepts it. What it refuses for is told by its words, not by its exit alone.
fn npm_accepts(place: &Scratch, folder: &str) -> bool {
    let mut npm = Command::new("npm");
    npm.args(["ci", "--dry-run", "--ignore-scripts", "--no-audit", "--no-fund", "--cache"])
        .arg(place.path("cache"));
    let ran = run(npm.current_dir(place.path(folder)).env("HOME", place.path("home")));
    let refused = ran.stderr.contains("in sync");
    assert_eq!(ran.code != 0, refused, "{folder}: {}", ran.stderr);
    !refused
}

/// What the program finds out of step.
fn found(place: &Scratch, folder: &str) -> Vec<String> {
    place.write(
        &format!("{folder}/default.nix"),
        "{ pkgs }: { web = pkgs.buildNpmPackage { src = ./.; npmDepsHash = \"\"; }; }",
    );
    let ran = run(&mut place.npm_nixhash(["check", "--json", "--offline", folder]));
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{folder}: {}", ran.stderr));
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["message"].as_str().unwrap().to_owned()).collect()
}

/// A lockfile with its root, and manifests by their folders.
fn project(place: &Scratch, folder: &str, packages: &Value, manifests: &[(&str, Value)]) {
    let lockfile = json!({ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": packages });
    place.write(&format!("{folder}/package-lock.json"), lockfile.to_string());
    for (below, manifest) in manifests {
        place.write(&format!("{folder}/{below}/package.json"), manifest.to_string());
    }
}

#[test]
fn npm_refuses_what_we_say_it_refuses() {
    let place = Scratch::new();
    let mut refused = 0;
    for (number, (about, extra)) in situations().into_iter().enumerate() {
        let folder = number.to_string();
        let mut manifest = json!({ "name": "web", "version": "1.0.0" });
        manifest.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let mut all = packages().as_object().unwrap().clone();
        let root = json!({ "name": "web", "version": "1.0.0", "dependencies": { "ms": "2.1.3", "alias": "npm:ms@2.1.2", "local": "file:local" } });
        all.insert(String::new(), root);
        let local = json!({ "name": "local", "version": "1.0.0" });
        project(&place, &folder, &Value::Object(all), &[("", manifest), ("local", local)]);
        let (ours, accepted) = (found(&place, &folder), npm_accepts(&place, &folder));
        assert_eq!(ours.is_empty(), accepted, "{about}: {ours:?}");
        refused += usize::from(!accepted);
    }
    assert!((6..situations().len() - 6).contains(&refused), "{refused} were refused");
    println!("{} situations, of which npm refuses {refused}", situations().len());
}

/// What the project says of its workspaces besides, and what the manifests in `a`, `b/c` and `.h/i` say; of these the lockfile
/// has `a` as a workspace, with `ms` 2.1.3.
fn workspaces() -> Vec<(&'static str, Value, Value, Value)> {
    let (a, c) = (json!({ "name": "a", "version": "1.0.0" }), json!({ "name": "c", "version": "2.0.0" }));
    let with = |manifest: &Value, more: Value| {
        let mut manifest = manifest.clone();
        manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        manifest
    };
    let globs = |globs: Value| json!({ "workspaces": globs });
    let overridden = json!({ "workspaces": ["a"], "overrides": { "ms": "2.1.2" } });
    vec![
        ("the same", globs(json!(["a"])), a.clone(), c.clone()),
        ("one that the lockfile lacks", globs(json!(["a", "b/c"])), a.clone(), c.clone()),
        ("one by a glob", globs(json!(["a", "b/*"])), a.clone(), c.clone()),
        ("one at any depth", globs(json!(["**"])), a.clone(), c.clone()),
        ("yarn's way to write it", globs(json!({ "packages": ["a", "./b/*/"] })), a.clone(), c.clone()),
        ("one without a name", globs(json!(["a", "b/c"])), a.clone(), json!({ "version": "1.0.0" })),
        ("taken out", globs(json!(["a", "b/*", "!b/c"])), a.clone(), c.clone()),
        ("taken out before", globs(json!(["!b/c", "a", "b/*"])), a.clone(), c.clone()),
        ("hidden", globs(json!(["a", "*/i"])), a.clone(), c.clone()),
        ("hidden and named", globs(json!(["a", ".h/*"])), a.clone(), c.clone()),
        ("a folder that is not there", globs(json!(["a", "gone"])), a.clone(), c.clone()),
        (
            "a workspace no longer",
            json!({}),
            with(&a, json!({ "dependencies": { "left-pad": "1" } })),
            c.clone(),
        ),
        (
            "it wants more",
            globs(json!(["a"])),
            with(&a, json!({ "dependencies": { "left-pad": "1" } })),
            c.clone(),
        ),
        (
            "it wants what is there",
            globs(json!(["a"])),
            with(&a, json!({ "dependencies": { "ms": "^2" } })),
            c.clone(),
        ),
        ("its version moved", globs(json!(["a"])), json!({ "name": "a", "version": "1.5.0" }), c.clone()),
        ("its name moved", globs(json!(["a"])), json!({ "name": "aa", "version": "1.0.0" }), c.clone()),
        (
            "an override of its own",
            globs(json!(["a"])),
            with(&a, json!({ "overrides": { "ms": "1.0.0" } })),
            c.clone(),
        ),
        (
            "an override of what it wants itself",
            globs(json!(["a"])),
            with(&a, json!({ "dependencies": { "ms": "2.1.3" }, "overrides": { "ms": "2.0.0" } })),
            c.clone(),
        ),
        (
            "the project's override",
            overridden.clone(),
            with(&a, json!({ "dependencies": { "ms": "2.1.3" } })),
            c.clone(),
        ),
        ("the project's override of nothing", overridden, a, c),
    ]
}

#[test]
fn workspaces_that_the_lockfile_lacks_and_overrides_are_judged_as_npm_does() {
    let place = Scratch::new();
    let mut refused = 0;
    for (number, (about, root, a, c)) in workspaces().into_iter().enumerate() {
        let folder = number.to_string();
        let mut manifest = json!({ "name": "web", "version": "1.0.0" });
        manifest.as_object_mut().unwrap().extend(root.as_object().unwrap().clone());
        let mut locked = a.clone();
        if number != 11 && number != 12 {
            locked["version"] = json!("1.0.0");
        } else {
            locked.as_object_mut().unwrap().remove("dependencies");
        }
        locked["name"] = json!("a");
        let mut packages = json!({
            "": { "name": "web", "version": "1.0.0", "workspaces": ["a"] },
            "a": locked,
            "node_modules/a": { "resolved": "a", "link": true },
        });
        if a["dependencies"].get("ms").is_some() {
            packages["node_modules/ms"] = entry("ms", "2.1.3");
        }
        let hidden = json!({ "name": "i", "version": "1.0.0" });
        project(&place, &folder, &packages, &[("", manifest), ("a", a), ("b/c", c), (".h/i", hidden)]);
        let (ours, accepted) = (found(&place, &folder), npm_accepts(&place, &folder));
        assert_eq!(ours.is_empty(), accepted, "{about}: {ours:?}");
        refused += usize::from(!accepted);
    }
    assert!((8..16).contains(&refused), "{refused} were refused");
    println!("{} situations, of which npm refuses {refused}", workspaces().len());
}

/// Overrides of the project, which `debug` 4.3.4 is locked for with `ms` 2.1.2.
#[test]
fn an_override_that_the_lockfile_does_not_follow_is_refused() {
    let place = Scratch::new();
    let mut debug = entry("debug", "4.3.4");
    debug["dependencies"] = json!({ "ms": "2.1.2" });
    let packages = json!({
        "": { "name": "web", "version": "1.0.0", "dependencies": { "debug": "4.3.4" } },
        "node_modules/debug": debug,
        "node_modules/ms": entry("ms", "2.1.2"),
    });
    for (folder, overrides, accepted) in [
        ("same", json!({ "ms": "2.1.2" }), true),
        ("range", json!({ "ms": "^2.0.0" }), true),
        ("other", json!({ "ms": "2.1.3" }), false),
        ("elsewhere", json!({ "express": { "ms": "2.1.3" } }), true),
        ("versioned", json!({ "ms@1": "2.1.3" }), true),
        ("own", json!({ "debug": "$debug" }), true),
    ] {
        let manifest = json!({ "name": "web", "version": "1.0.0", "dependencies": { "debug": "4.3.4" }, "overrides": overrides });
        project(&place, folder, &packages, &[("", manifest)]);
        assert_eq!(npm_accepts(&place, folder), accepted, "{folder}");
        assert_eq!(found(&place, folder).is_empty(), accepted, "{folder}");
    }
}
