//! Functions that are not written in Nix.

use std::any::Any;
use std::rc::Rc;

use super::{Eval, error};
use crate::syntax::ast::Location;
use crate::value::{Callable, Kind, NativeCall, ThunkId, Value};

/// A function of a table: it is run when it has all of its arguments.
pub struct Native {
    /// Its name.
    pub name: &'static str,
    /// How many arguments it waits for.
    pub arity: usize,
    /// What it does with them, called at a place.
    pub run: fn(&mut Eval, &[ThunkId], Location) -> Value,
    /// Where its name is known.
    pub reach: Reach,
    /// A result that is not known is what it says it is, as an attribute is; of other functions it is something other than the
    /// argument that it comes from.
    pub hands_on: bool,
}

/// Where the name of a function is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In `lib`, or in another set of functions outside of the language.
    Library,
    /// In `builtins` and in `lib`.
    Builtins,
    /// Also without the name of a set.
    Everywhere,
}

impl Callable for Native {}

impl Native {
    /// A function of `lib`.
    pub const fn new(
        name: &'static str,
        arity: usize,
        run: fn(&mut Eval, &[ThunkId], Location) -> Value,
    ) -> Self {
        Self { name, arity, run, reach: Reach::Library, hands_on: false }
    }

    /// The same function, known in more places.
    #[must_use]
    pub const fn known(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The same function, whose result is an attribute or tells of one.
    #[must_use]
    pub(crate) const fn handing_on(self) -> Self {
        Self { hands_on: true, ..self }
    }
}

/// What a function of one argument does, with the data that it carries.
type LambdaRun = dyn Fn(&mut Eval, ThunkId, Location) -> Value;

/// Such a function.
struct Carrying(Box<LambdaRun>);

impl Callable for Carrying {}

/// A function that is not written in Nix, as a value.
pub fn lambda(run: impl Fn(&mut Eval, ThunkId, Location) -> Value + 'static) -> Value {
    Value::new(Kind::Function(Rc::new(Carrying(Box::new(run)))))
}

/// A function of a table, as a value.
#[must_use]
pub fn native(native: &'static Native) -> Value {
    Value::new(Kind::Native(Rc::new(NativeCall { native, args: Vec::new() })))
}

impl Eval {
    /// The function of that name, as a value.
    pub fn native(&self, name: &str) -> Option<Value> {
        self.world.function(name).map(native)
    }

    /// Calls what [`lambda`] made.
    pub(super) fn run(&mut self, function: &dyn Callable, argument: ThunkId, here: Location) -> Value {
        let function: &dyn Any = function;
        match function.downcast_ref::<Carrying>() {
            Some(Carrying(run)) => run(self, argument, here),
            None => error("a function of something other than this evaluator", here),
        }
    }

    /// Gives a function of a table one more argument.
    pub(super) fn apply_native(&mut self, call: &NativeCall, argument: ThunkId, here: Location) -> Value {
        // A call with too few arguments is a value, which others may call again: `let f = map g; in [ (f a) (f b) ]`.
        let mut args = call.args.clone();
        args.push(argument);
        let native: &dyn Any = call.native;
        match native.downcast_ref::<Native>() {
            Some(native) if args.len() >= native.arity => {
                let result = (native.run)(self, &args, here);
                if native.hands_on { result } else { result.nameless() }
            }
            Some(_) => Value::new(Kind::Native(Rc::new(NativeCall { native: call.native, args }))),
            None => error("a function of something other than this evaluator", here),
        }
    }
}
