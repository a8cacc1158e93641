//! Derivations: builders, `finalAttrs`, `override` and `overrideAttrs`.

use std::rc::Rc;

use super::record::{Record, RecordKind};
use crate::nix::eval::Eval;
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Attr, Attrs, Doubt, Kind, Special, ThunkId, Unknown, Value};

/// What a builder does with npm dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Builder {
    /// `buildNpmPackage`: makes its own dependencies from `npmDepsHash`.
    Npm,
    /// `fetchNpmDeps`.
    FetchDeps,
    /// `mkDerivation` and all others: only what their attributes hold.
    Generic,
}

/// A derivation; its attributes are those of the set that carries it.
pub(crate) struct Drv {
    pub builder: Builder,
    pub call: Location,
    /// The index of the record of its own dependencies.
    pub record: Option<usize>,
    arg: ThunkId,
    overrides: Vec<ThunkId>,
}

impl Builder {
    /// The builder of that name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "buildNpmPackage" => Some(Self::Npm),
            "fetchNpmDeps" => Some(Self::FetchDeps),
            _ if is_generic_builder(name) => Some(Self::Generic),
            _ => None,
        }
    }
}

/// Builders that know nothing of npm.
pub(crate) fn is_generic_builder(name: &str) -> bool {
    matches!(
        name,
        "mkDerivation"
            | "buildGoModule"
            | "buildRustPackage"
            | "buildPythonPackage"
            | "buildPythonApplication"
            | "mkShell"
            | "mkShellNoCC"
            | "buildEnv"
            | "symlinkJoin"
            | "buildDotnetModule"
            | "buildFHSEnv"
            | "buildFHSUserEnv"
            | "mixRelease"
            | "buildMavenPackage"
            | "buildGradlePackage"
            | "buildComposerProject"
            | "buildRubyGem"
            | "mkPnpmPackage"
            | "mkYarnPackage"
            | "buildVscodeExtension"
            | "buildVscodeMarketplaceExtension"
            | "buildVimPlugin"
            | "buildLayeredImage"
            | "buildImage"
            | "streamLayeredImage"
            | "writeShellApplication"
            | "writeTextFile"
            | "buildHomeAssistantComponent"
            | "toPythonModule"
    ) || is_versioned(name, "buildGo", "Module")
}

fn is_versioned(name: &str, head: &str, tail: &str) -> bool {
    name.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).is_some_and(|version| {
        !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    })
}

/// A builder as a function of the language.
pub(crate) fn function(builder: Builder) -> Value {
    Value::new(Kind::Function(Rc::new(move |ev, arg, here| make(ev, builder.clone(), arg, Vec::new(), here))))
}

/// `buildNpmPackage.override { nodejs = ...; }` is the same builder, unless it gets another fetcher.
pub(crate) fn overridable_function(function: Value) -> Value {
    Value::new(Kind::Function(Rc::new(move |ev, changes, here| {
        let changes = ev.force(changes);
        let risky = ["fetchNpmDeps", "prefetch-npm-deps", "buildPackages"];
        let Kind::Attrs(attrs) = &changes.kind else { return function.clone() };
        if risky.iter().any(|name| attrs.map.contains_key(*name)) {
            return Value::unknown(Doubt::Unmodelled, "a builder with another `fetchNpmDeps`", Some(here));
        }
        function.clone()
    })))
}

/// Makes the derivation of a call.
pub(crate) fn make(
    ev: &mut Eval,
    builder: Builder,
    arg: ThunkId,
    overrides: Vec<ThunkId>,
    here: Location,
) -> Value {
    let last = ev.reserve();
    let given = ev.force(arg);
    let value = ev.each(given, &mut |ev, given| {
        let args = if given.is_function() { ev.apply(&given, last, here) } else { given };
        let (builder, overrides) = (&builder, &overrides);
        ev.each(args, &mut |ev, args| finish(ev, builder, arg, &args, overrides, (last, here)))
    });
    ev.fill(last, value.clone());
    value
}

fn finish(
    ev: &mut Eval,
    builder: &Builder,
    arg: ThunkId,
    base: &Value,
    overrides: &[ThunkId],
    at: (ThunkId, Location),
) -> Value {
    let (last, here) = at;
    let mut args = base.clone();
    for change in overrides {
        let change = ev.force(*change);
        args = override_once(ev, args, &change, last, here);
    }
    ev.each(args, &mut |ev, args| {
        let Kind::Attrs(attrs) = &args.kind else {
            let reason = crate::nix::eval::reason_of(&args, "the arguments are not known", here);
            return Value::doubtful(reason);
        };
        let record = make_record(ev, builder, base, attrs, here);
        let drv = Drv { builder: builder.clone(), call: here, record, arg, overrides: overrides.to_vec() };
        let mut set = attrs.as_ref().clone();
        set.special = Special::Drv(Rc::new(drv));
        Value { kind: Kind::Attrs(Rc::new(set)), trail: args.trail.clone() }
    })
}

fn make_record(
    ev: &mut Eval,
    builder: &Builder,
    base: &Value,
    attrs: &Attrs,
    here: Location,
) -> Option<usize> {
    let kind = match builder {
        Builder::Generic => return None,
        Builder::FetchDeps => RecordKind::FetchDeps,
        Builder::Npm if attrs.map.contains_key("npmDeps") => {
            for name in ["npmDepsHash"] {
                if let Some(pos) = attrs.map.get(name).and_then(|attr| attr.pos) {
                    ev.dead.entry(pos).or_insert("`npmDeps` is given beside it, so that nothing reads it");
                }
            }
            return None;
        }
        Builder::Npm => RecordKind::Package,
    };
    Some(ev.record(Record::new(kind, base.clone(), here)))
}

/// `overrideAttrs`: a set, a function of the former attributes, or one of the final and the former ones.
fn override_once(ev: &mut Eval, former: Value, change: &Value, last: ThunkId, here: Location) -> Value {
    let result = if change.is_function() {
        let once = ev.apply_value(change, former.clone(), here);
        if once.is_function() {
            let half = ev.apply(change, last, here);
            ev.apply_value(&half, former.clone(), here)
        } else {
            once
        }
    } else {
        change.clone()
    };
    note_dead(ev, &result);
    ev.update(former, result, here)
}

/// `npmDepsHash` in an override changes nothing: `npmDeps` was made from the original arguments.
fn note_dead(ev: &mut Eval, changes: &Value) {
    let Kind::Attrs(attrs) = &changes.kind else { return };
    if let Some(pos) = attrs.map.get("npmDepsHash").and_then(|attr| attr.pos) {
        ev.dead
            .entry(pos)
            .or_insert("`overrideAttrs` cannot change it: `npmDeps` was made from the original arguments");
    }
}

/// The attributes that a derivation has beside its arguments.
pub(crate) fn member(ev: &mut Eval, set: &Value, drv: &Rc<Drv>, name: &str, here: Location) -> Option<Value> {
    match name {
        "overrideAttrs" | "overridePythonAttrs" | "overrideDerivation" => {
            let drv = Rc::clone(drv);
            Some(Value::new(Kind::Function(Rc::new(move |ev, change, here| {
                let mut overrides = drv.overrides.clone();
                overrides.push(change);
                make(ev, drv.builder.clone(), drv.arg, overrides, here)
            }))))
        }
        "override" => {
            let same = set.clone();
            Some(Value::new(Kind::Function(Rc::new(move |ev, changes, _| {
                ev.pending.push(changes);
                same.clone()
            }))))
        }
        "name" => derived_name(ev, set, here),
        "outPath" | "drvPath" | "out" | "bin" | "dev" | "lib" | "all" | "finalPackage" | "drvAttrs" => {
            Some(set.clone())
        }
        "type" => Some(Value::text("derivation")),
        "meta" | "outputs" | "outputName" | "system" | "stdenv" | "tests" | "inputDerivation" | "npmDeps" => {
            passthru(ev, set, name, here)
                .or_else(|| Some(Value::outside(&format!("derivation.{name}"), Some(here))))
        }
        "passthru" => None,
        _ => passthru(ev, set, name, here),
    }
}

fn passthru(ev: &mut Eval, set: &Value, name: &str, here: Location) -> Option<Value> {
    let thunk = set.as_attrs()?.map.get("passthru")?.thunk;
    let passthru = ev.force(thunk);
    ev.peek_attr(&passthru, name, here)
}

fn derived_name(ev: &mut Eval, set: &Value, here: Location) -> Option<Value> {
    let attrs = Rc::clone(set.as_attrs()?);
    let pname = attrs.map.get("pname")?.thunk;
    let pname = ev.force(pname);
    let version = attrs.map.get("version").map(|attr| ev.force(attr.thunk));
    match (pname.known_text(), version.and_then(|v| v.known_text())) {
        (Some(pname), Some(version)) => Some(Value::text(&format!("{pname}-{version}"))),
        _ => Some(Value::outside("derivation.name", Some(here))),
    }
}

/// `.override` and `.overrideAttrs` of a package from outside: the changes are evaluated with unknown former values.
pub(crate) fn override_outside(unknown: Rc<Unknown>, name: &str) -> Value {
    let attrs_style = name != "override";
    Value::new(Kind::Function(Rc::new(move |ev, change, here| {
        let former = Value::doubtful(Rc::clone(&unknown));
        let value = ev.force(change);
        if value.is_function() {
            let last = ev.reserve();
            let changed = override_once(ev, former, &value, last, here);
            ev.fill(last, changed.clone());
            let thunk = ev.done(changed.clone());
            ev.pending.push(thunk);
            return changed;
        }
        ev.pending.push(change);
        if attrs_style {
            note_dead(ev, &value);
        }
        ev.update(former, value, here)
    })))
}

/// An unknown function whose argument holds a hash is taken for a builder of npm packages.
pub(crate) fn assume(ev: &mut Eval, callee: &Rc<Unknown>, argument: &Value, here: Location) {
    let Kind::Attrs(attrs) = &argument.kind else { return };
    if !attrs.special.is_none() || !attrs.map.contains_key("npmDepsHash") || attrs.map.contains_key("npmDeps")
    {
        return;
    }
    let record = Record::new(RecordKind::Assumed(Rc::clone(callee)), argument.clone(), here);
    ev.record(record);
}

/// An attribute without provenance.
pub(crate) fn attr(ev: &mut Eval, value: Value) -> Attr {
    Attr::new(ev.done(value))
}
