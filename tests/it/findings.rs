//! What stops a build although every hash is right: manifests that ask for something else, fetcher versions that disagree,
//! lockfiles that `importNpmLock` breaks on; and what breaks it later, as warnings.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::project::Project;

fn project(sites: &str) -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    project.lock("web", &[&left]);
    project.write("default.nix", format!("{{ pkgs }}:\n{{\n{sites}\n}}\n"));
    project
}

const WEB: &str = r#"  web = pkgs.buildNpmPackage { pname = "web"; src = ./web; npmDepsHash = ""; };"#;

#[test]
fn a_manifest_that_asks_for_something_else_is_drift_and_a_warning_of_update() {
    let project = project(WEB);
    project.write(
        "web/package.json",
        "{\n  \"dependencies\": {\n    \"left\": \"^2\",\n    \"more\": \"1\"\n  }\n}\n",
    );
    let hint = "hint: bring the lockfile in step with `npm install --package-lock-only`, then run `npm-nixhash update`";
    let wrong = "`npm ci` refuses package-lock.json: left is wanted as `^2`, and locked is 1.0.0";
    let missing = "`npm ci` refuses package-lock.json: more is wanted as `1`, and not locked at all";
    let updated = project.transcript(&["update"]);
    assert!(updated.starts_with("exit 0\n"), "{updated}");
    assert!(updated.contains(&format!("warning: web/package.json:3:5: {wrong}\n  {hint}\n")), "{updated}");
    assert_eq!(
        project.transcript(&["check"]),
        format!(
            "exit 1\n--- stdout\nweb/package.json:3:5: {wrong}\nweb/package.json:4:5: {missing}\n1 in sync, 2 findings\n\
             --- stderr\nerror: web/package.json:3:5: {wrong}\n  {hint}\n  the same: {missing}\n"
        )
    );
    let report: Value = serde_json::from_slice(&project.run(&["check", "--json"]).stdout).unwrap();
    assert_eq!(
        report["findings"][1],
        json!({ "code": "out-of-step", "message": missing, "hint": &hint[6..],
                "place": { "file": "web/package.json", "line": 4, "column": 5 } })
    );
    let github = project.transcript(&["check", "--format", "github"]);
    assert!(
        github.contains("::error file=web/package.json,line=3,col=5,title=npm-nixhash::`npm ci` refuses"),
        "{github}"
    );
    let markdown = project.transcript(&["check", "--format", "markdown"]);
    assert!(
        markdown.contains("- <code>web/package.json</code>: <code>&#96;npm ci&#96; refuses"),
        "{markdown}"
    );
    let issues: Value =
        serde_json::from_slice(&project.run(&["check", "--format", "codequality"]).stdout).unwrap();
    assert_eq!(
        (&issues[0]["check_name"], &issues[0]["severity"]),
        (&json!("npm-nixhash/out-of-step"), &json!("major"))
    );
    project.write("web/package.json", r#"{ "dependencies": { "left": "^1" } }"#);
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n1 in sync\n");
}

#[test]
fn fetcher_versions_that_disagree_are_told_with_the_line_to_write() {
    let sites = r#"  a = pkgs.buildNpmPackage {
    pname = "a"; src = ./web;
    npmDeps = pkgs.fetchNpmDeps { src = ./web; fetcherVersion = 2; hash = ""; };
  };
  b = pkgs.buildNpmPackage {
    pname = "b"; src = ./web; npmDepsFetcherVersion = 2;
    npmDeps = pkgs.fetchNpmDeps { src = ./web; hash = ""; };
  };
  c = pkgs.buildNpmPackage {
    pname = "c"; src = ./web; npmDepsFetcherVersion = 2;
    npmDeps = pkgs.fetchNpmDeps { src = ./web; fetcherVersion = 2; hash = ""; };
  };
  d = pkgs.buildNpmPackage { pname = "d"; src = ./web; npmDepsFetcherVersion = 2; npmDepsHash = ""; };
  e = pkgs.buildNpmPackage { pname = "e"; src = ./web; npmDeps = pkgs.importNpmLock { npmRoot = ./web; }; };"#;
    let project = project(sites);
    project.run(&["update"]);
    let report: Value = serde_json::from_slice(&project.run(&["check", "--json"]).stdout).unwrap();
    let told = |number: usize| {
        let finding = &report["findings"][number];
        let text = |field: &str| finding[field].as_str().unwrap().to_owned();
        (finding["place"]["line"].as_u64().unwrap(), text("code"), text("hint"))
    };
    assert_eq!(
        told(0),
        (3, "fetcher-version".to_owned(), "write `npmDepsFetcherVersion = 2;` beside `npmDeps`".to_owned())
    );
    let write = "write `fetcherVersion = 2;` into the call of `fetchNpmDeps`, then run `npm-nixhash update`";
    assert_eq!(told(1), (7, "fetcher-version".to_owned(), write.to_owned()));
    assert_eq!(report["findings"].as_array().unwrap().len(), 2, "{}", report["findings"]);
    assert!(project.transcript(&["check"]).starts_with("exit 1\n"));
}

#[test]
fn a_lockfile_that_import_npm_lock_uses_is_covered_and_has_to_be_complete() {
    let sites = r#"  web = pkgs.buildNpmPackage {
    pname = "web"; src = ./web;
    npmDeps = pkgs.importNpmLock { npmRoot = ./web; };
    npmConfigHook = pkgs.importNpmLock.npmConfigHook;
  };
  shell = pkgs.mkShell { packages = [ (pkgs.importNpmLock.buildNodeModules { npmRoot = ./other; inherit (pkgs) nodejs; }) ]; };"#;
    let project = project(sites);
    project.write("other/package-lock.json", project.read("web/package-lock.json"));
    let transcript = project.transcript(&["check", "--deny", "uncovered"]);
    assert!(transcript.starts_with("exit 0\n"), "{transcript}");
    assert!(!transcript.contains("covers"), "{transcript}");
    assert!(
        transcript.ends_with(
            "no npm derivation found, 2 lockfiles without a derivation (of them 2 importNpmLock)\n"
        ),
        "{transcript}"
    );
    let whole = project.read("other/package-lock.json");
    let cut = whole.lines().filter(|line| !line.contains("\"resolved\"") && !line.contains("\"integrity\""));
    project.write("other/package-lock.json", cut.collect::<Vec<_>>().join("\n"));
    let transcript = project.transcript(&["check"]);
    let lacks = "1 of 1 packages has no `resolved` and no `integrity`: left@1.0.0";
    assert!(
        transcript.starts_with(&format!(
            "exit 1\n--- stdout\nincomplete  other/package-lock.json  default.nix:8:40\n  \
             used by   importNpmLock\n  lacks     {lacks}\n1 incomplete, 2 lockfiles without a derivation (of them 2 \
             importNpmLock)\n--- stderr\nerror: default.nix:8:40: \
             other/package-lock.json: {lacks}\n"
        )),
        "{transcript}"
    );
    assert!(project.transcript(&["check", "--allow", "incomplete"]).starts_with("exit 0\n"));
    let report: Value = serde_json::from_slice(&project.run(&["check", "--json"]).stdout).unwrap();
    let errors: Vec<usize> = report["uses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|used| used["errors"].as_array().unwrap().len())
        .collect();
    assert_eq!(errors, [0, 1]);
    let completed = project.transcript(&["repair"]);
    assert!(
        completed
            .contains("other/package-lock.json: 1 package completed: left@1.0.0\n1 completed, 1 complete\n"),
        "{completed}"
    );
    assert!(project.transcript(&["check"]).starts_with("exit 0\n"));
}

#[test]
fn a_lockfile_that_import_npm_lock_is_given_is_followed() {
    let lacks = |arguments: &str| {
        let sites = format!("  web = pkgs.mkShell {{ deps = pkgs.importNpmLock {{ {arguments} }}; }};");
        let project = project(&sites);
        let bare = json!({ "lockfileVersion": 3, "packages": { "node_modules/left": { "version": "1.0.0" },
            "node_modules/idle": { "version": "1.0.0" } } });
        project.write("x/package-lock.json", bare.to_string());
        project.write("x/package.json", r#"{ "name": "x", "dependencies": { "left": "1" } }"#);
        project.write("y/package.json", r#"{ "name": "y", "dependencies": { "left": "1", "idle": "1" } }"#);
        let report: Value = serde_json::from_slice(&project.run(&["check", "--json"]).stdout).unwrap();
        let used = |used: &Value| {
            let errors = used["errors"].as_array().unwrap().iter();
            let errors: Vec<_> = errors.map(|error| error["message"].as_str().unwrap().to_owned()).collect();
            format!("{}: {}", used["lockfile"].as_str().unwrap(), errors.join(";"))
        };
        let told: Vec<String> = report["uses"].as_array().unwrap().iter().map(used).collect();
        told.join(" ")
    };
    let what = "has no `resolved` and no `integrity`: left@1.0.0";
    let lock = "packageLock = pkgs.lib.importJSON ./x/package-lock.json;";
    for arguments in [
        format!("{lock} package = pkgs.lib.importJSON ./x/package.json;"),
        format!("{lock} npmRoot = ./x;"),
        "npmRoot = ./x;".to_owned(),
        "npmRoot = ./y; package = builtins.fromJSON (builtins.readFile ./x/package.json); packageLock = builtins.fromJSON \
         (builtins.readFile ./x/package-lock.json);"
            .to_owned(),
    ] {
        assert_eq!(lacks(&arguments), format!("x/package-lock.json: 1 of 2 packages {what}"), "{arguments}");
    }
    let both =
        "x/package-lock.json: 2 of 2 packages have no `resolved` and no `integrity`: idle@1.0.0, left@1.0.0";
    assert_eq!(lacks(&format!("{lock} npmRoot = ./y;")), both, "its manifest wants both");
    assert_eq!(lacks(lock), both, "nobody says what is wanted");
    // What an expression made of it is no file's.
    assert_eq!(lacks("packageLock = { packages = { }; };"), "");
}

#[test]
fn a_url_that_the_standard_writes_otherwise_breaks_nixpkgs_build_and_not_the_hash() {
    let project = project(WEB);
    let hash = project.run(&["hash", "web"]).stdout;
    let odd = project
        .read("web/package-lock.json")
        .replace("https://registry.npmjs.org/", "https://registry.npmjs.org:443/");
    project.write("web/package-lock.json", odd);
    let warning = "node_modules/left: `resolved` is not written as the URL standard writes it, and nixpkgs' build panics on \
                   that: https://registry.npmjs.org:443/left/-/left-1.0.0.tgz\n  hint: write \
                   https://registry.npmjs.org/left/-/left-1.0.0.tgz there (nixpkgs#496687)\n";
    let told = project.transcript(&["hash", "web"]);
    assert!(told.starts_with("exit 0\n") && told.contains(warning), "{told}");
    assert_ne!(told.lines().nth(2).unwrap().as_bytes(), hash.trim_ascii());
    let told = project.transcript(&["update"]);
    assert!(told.starts_with("exit 0\n") && told.contains(warning), "{told}");
}

#[test]
fn an_old_nixpkgs_makes_another_tree_of_fetcher_version_2() {
    let project = project("");
    let lock = |modified: u64| {
        json!({ "nodes": { "nixpkgs": { "locked": { "lastModified": modified, "owner": "NixOS", "repo": "nixpkgs", "type": "github" } },
                           "root": { "inputs": { "nixpkgs": "nixpkgs" } } }, "root": "root", "version": 7 })
        .to_string()
    };
    let flake = |version: &str| {
        format!(
            "{{ outputs = {{ self, nixpkgs }}: {{ packages.x86_64-linux.web = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage \
                 {{ pname = \"web\"; src = ./web; npmDepsFetcherVersion = {version}; npmDepsHash = \"\"; }}; }}; }}"
        )
    };
    let warns = |modified: u64, version: &str| {
        project.write("flake.lock", lock(modified));
        project.write("flake.nix", flake(version));
        let told = project.transcript(&["check"]);
        assert!(told.contains("1 stale"), "{told}");
        told.contains("before 2026-02-15 nixpkgs kept more of a packument")
    };
    assert!(warns(1_749_000_000, "2") && warns(1_771_113_599, "2"));
    assert!(!warns(1_771_113_600, "2") && !warns(1_749_000_000, "1"));
}

#[test]
fn which_nixpkgs_is_old_is_found_through_follows_and_said_as_far_as_it_is_known() {
    let project = project("");
    project.write(
        "flake.nix",
        "{ outputs = { self, nixpkgs, ... }: { packages.x86_64-linux.web = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage \
         { pname = \"web\"; src = ./web; npmDepsFetcherVersion = 2; npmDepsHash = \"\"; }; }; }",
    );
    let (old, new) = (1_749_000_000_u64, 1_790_000_000_u64);
    let told = |inputs: Value| {
        let nixpkgs = |modified: u64| json!({ "locked": { "lastModified": modified, "owner": "NixOS", "repo": "nixpkgs", "type": "github" } });
        let lock = json!({ "nodes": { "a": nixpkgs(old), "b": nixpkgs(new), "tools": { "inputs": { "pkgs": "a", "round": ["round"] }, "locked": { "repo": "tools" } },
            "root": { "inputs": inputs } }, "root": "root", "version": 7 });
        project.write("flake.lock", lock.to_string());
        let told = project.transcript(&["check"]);
        let line = told.lines().find(|line| line.contains("flake.lock has")).unwrap_or_default();
        line.split("flake.lock has ").nth(1).unwrap_or_default().to_owned()
    };
    let sure = "2025-06-04: before 2026-02-15 nixpkgs kept more of a packument, so its fetcher version 2 gives another hash than \
                this one";
    assert_eq!(told(json!({ "nixpkgs": "a" })), format!("`nixpkgs` of {sure}"));
    assert_eq!(
        told(json!({ "tools": "tools", "nixpkgs": ["tools", "pkgs"] })),
        format!("`nixpkgs` of {sure}")
    );
    let unsure = format!("`stable` of {sure} (if the derivation is built with that one)");
    assert_eq!(told(json!({ "nixpkgs": "b", "stable": "a" })), unsure);
    for silent in [
        json!({ "nixpkgs": "b" }),
        json!({ "nixpkgs": ["round"], "round": ["round"] }),
        json!({ "nixpkgs": ["gone", 1] }),
    ] {
        assert_eq!(told(silent.clone()), "", "{silent}");
    }
}

#[test]
fn a_lockfile_that_git_checked_out_with_other_line_ends_has_the_hash_of_gits_bytes() {
    let project = project(WEB);
    std::fs::remove_dir_all(project.path(".git")).unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.autocrlf=false"]).args(args);
        let done = git.current_dir(project.root()).env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    project.run(&["update"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    let unix = project.read("web/package-lock.json");
    project.write("web/package-lock.json", unix.replace('\n', "\r\n"));
    let told = project.transcript(&["check"]);
    assert!(told.starts_with("exit 0\n--- stdout\n1 in sync\n"), "{told}");
    assert!(
        told.contains(
            "package-lock.json has other line endings than it has in git; the hash is that of git's bytes"
        ),
        "{told}"
    );
    // A text that is another one is hashed as it is.
    project.write("web/package-lock.json", unix.replace('\n', "\r\n") + "\r\n");
    let told = project.transcript(&["check"]);
    assert!(told.starts_with("exit 1\n") && !told.contains("line endings"), "{told}");
    // What is staged is what the next commit has, whatever the last one had.
    let other = unix.replace("\"version\": \"1.0.0\"", "\"version\": \"1.0.1\"");
    assert_ne!(other, unix);
    project.write("web/package-lock.json", &other);
    git(&["add", "."]);
    project.run(&["update"]);
    project.write("web/package-lock.json", other.replace('\n', "\r\n"));
    let told = project.transcript(&["check"]);
    assert!(told.starts_with("exit 0\n") && told.contains("other line endings than it has in git"), "{told}");
    project.write("web/package-lock.json", unix.replace('\n', "\r\n"));
    let told = project.transcript(&["check"]);
    assert!(
        told.starts_with("exit 1\n") && !told.contains("line endings"),
        "only the last commit has that: {told}"
    );
}
