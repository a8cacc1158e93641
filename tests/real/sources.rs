//! Hashes of sources beside those of Nix itself, which fetches the same archives from files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::archives::{Item, LongNames, tar_gz_with, zip};
use crate::support::program::{Scratch, run, succeed, with_store_in};
use crate::support::registry::Registry;

fn items() -> Vec<Item> {
    vec![
        Item::file("package.json", r#"{"name":"tool","version":"1.0.0"}"#),
        Item::file("package-lock.json", r#"{"name":"tool","lockfileVersion":3,"packages":{"":{}}}"#),
        Item::program("bin/tool", "#!/bin/sh\n"),
        Item::link("bin/other", "tool"),
        Item::link("nowhere", "../../../etc/passwd"),
        Item::file("a-b", "1"),
        Item::file("a/b", "2"),
        Item::file("a.b", ""),
        Item::file("Straße/ü.txt", "umlauts\n"),
        Item::file(&format!("deep/{}/{}.txt", "a".repeat(150), "b".repeat(90)), "long\n"),
        Item::link(&format!("deep/{}", "l".repeat(110)), &"t/".repeat(80)),
    ]
}

/// A program of Nix with a store of its own.
fn nix(place: &Scratch, name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(place.path("")).env("HOME", place.path("home"));
    with_store_in(&mut command, &place.path("nix"));
    command
}

/// The hash that `update` writes for this call of a fetcher.
fn written(place: &Scratch, registry: &Registry, call: &str) -> String {
    let text = format!(
        "{{ pkgs }}: pkgs.buildNpmPackage {{ src = {call}; forceEmptyCache = true; npmDepsHash = \"\"; }}\n"
    );
    let file = place.write("repo/default.nix", text);
    let mut command = place.npm_nixhash(["update", "repo", "--no-cache"]);
    command.arg(format!("--registry-override=example.org={}", registry.url()));
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{call}\n{}{}", ran.stdout, ran.stderr);
    let text = fs::read_to_string(file).unwrap();
    text.split('"').find(|part| part.starts_with("sha256-")).unwrap().to_owned()
}

fn sri(place: &Scratch, base32: &str) -> String {
    let features = ["--extra-experimental-features", "nix-command"];
    succeed(nix(place, "nix").args(features).args(["hash", "to-sri", "--type", "sha256", base32]))
}

fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

#[test]
fn nix_finds_the_same_hashes() {
    let registry = Registry::start();
    let place = Scratch::new();
    // A name that a zip archive marks as UTF-8 is one that Nix itself, without a locale, does not take.
    let ascii: Vec<_> = items().into_iter().filter(|item| format!("{item:?}").is_ascii()).collect();
    let archives = [
        ("gnu.tar.gz", tar_gz_with("tool-1.0.0/", &items(), LongNames::Gnu)),
        ("pax.tar.gz", tar_gz_with("tool-1.0.0/", &items(), LongNames::Pax)),
        ("made.zip", zip("tool-1.0.0/", &ascii)),
        ("gnu-tar.tar.gz", by_program(&place, "tar -czf out tool-1.0.0")),
        ("posix-tar.tar.gz", by_program(&place, "tar --format=posix -czf out tool-1.0.0")),
        ("info-zip.zip", by_program(&place, "zip -qry out.zip tool-1.0.0 && mv out.zip out")),
    ];
    for (name, bytes) in archives {
        let path = place.write(name, &bytes);
        registry.serve(&format!("/{name}"), bytes);
        let url = format!("https://example.org/{name}");

        let flat =
            succeed(nix(&place, "nix-hash").args(["--type", "sha256", "--flat", "--base32"]).arg(&path));
        let ours = written(&place, &registry, &format!("pkgs.fetchurl {{ url = \"{url}\"; hash = \"\"; }}"));
        assert_eq!(ours, sri(&place, &flat), "{name}");

        let unpack = ["--unpack", "--type", "sha256"];
        let tree = succeed(nix(&place, "nix-prefetch-url").args(unpack).arg(file_url(&path)));
        let ours = written(&place, &registry, &format!("pkgs.fetchzip {{ url = \"{url}\"; hash = \"\"; }}"));
        assert_eq!(ours, sri(&place, &tree), "{name}");

        let ours = written(&place, &registry, &format!("fetchTarball {{ url = \"{url}\"; sha256 = \"\"; }}"));
        let expression =
            format!("builtins.fetchTarball {{ url = \"{}\"; sha256 = \"{ours}\"; }}", file_url(&path));
        succeed(nix(&place, "nix-instantiate").args(["--eval", "-E", &expression]));
    }
}

/// What a shell command makes of the same items in a file called `out`.
fn by_program(place: &Scratch, script: &str) -> Vec<u8> {
    let folder = place.path("made");
    let _ = fs::remove_dir_all(&folder);
    crate::archives::unpack(&items(), &folder.join("tool-1.0.0")).unwrap();
    succeed(place.shell().arg("-c").arg(format!("cd made && {script}")));
    fs::read(folder.join("out")).unwrap()
}
