//! The modelled functions of `builtins` and `lib`, by name. Everything else is unknown, and stays local.

mod attr_paths;
mod control;
mod data;
mod escapes;
mod lists;
mod order;
mod paths;
mod patterns;
mod programs;
mod searches;
mod sets;
mod strings;

pub use control::extends;
pub use lists::concat;
pub use paths::{KEPT, predicate};
pub use sets::recursive_update;

use super::eval::{Eval, Native, Reach};
use super::syntax::ast::Location;
use super::value::{Attrs, Kind, Meaning, Special, ThunkId, Value};

/// The set `builtins`.
pub struct Builtins;

impl Meaning for Builtins {
    fn is_named(&self) -> bool {
        true
    }
}

/// What a function of a table does.
type NativeRun = fn(&mut Eval, &[ThunkId], Location) -> Value;

/// A row: a function of `lib`.
const fn lib(name: &'static str, arity: usize, run: NativeRun) -> Native {
    Native::new(name, arity, run)
}

/// A row: a function of `builtins`.
const fn builtin(name: &'static str, arity: usize, run: NativeRun) -> Native {
    Native::new(name, arity, run).known(Reach::Builtins)
}

/// A row: a function of `builtins` that is known by its bare name, too.
const fn global(name: &'static str, arity: usize, run: NativeRun) -> Native {
    Native::new(name, arity, run).known(Reach::Everywhere)
}

/// The functions of `builtins`, and those of `lib` that handle plain data. A new one is one row in the file of its kind:
/// its answer is exact for the arguments that it gets, or not known.
pub const TABLE: &[&[Native]] = &[
    attr_paths::TABLE,
    searches::TABLE,
    lists::TABLE,
    sets::TABLE,
    strings::TABLE,
    data::TABLE,
    escapes::TABLE,
    control::TABLE,
    paths::TABLE,
    order::TABLE,
    patterns::TABLE,
    programs::TABLE,
];

/// What is in `builtins` beside functions.
#[must_use]
pub fn constant(name: &str) -> Option<Value> {
    match name {
        "true" => Some(Value::bool(true)),
        "false" => Some(Value::bool(false)),
        "null" => Some(Value::new(Kind::Null)),
        "builtins" => Some(Value::attrs(Attrs::special(Special::of(Builtins)))),
        "currentSystem" => Some(Value::any_system()),
        "storeDir" => Some(Value::text("/nix/store")),
        _ => None,
    }
}
