//! `runCommand`, `applyPatches` and other small builders.

use std::rc::Rc;

use crate::nix::builtins::Native;
use crate::nix::eval::Eval;
use crate::nix::source::{Base, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Kind, NativeCall, ThunkId, Value};

static RUN_COMMAND: Native = Native { name: "runCommand", arity: 3, run: run_command };
static APPLY_PATCHES: Native = Native { name: "applyPatches", arity: 1, run: apply_patches };

/// The builder of that name.
pub(crate) fn function(name: &str) -> Option<Value> {
    let native = match name {
        "runCommand" | "runCommandLocal" | "runCommandNoCC" | "runCommandNoCCLocal" | "runCommandCC" => {
            &RUN_COMMAND
        }
        "applyPatches" => &APPLY_PATCHES,
        _ => return None,
    };
    Some(Value::new(Kind::Native(Rc::new(NativeCall { native, args: Vec::new() }))))
}

fn run_command(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.pending.push(args[1]);
    ev.pending.push(args[2]);
    let name = ev.force(args[0]).known_text();
    let env = ev.force(args[1]);
    let script = ev.force(args[2]);
    ev.each(script, &mut |ev, script| {
        let text = ev.interpolate(&script, here);
        let base = Base::Script { text: Rc::new(text), env: Rc::new(env.clone()) };
        Source { name: name.clone(), ..Source::new(base) }.value()
    })
}

fn apply_patches(ev: &mut Eval, args: &[ThunkId], here: Location) -> Value {
    ev.pending.push(args[0]);
    let given = ev.force(args[0]);
    ev.each(given, &mut |ev, given| {
        let name = match &given.kind {
            Kind::Attrs(_) => ev.peek_attr(&given, "name", here).and_then(|name| name.known_text()),
            _ => None,
        };
        Source { name, ..Source::new(Base::Changed(Rc::new(given))) }.value()
    })
}
