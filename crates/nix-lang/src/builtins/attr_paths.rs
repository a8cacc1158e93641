//! Attribute paths and selections of attributes.

use std::rc::Rc;

use super::lists::{on_list, texts};
use super::sets::{item_of, name_value, on_set, openness};
use super::{Native, builtin, lib};
use crate::eval::{Eval, identified, reason_of, whether};
use crate::syntax::ast::{Location, Name};
use crate::value::{Attr, Attrs, Doubt, Kind, List, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    lib("attrByPath", 3, |ev, a, at| by_path(ev, a[0], a[2], Some(a[1]), at)).handing_on(),
    lib("getAttrFromPath", 2, |ev, a, at| by_path(ev, a[0], a[1], None, at)).handing_on(),
    lib("setAttrByPath", 2, set_by_path),
    lib("hasAttrByPath", 2, has_by_path).handing_on(),
    lib("attrVals", 2, attr_vals),
    lib("getAttrs", 2, get_attrs),
    builtin("catAttrs", 2, cat_attrs),
    lib("foldlAttrs", 3, foldl_attrs),
];

fn by_path(ev: &mut Eval, path: ThunkId, set: ThunkId, default: Option<ThunkId>, at: Location) -> Value {
    let Some(names) = texts(ev, path, at) else {
        return Value::unknown(Doubt::Unmodelled, "an attribute path is not known", Some(at));
    };
    let value = ev.force(set);
    follow(ev, value, &names, default, at)
}

/// The value at the end of a path; each of several sets may have it or not.
fn follow(ev: &mut Eval, value: Value, names: &[Name], default: Option<ThunkId>, at: Location) -> Value {
    let Some((name, rest)) = names.split_first() else {
        return match default {
            Some(default) => ev.or_default(value, false, |ev| ev.force(default)),
            None => value,
        };
    };
    ev.each(value, &mut |ev, value| match (ev.peek_attr(&value, name, at), default) {
        (Some(inner), _) => {
            let inner = identified(inner, &value, name, at);
            follow(ev, inner, rest, default, at)
        }
        (None, Some(default)) => ev.force(default),
        (None, None) => crate::eval::error(format!("attribute `{name}` is missing"), at),
    })
}

fn set_by_path(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(names) = texts(ev, args[0], at) else {
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
    let Some(names) = texts(ev, args[0], at) else {
        return Value::unknown(Doubt::Unmodelled, "an attribute path is not known", Some(at));
    };
    let value = ev.force(args[1]);
    has(ev, value, &names, at)
}

/// Whether a path leads somewhere; what is at its end is not evaluated.
fn has(ev: &mut Eval, value: Value, names: &[Name], at: Location) -> Value {
    let Some((name, rest)) = names.split_first() else { return Value::bool(true) };
    ev.each(value, &mut |ev, value| match &value.kind {
        Kind::Attrs(attrs) => match attrs.map.get(name) {
            Some(attr) if attr.maybe.is_none() && rest.is_empty() => Value::bool(true),
            Some(attr) if attr.maybe.is_none() => {
                let inner = ev.force(attr.thunk);
                has(ev, identified(inner, &value, name, at), rest, at)
            }
            None if attrs.open.is_none() && attrs.special.is_none() => Value::bool(false),
            _ => whether(&value, names, at),
        },
        Kind::Unknown(_) => whether(&value, names, at),
        _ => Value::bool(false),
    })
}

fn attr_vals(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(names) = texts(ev, args[0], at) else {
        return Value::unknown(Doubt::Unmodelled, "attribute names are not known", Some(at));
    };
    let items = names.into_iter().map(|name| selected(ev, args[1], name, at)).collect();
    Value::list(items)
}

/// An attribute of a set, when it is needed.
fn selected(ev: &mut Eval, set: ThunkId, name: Name, at: Location) -> ThunkId {
    ev.lazy(move |ev| {
        let set = ev.force(set);
        ev.select(&set, &name, at)
    })
}

fn get_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(names) = texts(ev, args[0], at) else {
        return Value::unknown(Doubt::Unmodelled, "attribute names are not known", Some(at));
    };
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut set = Attrs::default();
        for name in &names {
            let attr = match attrs.map.get(name) {
                Some(attr) => attr.clone(),
                // Asking for it is an error, or another attribute of the open set.
                None => Attr::new(selected(ev, args[1], Rc::clone(name), at)),
            };
            set.map.insert(Rc::clone(name), attr);
        }
        Value::attrs(set)
    })
}

fn cat_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let Some(name) = ev.force(args[0]).known_text() else {
        return Value::unknown(Doubt::Unmodelled, "an attribute name is not known", Some(at));
    };
    on_list(ev, args[1], at, &mut |ev, list| {
        let mut found = List { items: Vec::new(), open: list.open.clone() };
        for item in &list.items {
            let value = ev.force(*item);
            let known = match &value.kind {
                Kind::Attrs(attrs) => match attrs.map.get(&name) {
                    Some(attr) => {
                        found.items.push(item_of(ev, attr));
                        true
                    }
                    None => attrs.open.is_none() && attrs.special.is_none(),
                },
                _ => false,
            };
            if !known {
                found.leave_open(reason_of(&value, "whether an attribute exists is not known", at));
            }
        }
        Value::new(Kind::List(Rc::new(found)))
    })
}

fn foldl_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[2], at, &mut |ev, attrs| {
        let function = ev.force(args[0]);
        let mut sum = args[1];
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            let half = ev.apply(&function, sum, at);
            let half = ev.apply(&half, key, at);
            let item = item_of(ev, attr);
            let value = ev.apply(&half, item, at);
            sum = ev.done(value);
        }
        match openness(attrs, at) {
            // More attributes may have changed the sum in any way.
            Some(unknown) => Value::doubtful(unknown),
            None => ev.force(sum),
        }
    })
}
