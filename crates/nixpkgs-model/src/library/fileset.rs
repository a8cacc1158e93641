//! `lib.fileset`.

use std::rc::Rc;

use nix_lang::eval::{Eval, Native, reason_of};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Fileset, Filter};
use nix_lang::value::{Attrs, Kind, Special, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    Native::new("fileset.toSource", 1, to_source),
    Native::new("fileset.union", 2, |ev, a, at| binary(ev, a, at, |a, b| Fileset::Union(vec![a, b]))),
    Native::new("fileset.unions", 1, unions),
    Native::new("fileset.intersection", 2, |ev, a, at| binary(ev, a, at, Fileset::Intersection)),
    Native::new("fileset.difference", 2, |ev, a, at| binary(ev, a, at, Fileset::Difference)),
    Native::new("fileset.maybeMissing", 1, |ev, a, at| single(ev, a[0], at)),
    Native::new("fileset.gitTracked", 1, |ev, a, at| single(ev, a[0], at)),
    Native::new("fileset.gitTrackedWith", 2, |ev, a, at| single(ev, a[1], at)),
    Native::new("fileset.fromSource", 1, from_source),
    Native::new("fileset.fileFilter", 2, file_filter),
    Native::new("fileset.trace", 2, |ev, a, _| ev.force(a[1])),
    Native::new("fileset.traceVal", 1, |ev, a, _| ev.force(a[0])),
];

fn value(set: Fileset) -> Value {
    Value::attrs(Attrs::special(Special::of(set)))
}

/// A path is a set of files too.
fn set_of(ev: &mut Eval, id: ThunkId, at: Location) -> Rc<Fileset> {
    let value = ev.force(id);
    of_value(ev, &value, at)
}

fn of_value(ev: &mut Eval, value: &Value, at: Location) -> Rc<Fileset> {
    match &value.kind {
        Kind::Attrs(attrs) => match attrs.special.shared::<Fileset>() {
            Some(set) => set,
            None => source_set(ev, value, at),
        },
        Kind::Path(path) => Rc::new(Fileset::Path(path.as_ref().clone())),
        _ => Rc::new(Fileset::Unknown),
    }
}

/// A source with filters holds whatever the filters keep.
fn source_set(ev: &mut Eval, value: &Value, at: Location) -> Rc<Fileset> {
    let source = ev.source_of(value, at);
    match source.local_path() {
        Some(path) if source.filters.is_empty() => Rc::new(Fileset::Path(path)),
        _ => Rc::new(Fileset::Unknown),
    }
}

fn single(ev: &mut Eval, id: ThunkId, at: Location) -> Value {
    let set = set_of(ev, id, at);
    value(set.as_ref().clone())
}

fn binary(
    ev: &mut Eval,
    args: &[ThunkId],
    at: Location,
    make: fn(Rc<Fileset>, Rc<Fileset>) -> Fileset,
) -> Value {
    let a = set_of(ev, args[0], at);
    let b = set_of(ev, args[1], at);
    value(make(a, b))
}

fn unions(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = ev.force(args[0]);
    let Kind::List(list) = &list.kind else { return value(Fileset::Unknown) };
    let mut sets: Vec<Rc<Fileset>> = list.items.iter().map(|item| set_of(ev, *item, at)).collect();
    // Another item can only add files: what the others have is in the union all the same.
    if list.open.is_some() {
        sets.push(Rc::new(Fileset::Unknown));
    }
    value(Fileset::Union(sets))
}

fn from_source(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    value(source_set(ev, &given, at).as_ref().clone())
}

/// A predicate over files: the files below its root, as far as one can know.
fn file_filter(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let root = set_of(ev, args[1], at);
    value(Fileset::Intersection(root, Rc::new(Fileset::Predicate(args[0]))))
}

fn to_source(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let root = ev.select(&given, "root", at);
        let set = ev.select(&given, "fileset", at);
        let filters = match &set.kind {
            Kind::Alt(sets) => {
                sets.iter().map(|set| of_value(ev, set, at)).reduce(|_, _| Rc::new(Fileset::Unknown))
            }
            _ => Some(of_value(ev, &set, at)),
        };
        ev.each(root, &mut |ev, root| {
            if root.as_unknown().is_some() {
                return Value::doubtful(reason_of(&root, "the root of a source is not known", at));
            }
            let source = ev.source_of(&root, at).named(Some(Rc::from("source")));
            let set = filters.clone().unwrap_or_else(|| Rc::new(Fileset::Unknown));
            source.filtered(Filter::Fileset(set), at, "`lib.fileset.toSource`").value()
        })
    })
}
