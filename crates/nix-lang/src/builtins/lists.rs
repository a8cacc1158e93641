//! Lists.

use std::rc::Rc;

use super::{Native, builtin, global, lib};
use crate::budget::Cost;
use crate::eval::{Eval, reason_of};
use crate::syntax::ast::Location;
use crate::value::{Doubt, Kind, List, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    global("map", 2, map),
    lib("forEach", 2, |ev, a, at| map(ev, &[a[1], a[0]], at)),
    builtin("filter", 2, filter),
    builtin("foldl'", 3, fold_left),
    lib("foldl", 3, fold_left),
    lib("foldr", 3, fold_right),
    lib("fold", 3, fold_right),
    builtin("tail", 1, |ev, a, at| {
        with_items(ev, a[0], at, |items| items.split_first().map(|(_, tail)| tail.to_vec()))
    }),
    lib("init", 1, |ev, a, at| {
        with_items(ev, a[0], at, |items| items.split_last().map(|(_, init)| init.to_vec()))
    }),
    builtin("concatLists", 1, |ev, a, at| concat(ev, a[0], at)),
    builtin("concatMap", 2, concat_map),
    lib("flatten", 1, flatten),
    builtin("genList", 2, gen_list),
    lib("range", 2, range),
    lib("optional", 2, |ev, a, at| optional(ev, a, true, at)),
    lib("optionals", 2, |ev, a, at| optional(ev, a, false, at)),
    lib("singleton", 1, |_, a, _| Value::list(vec![a[0]])),
    lib("toList", 1, to_list),
    lib("reverseList", 1, |ev, a, at| {
        with_items(ev, a[0], at, |items| Some(items.iter().rev().copied().collect()))
    }),
    lib("imap0", 2, |ev, a, at| imap(ev, a, at, 0)),
    lib("imap1", 2, |ev, a, at| imap(ev, a, at, 1)),
    lib("zipListsWith", 3, zip_with),
];

/// A list argument, or the value to answer instead.
pub(super) fn list(ev: &mut Eval, id: ThunkId, at: Location) -> Result<Rc<List>, Value> {
    let value = ev.force(id);
    match &value.kind {
        Kind::List(list) => Ok(Rc::clone(list)),
        _ => Err(Value::doubtful(reason_of(&value, "a list is not known", at))),
    }
}

/// A list argument that is known to the last item, or the value to answer instead.
pub(super) fn whole(ev: &mut Eval, id: ThunkId, at: Location) -> Result<Rc<List>, Value> {
    let list = list(ev, id, at)?;
    match &list.open {
        Some(unknown) => Err(Value::doubtful(Rc::clone(unknown))),
        None => Ok(list),
    }
}

/// The known texts of a whole list.
pub(super) fn texts(ev: &mut Eval, id: ThunkId, at: Location) -> Option<Vec<Rc<str>>> {
    let list = whole(ev, id, at).ok()?;
    list.items.iter().map(|item| ev.force(*item).known_text()).collect()
}

pub(super) fn rebuilt(list: &List, items: Vec<ThunkId>) -> Value {
    Value::new(Kind::List(Rc::new(List { items, open: list.open.clone() })))
}

/// Runs on a list, or on each alternative of several.
pub(super) fn on_list(
    ev: &mut Eval,
    id: ThunkId,
    at: Location,
    run: &mut dyn FnMut(&mut Eval, &List) -> Value,
) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| match &value.kind {
        Kind::List(list) => run(ev, list),
        _ => Value::doubtful(reason_of(&value, "a list is not known", at)),
    })
}

/// Runs on the items of a list; of an open one, it is not known which items are first or last. `None` is an error: the
/// list is too short.
pub(super) fn with_items(
    ev: &mut Eval,
    id: ThunkId,
    at: Location,
    change: fn(&[ThunkId]) -> Option<Vec<ThunkId>>,
) -> Value {
    on_list(ev, id, at, &mut |ev, list| {
        if let Err(over) = ev.budget.charge(Cost::Items(list.items.len()), Some(at)) {
            return over.value();
        }
        match &list.open {
            Some(_) => rebuilt(list, list.items.clone()),
            None => match change(&list.items) {
                Some(items) => rebuilt(list, items),
                None => crate::eval::error("a list is too short", at),
            },
        }
    })
}

pub(super) fn map(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let function = args[0];
    let value = ev.force(args[1]);
    if let Kind::Unknown(_) = &value.kind {
        // The function may hold derivations even where its arguments are not known.
        ev.leave(function);
    }
    on_list(ev, args[1], at, &mut |ev, list| {
        let items = list.items.iter().map(|item| later(ev, function, *item, at)).collect();
        rebuilt(list, items)
    })
}

/// `f x`, when it is needed.
pub(super) fn later(ev: &mut Eval, function: ThunkId, item: ThunkId, at: Location) -> ThunkId {
    ev.lazy(move |ev| {
        let function = ev.force(function);
        ev.apply(&function, item, at)
    })
}

/// `f x y`, when it is needed.
pub(super) fn later2(
    ev: &mut Eval,
    function: ThunkId,
    first: ThunkId,
    second: ThunkId,
    at: Location,
) -> ThunkId {
    ev.lazy(move |ev| call2(ev, function, first, second, at))
}

/// `f x y`.
pub(super) fn call2(
    ev: &mut Eval,
    function: ThunkId,
    first: ThunkId,
    second: ThunkId,
    at: Location,
) -> Value {
    let function = ev.force(function);
    let half = ev.apply(&function, first, at);
    ev.apply(&half, second, at)
}

fn filter(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let keep = ev.force(args[0]);
    on_list(ev, args[1], at, &mut |ev, list| {
        let mut kept = List { items: Vec::new(), open: list.open.clone() };
        for item in &list.items {
            let verdict = ev.apply(&keep, *item, at);
            match ev.decide(&verdict, [None, None]) {
                Some(false) => {
                    ev.hide(&verdict, at);
                    continue;
                }
                Some(true) => {}
                // Perhaps it is in the list.
                None => kept.leave_open(reason_of(&verdict, "a condition is not known", at)),
            }
            kept.items.push(*item);
        }
        Value::new(Kind::List(Rc::new(kept)))
    })
}

fn fold_left(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = match list(ev, args[2], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    let mut sum = args[1];
    for item in &list.items {
        let value = call2(ev, args[0], sum, *item, at);
        sum = ev.done(value);
    }
    finish_fold(ev, &list, sum, at)
}

fn fold_right(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = match list(ev, args[2], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    let mut sum = args[1];
    // Lazily, from the end: a function that does not ask for the rest ends a `foldr` early, which no `foldl'` does.
    for item in list.items.iter().rev() {
        sum = later2(ev, args[0], *item, sum, at);
    }
    finish_fold(ev, &list, sum, at)
}

fn finish_fold(ev: &mut Eval, list: &List, sum: ThunkId, at: Location) -> Value {
    let value = ev.force(sum);
    match &list.open {
        Some(unknown) => {
            let other = Value::doubtful(Rc::clone(unknown));
            ev.update(value, &other, at)
        }
        None => value,
    }
}

/// `builtins.concatLists`.
pub fn concat(ev: &mut Eval, id: ThunkId, at: Location) -> Value {
    on_list(ev, id, at, &mut |ev, list| {
        let mut all = List { items: Vec::new(), open: list.open.clone() };
        for item in &list.items {
            let inner = ev.force(*item);
            let options = match &inner.kind {
                Kind::Alt(values) => {
                    all.leave_open(reason_of(&inner, "which list it is depends on a condition", at));
                    values.as_ref().clone()
                }
                _ => vec![inner],
            };
            for inner in options {
                match &inner.kind {
                    Kind::List(inner) => {
                        if let Err(over) = ev.budget.charge(Cost::Items(inner.items.len()), Some(at)) {
                            return over.value();
                        }
                        all.items.extend(&inner.items);
                        all.open = all.open.or_else(|| inner.open.clone());
                    }
                    _ => all.open = Some(reason_of(&inner, "a list is not known", at)),
                }
            }
        }
        Value::new(Kind::List(Rc::new(all)))
    })
}

fn concat_map(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let mapped = map(ev, args, at);
    let mapped = ev.done(mapped);
    concat(ev, mapped, at)
}

fn flatten(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let mut all = List::default();
    flatten_into(ev, args[0], &mut all, at, 0);
    Value::new(Kind::List(Rc::new(all)))
}

fn flatten_into(ev: &mut Eval, id: ThunkId, all: &mut List, at: Location, depth: u32) {
    let value = ev.force(id);
    match &value.kind {
        Kind::List(list) if depth < 20 => {
            all.open = all.open.take().or_else(|| list.open.clone());
            ev.budget.spend(Cost::Items(list.items.len()));
            for item in list.items.clone() {
                flatten_into(ev, item, all, at, depth + 1);
            }
        }
        Kind::Unknown(_) | Kind::Alt(_) | Kind::List(_) => {
            all.leave_open(reason_of(&value, "whether it is a list is not known", at));
            all.items.push(id);
        }
        _ => all.items.push(id),
    }
}

fn gen_list(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match ev.force(args[1]).kind {
        Kind::Int(count) if count >= 0 => {
            let wanted = usize::try_from(count).unwrap_or(usize::MAX);
            if let Err(over) = ev.budget.charge(Cost::Items(wanted), Some(at)) {
                return over.value();
            }
            let items = (0..count)
                .map(|i| {
                    let index = ev.done(Value::new(Kind::Int(i)));
                    later(ev, args[0], index, at)
                })
                .collect();
            Value::list(items)
        }
        _ => Value::unknown(Doubt::Unmodelled, "a length is not known", Some(at)),
    }
}

fn range(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    match (ev.force(args[0]).kind, ev.force(args[1]).kind) {
        (Kind::Int(from), Kind::Int(to)) => {
            let wanted = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
            if let Err(over) = ev.budget.charge(Cost::Items(wanted), Some(at)) {
                return over.value();
            }
            Value::list((from..=to).map(|i| ev.done(Value::new(Kind::Int(i)))).collect())
        }
        _ => Value::unknown(Doubt::Unmodelled, "a range is not known", Some(at)),
    }
}

fn optional(ev: &mut Eval, args: &[ThunkId], wrap: bool, at: Location) -> Value {
    let [condition, argument] = [args[0], args[1]];
    ev.given_where(condition, argument, Value::list(Vec::new()), at, |ev| {
        if wrap { Value::list(vec![argument]) } else { ev.force(argument) }
    })
}

fn to_list(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |ev, value| match &value.kind {
        Kind::List(_) | Kind::Unknown(_) => value,
        _ => Value::list(vec![ev.done(value)]),
    })
}

fn imap(ev: &mut Eval, args: &[ThunkId], at: Location, first: i64) -> Value {
    on_list(ev, args[1], at, &mut |ev, list| {
        let items = list
            .items
            .iter()
            .zip(first..)
            .map(|(item, index)| {
                // In an open list no item has a place.
                let index = match &list.open {
                    Some(unknown) => Value::doubtful(Rc::clone(unknown)),
                    None => Value::new(Kind::Int(index)),
                };
                let index = ev.done(index);
                later2(ev, args[0], index, *item, at)
            })
            .collect();
        rebuilt(list, items)
    })
}

fn zip_with(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let second = match whole(ev, args[2], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    on_list(ev, args[1], at, &mut |ev, first| {
        if let Some(unknown) = &first.open {
            return Value::doubtful(Rc::clone(unknown));
        }
        let items =
            first.items.iter().zip(&second.items).map(|(a, b)| later2(ev, args[0], *a, *b, at)).collect();
        rebuilt(first, items)
    })
}
