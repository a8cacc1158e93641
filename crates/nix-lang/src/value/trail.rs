//! The chain of places that a value travelled, and what would make a condition turn out the other way.

use std::rc::Rc;

use super::formula::{Formula, Under};
use crate::syntax::ast::{Location, Name};

/// How a value came one step nearer to where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// It is written there.
    Literal,
    /// Through a variable.
    Variable(Name),
    /// Through an attribute.
    Attribute(Name),
    /// As the default of a formal.
    Default(Name),
    /// Out of an imported file.
    Import(Rc<str>),
    /// Out of a data file, by this function.
    Data(Rc<str>),
    /// One side of a condition that is not known.
    Branch,
    /// Whether a file or a folder is there.
    FileTest,
    /// In words.
    Note(Rc<str>),
    /// Nothing that people need to be told.
    Silent,
}

/// A step of the chain, the latest one first.
#[derive(Debug, Clone)]
pub struct Hop {
    /// Where.
    pub place: Location,
    /// How.
    pub step: Move,
    /// What came before.
    pub before: Trail,
    /// How many there are.
    pub length: u16,
    /// Where the chain begins: the token that the value is.
    pub origin: Location,
    /// Of a condition: what would turn it.
    pub flip: Option<Rc<Flip>>,
    /// Of a value that is not known: what it is.
    pub stands_for: Option<Rc<Formula>>,
    /// When the value is the one that counts.
    pub under: Under,
}

/// The chain of places that a value travelled.
pub type Trail = Option<Rc<Hop>>;

/// Another text at one token: a configuration of the repository that is not today's, but one edit away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flip {
    /// The token: a literal of a Nix file, or a value of a data file.
    pub leaf: Location,
    /// What stands there instead.
    pub to: Instead,
}

/// What stands at a token instead of what is written there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instead {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A string.
    Text(Name),
    /// `null`
    Null,
    /// Any value that is not the one of today.
    Other,
    /// Any value, also the one of today: every side of what depends on it counts, each under its own condition.
    Open,
    /// The list has this item besides, or the set this attribute.
    With(Name),
    /// The list lacks this item, or the set this attribute.
    Without(Name),
}

impl Instead {
    /// The item or attribute that is there besides, or is not; none where another value stands at the token itself.
    #[must_use]
    pub fn member(&self) -> Option<&Name> {
        match self {
            Self::With(name) | Self::Without(name) => Some(name),
            _ => None,
        }
    }
}
