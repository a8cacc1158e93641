//! The model of nixpkgs: what its members are, and what values from outside are taken to be.

pub(crate) mod call_package;
pub(crate) mod derivation;
pub(crate) mod fetchers;
mod flakes;
pub(crate) mod given;
mod members;
mod names;
mod outside;
pub(crate) mod overlay;
pub(crate) mod overrides;
mod own_fetcher;
pub(crate) mod record;
pub(crate) mod scripts;
mod special;

pub(crate) use members::system as members_system;
pub(crate) use members::system_named;
pub(crate) use names::{DEFAULT_SYSTEMS, Scope, is_nixpkgs};
pub(crate) use outside::{import_outside, import_remote, outside_member, unknown_call};
pub(crate) use special::special_member;

use super::value::{Attrs, Special, Value};

/// nixpkgs without overlays.
pub(crate) fn nixpkgs() -> Value {
    Value::attrs(Attrs::special(Special::Pkgs))
}

/// A set inside `lib`, such as `lib.fileset`.
pub(crate) fn lib_scope(name: &str) -> Value {
    members::scope(Scope::Library(name.into()))
}

/// `lib.systems`.
pub(crate) fn lib_systems() -> Value {
    members::scope(Scope::Systems)
}

/// A set of package sets, one for each system.
pub(crate) fn per_system() -> Value {
    members::scope(Scope::PerSystem)
}
