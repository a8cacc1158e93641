//! Lockfiles of the real npm, robbed of their fields, and completed again: byte for byte what npm itself writes.
//!
//! Ten sets of popular dependencies, of which the usual run takes the first three, one of each lockfile version;
//! `REPAIR_SETS=10` takes all. npm resolves each once, with the fields; what it writes under
//! `omit-lockfile-registry-resolved` is asked for of one set of each lockfile version, because resolving is what takes time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::program::{Scratch, run, succeed};

/// A project: name, lockfile version, `dependencies`.
type Set = (&'static str, u8, &'static [(&'static str, &'static str)]);

const SETS: [Set; 10] = [
    (
        "express",
        3,
        &[
            ("express", "4.21.2"),
            ("debug", "4.4.0"),
            ("ids", "npm:nanoid@3.3.8"),
            ("body-parser", "1.20.3"),
            ("morgan", "1.10.0"),
            ("winston", "3.17.0"),
            ("helmet", "8.0.0"),
        ],
    ),
    ("jest", 2, &[("jest", "29.7.0")]),
    ("webpack", 1, &[("webpack", "5.97.1"), ("webpack-cli", "6.0.1"), ("webpack-dev-server", "5.2.0")]),
    ("eslint", 3, &[("eslint", "8.57.1"), ("eslint-plugin-import", "2.31.0"), ("typescript", "5.7.2")]),
    ("vite", 3, &[("vite", "6.0.7"), ("vitest", "2.1.8"), ("esbuild", "0.24.2")]),
    ("mocha", 2, &[("mocha", "10.8.2"), ("nyc", "17.1.0"), ("sinon", "19.0.2")]),
    (
        "react",
        3,
        &[
            ("react", "18.3.1"),
            ("react-dom", "18.3.1"),
            ("react-router-dom", "6.28.1"),
            ("@testing-library/react", "16.1.0"),
            ("@testing-library/dom", "10.4.0"),
            ("@mui/material", "6.3.1"),
            ("@emotion/react", "11.14.0"),
            ("@emotion/styled", "11.14.0"),
        ],
    ),
    ("babel", 1, &[("@babel/core", "7.26.0"), ("@babel/preset-env", "7.26.0"), ("@babel/cli", "7.26.4")]),
    ("fastify", 3, &[("fastify", "5.2.0"), ("pino-pretty", "13.0.0"), ("tap", "18.8.0")]),
    (
        "next",
        2,
        &[
            ("next", "15.1.3"),
            ("react", "19.0.0"),
            ("react-dom", "19.0.0"),
            ("eslint", "8.57.1"),
            ("eslint-config-next", "15.1.3"),
        ],
    ),
];

/// All projects, one home and one npm cache.
struct Bench {
    place: Scratch,
}

impl Bench {
    fn npm(&self, folder: &Path, arguments: &[&str]) {
        let mut npm = Command::new("npm");
        npm.args(arguments).args([
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--prefer-offline",
            "--cache",
        ]);
        npm.arg(self.place.path("npm-cache")).current_dir(folder).env("HOME", self.place.path("home"));
        succeed(&mut npm);
    }

    /// What npm writes, with the fields or without `resolved`.
    fn locked(
        &self,
        name: &str,
        version: u8,
        dependencies: &[(&str, &str)],
        omit: bool,
    ) -> (PathBuf, String) {
        let folder = self.place.path(&format!("{name}-{omit}"));
        let dependencies: serde_json::Map<String, Value> =
            dependencies.iter().map(|(name, spec)| ((*name).to_owned(), json!(spec))).collect();
        let manifest = json!({ "name": name, "version": "1.0.0", "dependencies": dependencies });
        self.place.write(&format!("{name}-{omit}/package.json"), manifest.to_string());
        let version = version.to_string();
        let omit = format!("--omit-lockfile-registry-resolved={omit}");
        self.npm(&folder, &["install", "--package-lock-only", "--lockfile-version", &version, &omit]);
        let text = fs::read_to_string(folder.join("package-lock.json")).unwrap();
        (folder, text)
    }

    /// The program, with the machine's way to the registry and one cache for all.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = self.place.npm_nixhash(arguments);
        program.env("NPM_NIXHASH_CACHE", self.place.path("cache"));
        program
    }

    fn repaired(&self, folder: &Path, text: &str) -> String {
        let path = folder.join("package-lock.json");
        fs::write(&path, text).unwrap();
        succeed(&mut self.program(&["repair", path.to_str().unwrap()]));
        fs::read_to_string(path).unwrap()
    }

    fn hash(&self, folder: &Path) -> String {
        succeed(&mut self.program(&["hash", folder.to_str().unwrap()]))
    }
}

/// The text without half of the fields: of every other entry both, one after the other, then one of them.
fn halved(text: &str) -> String {
    let mut count = 0;
    let lines = text.lines().filter(|line| {
        let line = line.trim_start();
        let field = line.starts_with("\"resolved\": \"https:") || line.starts_with("\"integrity\": ");
        count += usize::from(field);
        !field || count % 4 < 2
    });
    let text = lines.fold(String::new(), |text, line| text + line + "\n");
    // What was last in its object had no comma behind it.
    let text = text.replace(",\n    }", "\n    }").replace(",\n        }", "\n        }");
    regex_lite::Regex::new(r",(\n\s*\})").unwrap().replace_all(&text, "$1").into_owned()
}

#[test]
fn repair_gives_back_what_npm_itself_writes() {
    let bench = Bench { place: Scratch::new() };
    let mut omitted = Vec::new();
    let sets = usize::try_from(crate::variable("REPAIR_SETS", 3)).unwrap();
    for &(name, version, dependencies) in &SETS[..sets] {
        let (folder, whole) = bench.locked(name, version, dependencies, false);
        let document: Value = serde_json::from_str(&whole).unwrap();
        let entries =
            document["packages"].as_object().or(document["dependencies"].as_object()).unwrap().len();
        assert!(entries > 80, "{name} has {entries} entries");
        let half = halved(&whole);
        assert!(half.len() < whole.len() * 9 / 10 && serde_json::from_str::<Value>(&half).is_ok(), "{name}");
        assert_eq!(run(&mut bench.program(&["hash", folder.to_str().unwrap(), "--offline"])).code, 2);
        assert!(bench.repaired(&folder, &half) == whole, "{name} differs from what npm writes");
        println!(
            "{name}: version {version}, {entries} entries, {} of {} bytes were left",
            half.len(),
            whole.len()
        );
        if !omitted.contains(&version) {
            omitted.push(version);
            let (bare_folder, bare) = bench.locked(name, version, dependencies, true);
            assert!(bare.len() < whole.len());
            assert!(bench.repaired(&bare_folder, &bare) == whole, "{name} without `resolved` differs");
        }
    }
    assert_eq!(omitted.len(), 3);
}

/// One of them all the way: `update --repair` of a repository, and npm installs offline from our tree.
#[test]
fn a_repaired_lockfile_has_the_hash_of_the_complete_one_and_installs() {
    let bench = Bench { place: Scratch::new() };
    let (name, version, dependencies) = SETS[0];
    let (folder, whole) = bench.locked(name, version, dependencies, false);
    let expected = bench.hash(&folder);
    fs::write(folder.join("package-lock.json"), halved(&whole)).unwrap();
    let site = r#"{ pkgs }: { web = pkgs.buildNpmPackage { src = ./.; npmDepsHash = ""; }; }"#;
    fs::write(folder.join("default.nix"), site).unwrap();
    succeed(&mut bench.program(&["update", "--repair", folder.to_str().unwrap()]));
    assert!(fs::read_to_string(folder.join("default.nix")).unwrap().contains(&expected));
    assert!(fs::read_to_string(folder.join("package-lock.json")).unwrap() == whole);
    let deps = bench.place.path("deps");
    let lockfile = folder.join("package-lock.json");
    let mut fetch = bench.place.prefetch_npm_deps([&lockfile, &deps]);
    succeed(fetch.env("NPM_NIXHASH_CACHE", bench.place.path("cache")));
    let mut npm = Command::new("npm");
    npm.args(["ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--cache"]).arg(&deps);
    // Nobody listens there: what is not in the cache cannot be had.
    npm.env("https_proxy", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
    succeed(npm.current_dir(&folder).env("HOME", bench.place.path("home")));
    assert!(folder.join("node_modules/express/package.json").is_file());
}
