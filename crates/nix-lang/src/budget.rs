//! What one survey may cost: one allowance for everything that an input can multiply.
//!
//! A repository is somebody else's program. Steps, thunks, texts, lists, sets, alternatives and files read are all paid
//! from the same account, so that no way of multiplying is forgotten and none is bounded twice. Where the account does
//! not suffice, the value is not known, and the doubt says which expression asked for how much.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::syntax::ast::Location;
use super::value::{Doubt, Value};

/// What every survey may cost, in units.
///
/// A unit stands for 64 bytes that stay in memory, and for work of well below a microsecond: this and what 100 KB of
/// text add ([`PER_BYTE`]) stay below 2 s and 200 MB for each of the inputs of `tests/it/bombs.rs`.
const BASE: u64 = 1_200_000;
/// What each byte of the repository that is read adds: a repository of five times the size may cost five times as much.
const PER_BYTE: u64 = 8;
/// An entry point may spend one part in so many of what is left, so that no bomb takes everything from the others.
const SHARE: u64 = 4;
/// An entry that begins with less than this is one of many that find nothing left: the first of them is told.
const LEAST: u64 = 1_000;
/// Bytes in memory that one unit pays for.
const UNIT_BYTES: u64 = 64;

/// Something that costs more the larger the input makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// One expression, or one call.
    Step,
    /// So many items of a list, attributes of a set or names of a scope.
    Items(usize),
    /// So many bytes of text made or searched.
    Bytes(usize),
    /// So many alternatives that have to be followed one by one.
    Alternatives(usize),
    /// A file of so many bytes.
    File(u64),
    /// So many configurations of the repository.
    Configurations(usize),
    /// What the evaluation of configurations other than today's took together.
    OtherConfigurations,
}

impl Cost {
    fn units(self) -> u64 {
        let wide = |count: usize| count as u64;
        match self {
            Self::Step => 1,
            Self::Items(count) => wide(count).saturating_add(1),
            Self::Bytes(count) => wide(count) / UNIT_BYTES + 1,
            // Each of them is a search for a lockfile, with phases to run and files to look for.
            Self::Alternatives(count) => wide(count).saturating_mul(40),
            Self::File(bytes) => bytes / UNIT_BYTES + 100,
            // Each of them pays for its own steps.
            Self::Configurations(_) | Self::OtherConfigurations => 0,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step => f.write_str("the evaluation takes too many steps"),
            Self::Items(count) => write!(f, "{count} items are more than this evaluation may make"),
            Self::Bytes(count) => write!(f, "a text of {count} bytes is more than this evaluation may make"),
            // The count is that of the last step, which says nothing of what was multiplied before.
            Self::Alternatives(_) => f.write_str("too many alternatives multiply here to follow them all"),
            Self::Configurations(count) => {
                write!(f, "more than {count} configurations, too many to look at")
            }
            Self::OtherConfigurations => f.write_str(
                "today's configuration was evaluated, but to evaluate all others takes too many steps",
            ),
            Self::File(bytes) => write!(f, "a file of {bytes} bytes is more than this evaluation may read"),
        }
    }
}

/// A cost that the budget does not cover; nothing of it was paid, and nothing may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverBudget {
    /// What was asked for.
    pub cost: Cost,
    /// The expression that asked.
    pub at: Option<Location>,
}

impl OverBudget {
    /// The value of an expression that costs too much: not known.
    #[must_use]
    pub fn value(self) -> Value {
        Value::unknown(Doubt::Limit, self.cost.to_string(), self.at)
    }
}

/// The account of one survey. Shared access suffices to pay from it.
#[derive(Debug)]
pub struct Budget {
    /// What later entries may cost.
    left: Cell<u64>,
    /// What the running entry may still cost.
    share: Cell<u64>,
    /// The first expression of each entry that was refused something.
    overruns: RefCell<Vec<OverBudget>>,
    /// Whether the running entry was refused something before.
    noted: Cell<bool>,
    /// Whether it was said that an account aside was refused something.
    told: Cell<bool>,
    /// The expression that paid last: it is the place of costs that have none of their own.
    last: Cell<Option<Location>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: Cell::new(BASE),
            share: Cell::new(0),
            overruns: RefCell::default(),
            noted: Cell::new(false),
            told: Cell::new(false),
            last: Cell::new(None),
        }
    }
}

impl Budget {
    /// A text of so many bytes was read for the first time, which allows for more: at once half of it.
    pub fn grow(&self, bytes: usize) {
        let more = PER_BYTE.saturating_mul(bytes as u64) / 2;
        self.left.set(self.left.get().saturating_add(more));
        self.share.set(self.share.get().saturating_add(more));
    }

    /// Begins another entry: what the one before left over goes back first.
    pub fn begin(&self) {
        let all = self.rest();
        self.share.set(all / SHARE);
        self.left.set(all - all / SHARE);
        self.noted.set(all / SHARE < LEAST && self.was_exceeded());
    }

    /// Pays for what is about to be done at some place.
    ///
    /// # Errors
    /// When it costs more than the entry may still spend. What is asked for at once is refused without a payment, so
    /// that one expression that asks for far too much takes nothing from the others.
    pub fn charge(&self, cost: Cost, at: Option<Location>) -> Result<(), OverBudget> {
        let at = at.or_else(|| self.last.get());
        self.last.set(at);
        if let Some(rest) = self.share.get().checked_sub(cost.units()) {
            self.share.set(rest);
            return Ok(());
        }
        let over = OverBudget { cost, at };
        self.note(over);
        Err(over)
    }

    /// Pays for what was done already and is small; the next charge finds an empty account.
    pub fn spend(&self, cost: Cost) {
        self.share.set(self.share.get().saturating_sub(cost.units()));
    }

    /// What the running entry and all later ones may still cost, in units.
    pub fn rest(&self) -> u64 {
        self.left.get().saturating_add(self.share.get())
    }

    /// Whether the running entry can pay for nothing more.
    pub fn is_spent(&self) -> bool {
        self.share.get() == 0
    }

    fn note(&self, over: OverBudget) {
        if !self.noted.replace(true) {
            self.overruns.borrow_mut().push(over);
        }
    }

    /// Notes something that is bounded by its number alone.
    pub fn refuse(&self, cost: Cost, at: Option<Location>) {
        self.note(OverBudget { cost, at });
    }

    /// Half of what is left, as an account of its own: what today's configuration does not use is looked at last, and
    /// must not take what today's needs.
    #[must_use]
    pub fn set_aside(&self) -> Self {
        let all = self.rest();
        self.share.set(0);
        self.left.set(all - all / 2);
        Self { left: Cell::new(all / 2), ..Self::default() }
    }

    /// Takes back what such an account left over, and whether it was refused something.
    pub fn give_back(&self, other: Self) {
        let all = self.rest().saturating_add(other.rest());
        self.left.set(all);
        // Of what is looked at aside, one word is enough: today's sites do not depend on it.
        let first = other.overruns.into_inner().into_iter().next();
        if let Some(first) = first.filter(|_| !self.told.replace(true)) {
            let cost = match first.cost {
                cost @ Cost::Configurations(_) => cost,
                _ => Cost::OtherConfigurations,
            };
            self.overruns.borrow_mut().push(OverBudget { cost, ..first });
        }
    }

    /// What was refused, the first of each entry.
    pub fn overruns(&self) -> Vec<OverBudget> {
        self.overruns.borrow().clone()
    }

    /// Whether anything was refused, so that something may have gone unseen.
    pub fn was_exceeded(&self) -> bool {
        !self.overruns.borrow().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_spends_its_share_and_leaves_the_rest_to_the_next() {
        let budget = Budget::default();
        assert!(budget.charge(Cost::Step, None).is_err(), "nothing before an entry begins");
        budget.begin();
        assert_eq!(budget.charge(Cost::Items(299_999), None), Ok(()));
        let over = OverBudget { cost: Cost::Step, at: None };
        assert_eq!(budget.charge(Cost::Step, None), Err(over));
        budget.begin();
        assert_eq!(budget.charge(Cost::Items(224_999), None), Ok(()));
        assert_eq!(budget.charge(Cost::Items(0), None), Err(OverBudget { cost: Cost::Items(0), at: None }));
        assert_eq!(budget.overruns().len(), 3);
    }

    #[test]
    fn entries_that_find_nothing_left_are_told_once() {
        let budget = Budget::default();
        for _ in 0..200 {
            budget.begin();
            while budget.charge(Cost::Items(999), None).is_ok() {}
            let _ = budget.charge(Cost::Items(usize::MAX), None);
        }
        assert!((10..40).contains(&budget.overruns().len()), "{}", budget.overruns().len());
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let budget = Budget::default();
        budget.begin();
        for _ in 0..1_000 {
            assert!(budget.charge(Cost::Bytes(1 << 40), None).is_err());
        }
        assert_eq!(budget.charge(Cost::Items(299_999), None), Ok(()));
        assert_eq!(budget.overruns(), vec![OverBudget { cost: Cost::Bytes(1 << 40), at: None }]);
    }

    #[test]
    fn more_text_allows_for_more() {
        let budget = Budget::default();
        budget.grow(100_000);
        budget.begin();
        assert_eq!(budget.charge(Cost::Items(499_999), None), Ok(()));
        assert!(budget.charge(Cost::Step, None).is_err());
        budget.grow(1_000);
        assert_eq!(budget.charge(Cost::Items(3_999), None), Ok(()), "at once");
    }
}
