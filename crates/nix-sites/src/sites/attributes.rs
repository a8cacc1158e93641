//! The arguments of a derivation, one by one.

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Kind, Value};

/// An attribute, or `null`.
pub(super) fn attribute(ev: &mut Eval, args: &Value, name: &str, at: Location) -> Value {
    ev.peek_attr(args, name, at).unwrap_or_else(|| Value::new(Kind::Null))
}

/// What a value may be.
pub(super) fn alternatives(value: Value) -> Vec<Value> {
    match &value.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![value],
    }
}
