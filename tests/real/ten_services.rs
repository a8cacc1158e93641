//! The main job on a repository of ten services with real lockfiles: whatever the hashes were, one `update` makes them
//! right, and the flake is what it would be had they never been wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/make-services.sh");
    let made = Command::new("bash").arg(script).arg(folder.path()).output().expect("bash");
    assert!(
        made.status.success(),
        "npm cannot make the lockfiles: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let root = folder.path().to_owned();
    (folder, root)
}

fn run(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_npm-nixhash"));
    command.args(args).current_dir(root).env("NPM_NIXHASH_CACHE", root.join("../cache"));
    command.output().unwrap()
}

fn entries(root: &Path) -> usize {
    let count = |text: String| text.matches("\"resolved\": \"https").count();
    let services = fs::read_dir(root.join("services")).unwrap();
    services
        .map(|service| count(fs::read_to_string(service.unwrap().path().join("package-lock.json")).unwrap()))
        .sum()
}

/// Each hash of `right` made wrong in one of three ways.
fn spoiled(right: &str) -> String {
    let wrong = ["pkgs.lib.fakeHash", "\"\"", "\"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\""];
    let mut hashes = 0;
    let line = |line: &str| match line.split_once("npmDepsHash = ") {
        Some((before, _)) => {
            hashes += 1;
            format!("{before}npmDepsHash = {};\n", wrong[hashes % wrong.len()])
        }
        None => format!("{line}\n"),
    };
    let text = right.lines().map(line).collect();
    assert_eq!(hashes, 10);
    text
}

#[test]
fn one_update_makes_ten_spoiled_hashes_right_and_the_flake_what_it_was() {
    let (_folder, root) = repository();
    assert!(entries(&root) > 1000, "{} lockfile entries", entries(&root));
    let flake = root.join("flake.nix");
    let first = run(&root, &["update", "--no-cache"]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let right = fs::read_to_string(&flake).unwrap();
    assert_eq!(right.matches("npmDepsHash = \"sha256-").count(), 10);
    for service in fs::read_dir(root.join("services")).unwrap() {
        let lockfile = service.unwrap().path().join("package-lock.json");
        let alone = run(&root, &["hash", lockfile.to_str().unwrap()]);
        let alone = String::from_utf8(alone.stdout).unwrap();
        assert!(right.contains(alone.trim()), "{} is {alone} alone", lockfile.display());
    }
    fs::write(&flake, spoiled(&right)).unwrap();
    assert_eq!(run(&root, &["check"]).status.code(), Some(1));
    assert!(run(&root, &["update"]).status.success());
    assert_eq!(fs::read_to_string(&flake).unwrap(), right);
    let parsed =
        Command::new("nix-instantiate").arg("--parse").arg(&flake).output().expect("nix-instantiate");
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
    assert_eq!(run(&root, &["check"]).status.code(), Some(0));
}
