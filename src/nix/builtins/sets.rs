//! Attribute sets.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lists::{later, later2, list};
use super::{Native, row};
use crate::nix::eval::{Eval, is_system, reason_of};
use crate::nix::nixpkgs::system_named;
use crate::nix::syntax::ast::{Location, Name};
use crate::nix::value::{Attr, Attrs, Doubt, Kind, Special, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    row("mapAttrs", 2, map_attrs),
    row("mapAttrs'", 2, map_attrs_renamed),
    row("mapAttrsToList", 2, map_to_list),
    row("concatMapAttrs", 2, concat_map_attrs),
    row("attrValues", 1, attr_values),
    row("attrNames", 1, attr_names),
    row("getAttr", 2, get_attr),
    row("hasAttr", 2, has_attr),
    row("listToAttrs", 1, list_to_attrs),
    row("genAttrs", 2, gen_attrs),
    row("filterAttrs", 2, filter_attrs),
    row("removeAttrs", 2, remove_attrs),
    row("intersectAttrs", 2, intersect_attrs),
    row("optionalAttrs", 2, optional_attrs),
    row("recursiveUpdate", 2, |ev, a, at| {
        let (left, right) = (ev.force(a[0]), ev.force(a[1]));
        recursive_update(ev, &left, &right, at, 0)
    }),
    row("mergeAttrs", 2, |ev, a, at| {
        let (left, right) = (ev.force(a[0]), ev.force(a[1]));
        ev.update(left, &right, at)
    }),
    row("mergeAttrsList", 1, merge_list),
    row("nameValuePair", 2, |_, a, _| {
        Value::attrs(Attrs::of([(Rc::from("name"), a[0]), (Rc::from("value"), a[1])]))
    }),
    row("recurseIntoAttrs", 1, |ev, a, _| ev.force(a[0])),
    row("dontRecurseIntoAttrs", 1, |ev, a, _| ev.force(a[0])),
];

/// Runs on a set, or on each alternative of several.
pub(super) fn on_set(
    ev: &mut Eval,
    id: ThunkId,
    at: Location,
    run: &mut dyn FnMut(&mut Eval, &Rc<Attrs>) -> Value,
) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| match &value.kind {
        Kind::Attrs(attrs) => run(ev, attrs),
        _ => Value::doubtful(reason_of(&value, "a set is not known", at)),
    })
}

pub(super) fn remapped(attrs: &Attrs, map: BTreeMap<Name, Attr>) -> Value {
    Value::attrs(Attrs { map, open: attrs.open.clone(), special: Special::None })
}

/// The names of the set itself: those that the model adds do not count.
fn names(attrs: &Attrs) -> Vec<Name> {
    attrs.map.keys().cloned().collect()
}

/// An attribute's name as a value; systems are marked, so that a body serves them all.
pub(super) fn name_value(name: &str) -> Value {
    if is_system(name) { system_named(name) } else { Value::text(name) }
}

fn map_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let function = args[0];
    if ev.force(args[1]).as_unknown().is_some() {
        ev.pending.push(function);
    }
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut map = BTreeMap::new();
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            let thunk = later2(ev, function, key, attr.thunk, at);
            map.insert(Rc::clone(name), Attr { thunk, pos: None, maybe: attr.maybe.clone() });
        }
        remapped(attrs, map)
    })
}

fn map_attrs_renamed(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut items = Vec::new();
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            items.push(later2(ev, args[0], key, attr.thunk, at));
        }
        from_pairs(ev, &items, attrs.open.clone(), at)
    })
}

fn map_to_list(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut items = Vec::new();
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            items.push(later2(ev, args[0], key, attr.thunk, at));
        }
        Value::new(Kind::List(Rc::new(crate::nix::value::List { items, open: attrs.open.clone() })))
    })
}

fn concat_map_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let lists = map_to_list(ev, args, at);
    let lists = ev.done(lists);
    merge_list(ev, &[lists], at)
}

fn attr_values(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[0], at, &mut |_, attrs| {
        let items = attrs.map.values().map(|attr| attr.thunk).collect();
        Value::new(Kind::List(Rc::new(crate::nix::value::List { items, open: attrs.open.clone() })))
    })
}

fn attr_names(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[0], at, &mut |ev, attrs| {
        let items = names(attrs).iter().map(|name| ev.done(name_value(name))).collect();
        Value::new(Kind::List(Rc::new(crate::nix::value::List { items, open: attrs.open.clone() })))
    })
}

fn get_attr(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let set = ev.force(args[1]);
    match ev.force(args[0]).known_text() {
        Some(name) => ev.select(&set, &name, at),
        None => Value::unknown(Doubt::Unmodelled, "an attribute name is not known", Some(at)),
    }
}

fn has_attr(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let set = ev.force(args[1]);
    match (ev.force(args[0]).known_text(), &set.kind) {
        (Some(name), Kind::Attrs(attrs)) if attrs.open.is_none() && attrs.special.is_none() => {
            Value::bool(attrs.map.contains_key(&name))
        }
        _ => Value::unknown(Doubt::Unmodelled, "whether an attribute exists is not known", Some(at)),
    }
}

fn list_to_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match list(ev, args[0], at) {
        Ok(list) => from_pairs(ev, &list.items.clone(), list.open.clone(), at),
        Err(value) => value,
    }
}

/// `{ name; value; }` pairs as a set; the first of equal names wins.
fn from_pairs(
    ev: &mut Eval,
    items: &[ThunkId],
    open: Option<Rc<crate::nix::value::Unknown>>,
    at: Location,
) -> Value {
    let mut set = Attrs { open, ..Attrs::default() };
    for item in items {
        let pair = ev.force(*item);
        let (name, thunk) = match &pair.kind {
            Kind::Attrs(attrs) => {
                (ev.peek_attr(&pair, "name", at), attrs.map.get("value").map(|attr| attr.thunk))
            }
            _ => (None, None),
        };
        match (name.as_ref().and_then(Value::known_text), thunk) {
            (Some(name), Some(thunk)) => {
                set.map.entry(name).or_insert_with(|| Attr::new(thunk));
            }
            (_, thunk) => {
                ev.pending.extend(thunk);
                set.open.get_or_insert(reason_of(
                    name.as_ref().unwrap_or(&pair),
                    "an attribute name is not known",
                    at,
                ));
            }
        }
    }
    Value::attrs(set)
}

/// `genAttrs`: for systems the function is applied once, since its answer does not depend on which it is.
fn gen_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = match list(ev, args[0], at) {
        Ok(list) => list,
        Err(value) => {
            ev.pending.push(args[1]);
            return gen_for_unknown(ev, args[1], &value, at);
        }
    };
    let mut set = Attrs { open: list.open.clone(), ..Attrs::default() };
    let mut shared = None;
    for item in &list.items {
        let name = ev.force(*item);
        let Some(text) = name.known_text() else {
            set.open.get_or_insert(reason_of(&name, "an attribute name is not known", at));
            continue;
        };
        let thunk = if is_system(&text) {
            if !ev.systems.contains(&text) {
                ev.systems.push(Rc::clone(&text));
            }
            *shared.get_or_insert_with(|| {
                let name = ev.done(system_named(&text));
                later(ev, args[1], name, at)
            })
        } else {
            later(ev, args[1], *item, at)
        };
        set.map.insert(text, Attr::new(thunk));
    }
    Value::attrs(set)
}

/// A list of names that is not known is, nearly always, a list of systems.
fn gen_for_unknown(ev: &mut Eval, function: ThunkId, names: &Value, at: Location) -> Value {
    let name = ev.done(crate::nix::nixpkgs::members_system());
    let thunk = later(ev, function, name, at);
    let mut set = Attrs { open: Some(reason_of(names, "the names are not known", at)), ..Attrs::default() };
    set.map.insert(Rc::from("x86_64-linux"), Attr::new(thunk));
    Value::attrs(set)
}

fn filter_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let keep = args[0];
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut map = BTreeMap::new();
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            let verdict = super::lists::call2(ev, keep, key, attr.thunk, at);
            if crate::nix::value::truth(&verdict) != Some(false) {
                map.insert(Rc::clone(name), attr.clone());
            }
        }
        remapped(attrs, map)
    })
}

fn remove_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let unwanted = match list(ev, args[1], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    let mut names = Vec::new();
    for item in &unwanted.items {
        match ev.force(*item).known_text() {
            Some(name) => names.push(name),
            None => return Value::unknown(Doubt::Unmodelled, "an attribute name is not known", Some(at)),
        }
    }
    on_set(ev, args[0], at, &mut |_, attrs| {
        let mut set = attrs.as_ref().clone();
        for name in &names {
            set.map.remove(name);
        }
        Value::attrs(set)
    })
}

fn intersect_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let left = ev.force(args[0]);
    on_set(ev, args[1], at, &mut |_, right| match &left.kind {
        Kind::Attrs(left) => {
            let map = right
                .map
                .iter()
                .filter(|(name, _)| left.map.contains_key(*name))
                .map(|(n, a)| (Rc::clone(n), a.clone()))
                .collect();
            remapped(right, map)
        }
        _ => Value::doubtful(reason_of(&left, "a set is not known", at)),
    })
}

fn optional_attrs(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    let condition = ev.force(args[0]);
    match crate::nix::value::truth(&condition) {
        Some(true) => ev.force(args[1]),
        Some(false) => Value::attrs(Attrs::default()),
        None => {
            let given = ev.force(args[1]);
            crate::nix::eval::join(vec![given, Value::attrs(Attrs::default())])
        }
    }
}

fn recursive_update(ev: &mut Eval, left: &Value, right: &Value, at: Location, depth: u32) -> Value {
    let (Kind::Attrs(l), Kind::Attrs(r)) = (&left.kind, &right.kind) else {
        return ev.update(left.clone(), right, at);
    };
    if depth > 20 {
        return ev.update(left.clone(), right, at);
    }
    let mut set = crate::nix::eval::merge(l, r);
    for (name, attr) in &r.map {
        let Some(former) = l.map.get(name) else { continue };
        let (former, latter) = (former.thunk, attr.thunk);
        let thunk = ev.lazy(move |ev| {
            let b = ev.force(latter);
            if !matches!(b.kind, Kind::Attrs(_)) {
                return b;
            }
            let a = ev.force(former);
            if matches!(a.kind, Kind::Attrs(_)) { recursive_update(ev, &a, &b, at, depth + 1) } else { b }
        });
        set.map.insert(Rc::clone(name), Attr { thunk, pos: attr.pos, maybe: attr.maybe.clone() });
    }
    Value::attrs(set)
}

fn merge_list(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = match list(ev, args[0], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    let mut sum = Value::attrs(Attrs { open: list.open.clone(), ..Attrs::default() });
    for item in &list.items {
        let next = ev.force(*item);
        sum = ev.update(sum, &next, at);
    }
    sum
}
