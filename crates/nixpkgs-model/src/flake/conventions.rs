//! Functions of well-known flakes, recognised by name.

use std::rc::Rc;

use nix_lang::eval::{Eval, Native};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Attr, Attrs, Kind, ThunkId, Value};

use crate::packages::DEFAULT_SYSTEMS;

/// Functions that flakes have by convention.
pub const TABLE: &[Native] = &[
    Native::new("eachDefaultSystem", 1, |ev, a, at| each_system(ev, None, a[0], at)),
    Native::new("eachSystem", 2, |ev, a, at| each_system(ev, Some(a[0]), a[1], at)),
    Native::new("eachSystemPassThrough", 2, |ev, a, at| each_system(ev, Some(a[0]), a[1], at)),
    Native::new("eachDefaultSystemPassThrough", 1, |ev, a, at| each_system(ev, None, a[0], at)),
    Native::new("eachDefaultSystemMap", 1, |ev, a, at| system_map(ev, None, a[0], at)),
    Native::new("eachSystemMap", 2, |ev, a, at| system_map(ev, Some(a[0]), a[1], at)),
    Native::new("simpleFlake", 1, simple_flake),
    Native::new("importApply", 2, import_apply),
    Native::new("mkFlake", 2, super::parts::parts),
    Native::new("flattenTree", 1, |ev, a, _| ev.force(a[0])),
    // An app is no derivation, but holds one: `mkApp { drv = ...; }`.
    Native::new("mkApp", 1, |ev, a, _| ev.force(a[0])),
];

/// Functions of `lib` and of nixpkgs that flakes pass on under their names.
const PASSED_ON: &[&str] = &[
    "gitignoreSource",
    "gitignoreSourceWith",
    "genAttrs",
    "cleanSource",
    "cleanSourceWith",
    "makeOverridable",
    "recursiveUpdate",
];

/// Members of sets from outside that mean the same everywhere.
pub(crate) fn by_convention(ev: &Eval, name: &str) -> Option<Value> {
    let known = TABLE.iter().any(|own| own.name == name) || PASSED_ON.contains(&name);
    if known { ev.native(name) } else { None }
}

/// `flake-parts-lib.importApply file arguments`.
fn import_apply(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let file = ev.force(args[0]);
    let function = ev.import(&file, at);
    ev.apply(&function, args[1], at)
}

/// The systems that stand for all: the given ones, else the usual ones.
fn systems(ev: &mut Eval, list: Option<ThunkId>) -> Vec<Rc<str>> {
    let mut names = Vec::new();
    if let Some(list) = list
        && let Kind::List(list) = ev.force(list).kind
    {
        for item in &list.items {
            names.extend(ev.force(*item).known_text());
        }
    }
    if names.is_empty() {
        names = DEFAULT_SYSTEMS.map(Rc::from).to_vec();
    }
    names
}

/// The systems of a list are those of the repository.
fn remember(ev: &mut Eval, names: &[Rc<str>]) {
    for name in names {
        if nix_lang::eval::is_system(name) && !ev.systems.contains(name) {
            ev.systems.push(Rc::clone(name));
        }
    }
}

fn representative(names: &[Rc<str>]) -> Value {
    match names.iter().find(|name| name.as_ref() == "x86_64-linux").or(names.first()) {
        Some(name) => Value::system(name),
        None => Value::any_system(),
    }
}

/// `{ packages = ...; }` of one system becomes `{ packages.<system> = ...; }` of all.
fn each_system(ev: &mut Eval, list: Option<ThunkId>, body: ThunkId, at: Location) -> Value {
    let names = systems(ev, list);
    remember(ev, &names);
    let body = ev.force(body);
    let result = ev.apply_value(&body, representative(&names), at);
    ev.each(result, &mut |ev, result| {
        let Kind::Attrs(attrs) = &result.kind else { return result };
        let mut set = Attrs { open: attrs.open.clone(), ..Attrs::default() };
        for (name, attr) in &attrs.map {
            let inner = Attrs::of(names.iter().map(|system| (Rc::clone(system), attr.thunk)));
            let thunk = ev.done(Value::attrs(inner));
            set.map.insert(Rc::clone(name), Attr::new(thunk));
        }
        Value::attrs(set)
    })
}

fn system_map(ev: &mut Eval, list: Option<ThunkId>, body: ThunkId, at: Location) -> Value {
    let names = systems(ev, list);
    let representative = representative(&names);
    let thunk = ev.lazy(move |ev| {
        let body = ev.force(body);
        ev.apply_value(&body, representative, at)
    });
    Value::attrs(Attrs::of(names.into_iter().map(|name| (name, thunk))))
}

fn simple_flake(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.leave(args[0]);
    match ev.peek_attr(&given, "overlay", at) {
        Some(overlay) => overlay,
        None => Value::attrs(Attrs::default()),
    }
}
