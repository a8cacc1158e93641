//! flake-parts: `mkFlake { inherit inputs; } module`.

use std::path::PathBuf;
use std::rc::Rc;

use super::default_packages;
use crate::nix::builtins;
use crate::nix::eval::{Eval, is_system};
use crate::nix::packages::members_system;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attr, Attrs, Kind, Special, ThunkId, Value};

/// What the modules of one flake say together.
struct Modules {
    per_system: Vec<ThunkId>,
    flake: Vec<ThunkId>,
    systems: Vec<Rc<str>>,
    extra: Vec<ThunkId>,
}

/// `flake-parts.lib.mkFlake`.
pub(crate) fn parts(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    let folder = ev.folder(at.file);
    let context = Rc::new(Context { given, folder, at, result: ev.reserve() });
    let mut modules =
        Modules { per_system: Vec::new(), flake: Vec::new(), systems: Vec::new(), extra: Vec::new() };
    collect(ev, &context, args[1], &mut modules, 0);
    if modules.systems.is_empty() {
        modules.systems =
            ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"].map(Rc::from).to_vec();
    }
    let merged = per_system(ev, &context, &modules);
    ev.fill(context.result, merged.clone());
    assemble(ev, &merged, &modules, at)
}

struct Context {
    given: Value,
    folder: PathBuf,
    at: Location,
    /// The merged attributes of one system.
    result: ThunkId,
}

/// The outputs: what `flake` says, and the attributes of one system for all of them.
fn assemble(ev: &mut Eval, merged: &Value, modules: &Modules, at: Location) -> Value {
    let mut set = Attrs::default();
    if let Kind::Attrs(attrs) = &merged.kind {
        set.open.clone_from(&attrs.open);
        for (name, attr) in &attrs.map {
            if name.as_ref() == "_module" {
                continue;
            }
            let inner = Attrs::of(modules.systems.iter().map(|system| (Rc::clone(system), attr.thunk)));
            let thunk = ev.done(Value::attrs(inner));
            set.map.insert(Rc::clone(name), Attr::new(thunk));
        }
    }
    let mut outputs = Value::attrs(set);
    for flake in &modules.flake {
        outputs = deep_merge(ev, outputs, *flake, at);
    }
    for extra in &modules.extra {
        ev.pending.push(*extra);
    }
    outputs
}

fn deep_merge(ev: &mut Eval, left: Value, right: ThunkId, at: Location) -> Value {
    let left = ev.done(left);
    builtins::call(ev, "recursiveUpdate", &[left, right], at)
}

fn collect(ev: &mut Eval, context: &Rc<Context>, module: ThunkId, modules: &mut Modules, depth: u32) {
    if depth > 20 {
        return;
    }
    let mut value = ev.force(module);
    if matches!(value.kind, Kind::Path(_) | Kind::Str(_)) {
        value = ev.import(&value, context.at);
    }
    if value.is_function() {
        let args = module_arguments(ev, context);
        value = ev.apply_value(&value, args, context.at);
    }
    let Kind::Attrs(attrs) = &value.kind else { return };
    if let Some(attr) = attrs.map.get("imports")
        && let Kind::List(list) = ev.force(attr.thunk).kind
    {
        for item in list.items.clone() {
            collect(ev, context, item, modules, depth + 1);
        }
    }
    for (name, attr) in &attrs.map {
        match name.as_ref() {
            "perSystem" => modules.per_system.push(attr.thunk),
            "flake" => modules.flake.push(attr.thunk),
            "systems" => add_systems(ev, attr.thunk, modules),
            "imports" => {}
            "config" => collect(ev, context, attr.thunk, modules, depth + 1),
            _ => modules.extra.push(attr.thunk),
        }
    }
}

fn add_systems(ev: &mut Eval, thunk: ThunkId, modules: &mut Modules) {
    if let Kind::List(list) = ev.force(thunk).kind {
        for item in &list.items {
            modules.systems.extend(ev.force(*item).known_text().filter(|name| is_system(name)));
        }
    }
}

/// `{ self, inputs, lib, config, withSystem, ... }`.
fn module_arguments(ev: &mut Eval, context: &Rc<Context>) -> Value {
    let mut set = Attrs::special(Special::Entry(Rc::new(context.folder.clone())));
    let given = context.given.clone();
    for name in ["inputs", "self"] {
        if let Some(value) = argument_of(ev, &given, name, context.at) {
            let thunk = ev.done(value);
            set.map.insert(Rc::from(name), Attr::new(thunk));
        }
    }
    if let Some(Kind::Attrs(special)) =
        ev.peek_attr(&given, "specialArgs", context.at).map(|value| value.kind)
    {
        for (name, attr) in &special.map {
            set.map.insert(Rc::clone(name), attr.clone());
        }
    }
    let with_system = with_system(Rc::clone(context));
    let thunk = ev.done(with_system);
    set.map.insert(Rc::from("withSystem"), Attr::new(thunk));
    Value::attrs(set)
}

fn argument_of(ev: &mut Eval, given: &Value, name: &str, at: Location) -> Option<Value> {
    if let Some(value) = ev.peek_attr(given, name, at) {
        return Some(value);
    }
    let inputs = ev.peek_attr(given, "inputs", at)?;
    ev.peek_attr(&inputs, name, at)
}

/// `withSystem system ({ pkgs, config, ... }: ...)`.
fn with_system(context: Rc<Context>) -> Value {
    Value::new(Kind::Function(Rc::new(move |_, _, _| {
        let context = Rc::clone(&context);
        Value::new(Kind::Function(Rc::new(move |ev, body, at| {
            let args = system_arguments(ev, &context);
            let body = ev.force(body);
            ev.apply_value(&body, args, at)
        })))
    })))
}

fn per_system(ev: &mut Eval, context: &Rc<Context>, modules: &Modules) -> Value {
    let mut merged = Value::attrs(Attrs::default());
    for thunk in &modules.per_system {
        let value = ev.force(*thunk);
        let result = system_module(ev, context, value, 0);
        for result in result {
            let result = ev.done(result);
            merged = deep_merge(ev, merged, result, context.at);
        }
    }
    merged
}

/// A module of one system, and those that it imports.
fn system_module(ev: &mut Eval, context: &Rc<Context>, mut value: Value, depth: u32) -> Vec<Value> {
    if matches!(value.kind, Kind::Path(_) | Kind::Str(_)) {
        value = ev.import(&value, context.at);
    }
    if value.is_function() {
        let args = system_arguments(ev, context);
        value = ev.apply_value(&value, args, context.at);
    }
    let mut results = Vec::new();
    if let Kind::Attrs(attrs) = &value.kind
        && let Some(attr) = attrs.map.get("imports")
        && depth < 20
        && let Kind::List(list) = ev.force(attr.thunk).kind
    {
        for item in list.items.clone() {
            let item = ev.force(item);
            results.extend(system_module(ev, context, item, depth + 1));
        }
    }
    results.push(value);
    results
}

/// `{ pkgs, system, config, self', inputs', lib, ... }`.
fn system_arguments(ev: &mut Eval, context: &Rc<Context>) -> Value {
    let mut set = Attrs::special(Special::Entry(Rc::new(context.folder.clone())));
    let (result, at) = (context.result, context.at);
    let pkgs = ev.lazy(move |ev| module_packages(ev, result, at));
    let mut insert = |name: &str, thunk: ThunkId| {
        set.map.insert(Rc::from(name), Attr::new(thunk));
    };
    insert("pkgs", pkgs);
    insert("config", result);
    insert("self'", result);
    let system = ev.done(members_system());
    insert("system", system);
    let inputs = context.given.clone();
    let inputs = ev.lazy(move |ev| system_inputs(ev, &inputs, at));
    insert("inputs'", inputs);
    Value::attrs(set)
}

/// `_module.args.pkgs` if a module sets it.
fn module_packages(ev: &mut Eval, result: ThunkId, at: Location) -> Value {
    let merged = ev.force(result);
    let mut value = merged;
    for name in ["_module", "args", "pkgs"] {
        value = match &value.kind {
            Kind::Attrs(attrs) if attrs.map.contains_key(name) => ev.select(&value, name, at),
            _ => return default_packages(),
        };
    }
    if value.as_unknown().is_some() { default_packages() } else { value }
}

/// `inputs'`: every input with its attributes of this system.
fn system_inputs(ev: &mut Eval, given: &Value, at: Location) -> Value {
    let inputs = ev.select(given, "inputs", at);
    let Kind::Attrs(attrs) = &inputs.kind else { return inputs };
    let mut set = Attrs::default();
    for (name, attr) in &attrs.map {
        let input = attr.thunk;
        let thunk = ev.lazy(move |ev| {
            let input = ev.force(input);
            let nixpkgs =
                matches!(&input.kind, Kind::Attrs(a) if matches!(&a.special, Special::Input(i) if i.nixpkgs));
            if nixpkgs {
                let pkgs = ev.done(default_packages());
                return Value::attrs(Attrs::of([
                    (Rc::from("legacyPackages"), pkgs),
                    (Rc::from("packages"), pkgs),
                ]));
            }
            Value::outside("inputs'", Some(at))
        });
        set.map.insert(Rc::clone(name), Attr::new(thunk));
    }
    Value::attrs(set)
}
