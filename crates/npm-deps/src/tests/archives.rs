//! Git dependencies: their archives, the lockfiles in them, and who is taken at its word.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use gnu_archive::gzip::Encoder;
use gnu_archive::pack::{EntryKind, Packer};
use npm_lockfile::options::HashOptions;
use npm_tarballs::Tarball;
use npm_tarballs::integrity::ContentId;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{Run, lockfile, obstacles, one};
use crate::archive::{Archives, PARKED};
use crate::{Computed, HashFailure, HashRequest, LockfileWarning, Modes, Outputs};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

pub(super) fn resolved(name: &str) -> String {
    format!("git+ssh://git@github.com/acme/{name}.git#{COMMIT}")
}

/// Serves a repository with these files.
fn serve(run: &Run, name: &str, files: &[(&str, &[u8])]) {
    let mut packer = Packer::new(Encoder::new(Vec::new()));
    packer.append(format!("{name}-{COMMIT}/").as_bytes(), 0o755, EntryKind::Directory).unwrap();
    for (path, content) in files {
        let path = format!("{name}-{COMMIT}/{path}");
        packer.append(path.as_bytes(), 0o644, EntryKind::File(content)).unwrap();
    }
    let archive = packer.finish().unwrap().finish().unwrap();
    run.host.serve(&format!("/acme/{name}/tar.gz/{COMMIT}"), archive);
}

/// Serves a package without scripts, with this lockfile if with any.
pub(super) fn serve_package(run: &Run, name: &str, locked: Option<&str>) {
    let manifest = json!({"name": name, "version": "1.0.0"}).to_string();
    let mut files = vec![("package.json", manifest.as_bytes())];
    files.extend(locked.map(|text| ("package-lock.json", text.as_bytes())));
    serve(run, name, &files);
}

/// The lines of a tree's index, as they are in the files of `index-v5`.
fn index_of(tree: &Path) -> Vec<Value> {
    let (mut lines, mut folders) = (Vec::new(), vec![tree.join("_cacache/index-v5")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            let line = |line: &str| serde_json::from_str(line.split_once('\t')?.1).ok();
            lines.extend(text.lines().filter_map(line));
        }
    }
    lines
}

/// The integrity of each URL in the tree of this lockfile, sorted.
fn integrities(run: &Run, text: &str) -> Vec<(String, String)> {
    let folder = tempdir().unwrap();
    let tree = folder.path().join("tree");
    let outputs = Outputs { tree: Some(tree.clone()), ..Outputs::default() };
    let request = HashRequest { outputs, ..HashRequest::new(text.as_bytes().into(), HashOptions::default()) };
    one(&request, run.supply()).unwrap();
    let of = |line: &Value| {
        let key = line["key"].as_str().unwrap().trim_start_matches("make-fetch-happen:request-cache:");
        (key.to_owned(), line["integrity"].as_str().unwrap().to_owned())
    };
    let mut all: Vec<_> = index_of(&tree).iter().map(of).collect();
    all.sort();
    all
}

const URL: &str = "https://registry.npmjs.org/ms/-/ms-1.0.0.tgz";
const SHA1: &str = "sha1-zPnA7uQqayIgf4NBzR9lokIQzbA=";
const BYTES: &[u8] = b"bytes of ms";

#[test]
fn the_first_lockfile_to_name_a_url_decides_its_integrity() {
    let run = Run::new();
    run.host.serve("/ms/-/ms-1.0.0.tgz", BYTES);
    let sha512 = ContentId::sha512_of(BYTES).sri();
    serve_package(&run, "inner", Some(&lockfile(&[("ms", URL, Some(SHA1))])));
    let git = resolved("inner");
    let of_ms = |text: &str| {
        let all = integrities(&run, text);
        all.into_iter().filter(|(url, _)| url == URL).map(|(_, integrity)| integrity).collect::<Vec<_>>()
    };
    assert_eq!(of_ms(&lockfile(&[("inner", &git, None), ("ms", URL, Some(&sha512))])), [sha512.as_str()]);
    assert_eq!(of_ms(&lockfile(&[("inner", &git, None)])), [SHA1]);
}

#[test]
fn of_two_git_dependencies_the_first_ones_lockfile_counts_before_the_seconds() {
    let run = Run::new();
    run.host.serve("/ms/-/ms-1.0.0.tgz", BYTES);
    let sha512 = ContentId::sha512_of(BYTES).sri();
    // The deeper one comes before the sibling: nixpkgs goes down first.
    serve_package(&run, "deep", Some(&lockfile(&[("ms", URL, Some(SHA1))])));
    serve_package(&run, "a", Some(&lockfile(&[("deep", &resolved("deep"), None)])));
    serve_package(&run, "b", Some(&lockfile(&[("ms", URL, Some(&sha512))])));
    let of_ms = |text: &str| integrities(&run, text).into_iter().find(|(url, _)| url == URL).unwrap().1;
    assert_eq!(of_ms(&lockfile(&[("a", &resolved("a"), None), ("b", &resolved("b"), None)])), SHA1);
    serve_package(&run, "z", Some(&lockfile(&[("deep", &resolved("deep"), None)])));
    assert_eq!(of_ms(&lockfile(&[("b", &resolved("b"), None), ("z", &resolved("z"), None)])), sha512);
}

#[test]
fn what_a_lockfile_says_of_a_git_archives_integrity_does_not_count() {
    let run = Run::new();
    serve_package(&run, "plain", None);
    let without = integrities(&run, &lockfile(&[("plain", &resolved("plain"), None)]));
    let with = integrities(&run, &lockfile(&[("plain", &resolved("plain"), Some(SHA1))]));
    assert_eq!(without, with);
    assert_eq!(without.len(), 1);
    assert_eq!(without[0].0, format!("https://codeload.github.com/acme/plain/tar.gz/{COMMIT}"));
}

#[test]
fn an_archive_that_the_lockfile_inside_of_another_one_names_again_is_taken_in_once() {
    let run = Run::new();
    serve_package(&run, "shared", None);
    serve_package(&run, "outer", Some(&lockfile(&[("shared", &resolved("shared"), None)])));
    let text = lockfile(&[("outer", &resolved("outer"), None), ("shared", &resolved("shared"), None)]);
    let computed = run.hash(&text).unwrap();
    assert_eq!((computed.packages, computed.warnings), (2, Vec::new()));
    assert_eq!(run.host.asked().len(), 2);
}

fn warnings(result: Result<Computed, HashFailure>) -> Vec<LockfileWarning> {
    result.unwrap().warnings
}

#[test]
fn a_git_dependency_with_itself_among_its_dependencies_is_told_by_its_place() {
    let run = Run::new();
    serve_package(&run, "a", Some(&lockfile(&[("b", &resolved("b"), None)])));
    serve_package(&run, "b", Some(&lockfile(&[("a", &resolved("a"), None)])));
    let told = warnings(run.hash(&lockfile(&[("a", &resolved("a"), None)])));
    let [LockfileWarning::GitCycle { places }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(places.len(), 1);
    assert!(places[0].starts_with("node_modules/a") && places[0].ends_with("node_modules/a"), "{places:?}");
    // Two that have the same one are no cycle.
    serve_package(&run, "c", None);
    for name in ["a", "b"] {
        serve_package(&run, name, Some(&lockfile(&[("c", &resolved("c"), None)])));
    }
    let both = lockfile(&[("a", &resolved("a"), None), ("b", &resolved("b"), None)]);
    assert_eq!(warnings(run.hash(&both)), []);
}

#[test]
fn what_keeps_nixpkgs_from_a_git_dependency_keeps_us_from_it_too() {
    let run = Run::new();
    let of = |name: &str| obstacles(run.hash(&lockfile(&[(name, &resolved(name), None)])));
    let manifest = br#"{"scripts": {"prepare": "x", "test": "y", "install": "z"}}"#;
    serve(&run, "scripted", &[("package.json", manifest)]);
    assert_eq!(
        of("scripted"),
        [
            "node_modules/scripted: git dependency with install scripts (install, prepare) but without a package-lock.json"
        ]
    );
    serve(&run, "list", &[("package.json", b"[]")]);
    assert_eq!(of("list"), ["node_modules/list: git dependency whose package.json is not a JSON object"]);
    serve(&run, "none", &[("readme", b"")]);
    assert_eq!(of("none"), ["node_modules/none: git dependency whose package.json is missing or not text"]);
    serve_package(&run, "torn", Some("<<<<<<< HEAD"));
    assert_eq!(of("torn"), ["node_modules/torn: cannot read the package-lock.json of this git dependency"]);
    serve_package(&run, "md5", Some(&lockfile(&[("ms", URL, Some("md5-AAAAAAAAAAAAAAAAAAAAAA=="))])));
    let said = of("md5");
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("unsupported integrity algorithm"), "{said:?}");
    run.host.serve(&format!("/acme/damaged/tar.gz/{COMMIT}"), b"no archive".as_slice());
    assert_eq!(
        of("damaged"),
        [format!(
            "the archive of damaged at https://codeload.github.com/acme/damaged/tar.gz/{COMMIT} cannot be used"
        )]
    );
    assert_eq!(of("missing"), ["missing is not available"]);
}

#[test]
fn a_git_dependency_with_scripts_is_taken_where_it_is_locked_or_forced() {
    let run = Run::new();
    let scripts = br#"{"scripts": {"install": "z"}}"#;
    let empty = lockfile(&[]);
    serve(&run, "locked", &[("package.json", scripts), ("package-lock.json", empty.as_bytes())]);
    assert!(run.hash(&lockfile(&[("locked", &resolved("locked"), None)])).is_ok());
    serve(&run, "forced", &[("package.json", scripts)]);
    let options = HashOptions { force_git_deps: true, ..HashOptions::default() };
    let text = lockfile(&[("forced", &resolved("forced"), None)]);
    assert!(one(&HashRequest::new(text.as_bytes().into(), options), run.supply()).is_ok());
    // What is no script for an install needs no lockfile.
    serve(&run, "tested", &[("package.json", br#"{"scripts": {"test": "y"}}"#)]);
    assert!(run.hash(&lockfile(&[("tested", &resolved("tested"), None)])).is_ok());
}

#[test]
fn a_repacked_archive_of_a_mebibyte_waits_on_disk_and_a_smaller_one_in_memory() {
    let run = Run::new();
    let supply = run.supply();
    let archives = Archives::new(&supply, Modes::SANDBOX);
    let size = usize::try_from(PARKED).unwrap();
    let waits_in_memory =
        |size| archives.put_aside(Tarball::of(Bytes::from(vec![0; size]))).bytes().is_some();
    assert!(waits_in_memory(size - 1));
    assert!(!waits_in_memory(size));
}

#[test]
fn an_archive_of_the_registry_is_asked_for_where_its_tarballs_are() {
    let run = Run::new();
    run.host.serve("/a/-/a-1.0.0.tgz", b"source".as_slice());
    let mut options = npm_registry::Options { retries: 0, ..Default::default() };
    let mut npmrc = npm_registry::npmrc::Npmrc::default();
    npmrc.layer(&format!("registry={}/\nreplace-registry-host=always", run.host.url()), &|_| None);
    npmrc.apply(&mut options, None, Path::new(".")).unwrap();
    // Nothing else is to be asked of any other host.
    options.proxies.https = Some(npm_registry::Secret::new(run.host.url()));
    let client = npm_registry::Client::new(options);
    let supply = crate::supply::Supply::new(None, None, Some(client), run.runtime.handle().clone());
    let source = |url: &str| run.runtime.block_on(supply.source(&url.parse().unwrap(), 1 << 20));
    assert_eq!(source("https://host.example/a/-/a-1.0.0.tgz").unwrap(), "source");
    run.host.serve("/a/-/a-1.0.0.zip", b"not this".as_slice());
    assert!(source("https://host.example/a/-/a-1.0.0.zip").is_err(), "the registry serves no such file");
}

#[test]
fn half_of_what_a_tarball_may_have_is_the_most_an_archive_may() {
    let run = Run::new();
    run.host.serve("/source", vec![7; 500]);
    run.host.serve("/more", vec![7; 501]);
    let mut options = npm_registry::Options { retries: 0, max_download: 1000, ..Default::default() };
    options.access.override_host("mirror.example", &run.host.url()).unwrap();
    let client = npm_registry::Client::new(options);
    let supply = crate::supply::Supply::new(None, None, Some(client), run.runtime.handle().clone());
    let source = |url: &str, limit| run.runtime.block_on(supply.source(&url.parse().unwrap(), limit));
    assert_eq!(source("https://mirror.example/source", 1 << 20).unwrap().len(), 500);
    assert_eq!(source("https://mirror.example/source", 500).unwrap().len(), 500);
    assert!(source("https://mirror.example/more", 1 << 20).is_err());
    assert!(source("https://mirror.example/source", 499).is_err());
}
