//! Attribute sets.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::lists::{later, later2, list, on_list};
use super::{Native, builtin, global, lib};
use crate::budget::Cost;
use crate::eval::{Eval, identified, is_system, present, reason_of, whether};
use crate::syntax::ast::{Location, Name};
use crate::value::{Attr, Attrs, Doubt, Kind, List, Special, ThunkId, Unknown, Value};

pub(super) const TABLE: &[Native] = &[
    builtin("mapAttrs", 2, map_attrs),
    lib("mapAttrs'", 2, map_attrs_renamed),
    lib("mapAttrsToList", 2, map_to_list),
    lib("concatMapAttrs", 2, concat_map_attrs),
    builtin("attrValues", 1, attr_values),
    builtin("attrNames", 1, attr_names),
    builtin("getAttr", 2, get_attr).handing_on(),
    builtin("hasAttr", 2, has_attr).handing_on(),
    builtin("listToAttrs", 1, list_to_attrs),
    lib("genAttrs", 2, gen_attrs),
    lib("genAttrs'", 2, |ev, a, at| {
        let pairs = ev.lazy({
            let (items, function) = (a[0], a[1]);
            move |ev| super::lists::map(ev, &[function, items], at)
        });
        list_to_attrs(ev, &[pairs], at)
    }),
    lib("filterAttrs", 2, filter_attrs),
    global("removeAttrs", 2, remove_attrs),
    builtin("intersectAttrs", 2, intersect_attrs),
    lib("optionalAttrs", 2, optional_attrs),
    lib("recursiveUpdate", 2, |ev, a, at| {
        let (left, right) = (ev.force(a[0]), ev.force(a[1]));
        recursive_update(ev, &left, &right, at)
    }),
    lib("mergeAttrs", 2, |ev, a, at| {
        let (left, right) = (ev.force(a[0]), ev.force(a[1]));
        ev.update(left, &right, at)
    }),
    lib("mergeAttrsList", 1, merge_list),
    lib("nameValuePair", 2, |_, a, _| {
        Value::attrs(Attrs::of([(Rc::from("name"), a[0]), (Rc::from("value"), a[1])]))
    }),
    lib("recurseIntoAttrs", 1, |ev, a, at| recurse(ev, a[0], true, at)),
    lib("dontRecurseIntoAttrs", 1, |ev, a, at| recurse(ev, a[0], false, at)),
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

pub(super) fn remapped(attrs: &Attrs, map: BTreeMap<Name, Attr>, at: Location) -> Value {
    Value::attrs(Attrs { map, open: openness(attrs, at), special: Special::None })
}

/// Why a set may have other attributes than those of its map: what is not known, or what nixpkgs gives it.
pub(super) fn openness(attrs: &Attrs, at: Location) -> Option<Rc<Unknown>> {
    let special = || {
        let message = "a set with attributes of nixpkgs or of a flake".into();
        Rc::new(Unknown { doubt: Doubt::Unmodelled, message, at: Some(at), name: None })
    };
    attrs.open.clone().or_else(|| (!attrs.special.is_none()).then(special))
}

/// Why a list that is made of a set may have other items: an attribute whose name a condition decides may not be there.
fn uncertainty(attrs: &Attrs, at: Location) -> Option<Rc<Unknown>> {
    openness(attrs, at).or_else(|| attrs.map.values().find_map(|attr| attr.maybe.clone()))
}

/// An attribute's value as an item of its own: something unknown may have replaced it.
pub(super) fn item_of(ev: &mut Eval, attr: &Attr) -> ThunkId {
    let Some(unknown) = attr.maybe.clone() else { return attr.thunk };
    let thunk = attr.thunk;
    ev.lazy(move |ev| {
        let value = ev.force(thunk);
        crate::eval::join(vec![value, Value::doubtful(unknown)])
    })
}

/// The names of the set itself: those that the model adds do not count.
fn names(attrs: &Attrs) -> Vec<Name> {
    attrs.map.keys().cloned().collect()
}

/// An attribute's name as a value; systems are marked, so that a body serves them all.
pub(super) fn name_value(name: &str) -> Value {
    if is_system(name) { Value::system(name) } else { Value::text(name) }
}

fn map_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let function = args[0];
    if ev.force(args[1]).as_unknown().is_some() {
        ev.leave(function);
    }
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut map = BTreeMap::new();
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            let thunk = later2(ev, function, key, attr.thunk, at);
            map.insert(Rc::clone(name), Attr { thunk, pos: None, maybe: attr.maybe.clone() });
        }
        remapped(attrs, map, at)
    })
}

fn map_attrs_renamed(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let items = mapped(ev, args[0], attrs, at);
        from_pairs(ev, &items, openness(attrs, at), at)
    })
}

/// What a function makes of each name and its value, when that is needed.
fn mapped(ev: &mut Eval, function: ThunkId, attrs: &Attrs, at: Location) -> Vec<ThunkId> {
    let mut items = Vec::new();
    for (name, attr) in &attrs.map {
        let key = ev.done(name_value(name));
        let item = item_of(ev, attr);
        items.push(later2(ev, function, key, item, at));
    }
    items
}

fn map_to_list(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let items = mapped(ev, args[0], attrs, at);
        Value::new(Kind::List(Rc::new(List { items, open: uncertainty(attrs, at) })))
    })
}

fn concat_map_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let lists = map_to_list(ev, args, at);
    let lists = ev.done(lists);
    merge_list(ev, &[lists], at)
}

fn attr_values(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[0], at, &mut |ev, attrs| {
        ev.budget.spend(Cost::Items(attrs.map.len()));
        let items = attrs.map.values().map(|attr| item_of(ev, attr)).collect();
        Value::new(Kind::List(Rc::new(List { items, open: uncertainty(attrs, at) })))
    })
}

fn attr_names(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_set(ev, args[0], at, &mut |ev, attrs| {
        let items = names(attrs).iter().map(|name| ev.done(name_value(name))).collect();
        Value::new(Kind::List(Rc::new(List { items, open: uncertainty(attrs, at) })))
    })
}

fn get_attr(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let set = ev.force(args[1]);
    let key = ev.force(args[0]);
    match key.known_text() {
        Some(name) => {
            if let Kind::Attrs(attrs) = &set.kind {
                ev.hide_others(attrs, &name, &key, at);
            }
            let member = ev.select(&set, &name, at);
            identified(member, &set, &name, at)
        }
        None => Value::unknown(Doubt::Unmodelled, "an attribute name is not known", Some(at)),
    }
}

fn has_attr(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let set = ev.force(args[1]);
    match (ev.force(args[0]).known_text(), &set.kind) {
        (Some(name), Kind::Attrs(attrs))
            if attrs.open.is_none() && attrs.special.is_none() && !attrs.may_lack(&name) =>
        {
            present(attrs.map.contains_key(&name), &set, &name)
        }
        (Some(name), _) => whether(&set, &[name], at),
        (None, _) => Value::unknown(Doubt::Unmodelled, "an attribute name is not known", Some(at)),
    }
}

fn list_to_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |ev, list| from_pairs(ev, &list.items.clone(), list.open.clone(), at))
}

/// `{ name; value; }` pairs as a set; the first of equal names wins.
fn from_pairs(ev: &mut Eval, items: &[ThunkId], open: Option<Rc<Unknown>>, at: Location) -> Value {
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
                if let Some(thunk) = thunk {
                    ev.leave(thunk);
                }
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
    let names = ev.force(args[0]);
    ev.each(names, &mut |ev, names| {
        if let Kind::List(list) = &names.kind {
            return gen_for_names(ev, list, args[1], at);
        }
        ev.leave(args[1]);
        let why = Value::doubtful(reason_of(&names, "a list is not known", at));
        gen_for_unknown(ev, args[1], &why, at)
    })
}

fn gen_for_names(ev: &mut Eval, list: &List, function: ThunkId, at: Location) -> Value {
    let mut set = Attrs { open: list.open.clone(), ..Attrs::default() };
    let mut shared = None;
    for item in &list.items {
        let name = ev.force(*item);
        let Some(text) = name.known_text() else {
            set.open.get_or_insert(reason_of(&name, "an attribute name is not known", at));
            let thunk = later(ev, function, *item, at);
            ev.leave(thunk);
            continue;
        };
        let thunk = if is_system(&text) {
            if !ev.systems.contains(&text) {
                ev.systems.push(Rc::clone(&text));
            }
            *shared.get_or_insert_with(|| {
                let name = ev.done(Value::system(&text));
                later(ev, function, name, at)
            })
        } else {
            later(ev, function, *item, at)
        };
        set.map.insert(text, Attr::new(thunk));
    }
    Value::attrs(set)
}

/// A list of names that is not known is, nearly always, a list of systems, as `import systems` (fixture
/// `flake-packages-per-system-function`).
fn gen_for_unknown(ev: &mut Eval, function: ThunkId, names: &Value, at: Location) -> Value {
    let name = ev.done(Value::any_system());
    let thunk = later(ev, function, name, at);
    let mut set = Attrs { open: Some(reason_of(names, "the names are not known", at)), ..Attrs::default() };
    set.map.insert(Rc::from("x86_64-linux"), Attr::new(thunk));
    Value::attrs(set)
}

fn filter_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let keep = args[0];
    on_set(ev, args[1], at, &mut |ev, attrs| {
        let mut open = openness(attrs, at);
        let mut map = BTreeMap::new();
        for (name, attr) in &attrs.map {
            let key = ev.done(name_value(name));
            let verdict = super::lists::call2(ev, keep, key, attr.thunk, at);
            match ev.decide(&verdict, [None, None]) {
                Some(false) => {
                    ev.hide(&verdict, at);
                    continue;
                }
                Some(true) => {}
                // Perhaps it is there: its value is known, and how many attributes there are is not.
                None => open = open.or_else(|| Some(reason_of(&verdict, "a condition is not known", at))),
            }
            map.insert(Rc::clone(name), attr.clone());
        }
        Value::attrs(Attrs { map, open, special: Special::None })
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
    on_set(ev, args[0], at, &mut |ev, attrs| {
        ev.budget.spend(Cost::Items(attrs.map.len()));
        let mut set = attrs.as_ref().clone();
        for name in &names {
            set.map.remove(name);
        }
        set.open = set.open.or_else(|| unwanted.open.clone());
        Value::attrs(set)
    })
}

fn intersect_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let left = ev.force(args[0]);
    on_set(ev, args[1], at, &mut |ev, right| match &left.kind {
        Kind::Attrs(left) => {
            ev.budget.spend(Cost::Items(right.map.len()));
            let map = right
                .map
                .iter()
                .filter(|(name, _)| left.map.contains_key(*name))
                .map(|(n, a)| (Rc::clone(n), a.clone()))
                .collect();
            let open = openness(right, at).or_else(|| openness(left, at));
            Value::attrs(Attrs { map, open, special: Special::None })
        }
        _ => Value::doubtful(reason_of(&left, "a set is not known", at)),
    })
}

fn optional_attrs(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let [condition, argument] = [args[0], args[1]];
    ev.given_where(condition, argument, Value::attrs(Attrs::default()), at, |ev| ev.force(argument))
}

/// `lib.recursiveUpdate`: what both have as sets is merged in turn, of everything else the right one counts.
pub fn recursive_update(ev: &mut Eval, left: &Value, right: &Value, at: Location) -> Value {
    let (left, right) = (left.clone(), right.clone());
    ev.each(left, &mut |ev, left| {
        let right = right.clone();
        ev.each(right, &mut |ev, right| match (&left.kind, &right.kind) {
            (Kind::Attrs(l), Kind::Attrs(r)) => recursive_merge(ev, l, r, at),
            _ => ev.update(left.clone(), &right, at),
        })
    })
}

fn recursive_merge(ev: &mut Eval, l: &Attrs, r: &Attrs, at: Location) -> Value {
    ev.budget.spend(Cost::Items(l.map.len() + r.map.len()));
    let mut set = crate::eval::merge(l, r);
    for (name, attr) in &r.map {
        let Some(former) = l.map.get(name) else { continue };
        let (former, latter) = (item_of(ev, former), attr.thunk);
        let thunk = ev.lazy(move |ev| {
            let latter = ev.force(latter);
            ev.each(latter, &mut |ev, latter| {
                if !matches!(latter.kind, Kind::Attrs(_)) {
                    return latter;
                }
                let former = ev.force(former);
                ev.each(former, &mut |ev, former| match former.kind {
                    Kind::Attrs(_) => recursive_update(ev, &former, &latter, at),
                    // Perhaps it is a set, with attributes that the right one lacks.
                    Kind::Unknown(_) => ev.update(former, &latter, at),
                    _ => latter.clone(),
                })
            })
        });
        set.map.insert(Rc::clone(name), Attr { thunk, pos: attr.pos, maybe: attr.maybe.clone() });
    }
    Value::attrs(set)
}

/// The same set, with the word to `nix-env` whether to look into it.
fn recurse(ev: &mut Eval, set: ThunkId, flag: bool, at: Location) -> Value {
    let set = ev.force(set);
    let flag = ev.done(Value::bool(flag));
    let mark = Value::attrs(Attrs::of([(Rc::from("recurseForDerivations"), flag)]));
    ev.update(set, &mark, at)
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
