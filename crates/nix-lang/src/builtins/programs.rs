//! Programs of packages: `lib.getExe` and its relatives.

use std::rc::Rc;

use super::{Native, lib};
use crate::eval::{Eval, string};
use crate::syntax::ast::Location;
use crate::value::{Kind, Text, ThunkId, Value};

pub(super) const TABLE: &[Native] = &[
    lib("getExe", 1, |ev, a, at| {
        let name = main_program(ev, a[0], at);
        program(ev, a[0], name.as_deref(), at)
    }),
    lib("getExe'", 2, |ev, a, at| {
        let name = ev.force(a[1]).known_text();
        program(ev, a[0], name.as_deref(), at)
    }),
    lib("getBin", 1, |ev, a, _| ev.force(a[0])),
    lib("getLib", 1, |ev, a, _| ev.force(a[0])),
    lib("getDev", 1, |ev, a, _| ev.force(a[0])),
    lib("getMan", 1, |ev, a, _| ev.force(a[0])),
    lib("getOutput", 2, |ev, a, _| ev.force(a[1])),
];

/// Packages of nixpkgs whose program has another name (fixture `phase-get-exe`).
const OTHER_NAMES: &[(&str, &str)] = &[
    ("gnused", "sed"),
    ("gnugrep", "grep"),
    ("gnutar", "tar"),
    ("gnupatch", "patch"),
    ("yq-go", "yq"),
    ("ripgrep", "rg"),
    ("nodejs", "node"),
    ("prefetch-npm-deps", "prefetch-npm-deps"),
];

/// The name of a package's main program: what the package says, else its own name.
fn main_program(ev: &mut Eval, package: ThunkId, at: Location) -> Option<Rc<str>> {
    let value = ev.force(package);
    if let Kind::Unknown(unknown) = &value.kind {
        let name = unknown.name.as_deref()?.rsplit('.').next()?;
        let other = OTHER_NAMES.iter().find(|(package, _)| *package == name);
        return Some(Rc::from(other.map_or(name, |(_, program)| program)));
    }
    value.as_attrs()?;
    if let Some(meta) = ev.peek_attr(&value, "meta", at)
        && let Some(program) = ev.peek_attr(&meta, "mainProgram", at)
        && let Some(name) = program.known_text()
    {
        return Some(name);
    }
    ev.peek_attr(&value, "pname", at)?.known_text()
}

/// `<package>/bin/<name>`; only the package where the name is not known.
fn program(ev: &mut Eval, package: ThunkId, name: Option<&str>, at: Location) -> Value {
    let value = ev.force(package);
    ev.each(value, &mut |ev, value| {
        let package = ev.interpolate(&value, at);
        let tail = name.map_or_else(String::new, |name| format!("/bin/{name}"));
        let tail = Value::text(&tail);
        let Kind::Str(tail) = &tail.kind else { return tail };
        match ev.concat(&[package, Text::clone(tail)], at) {
            Ok(text) => string(text),
            Err(over) => over.value(),
        }
    })
}
