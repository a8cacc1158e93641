//! Merge conflicts of hashes, with the real git: merges, rebases and cherry-picks; and afterwards.

use std::process::Output;

use crate::support::git::{self, commit, git};
use crate::support::project::Project;

const PACKAGES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Lockfiles that git merges line by line where branches change entries that are not neighbours.
fn lock(project: &Project, folder: &str, versions: [u32; 6]) {
    let published: Vec<_> = PACKAGES
        .iter()
        .zip(versions)
        .map(|(name, version)| project.registry.publish(name, &format!("{version}.0.0"), &[]))
        .collect();
    project.lock(folder, &published.iter().collect::<Vec<_>>());
}

const NIX: &str = "{ pkgs }:\nlet hashes = builtins.fromJSON (builtins.readFile ./hashes.json);\nin {\n  web = pkgs.buildNpmPackage {\n    src = ./web;\n    npmDepsHash = \"\";\n  };\n  data = pkgs.buildNpmPackage {\n    src = ./data;\n    npmDepsHash = hashes.data;\n  };\n  vendored = pkgs.buildNpmPackage {\n    src = ./src;\n    postPatch = \"cp ${./vendored/package-lock.json} package-lock.json\";\n    npmDepsHash = \"\";\n  };\n}\n";

const FOLDERS: [&str; 3] = ["web", "data", "vendored"];

/// `main` and `topic` changed all lockfiles and hashes, each another package.
fn parted(with_driver: bool) -> Project {
    let project = Project::new();
    git::init(&project);
    if with_driver {
        let driver = format!(
            "{} merge-driver %O %A %B %P --marker-size %L --our-label %X --their-label %Y",
            env!("CARGO_BIN_EXE_npm-nixhash")
        );
        git(&project.root(), &["config", "merge.npm-nixhash.driver", &driver]);
        assert_eq!(project.run(&["init", "merge-driver"]).status.code(), Some(0));
        project.write(".gitattributes", project.read(".gitattributes") + "hashes.json merge=npm-nixhash\n");
    }
    project.write("default.nix", NIX);
    project.write("hashes.json", "{\n  \"data\": \"\"\n}\n");
    project.write("src/index.js", "");
    let state = |versions, message| {
        for folder in FOLDERS {
            lock(&project, folder, versions);
        }
        assert_eq!(project.run(&["update"]).status.code(), Some(0), "{}", project.transcript(&["update"]));
        commit(&project, message)
    };
    state([1, 1, 1, 1, 1, 1], "base");
    git(&project.root(), &["checkout", "-q", "-b", "topic"]);
    state([1, 1, 1, 1, 1, 2], "topic");
    git(&project.root(), &["checkout", "-q", "main"]);
    state([2, 1, 1, 1, 1, 1], "main");
    project
}

/// git with the program's environment, which its driver inherits.
fn run(project: &Project, args: &[&str]) -> Output {
    let mut command = git::command(&project.root(), args);
    for (name, value) in project.command(&[]).get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn merged(project: &Project) {
    for folder in FOLDERS {
        let lockfile = project.read(&format!("{folder}/package-lock.json"));
        assert!(lockfile.contains("a-2.0.0.tgz") && lockfile.contains("f-2.0.0.tgz"), "{lockfile}");
    }
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n3 in sync\n");
}

#[test]
fn a_merge_a_rebase_and_a_cherry_pick_solve_hashes_by_themselves() {
    for command in [&["merge", "-q", "topic"][..], &["cherry-pick", "topic"], &["rebase", "-q", "topic"]] {
        let project = parted(true);
        let done = run(&project, command);
        assert!(done.status.success(), "{command:?}: {}", text(&done));
        assert!(text(&done).contains("note: hashes.json: 1 conflict of hashes solved"), "{}", text(&done));
        assert_eq!(git(&project.root(), &["status", "--porcelain"]), "", "{command:?}");
        merged(&project);
    }
}

#[test]
fn other_conflicts_are_those_that_git_itself_leaves() {
    let conflicted = |with_driver: bool| {
        let project = parted(with_driver);
        let edit = |branch: &str, word: &str| {
            git(&project.root(), &["checkout", "-q", branch]);
            project.write(
                "default.nix",
                project.read("default.nix").replace("{ pkgs }:", &format!("{{ pkgs }}: # {word}")),
            );
            commit(&project, word);
        };
        edit("topic", "theirs");
        edit("main", "ours");
        let done = run(&project, &["merge", "topic"]);
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        project.read("default.nix")
    };
    let (ours, gits) = (conflicted(true), conflicted(false));
    assert_eq!((ours.matches("<<<<<<< ").count(), gits.matches("<<<<<<< ").count()), (1, 3), "{ours}");
    let first = |text: &str| text.split(">>>>>>> topic").next().unwrap().to_owned();
    assert_eq!(first(&ours), first(&gits));
    assert!(
        ours.starts_with("<<<<<<< HEAD\n{ pkgs }: # ours\n=======\n{ pkgs }: # theirs\n>>>>>>> topic\n"),
        "{ours}"
    );
}

#[test]
fn a_lockfile_that_conflicts_leaves_its_hash_to_a_person_and_resolve_solves_it_later() {
    let project = parted(true);
    lock(&project, "web", [2, 1, 1, 1, 1, 3]);
    project.run(&["update"]);
    commit(&project, "the same package");
    let done = run(&project, &["merge", "topic"]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    let nix = project.read("default.nix");
    assert_eq!(nix.matches("<<<<<<< ").count(), 1, "{nix}");
    let said = project.transcript(&["check"]);
    assert!(said.contains("error: default.nix:6:1: unsolved merge conflict, lines 6 to 10\n"), "{said}");
    // Not before the lockfile is merged.
    let said = project.transcript(&["update", "--resolve"]);
    assert!(
        said.starts_with("exit 2\n") && said.contains("default.nix has conflicts in more than hashes"),
        "{said}"
    );
    assert_eq!(project.read("default.nix"), nix);
    lock(&project, "web", [2, 1, 1, 1, 1, 3]);
    let said = project.transcript(&["update", "--resolve"]);
    assert!(
        said.starts_with("exit 0\n")
            && said.contains("note: default.nix: 1 conflict of hashes solved by the merged lockfile\n"),
        "{said}"
    );
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n3 in sync\n");
}

#[test]
fn without_a_driver_resolve_solves_nix_and_data_files() {
    for style in ["merge", "diff3", "zdiff3"] {
        let project = parted(false);
        git(&project.root(), &["config", "merge.conflictStyle", style]);
        let done = run(&project, &["merge", "topic"]);
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        assert!(project.read("hashes.json").contains("<<<<<<< HEAD\n"));
        let said = project.transcript(&["update", "--resolve"]);
        assert!(said.starts_with("exit 0\n"), "{style}: {said}");
        merged(&project);
    }
}

#[test]
fn a_conflict_in_a_data_file_is_named() {
    let project = parted(false);
    run(&project, &["merge", "topic"]);
    git(&project.root(), &["checkout", "--ours", "default.nix"]);
    let said = project.transcript(&["check"]);
    assert!(said.contains("hashes.json has an unsolved merge conflict, lines 2 to 6"), "{said}");
}

#[test]
fn a_conflict_in_more_than_a_hash_is_nobodys_but_yours() {
    let project = parted(false);
    run(&project, &["merge", "topic"]);
    // The sides differ in the fetcher's version, too.
    let nix = project.read("default.nix");
    let other = nix.replacen("=======\n", "=======\n    npmDepsFetcherVersion = 2;\n", 1);
    project.write("default.nix", &other);
    let said = project.transcript(&["update", "--resolve"]);
    assert!(
        said.contains("note: default.nix: 1 conflict of hashes solved by the merged lockfile, 1 left\n"),
        "{said}"
    );
    assert!(project.read("default.nix").contains("npmDepsFetcherVersion = 2;\n"));
    // A hash of a source is not computed from a lockfile.
    let project = parted(false);
    let source =
        |hash: &str| format!("pkgs.fetchurl {{ url = \"https://x/y.tgz\"; hash = \"sha256-{hash}\"; }}");
    let side = |letter: &str| source(&(letter.repeat(43) + "="));
    project.write(
        "other.nix",
        format!("{{ pkgs }}:\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> topic\n", side("B"), side("C")),
    );
    let before = project.read("other.nix");
    project.transcript(&["update", "--resolve"]);
    assert_eq!(project.read("other.nix"), before);
}

#[test]
fn a_lockfile_that_another_driver_merges_leaves_its_hash_to_the_time_after() {
    for (attribute, driver) in [("merge=ours", "ours"), ("merge=union", "union"), ("-merge", "binary")] {
        let project = parted(true);
        git(&project.root(), &["config", "merge.ours.driver", "true"]);
        let attributes = format!("package-lock.json {attribute}\n") + &project.read(".gitattributes");
        project.write(".gitattributes", attributes);
        commit(&project, "another driver");
        let said = project.transcript(&["init", "merge-driver", "--dry-run"]);
        let note = format!(
            "note: data/package-lock.json (and 2 more) is merged by `{driver}` (.gitattributes:1), so that conflicts of its hash \
             stay\n"
        );
        assert!(said.contains(&note), "{said}");
        let said = project.transcript(&["explain", "web"]);
        let note =
            format!("  merged    the lockfile by `{driver}` (.gitattributes:1), not by git line by line\n");
        assert!(said.contains(&note), "{said}");
        let done = run(&project, &["merge", "topic"]);
        assert_eq!(done.status.code(), Some(1), "{}", text(&done));
        // No hash is one of a lockfile that is not there.
        assert_eq!(
            project.read("default.nix").matches("<<<<<<< ").count(),
            2,
            "{}",
            project.read("default.nix")
        );
        assert_eq!(project.read("hashes.json").matches("<<<<<<< ").count(), 1);
        for folder in FOLDERS {
            lock(&project, folder, [2, 1, 1, 1, 1, 2]);
        }
        let said = project.transcript(&["update", "--resolve"]);
        assert!(said.starts_with("exit 0\n"), "{said}");
        merged(&project);
    }
}

#[test]
fn an_older_git_leaves_what_it_does_not_know_and_the_conflict_stays() {
    let project = parted(true);
    // A percent sign doubled is one sign: what git before 2.44 hands over for `%X` and `%Y`.
    let driver = format!(
        "{} merge-driver %O %A %B %P --marker-size %L --our-label %%X --their-label %%Y",
        env!("CARGO_BIN_EXE_npm-nixhash")
    );
    git(&project.root(), &["config", "merge.npm-nixhash.driver", &driver]);
    let done = run(&project, &["merge", "topic"]);
    assert_eq!(done.status.code(), Some(1), "{}", text(&done));
    assert!(text(&done).contains("git knows no commit"), "{}", text(&done));
    let nix = project.read("default.nix");
    assert!(nix.contains("<<<<<<< ours\n") && nix.contains(">>>>>>> theirs\n"), "{nix}");
    let said = project.transcript(&["update", "--resolve"]);
    assert!(said.starts_with("exit 0\n"), "{said}");
    merged(&project);
}

#[test]
fn services_that_one_branch_adds_and_hashes_that_both_move_meet() {
    for branch in ["topic", "main"] {
        let project = parted(true);
        git(&project.root(), &["checkout", "-q", branch]);
        lock(&project, "early", [1, 1, 1, 1, 1, 1]);
        let call =
            "in {\n  early = pkgs.buildNpmPackage {\n    src = ./early;\n    npmDepsHash = \"\";\n  };\n";
        project.write("default.nix", project.read("default.nix").replacen("in {\n", call, 1));
        assert_eq!(project.run(&["update"]).status.code(), Some(0), "{}", project.transcript(&["update"]));
        commit(&project, "early");
        git(&project.root(), &["checkout", "-q", "main"]);
        let done = run(&project, &["merge", "-q", "topic"]);
        assert!(done.status.success(), "{}", text(&done));
        assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n4 in sync\n");
    }
}
