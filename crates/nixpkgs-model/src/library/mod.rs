//! `lib`, as far as it is more than functions of plain data.

mod fileset;
mod sources;

use nix_lang::eval::{Eval, Native};
use nix_lang::syntax::ast::Location;
use nix_lang::value::Value;
pub(crate) use sources::nix_filter;

use crate::packages::{self, lib, placeholder};

/// The functions of this room.
pub(crate) const TABLE: &[&[Native]] = &[sources::TABLE, fileset::TABLE];

/// What a set inside `lib` is.
#[derive(Clone, Copy)]
enum Inner {
    /// Its members are members of `lib`, too.
    Same,
    /// It has functions of its own: `lib.fileset.union`.
    Own,
    Systems,
}

use Inner::{Own, Same, Systems};

/// The sets inside `lib`.
const SETS: &[(&str, Inner)] = &[
    ("strings", Same),
    ("lists", Same),
    ("attrsets", Same),
    ("trivial", Same),
    ("sources", Same),
    ("filesystem", Same),
    ("customisation", Same),
    ("options", Same),
    ("modules", Same),
    ("fixedPoints", Same),
    ("debug", Same),
    ("asserts", Same),
    ("derivations", Same),
    ("meta", Same),
    ("extendedLib", Same),
    ("fileset", Own),
    ("path", Own),
    ("versions", Own),
    ("gvariant", Own),
    ("systems", Systems),
    ("platforms", Systems),
];

/// A member of `lib`.
pub fn member(ev: &Eval, name: &str, here: Location) -> Value {
    if name == "extend" {
        return packages::overlay::extender(lib());
    }
    match SETS.iter().find(|(known, _)| *known == name).map(|(_, inner)| *inner) {
        Some(Same) => lib(),
        Some(Own) => packages::lib_scope(name),
        Some(Systems) => packages::lib_systems(),
        None => placeholder::fake(name)
            .or_else(|| ev.native(name))
            .unwrap_or_else(|| Value::outside(&format!("lib.{name}"), Some(here))),
    }
}
