//! `lib`: what is not plain data handling, and names that mean the same in every flake.

mod conventions;
mod fileset;
mod sources;

use super::eval::Native;
use super::nixpkgs::{meant, placeholder};
use super::syntax::ast::Location;
use super::value::{Meaning, Value};

pub(crate) use conventions::by_convention;

/// The functions of this module, for the table of all.
pub(crate) const TABLE: &[&[Native]] = &[sources::TABLE, fileset::TABLE, conventions::TABLE];

/// A set that is `lib`.
pub(crate) struct Library;

impl Meaning for Library {
    fn is_firm(&self) -> bool {
        true
    }

    fn is_named(&self) -> bool {
        true
    }
}

/// `lib`.
pub(crate) fn value() -> Value {
    meant(Library)
}

/// Sets of `lib` whose members are members of `lib` too.
const FLAT: &[&str] = &[
    "strings",
    "lists",
    "attrsets",
    "trivial",
    "sources",
    "filesystem",
    "customisation",
    "options",
    "modules",
    "fixedPoints",
    "debug",
    "asserts",
    "derivations",
    "meta",
    "extendedLib",
];

/// A member of `lib`.
pub(crate) fn member(name: &str, here: Location) -> Value {
    match name {
        "extend" => super::nixpkgs::overlay::extender(value()),
        "fileset" | "path" | "versions" | "gvariant" => super::nixpkgs::lib_scope(name),
        "systems" | "platforms" => super::nixpkgs::lib_systems(),
        _ if FLAT.contains(&name) => value(),
        _ => placeholder::fake(name)
            .or_else(|| super::builtins::native(name))
            .unwrap_or_else(|| Value::outside(&format!("lib.{name}"), Some(here))),
    }
}
