//! The members of package sets and of the sets inside them.

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::Value;
use nix_lang::value::source::{Base, Source};

use super::names::{DEFAULT_SYSTEMS, PackageScope, What, meaning};
use super::{call_package, derivation, fetchers, nixpkgs, overlay, scripts};

/// A member of a package set.
pub fn member(ev: &Eval, pkgs: &Value, name: &str, here: Location) -> Value {
    match meaning(name) {
        Some(What::System) | None => Value::outside(&format!("pkgs.{name}"), Some(here)),
        Some(meaning) => value_of(ev, meaning, name, pkgs),
    }
}

/// Whether a name means something to the model.
#[must_use]
pub(crate) fn is_modelled(name: &str) -> bool {
    meaning(name).is_some()
}

/// A member of `pkgs` as a value.
fn value_of(ev: &Eval, meaning: What, name: &str, pkgs: &Value) -> Value {
    if let Some(value) = anywhere(ev, &meaning, name, pkgs) {
        return value;
    }
    match meaning {
        What::Scope(inner) => scope(inner),
        What::Library => super::lib(),
        What::System => Value::any_system(),
        What::EmptyDirectory => Source::new(Base::Empty).value(),
        What::Extend => overlay::extender(pkgs.clone()),
        What::AppendOverlays => overlay::appender(pkgs.clone()),
        _ => pkgs.clone(),
    }
}

/// Members that are the same in package sets, in the sets inside them, and in anything that passes them on.
pub(super) fn anywhere(ev: &Eval, meaning: &What, name: &str, pkgs: &Value) -> Option<Value> {
    match meaning {
        What::Fetcher(kind) => Some(fetchers::function(*kind, name)),
        What::Builder(builder) => Some(derivation::function(*builder)),
        What::Script(script) => Some(scripts::function(*script)),
        What::Call => Some(call_package::call_package(pkgs.clone())),
        What::NewScope => Some(call_package::new_scope(pkgs.clone())),
        What::GitIgnoreSource => ev.native("gitignoreSource"),
        _ => None,
    }
}

/// A set inside nixpkgs.
pub fn scope(scope: PackageScope) -> Value {
    super::meant(scope)
}

/// A member of a set inside nixpkgs.
pub(crate) fn scope_member(
    ev: &mut Eval,
    set: &Value,
    own: &PackageScope,
    name: &str,
    here: Location,
) -> Value {
    let outside = || Value::outside(&format!("{}.{name}", own.name()), Some(here));
    let native = |ev: &Eval, prefix: &str| ev.native(&format!("{prefix}.{name}"));
    match (own, name) {
        (
            PackageScope::Stdenv | PackageScope::Platform,
            "hostPlatform" | "buildPlatform" | "targetPlatform",
        ) => scope(PackageScope::Platform),
        (PackageScope::Stdenv | PackageScope::Platform, "system") => Value::any_system(),
        (PackageScope::PerSystem, _) => nixpkgs(),
        // It takes its own `npmRoot`, as a call of the set does.
        (PackageScope::ImportNpmLock, "buildNodeModules") => scope(PackageScope::ImportNpmLock),
        (PackageScope::Systems, "doubles") => set.clone(),
        (PackageScope::Systems, "flakeExposed" | "all" | "unix" | "linux") => system_list(ev),
        (PackageScope::Systems, _) => Value::outside(&format!("lib.systems.{name}"), Some(here)),
        (PackageScope::Library(own), _) => {
            native(ev, own).unwrap_or_else(|| Value::outside(&format!("lib.{own}.{name}"), Some(here)))
        }
        (PackageScope::GitIgnore | PackageScope::NixFilter, _) => {
            native(ev, own.name()).unwrap_or_else(outside)
        }
        (_, "pkgs") if !own.is_python() => nixpkgs(),
        (_, "pkgs" | "packages") if own.is_python() => set.clone(),
        (PackageScope::Stdenv | PackageScope::Platform, _) if name != "mkDerivation" => outside(),
        _ => {
            let inner = meaning(name).and_then(|meaning| match meaning {
                What::Scope(scope @ (PackageScope::ImportNpmLock | PackageScope::GitIgnore)) => {
                    Some(self::scope(scope))
                }
                meaning => anywhere(ev, &meaning, name, &nixpkgs()),
            });
            inner.unwrap_or_else(|| Value::outside(&format!("pkgs.{}.{name}", own.name()), Some(here)))
        }
    }
}

/// The usual systems.
fn system_list(ev: &mut Eval) -> Value {
    Value::list(DEFAULT_SYSTEMS.iter().map(|name| ev.done(Value::system(name))).collect())
}
