//! Order: sorting, versions, numbers.

use std::cmp::Ordering;
use std::rc::Rc;

use super::lists::{call2, on_list, rebuilt};
use super::{Native, builtin, lib};
use crate::eval::{Eval, leaf_outside, less, reason_of};
use crate::syntax::ast::Location;
use crate::value::{Doubt, Flip, Instead, Kind, List, ThunkId, Unknown, Value, truth};

pub(super) const TABLE: &[Native] = &[
    builtin("sort", 2, sort),
    lib("naturalSort", 1, natural_sort),
    builtin("compareVersions", 2, |ev, a, at| {
        versions(ev, a, at, |order| {
            Value::new(Kind::Int(match order {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            }))
        })
    }),
    lib("versionOlder", 2, |ev, a, at| versions(ev, a, at, |order| Value::bool(order.is_lt()))),
    lib("versionAtLeast", 2, |ev, a, at| versions(ev, a, at, |order| Value::bool(order.is_ge()))),
    builtin("splitVersion", 1, split_version),
    builtin("lessThan", 2, less_than),
    builtin("add", 2, |ev, a, at| numbers(ev, a, at, i64::checked_add)),
    builtin("sub", 2, |ev, a, at| numbers(ev, a, at, i64::checked_sub)),
    builtin("mul", 2, |ev, a, at| numbers(ev, a, at, i64::checked_mul)),
    builtin("div", 2, |ev, a, at| numbers(ev, a, at, i64::checked_div)),
    lib("min", 2, |ev, a, at| numbers(ev, a, at, |x, y| Some(x.min(y)))),
    lib("max", 2, |ev, a, at| numbers(ev, a, at, |x, y| Some(x.max(y)))),
];

/// The items in another order that is not known: none of them has a place.
fn disordered(list: &List, items: Vec<ThunkId>, why: Rc<Unknown>) -> Value {
    let mut all = List { items, open: list.open.clone() };
    all.leave_open(why);
    Value::new(Kind::List(Rc::new(all)))
}

/// `builtins.sort`: stable, as far as every comparison is known.
fn sort(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let before = args[0];
    on_list(ev, args[1], at, &mut |ev, list| {
        if list.open.is_some() {
            return rebuilt(list, list.items.clone());
        }
        match merge_sort(ev, &list.items, before, at) {
            Ok(sorted) => rebuilt(list, sorted),
            Err(why) => disordered(list, list.items.clone(), why),
        }
    })
}

/// Sorts runs of growing length; the first comparison that is not known ends it.
fn merge_sort(
    ev: &mut Eval,
    items: &[ThunkId],
    before: ThunkId,
    at: Location,
) -> Result<Vec<ThunkId>, Rc<Unknown>> {
    // By hand: `slice::sort_by` takes no comparison that fails, and may panic where one is no order. This one is code of
    // the repository.
    let mut sorted = items.to_vec();
    let mut run = 1;
    while run < sorted.len() {
        let mut next = Vec::with_capacity(sorted.len());
        for pair in sorted.chunks(2 * run) {
            let (left, right) = pair.split_at(run.min(pair.len()));
            merge_runs(ev, [left, right], before, at, &mut next)?;
        }
        sorted = next;
        run *= 2;
    }
    Ok(sorted)
}

fn merge_runs(
    ev: &mut Eval,
    runs: [&[ThunkId]; 2],
    before: ThunkId,
    at: Location,
    sorted: &mut Vec<ThunkId>,
) -> Result<(), Rc<Unknown>> {
    let [mut left, mut right] = runs;
    while let (Some((a, more_left)), Some((b, more_right))) = (left.split_first(), right.split_first()) {
        // Asked this way round equal items keep their order, as they do in Nix.
        let verdict = call2(ev, before, *b, *a, at);
        match truth(&verdict) {
            Some(true) => {
                sorted.push(*b);
                right = more_right;
            }
            Some(false) => {
                sorted.push(*a);
                left = more_left;
            }
            None => return Err(reason_of(&verdict, "a comparison is not known", at)),
        }
    }
    sorted.extend(left.iter().chain(right));
    Ok(())
}

/// `lib.naturalSort`: numbers inside of texts count as numbers.
fn natural_sort(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    on_list(ev, args[0], at, &mut |ev, list| {
        let keys: Option<Vec<(Vec<NaturalPart>, ThunkId)>> = list
            .items
            .iter()
            .map(|item| Some((natural_parts(&ev.force(*item).known_text()?)?, *item)))
            .collect();
        match keys {
            Some(mut keys) if list.open.is_none() => {
                keys.sort_by(|(a, _), (b, _)| a.cmp(b));
                rebuilt(list, keys.into_iter().map(|(_, item)| item).collect())
            }
            _ => {
                let why = Value::unknown(Doubt::Unmodelled, "a comparison is not known", Some(at));
                disordered(list, list.items.clone(), reason_of(&why, "", at))
            }
        }
    })
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum NaturalPart {
    Text(String),
    Number(u64),
}

/// Texts and numbers in turn; `None` for numbers with leading zeros, which are several numbers.
fn natural_parts(text: &str) -> Option<Vec<NaturalPart>> {
    let mut parts = vec![NaturalPart::Text(String::new())];
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if end > 1 && first == '0' {
                return None;
            }
            parts.push(NaturalPart::Number(rest[..end].parse().ok()?));
            parts.push(NaturalPart::Text(String::new()));
            rest = &rest[end..];
        } else {
            if let Some(NaturalPart::Text(text)) = parts.last_mut() {
                text.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    Some(parts)
}

fn versions(ev: &mut Eval, args: &[ThunkId], at: Location, answer: fn(Ordering) -> Value) -> Value {
    let (a, b) = (ev.force(args[0]), ev.force(args[1]));
    match (a.known_text(), b.known_text()) {
        (Some(x), Some(y)) => {
            let value = answer(compare_versions(&x, &y));
            turned(value, [&a, &b], [&x, &y], at, answer)
        }
        (None, _) => Value::doubtful(reason_of(&a, "a version is not known", at)),
        _ => Value::doubtful(reason_of(&b, "a version is not known", at)),
    }
}

/// The answer with the version that would turn it: the one that it is held against, or one before or after all others
/// (fixture `flag-is-a-version`).
fn turned(
    value: Value,
    values: [&Value; 2],
    texts: [&str; 2],
    here: Location,
    answer: fn(Ordering) -> Value,
) -> Value {
    for variable in 0..2 {
        let Some(leaf) = leaf_outside(values[variable], here) else { continue };
        let constant = texts[1 - variable];
        let turns = |version: &&str| {
            let mut other = texts;
            other[variable] = version;
            !is_same(&answer(compare_versions(other[0], other[1])), &value)
        };
        if let Some(version) = [constant, "0", "9999"].into_iter().find(turns) {
            return value.turned_by(Flip { leaf, to: Instead::Text(Rc::from(version)) });
        }
    }
    value
}

fn is_same(a: &Value, b: &Value) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Bool(a), Kind::Bool(b)) => a == b,
        (Kind::Int(a), Kind::Int(b)) => a == b,
        _ => false,
    }
}

/// Versions as Nix compares them, component by component.
fn compare_versions(a: &str, b: &str) -> Ordering {
    let (a, b) = (components(a), components(b));
    for place in 0..a.len().max(b.len()) {
        let (x, y) = (a.get(place).copied().unwrap_or(""), b.get(place).copied().unwrap_or(""));
        if is_older(x, y) {
            return Ordering::Less;
        }
        if is_older(y, x) {
            return Ordering::Greater;
        }
    }
    Ordering::Equal
}

pub(super) fn components(version: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = version.trim_start_matches(['.', '-']);
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end =
            rest.find(|c: char| c == '.' || c == '-' || c.is_ascii_digit() != digits).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(['.', '-']);
    }
    parts
}

/// Nix reads 32 bits: a date with its time (`20240101123456`) is compared as text.
fn is_older(a: &str, b: &str) -> bool {
    let (x, y) = (a.parse::<i32>().ok(), b.parse::<i32>().ok());
    match (x, y) {
        (Some(x), Some(y)) => x < y,
        (None, Some(_)) if a.is_empty() => true,
        _ if a == "pre" && b != "pre" => true,
        _ if b == "pre" => false,
        (None, Some(_)) => true,
        (Some(_), None) => false,
        (None, None) => a < b,
    }
}

fn split_version(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    match value.known_text() {
        Some(text) => Value::list(components(&text).iter().map(|part| ev.done(Value::text(part))).collect()),
        None => Value::doubtful(reason_of(&value, "a version is not known", at)),
    }
}

fn less_than(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (a, b) = (ev.force(args[0]), ev.force(args[1]));
    less(ev, &a, &b, at)
}

fn numbers(ev: &mut Eval, args: &[ThunkId], at: Location, run: fn(i64, i64) -> Option<i64>) -> Value {
    match (ev.force(args[0]).kind, ev.force(args[1]).kind) {
        (Kind::Int(x), Kind::Int(y)) => match run(x, y) {
            Some(number) => Value::new(Kind::Int(number)),
            None => Value::unknown(Doubt::Error, "arithmetic without a result", Some(at)),
        },
        _ => Value::unknown(Doubt::Unmodelled, "a number is not known", Some(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_nix_has_them() {
        for (a, b, order) in [
            ("1.10", "1.9", Ordering::Greater),
            ("1.0", "1.0.0", Ordering::Less),
            ("2.3a", "2.3.1", Ordering::Less),
            ("2.3pre1", "2.3", Ordering::Less),
            ("1-2", "1.2", Ordering::Equal),
            ("", "", Ordering::Equal),
        ] {
            assert_eq!(compare_versions(a, b), order, "{a} and {b}");
        }
    }
}
