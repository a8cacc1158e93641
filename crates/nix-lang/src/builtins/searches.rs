//! Questions about lists, and lists made smaller.

use std::collections::HashSet;
use std::rc::Rc;

use super::lists::{list, on_list, rebuilt};
use super::{Native, builtin, lib};
use crate::budget::Cost;
use crate::eval::{Eval, contained, reason_of};
use crate::syntax::ast::Location;
use crate::value::{Doubt, Kind, List, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    builtin("elem", 2, elem),
    builtin("elemAt", 2, elem_at),
    builtin("head", 1, |ev, a, at| nth(ev, a[0], 0, at)),
    lib("last", 1, last),
    builtin("length", 1, length),
    builtin("any", 2, |ev, a, at| quantify(ev, a, at, true)),
    builtin("all", 2, |ev, a, at| quantify(ev, a, at, false)),
    lib("unique", 1, unique),
    lib("findFirst", 3, find_first),
    lib("take", 2, |ev, a, at| slice(ev, a, at, true)),
    lib("drop", 2, |ev, a, at| slice(ev, a, at, false)),
    lib("subtractLists", 2, subtract),
    lib("remove", 2, remove),
];

fn elem(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let needle = ev.force(args[0]);
    let whole = ev.force(args[1]);
    on_list(ev, args[1], at, &mut |ev, list| match is_among(ev, &needle, &list.items, at) {
        Some(found) if found || list.open.is_none() => {
            let first = list.items.first().map(|item| ev.force(*item));
            contained(found, &needle, &whole, first.as_ref(), at)
        }
        _ => Value::unknown(Doubt::Unmodelled, "whether a list has an item is not known", Some(at)),
    })
}

fn elem_at(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match ev.force(args[1]).kind {
        Kind::Int(index) => nth(ev, args[0], usize::try_from(index).unwrap_or(usize::MAX), at),
        _ => Value::unknown(Doubt::Unmodelled, "an index is not known", Some(at)),
    }
}

fn nth(ev: &mut Eval, id: ThunkId, index: usize, at: Location) -> Value {
    on_list(ev, id, at, &mut |ev, list| pick(ev, list, list.items.get(index), at))
}

fn last(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |ev, list| pick(ev, list, list.items.last(), at))
}

/// An item by its place; of an open list no place is known.
fn pick(ev: &mut Eval, list: &List, item: Option<&ThunkId>, at: Location) -> Value {
    match (&list.open, item) {
        (Some(unknown), _) => Value::doubtful(Rc::clone(unknown)),
        (None, Some(item)) => ev.force(*item),
        (None, None) => Value::unknown(Doubt::Error, "a list is too short", Some(at)),
    }
}

fn length(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |_, list| match &list.open {
        None => Value::new(Kind::Int(i64::try_from(list.items.len()).unwrap_or(i64::MAX))),
        Some(unknown) => Value::doubtful(Rc::clone(unknown)),
    })
}

fn quantify(ev: &mut Eval, args: &[ThunkId], at: Location, stop: bool) -> Value {
    let test = ev.force(args[0]);
    on_list(ev, args[1], at, &mut |ev, list| {
        let mut known = list.open.is_none();
        let mut trail = None;
        for item in &list.items {
            let verdict = ev.apply(&test, *item, at);
            match crate::value::truth(&verdict) {
                Some(value) if value == stop => return verdict,
                Some(_) => trail = trail.or(verdict.trail),
                None => known = false,
            }
        }
        if known {
            Value { kind: Kind::Bool(!stop), trail }
        } else {
            Value::unknown(Doubt::Unmodelled, "a condition is not known", Some(at))
        }
    })
}

fn unique(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |ev, list| {
        let mut distinct = List { items: Vec::new(), open: list.open.clone() };
        // Nearly all lists are of texts, and long ones surely are.
        let mut texts: HashSet<Rc<str>> = HashSet::new();
        for item in &list.items {
            let value = ev.force(*item);
            let others = distinct.items.len() - texts.len();
            let text = value.known_text();
            let verdict = match &text {
                Some(text) if texts.contains(text) => Some(true),
                Some(_) if others == 0 => Some(false),
                _ => is_among(ev, &value, &distinct.items.clone(), at),
            };
            match verdict {
                Some(true) => continue,
                Some(false) => {}
                None => distinct.leave_open(reason_of(&value, "a comparison is not known", at)),
            }
            texts.extend(text);
            distinct.items.push(*item);
        }
        Value::new(Kind::List(Rc::new(distinct)))
    })
}

/// Whether a value is equal to one of the items; each comparison is paid for.
fn is_among(ev: &mut Eval, value: &Value, items: &[ThunkId], at: Location) -> Option<bool> {
    ev.budget.charge(Cost::Items(items.len()), Some(at)).ok()?;
    let mut known = true;
    for item in items {
        let item = ev.force(*item);
        match ev.equal(value, &item, 0) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = false,
        }
    }
    known.then_some(false)
}

fn find_first(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let test = ev.force(args[0]);
    on_list(ev, args[2], at, &mut |ev, list| {
        // In an open list another item may come before all of these.
        if let Some(unknown) = &list.open {
            return Value::doubtful(Rc::clone(unknown));
        }
        for item in &list.items {
            let verdict = ev.apply(&test, *item, at);
            match ev.decide(&verdict, [None, None]) {
                Some(true) => return ev.force(*item),
                Some(false) => {}
                None => return Value::doubtful(reason_of(&verdict, "a condition is not known", at)),
            }
        }
        ev.force(args[1])
    })
}

fn slice(ev: &mut Eval, args: &[ThunkId], at: Location, take: bool) -> Value {
    let Kind::Int(count) = ev.force(args[0]).kind else {
        return Value::unknown(Doubt::Unmodelled, "a length is not known", Some(at));
    };
    let Ok(count) = usize::try_from(count) else {
        return crate::eval::error("a negative length", at);
    };
    on_list(ev, args[1], at, &mut |ev, list| {
        ev.budget.spend(Cost::Items(list.items.len()));
        if list.open.is_some() {
            return rebuilt(list, list.items.clone());
        }
        let middle = count.min(list.items.len());
        let (head, tail) = list.items.split_at(middle);
        rebuilt(list, if take { head.to_vec() } else { tail.to_vec() })
    })
}

fn subtract(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let unwanted = match list(ev, args[0], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    on_list(ev, args[1], at, &mut |ev, list| {
        let mut left = List { items: Vec::new(), open: list.open.clone() };
        for item in &list.items {
            let value = ev.force(*item);
            let verdict =
                is_among(ev, &value, &unwanted.items, at).filter(|found| *found || unwanted.open.is_none());
            match verdict {
                Some(true) => continue,
                Some(false) => {}
                None => left.leave_open(reason_of(&value, "whether a list has an item is not known", at)),
            }
            left.items.push(*item);
        }
        Value::new(Kind::List(Rc::new(left)))
    })
}

fn remove(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let unwanted = Value::list(vec![args[0]]);
    let unwanted = ev.done(unwanted);
    subtract(ev, &[unwanted, args[1]], at)
}
