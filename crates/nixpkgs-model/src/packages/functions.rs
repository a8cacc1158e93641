//! Functions of `lib` about packages and overlays.

use std::rc::Rc;

use nix_lang::eval::{Eval, Native, reason_of};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Kind, Special, ThunkId, Value};

use super::derivation::Drv;
use super::{call_package, overlay};

/// Those that are modelled.
pub const TABLE: &[Native] = &[
    Native::new("composeExtensions", 2, |_, a, _| overlay::compose(a.to_vec())),
    Native::new("composeManyExtensions", 1, compose_many),
    Native::new("makeScope", 2, overlay::make_scope),
    Native::new("makeOverridable", 2, call_package::make_overridable),
    Native::new("callPackageWith", 3, call_with),
    Native::new("callPackagesWith", 3, call_with),
    Native::new("isDerivation", 1, is_derivation),
];

fn compose_many(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = ev.force(args[0]);
    match &list.kind {
        Kind::List(list) => match &list.open {
            Some(unknown) => Value::doubtful(Rc::clone(unknown)),
            None => overlay::compose(list.items.clone()),
        },
        _ => Value::doubtful(reason_of(&list, "a list is not known", at)),
    }
}

fn call_with(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let pkgs = ev.force(args[0]);
    let callee = ev.force(args[1]);
    let given = ev.force(args[2]);
    ev.each(callee, &mut |ev, callee| call_package::call(ev, &pkgs, &callee, &given, at))
}

/// `lib.isDerivation`: a set whose `type` says so.
fn is_derivation(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |ev, value| match &value.kind {
        Kind::Unknown(_) => Value::doubtful(reason_of(&value, "a type is not known", at)),
        Kind::Attrs(attrs) if matches!(attrs.special, Special::Source(_)) || attrs.special.is::<Drv>() => {
            Value::bool(true)
        }
        Kind::Attrs(_) => match ev.peek_attr(&value, "type", at) {
            None => Value::bool(false),
            Some(kind) => ev.each(kind, &mut |_, kind| match kind.kind {
                Kind::Unknown(_) => kind,
                _ => match (&kind.kind, kind.known_text()) {
                    (Kind::Str(_), None) => Value::doubtful(reason_of(&kind, "a type is not known", at)),
                    (_, text) => Value::bool(text.as_deref() == Some("derivation")),
                },
            }),
        },
        _ => Value::bool(false),
    })
}
