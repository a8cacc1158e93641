//! What the program prints as JSON against the schemas in `docs/`, which a second reading makes strict: a field that a
//! schema does not name is an error as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::registry::Fault;

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; src = ./web; npmDepsHash = ""; };
  broken = pkgs.buildNpmPackage { pname = "broken"; version = "1"; src = ./broken; npmDepsHash = ""; };
  gone = pkgs.buildNpmPackage { src = ./gone; npmDepsHash = ""; };
  far = pkgs.buildNpmPackage { src = pkgs.someFunction ./web; npmDepsHash = ""; };
  away = pkgs.buildNpmPackage { src = pkgs.fetchFromGitHub { owner = "o"; repo = "r"; rev = "v1"; hash = ""; }; npmDepsHash = ""; };
}
"#;

fn schema(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    close(&mut schema);
    schema
}

/// Lets no object have a property that is not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            object.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn validate(schema: &Value, text: &[u8]) -> Value {
    let value: Value = serde_json::from_slice(text).unwrap();
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
    value
}

#[test]
fn every_report_is_what_its_schema_says() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    let right = project.registry.publish("right", "1.0.0", &[]);
    project.registry.fault(&right.path, 99, Fault::Status(404));
    for (folder, package) in [("web", &left), ("broken", &right), ("old", &left)] {
        project.lock(folder, &[package]);
    }
    project.write("default.nix", SITES);
    project.write("unreadable.nix", "{ npmDepsHash = ; }");
    let schema = schema("report.schema.json");
    let mut statuses = BTreeSet::new();
    let mut run = |args: &[&str]| {
        let report = validate(&schema, &project.run(args).stdout);
        let sites = report["sites"].as_array().unwrap().clone();
        statuses.extend(sites.iter().map(|site| site["status"].as_str().unwrap().to_owned()));
        report
    };
    run(&["list", "--json"]);
    let report = run(&["check", "--json"]);
    for kind in ["problems", "uncovered"] {
        assert!(!report[kind].as_array().unwrap().is_empty(), "{kind}");
    }
    run(&["update", "--json"]);
    fs::remove_file(project.path("unreadable.nix")).unwrap();
    let decided = |line: &&str| !["gone =", "broken =", "away ="].iter().any(|word| line.contains(word));
    project.write("default.nix", SITES.lines().filter(decided).collect::<Vec<_>>().join("\n"));
    for args in
        [&["update", "--json", "--dry-run"][..], &["update", "--json"], &["check", "--format", "json"]]
    {
        run(args);
    }
    let all = ["failed", "in-sync", "remote", "resolved", "stale", "undecided", "updated"];
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), all, "the test sees every status");
}

#[test]
fn a_hash_is_what_its_schema_says() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("web", &[&left]);
    let schema = schema("hash.schema.json");
    validate(&schema, &project.run(&["hash", "web", "--json"]).stdout);
    let named = validate(&schema, &project.run(&["hash", "web", "--json", "--store-path", "x"]).stdout);
    assert!(named["store_path"].as_str().unwrap().starts_with("/nix/store/"));
}

#[test]
fn a_repair_is_what_its_schema_says() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("whole", &[&left]);
    for (folder, version) in [("web", "1.0.0"), ("gone", "9.9.9")] {
        let packages = json!({ "node_modules/left": { "version": version } });
        project.write(
            &format!("{folder}/package-lock.json"),
            format!("{:#}\n", json!({ "lockfileVersion": 3, "packages": packages })),
        );
    }
    let schema = schema("repair.schema.json");
    let files = ["web/package-lock.json", "whole/package-lock.json", "gone/package-lock.json"];
    let run = |options: &[&str]| {
        validate(&schema, &project.run(&[&["repair", "--json"], options, &files].concat()).stdout)
    };
    for (options, word) in [(&["--check"][..], "incomplete"), (&[], "completed")] {
        let report = run(options);
        let statuses: Vec<_> = report["lockfiles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["status"].as_str().unwrap())
            .collect();
        assert_eq!(statuses, [word, "complete", "failed"]);
        let entry = json!({ "place": "node_modules/left", "package": "left@1.0.0", "resolved": true, "integrity": true });
        assert_eq!(report["lockfiles"][0]["entries"], json!([entry]));
        assert_eq!(
            report["lockfiles"][2]["errors"][0]["message"],
            "node_modules/left: the registry has no left@9.9.9; the nearest is 1.0.0"
        );
        assert_eq!((&report["summary"][word], &report["summary"]["failed"]), (&json!(1), &json!(1)));
    }
}

#[test]
fn the_page_names_every_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/json.md")).unwrap();
    let source = fs::read_to_string(root.join("crates/nix-sites/src/reason.rs")).unwrap();
    let (_, codes) = source.split_once("pub fn code(self)").expect("reasons have codes");
    let (codes, _) = codes.split_once("pub fn cure(self)").expect("reasons have cures");
    let codes: Vec<_> = codes.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("`{code}`")), "docs/json.md does not name {code}");
    }
}
