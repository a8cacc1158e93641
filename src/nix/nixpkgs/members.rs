//! The members of `pkgs` that matter for npm dependencies.

use std::rc::Rc;

use super::derivation::{self, Builder};
use super::{call_package, fetchers, nixpkgs, overlay, scripts};
use crate::nix::eval::Eval;
use crate::nix::source::{Base, Source};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attrs, Kind, Piece, Special, Text, Value};

/// Sets inside nixpkgs whose members are packages or builders.
const SCOPES: &[&str] = &[
    "python3Packages",
    "python310Packages",
    "python311Packages",
    "python312Packages",
    "python313Packages",
    "pythonPackages",
    "rustPlatform",
    "nodePackages",
    "libsForQt5",
    "kdePackages",
    "gnome",
    "xorg",
    "darwin",
    "perlPackages",
    "haskellPackages",
    "beamPackages",
    "beam",
    "ocamlPackages",
    "phpPackages",
    "php",
    "rubyPackages",
    "luaPackages",
    "vscode-extensions",
    "vscode-utils",
    "vimUtils",
    "vimPlugins",
    "elmPackages",
    "dotnetCorePackages",
    "npmHooks",
    "dockerTools",
    "home-assistant-custom-lovelace-modules",
    "python3",
    "python311",
    "python312",
    "python313",
    "qt6Packages",
    "qt6",
    "makeScopeWithSplicing",
    "testers",
    "writers",
    "llvmPackages",
];

/// Other instances of the same package set.
const SELVES: &[&str] = &[
    "pkgs",
    "buildPackages",
    "targetPackages",
    "pkgsBuildBuild",
    "pkgsBuildHost",
    "pkgsBuildTarget",
    "pkgsHostHost",
    "pkgsHostTarget",
    "pkgsTargetTarget",
    "pkgsStatic",
    "pkgsMusl",
    "pkgsi686Linux",
    "pkgsx86_64Darwin",
    "__splicedPackages",
    "unstable",
    "stable",
    "pkgsLinux",
];

/// Whether a name means something to the model.
pub(crate) fn is_modelled(name: &str) -> bool {
    matches!(
        name,
        "lib"
            | "stdenv"
            | "stdenvNoCC"
            | "callPackage"
            | "callPackages"
            | "newScope"
            | "emptyDirectory"
            | "nix-gitignore"
            | "path"
            | "importNpmLock"
            | "appendOverlays"
            | "extend"
            | "pkgsCross"
            | "fetchNpmDeps"
            | "buildNpmPackage"
            | "runCommand"
            | "runCommandLocal"
            | "runCommandNoCC"
            | "applyPatches"
            | "buildNpmPackage'"
            | "gitignoreSource"
            | "symlinkJoin"
            | "buildEnv"
            | "writeText"
            | "writeTextFile"
            | "writeShellScriptBin"
            | "writeShellApplication"
            | "writeScriptBin"
            | "mkShell"
            | "mkShellNoCC"
    ) || SELVES.contains(&name)
        || SCOPES.contains(&name)
        || fetchers::kind(name).is_some()
        || derivation::is_generic_builder(name)
}

/// A member of a package set.
pub(crate) fn member(pkgs: &Value, name: &str, here: Location) -> Value {
    if SELVES.contains(&name) {
        return pkgs.clone();
    }
    if let Some(value) = common(pkgs, name) {
        return value;
    }
    match name {
        "lib" => crate::nix::library::value(),
        "stdenv" | "stdenvNoCC" | "clangStdenv" | "gccStdenv" => scope("stdenv"),
        "hostPlatform" | "targetPlatform" | "buildPlatform" => scope("stdenv.hostPlatform"),
        "system" => Value::outside("pkgs.system", Some(here)),
        "pkgsCross" | "legacyPackages" => scope("pkgsCross"),
        "nix-gitignore" => scope("nix-gitignore"),
        "nix-filter" => scope("nix-filter"),
        "emptyDirectory" => Source::new(Base::Empty).value(),
        "extend" => overlay::extender(pkgs.clone()),
        "appendOverlays" => overlay::appender(pkgs.clone()),
        "formats" | "config" => Value::outside(&format!("pkgs.{name}"), Some(here)),
        _ if SCOPES.contains(&name) => scope(name),
        _ => Value::outside(&format!("pkgs.{name}"), Some(here)),
    }
}

/// Members that exist in package sets and scopes alike.
fn common(pkgs: &Value, name: &str) -> Option<Value> {
    if let Some(kind) = fetchers::kind(name) {
        return Some(fetchers::function(kind, name));
    }
    if let Some(builder) = Builder::of(name) {
        return Some(derivation::function(builder));
    }
    if let Some(value) = scripts::function(name) {
        return Some(value);
    }
    match name {
        "callPackage" | "callPackages" => Some(call_package::call_package(pkgs.clone())),
        "newScope" => Some(call_package::new_scope(pkgs.clone())),
        "importNpmLock" => Some(scope("importNpmLock")),
        "nix-gitignore" => Some(scope("nix-gitignore")),
        "gitignoreSource" => crate::nix::builtins::native("gitignoreSource"),
        _ => None,
    }
}

/// A named set inside nixpkgs.
pub(crate) fn scope(name: &str) -> Value {
    Value::attrs(Attrs::special(Special::Scope(Rc::from(name))))
}

/// A member of a set inside nixpkgs.
pub(crate) fn scope_member(
    ev: &mut Eval,
    set: &Value,
    scope_name: &str,
    name: &str,
    here: Location,
) -> Value {
    match (scope_name, name) {
        ("stdenv" | "stdenv.hostPlatform", "hostPlatform" | "buildPlatform" | "targetPlatform") => {
            scope("stdenv.hostPlatform")
        }
        ("stdenv.hostPlatform" | "stdenv", "system") => system(),
        ("pkgsCross", _) => nixpkgs(),
        ("lib.systems", "flakeExposed" | "all" | "unix" | "linux" | "doubles") => match name {
            "doubles" => set.clone(),
            _ => system_list(ev),
        },
        _ if scope_name.starts_with("lib.") => lib_member(&scope_name[4..], name, here),
        // It takes its own `npmRoot`, as a call of the set does.
        ("importNpmLock", "buildNodeModules") => scope("importNpmLock"),
        ("importNpmLock", "npmConfigHook" | "linkNodeModulesHook") => {
            Value::outside("pkgs.importNpmLock.npmConfigHook", Some(here))
        }
        ("nix-gitignore", _) => match crate::nix::builtins::native(&format!("nix-gitignore.{name}")) {
            Some(value) => value,
            None => Value::outside(&format!("nix-gitignore.{name}"), Some(here)),
        },
        ("nix-filter", _) => match crate::nix::builtins::native(&format!("nix-filter.{name}")) {
            Some(value) => value,
            None => Value::outside(&format!("nix-filter.{name}"), Some(here)),
        },
        (_, "pkgs" | "packages") if name == "pkgs" || scope_name.starts_with("python") => {
            if name == "pkgs" && !scope_name.starts_with("python") { nixpkgs() } else { set.clone() }
        }
        ("stdenv" | "stdenv.hostPlatform", _) if name != "mkDerivation" => {
            Value::outside(&format!("{scope_name}.{name}"), Some(here))
        }
        _ => {
            let pkgs = nixpkgs();
            match common(&pkgs, name) {
                Some(value) => value,
                None => Value::outside(&format!("pkgs.{scope_name}.{name}"), Some(here)),
            }
        }
    }
}

/// A system that stands for any.
pub(crate) fn system() -> Value {
    system_named("x86_64-linux")
}

/// The name of a system, marked as one.
pub(crate) fn system_named(name: &str) -> Value {
    let pieces = vec![Piece::Text(Rc::from(name))];
    Value::new(Kind::Str(Rc::new(Text { pieces, system: true, ..Text::default() })))
}

fn lib_member(scope_name: &str, name: &str, here: Location) -> Value {
    match crate::nix::builtins::native(&format!("{scope_name}.{name}")) {
        Some(value) => value,
        None => Value::outside(&format!("lib.{scope_name}.{name}"), Some(here)),
    }
}

/// The usual systems.
fn system_list(ev: &mut Eval) -> Value {
    let names = ["x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"];
    Value::list(names.iter().map(|name| ev.done(system_named(name))).collect())
}
