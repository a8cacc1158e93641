//! Equal sites become one, contradicting ones become undecided.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use nix_lang::eval::Eval;
use nix_lang::place::Place;
use nix_lang::syntax::ast::Location;
use npm_lockfile::options::HashOptions;
use phase_shell::LockfileEdit;
use sha2::{Digest as _, Sha256};

use super::draft::Draft;
use super::fetched::{attributes_of, patched, same_attributes, same_source};
use crate::reason::Reason;
use crate::remote::{AttributeValue, LockfileInside, Patch, RemoteKind, RemoteSource, SourceAttribute};
use crate::site::{Outcome, Site, Step, Undecided};

/// One set of literals with one answer is one site; without literals, one call is.
pub(super) fn merge(drafts: Vec<Draft>) -> Vec<Draft> {
    let mut merged: Vec<Draft> = Vec::new();
    let mut index: HashMap<DraftKey, usize> = HashMap::new();
    for draft in drafts {
        match index.entry(DraftKey::of(&draft)) {
            Entry::Occupied(known) => absorb(&mut merged[*known.get()], &draft),
            Entry::Vacant(free) => {
                free.insert(merged.len());
                merged.push(draft);
            }
        }
    }
    merged
}

/// A hash of today that another configuration needs as well, for the same lockfile of the repository, is told once.
pub(super) fn tell_once(today: &mut [Draft], later: &mut Vec<Draft>) {
    later.retain_mut(|draft| {
        let Outcome::Local { lockfile, edits } = &draft.site.outcome else { return true };
        // They are taken apart side by side below; a site that keeps its literal elsewhere has no such pairs.
        if draft.literals.len() != draft.site.hashes.len() {
            return true;
        }
        let is_same = |near: &Draft| {
            near.site.options == draft.site.options
                && matches!(&near.site.outcome, Outcome::Local { lockfile: own, edits: others } if own == lockfile && others == edits)
        };
        let holds = |near: &Draft| near.literals.iter().any(|literal| draft.literals.contains(literal));
        let Some(near) = today.iter_mut().find(|near| is_same(near) && holds(near)) else { return true };
        let both = draft.literals.iter().zip(&draft.site.hashes);
        let (literals, hashes): (Vec<_>, Vec<_>) =
            both.filter(|(literal, _)| !near.literals.contains(literal)).map(|(at, hash)| (*at, hash.clone())).unzip();
        if literals.is_empty() {
            absorb(near, draft);
            return false;
        }
        (draft.literals, draft.site.hashes) = (literals, hashes);
        true
    });
}

/// Drops what is not known of `npmDeps` where the same literal is the hash of a declaration that is: two ways led there, and
/// one was followed to its end.
pub(super) fn drop_followed(drafts: &mut Vec<Draft>) {
    let foreign = |draft: &Draft| matches!(&draft.site.outcome, Outcome::Undecided(why) if why.reason == Reason::UnknownFetcher);
    let known: HashSet<Location> =
        drafts.iter().filter(|draft| !foreign(draft)).flat_map(|draft| draft.literals.clone()).collect();
    drafts.retain(|draft| {
        draft.literals.is_empty() || !foreign(draft) || !draft.literals.iter().all(|own| known.contains(own))
    });
}

/// What distinguishes drafts.
#[derive(PartialEq, Eq, Hash)]
struct DraftKey {
    own: Own,
    answer: Told,
    options: HashOptions,
}

/// What a draft is about.
#[derive(PartialEq, Eq, Hash)]
enum Own {
    Literals(Vec<Location>),
    Call(Location, Option<String>),
}

/// What distinguishes answers; a doubt is distinguished by its class only.
#[derive(PartialEq, Eq, Hash)]
enum Told {
    Local(PathBuf, Vec<LockfileEdit>),
    Missing(PathBuf),
    Remote {
        kind: RemoteKind,
        /// Two inputs of a flake have no attributes to tell them apart.
        input: Option<(String, String)>,
        attributes: Vec<SourceAttribute>,
        open: Option<String>,
        inside: LockfileInside,
        patches: Vec<Patch>,
        patched_in: String,
    },
    Tarball(RemoteKind, Vec<SourceAttribute>, Option<String>),
    Undecided(Reason),
}

impl DraftKey {
    fn of(draft: &Draft) -> Self {
        let own = if draft.literals.is_empty() {
            Own::Call(draft.call, draft.site.name.clone())
        } else {
            Own::Literals(draft.literals.clone())
        };
        let answer = match draft.site.outcome.clone() {
            Outcome::Local { lockfile, edits } => Told::Local(lockfile, edits),
            Outcome::MissingLockfile { expected } => Told::Missing(expected),
            Outcome::Remote { source, inside } => {
                let (patches, patched_in) = patched(&source);
                let RemoteSource { kind, input, attributes, open, .. } = *source;
                Told::Remote { kind, input, attributes, open, inside, patches, patched_in }
            }
            Outcome::Tarball(source) => Told::Tarball(source.kind, source.attributes, source.open),
            Outcome::Undecided(undecided) => Told::Undecided(undecided.reason),
        };
        Self { own, answer, options: draft.site.options }
    }
}

/// The other's names and decisions, each once.
fn absorb(into: &mut Draft, other: &Draft) {
    for decided in &other.decided {
        if !into.decided.contains(decided) {
            // Each of the calls may hang on a flag of its own.
            into.decided.push(*decided);
        }
    }
    for path in other.site.attr_path.iter().chain(&other.site.other_attr_paths) {
        let own = &mut into.site;
        match &own.attr_path {
            None => own.attr_path = Some(path.clone()),
            Some(first) if first != path && !own.other_attr_paths.contains(path) => {
                own.other_attr_paths.push(path.clone());
            }
            Some(_) => {}
        }
    }
}

/// One literal that stands for different hashes is undecided everywhere.
pub(super) fn settle_conflicts(ev: &Eval, drafts: &mut [Draft]) {
    let mut users: BTreeMap<Location, Vec<usize>> = BTreeMap::new();
    for (i, draft) in drafts.iter().enumerate() {
        for literal in &draft.literals {
            users.entry(*literal).or_default().push(i);
        }
    }
    let mut needs = Needs::default();
    let mut conflicts: BTreeMap<usize, usize> = BTreeMap::new();
    for users in users.values().filter(|users| users.len() > 1) {
        // One of each kind of need suffices to compare with: thousands may share a literal.
        let mut seen = HashSet::new();
        let kinds: Vec<usize> =
            users.iter().copied().filter(|user| seen.insert(needs.of(&drafts[*user].site))).collect();
        for a in users {
            // Each is told of one other, not of all: that suffices to be undecided.
            let clash = |b: &&usize| *b != a && !compatible(&drafts[*a].site, &drafts[**b].site);
            if let Some(b) = kinds.iter().find(clash) {
                conflicts.entry(*a).or_insert(*b);
            }
        }
    }
    // What is marked says something else from then on.
    let told: Vec<_> = conflicts
        .into_iter()
        .map(|(index, other)| {
            let other = &drafts[other].site;
            (index, shared_with(ev, other), other.place.clone())
        })
        .collect();
    for (index, message, place) in told {
        mark_shared(&mut drafts[index].site, message, place);
    }
}

/// What a site needs of a hash; equal where the needs surely are.
#[derive(PartialEq, Eq, Hash)]
pub(super) enum Need {
    Local(Content, Vec<LockfileEdit>, HashOptions),
    Missing(PathBuf, HashOptions),
    Remote(Box<FromRemote>),
    /// What is not wholly known is like nothing else.
    Open(usize),
    Tarball(RemoteKind, Vec<(String, AttributeValue)>),
    Nothing,
    Undecided(Place),
}

/// What distinguishes lockfiles in fetched sources.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct FromRemote {
    kind: RemoteKind,
    input: Option<(String, String)>,
    attributes: Vec<(String, AttributeValue)>,
    inside: LockfileInside,
    patched: (Vec<Patch>, String),
    options: HashOptions,
}

/// What a lockfile holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Digest([u8; 32]),
    Unreadable(PathBuf),
}

/// The needs of all sites; each lockfile is read once.
#[derive(Default)]
pub(super) struct Needs {
    contents: HashMap<PathBuf, Content>,
    open: usize,
}

impl Needs {
    pub fn of(&mut self, site: &Site) -> Need {
        let options = site.options;
        match &site.outcome {
            Outcome::Local { lockfile, edits } => Need::Local(self.content(lockfile), edits.clone(), options),
            Outcome::MissingLockfile { expected } => Need::Missing(expected.clone(), options),
            Outcome::Remote { source, .. } if source.open.is_some() => {
                self.open += 1;
                Need::Open(self.open)
            }
            Outcome::Remote { source, inside } => Need::Remote(Box::new(FromRemote {
                kind: source.kind,
                input: source.input.clone(),
                attributes: attributes_of(source),
                inside: inside.clone(),
                patched: patched(source),
                options,
            })),
            Outcome::Tarball(source) => Need::Tarball(source.kind, attributes_of(source)),
            Outcome::Undecided(why) if says_nothing(why) => Need::Nothing,
            Outcome::Undecided(_) => Need::Undecided(site.place.clone()),
        }
    }

    fn content(&mut self, lockfile: &Path) -> Content {
        let digest = |bytes| Content::Digest(Sha256::digest(bytes).into());
        let read =
            || std::fs::read(lockfile).map_or_else(|_| Content::Unreadable(lockfile.to_path_buf()), digest);
        self.contents.entry(lockfile.to_path_buf()).or_insert_with(read).clone()
    }
}

/// With whom a hash is shared, and what that one needs.
pub(super) fn shared_with(ev: &Eval, other: &Site) -> String {
    let who = other.attr_path.as_deref().or(other.name.as_deref()).unwrap_or("another derivation");
    let (line, lock) = (other.place.line, lock_of(ev, other));
    format!("its hash is shared with {who} (line {line}), which needs that of {lock}")
}

pub(super) fn lock_of(ev: &Eval, site: &Site) -> String {
    match &site.outcome {
        Outcome::Local { lockfile, .. } => ev.files.display(lockfile),
        Outcome::MissingLockfile { expected } => ev.files.display(expected),
        Outcome::Remote { source, .. } | Outcome::Tarball(source) => {
            format!("what `{}` fetches", source.fetcher)
        }
        Outcome::Undecided(why) if why.reason == Reason::SeveralLockfiles => {
            "one of several lockfiles".to_owned()
        }
        Outcome::Undecided(_) => "something else".to_owned(),
    }
}

pub(super) fn mark_shared(site: &mut Site, message: String, place: Place) {
    if let Outcome::Undecided(why) = &mut site.outcome {
        why.message = format!("{}; {message}", why.message);
        return;
    }
    site.explain.push(Step { place: place.clone(), text: message.clone() });
    // What is not a tarball of a known URL any more still has its literal.
    let literal = site.tarball_literal().cloned();
    site.hashes.extend(literal);
    site.outcome = Outcome::Undecided(Undecided::new(Reason::SharedLiteral, message, place));
}

/// Whether two sites surely need the same hash, so that they can share a literal.
pub(super) fn compatible(one: &Site, two: &Site) -> bool {
    if one.options != two.options
        && !matches!((&one.outcome, &two.outcome), (Outcome::Undecided(_), _) | (_, Outcome::Undecided(_)))
    {
        return false;
    }
    match (&one.outcome, &two.outcome) {
        (Outcome::Local { lockfile: x, edits }, Outcome::Local { lockfile: y, edits: others }) => {
            // Two copies of one lockfile have one hash today; when one of them changes, this becomes a conflict and is
            // told.
            edits == others && (x == y || same_bytes(x, y))
        }
        (Outcome::MissingLockfile { expected: x }, Outcome::MissingLockfile { expected: y }) => x == y,
        (Outcome::Remote { source: x, inside }, Outcome::Remote { source: y, inside: other }) => {
            inside == other && same_source(x, y)
        }
        (Outcome::Tarball(x), Outcome::Tarball(y)) => x.kind == y.kind && same_attributes(x, y),
        (Outcome::Undecided(why), other) | (other, Outcome::Undecided(why))
            if why.reason == Reason::SeveralLockfiles =>
        {
            matches!(other, Outcome::Undecided(_))
        }
        (Outcome::Undecided(why), _) | (_, Outcome::Undecided(why)) => says_nothing(why) || is_one(one, two),
        _ => false,
    }
}

/// Whether two answers are those of one derivation. The calls of a wrapper make several at one place (fixture
/// `shared-literal-in-a-wrapper`).
fn is_one(one: &Site, two: &Site) -> bool {
    (&one.place, &one.attr_path, &one.name) == (&two.place, &two.attr_path, &two.name)
}

/// A doubt about where a lockfile is, or about who calls a function, says nothing against those sites that are known: there
/// is one literal, so there is one lockfile (`shared-literal-with-undecided`). A lockfile that is surely another one does, and
/// so do several of which a condition takes one (`shared-literal-with-several`).
pub(super) fn says_nothing(why: &Undecided) -> bool {
    match why.reason {
        Reason::LockfileEdited
        | Reason::Patched
        | Reason::Generated
        | Reason::BuildOnly
        | Reason::StaleUnknown
        | Reason::InArchive
        | Reason::SharedLiteral
        | Reason::SeveralLockfiles
        | Reason::UnknownOptions => false,
        Reason::UnknownArguments
        | Reason::Unreached
        | Reason::UnknownHash
        | Reason::Replaced
        | Reason::UnknownSource
        | Reason::UnknownUrl
        | Reason::UnknownFetcher
        | Reason::UnknownBase
        | Reason::SourceRoot
        | Reason::FilteredOut
        | Reason::RemoteSource
        | Reason::NoHash => true,
    }
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    match (std::fs::read(a), std::fs::read(b)) {
        // What cannot be read is equal to nothing, not even to itself elsewhere.
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
