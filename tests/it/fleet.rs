//! `--publish`, `check --published` and `--remote` with folders: what is written, what is said, and what is refused. Real Nix
//! and a real S3 server are asked in `tests/real/binary_cache.rs` and `tests/real/s3.rs`.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use npm_tarballs::integrity::hex;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::project::Project;
use crate::support::registry::{Fault, Registry};

const SITES: &str = r#"{ pkgs }:
{
  web = pkgs.buildNpmPackage { pname = "web"; version = "1.2.3"; src = ./web; npmDepsHash = ""; };
  twin = pkgs.buildNpmPackage { pname = "web"; version = "1.2.3"; src = ./web; npmDepsHash = ""; };
  odd = pkgs.buildNpmPackage { pname = "odd"; version = pkgs.version; src = ./web; npmDepsHash = ""; };
}
"#;

/// The same without the site whose name cannot be known.
fn named() -> String {
    SITES.lines().filter(|line| !line.contains("odd")).collect::<Vec<_>>().join("\n")
}

fn project(sites: &str) -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    project.lock("web", &[&left]);
    project.write("default.nix", sites);
    project
}

fn url(project: &Project, name: &str) -> String {
    format!("file://{}", project.root().parent().unwrap().join(name).display())
}

fn files(project: &Project, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(project.path(&format!("../{folder}")))
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

fn states(output: &Output) -> Vec<Vec<String>> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |site: &Value| {
        let all = site["published"].as_array().unwrap().iter();
        all.map(|one| one["state"].as_str().unwrap().to_owned()).collect()
    };
    report["sites"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn update_publishes_each_output_once_into_every_cache() {
    let project = project(SITES);
    let (one, two) = (url(&project, "one"), url(&project, "two"));
    let first = project.run(&["update", "--publish", &one, "--publish", &two, "--json"]);
    assert_eq!(first.status.code(), Some(0), "{}", project.render(&first));
    assert_eq!(
        states(&first),
        [["published", "published"], ["published", "published"], ["unnamed", "unnamed"]]
    );
    for folder in ["one", "two"] {
        let names = files(&project, folder);
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names[0].ends_with(".narinfo") && names[1..] == ["nar", "nix-cache-info"], "{names:?}");
        assert_eq!(files(&project, &format!("{folder}/nar")).len(), 1);
    }
    let hash = project.run(&["hash", "web", "--store-path", "web-1.2.3-npm-deps"]);
    let path = String::from_utf8(hash.stdout).unwrap().lines().last().unwrap().to_owned();
    let info = project.read(&format!("../one/{}", files(&project, "one")[0]));
    assert!(info.starts_with(&format!("StorePath: {path}\nURL: nar/")), "{info}");
    // Nothing is fetched or written again, whatever is left on disk.
    fs::remove_dir_all(project.path("../one/nar")).unwrap();
    let again = project.transcript(&["update", "--publish", &one, "--offline"]);
    let said = format!("{one}: 2 there already, 1 without a known name\n");
    assert!(again.contains(&said.replace(&project.root().display().to_string(), "[ROOT]")), "{again}");
    assert!(files(&project, "one/nar").is_empty());
}

#[test]
fn check_says_what_a_cache_lacks_and_counts_it_as_drift() {
    let project = project(&named());
    let cache = url(&project, "outputs");
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    assert_eq!(project.run(&["check"]).status.code(), Some(0));
    fs::create_dir(project.path("../outputs")).unwrap();
    let lacking = project.run(&["check", "--published", &cache]);
    let said = project.render(&lacking);
    assert!(said.starts_with("exit 1\n"), "{said}");
    assert!(said.contains("-web-1.2.3-npm-deps: there is no narinfo\n"), "{said}");
    assert!(said.contains("in file://") && said.contains("outputs: 2 missing\n"), "{said}");
    assert_eq!(project.run(&["check", "--publish", &cache]).status.code(), Some(0));
    let there = project.run(&["check", "--published", &cache, "--json"]);
    assert_eq!((there.status.code(), states(&there)), (Some(0), vec![vec!["there".to_owned()]; 2]));
    // What cannot be named cannot be known to be there.
    project.write("default.nix", SITES);
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    let unnamed = project.transcript(&["check", "--published", &cache]);
    assert!(
        unnamed.starts_with("exit 1\n")
            && unnamed.contains("its output: the name of its derivation is not known"),
        "{unnamed}"
    );
    let gone = project.transcript(&["check", "--published", &url(&project, "gone")]);
    assert!(gone.starts_with("exit 2\n") && gone.contains("there is no such bucket or folder"), "{gone}");
}

#[test]
fn a_cache_that_cannot_be_written_is_a_failure_after_the_files_are_right() {
    let project = project(&named());
    project.write("../file", "no folder");
    let refused = project.transcript(&["update", "--publish", &url(&project, "file")]);
    assert!(refused.starts_with("exit 2\n"), "{refused}");
    // Said before anything was done.
    assert_eq!(project.run(&["check"]).status.code(), Some(1));
    project.write("../outputs/nix-cache-info", "StoreDir: /gnu/store\n");
    let other = project.transcript(&["update", "--publish", &url(&project, "outputs")]);
    assert!(
        other.starts_with("exit 2\n") && other.contains("it is a cache for the store /gnu/store"),
        "{other}"
    );
    assert_eq!(project.run(&["check"]).status.code(), Some(0));
    assert_eq!(files(&project, "outputs"), ["nix-cache-info"]);
}

#[test]
fn hash_publishes_under_the_name_that_it_is_told() {
    let project = project(&named());
    let cache = url(&project, "outputs");
    let unnamed = project.transcript(&["hash", "web", "--publish", &cache]);
    assert!(
        unnamed.starts_with("exit 2\n") && unnamed.contains("hint: say it with --store-path NAME"),
        "{unnamed}"
    );
    let args = ["hash", "web", "--publish", &cache, "--store-path", "web-1.2.3-npm-deps", "--json"];
    let said: Value = serde_json::from_slice(&project.run(&args).stdout).unwrap();
    assert_eq!(said["published"][0]["state"], "published");
    assert_eq!(said["published"][0]["store_path"], said["store_path"]);
    project.run(&["update"]);
    assert_eq!(project.run(&["check", "--published", &cache]).status.code(), Some(0));
}

#[test]
fn a_url_with_a_secret_in_it_is_refused_and_not_repeated() {
    let project = project(&named());
    for text in ["s3://u:hunter2@b", "https://h/?token=hunter2", "hunter2", "az://c?sig=hunter2"] {
        for flag in ["--publish", "--published", "--remote"] {
            let said = project.transcript(&["check", flag, text]);
            assert!(said.starts_with("exit 2\n") && !said.contains("hunter2"), "{flag} {text}: {said}");
        }
        let mut command = project.command(&["check"]);
        let said = project.render(&command.env("NPM_NIXHASH_REMOTE", text).output().unwrap());
        assert!(said.starts_with("exit 2\n") && !said.contains("hunter2"), "{said}");
        project.write("npm-nixhash.toml", format!("publish = [\"{text}\"]\n"));
        let said = project.transcript(&["check"]);
        assert!(said.starts_with("exit 2\n") && !said.contains("hunter2"), "{said}");
        fs::remove_file(project.path("npm-nixhash.toml")).unwrap();
    }
}

#[test]
fn two_writers_at_once_leave_one_whole_cache_and_one_whole_memory() {
    let project = project(&named());
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    let (cache, remote) = (url(&project, "outputs"), url(&project, "memory"));
    let args =
        ["check", "--publish", &cache, "--remote", &remote, "--remote-tarballs", "--no-cache", "--json"];
    let spawn = |_| {
        let mut command = project.command(&args);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let writers: Vec<_> = (0..4).map(spawn).collect();
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), output.stderr.is_empty()),
            (Some(0), true),
            "{}",
            project.render(&output)
        );
    }
    let names = files(&project, "outputs");
    assert!(
        names.len() == 3 && names[0].ends_with(".narinfo") && names[1..] == ["nar", "nix-cache-info"],
        "{names:?}"
    );
    assert_eq!(files(&project, "outputs/nar").len(), 1);
    assert_eq!(project.run(&["check", "--published", &cache]).status.code(), Some(0));
    let (path, _) = shared_tarball(&project, "memory");
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    assert!(fs::read(project.path(&path)).unwrap() == left.bytes);
    let group = files(&project, "memory/hashes-v1").remove(0);
    assert_eq!(files(&project, &format!("memory/hashes-v1/{group}")).len(), 1);
    let before = elsewhere(&project);
    assert_eq!(project.transcript(&["check", "--remote", &remote]), "exit 0\n--- stdout\n2 in sync\n");
    assert_eq!(project.registry.requests().len(), before);
}

#[test]
fn a_teams_caches_are_written_by_update_alone_and_by_those_who_may() {
    let project = project(&named());
    let cache = url(&project, "outputs");
    project.write("npm-nixhash.toml", format!("publish = [\"{cache}\", \"s3://acme-cache\"]\n"));
    for args in [&["check"][..], &["update", "--dry-run"], &["update", "--no-publish"]] {
        project.run(args);
        assert!(files(&project, "outputs").is_empty(), "{args:?}");
    }
    // Nobody gave this machine what opens the bucket: a warning.
    let update = project.transcript(&["update"]);
    assert!(
        update.starts_with("exit 0\n") && update.contains("warning: s3://acme-cache cannot be used\n"),
        "{update}"
    );
    assert_eq!(files(&project, "outputs").len(), 3);
    // On the command line it is meant.
    let meant = project.transcript(&["update", "--publish", "s3://acme-cache"]);
    assert!(meant.starts_with("exit 2\n") && meant.contains("no credentials for S3"), "{meant}");
    project.write("npm-nixhash.toml", "remote = \"s3://b?endpoint=https://stranger.example\"\n");
    let said = project.transcript(&["check"]);
    assert!(
        said.starts_with("exit 2\n") && said.contains("npm-nixhash.toml:1:10: `endpoint` cannot be set"),
        "{said}"
    );
}

#[test]
fn what_is_not_kept_on_disk_is_not_downloaded_twice_either() {
    let project = project(&named());
    fs::create_dir(project.path("../tmp")).unwrap();
    let cache = url(&project, "outputs");
    for args in [
        &["update", "--no-cache", "--publish", &cache][..],
        &["check", "--no-cache", "--publish", &cache],
        &["hash", "web", "--no-cache", "--publish", &cache, "--store-path", "web-1.2.3-npm-deps"],
    ] {
        let _ = fs::remove_dir_all(project.path("../outputs"));
        let before = project.registry.requests().len();
        let output = project.command(args).env("TMPDIR", project.path("../tmp")).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", project.render(&output));
        assert_eq!(project.registry.requests().len(), before + 1, "{args:?}");
        assert_eq!(files(&project, "outputs").len(), 3, "{args:?}");
        assert!(files(&project, "tmp").is_empty() && !project.cache().exists(), "{args:?}");
    }
}

#[test]
fn flags_that_cannot_both_be_meant_are_refused_and_those_that_do_nothing_are_told() {
    let project = project(&named());
    let cache = url(&project, "outputs");
    assert_eq!(
        project.transcript(&["check", "--watch", "--publish", &cache]),
        "exit 2\n--- stderr\nerror: --watch writes nothing anywhere, and so it does not --publish\n  \
         hint: run `npm-nixhash check --publish URL` when you are done\n"
    );
    let dry = project.transcript(&["update", "--dry-run", "--publish", &cache]);
    assert!(dry.starts_with("exit 2\n") && dry.contains("and so it does not --publish"), "{dry}");
    assert!(!project.path("../outputs").exists());
    project.write(
        "../secret",
        "a-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==",
    );
    let key = project.path("../secret").display().to_string();
    for args in [
        &["update", "--sign-key", &key][..],
        &["check", "--sign-key", &key],
        &["hash", "web", "--sign-key", &key],
    ] {
        let said = project.transcript(args);
        assert!(
            said.starts_with("exit 0\n") && said.contains("warning: --sign-key signs nothing, because"),
            "{said}"
        );
    }
    let said = project.transcript(&["check", "--remote-mode", "read"]);
    assert!(
        said.contains("warning: --remote-mode changes nothing, because no shared location is named"),
        "{said}"
    );
    for args in [["--no-remote", "--remote"], ["--no-publish", "--publish"]] {
        let said = project.transcript(&["update", args[0], args[1], &cache]);
        assert!(said.starts_with("exit 2\n") && said.contains("cannot be used with"), "{said}");
    }
    // Published, and then looked for: both are done, in this order.
    let both = project.run(&["check", "--publish", &cache, "--published", &cache, "--json"]);
    assert_eq!(
        (both.status.code(), states(&both)),
        (Some(0), vec![vec!["published".to_owned(), "there".to_owned()]; 2])
    );
}

#[test]
fn a_cache_behind_https_gets_what_netrc_has_and_no_token_of_a_registry() {
    let project = project(&named());
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    let server = Registry::start();
    server.require("/cache/", "Basic bWU6aHVudGVyMg==");
    let host = server.tls_url().replace("https://", "");
    let url = format!("https://{host}/cache");
    let run = |url: &str| {
        let mut command = project.command(&["check", "--published", url]);
        let tokens = serde_json::json!({ host.as_str(): "npm-token", "localhost": "npm-token" });
        command.env("SSL_CERT_FILE", server.ca_file()).env("NIX_NPM_TOKENS", tokens.to_string());
        let said = project.render(&command.output().unwrap());
        assert!(!said.contains("npm-token") && !said.contains("hunter2"), "{said}");
        said
    };
    project.write("../home/.npmrc", format!("//{host}/:_authToken=npm-token\n"));
    let said = run(&url);
    assert!(
        said.starts_with("exit 2\n") && said.contains("it does not know these credentials (401)"),
        "{said}"
    );
    project.write("../home/.netrc", "machine localhost login me password hunter2\n");
    let said = run(&url);
    assert!(said.starts_with("exit 1\n") && said.contains("/cache: 2 missing\n"), "{said}");
    // In clear nothing goes out.
    run(&format!("{}/cache", server.url().replace("127.0.0.1", "localhost")));
    let sent: Vec<_> =
        server.requests().into_iter().map(|request| request.headers.get("authorization").cloned()).collect();
    let right = Some("Basic bWU6aHVudGVyMg==".to_owned());
    assert_eq!(sent, [None, right, None]);
}

#[test]
fn the_teams_caches_are_looked_into_where_none_is_named() {
    let project = project(&named());
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    assert_eq!(
        project.transcript(&["check", "--published"]),
        "exit 2\n--- stderr\nerror: --published without a URL looks into the caches of `publish` in npm-nixhash.toml, and \
         there are none\n  hint: name a cache: --published URL\n"
    );
    let (one, two) = (url(&project, "one"), url(&project, "two"));
    project.write("npm-nixhash.toml", format!("publish = [\"{one}\", \"{two}\"]\n"));
    assert_eq!(project.run(&["check", "--publish", &one]).status.code(), Some(0));
    fs::create_dir(project.path("../two")).unwrap();
    for args in
        [&["check", "--json", "--published"][..], &["check", "--published", &one, "--published", "--json"]]
    {
        let lacking = project.run(args);
        assert_eq!(
            (lacking.status.code(), states(&lacking)),
            (Some(1), vec![vec!["there".to_owned(), "missing".to_owned()]; 2]),
            "{args:?}"
        );
    }
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    assert_eq!(project.run(&["check", "--published"]).status.code(), Some(0));
    // What opens them has to be there: who cannot look does not pass.
    project.write("npm-nixhash.toml", format!("publish = [\"{one}\", \"s3://acme-cache\"]\n"));
    let said = project.transcript(&["check", "--published"]);
    assert!(said.starts_with("exit 2\n") && said.contains("no credentials for S3"), "{said}");
}

/// A second machine: nothing on its disk, and a registry that was asked so often before.
fn elsewhere(project: &Project) -> usize {
    let _ = fs::remove_dir_all(project.cache());
    project.registry.requests().len()
}

#[test]
fn what_one_machine_computed_another_one_does_not_download() {
    let project = project(&named());
    let remote = url(&project, "memory");
    assert_eq!(project.run(&["update", "--remote", &remote]).status.code(), Some(0));
    let before = elsewhere(&project);
    assert_eq!(project.transcript(&["check", "--remote", &remote]), "exit 0\n--- stdout\n2 in sync\n");
    assert_eq!(project.registry.requests().len(), before);
    // It is remembered here, too, for those who still believe the others.
    let objects = project.path("../memory/hashes-v1");
    fs::rename(&objects, project.path("../away")).unwrap();
    assert_eq!(project.transcript(&["check", "--remote", &remote]), "exit 0\n--- stdout\n2 in sync\n");
    assert_eq!(project.registry.requests().len(), before);
    for args in [&["check", "--no-remote"][..], &["check", "--remote", &remote, "--remote-mode", "write"]] {
        let before = project.registry.requests().len();
        assert_eq!(project.transcript(args), "exit 0\n--- stdout\n2 in sync\n");
        assert_eq!(project.registry.requests().len(), before + 1, "{args:?}");
        fs::remove_dir_all(project.cache()).unwrap();
        let _ = fs::remove_dir_all(&objects);
        fs::rename(project.path("../away"), &objects).unwrap();
        assert_eq!(project.run(&["check", "--remote", &remote]).status.code(), Some(0));
        fs::rename(&objects, project.path("../away")).unwrap();
    }
    fs::rename(project.path("../away"), &objects).unwrap();
    for args in [
        &["check", "--remote", &remote, "--paranoid"][..],
        &["check"],
        &["check", "--remote", &remote, "--no-memo"],
    ] {
        let before = elsewhere(&project);
        assert_eq!(project.run(args).status.code(), Some(0), "{args:?}");
        assert!(project.registry.requests().len() > before, "{args:?}");
    }
    let before = elsewhere(&project);
    let mut command = project.command(&["check"]);
    command.env("NPM_NIXHASH_REMOTE", &remote).env("NPM_NIXHASH_REMOTE_MODE", "read");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(project.registry.requests().len(), before);
}

#[test]
fn what_a_machine_computed_before_it_shared_anything_others_are_told_once() {
    let project = project(&named());
    let remote = url(&project, "memory");
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    let before = project.registry.requests().len();
    assert_eq!(project.run(&["check", "--remote", &remote, "--remote-mode", "read"]).status.code(), Some(0));
    fs::create_dir(project.path("../memory")).unwrap();
    assert_eq!(project.run(&["check", "--remote", &remote, "--remote-mode", "read"]).status.code(), Some(0));
    assert!(files(&project, "memory").is_empty());
    assert_eq!(project.run(&["check", "--remote", &remote]).status.code(), Some(0));
    assert_eq!(files(&project, "memory"), ["hashes-v1"]);
    // Told, it is not told again with each run.
    fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
    assert_eq!(project.run(&["check", "--remote", &remote]).status.code(), Some(0));
    assert!(files(&project, "memory").is_empty());
    assert_eq!(project.registry.requests().len(), before);
    // Another place knows nothing yet.
    let other = url(&project, "other");
    assert_eq!(project.run(&["check", "--remote", &other]).status.code(), Some(0));
    assert_eq!(files(&project, "other"), ["hashes-v1"]);
    let before = elsewhere(&project);
    assert_eq!(project.transcript(&["check", "--remote", &other]), "exit 0\n--- stdout\n2 in sync\n");
    assert_eq!(project.registry.requests().len(), before);
}

/// The one tarball of the project, where it is shared: its folder below the remote, and its name there.
fn shared_tarball(project: &Project, folder: &str) -> (String, String) {
    let top = format!("{folder}/tarballs-v1/sha512");
    let group = files(project, &top).remove(0);
    let names = files(project, &format!("{top}/{group}"));
    assert_eq!(names.len(), 1, "{names:?}");
    (format!("../{top}/{group}/{}", names[0]), names[0].clone())
}

#[test]
fn tarballs_are_shared_where_that_is_asked_for() {
    let project = project(&named());
    let remote = url(&project, "memory");
    assert_eq!(project.run(&["update", "--remote", &remote]).status.code(), Some(0));
    assert_eq!(files(&project, "memory"), ["hashes-v1"]);
    elsewhere(&project);
    fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
    let shared = ["check", "--remote", &remote, "--remote-tarballs"];
    assert_eq!(project.transcript(&shared), "exit 0\n--- stdout\n2 in sync\n");
    let (path, name) = shared_tarball(&project, "memory");
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    assert!(fs::read(project.path(&path)).unwrap() == left.bytes && name.starts_with(&left.id().hex()[2..]));
    // A machine that meets the lockfile first, and has no registry to ask.
    let forget_hashes = || fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
    forget_hashes();
    let before = elsewhere(&project);
    assert_eq!(project.transcript(&shared), "exit 0\n--- stdout\n2 in sync\n");
    let with_output = ["hash", "web", "--nar", "../nar", "--remote", &remote, "--remote-tarballs"];
    assert_eq!(project.run(&with_output).status.code(), Some(0));
    assert_eq!(project.registry.requests().len(), before);
    // Who believes nobody asks the registry, although the bytes are on disk by then.
    for args in [
        &["check", "--remote", &remote, "--remote-tarballs", "--paranoid"][..],
        &["check", "--no-remote", "--no-memo"],
        &["check", "--remote", &remote, "--remote-tarballs", "--remote-mode", "write"],
    ] {
        let before = elsewhere(&project);
        forget_hashes();
        assert_eq!(project.run(&shared).status.code(), Some(0));
        assert_eq!(project.registry.requests().len(), before);
        fs::remove_dir_all(project.cache().join("memo-v1")).unwrap();
        assert_eq!(project.run(args).status.code(), Some(0), "{args:?}");
        assert_eq!(project.registry.requests().len(), before + 1, "{args:?}");
        let _ = fs::create_dir_all(project.path("../memory/hashes-v1"));
    }
}

#[test]
fn a_shared_tarball_answers_for_its_own_url_and_bytes_alone() {
    let project = project(&named());
    let remote = url(&project, "memory");
    let shared = ["check", "--remote", &remote, "--remote-tarballs"];
    assert_eq!(project.run(&["update", "--remote", &remote, "--remote-tarballs"]).status.code(), Some(0));
    // Poisoned: the bytes are refused, fetched, and put right.
    let (path, _) = shared_tarball(&project, "memory");
    let right = fs::read(project.path(&path)).unwrap();
    for wrong in [&b"other bytes"[..], b"", &right[..right.len() - 1]] {
        fs::write(project.path(&path), wrong).unwrap();
        fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
        let before = elsewhere(&project);
        let said = project.transcript(&shared);
        assert!(
            said.starts_with("exit 0\n--- stdout\n2 in sync\n")
                && said.contains(
                    "memory has 1 tarball with other bytes than its name says; it was downloaded\n"
                ),
            "{said}"
        );
        assert_eq!(project.registry.requests().len(), before + 1);
        assert!(fs::read(project.path(&path)).unwrap() == right);
    }
    // The same integrity under a URL that does not exist: what is shared does not make up for that.
    let lockfile = project.read("web/package-lock.json");
    project.write("web/package-lock.json", lockfile.replace("left-1.0.0.tgz", "left-9.0.0.tgz"));
    elsewhere(&project);
    let said = project.transcript(&shared);
    assert!(said.starts_with("exit 2\n") && said.contains("404"), "{said}");
}

#[test]
fn what_comes_with_a_repository_has_no_tarballs_sent_anywhere() {
    let project = project(&named());
    let remote = url(&project, "memory");
    project.write("npm-nixhash.toml", format!("remote = \"{remote}\"\nremote-tarballs = true\n"));
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    assert_eq!(files(&project, "memory"), ["hashes-v1"]);
    // The place by the file, the wish by a flag; and the other way round.
    elsewhere(&project);
    assert_eq!(project.run(&["check", "--remote-tarballs", "--no-memo"]).status.code(), Some(0));
    fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
    let mut command = project.command(&["check"]);
    assert_eq!(command.env("NPM_NIXHASH_REMOTE", &remote).output().unwrap().status.code(), Some(0));
    assert_eq!(files(&project, "memory"), ["hashes-v1"]);
    // Both by the environment.
    elsewhere(&project);
    fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
    let mut command = project.command(&["check"]);
    command.env("NPM_NIXHASH_REMOTE", &remote).env("NPM_NIXHASH_REMOTE_TARBALLS", "1");
    assert_eq!(command.output().unwrap().status.code(), Some(0));
    assert_eq!(files(&project, "memory"), ["hashes-v1", "tarballs-v1"]);
    // And then the file is enough to read them.
    let before = elsewhere(&project);
    fs::remove_dir_all(project.path("../memory/hashes-v1")).unwrap();
    assert_eq!(project.run(&["check"]).status.code(), Some(0));
    assert_eq!(project.registry.requests().len(), before);
    fs::remove_file(project.path("npm-nixhash.toml")).unwrap();
    let said = project.transcript(&["check", "--remote-tarballs"]);
    assert!(
        said.contains("warning: tarballs are not shared, because no shared location is named\n"),
        "{said}"
    );
}

#[test]
fn a_place_whose_tarballs_are_slow_or_never_come_costs_no_two_seconds() {
    let project = project(&named());
    assert_eq!(project.run(&["update"]).status.code(), Some(0));
    let began = Instant::now();
    elsewhere(&project);
    assert_eq!(project.run(&["check"]).status.code(), Some(0));
    let alone = began.elapsed();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let (digest, url) = (left.id().hex(), hex(&Sha256::digest(&left.url)));
    let object = format!("/m/tarballs-v1/sha512/{}/{}-{}.tgz", &digest[..2], &digest[2..], &url[..32]);
    let minute = Duration::from_mins(1);
    for fault in
        [Fault::Delay(minute), Fault::Silence, Fault::Stall(3), Fault::Trickle(minute / 60), Fault::Close]
    {
        let other = Registry::start();
        other.serve(&object, left.bytes.clone());
        other.fault(&object, 99, fault.clone());
        let before = elsewhere(&project);
        let remote = format!("{}/m", other.url());
        let began = Instant::now();
        let args = ["check", "--remote", &remote, "--remote-mode", "read", "--remote-tarballs"];
        let said = project.transcript(&args);
        let took = began.elapsed();
        assert!(said.starts_with("exit 0\n--- stdout\n2 in sync\n"), "{fault:?}: {said}");
        assert!(said.matches("warning: ").count() <= 1, "{fault:?}: {said}");
        assert_eq!(
            (other.count(&object) > 0, project.registry.requests().len()),
            (true, before + 1),
            "{fault:?}"
        );
        // What starting the program costs on a busy machine is allowed for.
        assert!(took < alone * 2 + Duration::from_millis(2500), "{fault:?}: {took:?} instead of {alone:?}");
    }
    // In good health it serves.
    let other = Registry::start();
    other.serve(&object, left.bytes.clone());
    let before = elsewhere(&project);
    let remote = format!("{}/m", other.url());
    let said =
        project.transcript(&["check", "--remote", &remote, "--remote-mode", "read", "--remote-tarballs"]);
    assert_eq!(
        (said.as_str(), project.registry.requests().len()),
        ("exit 0\n--- stdout\n2 in sync\n", before)
    );
}

#[test]
fn a_poisoned_entry_is_not_believed_by_the_paranoid_or_where_signatures_are_asked_for() {
    let project = project(&named());
    let remote = url(&project, "memory");
    assert_eq!(project.run(&["update", "--remote", &remote]).status.code(), Some(0));
    let group = files(&project, "memory/hashes-v1").remove(0);
    let file = files(&project, &format!("memory/hashes-v1/{group}")).remove(0);
    let path = project.path(&format!("../memory/hashes-v1/{group}/{file}"));
    let mut entry: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let zeroes = vec![0_u8; 32];
    let mut value: Value = serde_json::from_str(entry["value"].as_str().unwrap()).unwrap();
    value["hash"] = serde_json::json!(zeroes);
    entry["value"] = value.to_string().into();
    fs::write(&path, entry.to_string()).unwrap();
    elsewhere(&project);
    // The worst that it can do: a hash that the next build refuses.
    let fooled = project.transcript(&["check", "--remote", &remote]);
    assert!(fooled.starts_with("exit 1\n") && fooled.contains("-> sha256-AAAA"), "{fooled}");
    // It is remembered on this disk by then, and nevertheless not believed by those who do not ask.
    for doubting in [&["check", "--remote", &remote, "--paranoid"][..], &["check", "--no-remote"]] {
        elsewhere(&project);
        assert_eq!(project.run(&["check", "--remote", &remote]).status.code(), Some(1));
        assert_eq!(project.run(doubting).status.code(), Some(0), "{doubting:?}");
    }
    elsewhere(&project);
    assert_eq!(project.run(&["check", "--remote", &remote, "--paranoid"]).status.code(), Some(0));
    elsewhere(&project);
    let key = "acme-ci-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    project.write("npm-nixhash.toml", format!("remote-keys = [\"{key}\"]\n"));
    assert_eq!(project.run(&["check", "--remote", &remote]).status.code(), Some(0));
    // Signed by that key it is read again.
    let secret =
        "acme-ci-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
    project.write("../secret", secret);
    elsewhere(&project);
    let key = project.path("../secret").display().to_string();
    let write = ["check", "--remote", &remote, "--remote-mode", "write", "--sign-key", &key];
    let written = project.transcript(&write);
    assert!(written.starts_with("exit 0\n") && !written.contains(&secret[12..40]), "{written}");
    let before = elsewhere(&project);
    assert_eq!(project.run(&["check", "--remote", &remote]).status.code(), Some(0));
    assert_eq!(project.registry.requests().len(), before);
}
