//! `override` and `overrideAttrs`, of derivations of the repository and of packages from outside.

use std::rc::Rc;

use nix_lang::eval::{Eval, lambda};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Doubt, Kind, ThunkId, Unknown, Value};

use super::derivation::{Drv, special};
use super::record::{Inert, Record, RecordKind};
use crate::packages::record::Declarations as _;

/// `buildNpmPackage.override { nodejs = ...; }` is the same builder, unless it gets another fetcher (fixtures
/// `build-npm-package-override`, `override-applied-directly`).
#[must_use]
pub(crate) fn overridable_function(function: Value) -> Value {
    lambda(move |ev, changes, here| {
        let former = Value::outside("the arguments of a builder", Some(here));
        let changes = ev.force(changes);
        let changes = super::call_package::resolve_changes(ev, &changes, &former, here);
        ev.each(changes, &mut |_, changes| {
            let what = match &changes.kind {
                Kind::Attrs(attrs) if RISKY.iter().any(|name| attrs.map.contains_key(*name)) => {
                    "a builder with another `fetchNpmDeps`"
                }
                Kind::Attrs(attrs) if attrs.open.is_none() => return function.clone(),
                _ => "a builder with other arguments, of which not all are known",
            };
            Value::unknown(Doubt::Unmodelled, what, Some(here))
        })
    })
}

/// Arguments of `buildNpmPackage` that its dependencies are made with.
const RISKY: [&str; 3] = ["fetchNpmDeps", "prefetch-npm-deps", "buildPackages"];

/// What `overrideAttrs` is given.
pub(super) struct Override<'a> {
    /// A set, a function of the former attributes, or one of the final and the former ones.
    pub change: &'a Value,
    /// The final attributes.
    pub last: ThunkId,
    pub here: Location,
}

impl Override<'_> {
    /// The arguments with the change in them.
    pub fn apply(&self, ev: &mut Eval, args: Value, former: &Value) -> Value {
        let Self { change, last, here } = *self;
        let result = if change.is_function() {
            let once = ev.apply_value(change, former.clone(), here);
            // nixpkgs tells `old: { ... }` from `final: prev: { ... }` by this as well.
            if once.is_function() {
                let half = ev.apply(change, last, here);
                ev.apply_value(&half, former.clone(), here)
            } else {
                once
            }
        } else {
            change.clone()
        };
        note_dead(ev, &result);
        ev.update(args, &result, here)
    }
}

/// `npmDepsHash` in an override changes nothing: `npmDeps` was made from the original arguments.
pub(super) fn note_dead(ev: &mut Eval, changes: &Value) {
    let Kind::Attrs(attrs) = &changes.kind else { return };
    if let Some(pos) = attrs.map.get("npmDepsHash").and_then(|attr| attr.pos) {
        ev.declared().inert.entry(pos).or_insert(Inert::OverriddenTooLate);
    }
}

/// `.override` after `.overrideAttrs` calls the function again and changes the attributes again.
pub(super) fn keep_override(ev: &mut Eval, made: Value, again: Option<ThunkId>, change: ThunkId) -> Value {
    let Some(again) = again else { return made };
    super::call_package::with_override(ev, made, move |ev, changes, here| {
        let function = ev.force(again);
        let called = ev.apply_value(&function, changes, here);
        let attributes = ev.select(&called, "overrideAttrs", here);
        ev.apply(&attributes, change, here)
    })
}

/// `.override` and `.overrideAttrs` of a package from outside: the changes are evaluated with unknown former values.
#[must_use]
pub(crate) fn override_outside(unknown: Rc<Unknown>, name: &str) -> Value {
    let attrs_style = name != "override";
    lambda(move |ev, change, here| {
        let former = Value::doubtful(Rc::clone(&unknown));
        let value = ev.force(change);
        if value.is_function() {
            let last = ev.reserve();
            let changed = Override { change: &value, last, here }.apply(ev, former.clone(), &former);
            let changed = as_derivation(&changed, last, here);
            ev.fill(last, changed.clone());
            ev.leave(last);
            return changed;
        }
        ev.leave(change);
        if attrs_style {
            note_dead(ev, &value);
        }
        let changed = ev.update(former, &value, here);
        as_derivation(&changed, change, here)
    })
}

/// The result of an override of something from outside; of somebody's `npmDeps`, it is a declaration. What is not changed
/// stays that of the package, and is not known.
pub(super) fn as_derivation(value: &Value, arg: ThunkId, here: Location) -> Value {
    let dependencies = value.as_attrs().is_some_and(|attrs| {
        let from = attrs.open.as_ref().and_then(|unknown| unknown.name.as_ref());
        let fetches = ["hash", "outputHash"].iter().any(|name| attrs.map.contains_key(*name));
        fetches && from.is_some_and(|name| name.ends_with(".npmDeps"))
    });
    let declared = dependencies.then(|| Record::new(RecordKind::FetchDeps, value.clone(), here));
    special(value, Drv::assumed(None, here, arg).declaring(declared))
}
