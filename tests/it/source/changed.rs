//! A hash that is not that of what was fetched: the source moved on, or was replaced under its name.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use npm_tarballs::integrity::ContentId;
use serde_json::{Value, json};

use super::archives::Item;
use super::{HOSTS, call, derivation, hash_of, npm_hash, package, tar_gz};
use crate::support::project::{Project, lockfile};
use crate::support::registry::Published;

/// A run that finds git, and the programs of a folder before all others.
fn transcript(project: &Project, arguments: &[&str]) -> String {
    let mut command = project.command(arguments);
    for host in HOSTS {
        command.arg(format!("--registry-override={host}={}", project.registry.url()));
    }
    let programs = project.path("../programs");
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()));
    project.render(&command.output().unwrap())
}

fn git(project: &Project, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(project.root()).args(["-c", "user.name=x", "-c", "user.email=x@x"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn commit(project: &Project) {
    git(project, &["init", "-q"]);
    git(project, &["add", "."]);
    git(project, &["commit", "-qm", "x"]);
}

const V1: &str = "/o/r/archive/v1.0.0.tar.gz";

/// A repository whose source is on GitHub, in sync and committed; gives the items of its archive.
fn on_github() -> (Project, Vec<Item>) {
    let project = Project::new();
    let (items, _) = package(&project);
    project.registry.serve(V1, tar_gz("r-1/", &items));
    let source = call("pkgs.fetchFromGitHub", r#"owner = "o"; repo = "r"; rev = "v${version}"; hash = "";"#);
    project.write("tool.nix", derivation(&source, ""));
    assert!(transcript(&project, &["update"]).starts_with("exit 0\n"));
    commit(&project);
    (project, items)
}

fn changed(items: &[Item]) -> Vec<Item> {
    items.iter().cloned().chain([Item::file("more", "more\n")]).collect()
}

#[test]
fn a_source_that_moved_on_since_the_last_commit_is_made_right() {
    let (project, items) = on_github();
    let (old, new) = (hash_of(&items), changed(&items));
    project.registry.serve("/o/r/archive/v2.0.0.tar.gz", tar_gz("r-2/", &new));
    project.write("tool.nix", project.read("tool.nix").replace("1.0.0", "2.0.0"));
    let said = transcript(&project, &["check"]);
    let wanted = format!(
        "exit 1\n--- stdout\nstale  tool  tool.nix:6:17\n  source    {old} -> {} (tool.nix:5:85): the source changed its \
         version or URL\n            https://github.com/o/r/archive/v2.0.0.tar.gz\n1 stale\n",
        hash_of(&new)
    );
    assert_eq!(said, wanted);
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 0\n") && said.contains("1 updated in 1 file"), "{said}");
    assert!(project.read("tool.nix").contains(&hash_of(&new)));
    assert_eq!(transcript(&project, &["check"]), "exit 0\n--- stdout\n1 in sync\n");
}

#[test]
fn a_source_that_was_replaced_under_its_name_is_an_alarm() {
    let (project, items) = on_github();
    let (before, new) = (project.read("tool.nix"), changed(&items));
    project.registry.serve(V1, tar_gz("r-1/", &new));
    // What was verified stays verified; on another machine the replacement shows.
    assert!(transcript(&project, &["check"]).starts_with("exit 0\n"));
    fs::remove_dir_all(project.cache()).unwrap();
    let said = transcript(&project, &["check"]);
    assert!(said.starts_with("exit 1\n"), "{said}");
    assert!(
        said.contains("stale  tool") && said.contains(": the file was replaced under its name\n"),
        "{said}"
    );
    let said = transcript(&project, &["update"]);
    let wanted = format!(
        "exit 2\n--- stdout\nfailed  tool  tool.nix:6:17\n1 failed, [TIME]\n--- stderr\nerror: tool.nix:2:1: o/r@v1.0.0/package-lock.json: what is at \
         https://github.com/o/r/archive/v1.0.0.tar.gz is not what its hash says: recorded {}, found {}\n  hint: the \
         file was replaced under its name: see what changed, then use --accept-changed-sources\n",
        hash_of(&items),
        hash_of(&new)
    );
    assert_eq!(said, wanted);
    assert_eq!(project.read("tool.nix"), before);
    let said = transcript(&project, &["update", "--accept-changed-sources"]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert_eq!(project.read("tool.nix"), before.replace(&hash_of(&items), &hash_of(&new)));
}

#[test]
fn without_a_commit_nothing_is_guessed() {
    let (project, items) = on_github();
    project.registry.serve("/o/r/archive/v2.0.0.tar.gz", tar_gz("r-2/", &changed(&items)));
    project.write("tool.nix", project.read("tool.nix").replace("1.0.0", "2.0.0"));
    fs::remove_dir_all(project.path(".git")).unwrap();
    git(&project, &["init", "-q"]);
    let said = transcript(&project, &["update"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("(git knows no last commit of this repository)"), "{said}");
    // The bump was committed together with the old hash: the commit says that it is of this version.
    commit(&project);
    assert!(transcript(&project, &["update"]).contains("the file was replaced under its name"));
}

/// A command line program of the registry with a vendored lockfile, in sync; both of its releases.
struct Cli {
    project: Project,
    new: Published,
    locks: [String; 2],
}

fn cli() -> Cli {
    let project = Project::new();
    let [a, b] = ["1.0.0", "2.0.0"].map(|version| project.registry.publish("dep", version, &[]));
    let release = |version: &str| {
        let manifest = json!({ "name": "tool", "version": version, "dependencies": { "dep": version } });
        project.registry.publish_manifest(&manifest, &[])
    };
    let [old, new] = ["1.0.0", "2.0.0"].map(release);
    let lock = |version: &str, dep: &Published| {
        let mut lock: Value = serde_json::from_str(&lockfile("tool", &[dep])).unwrap();
        lock["version"] = version.into();
        lock["packages"][""]["version"] = version.into();
        format!("{lock:#}\n")
    };
    let locks = [lock("1.0.0", &a), lock("2.0.0", &b)];
    project.write("tool/package-lock.json", &locks[0]);
    let text = format!(
        r#"{{ pkgs }}:
pkgs.buildNpmPackage (finalAttrs: {{
  pname = "tool";
  version = "1.0.0";
  src = pkgs.fetchurl {{
    url = "https://registry.npmjs.org/tool/-/tool-${{finalAttrs.version}}.tgz";
    hash = "{}";
  }};
  postPatch = "cp ${{./tool/package-lock.json}} package-lock.json";
  npmDepsHash = "{}";
}})
"#,
        old.integrity,
        npm_hash(&project, &locks[0])
    );
    project.write("tool.nix", text);
    Cli { project, new, locks }
}

impl Cli {
    fn bump(&self) {
        self.project.write("tool.nix", self.project.read("tool.nix").replace("\"1.0.0\"", "\"2.0.0\""));
    }

    /// Puts this in npm's place.
    fn npm(&self, script: &str) {
        self.project.write("../programs/npm", format!("#!/bin/sh\n{script}\n"));
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.project.path("../programs/npm"), mode).unwrap();
    }

    fn npm_that_writes(&self, lockfile: &str) {
        self.project.write("../programs/new-lock.json", lockfile);
        let from = self.project.path("../programs/new-lock.json");
        self.npm(&format!("grep -q '\"2.0.0\"' package.json && cp {} package-lock.json", from.display()));
    }
}

#[test]
fn one_update_makes_hash_lockfile_and_npm_hash_of_a_bumped_program_right() {
    let cli = cli();
    let Cli { project, new, locks } = &cli;
    assert_eq!(transcript(project, &["check"]), "exit 0\n--- stdout\n1 in sync\n");
    cli.bump();
    let before = project.read("tool.nix");
    let said = transcript(project, &["check"]);
    for part in [
        "exit 1\n",
        "(tool.nix:7:12): the source changed its version or URL\n",
        "  lockfile  tool/package-lock.json: 1.0.0 -> 2.0.0 is wanted\n",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    cli.npm_that_writes(&locks[1]);
    let said = transcript(project, &["update"]);
    assert!(said.starts_with("exit 0\n") && said.contains("1 updated in 2 files"), "{said}");
    let integrity = before.split('"').find(|part| part.starts_with("sha512-")).unwrap();
    let right = before
        .replace(integrity, &new.integrity)
        .replace(&npm_hash(project, &locks[0]), &npm_hash(project, &locks[1]));
    assert_eq!(project.read("tool.nix"), right);
    assert_eq!(project.read("tool/package-lock.json"), locks[1]);
    cli.npm("exit 1");
    assert_eq!(transcript(project, &["check"]), "exit 0\n--- stdout\n1 in sync\n");
    assert!(transcript(project, &["update"]).contains("1 in sync"));
}

#[test]
fn if_npm_fails_nothing_is_changed() {
    let cli = cli();
    let Cli { project, locks, .. } = &cli;
    cli.bump();
    let before = project.read("tool.nix");
    cli.npm("echo 'npm error code ERESOLVE' >&2; exit 1");
    let said = transcript(project, &["update"]);
    assert!(said.starts_with("exit 2\n") && said.contains("ERESOLVE"), "{said}");
    assert!(said.contains("cannot regenerate tool/package-lock.json"), "{said}");
    assert_eq!(project.read("tool.nix"), before);
    assert_eq!(project.read("tool/package-lock.json"), locks[0]);
}

#[test]
fn a_dry_run_shows_all_of_it_and_changes_nothing() {
    let cli = cli();
    cli.bump();
    cli.npm_that_writes(&cli.locks[1]);
    let before = cli.project.read("tool.nix");
    let said = transcript(&cli.project, &["update", "--dry-run"]);
    assert!(said.contains("+++ b/tool.nix") && said.contains("+++ b/tool/package-lock.json"), "{said}");
    assert_eq!(cli.project.read("tool.nix"), before);
    assert_eq!(cli.project.read("tool/package-lock.json"), cli.locks[0]);
}

#[test]
fn the_registrys_own_word_settles_what_was_replaced() {
    let cli = cli();
    let project = &cli.project;
    let path = "/tool/-/tool-1.0.0.tgz";
    commit(project);
    let other = tar_gz("package/", &[Item::file("package.json", r#"{"name":"tool","version":"1.0.0"}"#)]);
    project.registry.serve(path, other.clone());
    let said = transcript(project, &["update"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("is not what the registry published: its integrity is sha512-"), "{said}");
    // The registry published it so, and only the repository has it otherwise.
    let manifest = json!({ "name": "tool", "version": "1.0.0" });
    let again = project.registry.publish_manifest(&manifest, &[("more", b"1")]);
    assert_ne!(again.id(), ContentId::sha512_of(&other));
    let said = transcript(project, &["update", "--require-signatures"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    let said = transcript(project, &["update"]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    assert!(project.read("tool.nix").contains(&again.integrity));
}

/// One after the other this took 11 s, and asked for the keys each time.
#[test]
fn registries_are_asked_side_by_side_and_for_their_keys_once() {
    let project = Project::new();
    let dep = project.registry.publish("dep", "1.0.0", &[]);
    project.write("lock/package-lock.json", lockfile("tool", &[&dep]));
    let mut text = String::from("{ pkgs }: {\n");
    for n in 0..16 {
        project.registry.publish(&format!("tool{n}"), "1.0.0", &[]);
        write!(
            text,
            "  tool{n} = pkgs.buildNpmPackage {{\n    pname = \"tool{n}\"; version = \"1.0.0\"; npmDepsHash = \"\";\n    \
             src = pkgs.fetchurl {{ url = \"https://registry.npmjs.org/tool{n}/-/tool{n}-1.0.0.tgz\"; hash = \"\"; }};\n    \
             postPatch = \"cp ${{./lock/package-lock.json}} package-lock.json\";\n  }};\n"
        )
        .unwrap();
    }
    project.write("tools.nix", text + "}\n");
    project.registry.delay(std::time::Duration::from_millis(300));
    let begun = std::time::Instant::now();
    let said = transcript(&project, &["check"]);
    let took = begun.elapsed();
    assert!(said.contains("\n16 stale\n"), "{said}");
    let asked = project.registry.requests();
    let count = |path: &str| asked.iter().filter(|request| request.path == path).count();
    assert_eq!(count("/-/npm/v1/keys"), 1);
    assert!((0..16).all(|n| count(&format!("/tool{n}")) == 1), "{asked:?}");
    // The tarballs, the packuments, the keys, the dependency: four answers after each other, and a busy machine.
    assert!(took < std::time::Duration::from_secs(6), "{took:?}");
}
