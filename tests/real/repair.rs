//! Lockfiles of the real npm, robbed of their fields, and completed again: byte for byte what npm itself writes; then the hash of
//! the complete one, and an offline install.
//!
//! Ten sets of popular dependencies, of which the usual run takes the first three, one of each lockfile version;
//! `REPAIR_SETS=10` takes all. Each is robbed in both ways: npm resolves it under `omit-lockfile-registry-resolved`, and half
//! of the fields are cut out of what it writes with them. The hash is held against one that is made here, of npm's own
//! lockfile, the tarballs that have its integrities, and Nix's archive of both.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::program::{Scratch, run, succeed, with_store_in};

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

    /// A lockfile completed in place, from a text that lacks fields.
    fn repaired(&self, folder: &Path, text: &str) -> String {
        let path = folder.join("package-lock.json");
        fs::write(&path, text).unwrap();
        succeed(&mut self.program(&["repair", path.to_str().unwrap()]));
        fs::read_to_string(path).unwrap()
    }

    /// The tree that a build would get for a lockfile, as this program writes it.
    fn tree(&self, folder: &Path) -> PathBuf {
        let tree = folder.join("deps");
        let lockfile = folder.join("package-lock.json");
        let mut fetch = self.place.prefetch_npm_deps([&lockfile, &tree]);
        succeed(fetch.env("NPM_NIXHASH_CACHE", self.place.path("cache")));
        tree
    }

    /// The hash that `update` writes for the lockfile of a folder.
    fn updated(&self, folder: &Path, options: &[&str]) -> String {
        let site = r#"{ pkgs }: { web = pkgs.buildNpmPackage { src = ./.; npmDepsHash = ""; }; }"#;
        fs::write(folder.join("default.nix"), site).unwrap();
        succeed(&mut self.program(&[&["update", folder.to_str().unwrap()], options].concat()));
        let text = fs::read_to_string(folder.join("default.nix")).unwrap();
        let hash = text.split('"').find(|part| part.starts_with("sha256-"));
        hash.unwrap_or_else(|| panic!("no hash in {text}")).to_owned()
    }

    /// npm installs from a tree without a network, and everything that this platform wants is there in its version.
    fn install(&self, folder: &Path, tree: &Path, document: &Value) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--cache"]).arg(tree);
        // Nobody listens there: what is not in the cache is not available.
        npm.env("https_proxy", "http://127.0.0.1:9").env("http_proxy", "http://127.0.0.1:9");
        succeed(npm.current_dir(folder).env("HOME", self.place.path("home")));
        let mut seen = 0;
        for (place, version) in wanted(document) {
            let manifest = fs::read(folder.join(&place).join("package.json"));
            let manifest: Value =
                serde_json::from_slice(&manifest.unwrap_or_else(|_| panic!("no {place}"))).unwrap();
            assert_eq!(manifest["version"], version, "{place}");
            seen += 1;
        }
        assert!(seen > 20, "{seen} packages");
        fs::remove_dir_all(folder.join("node_modules")).unwrap();
    }

    /// The hash of npm's own lockfile, without a line of this program: its tree as nixpkgs' fetcher lays it out, from the
    /// tarballs in another tree that have the lockfile's integrities, and Nix's archive of it.
    fn reference(&self, lockfile: &str, tarballs: &Path) -> String {
        let tree = self.place.path("reference");
        let _ = fs::remove_dir_all(&tree);
        let content = tree.join("_cacache/content-v2");
        fs::create_dir_all(&content).unwrap();
        for (url, integrity) in downloads(&serde_json::from_str(lockfile).unwrap()) {
            let digest =
                HEXLOWER.encode(&STANDARD.decode(integrity.strip_prefix("sha512-").unwrap()).unwrap());
            let place = format!("sha512/{}/{}/{}", &digest[..2], &digest[2..4], &digest[4..]);
            let bytes = fs::read(tarballs.join("_cacache/content-v2").join(&place)).unwrap();
            assert_eq!(HEXLOWER.encode(&sha2::Sha512::digest(&bytes)), digest, "{url}");
            write(&content.join(place), &bytes);
            let key = format!("make-fetch-happen:request-cache:{url}");
            let line = format!(
                r#"{{"key":"{key}","integrity":"{integrity}","time":0,"size":{},"metadata":{{"url":"{url}","options":{{"compress":true}}}}}}"#,
                bytes.len()
            );
            let name = HEXLOWER.encode(&sha2::Sha256::digest(key));
            let index = format!("_cacache/index-v5/{}/{}/{}", &name[..2], &name[2..4], &name[4..]);
            let line = format!("{}\t{line}", HEXLOWER.encode(&sha1::Sha1::digest(&line)));
            write(&tree.join(index), line.as_bytes());
        }
        write(&tree.join("package-lock.json"), lockfile.as_bytes());
        let mut dump = Command::new("nix-store");
        with_store_in(dump.arg("--dump").arg(&tree), &self.place.path("nix"));
        let dump = dump.output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        format!("sha256-{}", STANDARD.encode(sha2::Sha256::digest(&dump.stdout)))
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// URLs and integrities of everything that a lockfile of registry packages has.
fn downloads(document: &Value) -> BTreeMap<String, String> {
    fn add(entries: &Value, all: &mut BTreeMap<String, String>) {
        for entry in entries.as_object().into_iter().flat_map(|entries| entries.values()) {
            if entry["bundled"] == json!(true) {
                continue;
            }
            if let (Some(url), Some(integrity)) = (entry["resolved"].as_str(), entry["integrity"].as_str()) {
                let other = all.insert(url.to_owned(), integrity.to_owned());
                assert!(other.is_none_or(|other| other == integrity), "{url}");
            }
            add(&entry["dependencies"], all);
        }
    }
    let mut all = BTreeMap::new();
    if document["lockfileVersion"] == json!(1) {
        add(&document["dependencies"], &mut all);
    } else {
        // What one of these depends on are names there, not entries.
        let flat = document["packages"].as_object().unwrap().iter().map(|(place, entry)| {
            let mut entry = entry.clone();
            entry.as_object_mut().unwrap().remove("dependencies");
            (place.clone(), entry)
        });
        add(&Value::Object(flat.collect()), &mut all);
    }
    all
}

/// The places that every platform installs something at, with the versions.
fn wanted(document: &Value) -> Vec<(String, String)> {
    fn add(entries: &Value, above: &str, all: &mut Vec<(String, String)>) {
        for (name, entry) in entries.as_object().into_iter().flatten() {
            let place = format!("{above}node_modules/{name}");
            let version = entry["version"].as_str().unwrap();
            let version = version.rsplit_once('@').map_or(version, |(_, version)| version);
            if entry["optional"] != json!(true) {
                all.push((place.clone(), version.to_owned()));
                add(&entry["dependencies"], &format!("{place}/"), all);
            }
        }
    }
    let mut all = Vec::new();
    if document["lockfileVersion"] == json!(1) {
        add(&document["dependencies"], "", &mut all);
        return all;
    }
    let packages = document["packages"].as_object().unwrap().iter();
    let own = packages.filter(|(place, entry)| {
        !place.is_empty() && entry["optional"] != json!(true) && entry["devOptional"] != json!(true)
    });
    own.map(|(place, entry)| (place.clone(), entry["version"].as_str().unwrap().to_owned())).collect()
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
fn repair_gives_back_what_npm_itself_writes_with_the_references_hash_and_it_installs() {
    let bench = Bench { place: Scratch::new() };
    let sets = usize::try_from(crate::variable("REPAIR_SETS", 3)).unwrap();
    for &(name, version, dependencies) in &SETS[..sets] {
        let started = Instant::now();
        let (folder, whole) = bench.locked(name, version, dependencies, false);
        let document: Value = serde_json::from_str(&whole).unwrap();
        let entries =
            document["packages"].as_object().or(document["dependencies"].as_object()).unwrap().len();
        assert!((100..2000).contains(&entries), "{name} has {entries} entries");
        let expected = bench.reference(&whole, &bench.tree(&folder));
        let half = halved(&whole);
        assert!(half.len() < whole.len() * 9 / 10 && serde_json::from_str::<Value>(&half).is_ok(), "{name}");
        let (bare_folder, bare) = bench.locked(name, version, dependencies, true);
        assert!(bare.len() < whole.len());
        println!(
            "{name}: version {version}, {entries} entries, {} and {} of {} bytes were left",
            half.len(),
            bare.len(),
            whole.len()
        );
        for (folder, robbed) in [(folder, half), (bare_folder, bare)] {
            fs::write(folder.join("package-lock.json"), &robbed).unwrap();
            assert_eq!(run(&mut bench.program(&["hash", folder.to_str().unwrap()])).code, 2, "{name}");
            assert!(bench.repaired(&folder, &robbed) == whole, "{name} differs from what npm writes");
            assert_eq!(bench.updated(&folder, &[]), expected, "{name}");
            let _ = fs::remove_dir_all(folder.join("deps"));
            bench.install(&folder, &bench.tree(&folder), &document);
        }
        println!("{name}: {expected}, {:.0} s", started.elapsed().as_secs_f64());
    }
}

/// Both in one run.
#[test]
fn update_can_repair_on_its_way() {
    let bench = Bench { place: Scratch::new() };
    let (name, version, dependencies) = SETS[0];
    let (folder, whole) = bench.locked(name, version, dependencies, false);
    let expected = bench.reference(&whole, &bench.tree(&folder));
    fs::write(folder.join("package-lock.json"), halved(&whole)).unwrap();
    assert_eq!(bench.updated(&folder, &["--repair"]), expected);
    assert!(fs::read_to_string(folder.join("package-lock.json")).unwrap() == whole);
}
