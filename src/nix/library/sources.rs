//! Filtered sources: `cleanSource`, `gitignoreSource`, `nix-filter` and their relatives.

use std::path::PathBuf;
use std::rc::Rc;

use crate::nix::builtins::Native;
use crate::nix::builtins::opaque;
use crate::nix::eval::Eval;
use crate::nix::source::{self, Filter, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Doubt, Kind, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    Native { name: "cleanSource", arity: 1, run: |ev, a, at| keep(ev, a[0], at, None) },
    Native { name: "cleanSourceWith", arity: 1, run: clean_source_with },
    Native { name: "sourceFilesBySuffices", arity: 2, run: by_suffices },
    Native { name: "sourceByRegex", arity: 2, run: |ev, a, at| keep(ev, a[0], at, Some("`sourceByRegex`")) },
    Native { name: "sources.trace", arity: 1, run: |ev, a, _| ev.force(a[0]) },
    Native {
        name: "gitignoreSource",
        arity: 1,
        run: |ev, a, at| keep(ev, a[0], at, Some("`gitignoreSource`")),
    },
    Native { name: "gitignoreSourceWith", arity: 1, run: gitignore_with },
    Native {
        name: "nix-gitignore.gitignoreSource",
        arity: 2,
        run: |ev, a, at| keep(ev, a[1], at, Some("`gitignoreSource`")),
    },
    Native {
        name: "nix-gitignore.gitignoreSourcePure",
        arity: 2,
        run: |ev, a, at| keep(ev, a[1], at, Some("`gitignoreSourcePure`")),
    },
    Native {
        name: "nix-gitignore.gitignoreRecursiveSource",
        arity: 2,
        run: |ev, a, at| keep(ev, a[1], at, Some("`gitignoreRecursiveSource`")),
    },
    Native {
        name: "nix-gitignore.gitignoreFilterRecursiveSource",
        arity: 3,
        run: |ev, a, at| keep(ev, a[2], at, Some("`gitignoreFilterRecursiveSource`")),
    },
    Native {
        name: "nix-gitignore.gitignoreFilterSource",
        arity: 3,
        run: |ev, a, at| keep(ev, a[2], at, Some("`gitignoreFilterSource`")),
    },
    Native { name: "nix-filter.filter", arity: 1, run: nix_filter },
    Native { name: "nix-filter.lib", arity: 1, run: nix_filter },
];

/// The same source, perhaps behind a filter that is not evaluated.
fn keep(ev: &mut Eval, id: ThunkId, at: Location, filter: Option<&str>) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| {
        let mut source = source::of_value(ev, &value, at).as_ref().clone();
        if source.sub.is_empty() || source.name.is_none() {
            source = source.named(None);
        }
        source.notes.push((at, "`cleanSource` leaves only editor files and version control out".into()));
        if let Some(what) = filter {
            source.notes.pop();
            source = source.filtered(opaque(what), (at, "a filter that is taken to keep the lockfile"));
        }
        in_store(source).value()
    })
}

/// `cleanSourceWith` names its result `source` unless told otherwise.
fn in_store(source: Source) -> Source {
    source
}

fn clean_source_with(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let Some(src) = ev.peek_attr(&given, "src", at) else {
            return Value::unknown(Doubt::Unmodelled, "`cleanSourceWith` without a source", Some(at));
        };
        let name = ev.peek_attr(&given, "name", at).and_then(|name| name.known_text());
        let filtered = given.as_attrs().is_some_and(|attrs| attrs.map.contains_key("filter"));
        ev.each(src, &mut |ev, src| {
            let mut source = source::of_value(ev, &src, at).named(name.clone());
            if filtered {
                source = source.filtered(
                    opaque("`cleanSourceWith`"),
                    (at, "a filter that is taken to keep the lockfile"),
                );
            }
            source.value()
        })
    })
}

fn gitignore_with(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    let path = ev.select(&given, "path", at);
    let path = ev.done(path);
    keep(ev, path, at, Some("`gitignoreSourceWith`"))
}

fn by_suffices(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let suffixes = ev.force(args[1]);
    let mut known = Vec::new();
    if let Kind::List(list) = &suffixes.kind {
        for item in &list.items {
            known.push(ev.force(*item).known_text());
        }
        let all: Option<Vec<Rc<str>>> = known.into_iter().collect();
        let keeps =
            all.is_none_or(|all| all.iter().any(|suffix| "package-lock.json".ends_with(suffix.as_ref())));
        if !keeps && list.open.is_none() {
            let value = ev.force(args[0]);
            let source = source::of_value(ev, &value, at);
            let nothing = Filter::Lists { include: Some(Vec::new()), exclude: Vec::new() };
            return source.filtered(nothing, (at, "only files with other suffixes are kept")).value();
        }
    }
    keep(ev, args[0], at, Some("`sourceFilesBySuffices`"))
}

/// `nix-filter { root; include; exclude; }`.
fn nix_filter(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let root = ev.select(&given, "root", at);
        let name = ev.peek_attr(&given, "name", at).and_then(|name| name.known_text());
        ev.each(root, &mut |ev, root| {
            let source = source::of_value(ev, &root, at).named(name.clone());
            let Some(folder) = source.local_path() else {
                return source
                    .filtered(opaque("`nix-filter`"), (at, "a filter that is taken to keep the lockfile"))
                    .value();
            };
            let include = rules(ev, &given, "include", &folder, at);
            let exclude = rules(ev, &given, "exclude", &folder, at);
            let include = if given.as_attrs().is_some_and(|a| a.map.contains_key("include")) {
                include
            } else {
                Some(vec![folder])
            };
            let filter = match (include, exclude) {
                (include, Some(exclude)) => Filter::Lists { include, exclude },
                (include, None) => Filter::Lists { include, exclude: Vec::new() },
            };
            source.filtered(filter, (at, "`nix-filter`")).value()
        })
    })
}

/// The paths of a list of rules; `None` when one of them is a predicate.
fn rules(
    ev: &mut Eval,
    given: &Value,
    name: &str,
    folder: &std::path::Path,
    at: Location,
) -> Option<Vec<PathBuf>> {
    let Some(value) = ev.peek_attr(given, name, at) else { return Some(Vec::new()) };
    let Kind::List(list) = &value.kind else { return None };
    let mut paths = Vec::new();
    for item in list.items.clone() {
        let item = ev.force(item);
        match (&item.kind, item.known_text()) {
            (Kind::Path(path), _) => paths.push(path.as_ref().clone()),
            (_, Some(text)) => paths.push(source::join(folder, &text)),
            _ => return None,
        }
    }
    list.open.is_none().then_some(paths)
}
