//! Which decisions a value rests on.
//!
//! A flag that chooses a source, but not the hash beside it, asks for another hash in the other configuration. To find such
//! flags without evaluating the repository once for each of all flags, every value knows the decisions that were made on
//! the way to it: while a thunk is evaluated they are collected, and the code that forces it takes them over. Nearly every value
//! rests on none; sets of decisions are kept once and named by a number.

use std::collections::HashMap;
use std::rc::Rc;

use super::Eval;
use crate::syntax::ast::Location;
use crate::value::{Flip, ThunkId, Value, truth};

/// Of more decisions than these on the way to one value the later ones are not noted.
const MOST: usize = 64;

/// A known condition that took one side.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decision {
    /// What would turn it.
    pub flip: Flip,
    /// The expression that it chose, if it stands in the text.
    pub chosen: Option<Location>,
}

/// A set of decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Decided(u32);

/// All decisions, and the sets of them that values rest on.
pub(super) struct Decisions {
    all: Vec<Decision>,
    numbers: HashMap<Decision, u32>,
    sets: Vec<Rc<[u32]>>,
    names: HashMap<Rc<[u32]>, Decided>,
    unions: HashMap<(Decided, Decided), Decided>,
    /// Those of the thunks, by their numbers.
    of_thunks: Vec<Decided>,
    /// Those of what is being evaluated.
    own: Decided,
}

impl Default for Decisions {
    fn default() -> Self {
        let none: Rc<[u32]> = Rc::from([]);
        Self {
            all: Vec::new(),
            numbers: HashMap::new(),
            sets: vec![Rc::clone(&none)],
            names: HashMap::from([(none, Decided::default())]),
            unions: HashMap::new(),
            of_thunks: Vec::new(),
            own: Decided::default(),
        }
    }
}

impl Decisions {
    fn union(&mut self, a: Decided, b: Decided) -> Decided {
        let none = Decided::default();
        if b == none || a == b {
            return a;
        }
        if a == none {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(known) = self.unions.get(&key) {
            return *known;
        }
        let mut both: Vec<u32> =
            self.sets[a.0 as usize].iter().chain(self.sets[b.0 as usize].iter()).copied().collect();
        both.sort_unstable();
        both.dedup();
        both.truncate(MOST);
        let union = self.named(both);
        self.unions.insert(key, union);
        union
    }

    fn named(&mut self, set: Vec<u32>) -> Decided {
        let set: Rc<[u32]> = Rc::from(set);
        if let Some(known) = self.names.get(&set) {
            return *known;
        }
        let name = Decided(crate::syntax::ast::to_u32(self.sets.len()));
        self.sets.push(Rc::clone(&set));
        self.names.insert(set, name);
        name
    }

    fn note(&mut self, decision: Decision) {
        let next = crate::syntax::ast::to_u32(self.all.len());
        let number = *self.numbers.entry(decision.clone()).or_insert(next);
        if number == next {
            self.all.push(decision);
        }
        let one = self.named(vec![number]);
        self.own = self.union(self.own, one);
    }

    /// A new thunk, whose value rests on what was decided so far where it is there already.
    pub fn add(&mut self, is_done: bool) {
        self.of_thunks.push(if is_done { self.own } else { Decided::default() });
    }

    /// A thunk got its value.
    pub fn fill(&mut self, thunk: ThunkId) {
        self.of_thunks[thunk.0 as usize] = self.own;
    }

    /// What is being evaluated needs the value of a thunk that was evaluated before.
    pub fn take(&mut self, thunk: ThunkId) {
        self.own = self.union(self.own, self.of_thunks[thunk.0 as usize]);
    }

    /// A thunk begins to be evaluated; answers what its end has to bring back.
    pub fn begin(&mut self) -> Decided {
        std::mem::take(&mut self.own)
    }

    /// A thunk was evaluated.
    pub fn end(&mut self, thunk: ThunkId, before: Decided) {
        self.of_thunks[thunk.0 as usize] = self.own;
        self.own = self.union(before, self.own);
    }
}

impl Eval {
    /// Decides by a condition; what it chooses on either side may stand in the text.
    pub fn decide(&mut self, condition: &Value, sides: [Option<Location>; 2]) -> Option<bool> {
        let answer = truth(condition)?;
        if let Some(flip) = condition.flip() {
            let [yes, no] = sides;
            let chosen = if answer { yes } else { no };
            self.decisions.note(Decision { flip: flip.as_ref().clone(), chosen });
        }
        Some(answer)
    }

    /// Decides by a condition whether a value counts that an argument is.
    pub(crate) fn decide_about(&mut self, condition: &Value, argument: ThunkId) -> Option<bool> {
        let given = condition.flip().and_then(|_| self.thunk_code(argument)).map(super::Code::location);
        self.decide(condition, [given, None])
    }

    /// Notes that a word chose.
    pub(super) fn decided_by(&mut self, flip: Flip) {
        self.decisions.note(Decision { flip, chosen: None });
    }

    /// What everything rests on that was evaluated since [`Eval::deciding`] began, or the thunk that is being evaluated.
    pub fn decided(&self) -> Decided {
        self.decisions.own
    }

    /// Runs something, and answers what its result rests on.
    pub fn deciding<T>(&mut self, run: impl FnOnce(&mut Self) -> T) -> (T, Decided) {
        let before = self.decisions.begin();
        let result = run(self);
        let own = self.decisions.own;
        self.decisions.own = self.decisions.union(before, own);
        (result, own)
    }

    /// Both sets of decisions.
    pub fn joined(&mut self, a: Decided, b: Decided) -> Decided {
        self.decisions.union(a, b)
    }

    /// The decisions of a set.
    pub fn decisions_of(&self, decided: Decided) -> Vec<Decision> {
        let numbers = self.decisions.sets[decided.0 as usize].iter();
        numbers.map(|number| self.decisions.all[*number as usize].clone()).collect()
    }
}
