//! Random repositories: real Nix and the evaluator must agree on every hash that the evaluator calls resolved.
//!
//! `RANDOM_CASES` says how many, `RANDOM_SEED` where to begin. Fails where Nix is not installed.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "our own files, named in lower case")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::nix::evaluator::{Surveyed, survey};
use crate::support::nix::fixtures::{Case, Options, Outcome, token_at};
use crate::support::nix::oracle::{Dependencies, Oracle, Truth, judge};
use crate::support::nix::random_nix::Writer;
use crate::support::nix::random_phase::PhaseWriter;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn random_programs_mean_the_same_to_both() {
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let stub = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stub-nixpkgs");
    let Some(oracle) = Oracle::new(&scratch.join("oracle"), &stub) else {
        panic!("nix-instantiate is not installed");
    };
    let (count, seed) = (number("RANDOM_CASES", 100), number("RANDOM_SEED", 1));
    let root = scratch.join("random");
    let _ = fs::remove_dir_all(&root);
    let names: Vec<String> = (seed..seed + count).map(|n| format!("c{n}")).collect();
    for (name, seed) in names.iter().zip(seed..) {
        Writer::new(name, seed).write(&root.join("in").join(name));
    }
    let imports: Vec<String> = names.iter().map(|name| entry(&root.join("in").join(name), name)).collect();
    let case = Case {
        name: "random".to_owned(),
        dir: root.clone(),
        entry: None,
        configurations: Vec::new(),
        sites: Vec::new(),
        warnings: None,
        uncovered: None,
    };
    let rows = oracle
        .instantiate(&case, &format!("{{ {} }}", imports.join(" ")))
        .unwrap_or_else(|message| panic!("a random program is not sound: {message}"));
    let mut truths: BTreeMap<String, Vec<Dependencies>> = BTreeMap::new();
    for dependencies in judge(&oracle, &case, &rows) {
        for name in
            dependencies.attrs.iter().map(|attr| attr.split('.').next().unwrap_or_default().to_owned())
        {
            truths.entry(name).or_default().push(dependencies.clone());
        }
    }

    let mut tally = Tally::default();
    for name in &names {
        tally.judge(&root.join("in").join(name), name, truths.get(name).map_or(&[], Vec::as_slice));
    }
    println!(
        "random programs: {count}; hashes in use: {}, resolved: {}, undecided: {} ({} without need), beyond Nix: {}",
        tally.live, tally.resolved, tally.undecided, tally.modest, tally.beyond
    );
    assert!(tally.failures.is_empty(), "{}", tally.failures);
}

/// Whatever a phase does, the evaluator says what real Nix finds, or nothing.
#[test]
fn random_phases_mean_the_same_to_both() {
    let scratch = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let stub = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stub-nixpkgs");
    let Some(oracle) = Oracle::new(&scratch.join("oracle"), &stub) else {
        panic!("nix-instantiate is not installed");
    };
    let (count, seed) = (number("RANDOM_PHASES", 200), number("RANDOM_SEED", 1));
    let root = scratch.join("random-phases");
    let _ = fs::remove_dir_all(&root);
    let _ = PhaseWriter::new(seed).write(&root.join("in/phases"), &format!("s{seed}"), count);
    let case = Case {
        name: "phases".to_owned(),
        dir: root.clone(),
        entry: None,
        configurations: Vec::new(),
        sites: Vec::new(),
        warnings: None,
        uncovered: None,
    };
    let rows = oracle
        .instantiate(&case, "{ phases = import ./phases { inherit pkgs; }; }")
        .unwrap_or_else(|message| panic!("a random phase is not sound: {message}"));
    let truth = judge(&oracle, &case, &rows);
    let mut tally = Tally::default();
    tally.judge(&root.join("in/phases"), "phases", &truth);
    println!("random phases: {count}; resolved: {}, undecided: {}", tally.resolved, tally.undecided);
    assert!(tally.failures.is_empty(), "{}", tally.failures);
}

fn entry(folder: &Path, name: &str) -> String {
    if folder.join("flake.nix").exists() {
        format!("{name} = callFlake ./{name};")
    } else {
        format!("{name} = import ./{name} {{ inherit pkgs; }};")
    }
}

#[derive(Default)]
struct Tally {
    live: usize,
    resolved: usize,
    undecided: usize,
    modest: usize,
    beyond: usize,
    failures: String,
}

/// What real Nix has for one hash.
#[derive(Default)]
struct Known {
    lockfiles: BTreeSet<String>,
    options: BTreeSet<Options>,
}

impl Known {
    /// The one lockfile, if all derivations with this hash want the same.
    fn single(&self) -> Option<(&String, Options)> {
        match (self.lockfiles.len(), self.options.len()) {
            (1, 1) => Some((self.lockfiles.first()?, *self.options.first()?)),
            _ => None,
        }
    }
}

fn known(name: &str, truth: &[Dependencies]) -> BTreeMap<String, Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    let strip = |file: &String| file.strip_prefix(&format!("{name}/")).unwrap_or(file).to_owned();
    // Of what cannot be built, nothing is wrong.
    for d in truth.iter().filter(|d| d.truth != Truth::Failed) {
        let known = all.entry(d.hash.clone()).or_default();
        known.options.insert(d.options);
        match &d.truth {
            Truth::Local(files) => known.lockfiles.extend(files.iter().map(strip)),
            other => known.lockfiles.extend([format!("{other:?}")]),
        }
    }
    all
}

impl Tally {
    /// Holds the evaluator's survey of one program against the truth.
    fn judge(&mut self, root: &Path, name: &str, truth: &[Dependencies]) {
        let known = known(name, truth);
        self.live += known.len();
        let mut seen = BTreeSet::new();
        for site in survey(root) {
            for literal in &site.literals {
                let value = token_at(root, &literal.position).value;
                self.literal(name, &site, &literal.position.to_string(), known.get(&value));
                seen.insert(value);
            }
        }
        for hash in known.keys().filter(|hash| !seen.contains(*hash)) {
            self.fail(name, &format!("not found: {hash}"));
        }
    }

    fn literal(&mut self, name: &str, site: &Surveyed, place: &str, known: Option<&Known>) {
        // A derivation that nothing reaches, such as the base of an override: Nix does not look at it.
        let Some(known) = known else {
            self.beyond += 1;
            return;
        };
        let single = known.single();
        match site.outcome {
            Outcome::Undecided => {
                self.undecided += 1;
                if let Some(single) = single {
                    self.modest += 1;
                    if std::env::var_os("RANDOM_MODEST").is_some() {
                        println!("{name}: {place}: undecided, Nix has {single:?}: {}", site.reason);
                    }
                }
            }
            // Nothing there, as Nix finds.
            Outcome::MissingLockfile if known.lockfiles.iter().all(|found| found == "Missing") => {
                self.resolved += 1;
            }
            // What is edited in memory is held against bytes elsewhere: by the oracle and by the random phases in bash.
            Outcome::Local if !site.edits.is_empty() => {
                let edited = known.lockfiles.iter().all(|found| found.starts_with("Edited"));
                if edited { self.resolved += 1 } else { self.fail(name, &format!("{place}: not edited")) }
            }
            Outcome::Local if single == site.lockfile.as_ref().map(|file| (file, site.options)) => {
                self.resolved += 1;
            }
            _ => {
                let (lockfile, options) = (&site.lockfile, site.options);
                let truth = (&known.lockfiles, &known.options);
                self.fail(name, &format!("{place}: {lockfile:?} {options:?}, Nix has {truth:?}"));
            }
        }
    }

    fn fail(&mut self, name: &str, problem: &str) {
        let _ = writeln!(self.failures, "{name}: {problem}");
    }
}
