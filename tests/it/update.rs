//! `update`, as its users see it.

use std::fs;

use crate::support::project::Project;
use crate::support::registry::{Fault, Published};

/// A flake with a plain service, one through a wrapper in another file, and one whose hash is a placeholder.
const FLAKE: &str = r#"{
  outputs = { self, nixpkgs }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
      npm = import ./lib { inherit pkgs; };
    in
    {
      packages.x86_64-linux = {
        # npmDepsHash = "sha256-BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
        a = pkgs.buildNpmPackage {
          pname = "a";
          src = ./a;
          npmDepsHash = "";
        };
        b = npm.makeService { name = "b"; src = ./b; npmDepsHash = pkgs.lib.fakeHash; };
        deps = pkgs.fetchNpmDeps {
          src = ./a;
          hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        };
      };
    };
}
"#;

const WRAPPER: &str = r"{ pkgs }:
{
  makeService = { name, src, npmDepsHash }:
    pkgs.buildNpmPackage { pname = name; inherit src npmDepsHash; };
}
";

fn packages(project: &Project) -> [Published; 2] {
    [
        project.registry.publish("left", "1.0.0", &[("index.js", b"1")]),
        project.registry.publish("@x/right", "2.0.0", &[]),
    ]
}

fn project() -> Project {
    let project = Project::new();
    let [left, right] = packages(&project);
    project.write("flake.nix", FLAKE);
    project.write("lib/default.nix", WRAPPER);
    project.lock("a", &[&left]);
    project.lock("b", &[&left, &right]);
    project
}

#[test]
fn every_hash_becomes_its_lockfiles_and_nothing_else_changes() {
    let project = project();
    let hash =
        |folder: &str| String::from_utf8(project.run(&["hash", folder]).stdout).unwrap().trim().to_owned();
    assert_eq!(
        project.transcript(&["update"]).replace(&hash("a"), "A").replace(&hash("b"), "B"),
        "\
exit 0
--- stdout
updated  a     placeholder -> A                                          flake.nix:13:25
updated  b     placeholder -> B                                          flake.nix:15:68
updated  deps  sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= -> A  flake.nix:18:18
3 updated in 1 file, [TIME]
"
    );
    let expected = FLAKE
        .replace(r#"npmDepsHash = "";"#, &format!(r#"npmDepsHash = "{}";"#, hash("a")))
        .replace("pkgs.lib.fakeHash", &format!("\"{}\"", hash("b")))
        .replace("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", &hash("a"));
    assert_eq!(project.read("flake.nix"), expected);
    assert_eq!(project.read("lib/default.nix"), WRAPPER);
}

#[test]
fn a_second_run_changes_nothing_and_fetches_nothing() {
    let project = project();
    project.run(&["update"]);
    let (text, modified) =
        (project.read("flake.nix"), fs::metadata(project.path("flake.nix")).unwrap().modified().unwrap());
    let requests = project.registry.requests().len();
    assert_eq!(requests, 2, "each tarball is fetched once, however many services want it");
    let second = project.transcript(&["update"]);
    assert!(second.ends_with("3 in sync, [TIME]\n"), "{second}");
    assert_eq!(project.read("flake.nix"), text);
    assert_eq!(
        fs::metadata(project.path("flake.nix")).unwrap().modified().unwrap(),
        modified,
        "the file is not touched"
    );
    assert_eq!(project.registry.requests().len(), requests);
}

#[test]
fn a_dry_run_prints_a_diff_that_git_takes() {
    let project = project();
    let output = project.run(&["update", "--dry-run"]);
    assert_eq!(project.read("flake.nix"), FLAKE);
    fs::remove_dir(project.path(".git")).unwrap();
    let git = |args: &[&str]| {
        let done = std::process::Command::new("git").args(args).current_dir(project.root()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "-q"]);
    project.write("p.patch", &output.stdout);
    git(&["apply", "p.patch"]);
    assert!(project.transcript(&["check"]).starts_with("exit 0"));
}

#[test]
fn all_failures_are_told() {
    let project = project();
    let [left, right] = packages(&project);
    project.registry.fault(&left.path, 9, Fault::Status(404));
    project.registry.fault(&right.path, 9, Fault::Status(403));
    let transcript = project.transcript(&["update"]);
    assert_eq!(
        transcript,
        "\
exit 2
--- stdout
failed  a     flake.nix:13:25
failed  b     flake.nix:15:68
failed  deps  flake.nix:18:18
3 failed, [TIME]
--- stderr
error: flake.nix:10:13: a/package-lock.json: left is not available
  caused by: cannot fetch https://registry.npmjs.org/left/-/left-1.0.0.tgz from [REGISTRY]/left/-/left-1.0.0.tgz
  caused by: the server answered 404 Not Found
  hint: the registry has no such version any more, or hides it from those without access: no credential for [HOST] is configured: set `//[HOST]/:_authToken` in ~/.npmrc, or NIX_NPM_TOKENS; a repository's own .npmrc is not read, because anyone who can change it could send your tokens anywhere
  the same: packages.x86_64-linux.b (b/package-lock.json): left is not available
error: flake.nix:15:68: packages.x86_64-linux.b (b/package-lock.json): @x/right is not available
  caused by: cannot fetch https://registry.npmjs.org/@x/right/-/right-2.0.0.tgz from [REGISTRY]/@x/right/-/right-2.0.0.tgz
  caused by: the server answered 403 Forbidden
  hint: no credential for [HOST] is configured: set `//[HOST]/:_authToken` in ~/.npmrc, or NIX_NPM_TOKENS; a repository's own .npmrc is not read, because anyone who can change it could send your tokens anywhere
"
    );
    assert_eq!(project.read("flake.nix"), FLAKE);
}

#[test]
fn other_bytes_than_the_lockfiles_are_refused_with_both_integrities() {
    let project = project();
    let [left, _] = packages(&project);
    project.registry.serve(&left.path, "an error page");
    let transcript = project.transcript(&["update"]);
    let got = npm_tarballs::integrity::ContentId::sha512_of(b"an error page");
    for part in ["left is not available", &left.url, &left.integrity, &got.sri(), "integrity mismatch"] {
        assert!(transcript.contains(part), "{part} is missing in\n{transcript}");
    }
    assert_eq!(project.read("flake.nix"), FLAKE);
}

#[test]
fn line_ends_tabs_and_a_byte_order_mark_survive() {
    let project = project();
    let odd = format!("\u{feff}{}", FLAKE.replace('\n', "\r\n").replace("        ", "\t"));
    project.write("flake.nix", &odd);
    assert!(project.transcript(&["update"]).starts_with("exit 0"));
    let text = project.read("flake.nix");
    assert!(text.starts_with('\u{feff}') && text.matches("\r\n").count() == odd.matches("\r\n").count());
    assert!(!text.contains("fakeHash"));
    let restore = |text: &str| {
        let hashes = regex_free_hashes(text);
        hashes.iter().fold(text.to_owned(), |text, hash| text.replace(hash, "H"))
    };
    assert_eq!(restore(&text), restore(&odd.replace("pkgs.lib.fakeHash", "\"\"")).replace("\"\"", "\"H\""));
}

/// Every SRI in a text.
fn regex_free_hashes(text: &str) -> Vec<String> {
    text.split('"').filter(|part| part.starts_with("sha256-")).map(str::to_owned).collect()
}

#[test]
fn an_undecided_site_is_a_warning_unless_denied() {
    let project = project();
    let undecided = FLAKE.replace("src = ./b;", "src = pkgs.someUnknownFunction ./b;");
    project.write("flake.nix", &undecided);
    let transcript = project.transcript(&["update", "--deny", "undecided"]);
    assert!(transcript.starts_with("exit 2"), "{transcript}");
    assert!(transcript.contains("packages.x86_64-linux.b is undecided"), "{transcript}");
    assert!(transcript.contains("2 updated, 1 undecided in 1 file"), "{transcript}");
    let transcript = project.transcript(&["update"]);
    assert!(transcript.starts_with("exit 0"), "{transcript}");
    assert!(transcript.contains("2 in sync, 1 undecided"), "{transcript}");
    assert!(project.read("flake.nix").contains("pkgs.lib.fakeHash"));
}

#[test]
fn a_file_that_does_not_parse_is_told_by_its_place() {
    let project = project();
    project.write("broken.nix", "{\n  npmDepsHash = ;\n}\n");
    let transcript = project.transcript(&["update"]);
    assert!(transcript.starts_with("exit 2"), "{transcript}");
    assert!(transcript.contains("error: broken.nix:2:17:"), "{transcript}");
    assert!(transcript.contains("3 updated in 1 file"), "what is proven elsewhere is written: {transcript}");
}
