//! One failure is one failure: what is proven is written, what failed is told, what belongs together stays together.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;
use std::{fs, thread};

use crate::support::project::Project;
use crate::support::registry::Fault;

/// Services in one file; each has a package of its own.
fn services(names: &[&str]) -> Project {
    let project = Project::new();
    let mut text = String::from("{ pkgs }:\n{\n");
    for name in names {
        let package = project.registry.publish(name, "1.0.0", &[]);
        project.lock(name, &[&package]);
        let _ = writeln!(text, "  {name} = pkgs.buildNpmPackage {{ src = ./{name}; npmDepsHash = \"\"; }};");
    }
    project.write("default.nix", text + "}\n");
    project
}

/// Lets nobody have a service's package.
fn refuse(project: &Project, name: &str) {
    project.registry.fault(&format!("/{name}/-/{name}-1.0.0.tgz"), 99, Fault::Status(403));
}

fn hash(project: &Project, name: &str) -> String {
    let output = project.run(&["hash", name]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn one_registry_that_is_down_does_not_keep_the_others_from_their_hashes() {
    let project = services(&["a", "b", "c"]);
    refuse(&project, "b");
    let said = project.transcript(&["update"]);
    assert!(said.starts_with("exit 2\n--- stdout\nupdated  a  placeholder -> sha256-"), "{said}");
    assert!(said.contains("\n2 updated, 1 failed in 1 file, [TIME]\n--- stderr\nerror: default.nix:4:7: b/package-lock.json: b "), "{said}");
    let text = project.read("default.nix");
    for (name, there) in [("a", true), ("c", true)] {
        assert_eq!(text.contains(&hash(&project, name)), there, "{name}: {text}");
    }
    assert!(text.contains("b = pkgs.buildNpmPackage { src = ./b; npmDepsHash = \"\"; };"), "{text}");
    assert!(project.transcript(&["check"]).contains("2 in sync, 1 failed\n"));
    // The same once more changes nothing, and ends the same way.
    assert!(
        project
            .transcript(&["update"])
            .starts_with("exit 2\n--- stdout\nfailed  b  default.nix:4:55\n2 in sync, 1 failed, [TIME]\n")
    );
    assert_eq!(project.read("default.nix"), text);
}

#[test]
fn who_wants_all_or_nothing_can_have_it() {
    let project = services(&["a", "b"]);
    let before = project.read("default.nix");
    refuse(&project, "b");
    let said = project.transcript(&["update", "--all-or-nothing"]);
    assert!(said.starts_with("exit 2\n") && said.contains("1 stale, 1 failed, [TIME]\n"), "{said}");
    assert!(said.ends_with("error: nothing was changed, because not every hash is known\n"), "{said}");
    assert_eq!(project.read("default.nix"), before);
    assert!(project.transcript(&["update", "a", "--all-or-nothing"]).starts_with("exit 0\n"));
}

#[test]
fn what_shares_a_stale_source_hash_with_a_failure_is_held_back() {
    let project = services(&["a", "b", "c"]);
    // One source for two derivations, whose lockfiles are vendored beside it.
    let (archive, digest) = crate::source::one_file_archive("x", "1\n");
    project.registry.serve("/o/r/archive/v1.tar.gz", archive);
    let vendored = |name: &str| {
        format!(
            "  {name} = pkgs.buildNpmPackage {{ pname = \"{name}\"; inherit src; postPatch = \"cp ${{./{name}/package-lock.json}} \
             package-lock.json\"; npmDepsHash = \"\"; }};\n"
        )
    };
    let text = format!(
        "{{ pkgs }}:\nlet src = pkgs.fetchFromGitHub {{ owner = \"o\"; repo = \"r\"; rev = \"v1\"; hash = \"\"; }};\nin {{\n{}{}  c = \
         pkgs.buildNpmPackage {{ src = ./c; npmDepsHash = \"\"; }};\n}}\n",
        vendored("a"),
        vendored("b")
    );
    project.write("default.nix", &text);
    refuse(&project, "b");
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.arg(format!("--registry-override=github.com={}", project.registry.url()));
        project.render(&command.output().unwrap())
    };
    let said = run(&["update"]);
    assert!(
        said.starts_with("exit 2\n") && said.contains("\n1 updated, 2 failed in 1 file, [TIME]\n"),
        "{said}"
    );
    assert!(said.contains("not changed: it shares a hash or a lockfile with b, which failed"), "{said}");
    let c = hash(&project, "c");
    assert_eq!(
        project.read("default.nix"),
        text.replace("./c; npmDepsHash = \"\"", &format!("./c; npmDepsHash = \"{c}\""))
    );
    // Where the shared hash is right already, nothing has to wait.
    project
        .write("default.nix", text.replace("hash = \"\"; };\nin", &format!("hash = \"{digest}\"; }};\nin")));
    let said = run(&["update"]);
    assert!(said.contains("\n2 updated, 1 failed in 1 file, [TIME]\n"), "{said}");
}

/// A service in a folder of its own beside those of `services`.
fn add_locked(project: &Project, comment: &str) {
    let package = project.registry.publish("z", "1.0.0", &[]);
    project.lock("locked/z", &[&package]);
    let text = format!(
        "{comment}{{ pkgs }}: {{ z = pkgs.buildNpmPackage {{ src = ./z; npmDepsHash = \"\"; }}; }}\n"
    );
    project.write("locked/default.nix", text);
}

#[test]
fn a_file_that_cannot_be_written_is_the_failure_of_its_own_services() {
    let project = services(&["a"]);
    add_locked(&project, "");
    let folder = project.path("locked");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    // Nobody is kept out who may do everything; the next test is for them, too.
    let writable = fs::write(folder.join("probe"), "").is_ok();
    let said = project.transcript(&["update"]);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    if writable {
        assert!(said.starts_with("exit 0\n") && said.contains("2 updated in 2 files"), "{said}");
    } else {
        assert!(said.starts_with("exit 2\n") && said.contains("1 updated, 1 failed in 1 file"), "{said}");
        assert!(said.contains("cannot replace"), "{said}");
    }
}

/// A bound on the size of files is as a disk that is full, for root as well.
#[test]
fn a_file_for_whose_new_text_there_is_no_room_stays_and_the_others_are_right() {
    let project = services(&["a"]);
    add_locked(&project, &format!("# {}\n", "long ".repeat(4000)));
    let before = project.read("locked/default.nix");
    let update = project.command(&["update", "--no-cache"]);
    let mut shell = std::process::Command::new("/bin/sh");
    // The signal would end the program; without it the system's call fails, as on a full disk.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" update --no-cache"]).arg(update.get_program());
    shell
        .current_dir(project.root())
        .env_clear()
        .envs(update.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = project.render(&shell.output().unwrap());
    assert!(said.starts_with("exit 2\n") && said.contains("1 updated, 1 failed in 1 file"), "{said}");
    assert!(
        said.contains(
            "z/package-lock.json: not changed\n  caused by: cannot replace [ROOT]/locked/default.nix\n"
        ),
        "{said}"
    );
    assert_eq!(project.read("locked/default.nix"), before);
    assert!(project.read("default.nix").contains(&hash(&project, "a")));
    let left = fs::read_dir(project.path("locked")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with(".npm-nixhash-")));
    assert!(project.transcript(&["update"]).contains("1 updated, 1 in sync in 1 file"));
}

#[test]
fn what_is_denied_keeps_nothing_from_being_made_right() {
    let project = services(&["a", "b"]);
    let text = project.read("default.nix").replace("src = ./b;", "src = pkgs.someFunction ./b;");
    project.write("default.nix", &text);
    let said = project.transcript(&["update", "--deny", "undecided"]);
    assert!(
        said.starts_with("exit 2\n") && said.contains("\n1 updated, 1 undecided in 1 file, [TIME]\n"),
        "{said}"
    );
    assert!(said.ends_with("error: there are undecided derivations\n"), "{said}");
    project.write("default.nix", &text);
    let said = project.transcript(&["update", "--deny", "undecided", "--all-or-nothing"]);
    assert!(
        said.ends_with("error: nothing was changed, because there are undecided derivations\n"),
        "{said}"
    );
    assert_eq!(project.read("default.nix"), text);
}

#[test]
fn eight_updates_at_once_all_succeed() {
    let project = services(&["a", "b", "c", "d"]);
    let before = project.read("default.nix");
    for round in 0..4 {
        project.write("default.nix", &before);
        let run = || project.command(&["update"]).output().unwrap();
        let outputs: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for output in outputs {
            assert!(output.status.success(), "round {round}: {}", project.render(&output));
        }
        assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n4 in sync\n");
        let names = fs::read_dir(project.root()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".npm-nixhash-")));
    }
}

#[test]
fn updates_of_different_services_of_one_file_at_once_lose_nothing() {
    let names = ["a", "b", "c", "d"];
    let project = services(&names);
    let before = project.read("default.nix");
    for round in 0..4 {
        project.write("default.nix", &before);
        let run = &|name: &'static str| project.command(&["update", &format!(".#{name}")]).output().unwrap();
        thread::scope(|scope| {
            let runs: Vec<_> = names.map(|name| scope.spawn(move || run(name))).into();
            for output in runs.into_iter().map(|run| run.join().unwrap()) {
                assert!(output.status.success(), "round {round}: {}", project.render(&output));
            }
        });
        assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n4 in sync\n");
    }
}

/// Runs that each want part of what others want, in two files: what one of them has written already when another one gets
/// ahead of it is not lost, and neither is a failure.
#[test]
fn runs_that_overtake_each_other_all_succeed() {
    let project = services(&["a", "b", "c", "d"]);
    let text = project.read("default.nix");
    let lines: Vec<&str> = text.lines().collect();
    let files = [("one/default.nix", [2, 3]), ("two/default.nix", [4, 5])];
    let half = |services: [usize; 2]| {
        let services = services.map(|line| lines[line].replace("./", "../"));
        format!("{{ pkgs }}:\n{{\n{}\n}}\n", services.join("\n"))
    };
    fs::remove_file(project.path("default.nix")).unwrap();
    let choices =
        [["a", "c"], ["b", "d"], ["a", "d"], ["b", "c"], ["c", "a"], ["d", "b"], ["a", "b"], ["c", "d"]];
    for round in 0..6 {
        for (file, services) in files {
            project.write(file, half(services));
        }
        let run = &|names: [&'static str; 2]| {
            let names = names.map(|name| format!(".#{name}"));
            project.command(&["update", &names[0], &names[1]]).output().unwrap()
        };
        let outputs: Vec<_> = thread::scope(|scope| {
            let runs: Vec<_> = choices.map(|names| scope.spawn(move || run(names))).into();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for output in &outputs {
            assert!(output.status.success(), "round {round}: {}", project.render(output));
        }
        assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\n4 in sync\n");
    }
}

#[test]
fn three_hundred_services_are_one_line_where_nothing_changes() {
    let names: Vec<String> = (0..300).map(|n| format!("s{n:03}")).collect();
    let project = Project::new();
    let package = project.registry.publish("left", "1.0.0", &[]);
    for name in &names {
        project.lock(&format!("services/{name}"), &[&package]);
        project.write(
            &format!("services/{name}/package.nix"),
            format!("{{ buildNpmPackage }}: buildNpmPackage {{ pname = \"{name}\"; src = ./.; npmDepsHash = \"\"; }}\n"),
        );
    }
    let mut calls = String::new();
    for name in &names {
        let _ = writeln!(calls, "    {name} = pkgs.callPackage ./services/{name}/package.nix {{ }};");
    }
    project.write(
        "flake.nix",
        format!("{{ outputs = {{ nixpkgs, ... }}: let pkgs = nixpkgs.legacyPackages.x86_64-linux; in {{\n  packages.x86_64-linux = \
             {{\n{calls}  }}; }}; }}\n"),
    );
    let first = project.transcript(&["update"]);
    assert!(
        first.starts_with("exit 0\n") && first.ends_with("300 updated in 300 files, [TIME]\n"),
        "{first}"
    );
    assert_eq!(first.lines().count(), 303, "{first}");
    let started = Instant::now();
    assert_eq!(project.transcript(&["update"]), "exit 0\n--- stdout\n300 in sync, [TIME]\n");
    let again = started.elapsed().as_secs();
    assert!(again < 20, "{again} s");
    let every = project.transcript(&["update", "-v"]);
    assert_eq!(every.lines().filter(|line| line.starts_with("in sync  ")).count(), 300);
    // One of them changes; one other is not available.
    project.write("services/s123/package-lock.json", project.read("services/s123/package-lock.json") + "\n");
    let gone = project.registry.publish("gone", "1.0.0", &[]);
    project.registry.fault(&gone.path, 99, Fault::Status(403));
    project.lock("services/s200", &[&gone]);
    let said = project.transcript(&["update"]);
    assert!(said.contains("\n1 updated, 298 in sync, 1 failed in 1 file, [TIME]\n"), "{said}");
    assert!(said.lines().count() < 12 && said.contains("updated  s123  "), "{said}");
    assert!(
        project
            .transcript(&["update", "s0*", "--exclude", "s01?"])
            .contains("90 in sync, 10 excluded, 200 not chosen, ")
    );
}
