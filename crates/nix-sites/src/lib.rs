//! Where hashes are written: every npm derivation of a repository, its lockfile, its options and the token of its hash.
//!
//! A lazy partial evaluator runs over the repository's Nix files. Every value remembers the token that it came from; what
//! cannot be known is *unknown*, with the reason, and stays local. Nothing is guessed, nothing is run, nothing is fetched,
//! and no file outside of the repository is read.

mod areas;
mod directive;
pub mod edit;
pub mod elsewhere;
pub mod insert;
mod literal;
mod occurrences;
mod other_hashes;
mod reason;
mod remote;
mod scope;
mod site;
mod sites;
mod stated;
mod tracking;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use nix_lang::budget::Cost;
use nix_lang::eval::Eval;
use nix_lang::files::Files;
use nix_lang::syntax::ast::{Expr, Location};
pub use nixpkgs_model::hash_text::{HASHES, HashForm, HashText, decode_digest};
use nixpkgs_model::packages::record::Declarations as _;
use nixpkgs_model::world::Nixpkgs;
use occurrences::Occurrence;
pub use phase_shell::{Diff, LockfileEdit, LockfileEditError, apply as apply_edits, apply_diff};
pub use reason::NO_SHRINKWRAP;
pub use remote::{
    AttributeValue, LockfileInside, Patch, RemoteKind, RemoteSource, Shrinkwrap, SourceAttribute,
};
use repository_files::Border;
use scope::RelevantFiles;
pub use scope::SurveyScope;
pub use site::{
    Condition, FileProblem, Literal, LiteralKind, LockfileUse, Outcome, Place, Reason, Site, Step, Undecided,
    VersionMismatch, Warning, WarningKind,
};
use sites::{Draft, Entries, Index, Seen, Unused, literal_of, place_of};
use tracing::{debug, info};

/// Everything that is known about the npm derivations of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// The folder that bounds imports and lockfiles.
    pub root: PathBuf,
    /// All sites, in the order of their places.
    pub sites: Vec<Site>,
    /// Lockfiles that are used without a hash.
    pub uses: Vec<LockfileUse>,
    /// Packages whose dependencies are fetched by another version of the fetcher than they expect.
    pub version_mismatches: Vec<VersionMismatch>,
    /// Files that could not be read or parsed.
    pub problems: Vec<FileProblem>,
    /// What else is worth a word.
    pub warnings: Vec<Warning>,
    /// Lockfiles that no site is tied to, sorted.
    pub uncovered: Vec<PathBuf>,
    /// Every Nix file that git tracks or would track, or that was named.
    pub nix: BTreeSet<PathBuf>,
    /// Folders of somebody else: not searched, never written.
    pub borders: Vec<Border>,
    /// The text of every file that holds a literal of a site, as it was read.
    pub files: BTreeMap<PathBuf, String>,
}

impl Survey {
    fn warn(&mut self, kind: WarningKind, place: Place, message: String) {
        self.warnings.push(Warning { kind, place, message });
    }
}

/// The evaluation recurses; its depth is bounded, and this is more than the bound needs.
const STACK: usize = 512 << 20;

/// Finds every npm derivation of a repository.
#[must_use]
pub fn survey(scope: &SurveyScope) -> Survey {
    let began = Instant::now();
    let survey = surveyed(scope);
    let undecided = survey.sites.iter().filter(|site| matches!(site.outcome, Outcome::Undecided(_))).count();
    let (root, sites, took) = (scope.root.display(), survey.sites.len(), began.elapsed());
    info!(%root, sites, undecided, ?took, "surveyed the repository");
    survey
}

fn surveyed(scope: &SurveyScope) -> Survey {
    let found = match scope::discover(scope) {
        Ok(found) => found,
        Err(message) => return failed(scope, message),
    };
    let run = || {
        make_room();
        evaluate(scope, &found)
    };
    let survey = std::thread::scope(|threads| {
        let builder = std::thread::Builder::new().stack_size(STACK);
        match builder.spawn_scoped(threads, run) {
            Ok(handle) => handle
                .join()
                .unwrap_or_else(|_| failed(scope, "the evaluation stopped unexpectedly".to_owned())),
            Err(error) => failed(scope, format!("no thread for the evaluation: {error}")),
        }
    });
    Survey { nix: found.nix, ..survey }
}

/// glibc asks the system for each page of the heap of a thread: 580 times for a flake of 3,000 lines, which took one of its 20 ms.
/// Pages that it had once it has again without asking. Blocks of this size still come out of that heap; larger ones would not.
fn make_room() {
    const BLOCK: usize = 120 << 10;
    const BLOCKS: usize = 34;
    let blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|_| Vec::with_capacity(BLOCK)).collect();
    drop(std::hint::black_box(blocks));
}

fn failed(scope: &SurveyScope, message: String) -> Survey {
    let place = Place { file: scope.root.clone(), line: 1, column: 1 };
    Survey { root: scope.root.clone(), problems: vec![FileProblem { place, message }], ..Survey::default() }
}

fn evaluate(scope: &SurveyScope, found: &RelevantFiles) -> Survey {
    let borders = found.borders.clone();
    let mut survey = Survey { root: found.root.clone(), borders, ..Survey::default() };
    survey.uncovered.clone_from(&found.lockfiles);
    if found.candidates.is_empty() {
        return survey;
    }
    let files = Files::new(found.root.clone()).instead(scope.instead.clone(), scope.absent.clone());
    let seen = Rc::new(Seen::default());
    let mut ev = Eval::new(files, &Nixpkgs, Rc::<Seen>::clone(&seen));
    let index = index(&mut ev, found);
    let entries = Entries { flakes: &found.flakes, roots: &found.roots, index: &index, areas: &found.areas };
    let reached = sites::survey(&mut ev, seen, &entries);
    collect(&mut ev, &mut survey, reached);
    stated::apply(&mut survey.sites, &scope.stated);
    survey.uses = sites::uses(&mut ev);
    survey.version_mismatches = sites::version_mismatches(&mut ev);
    survey.uncovered = uncovered(&survey, &found.lockfiles);
    tracking::look(&mut survey, found);
    keep_texts(&ev, &mut survey);
    let (files, budget_left) = (ev.files.iter().count(), ev.budget.rest());
    debug!(files, budget_left, overruns = ev.budget.overruns().len(), "everything is evaluated");
    survey
}

/// Parses every candidate and notes what it spells.
fn index(ev: &mut Eval, found: &RelevantFiles) -> Index {
    let mut index = Index::new();
    let mut wrapped = false;
    for path in &found.candidates {
        let file = match ev.files.read(path) {
            Ok(file) => file,
            Err(error) => {
                let place = Place { file: path.clone(), line: 1, column: 1 };
                ev.problems.push(FileProblem { place, message: error.to_string() });
                continue;
            }
        };
        let Some(ast) = ev.ast(file) else { continue };
        let all = occurrences::occurrences(&ast);
        for (name, at) in occurrences::own_functions(&ast, &all) {
            ev.declared().own_functions.entry(name).or_insert(at);
        }
        wrapped |= occurrences::wraps_tarball(&ast);
        index.insert(path.clone(), all);
    }
    // Then none of those calls is one of a wrapper around a tarball, and their hashes are those of something else.
    if !wrapped {
        for all in index.values_mut() {
            all.retain(|occurrence| !occurrence.argument);
        }
    }
    for (path, message) in &found.unreadable {
        let place = Place { file: path.clone(), line: 1, column: 1 };
        ev.problems.push(FileProblem { place, message: format!("cannot read the file: {message}") });
    }
    index
}

/// Sites, warnings, and the occurrences that nothing accounts for.
fn collect(ev: &mut Eval, survey: &mut Survey, reached: sites::Found) {
    let sites::Found { drafts, open, dead } = reached;
    for draft in drafts {
        take(ev, survey, draft);
    }
    account_for(ev, survey, &open, dead);
    for (name, at) in &ev.declared().replaced.clone() {
        let message = format!(
            "an overlay replaces `{name}`; the hashes of this repository are not what nixpkgs computes"
        );
        survey.warn(WarningKind::Overlay, place_of(ev, *at), message);
    }
    for over in ev.budget.overruns() {
        let place = match over.at {
            Some(at) => place_of(ev, at),
            None => Place { file: survey.root.clone(), line: 1, column: 1 },
        };
        let so = match over.cost {
            Cost::OtherConfigurations | Cost::Configurations(_) => "what only these use may be missing here",
            _ => "some sites may be undecided for that reason",
        };
        let message = format!("{}; {so}", over.cost);
        survey.warn(WarningKind::Budget, place, message);
    }
    survey.problems.append(&mut ev.problems);
    survey.problems.extend(directive::apply(ev, &mut survey.sites));
    survey.sites.sort_by(|a, b| a.place.cmp(&b.place));
    survey.warnings.sort();
    survey.warnings.dedup();
    survey.problems.sort();
    survey.problems.dedup();
}

/// A site, or why it is none.
fn take(ev: &Eval, survey: &mut Survey, draft: Draft) {
    for (place, message) in draft.warnings {
        survey.warn(WarningKind::OtherConfiguration, place, message);
    }
    if draft.from_caller && draft.literals.is_empty() {
        let message = "a function that nothing here calls; its hash comes from its callers".to_owned();
        survey.warn(WarningKind::UncalledFunction, draft.site.place, message);
    } else if let Some(warning) = not_there_yet(ev, &draft.site) {
        survey.warnings.push(warning);
    } else {
        survey.sites.push(draft.site);
    }
}

/// Literals that no site holds: those that nothing is known of, and those that nothing reads.
fn account_for(ev: &Eval, survey: &mut Survey, open: &[Occurrence], dead: BTreeMap<Location, Unused>) {
    // Those of sites that are added meanwhile are literals of occurrences themselves.
    let used = used_literals(&survey.sites);
    for occurrence in open {
        if let Some(site) = unreached(ev, occurrence) {
            survey.sites.push(site);
        } else if !holds_used(ev, occurrence, &used) {
            let message = "a hash attribute that no derivation was seen to use".to_owned();
            survey.warn(WarningKind::UncalledFunction, place_of(ev, occurrence.at), message);
        }
    }
    let used = used_literals(&survey.sites);
    let written = written_at(ev, dead.keys());
    for (at, why) in dead.into_iter().filter(|(at, why)| is_idle(ev, *at, *why, &written, &used)) {
        let message = format!("a hash that nothing uses: {}", why.sentence());
        survey.warn(WarningKind::DeadHash, place_of(ev, at), message);
    }
}

/// A derivation of another configuration whose lockfile is not there: somebody may be about to make it.
fn not_there_yet(ev: &Eval, site: &Site) -> Option<Warning> {
    let (Outcome::MissingLockfile { expected }, Some(condition)) = (&site.outcome, site.only_when.first())
    else {
        return None;
    };
    let message = format!(
        "its lockfile {} is not there; the derivation is only used when {} ({}:{})",
        ev.files.display(expected),
        condition.text,
        ev.files.display(&condition.place.file),
        condition.place.line
    );
    Some(Warning { kind: WarningKind::OtherConfiguration, place: site.hash_place(), message })
}

/// Whether the literal of a dead binding is nobody's. A binding without a literal, or one that takes its hash from
/// elsewhere, says nothing about a literal.
fn is_idle(
    ev: &Eval,
    binding: Location,
    why: Unused,
    written: &HashMap<Location, Occurrence>,
    used: &BTreeSet<(PathBuf, usize)>,
) -> bool {
    let (Some(ast), Some(own)) = (ev.parsed(binding.file), written.get(&binding)) else { return true };
    let path = &ev.files.get(binding.file).path;
    let value = own.value.map(|id| ast.expr(id));
    let is_own = |literal: Location| used.contains(&(path.clone(), literal.span.start as usize));
    why.is_telling(value) && literal_of(ev, own).is_some_and(|literal| !is_own(literal))
}

/// The occurrences of all files of these bindings, by the place of the name.
fn written_at<'a>(ev: &Eval, bindings: impl Iterator<Item = &'a Location>) -> HashMap<Location, Occurrence> {
    let files: BTreeSet<nix_lang::syntax::ast::FileId> = bindings.map(|binding| binding.file).collect();
    let trees = files.into_iter().filter_map(|file| ev.parsed(file));
    trees.flat_map(|ast| occurrences::occurrences(&ast)).map(|own| (own.at, own)).collect()
}

/// Where the literals of the sites begin.
fn used_literals(sites: &[Site]) -> BTreeSet<(PathBuf, usize)> {
    let literals = sites.iter().flat_map(|site| &site.hashes);
    literals.map(|literal| (literal.file.clone(), literal.range.start)).collect()
}

/// Whether the literal of some site stands inside a binding, as in an option's default.
fn holds_used(ev: &Eval, occurrence: &Occurrence, used: &BTreeSet<(PathBuf, usize)>) -> bool {
    let path = &ev.files.get(occurrence.at.file).path;
    let span = literal_of(ev, occurrence).unwrap_or(occurrence.at).span;
    used.range((path.clone(), span.start as usize)..(path.clone(), span.end as usize)).next().is_some()
}

/// A literal that no derivation was seen to use.
fn unreached(ev: &Eval, occurrence: &Occurrence) -> Option<Site> {
    let ast = ev.parsed(occurrence.at.file)?;
    let id = occurrence.value?;
    let kind = match ast.expr(id) {
        Expr::Str(parts)
            if parts.iter().all(|part| matches!(part, nix_lang::syntax::ast::StringPart::Text(_))) =>
        {
            LiteralKind::NixString
        }
        expr if names_placeholder(expr) => LiteralKind::NixExpr,
        _ => return None,
    };
    let at = ast.location(id);
    let text: String =
        match ast.expr(id) {
            Expr::Str(parts) => parts
                .iter()
                .map(|part| {
                    if let nix_lang::syntax::ast::StringPart::Text(text) = part { text.as_ref() } else { "" }
                })
                .collect(),
            _ => HashText::fake().text,
        };
    let place = place_of(ev, occurrence.at);
    let literal = Literal {
        file: place.file.clone(),
        range: at.span.start as usize..at.span.end as usize,
        kind,
        written: HashText::parse(&text),
        line: place_of(ev, at).line,
        column: place_of(ev, at).column,
    };
    let message = "no derivation that uses this hash was found".to_owned();
    let step = Step { place: place.clone(), text: message.clone() };
    let outcome = Outcome::Undecided(Undecided::new(Reason::Unreached, message, place.clone()));
    Some(Site { hashes: vec![literal], explain: vec![step], ..Site::new(place, outcome) })
}

/// Whether an expression is `lib.fakeHash` or a relative, by its name.
fn names_placeholder(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Var(name) => name,
        Expr::Select { path, .. } => match path.last() {
            Some(nix_lang::syntax::ast::AttrName::Static(name)) => name,
            _ => return false,
        },
        _ => return false,
    };
    nixpkgs_model::packages::placeholder::fake(name).is_some()
}

/// The lockfiles in whose folders no site has its own, and that nothing uses without a hash.
fn uncovered(survey: &Survey, lockfiles: &[PathBuf]) -> Vec<PathBuf> {
    let folder = |path: &Path| path.canonicalize().ok()?.parent().map(Path::to_path_buf);
    let of_site = |site: &Site| {
        let own = match &site.outcome {
            Outcome::Local { lockfile, .. } => Some(lockfile.clone()),
            _ => None,
        };
        // Somebody cares for the lockfile of a site that is undecided, too.
        own.into_iter().chain(site.candidates.clone())
    };
    let used = survey.uses.iter().map(|used| used.lockfile.clone());
    let known: BTreeSet<PathBuf> = survey.sites.iter().flat_map(of_site).chain(used).collect();
    // By its name first: to tell where a thousand lockfiles lie takes 14,000 questions.
    let left: Vec<&PathBuf> = lockfiles.iter().filter(|path| !known.contains(*path)).collect();
    if left.is_empty() {
        return Vec::new();
    }
    let covered: BTreeSet<PathBuf> = known.iter().filter_map(|path| folder(path)).collect();
    let is_covered = |path: &PathBuf| folder(path).is_some_and(|folder| covered.contains(&folder));
    left.into_iter().filter(|path| !is_covered(path)).cloned().collect()
}

fn keep_texts(ev: &Eval, survey: &mut Survey) {
    let mut wanted: Vec<&Path> = survey
        .sites
        .iter()
        .flat_map(|site| site.hashes.iter().chain(site.source_literals()))
        .map(|literal| literal.file.as_path())
        .collect();
    wanted.sort_unstable();
    wanted.dedup();
    let texts: BTreeMap<PathBuf, String> = ev
        .files
        .iter()
        .filter(|file| wanted.binary_search(&file.path.as_path()).is_ok())
        .map(|file| (file.path.clone(), file.text.to_string()))
        .collect();
    survey.files = texts;
}
