//! Functions about evaluation itself: errors, tracing, fixed points, types.

use std::rc::Rc;

use super::lists::whole;
use super::{Native, builtin, global, lib};
use crate::eval::{Eval, lambda, reason_of};
use crate::syntax::ast::Location;
use crate::value::{Attr, Attrs, Doubt, Kind, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    global("import", 1, import),
    global("scopedImport", 2, |_, _, at| Value::unknown(Doubt::Unmodelled, "`scopedImport`", Some(at))),
    global("throw", 1, |_, _, at| Value::unknown(Doubt::Throw, "`throw`", Some(at))),
    global("abort", 1, |_, _, at| Value::unknown(Doubt::Throw, "`abort`", Some(at))),
    builtin("seq", 2, after),
    builtin("deepSeq", 2, after),
    builtin("trace", 2, second),
    builtin("traceVerbose", 2, second),
    lib("traceVal", 1, first),
    lib("traceSeq", 2, second),
    lib("traceSeqN", 3, |ev, a, _| ev.force(a[2])),
    builtin("addErrorContext", 2, second),
    builtin("warn", 2, second),
    lib("info", 2, second),
    lib("warnIf", 3, |ev, a, _| ev.force(a[2])),
    lib("warnIfNot", 3, |ev, a, _| ev.force(a[2])),
    lib("throwIf", 3, |ev, a, at| guard(ev, a, at, true)),
    lib("throwIfNot", 3, |ev, a, at| guard(ev, a, at, false)),
    // The condition itself; a false one only has its message printed.
    lib("assertMsg", 2, first),
    lib("showWarnings", 2, second),
    lib("id", 1, first),
    lib("const", 2, first),
    lib("flip", 3, |ev, a, at| super::lists::call2(ev, a[0], a[2], a[1], at)),
    lib("pipe", 2, pipe),
    lib("fix", 1, fix),
    lib("fix'", 1, |ev, a, at| {
        let value = fix(ev, a, at);
        unfixed(ev, value, a[0], at)
    }),
    lib("makeExtensible", 1, make_extensible),
    lib("extends", 3, extends),
    lib("extendMkDerivation", 1, |_, _, at| {
        Value::unknown(Doubt::Unmodelled, "`lib.extendMkDerivation`", Some(at))
    }),
    lib("overrideDerivation", 2, |ev, a, at| {
        let drv = ev.force(a[0]);
        let change = ev.select(&drv, "overrideDerivation", at);
        ev.apply(&change, a[1], at)
    }),
    builtin("isFunction", 1, is_function),
    builtin("isAttrs", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Attrs(_)))),
    builtin("isList", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::List(_)))),
    builtin("isString", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Str(_)))),
    builtin("isPath", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Path(_)))),
    builtin("isInt", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Int(_)))),
    builtin("isBool", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Bool(_)))),
    global("isNull", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Null))),
    builtin("isFloat", 1, |ev, a, at| is(ev, a, at, |v| matches!(v.kind, Kind::Float(_)))),
    builtin("typeOf", 1, type_of),
    builtin("tryEval", 1, try_eval),
    lib("defaultTo", 2, default_to),
    lib("mapNullable", 2, map_nullable),
    builtin("functionArgs", 1, function_args),
    lib("setFunctionArgs", 2, |ev, a, _| with_arguments(ev, a[0], a[1])),
    lib("mirrorFunctionArgs", 2, mirror_arguments),
    lib("toFunction", 1, to_function),
    builtin("getEnv", 1, |_, _, at| Value::outside("an environment variable", Some(at))),
    lib("not", 1, negate),
    lib("addMetaAttrs", 2, second),
    lib("lowPrio", 1, first),
    lib("hiPrio", 1, first),
    lib("lazyDerivation", 1, lazy_derivation),
    lib("extendDerivation", 3, |ev, a, at| {
        let (drv, more) = (ev.force(a[2]), ev.force(a[1]));
        ev.update(drv, &more, at)
    }),
];

fn first(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    ev.force(args[0])
}

fn second(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    ev.force(args[1])
}

/// The second argument, once the first one has a value.
fn after(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    let first = ev.force(args[0]);
    match first.as_unknown() {
        // What is merely not known has a value in Nix, and the second argument is what is asked for.
        Some(unknown) if matches!(unknown.doubt, Doubt::Throw | Doubt::Error | Doubt::Recursion) => first,
        _ => ev.force(args[1]),
    }
}

/// A function that says of itself which arguments it takes: a set, as in nixpkgs.
fn with_arguments(ev: &mut Eval, function: ThunkId, arguments: ThunkId) -> Value {
    let functor = lambda(move |ev, _, _| ev.force(function));
    let functor = ev.done(functor);
    Value::attrs(Attrs::of([(Rc::from("__functor"), functor), (Rc::from("__functionArgs"), arguments)]))
}

/// `mirrorFunctionArgs f g`: `g`, with the arguments that `f` says to take.
fn mirror_arguments(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let (original, arity) = (args[0], args[1]);
    let arguments = ev.lazy(move |ev| function_args(ev, &[original], at));
    with_arguments(ev, arity, arguments)
}

/// `lazyDerivation { derivation = ...; }`: that derivation, with what else is given to it.
fn lazy_derivation(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let given = ev.force(args[0]);
    let derivation = ev.select(&given, "derivation", at);
    match ev.peek_attr(&given, "passthru", at) {
        Some(more) => ev.update(derivation, &more, at),
        None => derivation,
    }
}

fn import(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    ev.import(&value, at)
}

fn guard(ev: &mut Eval, args: &[ThunkId], at: Location, throws: bool) -> Value {
    let condition = ev.force(args[0]);
    if ev.decide_about(&condition, args[2]) == Some(throws) {
        ev.hide(&condition, at);
        return Value::unknown(Doubt::Throw, "`throwIf`", Some(at));
    }
    ev.force(args[2])
}

fn pipe(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let functions = match whole(ev, args[1], at) {
        Ok(list) => list,
        Err(value) => return value,
    };
    let mut value = args[0];
    for function in &functions.items {
        value = super::lists::later(ev, *function, value, at);
    }
    ev.force(value)
}

fn fix(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let function = ev.force(args[0]);
    let last = ev.reserve();
    let value = ev.apply(&function, last, at);
    ev.fill(last, value.clone());
    value
}

/// `fix'` and what is built upon it note the function that was fixed.
fn unfixed(ev: &mut Eval, value: Value, body: ThunkId, at: Location) -> Value {
    let extra = Value::attrs(Attrs::of([(Rc::from("__unfix__"), body)]));
    ev.update(value, &extra, at)
}

fn make_extensible(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = fix(ev, args, at);
    let body = args[0];
    let extend = lambda(move |ev, overlay, at| {
        let extended = lambda(move |ev, last, at| extends(ev, &[overlay, body, last], at));
        let extended = ev.done(extended);
        make_extensible(ev, &[extended], at)
    });
    let thunk = ev.done(extend);
    let extra = Value::attrs(Attrs::of([(Rc::from("extend"), thunk)]));
    let extended = ev.update(value, &extra, at);
    unfixed(ev, extended, body, at)
}

/// `lib.extends overlay body final`.
pub fn extends(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let body = ev.force(args[1]);
    let previous = ev.apply(&body, args[2], at);
    let overlay = ev.force(args[0]);
    let half = ev.apply(&overlay, args[2], at);
    let added = ev.apply_value(&half, previous.clone(), at);
    ev.update(previous, &added, at)
}

fn is(ev: &mut Eval, args: &[ThunkId], at: Location, test: fn(&Value) -> bool) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |_, value| match value.kind {
        Kind::Unknown(_) => Value::doubtful(reason_of(&value, "a type is not known", at)),
        _ => Value::bool(test(&value)),
    })
}

/// `builtins.isFunction` and `lib.isFunction` differ about sets that can be called.
fn is_function(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |_, value| match &value.kind {
        Kind::Unknown(_) => Value::doubtful(reason_of(&value, "a type is not known", at)),
        Kind::Attrs(attrs) if attrs.map.contains_key("__functor") || attrs.open.is_some() => {
            Value::unknown(Doubt::Unmodelled, "whether a set is a function is not known", Some(at))
        }
        _ => Value::bool(value.is_function()),
    })
}

fn type_of(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    ev.each(value, &mut |_, value| {
        let name = match value.kind {
            Kind::Unknown(_) | Kind::Alt(_) => {
                return Value::doubtful(reason_of(&value, "a type is not known", at));
            }
            Kind::Null => "null",
            Kind::Bool(_) => "bool",
            Kind::Int(_) => "int",
            Kind::Float(_) => "float",
            Kind::Str(_) => "string",
            Kind::Path(_) => "path",
            Kind::List(_) => "list",
            Kind::Attrs(_) => "set",
            Kind::Lambda(_) | Kind::Native(_) | Kind::Function(_) => "lambda",
        };
        Value::text(name)
    })
}

fn try_eval(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    let success = match value.as_unknown() {
        // Nix catches `throw` and assertions that fail. At any other error, as at a missing attribute, it stops all the same.
        Some(unknown) if unknown.doubt == Doubt::Throw => Value::bool(false),
        Some(_) => Value::doubtful(reason_of(&value, "", at)),
        None => Value::bool(true),
    };
    let failed = matches!(success.kind, Kind::Bool(false));
    let success = ev.done(success);
    let value = if failed { ev.done(Value::bool(false)) } else { args[0] };
    Value::attrs(Attrs::of([(Rc::from("success"), success), (Rc::from("value"), value)]))
}

fn default_to(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    let value = ev.force(args[1]);
    ev.each(value, &mut |ev, value| if matches!(value.kind, Kind::Null) { ev.force(args[0]) } else { value })
}

fn map_nullable(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[1]);
    ev.each(value, &mut |ev, value| {
        if matches!(value.kind, Kind::Null) {
            return value;
        }
        let function = ev.force(args[0]);
        ev.apply_value(&function, value, at)
    })
}

fn function_args(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    let formals = match (&value.kind, ev.arguments_of(&value)) {
        (_, Some(formals)) => formals,
        // A function of one plain argument names none.
        (Kind::Lambda(_), None) => Vec::new(),
        _ => {
            return Value::unknown(Doubt::Unmodelled, "the arguments of a function are not known", Some(at));
        }
    };
    let mut set = Attrs::default();
    for (name, default) in formals {
        let thunk = ev.done(Value::bool(default));
        set.map.insert(name, Attr::new(thunk));
    }
    Value::attrs(set)
}

fn to_function(ev: &mut Eval, args: &[ThunkId], _: Location) -> Value {
    let value = ev.force(args[0]);
    let functor = |attrs: &Rc<Attrs>| attrs.map.contains_key("__functor");
    if value.is_function() || value.as_unknown().is_some() || value.as_attrs().is_some_and(functor) {
        return value;
    }
    lambda(move |_, _, _| value.clone())
}

fn negate(ev: &mut Eval, args: &[ThunkId], at: Location) -> Value {
    let value = ev.force(args[0]);
    match crate::value::truth(&value) {
        Some(flag) => Value { kind: Kind::Bool(!flag), trail: value.trail },
        None => Value::doubtful(reason_of(&value, "a condition is not known", at)),
    }
}
