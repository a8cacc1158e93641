//! `callPackage`, `newScope`, `makeOverridable`.

use std::rc::Rc;

use nix_lang::eval::{Eval, lambda};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Attr, Attrs, Kind, Special, ThunkId, Value};

/// `pkgs.callPackage`: takes a function or a file of one, then arguments.
#[must_use]
pub(crate) fn call_package(pkgs: Value) -> Value {
    lambda(move |_, callee, _| {
        let pkgs = pkgs.clone();
        lambda(move |ev, args, here| {
            let callee = ev.force(callee);
            let given = ev.force(args);
            let pkgs = pkgs.clone();
            ev.each(callee, &mut |ev, callee| call(ev, &pkgs, &callee, &given, here))
        })
    })
}

/// `newScope extra`: a `callPackage` whose packages are extended.
#[must_use]
pub(crate) fn new_scope(pkgs: Value) -> Value {
    lambda(move |ev, extra, here| {
        let extra = ev.force(extra);
        let wider = ev.update(pkgs.clone(), &extra, here);
        call_package(wider)
    })
}

/// Calls a function of the repository with its arguments, the rest taken from `pkgs`.
pub fn call(ev: &mut Eval, pkgs: &Value, callee: &Value, given: &Value, here: Location) -> Value {
    let function = match &callee.kind {
        Kind::Path(_) | Kind::Str(_) => ev.import(callee, here),
        Kind::Attrs(attrs) if matches!(attrs.special, Special::Source(_)) => ev.import(callee, here),
        _ => callee.clone(),
    };
    let result = ev.each(function.clone(), &mut |ev, function| match ev.arguments_of(&function) {
        Some(formals) => {
            let args = fill(ev, pkgs, &formals, given, here);
            ev.apply_value(&function, args, here)
        }
        None => ev.apply_value(&function, given.clone(), here),
    });
    let (pkgs, given) = (pkgs.clone(), given.clone());
    with_override(ev, result, move |ev, changes, here| {
        let changes = resolve_changes(ev, &changes, &given, here);
        let merged = ev.update(given.clone(), &changes, here);
        call(ev, &pkgs, &function, &merged, here)
    })
}

/// `.override` takes a set or a function of the former arguments.
pub(super) fn resolve_changes(ev: &mut Eval, changes: &Value, given: &Value, here: Location) -> Value {
    if changes.is_function() { ev.apply_value(changes, given.clone(), here) } else { changes.clone() }
}

fn fill(ev: &mut Eval, pkgs: &Value, formals: &[(Rc<str>, bool)], given: &Value, here: Location) -> Value {
    let mut args = match &given.kind {
        Kind::Attrs(attrs) => attrs.as_ref().clone(),
        Kind::Unknown(unknown) => Attrs { open: Some(Rc::clone(unknown)), ..Attrs::default() },
        _ => Attrs::default(),
    };
    args.special = Special::None;
    for (name, has_default) in formals {
        if args.map.contains_key(name) {
            continue;
        }
        if let Some(thunk) = from_packages(ev, pkgs, name, *has_default, here) {
            args.map.insert(Rc::clone(name), Attr::new(thunk));
        }
    }
    Value::attrs(args)
}

fn from_packages(
    ev: &mut Eval,
    pkgs: &Value,
    name: &str,
    has_default: bool,
    here: Location,
) -> Option<ThunkId> {
    if let Some(attr) = pkgs.as_attrs().and_then(|attrs| attrs.map.get(name)) {
        return Some(attr.thunk);
    }
    let value = ev.peek_attr(pkgs, name, here)?;
    // Any name seems to be one of nixpkgs. An argument with a default is a setting of the function's own where the model
    // does not know better.
    if has_default && value.as_unknown().is_some() {
        return None;
    }
    Some(ev.done(value))
}

/// Gives a set an `override` that calls `again` with the changes.
pub(crate) fn with_override(
    ev: &mut Eval,
    value: Value,
    again: impl Fn(&mut Eval, Value, Location) -> Value + Clone + 'static,
) -> Value {
    ev.each(value, &mut |ev, value| {
        let Kind::Attrs(attrs) = &value.kind else { return value };
        let again = again.clone();
        let function = lambda(move |ev, changes, here| {
            let changes = ev.force(changes);
            again(ev, changes, here)
        });
        let mut attrs = attrs.as_ref().clone();
        let thunk = ev.done(function);
        attrs.map.insert(Rc::from("override"), Attr::new(thunk));
        Value { kind: Kind::Attrs(Rc::new(attrs)), trail: value.trail.clone() }
    })
}

/// `lib.makeOverridable f args`.
pub(crate) fn make_overridable(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    let function = ev.force(args[0]);
    let given = ev.force(args[1]);
    overridable(ev, &function, &given, here)
}

fn overridable(ev: &mut Eval, function: &Value, given: &Value, here: Location) -> Value {
    let result = ev.apply_value(function, given.clone(), here);
    let (function, given) = (function.clone(), given.clone());
    with_override(ev, result, move |ev, changes, here| {
        let changes = resolve_changes(ev, &changes, &given, here);
        let merged = ev.update(given.clone(), &changes, here);
        overridable(ev, &function, &merged, here)
    })
}
