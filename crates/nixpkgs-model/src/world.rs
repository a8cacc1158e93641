//! The world of the repositories that are surveyed: `builtins`, nixpkgs with its `lib`, and flakes.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use nix_lang::builtins::{self, Builtins};
use nix_lang::eval::{self, Eval, Native, Operand, Reach, World};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, RemoteKind, Source};
use nix_lang::value::{Attrs, Code, Doubt, Kind, Special, Text, ThunkId, Unknown, Value};

use crate::flake::{self, Input};
use crate::hash_text::looks_like_hash;
use crate::packages::derivation::{self, Drv};
use crate::packages::record::Declarations as _;
use crate::packages::{
    self, Beside, Habit, Library, PackageScope, Packages, UncalledFile, fetchers, overlay, overrides,
    placeholder, scripts,
};
use crate::{library, modules};

/// That world; what it notes of an evaluation is kept with the evaluation.
pub struct Nixpkgs;

impl World for Nixpkgs {
    fn global(&self, name: &str) -> Option<Value> {
        // Nix has each builtin under this name, too: `__add` is `builtins.add`.
        let bare = name.strip_prefix("__");
        let native = self.function(name).filter(|native| native.reach == Reach::Everywhere);
        let constant = matches!(name, "true" | "false" | "null" | "builtins");
        // Fetchers are in the table of nixpkgs' names; of the last two nothing is known but that they exist.
        let other = matches!(name, "fetchTarball" | "fetchGit" | "fetchTree" | "derivation" | "placeholder");
        (bare.is_some() || native.is_some() || constant || other).then(|| self.builtin(bare.unwrap_or(name)))
    }

    fn function(&self, name: &str) -> Option<&'static Native> {
        FUNCTIONS.get(name).copied()
    }

    fn conventional(&self, name: &str) -> Option<Value> {
        match packages::firm_habit(name)? {
            Habit::Packages => Some(packages::nixpkgs()),
            Habit::Library => Some(packages::lib()),
            Habit::Flake => None,
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
        if let Some(scope) = special.read::<PackageScope>() {
            return Some(packages::scope_member(ev, set, scope, name, here));
        }
        if let Some(input) = special.shared::<Input>() {
            return Some(flake::input_member(ev, &input, name, here));
        }
        if let Some(flake::OwnFlake(folder)) = special.read() {
            return flake::self_member(ev, folder, name, here);
        }
        if let Some(UncalledFile(folder)) = special.read() {
            return entry_member(ev, folder, name, here);
        }
        if let Some(Beside(unknown)) = special.read() {
            return Some(self.member_of_unknown(ev, unknown, name, here));
        }
        match special {
            _ if special.is::<Packages>() => Some(packages::member(ev, set, name, here)),
            _ if special.is::<Library>() => Some(library::member(ev, name, here)),
            _ if special.is::<Builtins>() => Some(self.builtin(name)),
            _ => None,
        }
    }

    fn member_of_unknown(&self, ev: &mut Eval, unknown: &Rc<Unknown>, name: &str, here: Location) -> Value {
        if packages::hides_members(ev, unknown, name) {
            return Value::doubtful(Rc::clone(unknown));
        }
        packages::by_convention(ev, unknown, name)
            .or_else(|| flake::by_convention(ev, name))
            .unwrap_or_else(|| packages::member_of(unknown, name, here))
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
        let unknown = if let Some(input) = attrs.special.read::<Input>() {
            called(format!("inputs.{}", input.name), "a flake's input")
        } else {
            let scope = attrs.special.read::<PackageScope>()?;
            match scope {
                PackageScope::ImportNpmLock => ev.declared().lock_uses.push((argument, here)),
                PackageScope::NixFilter => {
                    return Some(library::nix_filter(ev, &[argument], here));
                }
                _ => {}
            }
            called(format!("pkgs.{}", scope.name()), "a function of nixpkgs")
        };
        Some(self.call_unknown(ev, &Rc::new(unknown), argument, here))
    }

    fn call_unknown(&self, ev: &mut Eval, callee: &Rc<Unknown>, argument: ThunkId, here: Location) -> Value {
        if callee.doubt == Doubt::Throw {
            return Value::doubtful(Rc::clone(callee));
        }
        flake::call_known(ev, callee, argument, here)
            .unwrap_or_else(|| packages::unknown_call(ev, callee, argument, here))
    }

    fn import(&self, ev: &mut Eval, value: &Value, source: &Source, here: Location) -> Option<Value> {
        match (&value.kind, &source.base) {
            (Kind::Unknown(unknown), _) => Some(packages::import_outside(unknown, here)),
            (Kind::Attrs(attrs), _) if attrs.special.is::<Packages>() => Some(overlay::import_function()),
            (_, Base::Remote(remote)) => Some(packages::import_remote(ev, remote, &source.sub, here)),
            _ => None,
        }
    }

    fn equality(&self, code: &Code, left: Operand<'_>, right: Operand<'_>) -> Option<bool> {
        placeholder::is_tested(code, left, right).then_some(false)
    }

    fn is_placeholder(&self, text: &Text) -> bool {
        placeholder::is_fake(text)
    }

    fn is_of_interest(&self, text: &str) -> bool {
        looks_like_hash(text)
    }
}

/// All functions that are modelled, by their names.
static FUNCTIONS: LazyLock<HashMap<&'static str, &'static Native>> =
    LazyLock::new(|| rows().map(|native| (native.name, native)).collect());

fn rows() -> impl Iterator<Item = &'static Native> {
    let tables = [builtins::TABLE, library::TABLE, &[packages::TABLE, modules::TABLE, flake::TABLE]];
    tables.into_iter().flatten().copied().flatten()
}

impl Nixpkgs {
    /// An attribute of `builtins`.
    fn builtin(&self, name: &str) -> Value {
        let fetched = match name {
            "toFile" => Some(scripts::function(scripts::ScriptBuilder::WriteText)),
            "fetchurl" => Some(fetchers::function(RemoteKind::BuiltinFetchUrl, name)),
            "getFlake" => Some(fetchers::function(RemoteKind::FetchTree, name)),
            _ => fetchers::kind(name).map(|kind| fetchers::function(kind, name)),
        };
        let function =
            || self.function(name).filter(|native| native.reach != Reach::Library).map(eval::native);
        fetched
            .or_else(|| builtins::constant(name))
            .or_else(function)
            .unwrap_or_else(|| Value::outside(&format!("builtins.{name}"), None))
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
    let value = match packages::habit(name) {
        Some(Habit::Packages) => Some(packages::nixpkgs()),
        Some(Habit::Library) => Some(packages::lib()),
        Some(Habit::Flake) => flake::of_folder(ev, folder, name, here),
        None => packages::is_modelled(name).then(|| packages::member(ev, &packages::nixpkgs(), name, here)),
    };
    value.filter(|value| !matches!(value.kind, Kind::Unknown(_)))
}
