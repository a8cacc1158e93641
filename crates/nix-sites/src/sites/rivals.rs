//! Hashes that another configuration needs for another lockfile.
//!
//! A flag that moves a source, and not the hash beside it, leaves one hash for two lockfiles: it is right today and wrong
//! once the flag is turned (`flag-moves-source-alone`). Sites know the decisions that they rest on, so only flags are
//! tried that have a part in a site of today, or that hide something which may use a hash of today.

use std::collections::{HashMap, HashSet};

use super::draft::Draft;
use super::flags::{Token, Tokens};
use super::merge::{Needs, compatible, lock_of, says_nothing};
use super::sweep::Sweep;
use crate::occurrences::inside;
use crate::site::{Condition, Outcome, Place, Reason, Site, Step, Undecided};
use nix_lang::eval::{Choice, Eval};
use nix_lang::syntax::ast::{Ast, AttrName, Bound, Expr, ExprId, FileId, Location, Name};
use nix_lang::value::Flip;

/// A flag, and the hashes of today that it may move.
pub(super) struct Question {
    pub flip: Flip,
    pub literals: HashSet<Location>,
}

/// The flags that may ask another hash of a literal.
pub(super) fn questions(today: &mut Sweep<'_>, drafts: &[Draft]) -> Vec<Question> {
    let mut all = Questions::default();
    for draft in drafts.iter().filter(|draft| is_settled(&draft.site)) {
        for decision in draft.decided.iter().flat_map(|decided| today.ev.decisions_of(*decided)) {
            let holds = |literal: &Location| {
                decision
                    .chosen
                    .is_some_and(|chosen| chosen.file == literal.file && chosen.span.contains(literal.span))
            };
            // A hash that stands in what is chosen goes with it.
            let goes_along = draft.literals.iter().all(holds);
            let token = today.seen.tokens.of(today.ev, decision.flip.leaf, draft);
            if !goes_along && token != Token::Given {
                all.add(decision.flip, &draft.literals);
            }
        }
    }
    let settled = drafts.iter().filter(|draft| is_settled(&draft.site));
    let known: Vec<Location> = settled.flat_map(|draft| draft.literals.clone()).collect();
    let mut uses = Uses { names: shared_names(today.ev, &known), files: HashMap::new() };
    for Choice { at, flip } in today.ev.choices.clone() {
        if uses.are_in(today, at) {
            all.add(flip, &known);
        }
    }
    all.list
}

#[derive(Default)]
struct Questions {
    list: Vec<Question>,
    index: HashMap<Flip, usize>,
}

impl Questions {
    fn add(&mut self, flip: Flip, literals: &[Location]) {
        let next = self.list.len();
        let index = *self.index.entry(flip.clone()).or_insert(next);
        if index == next {
            self.list.push(Question { flip, literals: HashSet::new() });
        }
        self.list[index].literals.extend(literals);
    }
}

/// Whether a hash is written for the site.
pub(super) fn is_settled(site: &Site) -> bool {
    matches!(site.outcome, Outcome::Local { .. } | Outcome::Remote { .. })
}

/// The names to which these hashes are bound, or sets that hold them, so that more than one derivation may read them: whole sets of
/// hashes are handed to other files (fixture `flag-hides-import-with-hashes`).
fn shared_names(ev: &Eval, hashes: &[Location]) -> HashSet<Name> {
    let hashes: HashSet<Location> = hashes.iter().copied().collect();
    let files: HashSet<FileId> = hashes.iter().map(|literal| literal.file).collect();
    let trees = files.into_iter().filter_map(|file| ev.parsed(file));
    trees.flat_map(|ast| names_of(&hashes, &ast)).collect()
}

fn names_of(hashes: &HashSet<Location>, ast: &Ast) -> Vec<Name> {
    let bound = ast.bindings().filter(|(_, id)| holds(hashes, ast, *id));
    bound.map(|(binding, _)| Name::clone(&binding.name)).collect()
}

/// Whether an expression is one of these hashes, or a set that is written with one.
fn holds(hashes: &HashSet<Location>, ast: &Ast, id: ExprId) -> bool {
    if let Expr::Set { bindings, .. } = ast.expr(id) {
        return bindings.entries.iter().any(|binding| match binding.bound {
            Bound::Expr(inner) => holds(hashes, ast, inner),
            Bound::Outer | Bound::From(_) => false,
        });
    }
    hashes.contains(&ast.location(id))
}

/// Where hashes are used that stand elsewhere.
struct Uses {
    names: HashSet<Name>,
    /// Where each file reads such a name, in order.
    files: HashMap<FileId, Vec<u32>>,
}

impl Uses {
    /// Whether what a flag hides may use a hash that stands elsewhere: by its name, or as what it inherits.
    fn are_in(&mut self, today: &Sweep<'_>, hidden: Location) -> bool {
        let path = &today.ev.files.get(hidden.file).path;
        let own = today.entries.index.get(path).map_or(&[][..], |all| inside(all, hidden.span));
        if own.iter().any(|occurrence| occurrence.value.is_none()) {
            return true;
        }
        let names = &self.names;
        let starts = self.files.entry(hidden.file).or_insert_with(|| {
            today.ev.parsed(hidden.file).map_or_else(Vec::new, |ast| uses_of(&ast, names))
        });
        let next = starts.partition_point(|start| *start < hidden.span.start);
        starts.get(next).is_some_and(|start| *start < hidden.span.end)
    }
}

fn uses_of(ast: &Ast, names: &HashSet<Name>) -> Vec<u32> {
    let is_use = |expr: &Expr| match expr {
        Expr::Var(name) => names.contains(name),
        Expr::Select { path, .. } => {
            matches!(path.last(), Some(AttrName::Static(name)) if names.contains(name))
        }
        Expr::Set { bindings, .. } => {
            bindings.entries.iter().any(|one| matches!(one.bound, Bound::Outer) && names.contains(&one.name))
        }
        _ => false,
    };
    let uses = ast.exprs.iter().zip(&ast.spans).filter(|(expr, _)| is_use(expr));
    let mut starts: Vec<u32> = uses.map(|(_, span)| span.start).collect();
    starts.sort_unstable();
    starts
}

/// The sites of another configuration.
pub(super) struct Rivals {
    /// The token that stands otherwise in it.
    pub leaf: Location,
    pub drafts: Vec<Draft>,
}

/// Marks the sites of today whose hash a site of another configuration needs for another lockfile.
pub(super) fn settle(ev: &Eval, tokens: &Tokens, drafts: &mut [Draft], all: &[Rivals]) {
    let mut needs = Needs::default();
    let all: Vec<_> =
        all.iter().map(|Rivals { leaf, drafts }| (*leaf, ByLiteral::of(drafts, &mut needs))).collect();
    for draft in drafts.iter_mut() {
        for (leaf, others) in &all {
            let rival = others.rival_of(draft, Ground::Lockfile);
            let Some(rival) = rival.filter(|_| is_settled(&draft.site)) else { continue };
            match tokens.of(ev, *leaf, draft) {
                Token::Flag => mark(ev, &mut draft.site, &rival.site),
                Token::Constant => draft.warnings.extend(objection(ev, &draft.site, &rival.site)),
                Token::Given => {}
            }
        }
    }
}

/// On what ground sites contradict each other.
#[derive(Clone, Copy)]
pub(super) enum Ground<'a> {
    /// Their lockfiles are others, or may be.
    Lockfile,
    /// Another source is chosen. Where texts are open as well, nobody knows what a source that they are part of is; today
    /// they are what they are, and whoever bumps a version bumps the hash with it (fixture `setting-in-source`). Two sources
    /// of today may share a hash (fixture `same-commit-by-two-fetchers`).
    Choice(&'a Sources),
}

/// Where the sources of today are fetched, by the hash that belongs to them.
#[derive(Default)]
pub(super) struct Sources(HashMap<Location, HashSet<Place>>);

impl Sources {
    /// Those of these sites.
    pub fn of(drafts: &[&mut Draft]) -> Self {
        let mut sources = Self::default();
        for draft in drafts {
            if let (Outcome::Remote { source, .. }, Some(literal)) =
                (&draft.site.outcome, draft.literals.first())
            {
                sources.0.entry(*literal).or_default().insert(source.place.clone());
            }
        }
        sources
    }

    fn has(&self, literals: &[Location], place: &Place) -> bool {
        literals.iter().any(|literal| self.0.get(literal).is_some_and(|places| places.contains(place)))
    }
}

/// The sites of another configuration, by the literals that they use. Many sites may share one literal: of those whose
/// lockfiles say the same, one speaks for all, so that a thousand are held against a few (`benches/make-flat.sh`).
pub(super) struct ByLiteral<'a>(HashMap<Location, Vec<&'a Draft>>);

impl<'a> ByLiteral<'a> {
    /// These sites.
    pub fn of(drafts: &'a [Draft], needs: &mut Needs) -> Self {
        let mut others: HashMap<Location, Vec<&'a Draft>> = HashMap::new();
        let mut spoken_for = HashSet::new();
        for draft in drafts {
            // What is fetched stays by itself: where it is fetched may have a say as well.
            let is_local = matches!(draft.site.outcome, Outcome::Local { .. });
            for literal in &draft.literals {
                if !is_local || spoken_for.insert((*literal, needs.of(&draft.site))) {
                    others.entry(*literal).or_default().push(draft);
                }
            }
        }
        Self(others)
    }

    /// One that needs another hash under a literal of this site.
    pub fn rival_of(&self, draft: &Draft, ground: Ground<'_>) -> Option<&'a Draft> {
        let near = draft.literals.iter().filter_map(|literal| self.0.get(literal)).flatten();
        near.copied().find(|other| {
            contradicts(&draft.site, &other.site)
                && match ground {
                    Ground::Lockfile => true,
                    Ground::Choice(sources) => is_chosen(other, sources),
                }
        })
    }
}

/// Whether a site has a source that none of today has.
fn is_chosen(rival: &Draft, sources: &Sources) -> bool {
    match &rival.site.outcome {
        Outcome::Undecided(why) => why.reason == Reason::SeveralLockfiles,
        Outcome::Remote { source, .. } => !sources.has(&rival.literals, &source.place),
        _ => true,
    }
}

/// Whether a site of another configuration surely, or for all that is known, needs another hash. Where its lockfile is not
/// there, nothing can be built, and no hash is wrong.
fn contradicts(site: &Site, rival: &Site) -> bool {
    match &rival.outcome {
        Outcome::MissingLockfile { .. } => false,
        Outcome::Undecided(why) => !says_nothing(why),
        Outcome::Local { .. } | Outcome::Remote { .. } | Outcome::Tarball(_) => !compatible(site, rival),
    }
}

/// What is to be said against one hash for both: where, and what.
fn objection(ev: &Eval, site: &Site, rival: &Site) -> Option<(Place, String)> {
    let (place, when) = conditions(ev, &rival.only_when)?;
    if matches!(&rival.outcome, Outcome::Undecided(why) if why.reason == Reason::SeveralLockfiles) {
        let files: Vec<String> = rival.candidates.iter().map(|path| ev.files.display(path)).collect();
        let files = files.join(", or ");
        let message = format!(
            "one hash cannot be right in two configurations: whether {when} decides its lockfile: {files}"
        );
        return Some((place, message));
    }
    let needs = match &rival.outcome {
        Outcome::Undecided(why) => format!("its lockfile is another one: {}", why.message),
        _ if site.options != rival.options => "it is made with other options".to_owned(),
        _ if lock_of(ev, site) == lock_of(ev, rival) => {
            "its lockfile is changed otherwise before it is hashed".to_owned()
        }
        _ => format!("its lockfile is {}", lock_of(ev, rival)),
    };
    let message = format!("one hash cannot be right in two configurations: when {when}, {needs}");
    Some((place, message))
}

/// When a site counts, in words; the place is that of the first condition.
fn conditions(ev: &Eval, all: &[Condition]) -> Option<(Place, String)> {
    const MOST: usize = 4;
    let told = |Condition { place, text }: &Condition| {
        format!("{text} ({}:{})", ev.files.display(&place.file), place.line)
    };
    let mut words: Vec<String> = all.iter().take(MOST).map(told).collect();
    if all.len() > MOST {
        words.push(format!("{} more", all.len() - MOST));
    }
    Some((all.first()?.place.clone(), words.join(" and ")))
}

pub(super) fn mark(ev: &Eval, site: &mut Site, rival: &Site) {
    let Some((place, message)) = objection(ev, site, rival) else { return };
    site.explain.push(Step { place: place.clone(), text: message.clone() });
    let others = rival.candidates.iter().filter(|path| !site.candidates.contains(path));
    let others: Vec<_> = others.cloned().collect();
    site.candidates.extend(others);
    let cure = "give each of them a hash of its own, chosen by the same condition".to_owned();
    let undecided = Undecided::new(Reason::SharedLiteral, message, place);
    site.outcome = Outcome::Undecided(undecided.cured_by(Some(cure)));
}
