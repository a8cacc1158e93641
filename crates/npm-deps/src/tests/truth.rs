//! Hashes that nixpkgs' own fetcher printed (`fixtures/lockfiles/truth.tsv`), by the pipeline alone.

use std::fs;
use std::path::{Path, PathBuf};

use npm_lockfile::options::HashOptions;
use tempfile::tempdir;

use super::{Run, all};
use crate::{Computed, HashFailure, HashRequest};

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Serves what `fixtures/archives` holds of a host.
fn serve(run: &Run, host: &str) {
    let root = fixtures().join("archives").join(host);
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
            let name = name.strip_suffix("/packument.json").unwrap_or(name);
            run.host.serve(&format!("/{name}"), fs::read(&path).unwrap());
        }
    }
}

/// The rows of this table's cases whose packages are kept, as requests, and the hash of each; none where nixpkgs refuses.
fn rows() -> (Vec<HashRequest>, Vec<Option<String>>) {
    let kept = [
        "duplicate-url-v1",
        "duplicate-without-integrity-v3",
        "empty-v3",
        "git-locked-v3",
        "git-plain-v3",
        "git-scripted-v3",
        "git-v1",
        "integrity-set-v3",
        "links-and-files-v3",
        "sha1-only-v3",
        "tarball-url-v3",
        "tiny-v1",
        "tiny-v2",
        "tiny-v3",
        "v1-file-tarball",
    ];
    let table = fs::read_to_string(fixtures().join("lockfiles/truth.tsv")).unwrap();
    let rows = table
        .lines()
        .skip(1)
        .map(|line| <[&str; 4]>::try_from(line.split('\t').collect::<Vec<_>>()).unwrap());
    let rows = rows.filter(|[case, ..]| kept.contains(case)).map(|[case, version, flags, hash]| {
        let lockfile = fs::read(fixtures().join("lockfiles").join(case).join("package-lock.json")).unwrap();
        let options = HashOptions {
            fetcher_version: version.parse().unwrap(),
            force_git_deps: flags.contains("forceGitDeps"),
            force_empty_cache: flags.contains("forceEmptyCache"),
        };
        (HashRequest::new(lockfile.into(), options), hash.starts_with("sha256-").then(|| hash.to_owned()))
    });
    rows.unzip()
}

fn hashes(results: &[Result<Computed, HashFailure>]) -> Vec<Option<String>> {
    results.iter().map(|result| Some(result.as_ref().ok()?.hash.sri())).collect()
}

#[test]
fn lockfiles_side_by_side_have_the_hashes_that_nixpkgs_printed() {
    let run = Run::new();
    serve(&run, "registry.npmjs.org");
    serve(&run, "codeload.github.com");
    let folder = tempdir().unwrap();
    let (requests, truth) = rows();
    assert_eq!(truth.len(), 27, "a row is missing");
    assert_eq!(hashes(&all(&requests, run.keeping(&folder))), truth);
    let asked = run.host.asked();
    let mut once = asked.clone();
    once.dedup();
    assert_eq!(asked, once, "each is asked for once, whatever the integrity that a lockfile has for it");
    // What the store has is not asked for again; archives and packuments are answers of today.
    assert_eq!(hashes(&all(&requests, run.keeping(&folder))), truth);
    let again = run.host.asked();
    let tarballs = |asked: &[String]| asked.iter().filter(|path| path.contains("/-/")).count();
    assert_eq!(tarballs(&again), tarballs(&asked));
    assert!(again.len() > asked.len());
}
