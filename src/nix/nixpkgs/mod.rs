//! The model of nixpkgs: what its members are, and what values from outside are taken to be.

pub(crate) mod call_package;
pub(crate) mod derivation;
pub(crate) mod fetchers;
mod functions;
pub(crate) mod given;
pub(crate) mod installed;
mod members;
mod names;
mod outside;
pub(crate) mod overlay;
pub(crate) mod overrides;
mod own_fetcher;
pub(crate) mod placeholder;
pub(crate) mod record;
pub(crate) mod scripts;

pub(crate) use functions::TABLE;
pub(crate) use members::{is_modelled, member, scope_member};
pub(crate) use names::{DEFAULT_SYSTEMS, Habit, Scope, are_of_overlay, firm_habit, habit, is_nixpkgs};
pub(crate) use outside::{
    by_convention, hides_members, import_outside, import_remote, member_of, unknown_call,
};

use std::path::PathBuf;
use std::rc::Rc;

use super::value::{Attrs, Meaning, Special, Unknown, Value};

/// A set that is nixpkgs.
pub(crate) struct Packages;

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
pub(crate) struct Entry(pub PathBuf);

impl Meaning for Entry {
    fn is_of_arguments(&self) -> bool {
        true
    }
}

/// Attributes that are known of something from outside; it has all others, too.
pub(crate) struct Beside(pub Rc<Unknown>);

impl Meaning for Beside {}

/// A set that has only a meaning.
pub(crate) fn meant(meaning: impl Meaning) -> Value {
    Value::attrs(Attrs::special(Special::of(meaning)))
}

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

/// nixpkgs' `lib`.
pub(crate) fn lib() -> Value {
    meant(Library)
}

/// nixpkgs without overlays.
pub(crate) fn nixpkgs() -> Value {
    meant(Packages)
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
