//! The chain of places that a value travelled.

use std::rc::Rc;

use super::syntax::ast::{Location, Name};

/// How a value came one step nearer to where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Move {
    Literal,
    Variable(Name),
    Attribute(Name),
    Default(Name),
    Import(Rc<str>),
    Data(Rc<str>),
    /// One side of a condition: what it depends on, and which side.
    Branch(Rc<str>, Rc<str>),
    Note(Rc<str>),
}

/// A step of the chain, the latest one first.
#[derive(Debug)]
pub(crate) struct Hop {
    pub place: Location,
    pub step: Move,
    pub before: Trail,
    pub length: u16,
}

/// The chain of places that a value travelled.
pub(crate) type Trail = Option<Rc<Hop>>;
