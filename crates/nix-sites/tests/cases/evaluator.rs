//! What the evaluator says of a folder, in the terms of the fixtures.

use std::collections::BTreeMap;
use std::path::Path;

use nix_sites::SurveyScope;
use nix_sites::edit::{self, FileKind, Replacement};

use super::fixtures::{ExpectedSite, Options, Outcome, Position, without_system};

/// A literal of a site: where it is, and what the evaluator knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub position: Position,
    pub literal: nix_sites::Literal,
}

#[derive(Debug, Clone)]
pub struct Surveyed {
    pub attrs: Vec<String>,
    pub outcome: Outcome,
    pub literals: Vec<Found>,
    pub lockfile: Option<String>,
    /// The URL of the tarball that is pinned.
    pub tarball: Option<String>,
    /// The hashes of its sources.
    pub sources: Vec<Position>,
    pub options: Options,
    /// What the phases replace in the lockfile: old and new text.
    pub edits: Vec<(String, String)>,
    /// Code, message and remedy of an undecided site.
    pub reason: String,
    /// The tokens that would have to say something else.
    pub only_when: Vec<Position>,
    /// What would have to hold, in words.
    pub when: Vec<String>,
    /// The steps of the proof.
    pub proof: Vec<String>,
}

impl Surveyed {
    pub fn positions(&self) -> Vec<Position> {
        self.literals.iter().map(|l| l.position.clone()).collect()
    }
}

pub fn survey(root: &Path) -> Vec<Surveyed> {
    // The fixtures lie in a repository; each of them is one of its own.
    let root = root.canonicalize().expect("the folder exists");
    let scope = SurveyScope::of(&root);
    nix_sites::survey(&scope).sites.iter().map(|site| translate(&root, site)).collect()
}

/// What the survey says of files that it could not read, and of itself.
pub fn problems(root: &Path) -> Vec<String> {
    let root = root.canonicalize().expect("the folder exists");
    let scope = SurveyScope::of(&root);
    nix_sites::survey(&scope).problems.into_iter().map(|problem| problem.message).collect()
}

/// What else is said of a folder.
pub struct Said {
    /// Where, and what.
    pub warnings: Vec<(Position, String)>,
    /// The lockfiles that nothing is tied to.
    pub uncovered: Vec<String>,
}

/// What the survey says besides its sites.
pub fn said(root: &Path) -> Said {
    let root = root.canonicalize().expect("the folder exists");
    let survey = nix_sites::survey(&SurveyScope::of(&root));
    let at = |place: &nix_sites::Place| Position {
        file: relative(&root, &place.file),
        line: place.line,
        column: place.column,
    };
    Said {
        warnings: survey.warnings.iter().map(|own| (at(&own.place), own.message.clone())).collect(),
        uncovered: survey.uncovered.iter().map(|path| relative(&root, path)).collect(),
    }
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn translate(root: &Path, site: &nix_sites::Site) -> Surveyed {
    let (outcome, lockfile, reason) = match &site.outcome {
        nix_sites::Outcome::Local { lockfile, .. } => {
            (Outcome::Local, Some(relative(root, lockfile)), String::new())
        }
        nix_sites::Outcome::Remote { .. } => (Outcome::Remote, None, String::new()),
        nix_sites::Outcome::Tarball(_) => (Outcome::Tarball, None, String::new()),
        nix_sites::Outcome::MissingLockfile { .. } => (Outcome::MissingLockfile, None, String::new()),
        nix_sites::Outcome::Undecided(why) => {
            (Outcome::Undecided, None, format!("{}: {}; {}", why.reason.code(), why.message, why.settle))
        }
    };
    let mut literals: Vec<Found> =
        site.hashes.iter().chain(site.tarball_literal()).map(|literal| found(root, literal)).collect();
    literals.sort_by(|a, b| a.position.cmp(&b.position));
    Surveyed {
        attrs: site.attr_path.iter().chain(&site.other_attr_paths).cloned().collect(),
        outcome,
        literals,
        lockfile,
        tarball: tarball_of(&site.outcome),
        sources: site.source_literals().map(|literal| found(root, literal).position).collect(),
        edits: edits_of(&site.outcome),
        options: Options {
            fetcher_version: site.options.fetcher_version.into(),
            force_git_deps: site.options.force_git_deps,
            force_empty_cache: site.options.force_empty_cache,
        },
        reason,
        proof: site
            .explain
            .iter()
            .map(|step| format!("{} ({}:{})", step.text, relative(root, &step.place.file), step.place.line))
            .collect(),
        when: site.only_when.iter().map(|condition| condition.text.clone()).collect(),
        only_when: site
            .only_when
            .iter()
            .map(|nix_sites::Condition { place, .. }| Position {
                file: relative(root, &place.file),
                line: place.line,
                column: place.column,
            })
            .collect(),
    }
}

fn tarball_of(outcome: &nix_sites::Outcome) -> Option<String> {
    match outcome {
        nix_sites::Outcome::Tarball(source) => source.url().map(str::to_owned),
        _ => None,
    }
}

fn edits_of(outcome: &nix_sites::Outcome) -> Vec<(String, String)> {
    let edits = match outcome {
        nix_sites::Outcome::Local { edits, .. } => edits.as_slice(),
        nix_sites::Outcome::Remote { inside, .. } => inside.edits[1].as_slice(),
        _ => &[],
    };
    let told = |edit: &nix_sites::LockfileEdit| match edit {
        nix_sites::LockfileEdit::Replace { pattern, replacement, .. } => {
            (pattern.clone(), replacement.clone())
        }
        nix_sites::LockfileEdit::Patch(diff) => (format!("patch -p{}", diff.strip), diff.name.clone()),
    };
    edits.iter().map(told).collect()
}

fn found(root: &Path, literal: &nix_sites::Literal) -> Found {
    Found {
        position: Position {
            file: relative(root, &literal.file),
            line: literal.line,
            column: literal.column,
        },
        literal: literal.clone(),
    }
}

/// Everything in which a survey differs from what is expected.
pub fn differences(expected: &[ExpectedSite], surveyed: &[Surveyed]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut open: Vec<&Surveyed> = surveyed.iter().collect();
    for site in expected {
        let same: Vec<&Surveyed> = open.iter().copied().filter(|s| s.positions() == site.hashes).collect();
        problems.extend(one(site, &same));
        // Undecided sites with equal literals may be told as one or as several.
        if site.outcome == Outcome::Undecided && !site.hashes.is_empty() {
            continue;
        }
        if let Some(taken) = same.iter().position(|s| one(site, &[s]).is_empty()).or(same.first().map(|_| 0))
        {
            let taken = same[taken];
            open.retain(|s| !std::ptr::eq(*s, taken));
        }
    }
    for (i, site) in surveyed.iter().enumerate() {
        let is_same = |other: &&Surveyed| {
            other.reason == site.reason && other.positions() == site.positions() && other.attrs == site.attrs
        };
        if site.outcome == Outcome::Undecided && surveyed[..i].iter().any(|other| is_same(&other)) {
            problems.push(format!("told twice: {}", show(site)));
        }
    }
    for site in open {
        let told = |e: &ExpectedSite| e.outcome == Outcome::Undecided && e.hashes == site.positions();
        if !(site.outcome == Outcome::Undecided && expected.iter().any(told)) {
            problems.push(format!("not expected: {}", show(site)));
        }
    }
    problems
}

/// What is wrong with the surveyed sites that have an expected site's literals.
fn one(site: &ExpectedSite, same: &[&Surveyed]) -> Vec<String> {
    let place = place(&site.hashes);
    let wanted = format!("{:?} {}", site.outcome, site.lockfile.as_deref().unwrap_or_default());
    if same.is_empty() {
        return vec![format!("{place}: not found; expected {wanted}")];
    }
    if site.outcome == Outcome::Undecided {
        return undecided(site, same, &place);
    }
    // Among sites without a literal of their own, the right one counts.
    let best = same
        .iter()
        .find(|s| s.outcome == site.outcome && s.lockfile == site.lockfile && s.tarball == site.tarball)
        .unwrap_or(&same[0]);
    let mut problems = Vec::new();
    if (best.outcome, &best.lockfile) != (site.outcome, &site.lockfile) {
        problems.push(format!("{place}: expected {wanted}, got {}", show(best)));
    }
    if best.tarball != site.tarball {
        problems.push(format!("{place}: expected {:?}, got {:?}", site.tarball, best.tarball));
    }
    if site.sources.as_ref().is_some_and(|sources| *sources != best.sources) {
        problems.push(format!(
            "{place}: expected the sources' hashes {:?}, got {:?}",
            site.sources, best.sources
        ));
    }
    if best.edits != site.edits {
        problems.push(format!("{place}: expected the edits {:?}, got {:?}", site.edits, best.edits));
    }
    if best.only_when != site.only_when {
        problems.push(format!(
            "{place}: expected only when {}, got {}",
            self::place(&site.only_when),
            self::place(&best.only_when)
        ));
    }
    if site.when.as_ref().is_some_and(|when| *when != best.when) {
        problems.push(format!("{place}: expected when {:?}, got {:?}", site.when, best.when));
    }
    // Each a part of one step, one after the other.
    let mut steps = best.proof.iter();
    if let Some(lacks) = site.because.iter().find(|part| !steps.any(|step| step.contains(part.as_str()))) {
        problems.push(format!("{place}: the proof should say {lacks:?}: {:?}", best.proof));
    }
    if best.options != site.options {
        problems.push(format!("{place}: expected {:?}, got {:?}", site.options, best.options));
    }
    if let Some(attr) = &site.attr {
        let attrs: Vec<String> = best.attrs.iter().map(|a| without_system(a)).collect();
        if attrs.first() != Some(&without_system(attr)) {
            problems.push(format!("{place}: expected attribute {attr}, got {attrs:?}"));
        }
    }
    problems
}

fn undecided(site: &ExpectedSite, same: &[&Surveyed], place: &str) -> Vec<String> {
    let reason = site.reason.as_deref().unwrap_or_default();
    if let Some(decided) = same.iter().find(|s| s.outcome != Outcome::Undecided) {
        return vec![format!("{place}: expected undecided ({reason}), got {}", show(decided))];
    }
    let says = |s: &&Surveyed| s.reason.to_lowercase().contains(&reason.to_lowercase());
    if same.iter().any(says) {
        return Vec::new();
    }
    vec![format!("{place}: the reason should mention {reason:?}, got {:?}", same[0].reason)]
}

fn place(positions: &[Position]) -> String {
    if positions.is_empty() {
        return "(no literal)".to_owned();
    }
    positions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn show(site: &Surveyed) -> String {
    format!(
        "{:?} {} {} at {} under {:?}",
        site.outcome,
        site.lockfile.as_deref().unwrap_or_default(),
        site.reason,
        place(&site.positions()),
        site.attrs
    )
}

/// Edits by file, and what kind of file that is.
pub type Edits = BTreeMap<String, (FileKind, Vec<Replacement>)>;

/// One edit for every literal of the sites that `hash` has an answer for.
pub fn edits(surveyed: &[Surveyed], mut hash: impl FnMut(&Surveyed) -> Option<String>) -> Edits {
    let mut edits = Edits::new();
    for site in surveyed {
        let Some(hash) = hash(site) else { continue };
        for Found { position, literal } in &site.literals {
            let kind = FileKind::of(literal.kind);
            let entry = edits.entry(position.file.clone()).or_insert_with(|| (kind, Vec::new()));
            entry.1.push(edit::replacement(literal, &hash));
        }
    }
    edits
}

/// The file's text with its edits, as the evaluator's own judge lets it pass.
pub fn rewritten(
    root: &Path,
    file: &str,
    (kind, edits): &(FileKind, Vec<Replacement>),
) -> Result<String, String> {
    let text = std::fs::read_to_string(root.join(file)).map_err(|e| e.to_string())?;
    edit::rewrite(*kind, &text, edits).map_err(|e| e.to_string())
}

/// The bytes outside all edits, in order.
pub fn untouched(text: &str, ranges: impl Iterator<Item = (usize, usize)>) -> Vec<&str> {
    let mut result = Vec::new();
    let mut last = 0;
    for (start, end) in ranges {
        result.push(&text[last..start]);
        last = end;
    }
    result.push(&text[last..]);
    result
}
