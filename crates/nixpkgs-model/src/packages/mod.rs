//! The model of nixpkgs: what its members are, and what values from outside are taken to be.

pub(crate) mod call_package;
pub mod derivation;
pub(crate) mod fetchers;
mod functions;
mod given;
pub mod installed;
mod members;
mod names;
mod outside;
pub mod overlay;
pub(crate) mod overrides;
mod own_fetcher;
pub mod placeholder;
pub mod record;
pub(crate) mod scripts;

use std::path::PathBuf;
use std::rc::Rc;

pub(crate) use functions::TABLE;
pub(crate) use members::{is_modelled, member, scope_member};
pub use names::are_of_overlay;
pub(crate) use names::{DEFAULT_SYSTEMS, Habit, PackageScope, firm_habit, habit, is_nixpkgs};
use nix_lang::value::{Attrs, Meaning, Special, Unknown, Value};
pub(crate) use outside::{
    by_convention, hides_members, import_outside, import_remote, member_of, unknown_call,
};

/// A set that is nixpkgs.
pub struct Packages;

impl Meaning for Packages {
    /// Overlays from outside leave the names that matter alone.
    fn is_firm(&self) -> bool {
        true
    }

    fn yields_to_defaults(&self) -> bool {
        true
    }

    fn is_named(&self) -> bool {
        true
    }
}

/// The arguments of a file that nothing calls; the folder of that file.
pub struct UncalledFile(pub PathBuf);

impl Meaning for UncalledFile {
    fn is_of_arguments(&self) -> bool {
        true
    }
}

/// Attributes that are known of something from outside; it has all others, too.
pub struct Beside(pub Rc<Unknown>);

impl Meaning for Beside {}

/// A set that has only a meaning.
pub fn meant(meaning: impl Meaning) -> Value {
    Value::attrs(Attrs::special(Special::of(meaning)))
}

/// A set that is `lib`.
pub struct Library;

impl Meaning for Library {
    fn is_firm(&self) -> bool {
        true
    }

    fn is_named(&self) -> bool {
        true
    }
}

/// nixpkgs' `lib`.
#[must_use]
pub fn lib() -> Value {
    meant(Library)
}

/// nixpkgs without overlays.
#[must_use]
pub fn nixpkgs() -> Value {
    meant(Packages)
}

/// A set inside `lib`, such as `lib.fileset`.
#[must_use]
pub(crate) fn lib_scope(name: &str) -> Value {
    members::scope(PackageScope::Library(name.into()))
}

/// `lib.systems`.
#[must_use]
pub(crate) fn lib_systems() -> Value {
    members::scope(PackageScope::Systems)
}

/// A set of package sets, one for each system.
#[must_use]
pub(crate) fn per_system() -> Value {
    members::scope(PackageScope::PerSystem)
}
