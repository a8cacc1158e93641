//! The members of package sets and of the sets inside them.

use std::rc::Rc;

use super::names::{DEFAULT_SYSTEMS, Meaning, Scope, meaning};
use super::{call_package, derivation, fetchers, nixpkgs, overlay, scripts};
use crate::nix::eval::Eval;
use crate::nix::source::{Base, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attrs, Kind, Piece, Special, Text, Value};

/// A member of a package set.
pub(crate) fn member(pkgs: &Value, name: &str, here: Location) -> Value {
    match meaning(name) {
        Some(Meaning::System) | None => Value::outside(&format!("pkgs.{name}"), Some(here)),
        Some(meaning) => value_of(meaning, name, pkgs),
    }
}

/// Whether a name means something to the model.
pub(crate) fn is_modelled(name: &str) -> bool {
    meaning(name).is_some()
}

/// A member of `pkgs` as a value.
fn value_of(meaning: Meaning, name: &str, pkgs: &Value) -> Value {
    if let Some(value) = anywhere(&meaning, name, pkgs) {
        return value;
    }
    match meaning {
        Meaning::Scope(inner) => scope(inner),
        Meaning::Library => crate::nix::library::value(),
        Meaning::System => system(),
        Meaning::EmptyDirectory => Source::new(Base::Empty).value(),
        Meaning::Extend => overlay::extender(pkgs.clone()),
        Meaning::AppendOverlays => overlay::appender(pkgs.clone()),
        _ => pkgs.clone(),
    }
}

/// Members that are the same in package sets, in the sets inside them, and in anything that passes them on.
pub(super) fn anywhere(meaning: &Meaning, name: &str, pkgs: &Value) -> Option<Value> {
    match meaning {
        Meaning::Fetcher(kind) => Some(fetchers::function(*kind, name)),
        Meaning::Builder(builder) => Some(derivation::function(*builder)),
        Meaning::Script(script) => Some(scripts::function(*script)),
        Meaning::Call => Some(call_package::call_package(pkgs.clone())),
        Meaning::NewScope => Some(call_package::new_scope(pkgs.clone())),
        Meaning::GitIgnoreSource => crate::nix::builtins::native("gitignoreSource"),
        _ => None,
    }
}

/// A set inside nixpkgs.
pub(crate) fn scope(scope: Scope) -> Value {
    Value::attrs(Attrs::special(Special::Scope(Rc::new(scope))))
}

/// A member of a set inside nixpkgs.
pub(crate) fn scope_member(ev: &mut Eval, set: &Value, own: &Scope, name: &str, here: Location) -> Value {
    let outside = || Value::outside(&format!("{}.{name}", own.name()), Some(here));
    let native = |prefix: &str| crate::nix::builtins::native(&format!("{prefix}.{name}"));
    match (own, name) {
        (Scope::Stdenv | Scope::Platform, "hostPlatform" | "buildPlatform" | "targetPlatform") => {
            scope(Scope::Platform)
        }
        (Scope::Stdenv | Scope::Platform, "system") => system(),
        (Scope::PerSystem, _) => nixpkgs(),
        // It takes its own `npmRoot`, as a call of the set does.
        (Scope::ImportNpmLock, "buildNodeModules") => scope(Scope::ImportNpmLock),
        (Scope::Systems, "doubles") => set.clone(),
        (Scope::Systems, "flakeExposed" | "all" | "unix" | "linux") => system_list(ev),
        (Scope::Systems, _) => Value::outside(&format!("lib.systems.{name}"), Some(here)),
        (Scope::Library(own), _) => {
            native(own).unwrap_or_else(|| Value::outside(&format!("lib.{own}.{name}"), Some(here)))
        }
        (Scope::GitIgnore | Scope::NixFilter, _) => native(own.name()).unwrap_or_else(outside),
        (_, "pkgs") if !own.is_python() => nixpkgs(),
        (_, "pkgs" | "packages") if own.is_python() => set.clone(),
        (Scope::Stdenv | Scope::Platform, _) if name != "mkDerivation" => outside(),
        _ => {
            let inner = meaning(name).and_then(|meaning| match meaning {
                Meaning::Scope(scope @ (Scope::ImportNpmLock | Scope::GitIgnore)) => Some(self::scope(scope)),
                meaning => anywhere(&meaning, name, &nixpkgs()),
            });
            inner.unwrap_or_else(|| Value::outside(&format!("pkgs.{}.{name}", own.name()), Some(here)))
        }
    }
}

/// A system that stands for any.
pub(crate) fn system() -> Value {
    system_named("x86_64-linux")
}

/// The name of a system, marked as one.
pub(crate) fn system_named(name: &str) -> Value {
    let pieces = vec![Piece::Text(Rc::from(name))];
    Value::new(Kind::Str(Rc::new(Text { pieces, system: true, ..Text::default() })))
}

/// The usual systems.
fn system_list(ev: &mut Eval) -> Value {
    Value::list(DEFAULT_SYSTEMS.iter().map(|name| ev.done(system_named(name))).collect())
}
