//! Lockfiles inside of sources: where they are looked for, and what patches make of them.

use npm_tarballs::integrity::ContentId;
use serde_json::{Value, json};

use super::archives::Item;
use super::{OTHER, call, derivation, hash_of, npm_hash, package, run, tar_gz, transcript};
use crate::support::git::{commit, init};
use crate::support::project::{Project, lockfile};

/// Serves these items as a source and gives its call, with the right hash.
fn serve(project: &Project, items: &[Item]) -> String {
    project.registry.serve("/o/r/archive/v1.tar.gz", tar_gz("r-1/", items));
    let hash = hash_of(items);
    call("pkgs.fetchFromGitHub", &format!(r#"owner = "o"; repo = "r"; rev = "v1"; hash = "{hash}";"#))
}

/// Serves these items as the archive at a URL and gives the call that fetches it, with the right hash.
fn serve_at(project: &Project, url: &str, top: &str, items: &[Item]) -> String {
    let archive = tar_gz(top, items);
    let hash = ContentId::sha512_of(&archive).sri();
    let (_, path) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
    project.registry.serve(&format!("/{path}"), archive);
    call("pkgs.fetchurl", &format!(r#"url = "{url}"; hash = "{hash}";"#))
}

/// A derivation with more attributes.
fn with(source: &str, more: &str) -> String {
    derivation(source, "").replace("  npmDepsHash", &format!("  {more}\n  npmDepsHash"))
}

/// The unified diff between two lockfiles.
fn diff(before: &str, after: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("a", before), ("b", after)] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("package-lock.json"), text).unwrap();
    }
    std::process::Command::new("diff")
        .args(["-ru", "a", "b"])
        .current_dir(folder.path())
        .output()
        .unwrap()
        .stdout
}

fn in_folder(folder: &str, items: &[Item]) -> Vec<Item> {
    let moved = |item: &Item| match item.clone() {
        Item::File { path, text, executable } => {
            Item::File { path: format!("{folder}/{path}"), text, executable }
        }
        Item::Link { path, target } => Item::Link { path: format!("{folder}/{path}"), target },
    };
    items.iter().map(moved).collect()
}

#[test]
fn source_root_names_the_folder() {
    let project = Project::new();
    let (items, lock) = package(&project);
    let items = in_folder("web/ui", &items);
    let source = serve(&project, &items);
    for more in [r#"sourceRoot = "source/web/ui";"#, r#"sourceRoot = "${src.name}/web/ui";"#] {
        project.write("tool.nix", with(&source, more));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, &lock)), "{more}\n{said}");
        let said = transcript(&project, &["check", "-v"]);
        assert!(said.contains("\n  lockfile  o/r@v1/web/ui/package-lock.json\n"), "{said}");
    }
    project.write("tool.nix", with(&source, r#"sourceRoot = "source/api";"#));
    let said = transcript(&project, &["update"]);
    assert!(
        said.starts_with("exit 2\n") && said.contains("caused by: the source has no folder `api`"),
        "{said}"
    );
}

#[test]
fn a_tarball_of_the_registry_unpacks_into_its_own_folder() {
    let project = Project::new();
    let (items, lock) = package(&project);
    project.registry.serve("/t.tgz", tar_gz("package/", &items));
    let source = call("pkgs.fetchurl", r#"url = "https://example.org/t.tgz"; hash = "";"#);
    for more in ["", r#"sourceRoot = "package";"#] {
        project.write("tool.nix", with(&source, more));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, &lock)), "{more}\n{said}");
    }
}

#[test]
fn a_shrinkwrap_wins_also_over_a_lockfile_that_is_copied_in() {
    let project = Project::new();
    let (mut items, _) = package(&project);
    let right = project.registry.publish("right", "1.0.0", &[]);
    let shrinkwrap = lockfile("tool", &[&right]);
    items.push(Item::file("npm-shrinkwrap.json", &shrinkwrap));
    let source = serve(&project, &items);
    project.lock("own", &[&right, &project.registry.publish("third", "1.0.0", &[])]);
    let copied = r#"postPatch = "cp ${./own/package-lock.json} package-lock.json";"#;
    let removed = copied.replace("\"cp", "\"rm npm-shrinkwrap.json; cp");
    let own = project.read("own/package-lock.json");
    for (more, lock) in [("", &shrinkwrap), (copied, &shrinkwrap), (&removed, &own)] {
        project.write("tool.nix", with(&source, more));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, lock)), "{more}\n{said}");
        let warned = said.contains("its source has an npm-shrinkwrap.json, which is hashed instead");
        assert_eq!(warned, more == copied, "{said}");
    }
}

#[test]
fn a_shrinkwrap_wins_where_a_script_lays_a_lockfile_over_the_source() {
    let project = Project::new();
    let (mut items, _) = package(&project);
    let right = project.registry.publish("right", "1.0.0", &[]);
    let shrinkwrap = lockfile("tool", &[&right]);
    items.push(Item::file("npm-shrinkwrap.json", &shrinkwrap));
    items.extend(in_folder("web", &items));
    let plain = Item::file("plain/package.json", "{}");
    items.push(plain);
    let source = serve(&project, &items);
    project.lock("own", &[&right, &project.registry.publish("third", "1.0.0", &[])]);
    let own = project.read("own/package-lock.json");
    let lay = "cp ${./own/package-lock.json} $out/package-lock.json";
    let script = |copies: &str| format!("pkgs.runCommand \"made\" {{ }} ''\n    {copies}\n    {lay}\n  ''");
    let whole = format!("cp -r ${{{source}}} $out; chmod -R +w $out");
    let patched = format!(
        "pkgs.applyPatches {{ src = {source}; postPatch = \"cp ${{./own/package-lock.json}} package-lock.json\"; }}"
    );
    for (made, lock) in [
        (script(&whole), &shrinkwrap),
        (script(&format!("{whole}; rm $out/npm-shrinkwrap.json")), &own),
        (script(&format!("cp -R ${{{source}}}/web $out; chmod -R +w $out")), &shrinkwrap),
        (script(&format!("cp -R ${{{source}}}/plain/. $out; chmod -R +w $out")), &own),
        (script(&format!("mkdir $out; cp ${{{source}}}/*.json $out; chmod -R +w $out")), &shrinkwrap),
        (script(&format!("mkdir $out; cp ${{{source}}}/package*.json $out; chmod -R +w $out")), &own),
        (patched, &shrinkwrap),
    ] {
        project.write("tool.nix", derivation(&made, ""));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, lock)), "{made}\n{said}");
        let warned = said.contains("its source has an npm-shrinkwrap.json, which is hashed instead");
        assert_eq!(warned, lock == &shrinkwrap, "{said}");
    }
}

#[test]
fn a_shrinkwrap_wins_that_a_script_unpacks_with_its_package() {
    let project = Project::new();
    let (mut items, _) = package(&project);
    let right = project.registry.publish("right", "1.0.0", &[]);
    let shrinkwrap = lockfile("tool", &[&right]);
    items.push(Item::file("npm-shrinkwrap.json", &shrinkwrap));
    let source = serve_at(&project, "https://registry.npmjs.org/tool/-/tool-1.0.0.tgz", "package/", &items);
    project.lock("own", &[&right, &project.registry.publish("third", "1.0.0", &[])]);
    let own = project.read("own/package-lock.json");
    let unpack = format!("mkdir $out; tar -xzf ${{{source}}} --strip-components=1 -C $out");
    let elsewhere = format!("mkdir $out x; tar -xzf ${{{source}}} -C x; cp x/package/*.js $out");
    let lay = "cp ${./own/package-lock.json} $out/package-lock.json";
    for (copies, lock) in [
        (format!("{unpack}; {lay}"), &shrinkwrap),
        (format!("mkdir -p x; cd x; {unpack} || true; {lay}"), &shrinkwrap),
        (format!("{unpack}; {lay}; rm -f $out/npm-shrinkwrap.json"), &own),
        (format!("{elsewhere}; {lay}"), &own),
    ] {
        project.write(
            "tool.nix",
            derivation(&format!("pkgs.runCommand \"made\" {{ }} ''\n    {copies}\n  ''"), ""),
        );
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, lock)), "{copies}\n{said}");
    }
}

#[test]
fn a_shrinkwrap_of_a_source_counts_only_where_it_is_left() {
    let project = Project::new();
    let (mut items, lock) = package(&project);
    let right = project.registry.publish("right", "1.0.0", &[]);
    let shrinkwrap = lockfile("tool", &[&right]);
    items.push(Item::file("npm-shrinkwrap.json", &shrinkwrap));
    let inner = lockfile("inner", &[&right, &project.registry.publish("third", "1.0.0", &[])]);
    items.push(Item::file("web/package-lock.json", &inner));
    items.push(Item::file("web/old-package-lock.json", &lock));
    items.push(Item::file("both/package-lock.json", &inner));
    items.push(Item::file("both/npm-shrinkwrap.json", &lock));
    let source = serve(&project, &items);
    for (phase, lock) in [
        ("", Some(&shrinkwrap)),
        ("rm npm-shrinkwrap.json", Some(&lock)),
        ("rm -f npm-shrinkwrap.json package-lock.json; cp web/package-lock.json .", Some(&inner)),
        // Only that file is copied, and the shrinkwrap at the top still wins.
        ("cp both/package-lock.json package-lock.json", Some(&shrinkwrap)),
        ("rm npm-shrinkwrap.json; cp both/package-lock.json package-lock.json", Some(&inner)),
        ("rm npm-shrinkwrap.json; cp both/npm-shrinkwrap.json package-lock.json", Some(&lock)),
        ("cp both/npm-shrinkwrap.json package-lock.json", None),
        ("cp npm-shrinkwrap.json package-lock.json", Some(&shrinkwrap)),
        ("mv npm-shrinkwrap.json package-lock.json", Some(&shrinkwrap)),
        ("rm npm-shrinkwrap.json; cp web/old-package-lock.json package-lock.json", None),
    ] {
        project.write("tool.nix", with(&source, &format!("postPatch = \"{phase}\";")));
        let said = transcript(&project, &["update"]);
        match lock {
            Some(lock) => {
                assert!(project.read("tool.nix").contains(&npm_hash(&project, lock)), "{phase}\n{said}");
            }
            None => assert!(said.contains("undecided"), "{phase}\n{said}"),
        }
    }
}

#[test]
fn two_sources_are_both_asked_where_the_lockfile_of_one_is_laid_over_the_other() {
    let project = Project::new();
    let (items, lock) = package(&project);
    let shrinkwrap = lockfile("tool", &[&project.registry.publish("right", "1.0.0", &[])]);
    let source = |name: &str, items: &[Item]| {
        let url = format!("https://registry.npmjs.org/{name}/-/{name}-1.0.0.tgz");
        serve_at(&project, &url, "package/", items)
    };
    let manifest = Item::file("package.json", r#"{ "name": "base", "version": "1.0.0" }"#);
    let wraps = Item::file("npm-shrinkwrap.json", &shrinkwrap);
    let (plain, wrapped) =
        (source("plain", std::slice::from_ref(&manifest)), source("wrapped", &[manifest, wraps]));
    let locked = serve(&project, &items);
    for (base, lock) in [(&plain, &lock), (&wrapped, &shrinkwrap)] {
        let phase = format!(r#"postPatch = "cp ${{{locked}}}/package-lock.json package-lock.json";"#);
        project.write("tool.nix", with(base, &phase));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, lock)), "{base}\n{said}");
    }
}

#[test]
fn what_is_unpacked_around_a_lockfile_must_not_bring_a_shrinkwrap() {
    let project = Project::new();
    let (items, _) = package(&project);
    let right = project.registry.publish("right", "1.0.0", &[]);
    let mut wrapped = items.clone();
    wrapped.push(Item::file("deep/npm-shrinkwrap.json", &lockfile("tool", &[&right])));
    let archive = |name: &str, items: &[Item]| {
        serve_at(&project, &format!("https://example.org/{name}.tar.gz"), "release/", items)
    };
    let (plain, wrapped) = (archive("plain", &items), archive("wrapped", &wrapped));
    project.lock("own", &[&right]);
    let own = project.read("own/package-lock.json");
    let lay = "cp ${./own/package-lock.json} $out/package-lock.json";
    let unpack = |source: &str| format!("mkdir -p $out; tar -xzf ${{{source}}} --strip-components=1 -C $out");
    let clean = "rm -f $out/npm-shrinkwrap.json";
    for (copies, is_known) in [
        (format!("{}; {lay}", unpack(&plain)), true),
        (format!("{}; {lay}", unpack(&wrapped)), false),
        (format!("{}; {clean}; {lay}", unpack(&wrapped)), true),
        (format!("{}; {}; {lay}", unpack(&plain), unpack(&wrapped)), false),
        (format!("mkdir -p $out x; tar -xzf ${{{wrapped}}} -C x; {lay}"), true),
    ] {
        let made = format!("pkgs.runCommand \"made\" {{ }} ''\n    {copies}\n  ''");
        project.write("tool.nix", derivation(&made, ""));
        let said = transcript(&project, &["update"]);
        let hash = npm_hash(&project, &own);
        assert_eq!(project.read("tool.nix").contains(&hash), is_known, "{copies}\n{said}");
        assert_eq!(said.contains("rm -f npm-shrinkwrap.json"), !is_known, "{copies}\n{said}");
    }
}

#[test]
fn a_lockfile_kept_for_a_repository_may_have_another_version() {
    let project = Project::new();
    let (mut items, _) = package(&project);
    items.retain(|item| !matches!(item, Item::File { path, .. } if path == "package-lock.json"));
    let source = serve(&project, &items);
    let text = lockfile("tool", &[&project.registry.publish("left", "1.0.0", &[])]);
    project.write("own.json", text.replace("\"1.0.0\"", "\"0.0.0\""));
    project.write("tool.nix", with(&source, r#"postPatch = "cp ${./own.json} package-lock.json";"#));
    let own = project.read("own.json");
    assert!(transcript(&project, &["update"]).starts_with("exit 0\n"));
    assert_eq!(transcript(&project, &["check"]), "exit 0\n--- stdout\n1 in sync\n");
    assert_eq!(project.read("own.json"), own);
}

#[test]
fn patches_that_touch_the_lockfile_are_applied() {
    let project = Project::new();
    let (items, lock) = package(&project);
    let source = serve(&project, &items);
    let patched = lock.replace("\"name\": \"tool\"", "\"name\": \"loot\"");
    project.write("fix.patch", diff(&lock, &patched));
    project.write("other.patch", "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-1\n+2\n");
    project.write("tool.nix", with(&source, "patches = [ ./other.patch ./fix.patch ];"));
    let said = transcript(&project, &["update"]);
    assert!(project.read("tool.nix").contains(&npm_hash(&project, &patched)), "{said}");
    // With another number of parts, and by a phase.
    project.write(
        "deep.patch",
        project.read("fix.patch").replace("--- a/", "--- x/y/a/").replace("+++ b/", "+++ x/y/b/"),
    );
    for more in [
        r#"patches = [ ./deep.patch ]; patchFlags = [ "-p3" ];"#,
        r#"postPatch = "patch -p1 < ${./fix.patch}";"#,
        r#"prePatch = "patch -p3 -i ${./deep.patch}"; patches = [ ./other.patch ];"#,
    ] {
        project.write("tool.nix", with(&source, more));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, &patched)), "{more}: {said}");
    }
    project.write(
        "tool.nix",
        with(&source, r#"patches = [ ./fix.patch ]; postPatch = "patch -p1 < ${./fix.patch}";"#),
    );
    let said = transcript(&project, &["update"]);
    assert!(said.contains("the patch fix.patch does not fit the lockfile exactly"), "{said}");
    // What does not fit exactly is not guessed at.
    project.write("fix.patch", project.read("fix.patch").replace("@@ -1", "@@ -2"));
    project.write("tool.nix", with(&source, "patches = [ ./fix.patch ];"));
    let said = transcript(&project, &["update"]);
    assert!(said.contains("is undecided: the patch fix.patch does not fit the lockfile exactly"), "{said}");
    project
        .write("tool.nix", with(&source, "patches = [ (pkgs.fetchpatch { url = \"x\"; hash = \"\"; }) ];"));
    let said = transcript(&project, &["update"]);
    assert!(said.contains("may touch the lockfile") && said.contains("1 undecided"), "{said}");
}

#[test]
fn patches_on_a_lockfile_of_the_repository_are_applied_in_memory() {
    let project = Project::new();
    let left = project.registry.publish("left", "1.0.0", &[]);
    let right = project.registry.publish("right", "1.0.0", &[]);
    let (lock, first) = (lockfile("tool", &[&left]), lockfile("tool", &[&left, &right]));
    let last = first.replace("\"name\": \"tool\"", "\"name\": \"loot\"");
    project.write("own/package-lock.json", &lock);
    project.write("own/package.json", r#"{"name":"tool","version":"1.0.0"}"#);
    project.write("first.patch", diff(&lock, &first));
    project.write("last.patch", diff(&first, &last));
    project.write("other.patch", "--- a/README\n+++ b/README\n@@ -1 +1 @@\n-1\n+2\n");
    let inline = "pkgs.writeText \"inline.patch\" (builtins.readFile ./first.patch)";
    for (patches, hashed) in [
        ("./first.patch", &first),
        ("./other.patch ./first.patch ./last.patch", &last),
        (&format!("({inline})"), &first),
    ] {
        project.write("tool.nix", with("./own", &format!("patches = [ {patches} ];")));
        let said = transcript(&project, &["update"]);
        assert!(project.read("tool.nix").contains(&npm_hash(&project, hashed)), "{patches}\n{said}");
        assert_eq!(project.read("own/package-lock.json"), lock);
        assert_eq!(transcript(&project, &["check"]), "exit 0\n--- stdout\n1 in sync\n");
    }
    for (patches, why) in [
        ("./first.patch ./first.patch", "the patch first.patch does not fit the lockfile exactly"),
        (
            "./first.patch (pkgs.replaceVars ./last.patch { a = \"b\"; })",
            "the patch last.patch changes the lockfile",
        ),
    ] {
        project.write("tool.nix", with("./own", &format!("patches = [ {patches} ];")));
        let said = transcript(&project, &["update"]);
        assert!(said.contains("1 undecided") && said.contains(why), "{patches}\n{said}");
    }
}

#[test]
fn a_lockfile_of_an_archive_is_that_of_a_checkout_with_more_in_it() {
    let project = Project::new();
    let (items, lock) = package(&project);
    project.registry.serve("/o/r/archive/v1.tar.gz", tar_gz("r-1/", &items));
    let source = |hash: &str, more: &str| {
        let arguments = format!(r#"owner = "o"; repo = "r"; rev = "v1"; hash = "{hash}"; {more}"#);
        call("pkgs.fetchFromGitHub", &arguments)
    };
    for (more, why) in [
        ("fetchSubmodules = true;", "has `fetchSubmodules`"),
        ("leaveDotGit = true;", "has `leaveDotGit`"),
        ("forceFetchGit = true;", "has `forceFetchGit`"),
        (r#"postFetch = "rm -rf $out/docs";"#, "has `postFetch`"),
    ] {
        project.write("tool.nix", derivation(&source(OTHER, more), ""));
        let said = transcript(&project, &["update"]);
        let text = project.read("tool.nix");
        assert!(text.contains(&npm_hash(&project, &lock)) && text.contains(OTHER), "{more}: {said}");
        assert!(
            said.starts_with("exit 0\n") && said.contains("the hash of its source was not checked"),
            "{said}"
        );
        assert!(said.contains(why), "{said}");
        assert!(transcript(&project, &["check"]).starts_with("exit 0\n"), "{more}");
        // Nobody can write a hash that only a build can tell.
        project.write("tool.nix", derivation(&source("", more), ""));
        let said = transcript(&project, &["update"]);
        assert!(said.contains("\n1 undecided") && said.contains("its source has no hash yet"), "{said}");
    }
    // What `postFetch` does to the lockfile is not known.
    project.write("tool.nix", derivation(&source(OTHER, r#"postFetch = "cd $out; ./prepare";"#), ""));
    let said = transcript(&project, &["update"]);
    assert!(said.contains("`postFetch` of the fetcher may change the lockfile"), "{said}");
}

#[test]
fn a_checkout_whose_version_moved_needs_a_build() {
    let project = Project::new();
    let (items, lock) = package(&project);
    for version in ["v1", "v2"] {
        project.registry.serve(&format!("/o/r/archive/{version}.tar.gz"), tar_gz("r-1/", &items));
    }
    let write = |version: &str, hash: &str| {
        let arguments = format!(
            r#"owner = "o"; repo = "r"; rev = "{version}"; fetchSubmodules = true; hash = "{hash}";"#
        );
        project.write("tool.nix", derivation(&call("pkgs.fetchFromGitHub", &arguments), ""));
    };
    write("v1", OTHER);
    init(&project);
    commit(&project, "a source");
    assert!(transcript(&project, &["update"]).starts_with("exit 0\n"));
    write("v2", OTHER);
    let said = transcript(&project, &["update"]);
    assert!(said.contains("\n1 undecided"), "{said}");
    assert!(said.contains("the hash of its source is that of another version or URL"), "{said}");
    write("v2", &hash_of(&items));
    let said = transcript(&project, &["update"]);
    assert!(
        said.starts_with("exit 0\n") && project.read("tool.nix").contains(&npm_hash(&project, &lock)),
        "{said}"
    );
}

/// A flake whose program is made of its input `up`.
fn write_flake(project: &Project, input: &str) {
    let flake = r#"{
  inputs.up = { url = "INPUT"; flake = false; };
  outputs = { self, nixpkgs, up }: {
    packages.x86_64-linux.tool = nixpkgs.legacyPackages.x86_64-linux.buildNpmPackage {
      pname = "tool";
      src = up;
      npmDepsHash = "";
    };
  };
}
"#;
    project.write("flake.nix", flake.replace("INPUT", input));
}

/// A `flake.lock` that pins the input `up` so.
fn lock_input(project: &Project, locked: &Value) {
    let nodes = json!({ "up": { "locked": locked, "flake": false }, "root": { "inputs": { "up": "up" } } });
    project.write("flake.lock", json!({ "nodes": nodes, "root": "root", "version": 7 }).to_string());
}

#[test]
fn inputs_of_a_flake_are_held_to_their_lock() {
    let project = Project::new();
    let (items, lock) = package(&project);
    let write = |hash: &str| {
        let locked = json!({ "type": "github", "owner": "o", "repo": "r", "rev": "abc", "narHash": hash });
        lock_input(&project, &locked);
    };
    project.registry.serve("/o/r/archive/abc.tar.gz", tar_gz("r-abc/", &items));
    write_flake(&project, "github:o/r");
    write(&hash_of(&items));
    let said = transcript(&project, &["update"]);
    assert!(project.read("flake.nix").contains(&npm_hash(&project, &lock)), "{said}");
    write(OTHER);
    let (lock_before, flake_before) = (project.read("flake.lock"), project.read("flake.nix"));
    for arguments in [&["check"][..], &["update", "--accept-changed-sources"]] {
        let said = transcript(&project, arguments);
        assert!(said.starts_with("exit 2\n"), "{said}");
        assert!(said.contains(&format!("recorded {OTHER}, found {}", hash_of(&items))), "{said}");
        assert!(said.contains("hint: see what changed, then `nix flake update` the input"), "{said}");
    }
    assert_eq!((project.read("flake.lock"), project.read("flake.nix")), (lock_before, flake_before));
}

#[test]
fn an_input_that_is_a_git_checkout_is_read_from_the_archive_of_its_commit() {
    let project = Project::new();
    let (items, lock) = package(&project);
    let locked = json!({
        "type": "git", "url": "ssh://git@gitlab.com/g/o/r", "ref": "main", "rev": "abc", "revCount": 3, "narHash": OTHER,
    });
    lock_input(&project, &locked);
    write_flake(&project, "git+ssh://git@gitlab.com/g/o/r");
    let said = transcript(&project, &["update"]);
    assert!(said.contains("1 undecided") && said.contains("Nix fetches it with git"), "not served: {said}");
    project.registry.serve("/api/v4/projects/g%2Fo%2Fr/repository/archive.tar.gz", tar_gz("r-abc/", &items));
    let said = transcript(&project, &["update"]);
    assert!(project.read("flake.nix").contains(&npm_hash(&project, &lock)), "{said}");
    // Submodules and git's attributes are in the recorded hash, and not in the archive.
    assert!(
        said.contains("the flake's input `up` is a git checkout, so that only Nix can tell its `narHash`"),
        "{said}"
    );
}

#[test]
fn what_is_no_plain_download_is_undecided_with_the_reason() {
    let project = Project::new();
    for (fetcher, arguments, why) in [
        (
            "pkgs.fetchFromGitHub",
            r#"owner = "o"; repo = "r"; rev = "v1"; fetchLFS = true;"#,
            "has `fetchLFS`",
        ),
        (
            "pkgs.fetchFromGitHub",
            r#"owner = "o"; repo = "r"; rev = "v1"; postCheckout = "rm x";"#,
            "has `postCheckout`",
        ),
        (
            "pkgs.fetchFromGitHub",
            r#"owner = "o"; repo = "r"; rev = "v1"; sparseCheckout = [ "x" ];"#,
            "has `sparseCheckout`",
        ),
        (
            "pkgs.fetchFromGitHub",
            r#"owner = "o"; repo = "r"; rev = "v1"; surprise = 1;"#,
            "`surprise`, which is not understood",
        ),
        (
            "pkgs.fetchFromGitHub",
            r#"owner = "o"; repo = "r"; rev = somewhere;"#,
            "`rev` of `fetchFromGitHub` is not known",
        ),
        ("pkgs.fetchgit", r#"url = "https://example.org/r.git"; rev = "v1";"#, "checks a git repository out"),
        ("pkgs.fetchurl", r#"url = "mirror://gnu/x.tgz";"#, "stands for a list of mirrors"),
    ] {
        project
            .write("tool.nix", derivation(&call(fetcher, &format!("{arguments} hash = \"{OTHER}\";")), ""));
        let said = transcript(&project, &["update"]);
        assert!(said.starts_with("exit 0\n") && said.contains("1 undecided"), "{arguments}\n{said}");
        assert!(said.contains(why), "{why}\n{said}");
    }
    assert!(project.registry.requests().is_empty());
}

#[test]
fn json_tells_of_the_source() {
    let project = Project::new();
    let (items, _) = package(&project);
    let source = serve(&project, &items).replace(&hash_of(&items), "");
    project.write("tool.nix", derivation(&source, ""));
    let listed: Value = serde_json::from_slice(&run(&project, &["check", "--json"]).stdout).unwrap();
    let source = &listed["sites"][0]["sources"][0];
    assert_eq!(source["kind"], "fetchFromGitHub");
    assert_eq!(source["url"], "https://github.com/o/r/archive/v1.tar.gz");
    assert_eq!((&source["recorded"], &source["standing"]), (&json!(""), &json!("blank")));
    assert_eq!((&source["computed"], &source["new"]), (&json!(hash_of(&items)), &json!(hash_of(&items))));
    let output = project.run(&["list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed["sites"][0]["status"], "remote");
    assert_eq!(listed["sites"][0]["sources"][0]["standing"], "not-fetched");
}
