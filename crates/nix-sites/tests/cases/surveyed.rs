//! Every case of `fixtures/nix`: the survey says what is expected, the edits leave what `out/` holds, a second run changes
//! nothing.

#![allow(clippy::disallowed_methods, reason = "a test is its own shell")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "our own files, named in lower case")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::evaluator::{Said, Surveyed, differences, edits, problems, rewritten, said, survey, untouched};
use crate::fixtures::{Case, Outcome, Position, files_below, stand_in};

fn cases() -> Vec<Case> {
    let only = std::env::var("CASE").unwrap_or_default();
    let skip = std::env::var("SKIP_CASE").ok();
    let wanted = |case: &Case| case.name.contains(&only) && skip.as_ref() != Some(&case.name);
    crate::all().into_iter().filter(wanted).collect()
}

/// A copy of a case's input, so that edits can be applied; symbolic links stay links.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        let kind = entry.file_type().expect("a kind of file");
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).expect("a link"), &target)
                .expect("a link");
        } else {
            fs::copy(entry.path(), &target).expect("a copy");
        }
    }
}

fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("nix-cases").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder of our own");
    folder
}

#[test]
fn every_case_is_surveyed_and_rewritten_as_expected() {
    let cases = cases();
    let mut failures: Vec<(String, Vec<String>)> = Vec::new();
    for case in &cases {
        // A panic of the evaluator is a failure of its case, not of the run.
        let problems =
            catch_unwind(|| problems_of(case)).unwrap_or_else(|_| vec!["the evaluator panicked".to_owned()]);
        if !problems.is_empty() {
            failures.push((case.name.clone(), problems));
        }
    }
    let mut report = format!("{} of {} cases agree\n", cases.len() - failures.len(), cases.len());
    for (name, problems) in &failures {
        let _ = writeln!(report, "\n## {name}\n");
        for problem in problems {
            let _ = writeln!(report, "- {problem}");
        }
    }
    if let Ok(file) = std::env::var("NIX_CASES_REPORT") {
        fs::write(file, &report).expect("the report is written");
    }
    assert!(failures.is_empty(), "{report}");
}

fn problems_of(case: &Case) -> Vec<String> {
    let root = case.input();
    let surveyed = survey(&root);
    let mut problems = differences(&case.sites, &surveyed);
    problems.extend(wrong_output(case, &root, &surveyed));
    problems.extend(said_otherwise(case, &root));
    if problems.is_empty() {
        problems.extend(not_idempotent(case, &surveyed));
    }
    problems
}

/// What is said besides, where the case tells it: nothing is passed over in silence, and nothing is told of what is in use.
fn said_otherwise(case: &Case, root: &Path) -> Vec<String> {
    if case.warnings.is_none() && case.uncovered.is_none() {
        return Vec::new();
    }
    let Said { warnings, uncovered } = said(root);
    let mut problems = Vec::new();
    if let Some(wanted) = &case.warnings {
        let is_told = |(at, text): &(Position, String), all: &[(Position, String)]| {
            all.iter().any(|(place, message)| place == at && message.contains(text.as_str()))
        };
        let missing = wanted.iter().filter(|own| !is_told(own, &warnings));
        problems.extend(missing.map(|(at, text)| format!("{at}: should be told: {text}")));
        if warnings.len() != wanted.len() {
            problems.push(format!("{} are expected, but these are told: {warnings:?}", wanted.len()));
        }
    }
    if case.uncovered.as_ref().is_some_and(|wanted| *wanted != uncovered) {
        problems.push(format!("nothing is said to be tied to {uncovered:?}, not to {:?}", case.uncovered));
    }
    problems
}

fn stand_in_for(site: &Surveyed) -> Option<String> {
    Some(stand_in(site.lockfile.as_deref()?, site.options))
}

/// Compares the edited files with `out/`.
fn wrong_output(case: &Case, root: &Path, surveyed: &[Surveyed]) -> Vec<String> {
    let mut wanted = files_below(&case.dir.join("out"));
    let mut problems = Vec::new();
    for (file, edits) in edits(surveyed, stand_in_for) {
        let after = match rewritten(root, &file, &edits) {
            Ok(after) => after.into_bytes(),
            Err(refused) => {
                problems.push(format!("{file}: {refused}"));
                continue;
            }
        };
        match wanted.remove(&file) {
            Some(expected) if expected == after => {}
            Some(expected) => problems.push(first_difference(&file, &expected, &after)),
            None => problems.push(format!("{file}: edited, though it should stay as it is")),
        }
    }
    problems.extend(wanted.into_keys().map(|file| format!("{file}: not edited")));
    problems
}

fn first_difference(file: &str, expected: &[u8], got: &[u8]) -> String {
    let (expected, got) = (String::from_utf8_lossy(expected), String::from_utf8_lossy(got));
    let (mut a, mut b) = (expected.lines(), got.lines());
    for line in 1.. {
        match (a.next(), b.next()) {
            (None, None) => break,
            (x, y) if x == y => {}
            (x, y) => {
                return format!(
                    "{file}:{line}: expected `{}`, got `{}`",
                    x.unwrap_or_default(),
                    y.unwrap_or_default()
                );
            }
        }
    }
    format!("{file}: line endings differ")
}

/// After the edits, the survey says the same, and there is nothing left to edit.
fn not_idempotent(case: &Case, surveyed: &[Surveyed]) -> Vec<String> {
    let copied = scratch(&case.name);
    copy(&case.input(), &copied);
    for (file, edits) in edits(surveyed, stand_in_for) {
        let after = rewritten(&copied, &file, &edits).expect("it was accepted before");
        fs::write(copied.join(&file), after).expect("the edit is written");
    }
    let again = survey(&copied);
    let mut problems = Vec::new();
    for (file, edits) in edits(&again, stand_in_for) {
        let before = fs::read_to_string(copied.join(&file)).expect("an edited file exists");
        if rewritten(&copied, &file, &edits) != Ok(before) {
            problems.push(format!("{file}: a second run edits it again"));
        }
    }
    let outcomes = |sites: &[Surveyed]| {
        let mut all: Vec<_> =
            sites.iter().map(|s| (s.outcome, s.lockfile.clone(), s.options, s.literals.len())).collect();
        all.sort();
        all
    };
    if outcomes(surveyed) != outcomes(&again) {
        problems.push("a second survey says something else".to_owned());
    }
    problems
}

/// What cannot be looked at is told: without it, no site would pass for no hash.
#[test]
fn a_folder_that_is_not_there_is_a_problem() {
    let folder = scratch("not-there").join("gone");
    let survey = nix_sites::survey(&nix_sites::SurveyScope::of(&folder));
    assert_eq!(survey.root, folder);
    assert_eq!((survey.sites.len(), survey.problems.len()), (0, 1));
    assert_eq!(survey.problems[0].place.file, folder);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever hashes are written, every byte outside the literals stays, and the survey of the result finds the same
    /// sites, with what was written.
    #[test]
    fn rewriting_changes_only_literals(which in any::<prop::sample::Index>(), seed in any::<[u8; 16]>()) {
        let all = cases();
        let case = which.get(&all);
        let root = case.input();
        let before = survey(&root);
        // Two sites can have one literal, which then holds one hash.
        let random = |site: &Surveyed| {
            let place = site.literals.first().map(|literal| literal.position.to_string());
            (site.outcome != Outcome::Undecided).then(|| stand_in(&format!("{seed:?} {place:?}"), site.options))
        };
        let edits = edits(&before, random);
        let copied = scratch("property");
        copy(&root, &copied);
        for (file, edits) in &edits {
            let old = fs::read_to_string(root.join(file)).expect("an edited file exists");
            let Ok(new) = rewritten(&root, file, edits) else {
                return Err(TestCaseError::fail(format!("{}: {file}: the edit is refused", case.name)));
            };
            let old_ranges: BTreeMap<(usize, usize), usize> = edits.1.iter().map(|e| (e.range, e.text.len())).collect();
            let mut shift = 0_isize;
            let moved: Vec<_> = old_ranges.iter().map(|((start, end), length)| {
                let at = start.checked_add_signed(shift).expect("edits are sorted");
                shift += isize::try_from(*length).expect("short") - isize::try_from(end - start).expect("short");
                (at, at + length)
            }).collect();
            prop_assert_eq!(untouched(&old, old_ranges.keys().copied()), untouched(&new, moved.into_iter()));
            fs::write(copied.join(file), new).expect("the edit is written");
        }
        let after = survey(&copied);
        prop_assert_eq!(before.len(), after.len(), "{}", &case.name);
        for (old, new) in before.iter().zip(&after) {
            prop_assert_eq!(old.outcome, new.outcome, "{}", &case.name);
            prop_assert_eq!(&old.lockfile, &new.lockfile);
            prop_assert_eq!(old.options, new.options);
            prop_assert_eq!(old.literals.len(), new.literals.len());
        }
    }

    /// A file that is cut, doubled or sprinkled with other tokens is a problem to tell of, never the end of the survey.
    #[test]
    fn damaged_files_do_not_stop_the_survey(
        which in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, any::<prop::sample::Index>()), 1..6),
    ) {
        const TOKENS: [&str; 16] = [
            "", "{", "}", "(", ")", "\"", "''", "${", ";", "rec", "with ", "let x = x; in ", " // ", "inherit ", "...", "@",
        ];
        let all = cases();
        let case = which.get(&all);
        let copied = scratch("damage");
        copy(&case.input(), &copied);
        let files = files_below(&copied);
        let edible: Vec<&String> = files.keys().filter(|file| is_source(file)).collect();
        if edible.is_empty() {
            return Ok(());
        }
        let name = file.get(&edible);
        let mut text = String::from_utf8_lossy(&files[*name]).into_owned();
        for (at, length, token) in damage {
            let from = floor(&text, at.index(text.len() + 1));
            let to = floor(&text, (from + length).min(text.len()));
            text.replace_range(from..to.max(from), TOKENS[token.index(TOKENS.len())]);
        }
        fs::write(copied.join(name), text).expect("the damage is done");
        for problem in problems(&copied) {
            prop_assert!(!problem.contains("unexpectedly"), "{}: {name}: {problem}", case.name);
        }
    }
}

/// The nearest boundary of a character that is not after an offset.
fn floor(text: &str, offset: usize) -> usize {
    (0..=offset).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

fn is_source(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "nix" || extension == "json")
}
