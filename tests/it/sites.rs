//! What is said of single sites: assumed builders, wrapped services, what is undecided and why.

use std::fs;

use serde_json::Value;

use crate::support::project::Project;

/// A flake with one lockfile in `web`.
fn flake(packages: &str) -> Project {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[("index.js", b"1")]);
    project.lock("web", &[&left]);
    let text = format!(
        "{{\n  inputs.other.url = \"github:example/other\";\n  outputs = {{ self, nixpkgs, other }}:\n    \
         let pkgs = nixpkgs.legacyPackages.x86_64-linux; in {{\n{packages}\n    }};\n}}\n"
    );
    project.write("flake.nix", text);
    project
}

fn json(project: &Project, args: &[&str]) -> Value {
    serde_json::from_slice(&project.run(args).stdout).unwrap()
}

#[test]
fn an_assumed_builder_is_said_to_be_one_and_can_be_refused() {
    let project = flake(
        "packages.x86_64-linux.a = other.lib.buildNpmPackage { pname = \"a\"; src = ./web; npmDepsHash = \"\"; };\n\
         packages.x86_64-linux.b = pkgs.buildNpmPackage { pname = \"b\"; src = ./web; npmDepsHash = \"\"; };",
    );
    let list = project.transcript(&["list"]);
    assert!(list.contains("  (placeholder, assumed: inputs.other.lib.buildNpmPackage)\n"), "{list}");
    assert!(list.contains("hint: --deny assumed refuses such builders\n"), "{list}");
    let update = project.transcript(&["update", "--deny", "assumed"]);
    assert!(update.starts_with("exit 2\n--- stdout\n"), "{update}");
    assert!(
        update.contains("a: not changed: `inputs.other.lib.buildNpmPackage` is only assumed"),
        "{update}"
    );
    let text = project.read("flake.nix");
    assert_eq!(text.matches("npmDepsHash = \"\"").count(), 1, "{text}");
    assert!(project.transcript(&["update"]).starts_with("exit 0"));
    let check = project.transcript(&["check"]);
    assert!(check.starts_with("exit 0\n--- stdout\n2 in sync, 1 of them assumed\n"), "{check}");
    let warning =
        "packages.x86_64-linux.a: `inputs.other.lib.buildNpmPackage` is not known; it is assumed to hash";
    assert!(check.contains(warning), "{check}");
    assert!(project.transcript(&["check", "--deny", "assumed"]).starts_with("exit 1"));
    let report = json(&project, &["check", "--json"]);
    assert_eq!(report["sites"][0]["assumed"], "inputs.other.lib.buildNpmPackage");
    assert_eq!(report["sites"][1]["assumed"], Value::Null);
    assert_eq!(report["summary"]["assumed"], 1);
    let markdown = project.transcript(&["check", "--format", "markdown"]);
    assert!(
        markdown.contains("**Assumed to be built as nixpkgs does**\n\n- <code>packages.x86"),
        "{markdown}"
    );
}

#[test]
fn list_and_check_agree_on_sources_that_cannot_be_followed() {
    let project = flake(
        "packages.x86_64-linux.a = pkgs.buildNpmPackage { pname = \"a\"; npmDepsHash = \"\";\n\
         src = fetchGit { url = \"git@git.example.invalid:o/a.git\"; rev = \"cafd846e937afd38b880a4fed1477fb59ad74ee9\"; }; };",
    );
    let of = |args: &[&str]| {
        let site = json(&project, args)["sites"][0].clone();
        (site["status"].clone(), site["undecided"].clone())
    };
    let listed = of(&["list", "--json"]);
    assert_eq!(listed.0, "undecided");
    assert_eq!(listed, of(&["check", "--json"]));
}

#[test]
fn a_typo_in_one_call_of_a_wrapper_names_that_call() {
    let project = flake(
        "packages.x86_64-linux = let mk = import ./mk.nix pkgs; in {\n\
         good = mk { name = \"good\"; src = ./web; hash = \"\"; };\n\
         bad = mk { name = \"bad\"; src = ./wbe; hash = \"\"; };\n};",
    );
    project.write("mk.nix", "pkgs: { name, src, hash }: pkgs.buildNpmPackage { pname = name; inherit src; npmDepsHash = hash; }\n");
    let check = project.transcript(&["check"]);
    let error =
        "error: flake.nix:7:46: packages.x86_64-linux.bad: there is no lockfile at wbe/package-lock.json\n";
    assert!(check.contains(error), "{check}");
    let github = project.transcript(&["check", "--format", "github"]);
    assert!(github.contains("::error file=flake.nix,line=7,col=46,"), "{github}");
}

#[test]
fn npm_root_is_said_not_to_move_the_lockfile() {
    let project = flake(
        "packages.x86_64-linux.a = pkgs.buildNpmPackage { pname = \"a\"; src = ./.; npmRoot = \"web\"; npmDepsHash = \"\"; };",
    );
    let check = project.transcript(&["check"]);
    assert!(check.starts_with("exit 2"), "{check}");
    assert!(check.contains("does not move the lockfile that is hashed"), "{check}");
    assert!(check.contains("npmDeps = fetchNpmDeps { src = SRC + \"/web\"; hash = \"\"; };"), "{check}");
}

#[test]
fn a_hash_that_is_not_given_has_a_line_to_write() {
    let project = flake("packages.x86_64-linux.a = pkgs.buildNpmPackage { pname = \"a\"; src = ./web; };");
    let check = project.transcript(&["check"]);
    assert!(check.contains("hint: write `npmDepsHash = \"\";` into the arguments of this call"), "{check}");
    assert!(!check.contains("no npmDepsHash covers"), "{check}");
}

#[test]
fn a_comment_is_no_answer_where_the_lockfile_is_edited() {
    let project = flake(
        "packages.x86_64-linux.a = pkgs.buildNpmPackage { pname = \"a\"; src = ./web;\n\
         postPatch = \"sed -i s/left/right/ package-lock.json\";\n\
         # npm-nixhash: lockfile=./web/package-lock.json\n\
         npmDepsHash = \"\"; };",
    );
    let before = project.read("flake.nix");
    for command in ["check", "update"] {
        let transcript = project.transcript(&[command]);
        assert!(transcript.starts_with("exit 2"), "{transcript}");
        let error =
            "error: flake.nix:7:1: a comment cannot settle this hash: postPatch: `sed` changes the lockfile";
        assert!(transcript.contains(error), "{transcript}");
        assert!(!transcript.contains("no npmDepsHash covers"), "{transcript}");
    }
    assert_eq!(project.read("flake.nix"), before);
}

#[test]
fn no_report_has_a_path_of_the_machine() {
    let project = flake(
        "packages.x86_64-linux = let hash = \"\"; build = name: src: extra: pkgs.buildNpmPackage ({ pname = name; inherit src; } // extra); in {\n\
         one = build \"one\" ./web { npmDepsHash = hash; };\n\
         two = build \"two\" ./api { npmDepsHash = hash; };\n\
         outside = build \"outside\" ../elsewhere { npmDepsHash = \"\"; };\n\
         archive = build \"archive\" ./web/package-lock.json { npmDepsHash = \"\"; };\n\
         patched = build \"patched\" ./web { patches = [ ./no.patch ]; npmDepsHash = \"\"; };\n\
         missing = build \"missing\" ./none { npmDepsHash = \"\"; };\n\
         broken = import ./broken.nix; gone = import ./gone.nix { npmDepsHash = \"\"; };\n};",
    );
    let right = project.registry.publish("right", "1.0.0", &[]);
    project.lock("api", &[&right]);
    project.write("broken.nix", "{ npmDepsHash = ; }");
    let root = fs::canonicalize(project.root()).unwrap();
    let planted = root.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    for args in [
        &["list", "--explain"][..],
        &["list", "--json"],
        &["check"],
        &["check", "--json"],
        &["check", "--format", "markdown"],
        &["check", "--format", "github"],
        &["check", "--format", "codequality"],
        &["update", "--dry-run"],
        &["update", "--json"],
    ] {
        let output = project.run(args);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert!(text.len() > 20, "{args:?}");
        assert!(!text.contains(&planted), "{args:?}: {text}");
    }
}

/// One hash cannot be that of the lockfile that a comment names, and of another one that is known.
#[test]
fn a_comment_does_not_contradict_another_derivation_with_the_same_hash() {
    let project = flake(
        "packages.x86_64-linux = let\n\
         # npm-nixhash: lockfile=./other/package-lock.json\n\
         npmDepsHash = \"\"; in {\n\
         a = pkgs.buildNpmPackage { pname = \"a\"; src = ./web; inherit npmDepsHash; };\n\
         b = pkgs.buildNpmPackage { pname = \"b\"; src = pkgs.mystery ./other; inherit npmDepsHash; };\n};",
    );
    let right = project.registry.publish("right", "1.0.0", &[("index.js", b"1")]);
    project.lock("other", &[&right]);
    let before = project.read("flake.nix");
    let update = project.transcript(&["update"]);
    assert!(update.starts_with("exit 2"), "{update}");
    let error = "error: flake.nix:6:1: the comment names `./other/package-lock.json`, but another derivation has the same \
                 hash for web/package-lock.json; give each of them a hash of its own";
    assert!(update.contains(error), "{update}");
    assert_eq!(project.read("flake.nix"), before);
}
