//! Values from outside of the repository: what their members are taken to be, and what a call of one tells.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::derivation::{self, Builder};
use super::{call_package, fetchers, nixpkgs, overlay, scripts};
use crate::nix::eval::Eval;
use crate::nix::source::Remote;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attrs, Doubt, Kind, Special, ThunkId, Unknown, Value};

/// The member of a value that is not known.
pub(crate) fn outside_member(ev: &mut Eval, unknown: &Rc<Unknown>, name: &str, here: Location) -> Value {
    match unknown.doubt {
        Doubt::Throw | Doubt::Limit => return Value::doubtful(Rc::clone(unknown)),
        Doubt::Error if unknown.message.as_ref() == "infinite recursion" => {
            return Value::doubtful(Rc::clone(unknown));
        }
        Doubt::Error | Doubt::Unmodelled if ev.own_functions.contains_key(name) => {
            return Value::doubtful(Rc::clone(unknown));
        }
        _ => {}
    }
    if let Some(value) = by_convention(unknown, name) {
        return value;
    }
    match unknown.doubt {
        Doubt::Outside | Doubt::Argument => {
            let base = unknown.name.as_deref().unwrap_or("?");
            let name: Rc<str> = Rc::from(format!("{base}.{name}"));
            let message = match unknown.doubt {
                Doubt::Argument => format!("`{name}` is an argument that nothing here gives"),
                _ => format!("`{name}` comes from outside of the repository"),
            };
            let inner = Unknown {
                doubt: unknown.doubt,
                message: message.into(),
                at: unknown.at.or(Some(here)),
                name: Some(name),
            };
            Value::doubtful(Rc::new(inner))
        }
        _ => Value::doubtful(Rc::clone(unknown)),
    }
}

/// Names that mean the same wherever they come from.
fn by_convention(unknown: &Rc<Unknown>, name: &str) -> Option<Value> {
    if let Some(kind) = fetchers::kind(name) {
        return Some(fetchers::function(kind, name));
    }
    if let Some(builder) = Builder::of(name) {
        return Some(derivation::function(builder));
    }
    if let Some(value) = scripts::function(name) {
        return Some(value);
    }
    match name {
        "callPackage" => Some(call_package::call_package(nixpkgs())),
        "override"
        | "overrideAttrs"
        | "overrideDerivation"
        | "overridePythonAttrs"
        | "overrideScope"
        | "overrideScope'" => Some(super::overrides::override_outside(Rc::clone(unknown), name)),
        "pkgs" | "nixpkgs" => Some(nixpkgs()),
        "lib" => Some(crate::nix::library::value()),
        "fakeHash" | "fakeSha256" | "fakeSha512" => Some(crate::nix::library::fake()),
        "extend" => Some(overlay::extender(nixpkgs())),
        "system" => Some(super::members::system()),
        _ => crate::nix::library::by_convention(name),
    }
}

/// A call of something unknown: its argument is still worth a look.
pub(crate) fn unknown_call(ev: &mut Eval, unknown: &Rc<Unknown>, argument: ThunkId, here: Location) -> Value {
    if matches!(unknown.doubt, Doubt::Throw) {
        return Value::doubtful(Rc::clone(unknown));
    }
    if unknown.name.as_deref().is_some_and(|name| {
        ["nix-filter.lib", "nix-filter.lib.filter", "inputs.nix-filter"].iter().any(|end| name.ends_with(end))
    }) {
        return crate::nix::builtins::call(ev, "nix-filter.filter", &[argument], here);
    }
    if unknown.name.as_deref().is_some_and(|name| name.ends_with("import-tree"))
        && let Kind::Path(folder) = ev.force(argument).kind
    {
        return import_tree(ev, &folder);
    }
    ev.pending.push(argument);
    if matches!(unknown.doubt, Doubt::Limit) {
        return Value::doubtful(Rc::clone(unknown));
    }
    let value = ev.force(argument);
    let index = derivation::assume(ev, unknown, &value, here);
    let given_code = value.is_function() || holds_function(ev, &value);
    match unknown.doubt {
        Doubt::Outside | Doubt::Argument => {
            let name = unknown.name.as_deref().unwrap_or("?");
            let doubt = if given_code { Doubt::Unmodelled } else { unknown.doubt };
            let message = format!("the result of `{name}`, which is not known here");
            let name = Some(Rc::from(format!("({name} …)")));
            result_of(
                index,
                Rc::new(Unknown { doubt, message: message.into(), at: Some(here), name }),
                argument,
                here,
            )
        }
        _ => result_of(index, Rc::clone(unknown), argument, here),
    }
}

/// The `import-tree` flake: a module that imports every Nix file of a folder, but for names that begin with `_`.
fn import_tree(ev: &mut Eval, folder: &Path) -> Value {
    let mut files = Vec::new();
    nix_files(ev, folder, 0, &mut files);
    let files: Vec<ThunkId> = files.into_iter().map(|path| ev.done(Value::path(path))).collect();
    let imports = ev.done(Value::list(files));
    Value::attrs(Attrs::of([(Rc::from("imports"), imports)]))
}

fn nix_files(ev: &Eval, folder: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    const DEEPEST: u32 = 12;
    for (name, kind) in ev.files.read_dir(folder).unwrap_or_default() {
        let path = folder.join(&name);
        match kind {
            _ if name.starts_with('_') => {}
            "directory" if depth < DEEPEST => nix_files(ev, &path, depth + 1, files),
            "regular" if path.extension().is_some_and(|extension| extension == "nix") => files.push(path),
            _ => {}
        }
    }
}

/// The result of an unknown function: a derivation if it was taken for a builder.
fn result_of(index: Option<usize>, unknown: Rc<Unknown>, argument: ThunkId, here: Location) -> Value {
    if index.is_none() {
        return Value::doubtful(unknown);
    }
    let drv = derivation::Drv::assumed(index, here, argument);
    Value::attrs(Attrs { open: Some(unknown), special: Special::Drv(Rc::new(drv)), ..Attrs::default() })
}

/// Whether a set or list that is already evaluated holds functions of the repository.
fn holds_function(ev: &mut Eval, value: &Value) -> bool {
    let Kind::Attrs(attrs) = &value.kind else { return false };
    if !matches!(attrs.special, Special::None) {
        return false;
    }
    let thunks: Vec<ThunkId> = attrs.map.values().map(|attr| attr.thunk).collect();
    thunks.into_iter().any(|thunk| {
        ev.thunk_code(thunk)
            .is_some_and(|code| matches!(code.ast.expr(code.id), crate::nix::syntax::ast::Expr::Lambda(_)))
    })
}

/// `import` of something that is not known.
pub(crate) fn import_outside(unknown: &Rc<Unknown>, here: Location) -> Value {
    let name = unknown.name.as_deref().unwrap_or("?");
    if name.to_ascii_lowercase().contains("nixpkgs") || name.ends_with("pkgs") {
        return overlay::import_function();
    }
    match unknown.doubt {
        Doubt::Outside | Doubt::Argument => Value::outside(&format!("import {name}"), Some(here)),
        _ => Value::doubtful(Rc::clone(unknown)),
    }
}

/// `import` of a source that must be fetched.
pub(crate) fn import_remote(ev: &mut Eval, remote: &Remote, sub: &str, here: Location) -> Value {
    if !(remote.nixpkgs || fetchers::is_nixpkgs(ev, remote, here)) {
        let name = remote
            .input
            .as_ref()
            .map_or_else(|| remote.fetcher.to_string(), |(name, _)| format!("inputs.{name}"));
        return Value::outside(&format!("import {name}"), Some(here));
    }
    match sub {
        "" | "default.nix" | "pkgs/top-level" => overlay::import_function(),
        "lib" | "lib/default.nix" => crate::nix::library::value(),
        _ => Value::outside(&format!("import nixpkgs/{sub}"), Some(here)),
    }
}
