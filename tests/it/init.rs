//! `init`, `completions` and `man` as users and packagers see them.

use std::fs;

use crate::support::project::Project;

const TARGETS: [(&str, &str); 6] = [
    ("renovate", "renovate.json"),
    ("github", ".github/workflows/npm-nixhash.yml"),
    ("github-update", ".github/workflows/npm-nixhash-update.yml"),
    ("gitlab", ".gitlab-ci.yml"),
    ("pre-commit", ".pre-commit-config.yaml"),
    ("config", "npm-nixhash.toml"),
];

#[test]
fn init_shows_and_writes_the_file_once() {
    for (wanted, file) in TARGETS {
        let project = Project::new();
        let dry = project.run(&["init", wanted, "--dry-run"]);
        assert!(dry.status.success() && !project.path(file).exists(), "{wanted}");
        let first = project.run(&["init", wanted]);
        assert!(first.status.success(), "{wanted}");
        assert_eq!(dry.stdout, first.stdout, "{wanted}: what --dry-run shows is what is written");
        let shown: String = String::from_utf8(first.stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with("+++"))
            .filter_map(|line| Some(format!("{}\n", line.strip_prefix('+')?)))
            .collect();
        assert_eq!(shown, project.read(file), "{wanted}: the whole file is shown");
        let again = project.transcript(&["init", wanted]);
        assert_eq!(again, format!("exit 0\n--- stderr\nnote: {file} is there already\n"));
    }
}

#[test]
fn init_leaves_a_file_that_is_there() {
    let project = Project::new();
    project.write("renovate.json", "{}\n");
    assert_eq!(
        project.transcript(&["init", "renovate", "--source", "acme/hashes@0123abc"]),
        "exit 2\n--- stderr\nerror: renovate.json exists\n  hint: add \
         \"github>acme/hashes//renovate/default#0123abc\" to its \"extends\"; --force replaces renovate.json\n"
    );
    assert_eq!(project.read("renovate.json"), "{}\n");
    let forced = project.run(&["init", "renovate", "--force", "--source", "acme/hashes@0123abc"]);
    assert!(forced.status.success());
    assert!(String::from_utf8(forced.stdout).unwrap().contains("\n-{}\n"));
    let written: serde_json::Value = serde_json::from_str(&project.read("renovate.json")).unwrap();
    assert_eq!(written["extends"][1], "github>acme/hashes//renovate/default#0123abc");
}

#[test]
fn init_never_silences_a_file_that_does_the_same_work() {
    let project = Project::new();
    project.write(".github/renovate.json5", "{}\n");
    for more in [&["init", "renovate"][..], &["init", "renovate", "--force"]] {
        assert_eq!(
            project.transcript(more),
            "exit 2\n--- stderr\nerror: .github/renovate.json5 does the work of renovate.json\n  hint: add \
             \"github>OWNER/npm-nixhash//renovate/default#COMMIT\" to its \"extends\"\n"
        );
    }
    assert!(!project.path("renovate.json").exists());
}

#[test]
fn init_writes_to_the_root_of_a_repository_alone() {
    let project = Project::new();
    project.write("web/package.json", "{}");
    assert_eq!(
        project.transcript(&["init", "gitlab", "web"]),
        "exit 2\n--- stderr\nerror: [ROOT]/web is inside a repository\n  hint: the file belongs to its root: name [ROOT]\n"
    );
    assert_eq!(
        project.transcript(&["init", "gitlab", "nowhere"]),
        "exit 2\n--- stderr\nerror: [ROOT]/nowhere is no folder\n"
    );
}

#[test]
fn init_takes_no_source_that_could_break_out_of_the_file() {
    let project = Project::new();
    for source in ["acme/hashes", "acme@1", "acme/ha\"shes@1", "acme/hashes@1\nrun: x", "a/b/c@1"] {
        let ran = project.run(&["init", "github", "--source", source]);
        assert_eq!(ran.status.code(), Some(2), "{source}");
    }
}

#[test]
fn the_templates_name_this_version() {
    for name in ["github.yml", "github-update.yml", "pre-commit-config.yaml"] {
        let text =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/").to_owned() + name).unwrap();
        assert!(text.contains(concat!("COMMIT # v", env!("CARGO_PKG_VERSION"), "\n")), "{name}");
    }
}

#[test]
fn completions_know_every_command() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = project.run(&["completions", shell]);
        let script = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success() && script.contains("npm-nixhash"), "{shell}");
        for word in ["update", "check", "list", "hash", "cache", "init", "dry-run"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let project = Project::new();
    let printed = project.run(&["man"]);
    assert!(project.run(&["man", "pages"]).status.success());
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), project.read("pages/npm-nixhash.1"));
    for name in ["update", "check", "list", "hash", "cache", "cache-prune", "init"] {
        let page = project.read(&format!("pages/npm-nixhash-{name}.1"));
        assert!(page.contains(".SH NAME\nnpm\\-nixhash\\-"), "{name}");
        assert!(page.contains(".SH OPTIONS"), "{name}");
    }
}
