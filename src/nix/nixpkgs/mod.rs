//! The model of nixpkgs: what its members are, and what values from outside are taken to be.

pub(crate) mod call_package;
pub(crate) mod derivation;
pub(crate) mod fetchers;
mod members;
mod outside;
pub(crate) mod overlay;
pub(crate) mod overrides;
pub(crate) mod record;
mod scripts;
mod special;

pub(crate) use members::system as members_system;
pub(crate) use members::system_named;
pub(crate) use outside::{import_outside, import_remote, outside_member, unknown_call};
pub(crate) use special::special_member;

use super::value::{Attrs, Special, Value};

/// nixpkgs without overlays.
pub(crate) fn nixpkgs() -> Value {
    Value::attrs(Attrs::special(Special::Pkgs))
}

/// A named set inside `lib`, such as `lib.fileset`.
pub(crate) fn lib_scope(name: &str) -> Value {
    members::scope(&super::library::scope_name(name))
}

/// A set of package sets, one for each system.
pub(crate) fn per_system() -> Value {
    members::scope("pkgsCross")
}
