//! flake-parts: `mkFlake { inherit inputs; } module`.

use std::path::PathBuf;
use std::rc::Rc;

use nix_lang::builtins;
use nix_lang::eval::{Eval, is_system, lambda};
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Attr, Attrs, Kind, Special, ThunkId, Value};

use super::{Input, default_packages};
use crate::modules;
use crate::packages::{DEFAULT_SYSTEMS, UncalledFile};

/// What the modules of one flake say together.
#[derive(Default)]
struct Modules {
    per_system: Vec<ThunkId>,
    systems: Vec<Rc<str>>,
    definitions: Vec<Value>,
    options: Vec<Value>,
}

/// `flake-parts.lib.mkFlake`.
pub fn parts(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    let folder = ev.folder(at.file);
    // Each module may use what all of them say together, itself included.
    let (result, config, outputs) = (ev.reserve(), ev.reserve(), ev.reserve());
    let context = Rc::new(Context { given, folder, at, result, config });
    let mut modules = Modules::default();
    collect(ev, &context, args[1], &mut modules, 0);
    if modules.systems.is_empty() {
        modules.systems = DEFAULT_SYSTEMS.map(Rc::from).to_vec();
    }
    let merged = merge_all(ev, &modules.definitions, &modules.options, at);
    let flake = merged.as_attrs().and_then(|attrs| attrs.map.get("flake")).map(|attr| attr.thunk);
    let whole = configuration(ev, &merged, outputs, flake, at);
    ev.fill(config, whole);
    let of_system = per_system(ev, &context, &modules);
    ev.fill(result, of_system.clone());
    let all = assemble(ev, &of_system, &modules, flake, at);
    ev.fill(outputs, all.clone());
    visit_others(ev, &merged);
    all
}

struct Context {
    given: Value,
    folder: PathBuf,
    at: Location,
    /// The merged attributes of one system.
    result: ThunkId,
    /// The merged configuration above all systems.
    config: ThunkId,
}

/// Definitions as one set, with the defaults of the options.
fn merge_all(ev: &mut Eval, definitions: &[Value], options: &[Value], at: Location) -> Value {
    let mut merged = Value::attrs(Attrs::default());
    for definition in definitions {
        merged = modules::merge(ev, merged, definition.clone(), at);
    }
    for options in options {
        merged = modules::with_defaults(ev, &merged, options, 0);
    }
    modules::settled(ev, merged)
}

/// `config`: what the modules define, and the outputs as `config.flake`.
fn configuration(
    ev: &mut Eval,
    merged: &Value,
    outputs: ThunkId,
    flake: Option<ThunkId>,
    at: Location,
) -> Value {
    let mut known = merged.as_attrs().map_or_else(Attrs::default, |attrs| attrs.as_ref().clone());
    let flake = ev.lazy(move |ev| match (ev.force(outputs), flake) {
        (value, Some(own)) if value.as_unknown().is_some() => ev.force(own),
        (value, _) => value,
    });
    known.map.insert(Rc::from("flake"), Attr::new(flake));
    let Value { kind: Kind::Unknown(unknown), .. } = Value::outside("config", Some(at)) else {
        return Value::attrs(known);
    };
    modules::beside(known, unknown)
}

/// The outputs: what `flake` says, and the attributes of one system for all of them.
fn assemble(ev: &mut Eval, merged: &Value, modules: &Modules, flake: Option<ThunkId>, at: Location) -> Value {
    let mut set = Attrs::default();
    if let Kind::Attrs(attrs) = &merged.kind {
        set.open.clone_from(&attrs.open);
        // `_module.args` is what modules are given, and no output.
        for (name, attr) in attrs.map.iter().filter(|(name, _)| name.as_ref() != "_module") {
            let inner = Attrs::of(modules.systems.iter().map(|system| (Rc::clone(system), attr.thunk)));
            let thunk = ev.done(Value::attrs(inner));
            set.map.insert(Rc::clone(name), Attr::new(thunk));
        }
    }
    match flake {
        Some(flake) => deep_merge(ev, &Value::attrs(set), flake, at),
        None => Value::attrs(set),
    }
}

/// Definitions that are not outputs may hold derivations too.
fn visit_others(ev: &mut Eval, merged: &Value) {
    let Kind::Attrs(attrs) = &merged.kind else { return };
    let known = ["perSystem", "flake", "systems"];
    let others = attrs.map.iter().filter(|(name, _)| !known.contains(&name.as_ref()));
    others.for_each(|(_, attr)| ev.leave(attr.thunk));
}

fn deep_merge(ev: &mut Eval, left: &Value, right: ThunkId, at: Location) -> Value {
    let right = ev.force(right);
    builtins::recursive_update(ev, left, &right, at)
}

fn collect(ev: &mut Eval, context: &Rc<Context>, module: ThunkId, modules: &mut Modules, depth: u32) {
    // The module system reads a module once, however often it is imported. Here a ring of imports ends by its depth.
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
    let Some(module) = modules::parts(ev, &value) else { return };
    for item in module.imports {
        collect(ev, context, item, modules, depth + 1);
    }
    modules.options.extend(module.options);
    let Kind::Attrs(attrs) = &module.definitions.kind else { return };
    let mut rest = attrs.as_ref().clone();
    modules.per_system.extend(rest.map.remove("perSystem").map(|attr| attr.thunk));
    if let Some(flake) = rest.map.get_mut("flake") {
        let (own, context) = (flake.thunk, Rc::clone(context));
        flake.thunk = ev.lazy(move |ev| outputs_module(ev, &context, own));
    }
    if let Some(systems) = rest.map.get("systems") {
        add_systems(ev, systems.thunk, modules);
    }
    modules.definitions.push(Value { kind: Kind::Attrs(Rc::new(rest)), trail: module.definitions.trail });
}

/// `flake`: a set, or a module that makes one of its arguments.
fn outputs_module(ev: &mut Eval, context: &Rc<Context>, own: ThunkId) -> Value {
    let value = ev.force(own);
    if !value.is_function() {
        return value;
    }
    let args = module_arguments(ev, context);
    let value = ev.apply_value(&value, args, context.at);
    modules::parts(ev, &value).map_or(value, |module| module.definitions)
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
    let mut set = Attrs::special(Special::of(UncalledFile(context.folder.clone())));
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
    set.map.insert(Rc::from("config"), Attr::new(context.config));
    let with_system = with_system(Rc::clone(context));
    let thunk = ev.done(with_system);
    set.map.insert(Rc::from("withSystem"), Attr::new(thunk));
    Value::attrs(set)
}

fn argument_of(ev: &mut Eval, given: &Value, name: &str, at: Location) -> Option<Value> {
    if let Some(value) = ev.peek_attr(given, name, at) {
        return Some(value);
    }
    // `mkFlake { inherit inputs; }`: `self` is among the inputs.
    let inputs = ev.peek_attr(given, "inputs", at)?;
    ev.peek_attr(&inputs, name, at)
}

/// `withSystem system ({ pkgs, config, ... }: ...)`.
fn with_system(context: Rc<Context>) -> Value {
    lambda(move |_, _, _| {
        let context = Rc::clone(&context);
        lambda(move |ev, body, at| {
            let args = system_arguments(ev, &context);
            let body = ev.force(body);
            ev.apply_value(&body, args, at)
        })
    })
}

fn per_system(ev: &mut Eval, context: &Rc<Context>, modules: &Modules) -> Value {
    let mut found = SystemModules::default();
    for thunk in &modules.per_system {
        let value = ev.force(*thunk);
        system_module(ev, context, value, &mut found, 0);
    }
    merge_all(ev, &found.definitions, &found.options, context.at)
}

/// What the modules of one system say.
#[derive(Default)]
struct SystemModules {
    definitions: Vec<Value>,
    options: Vec<Value>,
}

/// A module of one system, and those that it imports.
fn system_module(
    ev: &mut Eval,
    context: &Rc<Context>,
    mut value: Value,
    found: &mut SystemModules,
    depth: u32,
) {
    if matches!(value.kind, Kind::Path(_) | Kind::Str(_)) {
        value = ev.import(&value, context.at);
    }
    if value.is_function() {
        let args = system_arguments(ev, context);
        value = ev.apply_value(&value, args, context.at);
    }
    let Some(module) = modules::parts(ev, &value) else {
        found.definitions.push(value);
        return;
    };
    for item in module.imports.into_iter().take_while(|_| depth < 20) {
        let item = ev.force(item);
        system_module(ev, context, item, found, depth + 1);
    }
    found.definitions.push(module.definitions);
    found.options.extend(module.options);
}

/// `{ pkgs, system, config, self', inputs', lib, ... }`.
fn system_arguments(ev: &mut Eval, context: &Rc<Context>) -> Value {
    let mut set = Attrs::special(Special::of(UncalledFile(context.folder.clone())));
    let (result, at) = (context.result, context.at);
    let pkgs = ev.lazy(move |ev| module_packages(ev, result, at));
    let mut insert = |name: &str, thunk: ThunkId| {
        set.map.insert(Rc::from(name), Attr::new(thunk));
    };
    insert("pkgs", pkgs);
    insert("config", result);
    // The outputs of this system are what its modules define.
    insert("self'", result);
    let system = ev.done(Value::any_system());
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
            let nixpkgs = input
                .as_attrs()
                .and_then(|attrs| attrs.special.read::<Input>())
                .is_some_and(|input| input.nixpkgs);
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
