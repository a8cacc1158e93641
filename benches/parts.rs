//! The parts of a run by themselves: `cargo bench --bench parts`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that cannot go on should stop")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use nix_sites::SurveyScope;
use npm_deps::supply::Supply;
use npm_deps::{HashRequest, Outputs, Settings};
use npm_lockfile::Lockfile;
use npm_lockfile::options::HashOptions;
use npm_nixhash::drift::{Plan, Rules};
use npm_nixhash::rewrite::rewrite;
use npm_nixhash::source::head::Head;
use npm_tarballs::Tarball;
use npm_tarballs::store::Store;
use tokio::runtime::{Builder, Runtime};

fn main() {
    divan::main();
}

/// Where the lockfile says that its `n`th tarball comes from.
fn url(n: usize) -> String {
    format!("https://registry.example/package-{n}/-/package-{n}-1.{n}.0.tgz")
}

/// A version 3 lockfile of these tarballs, with the fields that npm writes besides.
fn lockfile(tarballs: impl IntoIterator<Item = Tarball>) -> String {
    let mut text = "{\n  \"lockfileVersion\": 3,\n  \"packages\": {\n    \"\": {}".to_owned();
    for (n, tarball) in tarballs.into_iter().enumerate() {
        let _ = write!(
            text,
            ",\n    \"node_modules/package-{n}\": {{\n      \"version\": \"1.{n}.0\",\n      \
             \"resolved\": \"{}\",\n      \"integrity\": \"{}\",\n      \"license\": \"MIT\",\n      \"dependencies\": {{\n        \
             \"some-dependency\": \"^{n}.0.0\",\n        \"another-one\": \"~1.2.3\"\n      }},\n      \
             \"engines\": {{\n        \"node\": \">=18\"\n      }}\n    }}",
            url(n),
            tarball.id()
        );
    }
    text + "\n  }\n}\n"
}

fn small(n: usize) -> Tarball {
    Tarball::of(n.to_le_bytes().to_vec().into())
}

/// A lockfile of 1.2 MB.
#[divan::bench]
fn parse_a_lockfile(bencher: Bencher) {
    let text = lockfile((0..2_700).map(small));
    bencher.counter(BytesCount::of_str(&text)).bench(|| Lockfile::parse(black_box(text.as_bytes())).unwrap());
}

/// Where asynchronous work is done.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().enable_all().build().expect("threads"));

/// A supply that has these tarballs on disk, and nothing else.
fn supplied(folder: &Path, tarballs: &[Tarball]) -> Arc<Supply> {
    let store = Store::at(folder.join("store"));
    for (n, tarball) in tarballs.iter().enumerate() {
        assert!(store.put(tarball));
        store.learn(&url(n), &tarball.id());
    }
    Arc::new(Supply::new(Some(store), None, None, RUNTIME.handle().clone()))
}

/// One service of 300 tarballs, from the store to the hash.
#[divan::bench(sample_count = 10)]
fn hash_a_nar_of_100_mib(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let tarball = |n: usize| {
        let mut bytes = vec![0; (100 << 20) / 300 / 50 * (n % 100 + 1)];
        random.fill(&mut bytes);
        Tarball::of(bytes.into())
    };
    let tarballs: Vec<_> = (0..300).map(tarball).collect();
    let supply = supplied(folder.path(), &tarballs);
    let bytes: u64 = tarballs.iter().map(Tarball::len).sum();
    let request = HashRequest {
        lockfile: lockfile(tarballs).into_bytes().into(),
        options: HashOptions::default(),
        outputs: Outputs::default(),
        label: None,
    };
    let requests = [request];
    bencher.counter(BytesCount::from(bytes)).bench(|| {
        let results = npm_deps::compute(&requests, &supply, &Settings::default());
        for result in results {
            drop(result.unwrap());
        }
    });
}

/// A repository of 400 files: a flake of 3,000 lines with ten services through a wrapper, and modules around it.
fn repository(root: &Path) {
    fs::create_dir_all(root.join(".git")).unwrap();
    fs::create_dir_all(root.join("lib")).unwrap();
    let wrapper = "{ pkgs }: {\n  makeService = { name, src, npmDepsHash }:\n    pkgs.buildNpmPackage { pname = name; \
                   version = \"1\"; inherit src npmDepsHash; };\n}\n";
    fs::write(root.join("lib/default.nix"), wrapper).unwrap();
    for n in 0..389 {
        let folder = root.join(format!("modules/m{}", n % 20));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{n}.nix")), module(n)).unwrap();
    }
    let mut flake = "{\n  outputs = { self, nixpkgs }:\n    let\n      pkgs = nixpkgs.legacyPackages.x86_64-linux;\n      \
                     npm = import ./lib { inherit pkgs; };\n    in\n    {\n"
        .to_owned();
    for n in 0..10 {
        let folder = root.join(format!("services/s{n}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package-lock.json"), lockfile((n..n + 3).map(small))).unwrap();
        let _ = writeln!(
            flake,
            "      packages.x86_64-linux.s{n} = npm.makeService {{\n        name = \"s{n}\";\n        \
             src = ./services/s{n};\n        npmDepsHash = \"\";\n      }};"
        );
    }
    let mut lines = flake.lines().count() + 2;
    while lines < 3_000 {
        let _ = writeln!(
            flake,
            "      nixosModules.m{lines} = {{ config, lib, ... }}: {{\n        options.a.enable = lib.mkEnableOption \"a\";\n        \
             config = lib.mkIf config.a.enable {{\n          environment.variables.N = \"${{toString {lines}}}\";\n          \
             users.users.a = {{ isSystemUser = true; uid = {lines}; }};\n        }};\n      }};"
        );
        lines += 7;
    }
    fs::write(root.join("flake.nix"), flake + "    };\n}\n").unwrap();
}

fn module(n: usize) -> String {
    let option = |m| {
        format!(
            "  options.services.s{n}.o{m} = lib.mkOption {{ type = lib.types.str; default = \"${{toString {m}}}\"; }};\n"
        )
    };
    let options: String = (0..40).map(option).collect();
    format!("{{ config, lib, pkgs, ... }}:\n{{\n{options}}}\n")
}

#[divan::bench(sample_count = 20)]
fn resolve_ten_services(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let scope = SurveyScope::of(folder.path());
    assert_eq!(nix_sites::survey(&scope).sites.len(), 10);
    bencher.bench(|| nix_sites::survey(black_box(&scope)));
}

#[divan::bench(sample_count = 20)]
fn rewrite_ten_services(bencher: Bencher) {
    let folder = tempfile::tempdir().unwrap();
    repository(folder.path());
    let supply = supplied(folder.path(), &(0..13).map(small).collect::<Vec<_>>());
    let survey = nix_sites::survey(&SurveyScope::of(folder.path()));
    let head = Head::of(survey.root.clone());
    let plan = Plan::computed(survey, &supply, &Settings::default(), &Rules::telling(&head, None));
    assert_eq!(rewrite(&plan).unwrap().len(), 1);
    bencher.bench(|| rewrite(black_box(&plan)).unwrap());
}
