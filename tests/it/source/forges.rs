//! Every fetcher: the URL that is asked for, the hash that is written, and a second run that asks for nothing.

use super::archives::{LongNames, tar_gz_with, zip};
use super::{OTHER, call, derivation, hash_of, npm_hash, package, run, tar_gz, transcript};
use crate::support::project::Project;

/// Fetcher, arguments without the hash, the path that has to be asked for.
const TREES: [(&str, &str, &str); 14] = [
    (
        "pkgs.fetchFromGitHub",
        r#"owner = "o"; repo = "r"; rev = "v${version}";"#,
        "/o/r/archive/v1.0.0.tar.gz",
    ),
    (
        "pkgs.fetchFromGitHub",
        r#"owner = "o"; repo = pname; tag = "v${version}";"#,
        "/o/tool/archive/refs/tags/v1.0.0.tar.gz",
    ),
    (
        "pkgs.fetchFromGitHub",
        r#"owner = "o"; repo = "r"; rev = "abc"; private = true; fetchSubmodules = false;"#,
        "/repos/o/r/tarball/abc",
    ),
    (
        "pkgs.fetchFromGitLab",
        r#"owner = "o"; repo = "r.js"; tag = "v1+1";"#,
        "/api/v4/projects/o%2Fr%2Ejs/repository/archive.tar.gz",
    ),
    (
        "pkgs.fetchFromGitLab",
        r#"domain = "gitea.example"; group = "g"; owner = "o"; repo = "r"; rev = "abc";"#,
        "/api/v4/projects/g%2Fo%2Fr/repository/archive.tar.gz",
    ),
    (
        "pkgs.fetchFromGitea",
        r#"domain = "gitea.example"; owner = "o"; repo = "r"; rev = "v1";"#,
        "/o/r/archive/v1.tar.gz",
    ),
    (
        "pkgs.fetchFromForgejo",
        r#"domain = "gitea.example"; owner = "o"; repo = "r"; tag = "v1";"#,
        "/o/r/archive/v1.tar.gz",
    ),
    ("pkgs.fetchFromCodeberg", r#"owner = "o"; repo = "r"; rev = "v1";"#, "/o/r/archive/v1.tar.gz"),
    ("pkgs.fetchFromSourcehut", r#"owner = "~o"; repo = "r"; rev = "v1";"#, "/~o/r/archive/v1.tar.gz"),
    ("pkgs.fetchFromBitbucket", r#"owner = "o"; repo = "r"; rev = "v1";"#, "/o/r/get/v1.tar.gz"),
    ("pkgs.fetchzip", r#"url = "https://example.org/r-${version}.tar.gz";"#, "/r-1.0.0.tar.gz"),
    ("pkgs.fetchzip", r#"url = "https://example.org/r-${version}.zip";"#, "/r-1.0.0.zip"),
    ("pkgs.fetchzip", r#"urls = [ "https://example.org/r.tgz" ]; extension = "tgz";"#, "/r.tgz"),
    ("builtins.fetchTarball", r#"url = "https://example.org/r.tar.gz";"#, "/r.tar.gz"),
];

#[test]
fn trees_are_fetched_where_nixpkgs_would_and_hashed_as_nix_does() {
    for (fetcher, arguments, path) in TREES {
        let project = Project::new();
        let (items, lockfile) = package(&project);
        let name = if fetcher.starts_with("builtins") { "sha256" } else { "hash" };
        let source = call(fetcher, &format!("{arguments} {name} = \"\";"));
        project.write("tool.nix", derivation(&source, ""));
        let archive = if path.contains(".zip") { zip("r-1/", &items) } else { tar_gz("r-1/", &items) };
        project.registry.serve(path, archive);

        let right = source.replace("\"\"", &format!("\"{}\"", hash_of(&items)));
        is_fetched_once_and_made(&project, path, &derivation(&right, &npm_hash(&project, &lockfile)));
    }
}

/// `update` fetches this path once and makes the derivation what is wanted; `check` agrees, and fetches nothing.
fn is_fetched_once_and_made(project: &Project, path: &str, wanted: &str) {
    let said = transcript(project, &["update"]);
    assert!(said.starts_with("exit 0\n"), "{wanted}\n{said}");
    assert_eq!(project.read("tool.nix"), wanted, "{said}");
    assert_eq!(project.registry.count(path), 1);

    let before = project.registry.requests().len();
    let said = transcript(project, &["check"]);
    assert_eq!(said, "exit 0\n--- stdout\n1 in sync\n", "{wanted}");
    assert_eq!(project.registry.requests().len(), before, "nothing is fetched again");
}

#[test]
fn names_in_pax_records_and_gnu_members_are_the_same_tree() {
    let project = Project::new();
    let (items, _) = package(&project);
    for (n, long) in [LongNames::Gnu, LongNames::Pax].into_iter().enumerate() {
        project.registry.serve(&format!("/{n}.tar.gz"), tar_gz_with("x/", &items, long));
        let source =
            call("pkgs.fetchzip", &format!("url = \"https://example.org/{n}.tar.gz\"; hash = \"\";"));
        project.write("tool.nix", derivation(&source, ""));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&hash_of(&items)), "{long:?}\n{said}");
    }
}

#[test]
fn several_things_at_the_top_need_strip_root_false() {
    let project = Project::new();
    let (items, _) = package(&project);
    project.registry.serve("/r.tar.gz", tar_gz("", &items));
    let url = "url = \"https://example.org/r.tar.gz\"; hash = \"\";";
    project.write("tool.nix", derivation(&call("pkgs.fetchzip", &format!("{url} stripRoot = false;")), ""));
    let said = transcript(&project, &["update"]);
    assert!(project.read("tool.nix").contains(&hash_of(&items)), "{said}");
    project.write("tool.nix", derivation(&call("pkgs.fetchzip", url), ""));
    let said = transcript(&project, &["update"]);
    assert!(
        said.contains("caused by: it has 4 entries at its top, where only one folder may be\n"),
        "{said}"
    );
}

#[test]
fn files_are_hashed_as_they_are_in_every_form() {
    let project = Project::new();
    let (items, lockfile) = package(&project);
    let archive = tar_gz("package/", &items);
    project.registry.serve("/tool-1.0.0.tgz", archive.clone());
    let hash = npm_hash(&project, &lockfile);
    let write = |attribute: &str| {
        let url = "url = \"https://example.org/tool-${version}.tgz\";";
        project.write("tool.nix", derivation(&call("pkgs.fetchurl", &format!("{url} {attribute};")), &hash));
    };
    let sri = {
        write("sha512 = \"\"");
        let said = transcript(&project, &["update"]);
        assert!(said.starts_with("exit 0\n"), "{said}");
        let text = project.read("tool.nix");
        let found = text.split('"').find(|part| part.starts_with("sha512-")).unwrap().to_owned();
        assert_eq!(found, npm_tarballs::integrity::ContentId::sha512_of(&archive).sri());
        found
    };
    let hex = npm_tarballs::integrity::ContentId::sha512_of(&archive).hex();
    for form in [format!("sha512 = \"{hex}\""), format!("hash = \"{sri}\""), format!("sha512 = \"{sri}\"")] {
        write(&form);
        assert_eq!(transcript(&project, &["check"]), "exit 0\n--- stdout\n1 in sync\n", "{form}");
    }
}

#[test]
fn one_source_is_fetched_once_however_many_want_it() {
    let project = Project::new();
    let (items, _) = package(&project);
    project.registry.serve("/o/r/archive/v1.tar.gz", tar_gz("r/", &items));
    let source = r#"pkgs.fetchFromGitHub { owner = "o"; repo = "r"; rev = "v1"; hash = ""; }"#;
    let text = format!(
        "{{ pkgs }}:\n{{\n  a = pkgs.buildNpmPackage {{ src = {source}; npmDepsHash = \"\"; }};\n  \
         b = pkgs.buildNpmPackage {{ src = {source}; npmDepsHash = \"{OTHER}\"; }};\n}}\n"
    );
    project.write("default.nix", text);
    let said = transcript(&project, &["update"]);
    assert!(said.contains("2 updated in 1 file"), "{said}");
    assert_eq!(project.registry.count("/o/r/archive/v1.tar.gz"), 1);
    assert_eq!(project.read("default.nix").matches(&hash_of(&items)).count(), 2);
}

#[test]
fn without_a_cache_nothing_is_kept_and_offline_says_what_is_missing() {
    let project = Project::new();
    let (items, _) = package(&project);
    project.registry.serve("/o/r/archive/v1.tar.gz", tar_gz("r/", &items));
    let source = call("pkgs.fetchFromGitHub", r#"owner = "o"; repo = "r"; rev = "v1"; hash = "";"#);
    project.write("tool.nix", derivation(&source, ""));
    assert!(run(&project, &["update", "--no-cache"]).status.success());
    assert!(!project.cache().exists());
    let said = transcript(&project, &["check", "--offline"]);
    assert!(said.starts_with("exit 2\n"), "{said}");
    let wanted = "the source is not on disk (https://github.com/o/r/archive/v1.tar.gz)";
    assert!(said.contains(wanted) && said.contains("hint: run once without --offline\n"), "{said}");
    assert!(run(&project, &["check"]).status.success());
    assert!(run(&project, &["check", "--offline"]).status.success());
}

#[test]
fn a_registrys_token_stays_with_the_registry() {
    let project = Project::new();
    let (items, _) = package(&project);
    let path = "/o/r/archive/v1.tar.gz";
    project.registry.serve(path, tar_gz("r/", &items));
    let source = call("pkgs.fetchFromGitHub", r#"owner = "o"; repo = "r"; rev = "v1"; hash = "";"#);
    project.write("tool.nix", derivation(&source, ""));
    let mut command = project.command(&["update"]);
    command.arg(format!("--registry-override=github.com={}", project.registry.url()));
    command.env("NIX_NPM_TOKENS", r#"{"registry.npmjs.org":"secret"}"#);
    assert!(command.output().unwrap().status.success());
    assert_eq!(project.registry.headers(path, "authorization"), [None]);
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Fetcher, arguments with a whole commit and no hash, the path of the archive.
const COMMITS: [(&str, &str, &str); 5] = [
    ("builtins.fetchGit", r#"url = "https://github.com/o/r.git"; ref = "main";"#, "/o/r/archive/@.tar.gz"),
    ("fetchGit", r#"url = "git@github.com:o/r.git"; shallow = true;"#, "/o/r/archive/@.tar.gz"),
    ("builtins.fetchGit", r#"url = "ssh://git@codeberg.org/o/r";"#, "/o/r/archive/@.tar.gz"),
    (
        "builtins.fetchTree",
        r#"type = "git"; url = "https://gitlab.com/g/o/r";"#,
        "/api/v4/projects/g%2Fo%2Fr/repository/archive.tar.gz",
    ),
    ("builtins.fetchGit", r#"url = "https://git.sr.ht/~o/r"; submodules = true;"#, "/~o/r/archive/@.tar.gz"),
];

#[test]
fn a_commit_that_nix_checks_out_is_read_from_its_archive() {
    for (fetcher, arguments, path) in COMMITS {
        let project = Project::new();
        let (items, lockfile) = package(&project);
        let source = call(fetcher, &format!("{arguments} rev = \"{COMMIT}\";"));
        project.write("tool.nix", derivation(&source, ""));
        let path = path.replace('@', COMMIT);
        project.registry.serve(&path, tar_gz("r-1/", &items));

        // A commit stays what it is.
        is_fetched_once_and_made(&project, &path, &derivation(&source, &npm_hash(&project, &lockfile)));
    }
}

#[test]
fn a_checkout_with_a_hash_has_its_lockfile_in_the_archive_and_its_hash_unchecked() {
    for (fetcher, arguments, path) in [
        ("pkgs.fetchgit", r#"url = "https://github.com/o/r"; rev = "abc"; hash"#, "/o/r/archive/abc.tar.gz"),
        (
            "pkgs.fetchgit",
            r#"url = "https://codeberg.org/o/r.git"; tag = "v1"; fetchSubmodules = false; sha256"#,
            "/o/r/archive/refs/tags/v1.tar.gz",
        ),
    ] {
        let project = Project::new();
        let (items, lockfile) = package(&project);
        let source = call(fetcher, &format!("{arguments} = \"{OTHER}\";"));
        project.write("tool.nix", derivation(&source, ""));
        project.registry.serve(path, tar_gz("r-1/", &items));
        let said = transcript(&project, &["update"]);
        assert!(
            said.starts_with("exit 0\n") && said.contains("the hash of its source was not checked"),
            "{said}"
        );
        assert_eq!(project.read("tool.nix"), derivation(&source, &npm_hash(&project, &lockfile)), "{said}");
    }
}

#[test]
fn a_repository_that_only_git_can_get_at_leaves_its_derivation_undecided() {
    let project = Project::new();
    let undecided = |source: &str, why: &str| {
        project.write("tool.nix", derivation(&call("fetchGit", source), OTHER));
        let said = transcript(&project, &["update"]);
        assert!(
            said.starts_with("exit 0\n") && said.contains("1 undecided") && said.contains(why),
            "{source}: {said}"
        );
        assert!(project.read("tool.nix").contains(OTHER));
    };
    for url in ["git@github.com:o/hidden.git", "https://github.com/o/hidden"] {
        undecided(
            &format!("url = \"{url}\"; rev = \"{COMMIT}\";"),
            "Nix fetches it with git, and as an archive it cannot be fetched",
        );
    }
    undecided("url = \"https://github.com/o/r\"; ref = \"main\";", "`fetchGit` has no `rev`");
    undecided("url = \"https://github.com/o/r\"; rev = \"0123abc\";", "a `rev` that is not a whole commit");
    undecided(
        &format!("url = \"https://example.org/r.git\"; rev = \"{COMMIT}\";"),
        "a host whose archives are not known",
    );
}
