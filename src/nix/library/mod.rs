//! `lib`: what is not plain data handling, and names that mean the same in every flake.

mod conventions;
mod fileset;
mod sources;

use super::builtins::Native;
use super::syntax::ast::Location;
use super::value::{Attrs, Piece, Special, Text, Value};

pub(crate) use conventions::by_convention;

/// The functions of this module, for the table of all.
pub(crate) const TABLE: &[&[Native]] = &[sources::TABLE, fileset::TABLE, conventions::TABLE];

/// `lib.fakeHash`.
const FAKE_SRI: &str = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// `lib.fakeSha256`.
const FAKE_HEX: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The names of all placeholders.
pub(crate) const FAKES: [&str; 4] = ["fakeHash", "fakeSha256", "fakeSha512", "fakeSha1"];

/// `lib`.
pub(crate) fn value() -> Value {
    Value::attrs(Attrs::special(Special::Lib))
}

/// `lib.fakeHash`.
pub(crate) fn fake() -> Value {
    fake_text(FAKE_SRI)
}

fn fake_text(text: &str) -> Value {
    Value::text(text)
}

/// Whether a string is one of the placeholders of `lib`, and no token yet.
pub(crate) fn is_fake(text: &Text) -> bool {
    match text.pieces.as_slice() {
        [Piece::Text(text)] => {
            text.as_ref() == FAKE_SRI || (text.len() >= 64 && text.bytes().all(|b| b == b'0'))
        }
        _ => false,
    }
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
        "fakeHash" => fake(),
        "extend" => super::nixpkgs::overlay::extender(value()),
        "fakeSha256" => fake_text(FAKE_HEX),
        "fakeSha512" => fake_text(&FAKE_HEX.repeat(2)),
        "fakeSha1" => Value::text("0000000000000000000000000000000000000000"),
        "fileset" | "path" | "versions" | "gvariant" => super::nixpkgs::lib_scope(name),
        "systems" | "platforms" => super::nixpkgs::lib_systems(),
        _ if FLAT.contains(&name) => value(),
        _ => match super::builtins::native(name) {
            Some(value) => value,
            None => Value::outside(&format!("lib.{name}"), Some(here)),
        },
    }
}
