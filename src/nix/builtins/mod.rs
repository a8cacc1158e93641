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

use std::collections::HashMap;
use std::sync::LazyLock;

use super::eval::{self, Eval, Native};
use super::nixpkgs::{fetchers, meant, members_system, scripts};
use super::syntax::ast::Location;
use super::value::{Kind, Meaning, ThunkId, Value};
pub(crate) use paths::{KEPT, predicate};

/// The set `builtins`.
pub(crate) struct Builtins;

impl Meaning for Builtins {
    fn is_named(&self) -> bool {
        true
    }
}

/// A row of a table.
const fn row(name: &'static str, arity: usize, run: fn(&mut Eval, &[ThunkId], Location) -> Value) -> Native {
    Native { name, arity, run }
}

static ALL: LazyLock<HashMap<&'static str, &'static Native>> = LazyLock::new(|| {
    let tables = [
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
        super::modules::TABLE,
    ];
    let library = super::library::TABLE.iter().copied();
    tables.into_iter().chain(library).flatten().map(|native| (native.name, native)).collect()
});

/// The function of that name, as a value.
pub(crate) fn native(name: &str) -> Option<Value> {
    let native = ALL.get(name)?;
    Some(eval::native(native))
}

/// Calls a function of the model by name.
pub(crate) fn call(ev: &mut Eval, name: &str, args: &[ThunkId], here: Location) -> Value {
    match ALL.get(name) {
        Some(native) => (native.run)(ev, args, here),
        None => Value::outside(name, Some(here)),
    }
}

/// Names that exist without `builtins.` or `lib.`.
const GLOBALS: &[&str] = &[
    "import",
    "map",
    "toString",
    "throw",
    "abort",
    "removeAttrs",
    "isNull",
    "baseNameOf",
    "dirOf",
    "fetchTarball",
    "fetchGit",
    "fetchTree",
    "fromTOML",
    "scopedImport",
    "derivation",
    "placeholder",
];

/// The value of a global name.
pub(crate) fn global(name: &str) -> Option<Value> {
    match name {
        "true" => Some(Value::bool(true)),
        "false" => Some(Value::bool(false)),
        "null" => Some(Value::new(Kind::Null)),
        "builtins" => Some(meant(Builtins)),
        _ => {
            let bare = name.strip_prefix("__");
            if !GLOBALS.contains(&name) && bare.is_none() {
                return None;
            }
            member(bare.unwrap_or(name))
        }
    }
}

/// An attribute of `builtins`.
pub(crate) fn member(name: &str) -> Option<Value> {
    match name {
        "true" => return Some(Value::bool(true)),
        "false" => return Some(Value::bool(false)),
        "null" => return Some(Value::new(Kind::Null)),
        "builtins" => return Some(meant(Builtins)),
        "currentSystem" => return Some(members_system()),
        "storeDir" => return Some(Value::text("/nix/store")),
        "toFile" => return Some(scripts::function(scripts::Script::WriteText)),
        "fetchurl" => return Some(fetchers::function(super::remote::RemoteKind::BuiltinFetchUrl, name)),
        "getFlake" => return Some(fetchers::function(super::remote::RemoteKind::FetchTree, name)),
        _ => {}
    }
    if let Some(kind) = fetchers::kind(name) {
        return Some(fetchers::function(kind, name));
    }
    native(name).or_else(|| Some(Value::outside(&format!("builtins.{name}"), None)))
}
