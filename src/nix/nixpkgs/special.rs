//! The attributes of sets that are more than their attributes.

use std::path::Path;
use std::rc::Rc;

use super::{call_package, derivation, members, nixpkgs};
use crate::nix::eval::Eval;
use crate::nix::source::{Base, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attrs, Doubt, Kind, Special, Value};

/// The attribute of that name, if the set's meaning gives it one.
pub(crate) fn special_member(
    ev: &mut Eval,
    set: &Value,
    attrs: &Rc<Attrs>,
    name: &str,
    here: Location,
) -> Option<Value> {
    match &attrs.special {
        Special::None | Special::Fileset(_) => None,
        Special::Beside(unknown) => Some(super::outside_member(ev, unknown, name, here)),
        Special::Pkgs => Some(members::member(set, name, here)),
        Special::Scope(scope) => Some(members::scope_member(ev, set, scope, name, here)),
        Special::Lib => Some(crate::nix::library::member(name, here)),
        Special::Builtins => crate::nix::builtins::member(name),
        Special::Source(source) => source_member(ev, source, name, here),
        Special::Drv(drv) => derivation::member(ev, set, drv, name, here),
        Special::Flake(folder) => crate::nix::flake::self_member(ev, folder, name, here),
        Special::Input(input) => Some(crate::nix::flake::input_member(ev, input, name, here)),
        Special::Entry(folder) => entry_member(ev, folder, name, here),
    }
}

fn source_member(ev: &mut Eval, source: &Rc<Source>, name: &str, here: Location) -> Option<Value> {
    match name {
        "outPath" | "out" | "origSrc" => {
            Some(Value::attrs(Attrs::special(Special::Source(Rc::clone(source)))))
        }
        "name" => Some(match source.folder_names().first() {
            Some(name) => Value::text(name),
            None => Value::outside("name", Some(here)),
        }),
        "type" => Some(Value::text("derivation")),
        "overrideAttrs" | "override" => {
            Some(Value::unknown(Doubt::Unmodelled, "a fetched source is changed by an override", Some(here)))
        }
        _ => match &source.base {
            Base::Remote(remote) => {
                let args = remote.args.clone();
                ev.peek_attr(&args, name, here)
                    .or_else(|| Some(Value::outside(&format!("{}.{name}", remote.fetcher), Some(here))))
            }
            _ => None,
        },
    }
}

/// What the arguments of a file are when nothing in the repository calls it.
fn entry_member(ev: &mut Eval, folder: &Path, name: &str, here: Location) -> Option<Value> {
    match name {
        "lib" => Some(crate::nix::library::value()),
        "pkgs" | "nixpkgs" | "final" | "prev" | "super" => Some(nixpkgs()),
        "self" | "inputs" | "flake" => crate::nix::flake::of_folder(ev, folder, name, here),
        "callPackage" | "newScope" | "callPackages" => Some(call_package::call_package(nixpkgs())),
        _ if members::is_modelled(name) => {
            let pkgs = nixpkgs();
            Some(members::member(&pkgs, name, here))
        }
        _ => None,
    }
    .filter(|value| !matches!(value.kind, Kind::Unknown(_)))
}
