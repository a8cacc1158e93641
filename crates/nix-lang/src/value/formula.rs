//! What values depend on where a condition is not known.
//!
//! Two conditions that are not known may still be one and the same, or exclude each other. A condition is therefore kept
//! as a formula over *atoms*: values whose truth nobody knows, told apart by what they are, not by how they are spelt.
//! A hash and a lockfile belong together only where both of their conditions can hold at once (fixtures
//! `condition-negated`, `condition-narrower`). A formula that says too little makes more combinations possible, which leads
//! to an undecided site; so what grows too large is left out.

use std::rc::Rc;

use super::trail::Instead;
use super::{EnvId, ThunkId};
use crate::syntax::ast::{Location, Name};

/// More atoms than these are not told apart: each doubles what has to be tried.
const MOST_ATOMS: usize = 10;
/// A formula with more parts than these is given up.
const LARGEST: usize = 64;

/// A value that is not known; equal identities are equal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// What nixpkgs calls by this name.
    Named(Name),
    /// What a thunk will be.
    Thunk(ThunkId),
    /// What an expression is in one scope.
    Code(Location, EnvId),
    /// An attribute of what is not known.
    Member(Rc<Identity>, Name),
    /// Whether it has such an attribute.
    Has(Rc<Identity>, Name),
    /// What stands at a token, in all configurations at once.
    Token(Location),
    /// The system that is built for.
    System,
}

/// Whether a value that is not known is true, or whether it is some constant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// The value.
    pub of: Rc<Identity>,
    /// The constant that it is; none where it is `true`.
    pub constant: Option<Instead>,
}

/// A condition that is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formula {
    /// An atom.
    Holds(Atom),
    /// Its opposite.
    Not(Rc<Formula>),
    /// All of them.
    All(Vec<Rc<Formula>>),
    /// One of them at least.
    Any(Vec<Rc<Formula>>),
}

/// When a value is the one that counts; `None`: always, or nobody knows when.
pub type Under = Option<Rc<Formula>>;

impl Formula {
    /// Whether a value is true.
    #[must_use]
    pub fn of(identity: Identity) -> Rc<Self> {
        Rc::new(Self::Holds(Atom { of: Rc::new(identity), constant: None }))
    }

    /// The value that a formula is about, if it is about one as a whole.
    #[must_use]
    pub fn identity(&self) -> Option<&Rc<Identity>> {
        match self {
            Self::Holds(Atom { of, constant: None }) => Some(of),
            _ => None,
        }
    }

    /// The opposite.
    #[must_use]
    pub fn not(formula: &Rc<Self>) -> Rc<Self> {
        match formula.as_ref() {
            Self::Not(inner) => Rc::clone(inner),
            _ => Rc::new(Self::Not(Rc::clone(formula))),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Holds(_) => 1,
            Self::Not(inner) => inner.size(),
            Self::All(parts) | Self::Any(parts) => 1 + parts.iter().map(|part| part.size()).sum::<usize>(),
        }
    }

    fn atoms<'a>(&'a self, into: &mut Vec<&'a Atom>) {
        match self {
            Self::Holds(atom) => {
                if !into.contains(&atom) {
                    into.push(atom);
                }
            }
            Self::Not(inner) => inner.atoms(into),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.atoms(into)),
        }
    }

    fn holds(&self, atoms: &[&Atom], answers: usize) -> bool {
        match self {
            Self::Holds(atom) => {
                atoms.iter().position(|known| *known == atom).is_some_and(|i| answers >> i & 1 == 1)
            }
            Self::Not(inner) => !inner.holds(atoms, answers),
            Self::All(parts) => parts.iter().all(|part| part.holds(atoms, answers)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(atoms, answers)),
        }
    }
}

/// Both conditions at once.
#[must_use]
pub fn both(a: &Under, b: &Under) -> Under {
    let (Some(one), Some(two)) = (a, b) else { return a.clone().or_else(|| b.clone()) };
    let mut parts: Vec<Rc<Formula>> = Vec::new();
    for side in [one, two] {
        let own = match side.as_ref() {
            Formula::All(own) => own.clone(),
            _ => vec![Rc::clone(side)],
        };
        for part in own {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    if parts.len() == 1 {
        return parts.pop();
    }
    bounded(Formula::All(parts))
}

/// Either condition, or both.
#[must_use]
pub fn either(a: &Under, b: &Under) -> Under {
    let (Some(one), Some(two)) = (a, b) else { return None };
    if one == two {
        return a.clone();
    }
    bounded(Formula::Any(vec![Rc::clone(one), Rc::clone(two)]))
}

fn bounded(formula: Formula) -> Under {
    (formula.size() <= LARGEST).then(|| Rc::new(formula))
}

/// Whether both conditions can hold at once.
#[must_use]
pub fn can_meet(a: &Under, b: &Under) -> bool {
    let (Some(one), Some(two)) = (a, b) else { return true };
    let mut atoms = Vec::new();
    one.atoms(&mut atoms);
    two.atoms(&mut atoms);
    atoms.len() > MOST_ATOMS
        || (0..1_usize << atoms.len()).any(|answers| {
            one.holds(&atoms, answers) && two.holds(&atoms, answers) && is_consistent(&atoms, answers)
        })
}

/// No value is two constants.
fn is_consistent(atoms: &[&Atom], answers: usize) -> bool {
    let held = |i: usize| answers >> i & 1 == 1;
    atoms.iter().enumerate().filter(|(i, _)| held(*i)).all(|(i, one)| {
        atoms
            .iter()
            .enumerate()
            .skip(i + 1)
            .filter(|(other, _)| held(*other))
            .all(|(_, two)| one.of != two.of || one.constant.is_none() || two.constant.is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Rc<Formula> {
        Formula::of(Identity::Named(Rc::from(name)))
    }

    fn equals(name: &str, text: &str) -> Rc<Formula> {
        let of = Rc::new(Identity::Named(Rc::from(name)));
        Rc::new(Formula::Holds(Atom { of, constant: Some(Instead::Text(Rc::from(text))) }))
    }

    #[test]
    fn a_condition_and_its_opposite_do_not_meet() {
        let (mac, not_mac) = (Some(named("mac")), Some(Formula::not(&named("mac"))));
        assert!(!can_meet(&mac, &not_mac));
        assert!(can_meet(&mac, &Some(Formula::not(&named("other")))));
        assert_eq!(Formula::not(&Formula::not(&named("mac"))), named("mac"));
    }

    #[test]
    fn a_narrower_condition_leaves_room_for_the_wider_one() {
        let both_flags = both(&Some(named("mac")), &Some(named("new")));
        let not_both = both_flags.as_ref().map(Formula::not);
        assert!(can_meet(&Some(named("mac")), &not_both));
        assert!(!can_meet(&Some(Formula::not(&named("mac"))), &both_flags));
    }

    #[test]
    fn a_value_is_one_constant_at_most() {
        assert!(!can_meet(&Some(equals("system", "a")), &Some(equals("system", "b"))));
        let neither =
            both(&Some(Formula::not(&equals("system", "a"))), &Some(Formula::not(&equals("system", "b"))));
        assert!(can_meet(&neither, &None));
        assert!(can_meet(&neither, &neither));
    }

    #[test]
    fn what_is_always_so_is_not_narrowed_by_either() {
        assert_eq!(either(&None, &Some(named("mac"))), None);
        let any = either(&Some(named("mac")), &Some(named("new")));
        assert!(can_meet(&any, &Some(Formula::not(&named("mac")))));
        let neither = both(&Some(Formula::not(&named("mac"))), &Some(Formula::not(&named("new"))));
        assert!(!can_meet(&any, &neither));
    }

    #[test]
    fn what_is_too_large_excludes_nothing() {
        let many = (0..40).map(|i| Some(named(&i.to_string()))).fold(None, |all, one| both(&all, &one));
        assert!(many.is_some());
        assert!(can_meet(&many, &Some(Formula::not(&named("0")))), "more atoms than are told apart");
        let more = (0..80).map(|i| Some(named(&i.to_string()))).fold(None, |all, one| both(&all, &one));
        assert!(can_meet(&more, &None));
    }
}
