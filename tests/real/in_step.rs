//! Whether npm accepts a lockfile for a manifest, by the real `npm ci`, and whether we say the same.

use std::{fs, process::Command};

use npm_nixhash::lockfile::in_step::{Manifest, disagreements, workspaces};
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
        let lockfile = json!({ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": all });
        place.write(&format!("{folder}/package.json"), manifest.to_string());
        place.write(&format!("{folder}/local/package.json"), r#"{ "name": "local", "version": "1.0.0" }"#);
        place.write(&format!("{folder}/package-lock.json"), lockfile.to_string());
        let lockfile = fs::read(place.path(&format!("{folder}/package-lock.json"))).unwrap();
        let manifests = [Manifest { folder: String::new(), bytes: manifest.to_string().into() }];
        let ours = disagreements(&lockfile, &manifests);
        let accepted = npm_accepts(&place, &folder);
        assert_eq!(ours.is_empty(), accepted, "{about}: {ours:?}");
        refused += usize::from(!accepted);
        assert_eq!(workspaces(&lockfile), ["local"]);
    }
    assert!((6..situations().len() - 6).contains(&refused), "{refused} were refused");
    println!("{} situations, of which npm refuses {refused}", situations().len());
}
