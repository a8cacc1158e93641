//! `--format sarif` against the official schema, and its findings at their places with the fixes they bring.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::project::Project;
use crate::support::registry::Fault;

const SITES: &str = r#"{ pkgs }:
let make = { src, hash }: pkgs.buildNpmPackage { pname = "x"; inherit src; npmDepsHash = hash; };
in {
  "ünï" = pkgs.buildNpmPackage { src = ./web; npmDepsHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; };
  api = pkgs.buildNpmPackage { src = ./web; npmDepsHash = pkgs.lib.fakeHash; };
  data = make { src = ./web; hash = (builtins.fromJSON (builtins.readFile ./hashes.json)).data; };
  text = make { src = ./web; hash = ''
    sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=''; };
  far = pkgs.buildNpmPackage { src = pkgs.someFunction ./web; npmDepsHash = ""; };
  broken = make { src = ./broken; hash = ""; };
  lacking = make { src = ./lacking; hash = ""; };
  two = pkgs.buildNpmPackage {
    src = ./web; npmDeps = pkgs.fetchNpmDeps { src = ./web; fetcherVersion = 2; hash = ""; };
  };
}
"#;

/// A repository in which there is something of every kind.
fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    let right = project.registry.publish("right", "1.0.0", &[]);
    project.registry.fault(&right.path, 99, Fault::Status(404));
    project.lock("web", &[&left]);
    project.lock("old", &[&left]);
    project.lock("broken", &[&right]);
    project.lock("lacking", &[&left]);
    let mut lacking: Value = serde_json::from_str(&project.read("lacking/package-lock.json")).unwrap();
    lacking["packages"]["node_modules/left"].as_object_mut().unwrap().remove("resolved");
    project.write("lacking/package-lock.json", lacking.to_string());
    project.write("web/package.json", r#"{ "dependencies": { "left": "^2" } }"#);
    project.write("hashes.json", "{ \"data\": \"\" }\n");
    project.write("default.nix", SITES);
    project.write("unreadable.nix", "{ npmDepsHash = ; }");
    project
}

/// The log of a run, valid by the schema.
fn log(project: &Project, args: &[&str]) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sarif/sarif-2.1.0-rtm.5.json");
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    // A bracket in it that nothing opens is a letter to a browser, and an error to others. The field is never written here.
    for part in ["run", "toolComponent"] {
        let language = schema["definitions"][part]["properties"]["language"].as_object_mut().unwrap();
        assert!(language.remove("pattern").is_some());
    }
    let validator = jsonschema::validator_for(&schema).unwrap();
    let output = project.run(args);
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{log:#}");
    log
}

fn results(log: &Value) -> &Vec<Value> {
    log["runs"][0]["results"].as_array().unwrap()
}

/// Replaces what a fix says, in characters and lines as SARIF counts them here.
fn fix(project: &Project, result: &Value) {
    let change = &result["fixes"][0]["artifactChanges"][0];
    let file = change["artifactLocation"]["uri"].as_str().unwrap();
    assert_eq!(change["artifactLocation"]["uriBaseId"], "%SRCROOT%");
    let replacement = &change["replacements"][0];
    let number =
        |name: &str| usize::try_from(replacement["deletedRegion"][name].as_u64().unwrap()).unwrap() - 1;
    let text = project.read(file);
    let offset = |line: usize, column: usize| {
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        start + text[start..].chars().take(column).map(char::len_utf8).sum::<usize>()
    };
    let start = offset(number("startLine"), number("startColumn"));
    let end = offset(number("endLine"), number("endColumn"));
    let inserted = replacement["insertedContent"]["text"].as_str().unwrap();
    project.write(file, format!("{}{inserted}{}", &text[..start], &text[end..]));
}

#[test]
fn a_log_of_every_kind_of_finding_is_valid_and_its_rules_have_help() {
    let project = project();
    let log = log(&project, &["check", "--format", "sarif"]);
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let mut kinds = BTreeSet::new();
    for result in results(&log) {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(rule["help"]["markdown"].as_str().unwrap().len() > 30, "{rule}");
        assert!(!result["locations"][0]["physicalLocation"]["region"]["startLine"].is_null());
        kinds.insert(result["ruleId"].as_str().unwrap());
    }
    let expected = [
        "fetcher-version",
        "incomplete",
        "no-hash",
        "out-of-step",
        "placeholder",
        "stale",
        "uncovered",
        "undecided",
        "unreadable",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    // What is said of no place is not a result.
    fs::remove_file(project.path("default.nix")).unwrap();
    fs::remove_file(project.path("unreadable.nix")).unwrap();
    let log = self::log(&project, &["check", "--format", "sarif"]);
    let told = &log["runs"][0]["invocations"][0];
    assert_eq!(told["executionSuccessful"], true);
    assert_eq!(
        told["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap().split(';').next().unwrap(),
        "npm-nixhash: no npm derivation was found, although there are lockfiles"
    );
    self::log(&project, &["list", "--format", "sarif"]);
    self::log(&project, &["update", "--format", "sarif"]);
}

#[test]
fn a_hash_has_its_region_and_its_fixes_do_what_update_does() {
    let project = project();
    let sites: Vec<_> =
        SITES.lines().filter(|line| !line.contains("broken") && !line.contains("lacking")).collect();
    project.write("default.nix", sites.join("\n") + "\n");
    fs::remove_file(project.path("unreadable.nix")).unwrap();
    let log = log(&project, &["check", "--format", "sarif"]);
    let region = |line: u32, column: u32, end_line: u32, end: u32| json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end });
    let fixed: Vec<&Value> = results(&log).iter().filter(|result| !result["fixes"].is_null()).collect();
    let regions: Vec<_> =
        fixed.iter().map(|result| result["locations"][0]["physicalLocation"]["region"].clone()).collect();
    assert_eq!(
        regions,
        [
            region(4, 61, 4, 114),
            region(5, 59, 5, 76),
            region(7, 37, 8, 58),
            region(11, 88, 11, 90),
            region(1, 11, 1, 13)
        ]
    );
    // From the end, so that no fix moves the place of another.
    for result in fixed.iter().rev() {
        fix(&project, result);
    }
    let files = ["default.nix", "hashes.json"];
    let by_fixes = files.map(|file| project.read(file));
    project.write("default.nix", sites.join("\n") + "\n");
    project.write("hashes.json", "{ \"data\": \"\" }\n");
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    assert_eq!(by_fixes, files.map(|file| project.read(file)));
}

#[test]
fn no_finding_stands_in_a_wrapper_that_makes_many_services() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    project.lock("a", &[&left]);
    project.registry.fault(&left.path, 99, Fault::Status(404));
    let wrapper = r#"{ pkgs }: { name, src, hash }:
pkgs.buildNpmPackage {
  pname = name;
  src = if name == "odd" then pkgs.someFunction src else src;
  npmDepsHash = hash;
}
"#;
    project.write("make.nix", wrapper);
    let services = r#"{ pkgs }: let make = import ./make.nix { inherit pkgs; }; in {
  a = make { name = "a"; src = ./a; hash = ""; };
  odd = make { name = "odd"; src = ./a; hash = ""; };
  gone = make { name = "gone"; src = ./gone; hash = ""; };
  none = make { name = "none"; src = ./a; hash = pkgs.unknown; };
}
"#;
    project.write("default.nix", services);
    let log = log(&project, &["check", "--format", "sarif"]);
    let place = |location: &Value| {
        let place = &location["physicalLocation"];
        (place["artifactLocation"]["uri"].as_str().unwrap().to_owned(), place["region"]["startLine"].as_u64())
    };
    let places: BTreeSet<_> = results(&log).iter().map(|result| place(&result["locations"][0])).collect();
    let expected = [2, 3, 4, 5].map(|line| ("default.nix".to_owned(), Some(line)));
    assert_eq!(places.into_iter().collect::<Vec<_>>(), expected);
    let odd =
        results(&log).iter().find(|result| result["message"]["text"].as_str().unwrap().contains("of odd"));
    assert_eq!(place(&odd.unwrap()["relatedLocations"][0]), ("make.nix".to_owned(), Some(4)));
    let github = project.transcript(&["check", "--format", "github"]);
    let issues: Value =
        serde_json::from_slice(&project.run(&["check", "--format", "codequality"]).stdout).unwrap();
    assert!(!github.contains("file=make.nix") && github.contains("(make.nix:4:"), "{github}");
    for issue in issues.as_array().unwrap() {
        assert_eq!(issue["location"]["path"], "default.nix", "{issue}");
    }
}
