//! `check`, `list` and `hash`, as their users see them.

use serde_json::Value;

use crate::support::project::{Project, hash_of_tree};

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; src = ./web; npmDepsHash = ""; };
  gone = pkgs.buildNpmPackage { pname = "gone"; src = ./gone; npmDepsHash = ""; };
}
"#;

fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let right = project.registry.publish("@x/right", "2.0.0", &[]);
    project.lock("web", &[&left, &right]);
    project.write(
        "default.nix",
        SITES.lines().filter(|line| !line.contains("gone")).collect::<Vec<_>>().join("\n"),
    );
    project
}

#[test]
fn hash_is_the_hash_of_the_tree_it_writes() {
    let project = project();
    let hash = project.run(&["hash", "web/package-lock.json", "tree", "--nar", "deps.nar"]);
    let hash = String::from_utf8(hash.stdout).unwrap();
    assert_eq!(hash.trim(), hash_of_tree(&project.path("tree")));
    assert_eq!(project.transcript(&["hash", "web"]), format!("exit 0\n--- stdout\n{hash}"));
    let json: Value = serde_json::from_slice(&project.run(&["hash", "web", "--json"]).stdout).unwrap();
    assert_eq!((json["hash"].as_str(), json["packages"].as_u64()), (Some(hash.trim()), Some(2)));
}

#[test]
fn check_tells_what_each_literal_should_say_and_writes_nothing() {
    let project = project();
    let hash = String::from_utf8(project.run(&["hash", "web"]).stdout).unwrap();
    let before = project.read("default.nix");
    let expected = format!(
        "exit 1\n--- stdout\nstale  web  placeholder -> {}  default.nix:3:74\n1 stale\n",
        hash.trim()
    );
    assert_eq!(project.transcript(&["check"]), expected);
    assert_eq!(project.read("default.nix"), before);
    project.run(&["update"]);
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n1 in sync\n");
    // One byte of the lockfile is drift.
    project.write("web/package-lock.json", project.read("web/package-lock.json") + "\n");
    assert!(project.transcript(&["check"]).starts_with("exit 1"));
}

#[test]
fn a_missing_lockfile_fails_by_its_path() {
    let project = project();
    project.write("default.nix", SITES);
    let transcript = project.transcript(&["check"]);
    assert!(transcript.starts_with("exit 2"), "{transcript}");
    assert!(transcript.contains("there is no lockfile at gone/package-lock.json"), "{transcript}");
    assert!(transcript.contains("hint: write it with"), "{transcript}");
}

#[test]
fn json_is_versioned_and_names_every_site() {
    let project = project();
    let output = project.run(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema_version"], 1);
    assert_eq!(report["summary"]["stale"], 1);
    let site = &report["sites"][0];
    assert_eq!((&site["status"], &site["lockfile"]), (&"stale".into(), &"web/package-lock.json".into()));
    assert_eq!(site["literals"][0]["place"]["line"], 3);
    assert_eq!(site["literals"][0]["new"], site["hash"]);
}

#[test]
fn list_explains_each_answer() {
    let project = project();
    let list = project.transcript(&["list"]);
    let row = list.lines().find(|line| line.starts_with("resolved  web")).unwrap();
    assert!(row.contains("default.nix:3:74") && row.contains("web/package-lock.json"), "{list}");
    let explained = project.transcript(&["list", "--explain"]);
    assert!(explained.contains("default.nix:3:53: the source is written here: `./web`"), "{explained}");
    assert!(project.registry.requests().is_empty(), "list fetches nothing");
}

#[test]
fn commented_out_hashes_strings_and_documents_are_no_sites() {
    let project = project();
    project.write("README.md", "npmDepsHash = \"\";");
    project.write(
        "default.nix",
        "{ pkgs }:\n{\n  # npmDepsHash = \"\";\n  /* src = ./web; npmDepsHash = \"\"; */\n  text = \"npmDepsHash = \\\"\\\";\";\n  long = ''\n    npmDepsHash = \"\";\n  '';\n}\n",
    );
    assert_eq!(
        project.transcript(&["check"]),
        "exit 1\n--- stdout\nno npm derivation found, 1 lockfile without a derivation\n--- stderr\nwarning: no npm derivation \
         was found, although there are lockfiles\n  hint: if they do not matter, name them in `ignore-lockfiles` of \
         npm-nixhash.toml\nwarning: no npmDepsHash covers the lockfile web/package-lock.json\n"
    );
}

#[test]
fn ignored_files_are_not_looked_at() {
    let project = project();
    project.write("result/broken.nix", "{ npmDepsHash = ");
    project.write(".gitignore", "result\n");
    project.run(&["update"]);
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n1 in sync\n");
}

#[test]
fn no_secret_of_the_environment_is_ever_shown() {
    let project = project();
    let left = "/left/-/left-1.0.0.tgz";
    project.registry.fault(left, 99, crate::support::registry::Fault::Status(401));
    let secret = "s3cret-t0ken";
    for args in [&["update"][..], &["check", "--json"], &["list", "--explain"]] {
        let mut command = project.command(args);
        command.env("NPM_TOKEN", secret).env("GIT_CONFIG_VALUE_0", format!("https://x:{secret}@host/"));
        command.env("NIX_NPM_TOKENS", format!("{{\"127.0.0.1\": \"{secret}\"}}"));
        let shown = project.render(&command.output().unwrap());
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn passwords_that_lockfiles_write_into_urls_are_not_repeated() {
    let project = project();
    let entries = [
        r#""resolved": "https://u:hunter2@host/a.tgz?sig=hunter2""#,
        r#""resolved": "https://u:hunter2@host/a.tgz", "integrity": "sha512-broken""#,
        r#""resolved": "https://u:hunter2@host:99999/a.tgz""#,
        r#""resolved": "git+https://u:hunter2@host/a/b.git#c""#,
        r#""resolved": "git+https://u:hunter2@github.com/a#c""#,
        r#""resolved": "git+https://u:hunter2@github.com/a/b""#,
        r#""version": "git+https://u:hunter2@github.com/a/b""#,
    ];
    let mut all = String::new();
    for entry in entries {
        let packages = format!(r#"{{"lockfileVersion": 3, "packages": {{"node_modules/a": {{{entry}}}}}}}"#);
        let dependencies = format!(r#"{{"lockfileVersion": 1, "dependencies": {{"a": {{{entry}}}}}}}"#);
        for lockfile in [packages, dependencies] {
            project.write("web/package-lock.json", &lockfile);
            for args in
                [&["check"][..], &["check", "--json"], &["hash", "--offline", "web"], &["list", "--explain"]]
            {
                let shown = project.transcript(args);
                assert!(!shown.contains("hunter2"), "{lockfile}\n{shown}");
                all.push_str(&shown);
            }
        }
    }
    assert!(all.contains("no integrity for https://***@host/a.tgz?***"), "{all}");
    assert!(all.contains("git+https://***@github.com/a"), "{all}");
}

#[test]
fn help_documents_the_exit_codes() {
    let project = Project::new();
    for args in [&["--help"][..], &["update", "--help"], &["check", "--help"], &["list", "--help"]] {
        let help = project.transcript(args);
        assert!(help.contains("Exit codes:") && help.contains("2  failed"), "{help}");
    }
    assert!(
        project
            .transcript(&["check", "/no/such/place"])
            .starts_with("exit 2\n--- stderr\nerror: cannot read")
    );
    assert!(project.transcript(&["frobnicate"]).starts_with("exit 2"));
}

/// This repository's own flake offers an overlay that replaces the fetcher, which is no concern of the demo's flake.
#[test]
fn the_demo_is_decided_where_it_lies() {
    let project = Project::new();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo");
    let transcript = project.transcript(&["list", demo, "--json"]);
    assert!(transcript.starts_with("exit 0"), "{transcript}");
    assert_eq!(transcript.matches("\"status\": \"resolved\"").count(), 3, "{transcript}");
    assert!(!transcript.contains("overlay replaces"), "{transcript}");
}
