//! A made-up repository and the registry that its lockfiles point to, for measuring without the internet.
//!
//! `synthetic DIR [--packages N] [--bytes TOTAL] [--services K] [--each M] [--delay MS] [--plain | --store BASE]` writes K npm
//! services with M packages each, of N in all, and a flake to DIR/repo; DIR/env for a shell to source, which sends requests
//! to the local server; DIR/urls for `curl -K`. It serves until its standard input ends, with `--plain` without TLS. The line
//! `ready` says that all is there. With `--store` it ends at once: DIR/www is what another server has to serve at the URL BASE.
//!
//! Every npm client can install them: a tarball has a `package.json` and one file of noise, so that it is as large as it says.

#![allow(clippy::unwrap_used, reason = "a tool for developers that may stop where it stands")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

#[allow(dead_code, reason = "the tests use the rest")]
#[path = "../tests/it/support/registry/mod.rs"]
mod registry;

use registry::{PUBLIC, Published, Registry};

/// What an archive has besides: headers, `package.json`, padding, the end.
const AROUND_NOISE: usize = 3 << 10;

struct Plan {
    dir: PathBuf,
    packages: usize,
    bytes: usize,
    services: usize,
    each: Option<usize>,
    delay: u64,
    plain: bool,
    store: Option<String>,
}

impl Plan {
    fn from_arguments() -> Self {
        let mut arguments = std::env::args().skip(1);
        let dir = PathBuf::from(arguments.next().expect("a folder"));
        let mut plan = Self {
            dir,
            packages: 100,
            bytes: 10 << 20,
            services: 1,
            each: None,
            delay: 0,
            plain: false,
            store: None,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().expect("a value");
            let number = |value: String| -> usize { value.parse().expect("a number") };
            match name.as_str() {
                "--packages" => plan.packages = number(value()),
                "--bytes" => plan.bytes = number(value()),
                "--services" => plan.services = number(value()),
                "--each" => plan.each = Some(number(value())),
                "--delay" => plan.delay = number(value()) as u64,
                "--plain" => plan.plain = true,
                "--store" => plan.store = Some(value()),
                other => panic!("{other}?"),
            }
        }
        plan
    }
}

fn main() {
    let plan = Plan::from_arguments();
    let registry = Registry::start();
    registry.delay(Duration::from_millis(plan.delay));
    let own = if plan.plain { registry.url() } else { registry.tls_url() };
    let base = plan.store.as_ref().unwrap_or(&own);
    let packages = publish(&registry, base, &plan);
    write_repository(&plan, &packages);
    write_urls(&plan.dir, base, &packages);
    if plan.store.is_some() {
        return write_files(&plan.dir, &packages);
    }
    write_environment(&plan.dir, base, &registry);
    let mut out = std::io::stdout();
    writeln!(out, "ready").unwrap();
    out.flush().unwrap();
    let _ = std::io::stdin().read(&mut [0]);
}

/// Packages of very different sizes, as real ones are: most are small, and a few hold most of the bytes.
fn publish(registry: &Registry, base: &str, plan: &Plan) -> Vec<Published> {
    let mut random = fastrand::Rng::with_seed(7);
    let weights: Vec<f64> = (0..plan.packages).map(|_| (random.f64() + 0.001).powf(-0.8)).collect();
    let total: f64 = weights.iter().sum();
    let publish = |(n, weight): (usize, &f64)| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let len = (weight / total * plan.bytes as f64) as usize;
        let mut noise = vec![0; len.saturating_sub(AROUND_NOISE).max(64)];
        random.fill(&mut noise);
        let manifest = json!({ "name": format!("package-{n:05}"), "version": "1.0.0" });
        publish_noise(registry, base, &manifest, &noise)
    };
    weights.iter().enumerate().map(publish).collect()
}

/// A tarball and its packument, which names this server as a registry names itself.
fn publish_noise(registry: &Registry, base: &str, manifest: &Value, noise: &[u8]) -> Published {
    let (name, version) = (manifest["name"].as_str().unwrap(), manifest["version"].as_str().unwrap());
    let published = registry.publish_bytes(name, version, tarball(manifest, noise));
    let mut release = manifest.clone();
    release["dist"] =
        json!({ "tarball": format!("{base}{}", published.path), "integrity": published.integrity });
    let packument =
        json!({ "name": name, "dist-tags": { "latest": version }, "versions": { version: release } });
    registry.serve(&format!("/{name}"), packument.to_string());
    published
}

/// Not compressed, for noise does not get smaller by it.
fn tarball(manifest: &Value, noise: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
    for (name, content) in [("package.json", manifest.to_string().as_bytes()), ("noise", noise)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("package/{name}"), content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn write_repository(plan: &Plan, packages: &[Published]) {
    let repo = plan.dir.join("repo");
    fs::create_dir_all(repo.join(".git")).unwrap();
    let each = plan.each.unwrap_or(packages.len());
    let mut sites = String::new();
    for service in 0..plan.services {
        let folder = repo.join(format!("services/s{service}"));
        fs::create_dir_all(&folder).unwrap();
        // A service shares some of its packages with the next ones.
        let start = service * each / 2;
        let mine: Vec<&Published> = (0..each).map(|n| &packages[(start + n) % packages.len()]).collect();
        let manifest = manifest(service, &mine);
        fs::write(folder.join("package.json"), format!("{manifest:#}\n")).unwrap();
        fs::write(folder.join("package-lock.json"), lockfile(&manifest, &mine)).unwrap();
        let _ = writeln!(
            sites,
            "        s{service} = pkgs.buildNpmPackage {{\n          pname = \"s{service}\";\n          version = \"1\";\n          \
             src = ./services/s{service};\n          npmDepsHash = \"\";\n        }};"
        );
    }
    let flake = format!(
        "{{\n  outputs = {{ self, nixpkgs }}:\n    let pkgs = nixpkgs.legacyPackages.x86_64-linux; in\n    {{\n      \
         packages.x86_64-linux = {{\n{sites}      }};\n    }};\n}}\n"
    );
    fs::write(repo.join("flake.nix"), flake).unwrap();
}

fn manifest(service: usize, packages: &[&Published]) -> Value {
    let dependencies = packages.iter().map(|package| (package.name.clone(), package.version.clone().into()));
    let dependencies: serde_json::Map<_, _> = dependencies.collect();
    json!({ "name": format!("s{service}"), "version": "1.0.0", "dependencies": dependencies })
}

fn lockfile(manifest: &Value, packages: &[&Published]) -> String {
    let mut entries = serde_json::Map::new();
    entries.insert(String::new(), manifest.clone());
    for package in packages {
        let entry = json!({
            "version": package.version,
            "resolved": package.url,
            "integrity": package.integrity,
            "license": "MIT",
            "engines": { "node": ">=18" },
        });
        entries.insert(format!("node_modules/{}", package.name), entry);
    }
    let document = json!({
        "name": manifest["name"],
        "version": manifest["version"],
        "lockfileVersion": 3,
        "requires": true,
        "packages": entries,
    });
    format!("{document:#}\n")
}

fn write_environment(dir: &Path, base: &str, registry: &Registry) {
    let overrides = json!({ PUBLIC: base }).to_string();
    let authority = dir.join("ca.pem");
    fs::copy(registry.ca_file(), &authority).unwrap();
    let exports = format!(
        "registry='{base}'\nexport NIX_NPM_REGISTRY_OVERRIDES='{overrides}'\nexport SSL_CERT_FILE='{authority}' NIX_SSL_CERT_FILE='{authority}' CURL_CA_BUNDLE='{authority}'\n",
        authority = authority.display()
    );
    fs::write(dir.join("env"), exports).unwrap();
}

fn write_urls(dir: &Path, base: &str, packages: &[Published]) {
    let mut urls = String::new();
    for (n, package) in packages.iter().enumerate() {
        let _ = writeln!(urls, "url = \"{base}{}\"\noutput = \"{n}\"", package.path);
    }
    fs::write(dir.join("urls"), urls).unwrap();
}

fn write_files(dir: &Path, packages: &[Published]) {
    for package in packages {
        let file = dir.join("www").join(package.path.trim_start_matches('/'));
        fs::create_dir_all(file.parent().expect("a folder")).unwrap();
        fs::write(file, &package.bytes).unwrap();
    }
}
