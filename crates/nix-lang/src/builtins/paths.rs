//! Paths and filtered sources of `builtins`.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::data::local_path;
use super::{Native, builtin, global, lib};
use crate::eval::{Eval, reason_of};
use crate::syntax::ast::Location;
use crate::value::source::{self, Filter};
use crate::value::{Attr, Attrs, Doubt, Kind, Move, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    global("baseNameOf", 1, |ev, a, at| part(ev, a[0], at, base_name)),
    global("dirOf", 1, |ev, a, at| part(ev, a[0], at, |text| Some(dir_name(text)))),
    builtin("path", 1, builtin_path),
    builtin("filterSource", 2, filter_source),
    builtin("toPath", 1, |ev, a, at| {
        let value = ev.force(a[0]);
        local_path(ev, &value, at).map_or_else(|unknown| unknown, Value::path)
    }),
    builtin("storePath", 1, |_, _, at| Value::outside("builtins.storePath", Some(at))),
    lib("path.append", 2, append),
    lib("packagesFromDirectoryRecursive", 1, packages_from_directory),
    lib("listFilesRecursive", 1, |_, _, at| {
        Value::unknown(Doubt::Unmodelled, "`listFilesRecursive`", Some(at))
    }),
];

/// The note for a filter that does not leave the lockfile out.
pub const KEPT: &str = "a filter; as far as it can be evaluated, it keeps the lockfile";

/// Versions of Nix differ in what they make of several slashes at the end.
fn base_name(text: &str) -> Option<String> {
    let text = text.strip_suffix('/').unwrap_or(text);
    (!text.ends_with('/')).then(|| text.rsplit('/').next().unwrap_or("").to_owned())
}

fn dir_name(text: &str) -> String {
    match text.rsplit_once('/') {
        Some(("", _)) => "/".to_owned(),
        Some((head, _)) => head.to_owned(),
        None => ".".to_owned(),
    }
}

fn part(ev: &mut Eval, id: ThunkId, at: Location, run: fn(&str) -> Option<String>) -> Value {
    let value = ev.force(id);
    ev.each(value, &mut |_, value| {
        let (path, text) = match &value.kind {
            Kind::Path(path) => (true, Some(Rc::from(path.to_string_lossy().as_ref()))),
            _ => (false, value.known_text()),
        };
        match text.as_deref().and_then(run) {
            // `dirOf` of a path is a path, `baseNameOf` of one is a string.
            Some(text) if path && text.starts_with('/') => Value::path(PathBuf::from(text)),
            Some(text) => Value::text(&text),
            None => Value::doubtful(reason_of(&value, "a path is not known", at)),
        }
    })
}

/// `builtins.path { path; name; filter; ... }`.
fn builtin_path(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let Some(path) = ev.peek_attr(&given, "path", at) else {
            return Value::unknown(Doubt::Unmodelled, "`builtins.path` without a path", Some(at));
        };
        let name = ev.peek_attr(&given, "name", at).and_then(|name| name.known_text());
        let filter = given.as_attrs().and_then(|attrs| attrs.map.get("filter")).map(|attr| attr.thunk);
        ev.each(path, &mut |ev, path| {
            let mut source = ev.source_of(&path, at).named(name.clone());
            if let Some(function) = filter {
                source = source.filtered(predicate(&source, function), at, KEPT);
            }
            source.value()
        })
    })
}

/// A predicate that is evaluated for the lockfile, where its root is known.
#[must_use]
pub fn predicate(source: &source::Source, function: ThunkId) -> Filter {
    match source.local_path() {
        Some(root) => Filter::Predicate { function, root },
        None => Filter::Opaque,
    }
}

fn filter_source(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let path = ev.force(args[1]);
    let function = args[0];
    ev.each(path, &mut |ev, path| {
        let source = ev.source_of(&path, at);
        source.filtered(predicate(&source, function), at, KEPT).value()
    })
}

fn append(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (path, text) = (ev.force(args[0]), ev.force(args[1]));
    match (&path.kind, text.known_text()) {
        (Kind::Path(_), Some(text)) if !is_subpath(&text) => {
            crate::eval::error("`lib.path.append` needs a path below a folder", at)
        }
        (Kind::Path(path), Some(text)) => Value::path(source::join(path, &text)),
        _ => Value::doubtful(reason_of(&text, "a path is not known", at)),
    }
}

/// `lib.path.subpath.isValid`.
fn is_subpath(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('/') && text.split('/').all(|part| part != "..")
}

/// A folder of packages, each called with `callPackage`.
fn packages_from_directory(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    let folder = ev.select(&given, "directory", at);
    let call = ev.select(&given, "callPackage", at);
    match local_path(ev, &folder, at) {
        Ok(path) => directory_set(ev, &path, &call, at, 0),
        Err(unknown) => unknown,
    }
}

fn directory_set(ev: &mut Eval, folder: &Path, call: &Value, at: Location, depth: u32) -> Value {
    let mut set = Attrs::default();
    for (name, kind) in ev.files.read_dir(folder).unwrap_or_default() {
        let path = folder.join(&name);
        // A link to a folder above would have no end; `by-name` folders are two levels deep (fixture `packages-from-directory`).
        let (name, thunk) = if kind == "directory" && depth < 8 {
            let call = call.clone();
            let thunk = ev.lazy(move |ev| {
                let package = path.join("package.nix");
                if ev.files.is_file(&package) {
                    call_file(ev, &call, package, at)
                } else {
                    directory_set(ev, &path, &call, at, depth + 1)
                }
            });
            (name, thunk)
        } else if let Some(stem) = name.strip_suffix(".nix") {
            let (stem, call) = (stem.to_owned(), call.clone());
            (stem, ev.lazy(move |ev| call_file(ev, &call, path, at)))
        } else {
            continue;
        };
        set.map.insert(Rc::from(name), Attr::new(thunk));
    }
    Value::attrs(set).moved(at, Move::Note("a folder of packages".into()))
}

fn call_file(ev: &mut Eval, call: &Value, path: PathBuf, at: Location) -> Value {
    let half = ev.apply_value(call, Value::path(path), at);
    ev.apply_value(&half, Value::attrs(Attrs::default()), at)
}
