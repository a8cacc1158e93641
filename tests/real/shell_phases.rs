//! Random phases in a real bash with GNU coreutils: the lockfile that they leave is the one that the evaluator names, or the
//! evaluator says that it does not know.
//!
//! `SHELL_PHASES` says how many; the longer run is `SHELL_PHASES=10000 cargo test --features real-parts --test real
//! shell_phases`. `SHELL_SHOW` prints those that stay unknown.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix_sites::{Outcome, SurveyScope};

use crate::support::nix::random_phase::{Drawn, PhaseWriter};

/// Derivations of one repository: each survey has one budget.
const TOGETHER: u64 = 250;
/// Of the phases that leave a lockfile, at least so many in a hundred have to be understood.
const FLOOR: usize = 50;

/// What bash leaves for one derivation.
enum Truth {
    Bytes(Vec<u8>),
    /// No lockfile is there.
    Missing,
    /// The build stops: whatever is said of it is right.
    Failed,
}

#[derive(Default)]
struct Tally {
    known: usize,
    unknown: usize,
    failed: usize,
    wrong: String,
}

#[test]
fn random_phases_leave_what_a_real_bash_leaves() {
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, seed): (u64, u64) = (number("SHELL_PHASES", 500), number("RANDOM_SEED", 1));
    let mut tally = Tally::default();
    for part in 0..count.div_ceil(TOGETHER) {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("shell-phases").join(part.to_string());
        let _ = fs::remove_dir_all(&root);
        let drawn = PhaseWriter::new(seed * 1_000 + part).write(
            &root.join("in"),
            &format!("s{part}"),
            TOGETHER.min(count),
        );
        let truth = run_all(&root, &drawn);
        judge(&root.join("in"), &drawn, &truth, &mut tally);
        let _ = fs::remove_dir_all(&root);
    }
    let Tally { known, unknown, failed, wrong } = tally;
    println!("random phases: {count}; known {known}, unknown {unknown}, builds that fail {failed}");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(known * 100 >= (known + unknown) * FLOOR, "only {known} of {} are understood", known + unknown);
}

/// A path of the store for everything that the phases interpolate.
fn stored(text: &str, store: &Path) -> String {
    let path = |name: &str| store.join(format!("{}-{name}", "0".repeat(32))).display().to_string();
    let mut text = text.to_owned();
    for at in 0..5 {
        text = text.replace(&format!("${{./l/l{at}.json}}"), &path(&format!("l{at}.json")));
        text = text.replace(&format!("${{./f/f{at}}}"), &path(&format!("f{at}")));
    }
    text
}

const DRIVER: &str = include_str!("shell_phases.sh");

fn run_all(root: &Path, drawn: &[Drawn]) -> Vec<Truth> {
    let root = root.canonicalize().expect("the folder exists");
    for (at, one) in drawn.iter().enumerate() {
        let case = root.join("cases").join(at.to_string());
        fs::create_dir_all(&case).expect("a folder");
        fs::write(case.join("tree"), one.tree).expect("a file");
        fs::write(case.join("below"), if one.below { "sub" } else { "." }).expect("a file");
        for name in ["prePatch", "postPatch"] {
            let text: String = one
                .phases
                .iter()
                .filter(|(phase, _)| *phase == name)
                .map(|(_, text)| text.as_str())
                .collect();
            // Nix takes the blanks away that all lines share.
            let lines: String =
                text.lines().flat_map(|line| [line.strip_prefix("      ").unwrap_or(line), "\n"]).collect();
            fs::write(case.join(name), stored(&lines, &root.join("store"))).expect("a file");
        }
    }
    fs::write(root.join("driver.sh"), DRIVER).expect("the driver is written");
    let output =
        Command::new("bash").arg(root.join("driver.sh")).arg(&root).output().expect("bash is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (0..drawn.len())
        .map(|at| {
            let case = root.join("cases").join(at.to_string());
            match (fs::read(case.join("lockfile")), case.join("failed").exists()) {
                (_, true) => Truth::Failed,
                (Ok(bytes), _) => Truth::Bytes(bytes),
                (Err(_), _) => Truth::Missing,
            }
        })
        .collect()
}

fn judge(root: &Path, drawn: &[Drawn], truth: &[Truth], tally: &mut Tally) {
    let root = root.canonicalize().expect("the folder exists");
    let scope = SurveyScope::of(&root);
    let survey = nix_sites::survey(&scope);
    for (at, (one, truth)) in drawn.iter().zip(truth).enumerate() {
        let name = format!("p{at}");
        let site = survey.sites.iter().find(|site| site.attr_path.as_deref() == Some(&name));
        let site = site.unwrap_or_else(|| panic!("{name} is not found"));
        let script: String =
            one.phases.iter().flat_map(|(name, text)| [*name, ":\n", text.as_str()]).collect();
        match (truth, &site.outcome) {
            (Truth::Failed, _) => tally.failed += 1,
            (_, Outcome::Undecided(why)) => {
                tally.unknown += 1;
                if std::env::var_os("SHELL_SHOW").is_some() {
                    println!("{}/{} {}\n{script}", one.tree, if one.below { "sub" } else { "" }, why.message);
                }
            }
            (Truth::Missing, Outcome::MissingLockfile { .. }) => tally.known += 1,
            (Truth::Bytes(bytes), Outcome::Local { lockfile, edits })
                if edited(lockfile, edits).as_ref() == Some(bytes) =>
            {
                tally.known += 1;
            }
            (truth, outcome) => {
                let truth = match truth {
                    Truth::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Truth::Missing | Truth::Failed => "nothing".to_owned(),
                };
                let _ = writeln!(
                    tally.wrong,
                    "{}/{} bash: {truth}said: {outcome:?}\n{script}",
                    one.tree,
                    if one.below { "sub" } else { "" }
                );
            }
        }
    }
}

fn edited(lockfile: &Path, edits: &[nix_sites::LockfileEdit]) -> Option<Vec<u8>> {
    let bytes = fs::read(lockfile).ok()?.into();
    nix_sites::apply_edits(&bytes, edits).ok().map(|bytes| bytes.to_vec())
}
