//! Instances of nixpkgs, and overlays.

use std::rc::Rc;

use nix_lang::builtins;
use nix_lang::eval::{Eval, Native, counting_with, lambda, native};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Attr, Attrs, Kind, ThunkId, Value};

use super::{call_package, nixpkgs};
use crate::packages::record::Declarations as _;

static IMPORT: Native = Native::new("import nixpkgs", 1, instantiate);

/// What `import nixpkgs` is: a function of `{ system, overlays, config, ... }`.
#[must_use]
pub(crate) fn import_function() -> Value {
    native(&IMPORT)
}

fn instantiate(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    let given = ev.force(args[0]);
    ev.leave(args[0]);
    let overlays = match &given.kind {
        Kind::Attrs(_) => ev.peek_attr(&given, "overlays", here),
        _ => None,
    };
    match overlays {
        Some(list) => with_list(ev, &nixpkgs(), &list, here),
        None => nixpkgs(),
    }
}

fn with_list(ev: &mut Eval, base: &Value, list: &Value, here: Location) -> Value {
    match &list.kind {
        Kind::List(list) => with_overlays(ev, base.clone(), &list.items.clone(), here),
        Kind::Alt(lists) => {
            let mut values = Vec::new();
            for list in lists.iter() {
                let value = with_list(ev, base, list, here);
                values.extend(counting_with(value, list));
            }
            nix_lang::eval::join(values)
        }
        _ => base.clone(),
    }
}

/// A package set with overlays of the repository laid over it; overlays from outside leave the modelled names alone.
pub fn with_overlays(ev: &mut Eval, base: Value, overlays: &[ThunkId], here: Location) -> Value {
    let last = ev.reserve();
    let mut previous = base;
    for overlay in overlays {
        let overlay = ev.force(*overlay);
        if !overlay.is_function() {
            continue;
        }
        let half = ev.apply(&overlay, last, here);
        let added = ev.apply_value(&half, previous.clone(), here);
        let merged = ev.update(previous.clone(), &added, here);
        if merged.as_attrs().is_some() {
            previous = merged;
        }
    }
    note_replacements(ev, &previous);
    ev.fill(last, previous.clone());
    previous
}

/// An overlay that replaces the fetcher changes every hash of the repository in a way that nobody can foresee.
fn note_replacements(ev: &mut Eval, pkgs: &Value) {
    let Some(attrs) = pkgs.as_attrs() else { return };
    // The fetcher runs the tool, so that another tool makes other trees as well.
    for name in ["fetchNpmDeps", "prefetch-npm-deps"] {
        if let Some(pos) = attrs.map.get(name).and_then(|attr| attr.pos) {
            ev.declared().replace_fetcher(name, pos);
        }
    }
}

/// `pkgs.extend overlay`.
#[must_use]
pub(crate) fn extender(pkgs: Value) -> Value {
    lambda(move |ev, overlay, here| with_overlays(ev, pkgs.clone(), &[overlay], here))
}

/// `pkgs.appendOverlays [ ... ]`.
#[must_use]
pub(crate) fn appender(pkgs: Value) -> Value {
    lambda(move |ev, list, here| {
        let list = ev.force(list);
        with_list(ev, &pkgs, &list, here)
    })
}

/// `lib.composeExtensions f g`, and any longer chain of them.
#[must_use]
pub(crate) fn compose(overlays: Vec<ThunkId>) -> Value {
    lambda(move |_, last, _| {
        let overlays = overlays.clone();
        lambda(move |ev, previous, here| {
            let base = ev.force(previous);
            let mut previous = base;
            let mut sum = Value::attrs(Attrs::default());
            for overlay in &overlays {
                let overlay = ev.force(*overlay);
                let half = ev.apply(&overlay, last, here);
                let added = ev.apply_value(&half, previous.clone(), here);
                previous = ev.update(previous, &added, here);
                // An overlay answers with what it adds, not with the whole set.
                sum = ev.update(sum, &added, here);
            }
            sum
        })
    })
}

/// `lib.makeScope newScope (self: { ... })`.
pub(crate) fn make_scope(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    let wider = ev.force(args[0]);
    // A `newScope` that is not known is taken for that of nixpkgs: nobody else has one (fixture `new-scope`).
    let wider = if wider.as_unknown().is_some() { call_package::new_scope(nixpkgs()) } else { wider };
    scope_of(ev, wider, args[1], here)
}

/// What a scope's function says, with the members that every scope has.
fn scope_of(ev: &mut Eval, wider: Value, body: ThunkId, here: Location) -> Value {
    let own = ev.reserve();
    let function = ev.force(body);
    let given = ev.apply(&function, own, here);
    let of_scope = wider.clone();
    let new_scope = lambda(move |ev, more, here| {
        let (own, more) = (ev.force(own), ev.force(more));
        let both = ev.update(own, &more, here);
        ev.apply_value(&of_scope, both, here)
    });
    let of_call = wider.clone();
    let call = lambda(move |ev, callee, here| {
        let call = ev.apply(&of_call, own, here);
        ev.apply(&call, callee, here)
    });
    let again = lambda(move |ev, overlay, here| {
        let extended = lambda(move |ev, last, here| builtins::extends(ev, &[overlay, body, last], here));
        let extended = ev.done(extended);
        scope_of(ev, wider.clone(), extended, here)
    });
    let members = [("newScope", new_scope), ("callPackage", call), ("overrideScope", again)];
    let mut all = Attrs::of(members.map(|(name, value)| (Rc::from(name), ev.done(value))));
    all.map.insert(Rc::from("packages"), Attr::new(body));
    let result = ev.update(given, &Value::attrs(all), here);
    ev.fill(own, result.clone());
    result
}
