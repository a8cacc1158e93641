//! What is looked at, and what is chosen: from anywhere in a repository, by path, by name, by what changed. With the real
//! git.

mod borders;
mod changed;
mod policy;
mod tracking;
mod which;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::project::Project;

/// Runs git in a folder of a project, with nobody's configuration.
fn git(project: &Project, folder: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(project.path(folder)).env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.args(["-c", "user.name=x", "-c", "user.email=x@x", "-c", "protocol.file.allow=always"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes git's repository of a project's folder and commits all that is in it.
fn commit(project: &Project) {
    if !project.path(".git/HEAD").exists() {
        fs::remove_dir_all(project.path(".git")).unwrap();
        git(project, ".", &["init", "-q", "-b", "main"]);
    }
    git(project, ".", &["add", "-A"]);
    git(project, ".", &["commit", "-qm", "x"]);
}

/// A flake with these services, each with a lockfile in a folder of its name and nothing right yet; committed.
fn flake(services: &[&str]) -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    let mut packages = String::new();
    for name in services {
        project.lock(name, &[&left]);
        let _ = write!(
            packages,
            "      {name} = pkgs.buildNpmPackage {{\n        pname = \"{name}-service\";\n        version = \"1.0.0\";\n        \
             src = ./{name};\n        npmDepsHash = \"\";\n      }};\n"
        );
    }
    project.write(
        "flake.nix",
        format!(
            "{{\n  outputs = {{ nixpkgs, ... }}:\n    let pkgs = nixpkgs.legacyPackages.x86_64-linux; in {{\n    \
             packages.x86_64-linux = {{\n{packages}    }};\n  }};\n}}\n"
        ),
    );
    commit(&project);
    project
}

/// What a user sees who stands in a folder of the repository.
fn seen_from(project: &Project, folder: &Path, arguments: &[&str]) -> String {
    let mut command = project.command(arguments);
    project.render(&command.current_dir(folder).output().unwrap())
}

/// The names of the services that a run lists.
fn listed(project: &Project, arguments: &[&str]) -> Vec<String> {
    let output = project.run(&[&["list", "--json"], arguments].concat());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let sites = report["sites"].as_array().unwrap();
    let last =
        |site: &serde_json::Value| site["service"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
    sites.iter().map(last).collect()
}

#[test]
fn below_the_top_what_is_there_is_chosen_and_the_rest_is_counted() {
    let project = flake(&["web", "api", "worker"]);
    let hash = String::from_utf8(project.run(&["hash", "web"]).stdout).unwrap();
    assert_eq!(
        seen_from(&project, &project.path("web"), &["update"]),
        format!(
            "exit 0\n--- stdout\nupdated  web  placeholder -> {}  ../flake.nix:9:23\n1 updated, 2 not chosen in 1 file, [TIME]\n",
            hash.trim()
        )
    );
    let text = project.read("flake.nix");
    assert_eq!(text.matches("npmDepsHash = \"\";").count(), 2, "{text}");
    assert_eq!(project.transcript(&["check", "web"]), "exit 0\n--- stdout\n1 in sync, 2 not chosen\n");
    // The whole repository is what its top means.
    assert!(project.transcript(&["check"]).ends_with("2 stale, 1 in sync\n"));
}

#[test]
fn a_path_that_chooses_nothing_is_an_error_that_says_what_there_is() {
    let project = flake(&["web", "worker"]);
    project.write("web/src/index.js", "");
    project.write("docs/package-lock.json", "{}");
    let nothing = |place: &str, what: &str, nearest: &str| {
        format!(
            "exit 2\n--- stderr\nerror: {what} [ROOT]/{place}: 2 sites elsewhere in [ROOT], nearest: {nearest}\n  hint: \
             `npm-nixhash list` at the top of the repository shows them\n"
        )
    };
    for command in ["update", "check", "list"] {
        let said = seen_from(&project, &project.path("web/src"), &[command]);
        assert_eq!(said, nothing("web/src", "no npm derivation at", "web"));
        assert_eq!(
            project.transcript(&[command, "docs/package-lock.json"]),
            nothing("docs/package-lock.json", "no npm derivation uses the lockfile at", "web")
        );
    }
    // A typo in a workflow is told, as a path and as a name.
    let said = project.transcript(&["check", "./webb"]);
    assert!(said.starts_with("exit 2\n--- stderr\nerror: cannot read [ROOT]/./webb\n"), "{said}");
    assert_eq!(
        project.transcript(&["check", "webb"]),
        "exit 2\n--- stderr\nerror: no npm derivation is called `webb`\n  hint: did you mean `web`?\n"
    );
}

#[test]
fn a_path_chooses_by_nix_file_hash_file_source_and_lockfile() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    for folder in ["a", "b/src", "locks", "d"] {
        project.lock(folder, &[&left]);
    }
    project.write("hashes/b.json", "{ \"hash\": \"\" }\n");
    project.write(
        "nix/a.nix",
        "{ pkgs }: pkgs.buildNpmPackage { pname = \"a\"; src = ../a; npmDepsHash = \"\"; }\n",
    );
    project.write(
        "default.nix",
        "{ pkgs }: {\n  a = import ./nix/a.nix { inherit pkgs; };\n  b = pkgs.buildNpmPackage { pname = \"b\"; src = ./b/src; \
         npmDepsHash = (builtins.fromJSON (builtins.readFile ./hashes/b.json)).hash; };\n  c = pkgs.buildNpmPackage { \
         pname = \"c\"; src = ./c; postPatch = \"cp ${./locks/package-lock.json} package-lock.json\"; npmDepsHash = \"\"; };\n  \
         d = pkgs.buildNpmPackage { pname = \"d\"; src = ./link; npmDepsHash = \"\"; };\n}\n",
    );
    project.write("c/package.json", "{}");
    std::os::unix::fs::symlink("d", project.path("link")).unwrap();
    commit(&project);
    let cases: [(&str, &[&str]); 12] = [
        (".", &["a", "b", "c", "d"]),
        ("default.nix", &["b", "c", "d"]),
        ("nix", &["a"]),
        ("nix/a.nix", &["a"]),
        ("a/package-lock.json", &["a"]),
        ("hashes", &["b"]),
        ("hashes/b.json", &["b"]),
        ("b", &["b"]),
        ("./c", &["c"]),
        ("locks/package-lock.json", &["c"]),
        ("link", &["d"]),
        ("./d", &["d"]),
    ];
    for (path, expected) in cases {
        let mut found = listed(&project, &[path]);
        found.sort();
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(listed(&project, &["nix", "locks"]).len(), 2, "several paths choose what each of them does");
}

#[test]
fn another_folder_can_be_the_current_one() {
    let project = flake(&["web", "api"]);
    let outside = project.path("..");
    let repository = project.root().display().to_string();
    assert!(seen_from(&project, &outside, &["-C", &repository, "check"]).ends_with("2 stale\n"));
    let below = format!("{repository}/web");
    assert!(seen_from(&project, &outside, &["check", "-C", &below]).ends_with("1 stale, 1 not chosen\n"));
    assert!(seen_from(&project, &outside, &["check", &below]).ends_with("1 stale, 1 not chosen\n"));
    let said = seen_from(&project, &outside, &["-C", "no/such/folder", "check"]);
    assert!(said.starts_with("exit 2\n--- stderr\nerror: cannot read "), "{said}");
}

#[test]
fn without_git_the_flake_is_the_top() {
    let project = flake(&["web", "api"]);
    fs::remove_dir_all(project.path(".git")).unwrap();
    let said = seen_from(&project, &project.path("web"), &["check"]);
    assert!(said.ends_with("1 stale, 1 not chosen\n"), "{said}");
}

#[test]
fn a_flake_in_a_sub_folder_of_a_repository_takes_its_lockfiles_from_all_of_it() {
    let project = flake(&["web"]);
    project.write("nix/flake.nix", project.read("flake.nix").replace("./web", "../web"));
    fs::remove_file(project.path("flake.nix")).unwrap();
    commit(&project);
    for (folder, arguments) in
        [("nix", &["check"][..]), ("web", &["check"]), (".", &["check", "nix/flake.nix"])]
    {
        let said = seen_from(&project, &project.path(folder), arguments);
        assert!(said.contains("\nstale  web  placeholder -> "), "{folder}: {said}");
    }
}

#[test]
fn nothing_found_where_there_are_lockfiles_is_told_and_fails() {
    let project = flake(&["web"]);
    project.write("flake.nix", "{ outputs = _: { }; }\n");
    let said = project.transcript(&["check"]);
    assert_eq!(
        said,
        "exit 1\n--- stdout\nno npm derivation found, 1 lockfile without a derivation\n--- stderr\nwarning: no npm derivation \
         was found, although there are lockfiles\n  hint: if they do not matter, name them in `ignore-lockfiles` of \
         npm-nixhash.toml\nwarning: no npmDepsHash covers the lockfile web/package-lock.json\n"
    );
    assert!(project.transcript(&["update"]).starts_with("exit 2\n"));
    fs::remove_file(project.path("web/package-lock.json")).unwrap();
    assert_eq!(project.transcript(&["check"]), "exit 0\n--- stdout\nno npm derivation found\n");
}
