//! What somebody may want to know of an evaluation while it runs. The language tells it and asks for no answer.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use super::Eval;
use crate::syntax::ast::{Ast, FileId, Location};
use crate::syntax::json::Spanned;
use crate::value::ThunkId;

/// Somebody who looks on; of what is of no interest, nothing need be done.
pub trait Observer {
    /// A Nix file was parsed; each file once.
    fn parsed(&self, _ast: &Ast) {}
    /// A file was read as JSON or TOML.
    fn read(&self, _file: FileId, _document: &Spanned) {}
    /// An expression, or a value of a data file, was evaluated.
    fn evaluated(&self, _at: Location) {}
    /// A text, number or list of the text was evaluated, or an empty set: something else may stand in its place.
    fn constant(&self, _at: Location) {}
    /// A scope or a set with this name was made; what is bound to the name may never be evaluated.
    fn bound(&self, _name: &str, _at: Location) {}
    /// A set was made of its text.
    fn made_set(&self, _at: Location) {}
    /// A function was called.
    fn entered(&self, _function: Location) {}
    /// A branch was not taken because of the files that are there.
    fn ruled_out(&self, _branch: Location) {}
    /// A value was handed to something that is not known, or is used in some other way that nothing follows.
    fn left(&self, _thunk: ThunkId) {}
}

/// Nobody.
impl Observer for () {}

/// What others keep with an evaluation, each under its own type: the language knows none of it.
#[derive(Default)]
pub struct Notes(HashMap<TypeId, Box<dyn Any>>);

impl Eval {
    /// Leaves a value to the observer: it may hold anything, and the evaluation itself does not look into it.
    pub fn leave(&self, thunk: ThunkId) {
        self.observer.left(thunk);
    }

    /// Tells that a file was read as data.
    pub(crate) fn observe_data(&self, file: FileId, document: &Spanned) {
        self.observer.read(file, document);
    }

    /// Tells that a value of a data file was evaluated.
    pub(crate) fn observe_leaf(&self, leaf: Location) {
        self.observer.evaluated(leaf);
    }

    /// Somebody's notes; empty ones at first.
    pub fn notes<T: Any + Default>(&mut self) -> &mut T {
        let own = self.notes.0.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(T::default()));
        own.downcast_mut().expect("bug: notes are kept under their own type")
    }

    /// Somebody's notes, if there are any.
    pub fn noted<T: Any>(&self) -> Option<&T> {
        self.notes.0.get(&TypeId::of::<T>())?.downcast_ref()
    }
}
