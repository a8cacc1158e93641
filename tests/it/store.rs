//! Store and memo, as users meet them through the program.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::project::{Project, hash_of_tree};
use crate::support::registry::{Published, npm_cache};

/// A repository with one service, whose hash is still to be written, and its two tarballs.
fn project() -> (Project, [Published; 2]) {
    let project = Project::new();
    let packages = [
        project.registry.publish("left", "1.0.0", &[("index.js", b"1")]),
        project.registry.publish("@x/right", "2.0.0", &[]),
    ];
    project.write("flake.nix", flake(""));
    project.lock("a", &[&packages[0], &packages[1]]);
    (project, packages)
}

fn flake(options: &str) -> String {
    format!(
        r#"{{
  outputs = {{ self, nixpkgs }}: {{
    packages.x86_64-linux.a = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage {{
      pname = "a";
      src = ./a;
      npmDepsHash = "";{options}
    }};
  }};
}}
"#
    )
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The store's tarballs.
fn tarballs(project: &Project) -> Vec<PathBuf> {
    files(&project.cache().join("v1"))
}

fn forget_tarballs(project: &Project) {
    fs::remove_dir_all(project.cache().join("v1")).unwrap();
}

fn forget_memo(project: &Project) {
    fs::remove_dir_all(project.cache().join("memo-v1")).unwrap();
}

#[track_caller]
fn succeeds(project: &Project, args: &[&str]) {
    let transcript = project.transcript(args);
    assert!(transcript.starts_with("exit 0"), "{args:?}: {transcript}");
}

#[test]
fn offline_says_what_is_missing() {
    let (project, _) = project();
    assert_eq!(
        project.transcript(&["update", "--offline"]),
        "\
exit 2
--- stdout
failed  a  flake.nix:6:21
1 failed, [TIME]
--- stderr
error: flake.nix:3:31: a/package-lock.json: @x/right is not on disk (https://registry.npmjs.org/@x/right/-/right-2.0.0.tgz)
  hint: run once without --offline, or run `npm ci` first
  the same: a/package-lock.json: left is not on disk (https://registry.npmjs.org/left/-/left-1.0.0.tgz)
"
    );
    assert!(project.registry.requests().is_empty());
}

#[test]
fn offline_works_from_a_filled_store() {
    let (project, _) = project();
    succeeds(&project, &["update"]);
    forget_memo(&project);
    let requests = project.registry.requests().len();
    succeeds(&project, &["check", "--offline"]);
    assert_eq!(project.registry.requests().len(), requests);
}

#[test]
fn a_damaged_entry_is_fetched_again() {
    let (project, packages) = project();
    succeeds(&project, &["update"]);
    let damaged = tarballs(&project).remove(0);
    let mut bytes = fs::read(&damaged).unwrap();
    let whole = bytes.clone();
    bytes[7] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    succeeds(&project, &["check", "--no-memo"]);
    let requests = packages.iter().map(|package| project.registry.count(&package.path)).sum::<usize>();
    assert_eq!(requests, 3, "the damaged one twice");
    assert_eq!(fs::read(&damaged).unwrap(), whole);
}

/// A repository whose two services share a tarball too large for memory, with the hashes written.
fn with_a_large_tarball() -> (Project, Published) {
    let project = Project::new();
    let large: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
    let large = project.registry.publish_bytes("large", "1.0.0", large);
    let small = project.registry.publish("small", "1.0.0", &[]);
    let service = |name: &str| {
        format!(
            "    packages.x86_64-linux.{name} = b {{ pname = \"{name}\"; src = ./{name}; npmDepsHash = \"\"; }};\n"
        )
    };
    let head =
        "{ outputs = { self, nixpkgs }: let b = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage; in {\n";
    project.write("flake.nix", format!("{head}{}{}}}; }}\n", service("a"), service("b")));
    project.lock("a", &[&large, &small]);
    project.lock("b", &[&large]);
    succeeds(&project, &["update"]);
    (project, large)
}

/// Damages the largest of some files.
fn damage(files: Vec<PathBuf>) {
    let largest = files.into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    bytes[2 << 20] ^= 1;
    fs::write(&largest, bytes).unwrap();
}

#[test]
fn a_large_tarball_that_turns_out_to_be_damaged_halfway_is_fetched_again() {
    let (project, large) = with_a_large_tarball();
    let calls: [&[&str]; 2] =
        [&["check", "--no-memo"], &["hash", "a", "../tree", "--nar", "../a.nar", "--no-memo"]];
    for (before, args) in (1..).zip(calls) {
        damage(tarballs(&project));
        assert_eq!(project.registry.count(&large.path), before);
        succeeds(&project, args);
        assert_eq!(project.registry.count(&large.path), before + 1, "{args:?}");
    }
    let hash = hash_of_tree(&project.path("../tree"));
    assert!(fs::read_to_string(project.path("flake.nix")).unwrap().contains(&hash));
    assert!(fs::metadata(project.path("../a.nar")).unwrap().len() > 3 << 20);
    damage(tarballs(&project));
    let transcript = project.transcript(&["check", "--no-memo", "--offline"]);
    assert!(transcript.starts_with("exit 2"), "{transcript}");
    assert!(transcript.contains("large is not on disk"), "{transcript}");
}

#[test]
fn any_number_of_damaged_tarballs_is_fetched_again() {
    let project = Project::new();
    let large = |n: u8| {
        project.registry.publish_bytes(&format!("large-{n}"), "1.0.0", vec![n; (1 << 20) + usize::from(n)])
    };
    let all: Vec<_> = (1..=6).map(large).collect();
    project.write("flake.nix", flake(""));
    project.lock("a", &all.iter().collect::<Vec<_>>());
    succeeds(&project, &["update"]);
    for path in tarballs(&project) {
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 0xff;
        fs::write(&path, bytes).unwrap();
    }
    succeeds(&project, &["check", "--no-memo"]);
    let counts: Vec<_> = all.iter().map(|package| project.registry.count(&package.path)).collect();
    assert_eq!(counts, [2; 6]);
}

#[test]
fn a_large_file_of_npms_cache_with_other_bytes_is_passed_over() {
    let (project, large) = with_a_large_tarball();
    forget_tarballs(&project);
    let npm = project.path("../home/.npm");
    npm_cache(&npm, &large);
    succeeds(&project, &["check", "--no-memo"]);
    assert_eq!(project.registry.count(&large.path), 1);
    damage(files(&npm));
    succeeds(&project, &["check", "--no-memo"]);
    assert_eq!(project.registry.count(&large.path), 2);
}

#[test]
fn after_an_npm_install_nothing_is_downloaded() {
    let (project, packages) = project();
    let npm = project.path("../home/.npm");
    for package in &packages {
        npm_cache(&npm, package);
    }
    let before = files(&npm);
    succeeds(&project, &["update"]);
    assert!(project.registry.requests().is_empty());
    assert_eq!(files(&npm), before, "npm's cache is not ours to write");
}

#[test]
fn npms_cache_is_where_npm_is_told_to_keep_it() {
    let (project, packages) = project();
    let npm = project.path("../elsewhere");
    for package in &packages {
        npm_cache(&npm, package);
    }
    let output = project.command(&["update"]).env("npm_config_cache", &npm).output().unwrap();
    assert!(output.status.success());
    assert!(project.registry.requests().is_empty());
}

#[test]
fn other_bytes_in_npms_cache_are_passed_over() {
    let (project, packages) = project();
    let npm = project.path("../home/.npm");
    for package in &packages {
        npm_cache(&npm, package);
    }
    for file in files(&npm.join("_cacache/content-v2")) {
        fs::write(file, "not what the name says").unwrap();
    }
    succeeds(&project, &["update"]);
    assert_eq!(project.registry.requests().len(), 2);
}

#[test]
fn content_in_npms_cache_that_no_line_of_its_index_leads_to_is_passed_over() {
    let (project, packages) = project();
    let npm = project.path("../home/.npm");
    for package in &packages {
        npm_cache(&npm, package);
    }
    fs::remove_dir_all(npm.join("_cacache/index-v5")).unwrap();
    succeeds(&project, &["update"]);
    assert_eq!(project.registry.requests().len(), 2);
}

#[test]
fn a_remembered_hash_needs_no_tarball_and_no_request() {
    let (project, _) = project();
    succeeds(&project, &["update"]);
    forget_tarballs(&project);
    succeeds(&project, &["check"]);
    succeeds(&project, &["check", "--offline"]);
    assert_eq!(project.registry.requests().len(), 2);
    assert!(tarballs(&project).is_empty());
}

#[test]
fn a_changed_lockfile_is_not_remembered() {
    let (project, packages) = project();
    succeeds(&project, &["update"]);
    project.lock("a", &[&packages[0]]);
    let transcript = project.transcript(&["check"]);
    assert!(transcript.starts_with("exit 1"), "{transcript}");
}

#[test]
fn without_the_memo_everything_is_computed_again() {
    let (project, _) = project();
    succeeds(&project, &["update"]);
    forget_tarballs(&project);
    succeeds(&project, &["check", "--no-memo"]);
    assert_eq!(project.registry.requests().len(), 4);
}

#[test]
fn without_a_cache_nothing_is_kept() {
    let (project, _) = project();
    succeeds(&project, &["update", "--no-cache"]);
    succeeds(&project, &["check", "--no-cache"]);
    assert_eq!(project.registry.requests().len(), 4);
    assert!(!project.cache().exists());
}

#[test]
fn packuments_are_asked_for_anew_each_time() {
    let (project, packages) = project();
    project.write("flake.nix", flake("\n      npmDepsFetcherVersion = 2;"));
    succeeds(&project, &["update"]);
    succeeds(&project, &["check"]);
    assert_eq!(project.registry.count("/left"), 2);
    assert_eq!(project.registry.count(&packages[0].path), 1, "the tarball comes from the store");
    assert!(files(&project.cache().join("memo-v1")).is_empty());
}

#[test]
fn a_branch_is_looked_at_each_time_and_a_full_commit_once() {
    for (commit, fetched) in [("main", 2), ("506fc771d40702d5bf158ae35b9f783a38b6b848", 1)] {
        let (project, _) = project();
        let archive = crate::support::registry::tgz(&[("package.json", br#"{"name":"tool"}"#)]);
        let path = format!("/acme/tool/tar.gz/{commit}");
        project.registry.serve(&path, archive);
        let resolved = format!("git+ssh://git@github.com/acme/tool.git#{commit}");
        let lockfile = serde_json::json!({
            "lockfileVersion": 3,
            "packages": { "": {}, "node_modules/tool": { "version": "1.0.0", "resolved": resolved } },
        });
        project.write("a/package-lock.json", lockfile.to_string());
        let host = project.registry.url();
        let run = |command: &str| {
            let redirect = format!("codeload.github.com={host}");
            let output = project.run(&[command, "--registry-override", &redirect]);
            assert!(output.status.success(), "{}", project.render(&output));
        };
        run("update");
        run("check");
        assert_eq!(project.registry.count(&path), fetched, "{commit}");
    }
}

fn json(project: &Project, args: &[&str]) -> Value {
    let output = project.run(args);
    assert!(output.status.success(), "{}", project.render(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_cache_is_shown_and_pruned() {
    let (project, packages) = project();
    let folder = project.cache().display().to_string();
    assert_eq!(project.transcript(&["cache", "dir"]), format!("exit 0\n--- stdout\n{folder}\n"));
    assert_eq!(json(&project, &["cache", "stats", "--json"])["tarballs"], 0);
    succeeds(&project, &["update"]);
    let stats = json(&project, &["cache", "stats", "--json"]);
    assert_eq!(stats["tarballs"], 2);
    let bytes: usize = packages.iter().map(|package| package.bytes.len()).sum();
    assert!(stats["bytes"].as_u64().unwrap() >= bytes as u64);
    let kept = json(&project, &["cache", "prune", "--older-than", "1h", "--json"]);
    assert_eq!((&kept["removed_tarballs"], &kept["tarballs"]), (&0.into(), &2.into()));
    let pruned = json(&project, &["cache", "prune", "--max-size", "0", "--json"]);
    assert_eq!((&pruned["removed_tarballs"], &pruned["tarballs"]), (&2.into(), &0.into()));
    assert!(tarballs(&project).is_empty());
    assert_eq!(
        fs::metadata(project.cache().join("origins-v1")).unwrap().len(),
        0,
        "origins go with their tarballs"
    );
    succeeds(&project, &["check", "--no-memo"]);
}
