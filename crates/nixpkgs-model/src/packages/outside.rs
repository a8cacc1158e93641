//! Values from outside of the repository: what their members are taken to be, and what a call of one tells.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{Ast, Expr, ExprId, Location, Param};
use nix_lang::value::source::Remote;
use nix_lang::value::{Attrs, Doubt, Kind, Special, ThunkId, Unknown, Value};

use super::derivation::{self, Builder, Maker};
use super::names::{What, is_member_of_nixpkgs, is_nixpkgs, meaning};
use super::{fetchers, given, members, nixpkgs, overlay, placeholder};
use crate::packages::record::Declarations as _;

/// Whether nothing at all is known of the members of a value that is not known, whatever their names.
pub(crate) fn hides_members(ev: &mut Eval, unknown: &Unknown, name: &str) -> bool {
    match unknown.doubt {
        Doubt::Throw | Doubt::Limit | Doubt::Recursion => true,
        // What the evaluation did not get through may well be the repository's own: a function that it defines under the name
        // of one of nixpkgs' is more likely meant than that one.
        Doubt::Error | Doubt::Unmodelled => ev.declared().own_functions.contains_key(name),
        _ => false,
    }
}

/// Names that mean the same wherever they come from. The builders of another flake only bear the names of nixpkgs': what
/// they do is an assumption (fixture `assumed-builder-of-other-flake`).
pub(crate) fn by_convention(ev: &Eval, unknown: &Rc<Unknown>, name: &str) -> Option<Value> {
    let meaning = meaning(name);
    if let Some(What::Builder(builder @ (Builder::Npm | Builder::FetchDeps))) = meaning
        && unknown.doubt == Doubt::Outside
        && !unknown.name.as_deref().is_none_or(is_member_of_nixpkgs)
    {
        let assumed = Some(Rc::new(named_member(unknown, name, unknown.at)));
        return Some(derivation::function(Maker { builder, assumed }));
    }
    if let Some(value) = meaning.and_then(|meaning| members::anywhere(ev, &meaning, name, &nixpkgs())) {
        return Some(value);
    }
    match name {
        "override"
        | "overrideAttrs"
        | "overrideDerivation"
        | "overridePythonAttrs"
        | "overrideScope"
        | "overrideScope'" => Some(super::overrides::override_outside(Rc::clone(unknown), name)),
        "pkgs" | "nixpkgs" => Some(nixpkgs()),
        "lib" => Some(super::lib()),
        "extend" => Some(overlay::extender(nixpkgs())),
        "system" => Some(Value::any_system()),
        _ => placeholder::fake(name),
    }
}

/// A member of something that is not known, which is as little known itself.
#[must_use]
pub(crate) fn member_of(unknown: &Rc<Unknown>, name: &str, here: Location) -> Value {
    match unknown.doubt {
        Doubt::Outside | Doubt::Argument => {
            Value::doubtful(Rc::new(named_member(unknown, name, unknown.at.or(Some(here)))))
        }
        _ => Value::doubtful(Rc::clone(unknown)),
    }
}

fn named_member(unknown: &Unknown, name: &str, at: Option<Location>) -> Unknown {
    let base = unknown.name.as_deref().unwrap_or("?");
    let name: Rc<str> = Rc::from(format!("{base}.{name}"));
    let message = match unknown.doubt {
        Doubt::Argument => format!("`{name}` is an argument that nothing here supplies"),
        _ => format!("`{name}` comes from outside of the repository"),
    };
    Unknown { doubt: unknown.doubt, message: message.into(), at, name: Some(name) }
}

/// A call of something unknown: its argument is still worth a look.
pub(crate) fn unknown_call(ev: &mut Eval, unknown: &Rc<Unknown>, argument: ThunkId, here: Location) -> Value {
    if matches!(unknown.doubt, Doubt::Throw) {
        return Value::doubtful(Rc::clone(unknown));
    }
    ev.leave(argument);
    if matches!(unknown.doubt, Doubt::Limit) {
        return Value::doubtful(Rc::clone(unknown));
    }
    let value = ev.force(argument);
    let last = fixed_point(ev, &value);
    let value = last.map_or(value.clone(), |last| {
        let applied = ev.apply(&value, last, here);
        // What its attributes hold is met as if they had been given without a function around them.
        let met = ev.done(applied.clone());
        ev.leave(met);
        applied
    });
    let index = derivation::assume(ev, unknown, &value, here);
    given::look_at(ev, &value, here);
    let given_code = value.is_function() || holds_function(ev, &value);
    let result = match unknown.doubt {
        Doubt::Outside | Doubt::Argument => {
            let name = unknown.name.as_deref().unwrap_or("?");
            let doubt = if given_code { Doubt::Unmodelled } else { unknown.doubt };
            let message = format!("the result of `{name}`, which is not known here");
            let name = Some(Rc::from(format!("({name} …)")));
            Rc::new(Unknown { doubt, message: message.into(), at: Some(here), name })
        }
        _ => Rc::new(unknown.as_ref().clone()),
    };
    given::remember(ev, &result, unknown, argument);
    let finished = match &value.kind {
        // The attributes of its argument are those of the derivation, whatever else the builder does with them.
        Kind::Attrs(attrs) if last.is_some() => {
            Value::attrs(Attrs { open: Some(Rc::clone(&result)), ..attrs.as_ref().clone() })
        }
        _ => Value::doubtful(Rc::clone(&result)),
    };
    let result = result_of(index, result, &value, argument, here);
    if let Some(last) = last {
        ev.fill(last, if index.is_some() { result.clone() } else { finished });
    }
    result
}

/// A slot for the final attributes, where an argument is `finalAttrs: { npmDepsHash = ...; }`: the text says so, for another
/// function may be meant for anything (fixture `assumed-builder-of-other-flake`). Under the name that nixpkgs' manual has for
/// them, they are meant wherever the dependencies stand (fixture `final-attrs-of-any-builder`).
fn fixed_point(ev: &mut Eval, argument: &Value) -> Option<ThunkId> {
    let Kind::Lambda(closure) = &argument.kind else { return None };
    let ast = &closure.code.ast;
    let Expr::Lambda(lambda) = ast.expr(closure.code.id) else { return None };
    let Param::Ident(name) = &lambda.param else { return None };
    let is_meant = name.as_ref() == "finalAttrs" || declares_dependencies(ast, lambda.body);
    is_meant.then(|| ev.reserve())
}

fn declares_dependencies(ast: &Ast, id: ExprId) -> bool {
    match ast.expr(id) {
        Expr::Set { bindings, .. } => {
            bindings.entries.iter().any(|binding| matches!(binding.name.as_ref(), "npmDepsHash" | "npmDeps"))
        }
        Expr::Let { body, .. } | Expr::With { body, .. } | Expr::Assert { body, .. } => {
            declares_dependencies(ast, *body)
        }
        Expr::Binary(_, left, right) => {
            declares_dependencies(ast, *left) || declares_dependencies(ast, *right)
        }
        _ => false,
    }
}

/// The result of an unknown function: a derivation with the attributes that it was given, if it was taken for a builder.
fn result_of(
    index: Option<usize>,
    unknown: Rc<Unknown>,
    args: &Value,
    argument: ThunkId,
    here: Location,
) -> Value {
    let Some(attrs) = args.as_attrs().filter(|_| index.is_some()) else { return Value::doubtful(unknown) };
    let drv = derivation::Drv::assumed(index, here, argument);
    let map = attrs.map.clone();
    Value::attrs(Attrs { map, open: Some(unknown), special: Special::of(drv) })
}

/// Whether a set or list that is already evaluated holds functions of the repository.
fn holds_function(ev: &mut Eval, value: &Value) -> bool {
    let Kind::Attrs(attrs) = &value.kind else { return false };
    if !attrs.special.is_none() {
        return false;
    }
    let thunks: Vec<ThunkId> = attrs.map.values().map(|attr| attr.thunk).collect();
    thunks.into_iter().any(|thunk| {
        ev.thunk_code(thunk).is_some_and(|code| matches!(code.ast.expr(code.id), Expr::Lambda(_)))
    })
}

/// `import` of something that is not known.
#[must_use]
pub(crate) fn import_outside(unknown: &Rc<Unknown>, here: Location) -> Value {
    let name = unknown.name.as_deref().unwrap_or("?");
    if is_nixpkgs(name) || name.ends_with("pkgs") {
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
        "lib" | "lib/default.nix" => super::lib(),
        _ => Value::outside(&format!("import nixpkgs/{sub}"), Some(here)),
    }
}
