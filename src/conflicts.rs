//! Merge conflicts in which nothing but hashes differs: two branches that both changed a lockfile meet in its hash.
//!
//! Both sides are evaluated. A conflict is solved only if its sides are the same text but for the tokens of npm hashes, and
//! each token is, on either side, the hash of the same lockfile under the same options. Then the hash is that of the merged
//! lockfile, computed like any other. Every other conflict stays as git wrote it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use merge_markers::{Part, parts};
use nix_sites::edit::{self, FileKind, Replacement};
use nix_sites::{Literal, LockfileEdit, Outcome, Shrinkwrap, Site, Survey, SurveyScope, apply_edits};
use npm_deps::supply::Supply;
use npm_deps::{HashRequest, Settings};
use npm_lockfile::LockedTree;
use npm_lockfile::options::HashOptions;

/// What became of the conflicts of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solved {
    /// The new text.
    pub text: String,
    /// How many conflicts were solved.
    pub solved: usize,
    /// How many stay.
    pub left: usize,
}

impl Solved {
    /// What became of the conflicts of the file that is called so.
    #[must_use]
    pub fn message(&self, file: &str) -> String {
        let noun = if self.solved == 1 { "conflict" } else { "conflicts" };
        let left = if self.left == 0 { String::new() } else { format!(", {} left", self.left) };
        format!("{file}: {} {noun} of hashes solved by the merged lockfile{left}", self.solved)
    }
}

/// Where hashes come from.
pub struct HashSupply<'a> {
    /// Tarballs.
    pub supply: &'a Arc<Supply>,
    /// How hashes are computed.
    pub settings: &'a Settings,
}

/// Whether a text has a conflict that a merge left.
#[must_use]
pub fn has_conflict(text: &str) -> bool {
    parts(text).is_some()
}

/// One side of a text with conflicts, and where in it each conflict's lines are.
struct Side {
    text: String,
    ranges: Vec<Range<usize>>,
}

impl Side {
    fn of(parts: &[Part<'_>], is_ours: bool) -> Self {
        let mut side = Self { text: String::new(), ranges: Vec::new() };
        for part in parts {
            match part {
                Part::Text(text) => side.text.push_str(text),
                Part::Conflict { ours, theirs, .. } => {
                    let start = side.text.len();
                    side.text.push_str(if is_ours { ours } else { theirs });
                    side.ranges.push(start..side.text.len());
                }
            }
        }
        side
    }
}

/// What decides a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decided {
    lockfile: PathBuf,
    edits: Vec<LockfileEdit>,
    options: HashOptions,
}

impl Decided {
    fn of(site: &Site) -> Option<Self> {
        let Outcome::Local { lockfile, edits } = &site.outcome else { return None };
        // A shrinkwrap of a source that is not looked into here.
        let wins = site.source.as_ref().is_some_and(|source| source.shrinkwrap != Shrinkwrap::Ignored);
        (!wins).then(|| Self { lockfile: lockfile.clone(), edits: edits.clone(), options: site.options })
    }
}

/// Solves what can be solved in these files with conflicts. `merged` are the texts of other files that are not on disk yet.
/// Files without a solved conflict are left out.
#[must_use]
pub fn solve(
    root: &Path,
    files: &BTreeMap<PathBuf, String>,
    merged: &BTreeMap<PathBuf, Vec<u8>>,
    means: &HashSupply<'_>,
) -> BTreeMap<PathBuf, Solved> {
    let files: BTreeMap<&PathBuf, Vec<Part<'_>>> =
        files.iter().filter_map(|(path, text)| Some((path, parts(text)?))).collect();
    let [(ours, our_survey), (theirs, their_survey)] = [true, false].map(|is_ours| {
        let sides: BTreeMap<&PathBuf, Side> =
            files.iter().map(|(path, parts)| (*path, Side::of(parts, is_ours))).collect();
        let mut instead = merged.clone();
        instead.extend(sides.iter().map(|(path, side)| ((*path).clone(), side.text.clone().into_bytes())));
        let survey = nix_sites::survey(&SurveyScope { instead, ..SurveyScope::of(root) });
        (sides, survey)
    });
    let mut solved = BTreeMap::new();
    for (path, parts) in &files {
        let sides = [(&ours[path], &our_survey), (&theirs[path], &their_survey)];
        if let Some(one) = solve_file(path, parts, sides, merged, means) {
            solved.insert((*path).clone(), one);
        }
    }
    solved
}

fn solve_file(
    path: &Path,
    parts: &[Part<'_>],
    sides: [(&Side, &Survey); 2],
    merged: &BTreeMap<PathBuf, Vec<u8>>,
    means: &HashSupply<'_>,
) -> Option<Solved> {
    let mut edits: Vec<(usize, FileKind, Replacement)> = Vec::new();
    for index in 0..sides[0].0.ranges.len() {
        if let Some(own) =
            same_but_for_hashes(path, index, sides).and_then(|tokens| written(&tokens, merged, means))
        {
            edits.extend(own.into_iter().map(|(kind, edit)| (index, kind, edit)));
        }
    }
    let kind = edits.first()?.1;
    // Proves that nothing but these tokens changes.
    let all: Vec<_> = edits.iter().map(|(_, _, edit)| edit.clone()).collect();
    edit::rewrite(kind, &sides[0].0.text, &all).ok()?;
    Some(assemble(parts, sides[0].0, &edits))
}

/// The tokens of a conflict on our side with what decides them, if the sides differ in nothing else.
fn same_but_for_hashes<'a>(
    path: &Path,
    index: usize,
    sides: [(&Side, &'a Survey); 2],
) -> Option<Vec<(&'a Literal, Decided)>> {
    let side = |(side, survey): (&Side, &'a Survey)| {
        let range = &side.ranges[index];
        let tokens = tokens(path, range, survey)?;
        Some((masked(&side.text, range, &tokens), tokens))
    };
    let ((our_text, ours), (their_text, theirs)) = (side(sides[0])?, side(sides[1])?);
    let same = our_text == their_text && !ours.is_empty() && ours.len() == theirs.len();
    let decided_alike = ours.iter().zip(&theirs).all(|((_, ours), (_, theirs))| ours == theirs);
    (same && decided_alike).then_some(ours)
}

/// The hash tokens in a range of a file, in their order; `None` if what decides one is not known, or not one thing.
fn tokens<'a>(path: &Path, range: &Range<usize>, survey: &'a Survey) -> Option<Vec<(&'a Literal, Decided)>> {
    let mut found: BTreeMap<usize, (&Literal, Decided)> = BTreeMap::new();
    for site in &survey.sites {
        let inside = |literal: &&Literal| {
            literal.file == path && range.start <= literal.range.start && literal.range.end <= range.end
        };
        for literal in site.hashes.iter().filter(inside) {
            let decided = Decided::of(site)?;
            match found.get(&literal.range.start) {
                Some((_, other)) if *other != decided => return None,
                _ => drop(found.insert(literal.range.start, (literal, decided))),
            }
        }
    }
    Some(found.into_values().collect())
}

/// A range of a text with the tokens taken out.
fn masked(text: &str, range: &Range<usize>, tokens: &[(&Literal, Decided)]) -> String {
    let (mut masked, mut from) = (String::new(), range.start);
    for (literal, _) in tokens {
        masked.push_str(&text[from..literal.range.start]);
        // No file that Nix reads holds it.
        masked.push('\0');
        from = literal.range.end;
    }
    masked.push_str(&text[from..range.end]);
    masked
}

/// What to write over the tokens; `None` if one of the hashes cannot be computed.
fn written(
    tokens: &[(&Literal, Decided)],
    merged: &BTreeMap<PathBuf, Vec<u8>>,
    means: &HashSupply<'_>,
) -> Option<Vec<(FileKind, Replacement)>> {
    let request = |(_, decided): &(&Literal, Decided)| {
        let bytes = merged.get(&decided.lockfile).cloned().or_else(|| fs::read(&decided.lockfile).ok())?;
        let lockfile = apply_edits(&bytes.into(), &decided.edits).ok()?;
        // What the fetcher breaks on stays a conflict: with a hash the merge would look solved, and only the build
        // would fail.
        let lacks = LockedTree::read(&lockfile).ok()?.completeness(None).incomplete(&[]);
        lacks.is_none().then(|| HashRequest::new(lockfile, decided.options))
    };
    let requests: Vec<HashRequest> = tokens.iter().map(request).collect::<Option<_>>()?;
    let results = npm_deps::compute(&requests, means.supply, means.settings);
    let edit = |((literal, _), result): (
        &(&Literal, Decided),
        Result<npm_deps::Computed, npm_deps::HashFailure>,
    )| {
        let sri = result.ok()?.hash.sri();
        Some((FileKind::of(literal.kind), edit::replacement(literal, &sri)))
    };
    tokens.iter().zip(results).map(edit).collect()
}

/// The text with the solved conflicts as our side has them, their tokens rewritten, and the others as they are.
fn assemble(parts: &[Part<'_>], ours: &Side, edits: &[(usize, FileKind, Replacement)]) -> Solved {
    let mut solved = Solved { text: String::new(), solved: 0, left: 0 };
    let mut index = 0;
    for part in parts {
        match part {
            Part::Text(text) => solved.text.push_str(text),
            Part::Conflict { whole, .. } => {
                let own: Vec<_> = edits.iter().filter(|(of, _, _)| *of == index).collect();
                if own.is_empty() {
                    solved.left += 1;
                    solved.text.push_str(whole);
                } else {
                    solved.solved += 1;
                    let mut from = ours.ranges[index].start;
                    for (_, _, Replacement { range: (start, end), text }) in own {
                        solved.text.push_str(&ours.text[from..*start]);
                        solved.text.push_str(text);
                        from = *end;
                    }
                    solved.text.push_str(&ours.text[from..ours.ranges[index].end]);
                }
                index += 1;
            }
        }
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_the_text_that_it_was() {
        let text = "a\n<<<<<<< HEAD\nours\n||||||| 1a2b\nold\n=======\ntheirs\n>>>>>>> x\nb\n<<<<<<< HEAD\n=======\nc\n>>>>>>> x\n";
        let parts = parts(text).unwrap();
        assert_eq!(Side::of(&parts, true).text, "a\nours\nb\n");
        let theirs = Side::of(&parts, false);
        assert_eq!((theirs.text.as_str(), theirs.ranges), ("a\ntheirs\nb\nc\n", vec![2..9, 11..13]));
        assert!(has_conflict(text) && !has_conflict("a\n"));
    }
}
