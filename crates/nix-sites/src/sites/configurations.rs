//! Every configuration that the text allows: today's first, then those that are one edit away, then two.
//!
//! In today's configuration a flag may hide derivations, whose hashes would grow stale unseen until somebody switches the
//! flag. Where hashes are left that nothing evaluated, the repository is evaluated again under the flips that today's choices
//! offer (see `eval::choices`), one at a time, so that every answer is that of a configuration which differs from today's
//! in one known place; flags behind flags take further levels. The nearest configuration that reaches a hash says which
//! lockfile it belongs to, unless further flags, which have no part in reaching it, move its lockfile (`together` looks at
//! all of them at once): then the hash is undecided, as it is where two equally near configurations disagree. Today's own
//! sites stay as today's build sees them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;

use super::dead::{Unused, inert};
use super::decide;
use super::draft::Draft;
use super::explain::{excerpt, place_of};
use super::keys::{Key, Keys};
use super::merge::{self, Needs};
use super::parts;
use super::rivals::{self, Question, Rivals};
use super::seen::Seen;
use super::sweep::literal_of;
use super::sweep::{Entries, Index, Sweep};
use super::together::{Constants, Flags};
use crate::areas::{Area, Areas};
use crate::occurrences::Occurrence;
use crate::site::{Condition, Outcome};
use nix_lang::budget::Cost;
use nix_lang::eval::{Choice, Eval};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Flip, Instead, Kind, Value};
use nixpkgs_model::packages::record::Declarations as _;
use nixpkgs_model::packages::record::{Declared, Record};
use tracing::debug;

/// More configurations than these are not looked at.
const MOST: usize = 64;
/// Flags behind flags are followed so far.
const DEEPEST: usize = 4;

/// Which hashes are looked for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Those to which an entry point leads.
    Reached,
    /// Those, too, that are bound and reached by nothing.
    #[default]
    Entered,
}

/// What the configurations of a repository lead to.
pub(crate) struct Found {
    pub drafts: Vec<Draft>,
    /// Occurrences that no configuration accounts for.
    pub open: Vec<Occurrence>,
    /// Bindings of hashes that nothing reads in any configuration, and why.
    pub dead: BTreeMap<Location, Unused>,
}

/// All sites, and what is left over.
pub(crate) fn survey(ev: &mut Eval, seen: Rc<Seen>, entries: &Entries<'_>) -> Found {
    let mut today = Sweep::new(ev, seen, entries);
    today.watch();
    let mut others = Others::default();
    today.reach();
    others.explore(&mut today, Stage::Reached);
    // What is bound but unused comes after what a flag would use: the flag may decide more than its use.
    today.tokens.extend(others.accounted.union(&others.bindings));
    today.enter();
    others.explore(&mut today, Stage::Entered);
    let mut drafts = decide::all(today.ev);
    others.discover_all(&mut today, &drafts);
    today.tokens.extend(others.accounted.union(&others.bindings));
    let mut open: Vec<Occurrence> =
        today.open().into_iter().filter(|occurrence| !occurrence.argument).collect();
    others.weigh(&mut today, &mut drafts);
    others.weigh_together(&mut today, &mut drafts);
    open.extend(parts::nobodys(&today, &drafts, &open, &others.accounted));
    let Sweep { ev, mut dead, .. } = today;
    for (at, why) in inert(ev) {
        dead.entry(at).or_insert(why);
    }
    forget_accounted(ev, entries, &others.accounted, &mut dead);
    decide::settle_later(ev, &drafts, &mut others.drafts);
    merge::tell_once(&mut drafts, &mut others.drafts);
    drafts.append(&mut others.drafts);
    decide::sort(&mut drafts);
    Found { drafts, open, dead }
}

/// A hash that today's configuration leaves dead is none where another one uses it.
fn forget_accounted(
    ev: &Eval,
    entries: &Entries<'_>,
    accounted: &HashSet<Location>,
    dead: &mut BTreeMap<Location, Unused>,
) {
    for occurrence in entries.index.values().flatten() {
        if literal_of(ev, occurrence).is_some_and(|literal| accounted.contains(&literal)) {
            dead.remove(&occurrence.at);
        }
    }
}

/// A configuration and what its evaluation noted.
struct World {
    flips: Vec<Flip>,
    choices: Vec<Choice>,
    /// Choices that were noted on the way here.
    known: Rc<HashSet<Choice>>,
}

/// What one flag more leads to, from all configurations of a level.
#[derive(Default)]
struct Level {
    next: Vec<World>,
    found: Vec<Draft>,
}

/// Which flags are turned. A name by which something is selected may be that of another service, so that the hash of one
/// is found with the lockfile of the other; what other flags lead to comes first (fixture `flags-together-beside-key`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum FlagKind {
    Flags,
    Keys,
    Any,
}

impl FlagKind {
    fn takes(self, ev: &Eval, flip: &Flip) -> bool {
        match self {
            Self::Flags => !ev.keys.contains(&flip.leaf),
            Self::Keys => ev.keys.contains(&flip.leaf),
            Self::Any => true,
        }
    }
}

/// Configurations that are not today's.
#[derive(Default)]
pub(super) struct Others {
    pub(super) drafts: Vec<Draft>,
    /// Literals that a site of another configuration has.
    pub(super) accounted: HashSet<Location>,
    /// The bindings of their hashes, which may be those of a wrapper.
    bindings: HashSet<Location>,
    /// How many of today's choices were followed.
    followed: usize,
    /// How many configurations were looked at, and how many for what they need of today's hashes, in each part of the tree.
    looked_at: HashMap<Option<Area>, usize>,
    weighed: HashMap<Option<Area>, usize>,
    parts: HashMap<Option<Area>, Rc<Part>>,
    /// The part that is looked at.
    pub(super) area: Option<Area>,
    /// The flags of each part that were met so far, and what became of opening them.
    pub(super) flags: BTreeMap<Option<Area>, Flags>,
    /// What else somebody chose.
    pub(super) constants: Constants,
    /// What sites of all configurations need: each lockfile is read once.
    pub(super) needs: Needs,
}

/// What an evaluation of one part of the tree begins with.
#[derive(Default)]
pub(super) struct Part {
    flakes: Vec<PathBuf>,
    roots: Vec<PathBuf>,
    pub(super) index: Index,
}

impl Part {
    fn entries<'a>(&'a self, areas: &'a Areas) -> Entries<'a> {
        Entries { flakes: &self.flakes, roots: &self.roots, index: &self.index, areas }
    }
}

/// The parts of a tree.
fn parts(entries: &Entries<'_>) -> HashMap<Option<Area>, Rc<Part>> {
    let mut all: HashMap<Option<Area>, Part> = HashMap::new();
    for folder in entries.flakes {
        all.entry(entries.areas.of(folder)).or_default().flakes.push(folder.clone());
    }
    for path in entries.roots {
        all.entry(entries.areas.of(path)).or_default().roots.push(path.clone());
    }
    for (path, occurrences) in entries.index {
        let part = all.entry(entries.areas.of(path)).or_default();
        part.index.insert(path.clone(), occurrences.clone());
    }
    all.into_iter().map(|(area, part)| (area, Rc::new(part))).collect()
}

impl Others {
    fn explore(&mut self, today: &mut Sweep<'_>, stage: Stage) {
        let choices = today.ev.choices[self.followed..].to_vec();
        self.followed = today.ev.choices.len();
        let mut of_areas: BTreeMap<Option<Area>, Vec<Choice>> = BTreeMap::new();
        for choice in choices {
            of_areas.entry(area_of(today, choice.at)).or_default().push(choice);
        }
        aside(today, |today| {
            for (area, choices) in of_areas {
                self.area = area;
                self.offer(choices.iter().map(|choice| &choice.flip));
                self.explore_area(today, stage, choices);
            }
        });
    }

    /// What the entries of the part are that is looked at.
    pub(super) fn part(&mut self, today: &Sweep<'_>) -> Rc<Part> {
        if self.parts.is_empty() {
            self.parts = parts(today.entries);
        }
        self.parts.get(&self.area).cloned().unwrap_or_default()
    }

    fn explore_area(&mut self, today: &mut Sweep<'_>, stage: Stage, choices: Vec<Choice>) {
        let known = Rc::new(choices.iter().cloned().collect());
        let own = World { flips: Vec::new(), choices, known };
        let worlds = self.explore_levels(today, stage, vec![own], FlagKind::Flags);
        if self.is_anything_hidden(today) {
            self.discover_beside_keys(today, stage);
            self.explore_levels(today, stage, worlds, FlagKind::Keys);
        }
    }

    /// Explores what further flags make of these configurations, the nearest first, and tells which ones it met. The first
    /// level turns flags of one kind.
    fn explore_levels(
        &mut self,
        today: &mut Sweep<'_>,
        stage: Stage,
        mut level: Vec<World>,
        turned: FlagKind,
    ) -> Vec<World> {
        let mut met = Vec::new();
        for depth in 0..DEEPEST {
            let turned = if depth > 0 && turned == FlagKind::Keys { FlagKind::Any } else { turned };
            let mut reached = Level::default();
            for world in &level {
                if !self.follow(today, world, turned, stage, &mut reached) {
                    break;
                }
            }
            let found = decide::combine(today.ev, reached.found);
            self.accounted.extend(found.iter().flat_map(|draft| &draft.literals));
            self.drafts.extend(found);
            met.append(&mut level);
            level = reached.next;
        }
        met.append(&mut level);
        met
    }

    /// Looks for configurations in which a hash of today is needed for another lockfile.
    fn weigh(&mut self, today: &mut Sweep<'_>, drafts: &mut [Draft]) {
        let questions = rivals::questions(today, drafts);
        let mut found = Vec::new();
        aside(today, |today| {
            'all: for Question { flip, literals } in &questions {
                for flip in alternatives(today.ev, flip) {
                    self.area = area_of(today, flip.leaf);
                    if !is_left(&mut self.weighed, self.area) {
                        today.ev.budget.refuse(Cost::Configurations(MOST), Some(flip.leaf));
                        continue 'all;
                    }
                    let part = self.part(today);
                    let leaf = flip.leaf;
                    let flips = [flip];
                    let (mut drafts, _) = rivals_in(today, &part, Stage::Entered, &flips, Some(literals));
                    only_when(today.ev, &today.seen.keys, &mut drafts, &flips);
                    found.push(Rivals { leaf, drafts });
                }
            }
        });
        rivals::settle(today.ev, &today.seen.tokens, drafts, &found);
    }

    /// Evaluates what one choice more makes of a configuration; `false` when enough was done.
    fn follow(
        &mut self,
        today: &mut Sweep<'_>,
        world: &World,
        turned: FlagKind,
        stage: Stage,
        level: &mut Level,
    ) -> bool {
        let mut tried = HashSet::new();
        for flip in
            world.choices.iter().flat_map(|choice| alternatives(today.ev, &choice.flip)).collect::<Vec<_>>()
        {
            if !turned.takes(today.ev, &flip)
                || is_contrary(&world.flips, &flip)
                || !tried.insert(flip.clone())
            {
                continue;
            }
            if !self.is_anything_hidden(today) {
                return false;
            }
            if !is_left(&mut self.looked_at, self.area) {
                today.ev.budget.refuse(Cost::Configurations(MOST), Some(flip.leaf));
                return false;
            }
            let flips = [world.flips.as_slice(), &[flip]].concat();
            let (choices, drafts) = self.evaluate(today, &flips, stage);
            level.found.extend(drafts);
            let choices: Vec<Choice> =
                choices.into_iter().filter(|choice| !world.known.contains(choice)).collect();
            if !choices.is_empty() {
                let known = Rc::new(world.known.iter().chain(&choices).cloned().collect());
                level.next.push(World { flips, choices, known });
            }
        }
        true
    }

    /// Whether a hash was never evaluated, so that a condition may hide it.
    fn is_anything_hidden(&mut self, today: &mut Sweep<'_>) -> bool {
        today.look_at_records();
        let part = self.part(today);
        let ev = &today.ev;
        let made = ev.noted::<Declared>().map(|declared| &declared.made);
        let settled: HashSet<Location> = part
            .index
            .values()
            .flatten()
            .filter(|occurrence| {
                made.is_some_and(|made| made.contains(&occurrence.at))
                    || today.known_dead(occurrence.at).is_some_and(Unused::holds_everywhere)
            })
            .filter_map(|occurrence| literal_of(ev, occurrence))
            .collect();
        let is_settled = |at: &Location| {
            today.tokens.contains(at)
                || self.accounted.contains(at)
                || settled.contains(at)
                || area_of(today, *at) != self.area
        };
        today.seen.is_any_hidden(is_settled)
    }

    /// The choices of a configuration, and those of its sites that were not known before.
    pub(super) fn evaluate(
        &mut self,
        today: &mut Sweep<'_>,
        flips: &[Flip],
        stage: Stage,
    ) -> (Vec<Choice>, Vec<Draft>) {
        let known: HashSet<Location> = today.tokens.union(&self.accounted).copied().collect();
        let part = self.part(today);
        let mut ev = enter(today, &part, flips, stage, &known);
        let mut records = std::mem::take(&mut ev.declared().records);
        ev.budget.begin();
        records.retain(|record| is_new(&mut ev, record, &known));
        self.bindings.extend(records.iter().filter_map(Record::binding));
        ev.declared().records = records;
        let mut drafts = decide::all(&mut ev);
        drafts.retain(|draft| !draft.literals.is_empty());
        only_when(&ev, &today.seen.keys, &mut drafts, flips);
        let choices = std::mem::take(&mut ev.choices);
        self.offer(choices.iter().map(|choice| &choice.flip).chain(&decisions(&ev, &drafts)));
        come_back(today, ev);
        (choices, drafts)
    }
}

/// Looks at other configurations with what the budget sets aside for them, so that it is not today's that they use up.
pub(super) fn aside(today: &mut Sweep<'_>, look: impl FnOnce(&mut Sweep<'_>)) {
    let own = today.ev.budget.set_aside();
    let todays = std::mem::replace(&mut today.ev.budget, own);
    look(today);
    let own = std::mem::replace(&mut today.ev.budget, todays);
    today.ev.budget.give_back(own);
}

/// The part of the tree that a place is in.
pub(super) fn area_of(today: &Sweep<'_>, at: Location) -> Option<Area> {
    today.entries.areas.of(&today.ev.files.get(at.file).path)
}

/// Counts one configuration more, if there may be one.
fn is_left(counts: &mut HashMap<Option<Area>, usize>, area: Option<Area>) -> bool {
    let count = counts.entry(area).or_default();
    *count += 1;
    *count <= MOST
}

/// Evaluates everything in another configuration; what is known is not looked for.
fn enter(
    today: &mut Sweep<'_>,
    part: &Part,
    flips: &[Flip],
    stage: Stage,
    known: &HashSet<Location>,
) -> Eval {
    let seen = Rc::new(today.seen.for_another_configuration());
    let declared = today.ev.declared().for_another_configuration();
    let mut ev = today.ev.in_configuration(flips.to_vec(), Rc::<Seen>::clone(&seen));
    for flip in flips {
        let at = place_of(&ev, flip.leaf);
        debug!(file = %at.file.display(), line = at.line, is = told(&flip.to), "another configuration");
    }
    *ev.declared() = declared;
    let entries = part.entries(today.entries.areas);
    let mut sweep = Sweep::new(&mut ev, seen, &entries);
    sweep.tokens.clone_from(known);
    sweep.reach();
    if stage == Stage::Entered {
        sweep.enter();
    }
    ev
}

/// Takes the files back, and what was noted of them.
fn come_back(today: &mut Sweep<'_>, mut ev: Eval) {
    let declared = std::mem::take(ev.declared());
    today.ev.take_back(ev);
    today.ev.declared().take_back(declared);
}

/// The sites of another configuration, or those that use one of these literals, and the flags that were met.
pub(super) fn rivals_in(
    today: &mut Sweep<'_>,
    part: &Part,
    stage: Stage,
    flips: &[Flip],
    literals: Option<&HashSet<Location>>,
) -> (Vec<Draft>, Vec<Flip>) {
    let before = today.ev.budget.overruns().len();
    let mut ev = enter(today, part, flips, stage, &HashSet::new());
    let mut records = std::mem::take(&mut ev.declared().records);
    ev.budget.begin();
    if let Some(literals) = literals {
        records.retain(|record| uses(&mut ev, record, &|literal| literals.contains(&literal)));
    }
    ev.declared().records = records;
    let mut drafts = decide::each(&mut ev);
    // What is hidden even there rests on further ones (fixture `flags-together-behind`).
    let hidden = ev.choices.iter().map(|choice| choice.flip.clone());
    let met = hidden.chain(decisions(&ev, &drafts)).collect();
    // What the budget did not allow to know says nothing against today.
    if ev.budget.overruns().len() > before {
        drafts.retain(|draft| !matches!(draft.site.outcome, Outcome::Undecided(_)));
    }
    come_back(today, ev);
    (drafts, met)
}

/// What would turn the decisions that these sites rest on.
pub(super) fn decisions(ev: &Eval, drafts: &[Draft]) -> Vec<Flip> {
    let decided = drafts.iter().flat_map(|draft| &draft.decided);
    decided.flat_map(|decided| ev.decisions_of(*decided)).map(|decision| decision.flip).collect()
}

/// Notes what would have to stand in the repository for these sites to be used.
pub(super) fn only_when(ev: &Eval, keys: &Keys, drafts: &mut [Draft], flips: &[Flip]) {
    if drafts.is_empty() {
        return;
    }
    let conditions: Vec<Condition> = flips.iter().map(|flip| condition(ev, keys, flip)).collect();
    for draft in drafts {
        draft.site.only_when.clone_from(&conditions);
        flips.clone_into(&mut draft.turned);
    }
}

/// A flip, and the other words that the repository knows for its token; these are better than any other value.
pub(super) fn alternatives(ev: &Eval, flip: &Flip) -> Vec<Flip> {
    let Some(words) = ev.words.get(&flip.leaf) else { return vec![flip.clone()] };
    let own = (flip.to != Instead::Other).then(|| flip.clone());
    let others = words.iter().map(|to| Flip { leaf: flip.leaf, to: to.clone() });
    own.into_iter().chain(others).collect()
}

/// Whether a token already stands otherwise than this flip would have it.
fn is_contrary(flips: &[Flip], flip: &Flip) -> bool {
    let is_member = flip.to.member().is_some();
    flips.iter().any(|known| known.leaf == flip.leaf && (!is_member || known.to == flip.to))
}

/// Whether the hash of a record is a literal that no configuration before used.
fn is_new(ev: &mut Eval, record: &Record, known: &HashSet<Location>) -> bool {
    uses(ev, record, &|literal| !known.contains(&literal))
}

/// Whether the hash of a record is a literal of some kind.
fn uses(ev: &mut Eval, record: &Record, is_meant: &dyn Fn(Location) -> bool) -> bool {
    let hash = ev.peek_attr(&record.args, record.hash_name(), record.call);
    hash.is_some_and(|hash| has_token(&hash, is_meant))
}

fn has_token(value: &Value, is_meant: &dyn Fn(Location) -> bool) -> bool {
    match &value.kind {
        Kind::Alt(values) => values.iter().any(|value| has_token(value, is_meant)),
        Kind::Str(text) => text.token.as_ref().is_some_and(|token| is_meant(token.location)),
        _ => false,
    }
}

/// A flip as people read it: the key of the token, where it has one (fixture `flags-behind-flags`).
fn condition(ev: &Eval, keys: &Keys, flip: &Flip) -> Condition {
    let key = keys.of(ev, flip.leaf);
    let written = excerpt(ev.files.text(flip.leaf));
    let name = match &key {
        Some(key) => format!("`{}`", key.path),
        // A file of data as a whole.
        None if ev.parsed(flip.leaf.file).is_none() => ev.files.display(&ev.files.get(flip.leaf.file).path),
        None => written.clone(),
    };
    let is_key = ev.keys.contains(&flip.leaf);
    let text = match (&flip.to, key) {
        // Of a list of names only one changes.
        (Instead::Text(text), Some(Key { item: true, .. })) => {
            format!("`\"{text}\"` stands in {name} in place of {written}")
        }
        (Instead::Text(text), None) if is_key => format!("`\"{text}\"` stands in place of {written}"),
        (to, Some(Key { item: true, .. })) => format!("{written} in {name} is {}", told(to)),
        (Instead::With(member), _) => format!("{name} has `{member}` as well"),
        (Instead::Without(member), _) => format!("{name} does not have `{member}`"),
        (Instead::Other | Instead::Open, Some(_)) => format!("{name} is not {written}"),
        (to, _) => format!("{name} is {}", told(to)),
    };
    Condition { place: place_of(ev, flip.leaf), text }
}

fn told(to: &Instead) -> String {
    match to {
        Instead::Bool(flag) => format!("`{flag}`"),
        Instead::Int(number) => format!("`{number}`"),
        Instead::Text(text) => format!("`\"{text}\"`"),
        Instead::Null => "`null`".to_owned(),
        _ => "something else".to_owned(),
    }
}
