//! The world of the repositories that are surveyed: `builtins`, nixpkgs with its `lib`, and flakes.

use std::path::Path;
use std::rc::Rc;

use super::builtins::{self, Builtins};
use super::eval::{Eval, World};
use super::flake::{self, Input};
use super::hash_text::looks_like_hash;
use super::library::{self, Library};
use super::nixpkgs::derivation::{self, Drv};
use super::nixpkgs::{self, Beside, Entry, Packages, Scope, call_package, overlay, overrides, placeholder};
use super::source::{Base, Source};
use super::syntax::ast::{ExprId, Location};
use super::value::{Attrs, Code, Doubt, Kind, Special, Text, ThunkId, Unknown, Value};

/// That world; what it notes of an evaluation is kept with the evaluation.
pub(crate) struct Nixpkgs;

impl World for Nixpkgs {
    fn global(&self, name: &str) -> Option<Value> {
        builtins::global(name)
    }

    fn conventional(&self, name: &str) -> Option<Value> {
        match name {
            "pkgs" => Some(nixpkgs::nixpkgs()),
            "lib" => Some(library::value()),
            _ => None,
        }
    }

    fn search_path(&self, name: &str, here: Location) -> Value {
        flake::search_path(name, here)
    }

    fn member(
        &self,
        ev: &mut Eval,
        set: &Value,
        attrs: &Rc<Attrs>,
        name: &str,
        here: Location,
    ) -> Option<Value> {
        let special = &attrs.special;
        if let Special::Source(source) = special {
            return source_member(ev, source, name, here);
        }
        if let Some(drv) = special.shared::<Drv>() {
            return derivation::member(ev, set, &drv, name, here);
        }
        if let Some(scope) = special.read::<Scope>() {
            return Some(nixpkgs::scope_member(ev, set, scope, name, here));
        }
        if let Some(input) = special.shared::<Input>() {
            return Some(flake::input_member(ev, &input, name, here));
        }
        if let Some(flake::Own(folder)) = special.read() {
            return flake::self_member(ev, folder, name, here);
        }
        if let Some(Entry(folder)) = special.read() {
            return entry_member(ev, folder, name, here);
        }
        if let Some(Beside(unknown)) = special.read() {
            return Some(self.member_of_unknown(ev, unknown, name, here));
        }
        match special {
            _ if special.is::<Packages>() => Some(nixpkgs::member(set, name, here)),
            _ if special.is::<Library>() => Some(library::member(name, here)),
            _ if special.is::<Builtins>() => builtins::member(name),
            _ => None,
        }
    }

    fn member_of_unknown(&self, ev: &mut Eval, unknown: &Rc<Unknown>, name: &str, here: Location) -> Value {
        nixpkgs::outside_member(ev, unknown, name, here)
    }

    /// `buildNpmPackage.override` and the like.
    fn member_of_function(&self, function: &Value, name: &str) -> Option<Value> {
        matches!(name, "override" | "overrideDerivation")
            .then(|| overrides::overridable_function(function.clone()))
    }

    fn call_set(&self, ev: &mut Eval, attrs: &Rc<Attrs>, argument: ThunkId, here: Location) -> Option<Value> {
        let called = |name: String, message: &str| Unknown {
            doubt: Doubt::Outside,
            message: message.into(),
            at: Some(here),
            name: Some(name.into()),
        };
        let callee = if let Some(input) = attrs.special.read::<Input>() {
            called(format!("inputs.{}", input.name), "a flake's input")
        } else {
            let scope = attrs.special.read::<Scope>()?;
            match scope {
                Scope::ImportNpmLock => ev.declared().lock_uses.push((argument, here)),
                Scope::NixFilter => {
                    return Some(builtins::call(ev, "nix-filter.filter", &[argument], here));
                }
                _ => {}
            }
            called(format!("pkgs.{}", scope.name()), "a function of nixpkgs")
        };
        Some(self.call_unknown(ev, &Rc::new(callee), argument, here))
    }

    fn call_unknown(&self, ev: &mut Eval, callee: &Rc<Unknown>, argument: ThunkId, here: Location) -> Value {
        nixpkgs::unknown_call(ev, callee, argument, here)
    }

    fn import(&self, ev: &mut Eval, value: &Value, here: Location) -> Option<Value> {
        match &value.kind {
            Kind::Unknown(unknown) => Some(nixpkgs::import_outside(unknown, here)),
            Kind::Attrs(attrs) if attrs.special.is::<Packages>() => Some(overlay::import_function()),
            _ => {
                let source = ev.source_of(value, here);
                let Base::Remote(remote) = &source.base else { return None };
                Some(nixpkgs::import_remote(ev, remote, &source.sub, here))
            }
        }
    }

    fn equality(&self, code: &Code, left: (ExprId, &Value), right: (ExprId, &Value)) -> Option<bool> {
        placeholder::is_tested(code, left, right).then_some(false)
    }

    fn is_placeholder(&self, text: &Text) -> bool {
        placeholder::is_fake(text)
    }

    fn is_of_interest(&self, text: &str) -> bool {
        looks_like_hash(text)
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
        "lib" => Some(library::value()),
        "pkgs" | "nixpkgs" | "final" | "prev" | "super" => Some(nixpkgs::nixpkgs()),
        "self" | "inputs" | "flake" => flake::of_folder(ev, folder, name, here),
        "callPackage" | "newScope" | "callPackages" => Some(call_package::call_package(nixpkgs::nixpkgs())),
        _ if nixpkgs::is_modelled(name) => {
            let pkgs = nixpkgs::nixpkgs();
            Some(nixpkgs::member(&pkgs, name, here))
        }
        _ => None,
    }
    .filter(|value| !matches!(value.kind, Kind::Unknown(_)))
}
