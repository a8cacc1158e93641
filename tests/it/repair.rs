//! `repair`, as its users see it: what it fills in, what it refuses, and what it leaves alone.

use std::fs;

use npm_tarballs::integrity::{Algorithm, ContentId, Hasher};
use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::registry::{Published, Registry};

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; src = ./web; npmDepsHash = ""; };
}
"#;

fn sha1(bytes: &[u8]) -> ContentId {
    let mut hasher = Hasher::new(Algorithm::Sha1);
    hasher.update(bytes);
    hasher.finish()
}

fn entry(published: &Published) -> Value {
    json!({ "version": published.version, "resolved": published.url, "integrity": published.integrity, "license": "MIT" })
}

/// A version 2 lockfile with an alias and a nested entry, as npm writes it.
fn lockfile(left: &Published, right: &Published) -> String {
    let mut alias = entry(right);
    alias["name"] = json!("@x/right");
    let text = |value: &Value, fields: &[&str]| {
        let fields = fields.iter().map(|name| format!("      \"{name}\": {}", value[*name]));
        fields.collect::<Vec<_>>().join(",\n")
    };
    let flat = ["version", "resolved", "integrity", "license"];
    let legacy_alias =
        json!({ "version": "npm:@x/right@2.0.0", "resolved": right.url, "integrity": right.integrity });
    format!(
        "{{\n  \"name\": \"web\",\n  \"lockfileVersion\": 2,\n  \"packages\": {{\n    \"\": {{\n      \"dependencies\": {{ \"left\": \"1\", \"r\": \"npm:@x/right@2\" }}\n    }},\n    \
         \"node_modules/left\": {{\n{}\n    }},\n    \"node_modules/r\": {{\n      \"name\": \"@x/right\",\n{}\n    }}\n  }},\n  \
         \"dependencies\": {{\n    \"left\": {{\n{}\n    }},\n    \"r\": {{\n{}\n    }}\n  }}\n}}\n",
        text(&entry(left), &flat),
        text(&alias, &flat),
        text(&entry(left), &flat[..3]),
        text(&legacy_alias, &flat[..3]),
    )
}

fn without(text: &str, field: &str) -> String {
    let opening = format!("\"{field}\"");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with(&opening));
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    text.replace(",\n    }", "\n    }")
}

fn project() -> (Project, String) {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let right = project.registry.publish("@x/right", "2.0.0", &[]);
    let whole = lockfile(&left, &right);
    project.write("web/package-lock.json", &whole);
    project.write("default.nix", SITES);
    (project, whole)
}

#[test]
fn what_was_cut_out_comes_back_byte_for_byte() {
    let (project, whole) = project();
    for incomplete in [
        without(&whole, "resolved"),
        without(&whole, "integrity"),
        without(&without(&whole, "resolved"), "integrity"),
        without(&whole, "resolved").replace('\n', "\r\n"),
    ] {
        let expected = if incomplete.contains('\r') { whole.replace('\n', "\r\n") } else { whole.clone() };
        project.write("web/package-lock.json", &incomplete);
        let told = project.transcript(&["repair", "--check"]);
        let list = "2 packages to complete: @x/right@2.0.0, left@1.0.0";
        assert_eq!(told, format!("exit 1\n--- stdout\nweb/package-lock.json: {list}\n1 incomplete\n"));
        assert_eq!(project.read("web/package-lock.json"), incomplete);
        let done = project.transcript(&["repair", "web/package-lock.json"]);
        let list = "2 packages completed: @x/right@2.0.0, left@1.0.0";
        assert_eq!(done, format!("exit 0\n--- stdout\nweb/package-lock.json: {list}\n1 completed\n"));
        assert_eq!(project.read("web/package-lock.json"), expected);
        assert_eq!(project.transcript(&["repair", "--check"]), "exit 0\n--- stdout\n1 complete\n");
    }
    let asked = project.registry.headers("/left", "accept").pop().flatten().unwrap();
    assert!(asked.starts_with("application/vnd.npm.install-v1+json"), "{asked}");
}

#[test]
fn a_version_that_is_gone_is_named_and_that_lockfile_stays() {
    let (project, whole) = project();
    let incomplete = without(&whole, "resolved").replace("\"version\": \"1.0.0\"", "\"version\": \"1.0.9\"");
    project.write("web/package-lock.json", &incomplete);
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let other = json!({ "lockfileVersion": 3, "packages": { "node_modules/left": { "version": "1.0.0" } } });
    project.write("other/package-lock.json", format!("{other:#}\n"));
    project.write("other.nix", SITES.replace("web", "other"));
    let transcript = project.transcript(&["repair"]);
    assert!(transcript.starts_with("exit 2\n--- stdout\nother/package-lock.json: 1 package completed: left@1.0.0\n1 completed, 1 failed\n"), "{transcript}");
    assert!(
        transcript.contains(
            "error: web/package-lock.json: node_modules/left: the registry has no left@1.0.9; the nearest is 1.0.0\n  hint: that version is gone"
        ),
        "{transcript}"
    );
    assert_eq!(project.read("web/package-lock.json"), incomplete);
    assert!(project.read("other/package-lock.json").contains(&left.integrity));
}

#[test]
fn what_contradicts_the_registry_is_never_completed() {
    let (project, whole) = project();
    let forged = ContentId::sha512_of(b"forged").sri();
    let right = project.registry.publish("@x/right", "2.0.0", &[]);
    let incomplete = without(&whole, "resolved").replace(&right.integrity, &forged);
    project.write("web/package-lock.json", &incomplete);
    let transcript = project.transcript(&["repair"]);
    let error = format!("its integrity {forged} is not that of @x/right@2.0.0, which is {}", right.integrity);
    assert!(transcript.starts_with("exit 2") && transcript.contains(&error), "{transcript}");
    assert_eq!(project.read("web/package-lock.json"), incomplete);
    let remote = whole.replace(&right.url, "https://example.com/right.tgz");
    project.write("web/package-lock.json", without(&remote, "integrity"));
    let transcript = project.transcript(&["repair"]);
    assert!(
        transcript.contains("https://example.com/right.tgz is not a tarball of a registry"),
        "{transcript}"
    );
}

#[test]
fn sha1_alone_is_strengthened_where_that_is_wanted() {
    let (project, whole) = project();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let weak = whole.replace(&left.integrity, &sha1(&left.bytes).sri());
    project.write("web/package-lock.json", &weak);
    assert_eq!(project.transcript(&["repair"]), "exit 0\n--- stdout\n1 complete\n");
    assert_eq!(project.read("web/package-lock.json"), weak);
    let done = project.transcript(&["repair", "--strengthen"]);
    assert!(done.contains("1 package completed: left@1.0.0"), "{done}");
    assert_eq!(project.read("web/package-lock.json"), whole);
}

#[test]
fn a_private_scope_is_asked_about_at_its_own_registry() {
    let (project, whole) = project();
    let corporate = Registry::start();
    let right = corporate.publish("@x/right", "2.0.0", &[]);
    corporate.require("/@x", "Bearer hunter2hunter2");
    let host = corporate.url();
    let npmrc =
        format!("@x:registry={host}/\n{}/:_authToken=hunter2hunter2\n", host.trim_start_matches("http:"));
    project.write("../home/.npmrc", npmrc);
    project.write("web/package-lock.json", without(&without(&whole, "resolved"), "integrity"));
    let transcript = project.transcript(&["repair"]);
    assert!(transcript.starts_with("exit 0") && !transcript.contains("hunter2"), "{transcript}");
    assert!(project.read("web/package-lock.json").contains(&right.integrity));
    assert_eq!((corporate.count("/@x%2fright"), project.registry.count("/@x%2fright")), (1, 0));
}

#[test]
fn lockfile_and_hash_change_together_or_not_at_all() {
    let (project, whole) = project();
    let expected = String::from_utf8(project.run(&["hash", "web"]).stdout).unwrap();
    let incomplete = without(&whole, "resolved");
    project.write("web/package-lock.json", &incomplete);
    assert!(project.transcript(&["update"]).starts_with("exit 2"));
    let patch = project.run(&["update", "--repair", "--dry-run"]).stdout;
    let patch = String::from_utf8(patch).unwrap();
    assert!(patch.contains("+++ b/web/package-lock.json") && patch.contains(expected.trim()), "{patch}");
    assert_eq!(
        (project.read("default.nix").as_str(), project.read("web/package-lock.json")),
        (SITES, incomplete.clone())
    );
    let transcript = project.transcript(&["update", "--repair"]);
    assert!(transcript.starts_with("exit 0") && transcript.contains("4 entries completed"), "{transcript}");
    assert_eq!(project.read("web/package-lock.json"), whole);
    assert!(project.read("default.nix").contains(expected.trim()));
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n1 in sync\n");
    // A lockfile that cannot be completed keeps both files as they are.
    let gone = incomplete.replace("\"version\": \"1.0.0\"", "\"version\": \"1.0.9\"");
    project.write("web/package-lock.json", &gone);
    project.write("default.nix", SITES);
    let transcript = project.transcript(&["update", "--repair"]);
    assert!(
        transcript.starts_with("exit 2") && transcript.contains("the registry has no left@1.0.9"),
        "{transcript}"
    );
    assert_eq!((project.read("default.nix").as_str(), project.read("web/package-lock.json")), (SITES, gone));
}

#[test]
fn a_path_without_any_lockfile_is_an_error() {
    let (project, _) = project();
    fs::create_dir_all(project.path("empty")).unwrap();
    assert!(
        project
            .transcript(&["repair", "empty"])
            .starts_with("exit 2\n--- stderr\nerror: no npm derivation at ")
    );
    fs::remove_file(project.path("default.nix")).unwrap();
    assert_eq!(
        project.transcript(&["repair"]),
        "exit 2\n--- stderr\nerror: no npm derivation that is meant has a lockfile in the repository\n  hint: name the \
         lockfile itself\n"
    );
}
