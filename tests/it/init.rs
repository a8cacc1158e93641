//! `init`, `completions` and `man` as users and packagers see them.

use crate::support::project::Project;

const TARGETS: [(&str, &str); 10] = [
    ("renovate", "renovate.json"),
    ("github", ".github/workflows/npm-nixhash.yml"),
    ("github-update", ".github/workflows/npm-nixhash-update.yml"),
    ("github-pull-request", ".github/workflows/npm-nixhash-pull-request.yml"),
    ("github-publish", ".github/workflows/npm-nixhash-publish.yml"),
    ("forgejo", ".forgejo/workflows/npm-nixhash.yml"),
    ("gitlab", ".gitlab-ci.yml"),
    ("gitlab-publish", ".gitlab-ci.yml"),
    ("pre-commit", ".pre-commit-config.yaml"),
    ("config", "npm-nixhash.toml"),
];

const SOURCE: &str = "acme/hashes@v1.2.3";

#[test]
fn init_shows_and_writes_the_file_once() {
    for (wanted, file) in TARGETS {
        let project = Project::new();
        let dry = project.run(&["init", wanted, "--dry-run", "--source", SOURCE]);
        assert!(dry.status.success() && !project.path(file).exists(), "{wanted}");
        let first = project.run(&["init", wanted, "--source", SOURCE]);
        assert!(first.status.success(), "{wanted}");
        assert_eq!(dry.stdout, first.stdout, "{wanted}: what --dry-run shows is what is written");
        let shown: String = String::from_utf8(first.stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with("+++"))
            .filter_map(|line| Some(format!("{}\n", line.strip_prefix('+')?)))
            .collect();
        assert_eq!(shown, project.read(file), "{wanted}: the whole file is shown");
        assert!(shown.contains("acme/hashes") && shown.contains("v1.2.3"), "{wanted}: {shown}");
        for placeholder in ["OWNER", "REF", "vVERSION"] {
            assert!(!shown.contains(placeholder), "{wanted}: {placeholder} is left");
        }
        let again = project.transcript(&["init", wanted, "--source", SOURCE]);
        assert_eq!(again, format!("exit 0\n--- stderr\nnote: {file} is there already\n"));
        let printed = project.run(&["init", wanted, "--print", "--source", SOURCE]);
        assert_eq!(String::from_utf8(printed.stdout).unwrap(), shown, "{wanted}");
    }
}

#[test]
fn without_a_source_this_release_is_pinned_once_the_repository_has_a_name() {
    let project = Project::new();
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    if repository.starts_with("OWNER/") {
        assert_eq!(
            project.transcript(&["init", "github"]),
            "exit 2\n--- stderr\nerror: this build does not know where its repository is published\n  hint: name it: \
             --source OWNER/REPO@v1.2.3\n"
        );
        assert!(!project.path(".github").exists());
        let config = String::from_utf8(project.run(&["init", "config", "--print"]).stdout).unwrap();
        assert!(config.contains("deny") && !config.contains("OWNER"), "{config}");
    } else {
        let ran = project.run(&["init", "github", "--print"]);
        let pinned = format!("uses: {repository}@v{}\n", env!("CARGO_PKG_VERSION"));
        assert!(String::from_utf8(ran.stdout).unwrap().contains(&pinned));
    }
}

#[test]
fn init_leaves_a_file_that_is_there() {
    let project = Project::new();
    project.write("renovate.json", "{}\n");
    assert_eq!(
        project.transcript(&["init", "renovate", "--source", SOURCE]),
        "exit 2\n--- stderr\nerror: renovate.json exists\n  hint: add \
         \"github>acme/hashes//renovate/default#v1.2.3\" to its \"extends\"; --force replaces renovate.json\n"
    );
    assert_eq!(project.read("renovate.json"), "{}\n");
    let forced = project.run(&["init", "renovate", "--force", "--source", SOURCE]);
    assert!(forced.status.success());
    assert!(String::from_utf8(forced.stdout).unwrap().contains("\n-{}\n"));
    let written: serde_json::Value = serde_json::from_str(&project.read("renovate.json")).unwrap();
    assert_eq!(written["extends"][1], "github>acme/hashes//renovate/default#v1.2.3");
}

#[test]
fn init_gitlab_goes_beside_a_pipeline_that_is_there() {
    let project = Project::new();
    project.write(".gitlab-ci.yml", "test:\n  script: [make]\n");
    let ran = project.run(&["init", "gitlab", "--source", SOURCE]);
    assert_eq!(ran.status.code(), Some(0));
    assert_eq!(
        String::from_utf8(ran.stderr).unwrap(),
        "note: .gitlab-ci.yml exists: add `include: [{ local: .gitlab/npm-nixhash.yml }]` to .gitlab-ci.yml, or the item to \
         the list that it has\n"
    );
    assert_eq!(project.read(".gitlab-ci.yml"), "test:\n  script: [make]\n");
    assert!(project.read(".gitlab/npm-nixhash.yml").contains("NPM_NIXHASH_VERSION: v1.2.3\n"));
}

#[test]
fn both_jobs_of_gitlab_get_the_program_in_one_way_and_stand_side_by_side() {
    let project = Project::new();
    for wanted in ["gitlab", "gitlab-publish"] {
        assert_eq!(project.run(&["init", wanted, "--source", SOURCE]).status.code(), Some(0));
    }
    let part = |text: &str| {
        let (_, rest) = text.split_once("  variables:\n").unwrap();
        rest.split_once("  script:\n").unwrap().0.to_owned()
    };
    let (check, publish) = (project.read(".gitlab-ci.yml"), project.read(".gitlab/npm-nixhash-publish.yml"));
    assert_eq!(part(&check), part(&publish));
    assert!(publish.ends_with("check --publish \"s3://BUCKET/npm?region=eu-west-1\"'\n"), "{publish}");
}

#[test]
fn the_gitlab_component_is_the_same_job() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let text = std::fs::read_to_string(root.join("npm-nixhash/template.yml")).unwrap();
    let (spec, job) = text.split_once("---\n").unwrap();
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert!(spec.contains(&format!("default: {repository}/releases/download\n")), "{spec}");
    assert!(spec.contains(&format!("default: v{}\n", env!("CARGO_PKG_VERSION"))), "{spec}");
    let job = job
        .replace("  stage: $[[ inputs.stage ]]\n", "")
        .replace("$[[ inputs.releases ]]", "https://github.com/OWNER/npm-nixhash/releases/download")
        .replace("$[[ inputs.version ]]", "vVERSION");
    let template = std::fs::read_to_string(root.join("gitlab-ci.yml")).unwrap();
    assert_eq!(job, template.split_once('\n').unwrap().1, "below the comment");
}

#[test]
fn init_never_silences_a_file_that_does_the_same_work() {
    let project = Project::new();
    project.write(".github/renovate.json5", "{}\n");
    for more in
        [&["init", "renovate", "--source", SOURCE][..], &["init", "renovate", "--source", SOURCE, "--force"]]
    {
        assert_eq!(
            project.transcript(more),
            "exit 2\n--- stderr\nerror: .github/renovate.json5 does the work of renovate.json\n  hint: add \
             \"github>acme/hashes//renovate/default#v1.2.3\" to its \"extends\"\n"
        );
    }
    assert!(!project.path("renovate.json").exists());
}

#[test]
fn init_writes_to_the_root_of_a_repository_alone() {
    let project = Project::new();
    project.write("web/package.json", "{}");
    assert_eq!(
        project.transcript(&["init", "gitlab", "web", "--source", SOURCE]),
        "exit 2\n--- stderr\nerror: [ROOT]/web is inside a repository\n  hint: the file belongs to its root: name [ROOT]\n"
    );
    assert_eq!(
        project.transcript(&["init", "gitlab", "nowhere", "--source", SOURCE]),
        "exit 2\n--- stderr\nerror: [ROOT]/nowhere is not a folder\n"
    );
}

#[test]
fn init_takes_only_what_can_be_pinned_and_cannot_break_out_of_the_file() {
    let project = Project::new();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for source in [
        "acme/hashes",
        "acme@v1.0.0",
        "acme/ha\"shes@v1.0.0",
        "acme/hashes@v1.0.0\nrun: x",
        "a/b/c@v1.0.0",
        "acme/hashes@main",
        "acme/hashes@SHA",
        "acme/hashes@0123abc",
        "acme/hashes@v1",
        "acme/hashes@1.2.3",
        "OWNER/npm-nixhash@v1.2.3",
    ] {
        let ran = project.run(&["init", "github", "--source", source]);
        assert_eq!(ran.status.code(), Some(2), "{source}");
        assert!(String::from_utf8(ran.stderr).unwrap().contains("expected OWNER/REPO@v1.2.3"), "{source}");
    }
    let pinned = format!("acme/hashes@{commit}");
    let ran = project.run(&["init", "github", "--print", "--source", &pinned]);
    assert!(String::from_utf8(ran.stdout).unwrap().contains(&format!("uses: {pinned}\n")));
    assert_eq!(
        project.transcript(&["init", "gitlab", "--source", &pinned]),
        "exit 2\n--- stderr\nerror: this job downloads a release, which a commit does not name\n  hint: pin a tag: \
         OWNER/REPO@v1.2.3\n"
    );
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
        assert!(page.contains(".SH \"GLOBAL OPTIONS\""), "{name}");
    }
}
