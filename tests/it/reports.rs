//! The forms of a report, each as its reader gets it.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::project::Project;
use crate::support::registry::Fault;

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; src = ./web; npmDepsHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; };
  api = pkgs.buildNpmPackage { pname = "api"; src = ./api; npmDepsHash = pkgs.lib.fakeHash; };
  far = pkgs.buildNpmPackage { pname = "far"; src = pkgs.someFunction ./api; npmDepsHash = ""; };
}
"#;

const GITHUB: &str = "\
::error file=default.nix,line=3,col=74,title=the npmDepsHash of web is stale::the hash of web is stale: it says sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; web/package-lock.json needs [WEB]
::error file=default.nix,line=4,col=74,title=the npmDepsHash of api is a placeholder::the hash of api is a placeholder; api/package-lock.json needs [API]
::warning file=default.nix,line=5,col=53,title=the npmDepsHash of far cannot be checked::`src` is not known: the result of `pkgs.someFunction`, which is not known here; to settle it: [SETTLE]
::warning file=old/package-lock.json,line=1,col=1,title=a lockfile without an npmDepsHash::no npmDepsHash covers this lockfile
";

fn project() -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let right = project.registry.publish("@x/right", "2.0.0", &[]);
    project.lock("web", &[&left, &right]);
    project.lock("api", &[&left]);
    project.lock("old", &[&left]);
    project.lock("web/node_modules/left", &[&left]);
    project.write("default.nix", SITES);
    project
}

fn hash(project: &Project, folder: &str) -> String {
    stdout(&project.run(&["hash", folder])).trim().to_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The text with what differs replaced.
fn masked(project: &Project, text: &str) -> String {
    let settle =
        "write `# npm-nixhash: lockfile=PATH` in the line above the hash, PATH being relative to the file";
    text.replace(&hash(project, "web"), "[WEB]")
        .replace(&hash(project, "api"), "[API]")
        .replace(settle, "[SETTLE]")
}

#[test]
fn github_annotations_stand_at_their_places() {
    let project = project();
    let output = project.run(&["check", "--format", "github"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(masked(&project, &stdout(&output)), GITHUB);
    // Below the repository's top the files are still named from there.
    let mut below = project.command(&["check", "--format", "github", ".."]);
    let output = below.current_dir(project.path("web")).output().unwrap();
    assert!(stdout(&output).contains("::error file=default.nix,line=3,"), "{}", stdout(&output));
}

#[test]
fn in_github_actions_annotations_and_a_summary_come_by_themselves() {
    let project = project();
    let check = |args: &[&str]| {
        let mut command = project.command(args);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", project.path("summary.md"));
        command.output().unwrap()
    };
    project.write("summary.md", "before\n");
    let output = check(&["check"]);
    assert!(
        stdout(&output)
            .starts_with("stale  web  sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= -> sha256-"),
        "{}",
        stdout(&output)
    );
    assert!(masked(&project, &stderr(&output)).contains(GITHUB), "{}", stderr(&output));
    let summary = project.read("summary.md");
    assert!(summary.starts_with("before\n### npm-nixhash: 2 stale, 1 undecided\n"), "{summary}");
    // Told otherwise, and elsewhere, nothing of this happens.
    for args in [&["check", "--format", "human"][..], &["check", "--json"], &["list"]] {
        assert!(!stderr(&check(args)).contains("::"), "{args:?}");
    }
    assert!(!stderr(&project.run(&["check"])).contains("::error"));
    assert_eq!(project.read("summary.md"), summary);
}

#[test]
fn markdown_has_a_table_and_the_patch() {
    let project = project();
    let output = project.run(&["check", "--format", "markdown"]);
    let expected = "\
### npm-nixhash: 2 stale, 1 undecided

| service | hash at | lockfile | says | should say |
|---|---|---|---|---|
| <code>web</code> | <code>default.nix&#58;3</code> | <code>web/package-lock.json</code> | <code>sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</code> | <code>[WEB]</code> |
| <code>api</code> | <code>default.nix&#58;4</code> | <code>api/package-lock.json</code> | a placeholder | <code>[API]</code> |

Run `npm-nixhash update`, or save this as `hashes.patch` and run `git apply hashes.patch` at the top of the repository:

```diff
[PATCH]```

**Not decided, so not checked**

- <code>far</code>: <code>&#96;src&#96; is not known&#58; the result of &#96;pkgs.someFunction&#96;, which is not known here</code>; its hash is a placeholder

**Lockfiles that no `npmDepsHash` covers**

- <code>old/package-lock.json</code>
";
    let patch = stdout(&project.run(&["check", "--format", "patch"]));
    assert_eq!(masked(&project, &stdout(&output).replace(&patch, "[PATCH]")), expected);
}

#[test]
fn several_reports_come_from_one_run() {
    let project = project();
    let args = ["check", "--output", "json=r.json", "--output", "markdown=r.md", "--output", "human=r.txt"];
    let output = project.run(&[&args[..], &["--output", "codequality=r.cq", "--format", "patch"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_str(&project.read("r.json")).unwrap();
    assert_eq!(report["patch"].as_str(), Some(&*stdout(&output)));
    assert_eq!(report["uncovered"][0], "old/package-lock.json");
    assert_eq!(report["sites"][1]["literals"][0]["placeholder"], true);
    assert!(project.read("r.md").contains(&stdout(&output)));
    assert_eq!(project.read("r.txt"), stdout(&project.run(&["check"])));
    let issues: Value = serde_json::from_str(&project.read("r.cq")).unwrap();
    assert_eq!(issues.as_array().unwrap().len(), 4);
    assert_eq!(
        (&issues[0]["check_name"], &issues[0]["severity"]),
        (&"npm-nixhash/stale".into(), &"major".into())
    );
    assert_eq!(issues[0]["location"], serde_json::json!({ "path": "default.nix", "lines": { "begin": 3 } }));
    let output = project.run(&["check", "--output", "json=no/such/folder"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains(
            "error: cannot write [ROOT]/no/such/folder\n  caused by: "
                .replace("[ROOT]", &project.root().display().to_string())
                .as_str()
        )
    );
    for wrong in ["json", "json=", "xml=r.xml"] {
        assert_eq!(project.run(&["check", "--output", wrong]).status.code(), Some(2), "{wrong}");
    }
    assert!(
        project
            .transcript(&["list", "--format", "patch"])
            .contains("hint: `npm-nixhash check --format patch` has")
    );
}

#[test]
fn names_from_the_repository_inject_no_command_and_no_line() {
    let project = project();
    let attack = r#"{ pkgs }:
{
  "a\n::error::x%0A##[add-mask]y" = pkgs.buildNpmPackage { pname = "::stop-commands::z"; src = ./web; npmDepsHash = ""; };
  b = pkgs.buildNpmPackage { pname = "::set-output name=x::y"; src = ./missing; npmDepsHash = ""; };
}
"#;
    project.write("x,y:\n::error::z.nix", attack);
    fs::remove_file(project.path("default.nix")).unwrap();
    for args in [&["check"][..], &["check", "--format", "github"], &["list", "--explain"], &["update"]] {
        let output = project.command(args).env("GITHUB_ACTIONS", "true").output().unwrap();
        for line in (stdout(&output) + &stderr(&output)).lines() {
            let ours = ["::error file=x%2Cy%3A%0A%3A%3Aerror%3A%3Az.nix,line=", "::warning file="];
            let command =
                line.trim_start().starts_with("::") || line.contains("##[") && !line.starts_with("::");
            assert!(!command || ours.iter().any(|start| line.starts_with(start)), "{args:?}: {line}");
        }
    }
}

type Change = fn(&str) -> String;

/// What makes life hard for patches: each one a file's name and a text.
const ODD: [(&str, Change); 7] = [
    ("plain.nix", str::to_owned),
    ("no newline.nix", |text| text.trim_end().to_owned()),
    ("crlf.nix", |text| text.replace('\n', "\r\n")),
    ("sub folder/ünïcode näme.nix", |text| text.replace("./", "../")),
    ("quo\"te\\tab\t.nix", str::to_owned),
    ("bom.nix", |text| format!("\u{feff}{text}")),
    ("one-line.nix", |text| text.replace('\n', " ")),
];

fn git(project: &Project, folder: &str, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(args).current_dir(project.path(folder)).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let done = command.output().unwrap();
    assert!(done.status.success(), "git {args:?}: {}", stderr(&done));
}

#[test]
fn git_takes_the_patch_of_any_file_from_the_top() {
    let project = project();
    fs::remove_file(project.path("default.nix")).unwrap();
    fs::remove_dir(project.path(".git")).unwrap();
    let text = SITES.lines().filter(|line| !line.contains("far =")).collect::<Vec<_>>();
    for (name, change) in ODD {
        project.write(name, change(&(text.join("\n") + "\n")));
    }
    std::os::unix::fs::symlink("plain.nix", project.path("default.nix")).unwrap();
    git(&project, "", &["init", "-q"]);
    let output = project.run(&["check", "--output", "patch=../p.patch"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    git(&project, "", &["apply", "--check", "../p.patch"]);
    git(&project, "", &["apply", "../p.patch"]);
    let by_patch: Vec<_> = ODD.map(|(name, _)| project.read(name)).into();
    assert_eq!(project.run(&["check"]).status.code(), Some(0));
    git(&project, "", &["apply", "-R", "../p.patch"]);
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    assert_eq!(ODD.map(|(name, _)| project.read(name)).to_vec(), by_patch, "patch and update agree");
    assert!(fs::symlink_metadata(project.path("default.nix")).unwrap().is_symlink());
}

#[test]
fn a_patch_made_below_the_top_is_for_the_top() {
    let project = project();
    fs::remove_dir(project.path(".git")).unwrap();
    git(&project, "", &["init", "-q"]);
    project.write("deep/er/default.nix", SITES.replace("./", "../../"));
    let mut command = project.command(&["check", "--format", "patch", "."]);
    let output = command.current_dir(project.path("deep/er")).output().unwrap();
    assert!(stdout(&output).starts_with("diff --git a/deep/er/default.nix b/deep/er/default.nix\n"));
    project.write("../p.patch", &output.stdout);
    git(&project, "", &["apply", "../p.patch"]);
    assert!(project.transcript(&["check", "deep"]).starts_with("exit 0"));
}

#[test]
fn uncovered_lockfiles_are_named_and_can_be_denied() {
    let project = project();
    project.run(&["update"]);
    let transcript = project.transcript(&["check"]);
    assert!(transcript.starts_with("exit 0"), "{transcript}");
    assert!(
        transcript.contains("warning: no npmDepsHash covers the lockfile old/package-lock.json\n"),
        "{transcript}"
    );
    assert!(project.transcript(&["list"]).contains("warning: no npmDepsHash covers the lockfile old/"));
    assert!(!project.transcript(&["update"]).contains("covers"));
    assert!(project.transcript(&["check", "--deny", "uncovered"]).starts_with("exit 1"));
    let denied = project.transcript(&["update", "--deny", "uncovered"]);
    let error = "error: there are lockfiles that no npmDepsHash covers\n";
    assert!(denied.starts_with("exit 2") && denied.ends_with(error), "{denied}");
    project.write(".gitignore", "/old\n");
    assert!(project.transcript(&["check", "--deny", "uncovered"]).starts_with("exit 0"));
    // Only what the path names counts, also where the derivation stands elsewhere.
    project.write(".gitignore", "");
    assert!(project.transcript(&["check", "--deny", "uncovered", "web"]).starts_with("exit 0"));
    let said = project.transcript(&["check", "old"]);
    assert!(
        said.starts_with(
            "exit 2\n--- stderr\nerror: no npm derivation uses the lockfile at [ROOT]/old: 3 sites"
        ),
        "{said}"
    );
}

#[test]
fn placeholders_left_behind_are_named() {
    let project = project();
    let transcript = project.transcript(&["check"]);
    assert!(transcript.contains("\nstale  api  placeholder -> sha256-"), "{transcript}");
    assert!(
        transcript.contains("far is undecided: ") && transcript.contains("; its hash is a placeholder\n")
    );
    assert!(project.transcript(&["list"]).contains("api/package-lock.json  (placeholder)\n"));
    project.run(&["update"]);
    assert!(project.transcript(&["check"]).starts_with("exit 0"));
    let transcript = project.transcript(&["check", "--deny", "fake"]);
    assert!(transcript.starts_with("exit 1"), "{transcript}");
    // What `update` fills is none of them.
    project.write(
        "default.nix",
        SITES.lines().filter(|line| !line.contains("far")).collect::<Vec<_>>().join("\n"),
    );
    assert!(project.transcript(&["update", "--deny", "fake"]).starts_with("exit 0"));
}

#[test]
fn a_missing_lockfile_is_named_by_list_too() {
    let project = project();
    fs::remove_file(project.path("web/package-lock.json")).unwrap();
    for command in ["list", "check"] {
        let transcript = project.transcript(&[command]);
        assert!(transcript.starts_with("exit 2"), "{transcript}");
        assert!(transcript.contains("there is no lockfile at web/package-lock.json"), "{transcript}");
    }
    assert!(
        project
            .transcript(&["list"])
            .contains("\n  because   there is no lockfile at web/package-lock.json\n")
    );
    assert!(
        project
            .transcript(&["check", "--format", "github"])
            .contains("title=the npmDepsHash of web cannot be computed")
    );
}

#[test]
fn ten_services_that_fail_make_a_short_comment() {
    let project = Project::new();
    let mut sites = String::from("{ pkgs }: {\n");
    for number in 0..10 {
        let names = (0..12).map(|n| format!("p{number}-{n}"));
        let packages: Vec<_> = names.map(|name| project.registry.publish(&name, "1.0.0", &[])).collect();
        for package in &packages {
            project.registry.fault(&package.path, 99, Fault::Status(403));
        }
        project.lock(&format!("s{number}"), &packages.iter().collect::<Vec<_>>());
        writeln!(sites, "  s{number} = pkgs.buildNpmPackage {{ src = ./s{number}; npmDepsHash = \"\"; }};")
            .unwrap();
        writeln!(
            sites,
            "  u{number} = pkgs.buildNpmPackage {{ src = pkgs.f{number} ./u; npmDepsHash = \"\"; }};"
        )
        .unwrap();
    }
    let good = project.registry.publish("good", "1.0.0", &[]);
    project.lock("good", &[&good]);
    sites += "  good = pkgs.buildNpmPackage { src = ./good; npmDepsHash = \"\"; };\n}\n";
    project.write("default.nix", &sites);
    let output = project.run(&["update"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.lines().count() <= 20, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 520), "{text}");
    assert_eq!(text.matches("the server answered 403 Forbidden").count(), 1, "{text}");
    assert!(text.contains("  the same: s0/package-lock.json: "), "{text}");
    assert!(text.contains(" and 116 more\n"), "{text}");
    assert!(text.contains("warning: and "), "{text}");
    assert!(
        stdout(&output).contains("\n1 updated, 10 undecided, 10 failed in 1 file, "),
        "{}",
        stdout(&output)
    );
    let report: Value = serde_json::from_slice(&project.run(&["update", "--json"]).stdout).unwrap();
    let errors =
        report["sites"].as_array().unwrap().iter().map(|site| site["errors"].as_array().unwrap().len());
    assert_eq!(errors.sum::<usize>(), 120, "JSON has them all");
}
