//! Flags that decide only together what a hash is for.
//!
//! One flag after the other does not show what two of them do: a service behind `a && b`, or a source that moves where both
//! are turned (fixtures `flags-together-hide`, `flags-together-move`). To try all combinations would double the work with
//! each flag. So all flags are *opened* at once: what stands at their tokens is then not known, both sides of everything
//! that depends on them are looked at, and each side keeps its condition as a formula over these tokens. One evaluation
//! tells what every combination can lead to. It may tell too much where a condition is lost on the way, never too little;
//! so what it shows beside today's answers is undecided, and what it finds is looked at again with the flags turned that it
//! takes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::configurations::{Others, Stage, alternatives, area_of, aside, decisions, only_when, rivals_in};
use super::decide;
use super::draft::Draft;
use super::flags::Token;
use super::merge::says_nothing;
use super::rivals::{self, ByLiteral, Ground, Sources};
use super::sweep::Sweep;
use crate::areas::Area;
use crate::site::Outcome;
use nix_lang::budget::Cost;
use nix_lang::syntax::ast::{FileId, Location};
use nix_lang::value::{Flip, Instead};

/// So many hidden hashes are looked for, each with the flags that it takes.
const MOST_HIDDEN: usize = 64;
/// So many evaluations are spent on one part of the tree.
const MOST_EVALUATIONS: usize = 256;
/// More flags of one part are not opened.
const MOST_FLAGS: usize = 256;
/// Of more flags than these it is not told which ones have a part in a contradiction.
const MOST_NAMED: usize = 12;
/// Flags behind open flags are followed so far.
const MOST_BEHIND: usize = 4;
/// So many values of several flags together are tried.
const MOST_VALUES: usize = 16;

/// The flags that were met in one part of the tree.
#[derive(Default)]
pub(super) struct Flags {
    /// What turns them, each once.
    flips: Vec<Flip>,
    leaves: HashSet<Location>,
    /// What may be in lists and sets besides, or not be there: that is looked for, but not weighed.
    members: Vec<Flip>,
    /// What else somebody chose.
    settings: Vec<Location>,
    pass: Pass,
    /// The flags that were open last in each pass, and the sites that there were then.
    opened: HashMap<Pass, (Vec<Flip>, Rc<Vec<Draft>>)>,
    /// How many flags and members were looked behind, in which ways, and the literals that were reached by which way.
    revealed: (usize, usize),
    modes: Vec<Vec<Flip>>,
    reached: BTreeMap<Location, usize>,
    /// What was turned alone.
    turned: HashSet<Flip>,
    /// How many evaluations were spent on single questions.
    spent: usize,
}

/// The constants that were evaluated, by the part of the tree that they are in: asked of all of them for each of 750 parts, a
/// tree of 40,000 files took 68 s instead of 5.
#[derive(Default)]
pub(super) struct Constants {
    taken: usize,
    areas: HashMap<FileId, Option<Area>>,
    of: HashMap<Option<Area>, BTreeSet<Location>>,
}

impl Constants {
    /// Takes in those that were met since the last time.
    fn take_in(&mut self, today: &Sweep<'_>) {
        for leaf in today.seen.constants_since(self.taken) {
            let area = *self.areas.entry(leaf.file).or_insert_with(|| area_of(today, leaf));
            self.of.entry(area).or_default().insert(leaf);
            self.taken += 1;
        }
    }
}

/// What is looked for, and by which flags.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Pass {
    stage: Stage,
    by: By,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
enum By {
    #[default]
    Flags,
    /// Names by which something is selected stay as they are: other flags come first (fixture `flags-together-beside-key`).
    FlagsBesideKeys,
    /// Everything else that somebody chose is open as well.
    Settings,
}

/// Hidden literals, each with the number of the state of flags from which it was looked for.
type Tried = BTreeMap<Location, usize>;

impl Flags {
    /// Begins again with the flags that are known.
    fn begin(&mut self, pass: Pass) {
        let known = std::mem::take(self);
        let Self { flips, leaves, members, settings, opened, spent, .. } = known;
        *self = Self { flips, leaves, members, settings, pass, opened, spent, ..Self::default() };
    }

    /// Notes what was reached with flags in this state; with more of them it is surer than with less.
    fn note(&mut self, mode: Vec<Flip>, literals: Vec<Location>) {
        for literal in literals {
            self.reached.insert(literal, self.modes.len());
        }
        self.modes.push(mode);
    }
}

impl Others {
    /// Notes flags of the part that is looked at.
    pub(super) fn offer<'a>(&mut self, flips: impl Iterator<Item = &'a Flip>) {
        let known = self.own();
        for flip in flips {
            // Any value may stand at a token; what is in a list or in a set, or is not, is looked at one by one.
            if let Some(member) = flip.to.member() {
                let is_same = |own: &Flip| own.leaf == flip.leaf && own.to.member() == Some(member);
                let is_known = known.members.iter().any(is_same);
                if known.members.len() < MOST_FLAGS && !is_known {
                    known.members.push(flip.clone());
                }
            } else if known.leaves.len() < MOST_FLAGS && known.leaves.insert(flip.leaf) {
                known.flips.push(flip.clone());
            }
        }
    }

    /// What is known of the flags of the part that is looked at.
    fn own(&mut self) -> &mut Flags {
        self.flags.entry(self.area).or_default()
    }

    /// Looks for hashes that are hidden by flags which have to be turned together.
    pub(super) fn discover_all(&mut self, today: &mut Sweep<'_>, drafts: &[Draft]) {
        for draft in drafts {
            self.area = area_of(today, draft.call);
            let flips = decisions(today.ev, std::slice::from_ref(draft));
            self.offer(flips.iter());
        }
        let areas: Vec<Option<Area>> = self.flags.keys().copied().collect();
        aside(today, |today| {
            for area in areas {
                self.area = area;
                // Where no hash is written there is nothing to be found.
                if self.part(today).index.is_empty() {
                    continue;
                }
                self.discover_beside_keys(today, Stage::Entered);
                self.own().begin(Pass::default());
                self.discover(today);
                self.discover_behind_settings(today);
            }
        });
    }

    /// Looks for hashes behind conditions of which nothing tells what would turn them, such as the length of a list or a part
    /// of a text (fixture `flag-by-settings`): everything may stand otherwise that somebody chose and that was read.
    fn discover_behind_settings(&mut self, today: &mut Sweep<'_>) {
        if self.begin_with_settings(today) {
            self.discover(today);
        }
    }

    /// Begins again with settings as well, where there are any.
    fn begin_with_settings(&mut self, today: &Sweep<'_>) -> bool {
        self.constants.take_in(today);
        let settings = self.settings(today);
        let own = self.own();
        own.settings = settings;
        own.begin(Pass { by: By::Settings, ..Pass::default() });
        !own.settings.is_empty()
    }

    /// What somebody chose and was read in the part that is looked at, besides flags.
    fn settings(&self, today: &Sweep<'_>) -> Vec<Location> {
        let mut settings: Vec<Location> =
            self.constants.of.get(&self.area).into_iter().flatten().copied().collect();
        settings.retain(|leaf| {
            let is_flag = self.flags.get(&self.area).is_some_and(|own| own.leaves.contains(leaf));
            !self.is_hash(today, leaf) && !is_flag && today.seen.tokens.is_setting(today.ev, *leaf)
        });
        // Files of data are settings more often than code is.
        settings.sort_by_key(|leaf| today.ev.parsed(leaf.file).is_some());
        settings.truncate(MOST_FLAGS);
        settings
    }

    /// The same with names as they are by which something is selected.
    pub(super) fn discover_beside_keys(&mut self, today: &mut Sweep<'_>, stage: Stage) {
        if self.own().flips.iter().any(|flip| today.ev.keys.contains(&flip.leaf)) {
            self.own().begin(Pass { stage, by: By::FlagsBesideKeys });
            self.discover(today);
        }
    }

    fn discover(&mut self, today: &mut Sweep<'_>) {
        let mut tried = Tried::new();
        loop {
            // Behind the flags that were turned last there may be others.
            self.reveal(today);
            self.turn_each(today, &tried);
            let Some((literal, mode)) = self.next_hidden(today, &tried) else { return };
            let flips = self.own().modes[mode].clone();
            if tried.len() == MOST_HIDDEN || !self.is_one_left() {
                today.ev.budget.refuse(Cost::Configurations(MOST_EVALUATIONS), Some(literal));
                return;
            }
            tried.insert(literal, mode);
            let is_enough = |others: &mut Self, today: &mut Sweep<'_>, flips: &[Flip]| {
                let stage = others.own().pass.stage;
                let (_, drafts) = others.evaluate(today, flips, stage);
                drafts.iter().any(|draft| draft.literals.contains(&literal))
            };
            let needed = self.least(today, flips, usize::MAX, is_enough);
            // Where none of the known values will do, they stay open: nothing tells how `length` or a part of a text turns.
            for turned in self.turned(today, &needed).into_iter().chain([needed]) {
                if !self.is_one_left() || self.turn(today, &turned).contains(&literal) {
                    break;
                }
            }
        }
    }

    /// A literal that is used where some flags are open or turned, and is that of no site so far, with the number of that
    /// state; what was tried is not tried again, unless more flags are met.
    fn next_hidden(&self, today: &Sweep<'_>, tried: &Tried) -> Option<(Location, usize)> {
        let mut reached = self.flags.get(&self.area)?.reached.iter().map(|(literal, mode)| (*literal, *mode));
        reached.find(|(literal, mode)| {
            !self.is_known(today, literal) && tried.get(literal).is_none_or(|tried| tried != mode)
        })
    }

    /// Turns one flag after the other, as long as something is hidden: nearly always one alone hides it.
    fn turn_each(&mut self, today: &mut Sweep<'_>, tried: &Tried) {
        // Of the settings a single one is not told apart so.
        if self.own().pass.by == By::Settings {
            return;
        }
        let all = [self.flags(today), self.own().members.clone()].concat();
        for flip in all.iter().flat_map(|flip| alternatives(today.ev, flip)).collect::<Vec<_>>() {
            if self.next_hidden(today, tried).is_none() {
                return;
            }
            if self.own().turned.insert(flip.clone()) && self.is_one_left() {
                self.turn(today, &[flip]);
            }
        }
    }

    /// The literals of the sites that a configuration has besides those that are known, which they are from then on.
    fn turn(&mut self, today: &mut Sweep<'_>, flips: &[Flip]) -> Vec<Location> {
        let stage = self.own().pass.stage;
        let (_, mut found) = self.evaluate(today, flips, stage);
        // Where a text is open, nothing is known of a source that it decides (fixture `wrapper-selects-hash-by-name`).
        if flips.iter().any(|flip| flip.to == Instead::Open) {
            found
                .retain(|draft| !matches!(&draft.site.outcome, Outcome::Undecided(why) if says_nothing(why)));
        }
        let found = decide::combine(today.ev, found);
        let literals: Vec<Location> = found.iter().flat_map(|draft| draft.literals.clone()).collect();
        self.accounted.extend(&literals);
        self.drafts.extend(found);
        literals
    }

    /// Looks at everything that any of the flags may hide (fixtures `flag-hides-placeholder-*`).
    fn reveal(&mut self, today: &mut Sweep<'_>) {
        for _ in 0..MOST_BEHIND {
            let flips = self.flags(today);
            let size = (flips.len(), self.own().members.len());
            if size == self.own().revealed {
                break;
            }
            self.own().revealed = size;
            // One that is true or false is seen as a whole where it is turned.
            if flips.len() > 1 || flips.iter().any(|flip| !matches!(flip.to, Instead::Bool(_))) {
                let sites = self.open(today);
                let literals = sites.iter().flat_map(|draft| draft.literals.clone()).collect();
                self.own().note(opened(&flips), literals);
            }
            // Settings are only opened: to what they would have to be turned is not known.
            if self.own().pass.by == By::Settings {
                continue;
            }
            for mode in self.modes(today, flips) {
                let literals = self.rivals(today, &mode, None).into_iter().flat_map(|draft| draft.literals);
                let literals = literals.collect();
                self.own().note(mode, literals);
            }
        }
    }

    /// Ways to turn and to open flags at once, besides opening all of them. What is selected by a name that may be any is lost
    /// with the name, a list with one more item is not one with any, and what nothing knows how to do with a value that is
    /// not known may be plain where it is another one.
    fn modes(&mut self, today: &Sweep<'_>, flips: Vec<Flip>) -> Vec<Vec<Flip>> {
        let (keys, others) = apart(today, &flips);
        let open = opened(&others);
        let members = self.own().members.clone();
        let (added, removed): (Vec<Flip>, Vec<Flip>) =
            members.into_iter().partition(|flip| matches!(flip.to, Instead::With(_)));
        let mut modes = vec![[flips, added.clone()].concat()];
        if !keys.is_empty() {
            modes.push(open.clone());
        }
        for members in [added, removed] {
            if !members.is_empty() {
                modes.push([open.clone(), members].concat());
            }
        }
        modes.retain(|mode| !mode.is_empty());
        modes
    }

    /// The configurations in which all of these flags are turned.
    fn turned(&self, today: &Sweep<'_>, flips: &[Flip]) -> Vec<Vec<Flip>> {
        let known = self.flags.get(&self.area).map_or(&[][..], |own| &own.flips);
        let mut all: Vec<Vec<Flip>> = vec![Vec::new()];
        for flip in flips {
            let turned = known.iter().find(|own| own.leaf == flip.leaf && flip.to == Instead::Open);
            let own = turned.map_or_else(|| vec![flip.clone()], |turned| alternatives(today.ev, turned));
            all = all
                .iter()
                .flat_map(|before| {
                    own.iter().map(|flip| [before.as_slice(), std::slice::from_ref(flip)].concat())
                })
                .take(MOST_VALUES)
                .collect();
        }
        all
    }

    fn is_known(&self, today: &Sweep<'_>, literal: &Location) -> bool {
        today.tokens.contains(literal) || self.accounted.contains(literal)
    }

    /// The flags that it takes for something: each is left out that can be. All of them where there are too many to try.
    fn least(
        &mut self,
        today: &mut Sweep<'_>,
        flips: Vec<Flip>,
        most: usize,
        is_enough: impl Fn(&mut Self, &mut Sweep<'_>, &[Flip]) -> bool,
    ) -> Vec<Flip> {
        let mut kept = flips;
        let mut size = kept.len().div_ceil(2);
        let mut start = 0;
        // Halves first, then single ones: nearly always few of many flags have a part.
        while size > 0 && kept.len() > 1 {
            if start >= kept.len() {
                (size, start) = (if size == 1 { 0 } else { size.div_ceil(2) }, 0);
                continue;
            }
            if kept.len() > most && size < kept.len().div_ceil(2) || !self.is_one_left() {
                break;
            }
            let end = (start + size).min(kept.len());
            let rest = [&kept[..start], &kept[end..]].concat();
            if !rest.is_empty() && is_enough(self, today, &rest) {
                kept = rest;
            } else {
                start = end;
            }
        }
        kept
    }

    /// Looks for combinations of flags in which a hash is needed for another lockfile.
    pub(super) fn weigh_together(&mut self, today: &mut Sweep<'_>, drafts: &mut [Draft]) {
        let mut later = std::mem::take(&mut self.drafts);
        let mut of_areas: BTreeMap<Option<Area>, Vec<&mut Draft>> = BTreeMap::new();
        for draft in drafts.iter_mut().chain(&mut later).filter(|draft| rivals::is_settled(&draft.site)) {
            of_areas.entry(area_of(today, draft.call)).or_default().push(draft);
        }
        aside(today, |today| {
            for (area, mut drafts) in of_areas {
                self.area = area;
                self.weigh_all(today, &mut drafts);
            }
        });
        self.drafts = later;
    }

    fn weigh_all(&mut self, today: &mut Sweep<'_>, drafts: &mut [&mut Draft]) {
        self.own().begin(Pass::default());
        let open = self.open(today);
        let flips = self.flags(today);
        let (keys, others) = apart(today, &flips);
        // One flag alone is weighed without this.
        if flips.len() > 1 {
            self.weigh_state(today, drafts, &flips, &open, Ground::Lockfile);
        }
        // What is selected by a name that may be any says nothing any more (fixture `flags-together-beside-key`).
        if !keys.is_empty() && others.len() > 1 {
            let open = self.rivals(today, &opened(&others), None);
            self.weigh_state(today, drafts, &others, &open, Ground::Lockfile);
        }
        if others.len() > 1 {
            self.weigh_selected(today, drafts, &others);
        }
        self.weigh_settings(today, drafts);
    }

    /// The same for hashes that only another name selects, under that name: with any name, one out of many is nobody's (fixture
    /// `flags-together-beside-selected-hash`).
    fn weigh_selected(&mut self, today: &mut Sweep<'_>, drafts: &mut [&mut Draft], others: &[Flip]) {
        let mut of_names: BTreeMap<Vec<Flip>, Vec<&mut Draft>> = BTreeMap::new();
        for draft in drafts.iter_mut().filter(|draft| rivals::is_settled(&draft.site)) {
            let names = names(today, draft);
            if !names.is_empty() {
                of_names.entry(names).or_default().push(draft);
            }
        }
        for (names, mut drafts) in of_names {
            if !self.is_one_left() {
                return;
            }
            let open = self.rivals(today, &[names, opened(others)].concat(), None);
            self.weigh_state(today, &mut drafts, others, &open, Ground::Lockfile);
        }
    }

    /// The same with everything open that somebody chose: of some conditions nothing tells what would turn them.
    fn weigh_settings(&mut self, today: &mut Sweep<'_>, drafts: &mut [&mut Draft]) {
        if !self.begin_with_settings(today) {
            return;
        }
        let open = self.open(today);
        let flips = self.flags(today);
        let sources = Sources::of(drafts);
        self.weigh_state(today, drafts, &flips, &open, Ground::Choice(&sources));
    }

    /// Settles what the sites say that there are where all of these flags are open.
    fn weigh_state(
        &mut self,
        today: &mut Sweep<'_>,
        drafts: &mut [&mut Draft],
        flips: &[Flip],
        open: &[Draft],
        ground: Ground<'_>,
    ) {
        let open = ByLiteral::of(open, &mut self.needs);
        for draft in drafts.iter_mut().filter(|draft| rivals::is_settled(&draft.site)) {
            if open.rival_of(draft, ground).is_none() {
                continue;
            }
            // What is no flag for this hash stays as it is.
            let is_flag = |flip: &Flip| today.seen.tokens.of(today.ev, flip.leaf, draft) == Token::Flag;
            let own: Vec<Flip> = flips.iter().filter(|flip| is_flag(flip)).cloned().collect();
            self.weigh_one(today, draft, own, ground);
        }
    }

    /// Counts one evaluation more, if there may be one.
    fn is_one_left(&mut self) -> bool {
        let flags = self.own();
        flags.spent += 1;
        flags.spent <= MOST_EVALUATIONS
    }

    /// Whether a token is a hash: one that is held against a placeholder is no flag (fixture `hash-empty-means-fake`).
    fn is_hash(&self, today: &Sweep<'_>, leaf: &Location) -> bool {
        today.seen.is_watched(*leaf) || self.is_known(today, leaf)
    }

    /// The flags of the part that is looked at.
    fn flags(&self, today: &Sweep<'_>) -> Vec<Flip> {
        let Some(own) = self.flags.get(&self.area) else { return Vec::new() };
        let is_fixed = |leaf: &Location| own.pass.by != By::Flags && today.ev.keys.contains(leaf);
        let flips = own.flips.iter().filter(|flip| !self.is_hash(today, &flip.leaf) && !is_fixed(&flip.leaf));
        let settings = own.settings.iter().filter(|_| own.pass.by == By::Settings);
        let settings = settings.filter(|leaf| !is_fixed(leaf) && !own.leaves.contains(leaf));
        flips.cloned().chain(settings.map(|leaf| Flip { leaf: *leaf, to: Instead::Open })).collect()
    }

    /// The sites of the part that is looked at with all flags of the pass open, also those that are met only then.
    fn open(&mut self, today: &mut Sweep<'_>) -> Rc<Vec<Draft>> {
        let pass = self.own().pass;
        let mut known = self.own().opened.get(&pass).cloned().unwrap_or_default();
        for _ in 0..MOST_BEHIND {
            let flips = self.flags(today);
            if flips == known.0 {
                break;
            }
            let sites = Rc::new(self.rivals(today, &opened(&flips), None));
            known = (flips, sites);
        }
        self.own().opened.insert(pass, known.clone());
        known.1
    }

    /// The sites, or those that use one of these literals, in this state of the flags.
    fn rivals(
        &mut self,
        today: &mut Sweep<'_>,
        flips: &[Flip],
        literals: Option<&HashSet<Location>>,
    ) -> Vec<Draft> {
        let part = self.part(today);
        let stage = self.own().pass.stage;
        let (drafts, met) = rivals_in(today, &part, stage, flips, literals);
        self.offer(met.iter());
        drafts
    }

    /// Settles whether a hash is needed for another lockfile where some of these flags are turned.
    fn weigh_one(&mut self, today: &mut Sweep<'_>, draft: &mut Draft, flips: Vec<Flip>, ground: Ground<'_>) {
        let literals: HashSet<Location> = draft.literals.iter().copied().collect();
        let site = &*draft;
        let names = names(today, draft);
        // Under the name that selects it, where that is none of these.
        let state = |flips: &[Flip]| {
            let own = names.iter().filter(|name| !flips.iter().any(|flip| flip.leaf == name.leaf));
            own.cloned().chain(opened(flips)).collect::<Vec<_>>()
        };
        let contradicts = |others: &mut Self, today: &mut Sweep<'_>, flips: &[Flip]| {
            let open = others.rivals(today, &state(flips), Some(&literals));
            ByLiteral::of(&open, &mut others.needs).rival_of(site, ground).is_some()
        };
        // Where no more can be looked at, all flags together have said enough.
        if flips.is_empty() || self.is_one_left() && !contradicts(self, today, &flips) {
            return;
        }
        let flips = self.least(today, flips, MOST_NAMED, contradicts);
        let mut open = self.rivals(today, &state(&flips), Some(&literals));
        only_when(today.ev, &today.seen.keys, &mut open, &flips);
        if let Some(rival) = ByLiteral::of(&open, &mut self.needs).rival_of(draft, ground) {
            rivals::mark(today.ev, &mut draft.site, &rival.site);
        }
    }
}

/// The names that are turned where a hash is met.
fn names(today: &Sweep<'_>, draft: &Draft) -> Vec<Flip> {
    draft.turned.iter().filter(|flip| today.ev.keys.contains(&flip.leaf)).cloned().collect()
}

/// Names by which something is selected, and other flags.
fn apart(today: &Sweep<'_>, flips: &[Flip]) -> (Vec<Flip>, Vec<Flip>) {
    flips.iter().cloned().partition(|flip| today.ev.keys.contains(&flip.leaf))
}

/// The flags as they stand for any value.
fn opened(flips: &[Flip]) -> Vec<Flip> {
    flips.iter().map(|flip| Flip { leaf: flip.leaf, to: Instead::Open }).collect()
}
