//! Lockfiles that cannot be installed from offline: told in every report, never hashed unless that is wanted.

use serde_json::{Value, json};

use crate::support::project::Project;

/// A service whose lockfile lacks `resolved` and `integrity` of one package, and one that lacks nothing.
fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let right = project.registry.publish("@x/right", "2.0.0", &[]);
    project.lock("whole", &[&left, &right]);
    let entry = json!({ "version": "1.0.0", "resolved": left.url, "integrity": left.integrity });
    let lockfile = json!({ "name": "web", "lockfileVersion": 3, "packages": {
        "": { "name": "web", "dependencies": { "left": "1", "@x/right": "2" }, "optionalDependencies": { "fsevents": "2" } },
        "node_modules/left": entry,
        "node_modules/@x/right": { "version": "2.0.0" },
        "node_modules/fsevents": { "version": "2.3.3", "optional": true, "os": ["darwin"] },
    } });
    project.write("web/package-lock.json", format!("{lockfile:#}\n"));
    project.write("default.nix", SITES);
    project
}

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; src = ./web; npmDepsHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; };
  whole = pkgs.buildNpmPackage { pname = "whole"; src = ./whole; npmDepsHash = ""; };
}
"#;

const LACKS: &str = "1 of 3 packages has no `resolved` and no `integrity`: @x/right@2.0.0";

fn stdout(project: &Project, args: &[&str], code: i32) -> String {
    let output = project.run(args);
    assert_eq!(output.status.code(), Some(code), "{args:?} {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn check_says_what_is_missing_where_and_how_to_mend_it() {
    let project = project();
    project.write(
        "default.nix",
        SITES.lines().filter(|line| !line.contains("whole")).collect::<Vec<_>>().join("\n"),
    );
    let expected = format!(
        "exit 1\n--- stdout\nincomplete  web  default.nix:3:74\n  lockfile  web/package-lock.json\n  \
         lacks     {LACKS}\n1 incomplete, 1 lockfile without a \
         derivation\n--- stderr\nwarning: no npmDepsHash covers the lockfile \
         whole/package-lock.json\nerror: default.nix:3:9: web/package-lock.json: {LACKS}\n  hint: `npm-nixhash repair` \
         fills them in without moving a version; --allow incomplete goes on without them, as nixpkgs' fetcher does\n"
    );
    assert_eq!(project.transcript(&["check"]), expected);
}

#[test]
fn update_writes_no_hash_of_it() {
    let project = project();
    let transcript = project.transcript(&["update"]);
    assert!(transcript.starts_with("exit 2"), "{transcript}");
    assert!(
        transcript.contains(&format!("error: default.nix:3:9: web/package-lock.json: {LACKS}\n")),
        "{transcript}"
    );
    let web = |text: &str| text.lines().nth(2).map(str::to_owned);
    assert_eq!(web(&project.read("default.nix")), web(SITES));
}

#[test]
fn every_report_has_a_status_of_its_own_for_it() {
    let project = project();
    let report: Value = serde_json::from_str(&stdout(&project, &["check", "--json"], 1)).unwrap();
    let site = &report["sites"][0];
    assert_eq!((&site["status"], &site["hash"]), (&json!("incomplete"), &Value::Null));
    assert_eq!(site["errors"][0]["message"], LACKS);
    assert_eq!((&report["summary"]["incomplete"], &report["summary"]["failed"]), (&json!(1), &json!(0)));
    let github = stdout(&project, &["check", "--format", "github"], 1);
    let annotation = format!(
        "::error file=default.nix,line=3,col=74,title=the lockfile of web is incomplete::{LACKS}; `npm-nixhash"
    );
    assert!(github.starts_with(&annotation), "{github}");
    let markdown = stdout(&project, &["check", "--format", "markdown"], 1);
    assert!(markdown.starts_with("### npm-nixhash: 1 stale, 1 incomplete\n"), "{markdown}");
    assert!(markdown.contains("1 of 3 packages has no &#96;resolved&#96;"), "{markdown}");
    let issues: Value =
        serde_json::from_str(&stdout(&project, &["check", "--format", "codequality"], 1)).unwrap();
    assert_eq!(issues[0]["check_name"], "npm-nixhash/incomplete");
}

#[test]
fn allowed_it_is_hashed_as_nixpkgs_does() {
    let project = project();
    let refused = project.transcript(&["hash", "web"]);
    assert!(
        refused.starts_with(&format!("exit 2\n--- stderr\nerror: web/package-lock.json: {LACKS}\n")),
        "{refused}"
    );
    let hash = stdout(&project, &["hash", "web", "--allow", "incomplete"], 0);
    project.run(&["update", "--allow", "incomplete"]);
    assert!(project.read("default.nix").contains(hash.trim()), "{}", project.read("default.nix"));
    let transcript = project.transcript(&["check", "--allow", "incomplete"]);
    assert!(transcript.starts_with("exit 0\n--- stdout\n2 in sync\n"), "{transcript}");
    assert!(
        transcript.contains("2 packages without `resolved`: the hash covers none of them"),
        "{transcript}"
    );
    assert!(
        project.transcript(&["check"]).starts_with("exit 1"),
        "a right hash does not make it installable"
    );
}

#[test]
fn what_only_another_platform_may_want_is_a_warning() {
    let project = project();
    let lockfile = project.read("web/package-lock.json").replace("\"version\": \"2.0.0\"", "\"link\": true");
    project.write("web/package-lock.json", lockfile);
    project.run(&["update"]);
    let transcript = project.transcript(&["check"]);
    assert!(transcript.starts_with("exit 0\n--- stdout\n2 in sync\n"), "{transcript}");
    assert!(transcript.contains("1 package without `resolved`"), "{transcript}");
    // As soon as a system is named that wants it, it is no longer another's.
    let flake = format!(
        "{{ outputs = {{ self, nixpkgs }}: {{ packages.aarch64-darwin.web = nixpkgs.legacyPackages.aarch64-darwin.{} }}; }}",
        SITES.lines().nth(2).unwrap().trim().trim_start_matches("web = pkgs.")
    );
    project.write("flake.nix", flake);
    std::fs::remove_file(project.path("default.nix")).unwrap();
    let transcript = project.transcript(&["check"]);
    assert!(
        transcript.contains("1 of 2 packages has no `resolved` and no `integrity`: fsevents@2.3.3\n"),
        "{transcript}"
    );
}
