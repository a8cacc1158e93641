//! What a recorded hash is. Where nixpkgs' own hashes are known (`fixtures/lockfiles/truth.tsv`), they are what is asked
//! about; what its older and unsandboxed fetchers print is made here file by file.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gnu_archive::repack::{Modes, repack_as};
use npm_tarballs::integrity::{ContentId, hex};
use serde_json::{Value, json};
use sha1::Digest as _;

use crate::support::git::{self, commit};
use crate::support::project::{Project, hash_of_tree};
use crate::support::truth::{rows_of, serve_host};

/// A project that can fetch what `fixtures/lockfiles` needs, with a derivation on `web`.
fn project(case: &str) -> Project {
    let project = Project::new();
    for host in ["registry.npmjs.org", "codeload.github.com"] {
        serve_host(&project.registry, host);
    }
    git::init(&project);
    put(&project, "web", case);
    project
}

fn put(project: &Project, folder: &str, case: &str) {
    project.write(&format!("{folder}/package-lock.json"), fs::read(rows_of(case)[0].lockfile()).unwrap());
}

/// The hash of a case as nixpkgs printed it.
fn truth(case: &str, version: &str) -> String {
    rows_of(case).into_iter().find(|row| row.fetcher_version == version).unwrap().hash.unwrap()
}

/// Asks about a hash in the expression of `web`, given these further arguments; the one entry of the report.
fn explain(project: &Project, hash: &str, arguments: &str, flags: &[&str]) -> (i32, Value) {
    let site = format!(
        "pkgs.buildNpmPackage {{ pname = \"web\"; src = ./web; npmDepsHash = \"{hash}\"; {arguments} }}"
    );
    project.write("default.nix", format!("{{ pkgs }}: {{ web = {site}; }}\n"));
    let archives = format!("codeload.github.com={}", project.registry.url());
    let args = [&["explain", "web", "--json", "--registry-override", &archives], flags].concat();
    let output = project.run(&args);
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    valid(&report);
    (output.status.code().unwrap(), report["hashes"][0].clone())
}

fn valid(report: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explain.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    let errors: Vec<_> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
}

fn text(project: &Project, hash: &str, arguments: &str) -> String {
    let (code, report) = explain(project, hash, arguments, &[]);
    assert_eq!(code, 0, "{report:#}");
    report["text"].as_str().unwrap().to_owned()
}

const LOCKFILE: &str = "web/package-lock.json";
const VERSION_2: &str = "npmDepsFetcherVersion = 2;";

#[test]
fn nixpkgs_hashes_of_one_lockfile_are_told_apart_by_the_fetchers_version() {
    for case in ["tiny-v1", "tiny-v2", "tiny-v3"] {
        let project = project(case);
        let [one, two] = ["1", "2"].map(|version| truth(case, version));
        assert_eq!(text(&project, &one, ""), format!("right: the hash of {LOCKFILE}"));
        assert_eq!(text(&project, &two, VERSION_2), format!("right: the hash of {LOCKFILE}"));
        assert_eq!(text(&project, &two, ""), format!("the hash of {LOCKFILE}, with fetcherVersion 2"));
        assert_eq!(text(&project, &one, VERSION_2), format!("the hash of {LOCKFILE}, with fetcherVersion 1"));
    }
}

#[test]
fn a_force_that_is_needed_is_named() {
    let project = project("git-scripted-v3");
    let hash = rows_of("git-scripted-v3").into_iter().find_map(|row| row.hash).unwrap();
    let said = text(&project, &hash, "");
    assert_eq!(
        said,
        format!("the hash of {LOCKFILE}, with fetcherVersion 1 and forceGitDeps and forceEmptyCache")
    );
    assert_eq!(text(&project, &hash, "forceGitDeps = true;"), format!("right: the hash of {LOCKFILE}"));
}

#[test]
fn an_older_lockfile_is_found_in_gits_past_with_what_changed_since() {
    let project = project("tiny-v1");
    project.write("readme", "");
    let first = commit(&project, "first");
    put(&project, "web", "tiny-v2");
    let second = commit(&project, "second");
    put(&project, "web", "sha1-only-v3");
    commit(&project, "third");
    put(&project, "web", "tarball-url-v3");
    // Nothing that earlier lockfiles need is downloaded unasked.
    let (code, report) = explain(&project, &truth("tiny-v1", "1"), "", &["--no-cache"]);
    assert_eq!((code, &report["verdict"]), (1, &json!("unknown")), "{report:#}");
    let earlier = report["tried"].as_array().unwrap().last().unwrap();
    assert_eq!((&earlier["group"], &earlier["computed"]), (&json!("earlier"), &json!(0)), "{report:#}");
    assert!(earlier["why"].as_str().unwrap().contains("is not on disk"), "{earlier}");
    let (code, report) = explain(&project, &truth("tiny-v1", "1"), "", &["--download"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["text"], format!("the hash of {LOCKFILE} as it was in {}", &first[..7]));
    assert_eq!(report["is"]["commit"], first);
    assert!(!report["is"]["packages"]["removed"].as_array().unwrap().is_empty(), "{report:#}");
    // From disk now, and of another fetcher version.
    let (_, report) = explain(&project, &truth("tiny-v2", "1"), VERSION_2, &[]);
    assert_eq!(
        report["text"],
        format!("the hash of {LOCKFILE} as it was in {}, with fetcherVersion 1", &second[..7])
    );
    // Bounded.
    let (code, report) = explain(&project, &truth("tiny-v1", "1"), "", &["--commits", "2"]);
    assert_eq!((code, &report["whole_past"]), (1, &json!(false)), "{report:#}");
}

#[test]
fn the_hash_of_another_folder_is_named_also_where_its_own_lockfile_is_not_known() {
    let project = project("tiny-v3");
    put(&project, "other/deep", "sha1-only-v3");
    let hash = truth("sha1-only-v3", "1");
    let (_, report) = explain(&project, &hash, "", &["--download"]);
    assert_eq!(report["text"], "the hash of other/deep/package-lock.json");
    let phase = "postPatch = \"mystery\";";
    let (_, report) = explain(&project, &hash, phase, &["--download"]);
    assert_eq!(
        (&report["lockfile"], &report["text"]),
        (&Value::Null, &json!("the hash of other/deep/package-lock.json"))
    );
}

#[test]
fn other_spellings_of_the_text_are_found() {
    let project = project("tiny-v3");
    let lockfile = project.read(LOCKFILE);
    let hash = |text: &str| {
        project.write("copy/package-lock.json", text);
        let output = project.run(&["hash", "copy"]);
        fs::remove_dir_all(project.path("copy")).unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let crlf = lockfile.replace('\n', "\r\n");
    assert_eq!(text(&project, &hash(&crlf), ""), format!("the hash of {LOCKFILE} with CRLF line endings"));
    let bare = hash(lockfile.trim_end());
    assert_eq!(text(&project, &bare, ""), format!("the hash of {LOCKFILE} without its last line feed"));
    let name = "\"lockfileVersion\": 3";
    let phase = "postPatch = ''substituteInPlace package-lock.json --replace-fail '\"lockfileVersion\": 3' '\"lockfileVersion\":  3' '';";
    assert!(lockfile.contains(name));
    let said = text(&project, &truth("tiny-v3", "1"), phase);
    assert_eq!(said, format!("the hash of {LOCKFILE} before a phase edits it"));
    project.write(LOCKFILE, &crlf);
    assert_eq!(text(&project, &hash(&lockfile), ""), format!("the hash of {LOCKFILE} with LF line endings"));
}

/// A tree as `hash` writes it.
fn tree(project: &Project, arguments: &[&str]) -> PathBuf {
    let archives = format!("codeload.github.com={}", project.registry.url());
    let args = [&["hash", "web", "../tree", "--registry-override", &archives], arguments].concat();
    let output = project.run(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    project.root().with_file_name("tree")
}

/// Gives the content of a URL other bytes, as the layout of npm's cache has it.
fn swap(tree: &Path, url: &str, change: impl Fn(&[u8]) -> Vec<u8>) {
    let mut folders = vec![tree.join("_cacache/index-v5")];
    let mut swapped = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
            let of_url = format!("\"url\":\"{url}\"");
            let line = |line: &String| {
                if line.contains(&of_url) { swapped_line(tree, line, &change) } else { line.clone() }
            };
            swapped += lines.iter().filter(|line| line.contains(&of_url)).count();
            fs::write(&path, lines.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap();
        }
    }
    assert!(swapped > 0, "{url}");
}

fn swapped_line(tree: &Path, line: &str, change: &impl Fn(&[u8]) -> Vec<u8>) -> String {
    let (_, entry) = line.split_once('\t').unwrap();
    let value: Value = serde_json::from_str(entry).unwrap();
    let old = value["integrity"].as_str().unwrap();
    let content = |sri: &str| {
        let digest = hex(&STANDARD.decode(sri.strip_prefix("sha512-").unwrap()).unwrap());
        tree.join("_cacache/content-v2/sha512").join(&digest[..2]).join(&digest[2..4]).join(&digest[4..])
    };
    let kept = tree.with_file_name("swapped");
    // A packument has two lines and one content.
    let was = fs::read(content(old)).or_else(|_| fs::read(&kept)).unwrap();
    fs::write(&kept, &was).unwrap();
    let bytes = change(&was);
    let new = ContentId::sha512_of(&bytes).sri();
    let _ = fs::remove_file(content(old));
    let mut folder = content(old);
    while folder.pop() && fs::remove_dir(&folder).is_ok() {}
    fs::create_dir_all(content(&new).parent().unwrap()).unwrap();
    fs::write(content(&new), &bytes).unwrap();
    let size = format!("\"size\":{}", value["size"]);
    let entry = entry.replace(old, &new).replace(&size, &format!("\"size\":{}", bytes.len()));
    format!("{}\t{entry}", hex(&sha1::Sha1::digest(entry.as_bytes())))
}

#[test]
fn version_2_of_an_older_nixpkgs_is_told() {
    let project = Project::new();
    git::init(&project);
    let left = project.registry.publish("left", "1.0.0", &[]);
    let dist = json!({ "tarball": left.url, "integrity": left.integrity, "fileCount": 3, "signatures": [{ "sig": "x" }] });
    let packument = json!({ "name": "left", "versions": { "1.0.0": { "name": "left", "version": "1.0.0", "dist": dist } } });
    project.registry.serve("/left", packument.to_string());
    project.lock("web", &[&left]);
    let tree = tree(&project, &["--fetcher-version", "2"]);
    let today = hash_of_tree(&tree);
    assert_eq!(text(&project, &today, VERSION_2), format!("right: the hash of {LOCKFILE}"));
    swap(&tree, "https://registry.npmjs.org/left", |_| packument.to_string().into_bytes());
    let older = hash_of_tree(&tree);
    let said = text(&project, &older, VERSION_2);
    assert_eq!(said, format!("the hash of {LOCKFILE}, as nixpkgs made it before 2026-02-15"));
    let (_, report) = explain(&project, &older, "", &[]);
    assert_eq!(
        (&report["is"]["before_2026_02_15"], &report["is"]["options"]["fetcherVersion"]),
        (&json!(true), &json!(2))
    );
}

#[test]
fn git_dependencies_that_another_user_unpacked_are_told() {
    let project = project("git-plain-v3");
    let tree = tree(&project, &[]);
    assert_eq!(hash_of_tree(&tree), truth("git-plain-v3", "1"));
    let lockfile: Value = serde_json::from_str(&project.read(LOCKFILE)).unwrap();
    let url = fs::read_dir(tree.join("_cacache/index-v5")).map(|_| archive_url(&lockfile)).unwrap();
    let path = url.strip_prefix("https://").unwrap();
    let archive =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/archives").join(path)).unwrap();
    for (modes, who) in [(Modes::ROOT, "by root"), (Modes::umask(0o077), "under umask 077")] {
        let copy = tree.with_file_name(who.replace(' ', "-"));
        assert!(std::process::Command::new("cp").arg("-r").arg(&tree).arg(&copy).status().unwrap().success());
        swap(&copy, &url, |_| repack_as(&archive[..], 1 << 30, modes).unwrap().bytes);
        let hash = hash_of_tree(&copy);
        assert_ne!(hash, truth("git-plain-v3", "1"));
        let said = text(&project, &hash, "");
        assert_eq!(
            said,
            format!(
                "the hash of {LOCKFILE}, its git dependencies unpacked {who}, as nixpkgs' tool does it outside of the \
                 sandbox: a build has another hash"
            )
        );
    }
}

/// The URL of the archive of the one git dependency of a lockfile.
fn archive_url(lockfile: &Value) -> String {
    let resolved = lockfile["packages"]
        .as_object()
        .unwrap()
        .values()
        .find_map(|entry| entry["resolved"].as_str().filter(|url| url.starts_with("git+")))
        .unwrap();
    let (repository, commit) = resolved.split_once('#').unwrap();
    let path = repository.split_once("github.com/").unwrap().1.trim_end_matches(".git");
    format!("https://codeload.github.com/{path}/tar.gz/{commit}")
}

#[test]
fn what_is_no_hash_and_what_is_not_known_are_told_with_what_was_tried() {
    let project = project("tiny-v3");
    commit(&project, "first");
    let said = text(&project, "", "");
    assert_eq!(said, "a placeholder, which `npm-nixhash update` fills in");
    assert_eq!(text(&project, "sha512-AAAA", ""), "no sha256, so the hash of no lockfile");
    let odd = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let (code, report) = explain(&project, odd, "", &[]);
    assert_eq!((code, &report["verdict"]), (1, &json!("unknown")));
    let tried: Vec<_> = report["tried"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tried| {
            (
                tried["group"].as_str().unwrap(),
                tried["computed"].as_u64().unwrap(),
                tried["failed"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(tried, [("spellings", 6, 0), ("older-fetcher", 1, 0)]);
    let transcript = project.transcript(&["explain"]);
    assert_eq!(
        transcript,
        format!(
            "exit 1\n--- stdout\nunknown  web  default.nix:1:84\n  recorded  {odd}\n  it is     not known: nothing that was tried has \
             this hash\n  tried     its lockfile with either fetcher version, as it is, with other line endings, with or without \
             its last line feed: 6 computed\n  tried     fetcherVersion 2 as nixpkgs made it before 2026-02-15: 1 computed\n"
        )
    );
}
