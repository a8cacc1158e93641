//! Flags that decide only together what a hash is for.
//!
//! One flag after the other does not show what two of them do: a service behind `a && b`, or a source that moves where both
//! are turned (fixtures `flags-together-hide`, `flags-together-move`). To try all combinations would double the work with
//! each flag. So all flags are *opened* at once: what stands at their tokens is then not known, both sides of everything
//! that depends on them are looked at, and each side keeps its condition as a formula over these tokens. One evaluation
//! tells what every combination can lead to. It may tell too much where a condition is lost on the way, never too little;
//! so what it shows beside today's answers is undecided, and what it finds is looked at again with the flags turned that it
//! takes.

use std::collections::{BTreeMap, HashSet};

use super::configurations::{Others, Stage, alternatives, area_of, aside, decisions, only_when, rivals_in};
use super::decide::{self, Draft};
use super::flags::{Token, Tokens};
use super::rivals;
use super::sweep::Sweep;
use crate::nix::areas::Area;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Flip, Instead};

/// So many hidden hashes are looked for, each with the flags that it takes.
const MOST_HIDDEN: usize = 16;
/// So many evaluations are spent on one part of the tree.
const MOST_EVALUATIONS: usize = 192;
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
    /// How many of them were opened last, and the sites that there were then.
    opened: usize,
    sites: Vec<Draft>,
    /// How many evaluations were spent on single questions.
    spent: usize,
}

impl Others {
    /// Notes flags of the part that is looked at.
    pub(super) fn offer<'a>(&mut self, flips: impl Iterator<Item = &'a Flip>) {
        let known = self.own();
        for flip in flips.filter(|flip| can_be_opened(&flip.to)) {
            if known.leaves.len() < MOST_FLAGS && known.leaves.insert(flip.leaf) {
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
                if !self.part(today).index.is_empty() {
                    self.discover(today);
                }
            }
        });
    }

    fn discover(&mut self, today: &mut Sweep<'_>) {
        let mut given_up = HashSet::new();
        self.open(today);
        for _ in 0..MOST_HIDDEN {
            let reached: Vec<Location> =
                self.own().sites.iter().flat_map(|draft| draft.literals.clone()).collect();
            let is_hidden =
                |literal: &Location| !self.is_known(today, literal) && !given_up.contains(literal);
            let Some(literal) = reached.into_iter().filter(is_hidden).min() else { return };
            given_up.insert(literal);
            let is_enough = |others: &mut Self, today: &mut Sweep<'_>, flips: &[Flip]| {
                let (_, drafts) = others.evaluate(today, &opened(flips), Stage::Entered);
                drafts.iter().any(|draft| draft.literals.contains(&literal))
            };
            let flips = self.flags(today);
            let needed = self.least(today, flips, is_enough);
            for turned in turned(today, &needed) {
                if !self.is_one_left() {
                    break;
                }
                let (_, found) = self.evaluate(today, &turned, Stage::Entered);
                let found = decide::combine(today.ev, found);
                self.accounted.extend(found.iter().flat_map(|draft| &draft.literals));
                let is_found = found.iter().any(|draft| draft.literals.contains(&literal));
                self.drafts.extend(found);
                if is_found {
                    break;
                }
            }
            // Behind these flags there may be others.
            self.open(today);
        }
    }

    fn is_known(&self, today: &Sweep<'_>, literal: &Location) -> bool {
        today.tokens.contains(literal) || self.accounted.contains(literal)
    }

    /// The flags that it takes for something: each is left out that can be. All of them where there are too many to try.
    fn least(
        &mut self,
        today: &mut Sweep<'_>,
        flips: Vec<Flip>,
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
            if kept.len() > MOST_NAMED && size < kept.len().div_ceil(2) || !self.is_one_left() {
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
        self.open(today);
        let open = std::mem::take(&mut self.own().sites);
        let flips = self.flags(today);
        let mut tokens = Tokens::default();
        for draft in drafts {
            if rivals::rival_of(draft, &open).is_none() {
                continue;
            }
            // What is no flag for this hash stays as it is.
            let mut is_flag = |flip: &Flip| tokens.of(today.ev, flip.leaf, draft) == Token::Flag;
            let own: Vec<Flip> = flips.iter().filter(|flip| is_flag(flip)).cloned().collect();
            self.weigh_one(today, draft, own);
        }
    }

    /// Counts one evaluation more, if there may be one.
    fn is_one_left(&mut self) -> bool {
        let flags = self.own();
        flags.spent += 1;
        flags.spent <= MOST_EVALUATIONS
    }

    /// The flags of the part that is looked at. A hash that is held against a placeholder is none (fixture
    /// `hash-empty-means-fake`).
    fn flags(&self, today: &Sweep<'_>) -> Vec<Flip> {
        let is_hash = |leaf: &Location| today.seen.is_watched(*leaf) || self.is_known(today, leaf);
        let flips = self.flags.get(&self.area).into_iter().flat_map(|flags| &flags.flips);
        flips.filter(|flip| !is_hash(&flip.leaf)).cloned().collect()
    }

    /// Evaluates the part that is looked at with all of its flags open, also those that are met only then.
    fn open(&mut self, today: &mut Sweep<'_>) {
        for _ in 0..MOST_BEHIND {
            let flips = self.flags(today);
            // One flag alone is weighed without this.
            if flips.len() < 2 || flips.len() == self.own().opened {
                break;
            }
            let sites = self.rivals(today, &flips, None);
            let own = self.own();
            (own.opened, own.sites) = (flips.len(), sites);
        }
    }

    /// The sites, or those that use one of these literals, where these flags are open.
    fn rivals(
        &mut self,
        today: &mut Sweep<'_>,
        flips: &[Flip],
        literals: Option<&HashSet<Location>>,
    ) -> Vec<Draft> {
        let part = self.part(today);
        let (drafts, met) = rivals_in(today, &part, &opened(flips), literals);
        self.offer(met.iter());
        drafts
    }

    /// Settles whether a hash is needed for another lockfile where some of these flags are turned.
    fn weigh_one(&mut self, today: &mut Sweep<'_>, draft: &mut Draft, flips: Vec<Flip>) {
        let literals: HashSet<Location> = draft.literals.iter().copied().collect();
        let site = &*draft;
        let contradicts = |others: &mut Self, today: &mut Sweep<'_>, flips: &[Flip]| {
            rivals::rival_of(site, &others.rivals(today, flips, Some(&literals))).is_some()
        };
        // Where no more can be looked at, all flags together have said enough.
        if flips.is_empty() || self.is_one_left() && !contradicts(self, today, &flips) {
            return;
        }
        let flips = self.least(today, flips, contradicts);
        let mut open = self.rivals(today, &flips, Some(&literals));
        only_when(today.ev, &mut open, &flips);
        if let Some(rival) = rivals::rival_of(draft, &open) {
            rivals::mark(today.ev, &mut draft.site, &rival.site);
        }
    }
}

/// Whether a token can stand for any value. What is in a list or in a set, or is not, is looked at one by one.
fn can_be_opened(to: &Instead) -> bool {
    !matches!(to, Instead::With(_) | Instead::Without(_))
}

fn opened(flips: &[Flip]) -> Vec<Flip> {
    flips.iter().map(|flip| Flip { leaf: flip.leaf, to: Instead::Open }).collect()
}

/// The configurations in which all of these flags are turned.
fn turned(today: &Sweep<'_>, flips: &[Flip]) -> Vec<Vec<Flip>> {
    let mut all: Vec<Vec<Flip>> = vec![Vec::new()];
    for flip in flips {
        let own = alternatives(today.ev, flip);
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
