//! Attribute paths and selections of attributes.

use std::rc::Rc;

use super::lists::list;
use super::sets::{name_value, on_set, remapped};
use super::{Native, row};
use crate::nix::eval::Eval;
use crate::nix::syntax::ast::{Location, Name};
use crate::nix::value::{Attrs, Doubt, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    row("attrByPath", 3, |ev, a, at| by_path(ev, a[0], a[2], Some(a[1]), at)),
    row("getAttrFromPath", 2, |ev, a, at| by_path(ev, a[0], a[1], None, at)),
    row("setAttrByPath", 2, set_by_path),
    row("hasAttrByPath", 2, has_by_path),
    row("attrVals", 2, attr_vals),
    row("getAttrs", 2, get_attrs),
    row("catAttrs", 2, cat_attrs),
    row("foldlAttrs", 3, foldl_attrs),
];

fn path_names(ev: &mut Eval, path: ThunkId, at: Location) -> Option<Vec<Name>> {
    let list = list(ev, path, at).ok()?;
    list.items.iter().map(|item| ev.force(*item).known_text()).collect()
}

fn by_path(ev: &mut Eval, path: ThunkId, set: ThunkId, default: Option<ThunkId>, at: Location) -> Value {
    let Some(names) = path_names(ev, path, at) else {
        return Value::unknown(Doubt::Unmodelled, "an attribute path is not known", Some(at));
    };
    let mut value = ev.force(set);
    for name in names {
        value = match (ev.peek_attr(&value, &name, at), default) {
            (Some(value), _) => value,
            (None, Some(default)) => return ev.force(default),
            (None, None) => return crate::nix::eval::error(format!("attribute `{name}` is missing"), at),
        };
    }
    value
}

fn set_by_path(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(names) = path_names(ev, args[0], at) else {
        return Value::unknown(Doubt::Unmodelled, "an attribute path is not known", Some(at));
    };
    let mut thunk = args[1];
    for name in names.into_iter().rev() {
        let set = Value::attrs(Attrs::of([(name, thunk)]));
        thunk = ev.done(set);
    }
    ev.force(thunk)
}

fn has_by_path(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let missing = ev.done(Value::unknown(Doubt::Throw, "missing", Some(at)));
    let value = by_path(ev, args[0], args[1], Some(missing), at);
    match value.as_unknown() {
        None => Value::bool(true),
        Some(unknown) if unknown.doubt == Doubt::Throw => Value::bool(false),
        Some(_) => value,
    }
}

fn attr_vals(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (Some(names), set) = (path_names(ev, args[0], at), args[1]) else {
        return Value::unknown(Doubt::Unmodelled, "attribute names are not known", Some(at));
    };
    let items = names
        .into_iter()
        .map(|name| {
            ev.lazy(move |ev| {
                let set = ev.force(set);
                ev.select(&set, &name, at)
            })
        })
        .collect();
    Value::list(items)
}

fn get_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(names) = path_names(ev, args[0], at) else {
        return Value::unknown(Doubt::Unmodelled, "attribute names are not known", Some(at));
    };
    on_set(ev, args[1], at, &mut |_, attrs| {
        let map = attrs
            .map
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(n, a)| (Rc::clone(n), a.clone()))
            .collect();
        remapped(attrs, map)
    })
}

fn cat_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(name) = ev.force(args[0]).known_text() else {
        return Value::unknown(Doubt::Unmodelled, "an attribute name is not known", Some(at));
    };
    let list = match list(ev, args[1], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    let mut items = Vec::new();
    for item in &list.items {
        let set = ev.force(*item);
        items.extend(set.as_attrs().and_then(|attrs| attrs.map.get(&name)).map(|attr| attr.thunk));
    }
    Value::list(items)
}

fn foldl_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[2], at, &mut |ev, attrs| {
        let function = ev.force(args[0]);
        let mut sum = args[1];
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            let half = ev.apply(&function, sum, at);
            let half = ev.apply(&half, key, at);
            let value = ev.apply(&half, attr.thunk, at);
            sum = ev.done(value);
        }
        ev.force(sum)
    })
}
