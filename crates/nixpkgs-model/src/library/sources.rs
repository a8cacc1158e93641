//! Filtered sources: `cleanSource`, `gitignoreSource`, `nix-filter` and their relatives.

use std::path::PathBuf;
use std::rc::Rc;

use nix_lang::builtins::{KEPT, predicate};
use nix_lang::eval::{Eval, Native};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{self, Filter, Source};
use nix_lang::value::{Doubt, Kind, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    Native::new("cleanSource", 1, |ev, a, at| keep(ev, a[0], at, None)),
    Native::new("cleanSourceWith", 1, clean_source_with),
    Native::new("sourceFilesBySuffices", 2, by_suffices),
    Native::new("sourceByRegex", 2, by_regex),
    Native::new("cleanSourceFilter", 2, clean_filter),
    Native::new("sources.trace", 1, |ev, a, _| ev.force(a[0])),
    Native::new("gitignoreSource", 1, |ev, a, at| keep(ev, a[0], at, Some(Rule::Git))),
    Native::new("gitignoreSourceWith", 1, gitignore_with),
    Native::new("nix-gitignore.gitignoreSource", 2, |ev, a, at| keep(ev, a[1], at, Some(Rule::Git))),
    Native::new("nix-gitignore.gitignoreSourcePure", 2, |ev, a, at| keep(ev, a[1], at, Some(Rule::Git))),
    Native::new("nix-gitignore.gitignoreRecursiveSource", 2, |ev, a, at| keep(ev, a[1], at, Some(Rule::Git))),
    Native::new("nix-gitignore.gitignoreFilterRecursiveSource", 3, |ev, a, at| {
        keep(ev, a[2], at, Some(Rule::Git))
    }),
    Native::new("nix-gitignore.gitignoreFilterSource", 3, |ev, a, at| keep(ev, a[2], at, Some(Rule::Git))),
    Native::new("nix-filter.filter", 1, nix_filter),
    Native::new("nix-filter.lib", 1, nix_filter),
];

/// The same source, perhaps behind a filter that is not evaluated.
fn keep(ev: &mut Eval, id: ThunkId, at: Location, rule: Option<Rule>) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |ev, value| {
        let source = ev.source_of(&value, at).as_ref().clone();
        let filtered = match (rule, source.local_path()) {
            (None, _) => {
                let note = "`cleanSource` leaves only editor files and version control out".into();
                Source {
                    notes: [source.notes.clone(), vec![(at, note)]].concat(),
                    // Whatever the folder is called, which `sourceRoot` has to follow (fixture `src-clean-source-name`).
                    name: Some("source".into()),
                    ..source
                }
            }
            (Some(Rule::Git), Some(root)) => {
                source.filtered(Filter::GitIgnore(root), at, "a filter after `.gitignore`")
            }
            (Some(_), _) => source.filtered(Filter::Opaque, at, KEPT),
        };
        filtered.value()
    })
}

/// What a filter goes by.
#[derive(Clone, Copy)]
enum Rule {
    Git,
    Opaque,
}

/// `lib.cleanSourceFilter path kind`.
fn clean_filter(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (path, kind) = (ev.force(args[0]).known_text(), ev.force(args[1]).known_text());
    let (Some(path), Some(kind)) = (path, kind) else {
        return Value::unknown(Doubt::Unmodelled, "a path is not known", Some(at));
    };
    let name = path.rsplit('/').next().unwrap_or("");
    let folder = [".svn", "CVS", ".hg", ".jj", ".pijul", "_darcs"].contains(&name);
    let ending = ["~", ".o", ".so"].iter().any(|ending| name.ends_with(ending));
    let dropped = match kind.as_ref() {
        "directory" => folder,
        "symlink" => name.starts_with("result"),
        "unknown" => true,
        _ => false,
    };
    Value::bool(!(dropped || ending || name == ".git" || is_swap_file(name)))
}

/// `.swp`, `.name.swo`: what vi leaves behind.
fn is_swap_file(name: &str) -> bool {
    let ending = name.len().checked_sub(4).and_then(|start| name.get(start..));
    let swap = ending.is_some_and(|end| end.starts_with(".sw") && end.as_bytes()[3].is_ascii_lowercase());
    swap && name.starts_with('.')
}

/// `lib.sourceByRegex folder patterns`.
fn by_regex(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let list = ev.force(args[1]);
    let patterns: Option<Vec<Rc<str>>> = match &list.kind {
        Kind::List(list) if list.open.is_none() => {
            list.items.iter().map(|item| ev.force(*item).known_text()).collect()
        }
        _ => None,
    };
    let value = ev.force(args[0]);
    ev.each(value, &mut |ev, value| {
        let source = ev.source_of(&value, at);
        let filter = match (source.local_path(), &patterns) {
            (Some(root), Some(patterns)) => Filter::Regexes { root, patterns: patterns.clone() },
            _ => Filter::Opaque,
        };
        source.named(Some("source".into())).filtered(filter, at, KEPT).value()
    })
}

fn clean_source_with(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let Some(src) = ev.peek_attr(&given, "src", at) else {
            return Value::unknown(Doubt::Unmodelled, "`cleanSourceWith` without a source", Some(at));
        };
        let name = ev.peek_attr(&given, "name", at).and_then(|name| name.known_text());
        let filter = given.as_attrs().and_then(|attrs| attrs.map.get("filter")).map(|attr| attr.thunk);
        ev.each(src, &mut |ev, src| {
            let name = name.clone().unwrap_or_else(|| "source".into());
            let mut source = ev.source_of(&src, at).named(Some(name));
            if let Some(function) = filter {
                source = source.filtered(predicate(&source, function), at, KEPT);
            }
            source.value()
        })
    })
}

fn gitignore_with(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    let path = ev.select(&given, "path", at);
    let path = ev.done(path);
    keep(ev, path, at, Some(Rule::Git))
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
            let source = ev.source_of(&value, at);
            let nothing = Filter::Lists { include: Some(Vec::new()), exclude: Vec::new() };
            return source.filtered(nothing, at, "only files with other suffixes are kept").value();
        }
    }
    keep(ev, args[0], at, Some(Rule::Opaque))
}

/// `nix-filter { root; include; exclude; }`.
pub(crate) fn nix_filter(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let root = ev.select(&given, "root", at);
        let name = ev.peek_attr(&given, "name", at).and_then(|name| name.known_text());
        ev.each(root, &mut |ev, root| {
            let source = ev.source_of(&root, at).named(name.clone());
            let Some(folder) = source.local_path() else {
                return source.filtered(Filter::Opaque, at, KEPT).value();
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
                // A rule that is a predicate is taken to keep the lockfile, as every filter that is not evaluated.
                (include, None) => Filter::Lists { include, exclude: Vec::new() },
            };
            source.filtered(filter, at, "`nix-filter`").value()
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
