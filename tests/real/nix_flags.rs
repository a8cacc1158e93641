//! Random repositories in every configuration: a hash that the evaluator ties to a lockfile belongs to that lockfile
//! whatever the flags are, as real Nix evaluates them; and no hash that a combination of flags uses is missing.
//!
//! `RANDOM_FLAGS` says how many, `RANDOM_SEED` where to begin. Fails where Nix is not installed.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::nix::evaluator::{Surveyed, survey};
use crate::support::nix::fixtures::{Outcome, token_at};
use crate::support::nix::random_flags::{FlagWriter, Flags, Program, folders};
use crate::support::nix::random_nix::put;
use crate::variable;

/// How many repositories one run of Nix evaluates, in 64 configurations each.
const BATCH: u64 = 50;

#[test]
fn a_hash_is_right_in_every_configuration() {
    judge(variable("RANDOM_FLAGS", 100));
}

#[test]
#[ignore = "the long run: two thousand repositories take half an hour"]
fn hashes_of_two_thousand_repositories_are_right_in_every_configuration() {
    judge(2000);
}

/// What a hash stands for: lockfiles by their folders.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn judge(count: u64) {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("random-flags");
    let first = variable("RANDOM_SEED", 1);
    let mut tally = Tally::default();
    for start in (first..first + count).step_by(usize::try_from(BATCH).expect("small")) {
        let _ = fs::remove_dir_all(&root);
        let seeds: Vec<u64> = (start..(start + BATCH).min(first + count)).collect();
        let programs: Vec<Program> = seeds.iter().map(|seed| FlagWriter::new(*seed).program()).collect();
        for ((program, seed), uses) in programs.iter().zip(&seeds).zip(theirs(&root, &programs)) {
            let own = root.join("today").join(format!("c{seed}"));
            program.put(&own, program.flags);
            for folder in folders() {
                let text =
                    format!("{{\"name\": \"{folder}\", \"lockfileVersion\": 3, \"packages\": {{}}}}\n");
                put(&own.join(folder).join("package-lock.json"), &text);
            }
            tally.judge(*seed, &own, &uses);
        }
    }
    println!(
        "repositories with flags: {count}; hashes tied: {}, undecided: {} ({} without need)",
        tally.tied, tally.undecided, tally.modest
    );
    assert!(tally.failures.is_empty(), "{}", tally.failures);
}

/// What Nix uses each hash for in any configuration: flags, platforms, arguments.
fn theirs(root: &Path, programs: &[Program]) -> Vec<Uses> {
    let stub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stub-nixpkgs");
    let mut text = format!(
        r"let
  collect = v: if builtins.isList v then builtins.concatMap collect v
    else if builtins.isAttrs v then (if v ? used then [ v.used ] else builtins.concatMap (n: collect v.${{n}}) (builtins.attrNames v))
    else [ ];
  pkgs = system: import {} {{ inherit system; }} // {{ buildNpmPackage = args: {{ used = [ (toString args.src) args.npmDepsHash ]; }}; }};
in [
",
        stub.display()
    );
    for (n, program) in programs.iter().enumerate() {
        text.push_str("[\n");
        for (i, flags) in Flags::every().enumerate() {
            let folder = root.join("all").join(format!("c{n}-{i}"));
            program.put(&folder, flags);
            for (system, extra) in SYSTEMS.iter().flat_map(|system| [(system, true), (system, false)]) {
                let _ = writeln!(
                    text,
                    "(map (use: [ (builtins.substring {} 99 (builtins.head use)) (builtins.elemAt use 1) ]) (collect (import {} {{ pkgs = pkgs \"{system}\"; extra = {extra}; }})))",
                    folder.as_os_str().len() + 1,
                    folder.display()
                );
            }
        }
        text.push_str("]\n");
    }
    put(&root.join("all.nix"), &(text + "]\n"));
    let output = Command::new("nix-instantiate")
        .args(["--eval", "--strict", "--json"])
        .arg(root.join("all.nix"))
        .output()
        .expect("nix-instantiate is not installed");
    assert!(
        output.status.success(),
        "a random program is not sound: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let all: Vec<Vec<Vec<(String, String)>>> = serde_json::from_slice(&output.stdout).expect("rows");
    let uses = |rows: Vec<Vec<(String, String)>>| {
        let mut uses = Uses::new();
        for (folder, hash) in rows.into_iter().flatten() {
            uses.entry(hash).or_default().insert(folder);
        }
        uses
    };
    all.into_iter().map(uses).collect()
}

const SYSTEMS: [&str; 2] = ["x86_64-linux", "aarch64-darwin"];

#[derive(Default)]
struct Tally {
    tied: usize,
    undecided: usize,
    modest: usize,
    failures: String,
}

impl Tally {
    fn judge(&mut self, seed: u64, root: &Path, uses: &Uses) {
        let mut ours: BTreeMap<String, Vec<Surveyed>> = BTreeMap::new();
        for site in survey(root) {
            for literal in &site.literals {
                ours.entry(token_at(root, &literal.position).value).or_default().push(site.clone());
            }
        }
        for (hash, folders) in uses {
            let sites = ours.get(hash).map_or(&[][..], Vec::as_slice);
            let tied = |site: &&Surveyed| matches!(site.outcome, Outcome::Local);
            let lockfiles: BTreeSet<&str> =
                sites.iter().filter(tied).filter_map(|site| site.lockfile.as_deref()).collect();
            let right = folders.iter().map(|folder| format!("{folder}/package-lock.json"));
            let right: BTreeSet<String> = right.collect();
            if sites.is_empty() {
                let _ = writeln!(self.failures, "c{seed}: {hash} is not found, Nix has {right:?}");
            } else if lockfiles.is_empty() {
                self.undecided += 1;
                self.modest += usize::from(right.len() == 1);
            } else if right.len() == 1 && lockfiles.iter().all(|own| right.contains(*own)) {
                self.tied += 1;
            } else {
                let _ =
                    writeln!(self.failures, "c{seed}: {hash} is tied to {lockfiles:?}, Nix has {right:?}");
            }
        }
    }
}
