//! Derivations: builders, `finalAttrs`, `override` and `overrideAttrs`.

use std::cell::Cell;
use std::rc::Rc;

use super::given;
use super::overrides::{Override, keep_override};
use super::record::{Inert, Record, RecordKind};
use crate::packages::record::Declarations as _;
use nix_lang::eval::{Eval, lambda};
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::{Base, Source};
use nix_lang::value::{Attrs, Kind, Meaning, Special, ThunkId, Unknown, Value};

/// What a builder does with npm dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    /// `buildNpmPackage`: makes its own dependencies from `npmDepsHash`.
    Npm,
    /// `fetchNpmDeps`.
    FetchDeps,
    /// `mkDerivation` and all others: only what their attributes hold.
    Generic,
    /// `symlinkJoin` and `buildEnv`: what its `paths` hold, side by side.
    Join,
}

/// A builder, and who stands behind its name.
#[derive(Clone)]
pub struct Maker {
    /// The builder.
    pub builder: Builder,
    /// The function of somebody else that is taken for the builder.
    pub assumed: Option<Rc<Unknown>>,
}

impl From<Builder> for Maker {
    fn from(builder: Builder) -> Self {
        Self { builder, assumed: None }
    }
}

/// A derivation; its attributes are those of the set that carries it.
pub struct Drv {
    /// What makes it.
    pub maker: Maker,
    /// Where it was called.
    pub call: Location,
    /// The declaration of its own dependencies, noted when the derivation turns out to be used.
    pub(super) declared: Option<Record>,
    /// Its attributes, where its dependencies are still to be looked for in them.
    undeclared: Option<Value>,
    noted: Cell<bool>,
    index: Cell<Option<usize>>,
    arg: ThunkId,
    overrides: Vec<ThunkId>,
}

/// A builder as a function of the language.
pub fn function(maker: impl Into<Maker>) -> Value {
    let maker = maker.into();
    lambda(move |ev, arg, here| make(ev, &maker, arg, &[], here))
}

/// Makes the derivation of a call.
pub fn make(ev: &mut Eval, maker: &Maker, arg: ThunkId, overrides: &[ThunkId], here: Location) -> Value {
    let last = ev.reserve();
    // So that `declare` notes what this call rests on, and not what led to it.
    let (value, _) = ev.deciding(|ev| {
        let given = ev.force(arg);
        ev.each(given, &mut |ev, given| {
            let args = if given.is_function() { ev.apply(&given, last, here) } else { given };
            ev.each(args, &mut |ev, args| finish(ev, Call { maker, arg, last, here }, &args, overrides))
        })
    });
    ev.fill(last, value.clone());
    value
}

/// The call of a builder.
#[derive(Clone, Copy)]
struct Call<'a> {
    maker: &'a Maker,
    arg: ThunkId,
    /// The derivation, which its own arguments may use.
    last: ThunkId,
    here: Location,
}

fn finish(ev: &mut Eval, call: Call<'_>, base: &Value, overrides: &[ThunkId]) -> Value {
    let Call { maker, arg, last, here } = call;
    let mut args = base.clone();
    for change in overrides {
        let change = ev.force(*change);
        let declared = declare(ev, maker, base, &args, here);
        let former = Drv { declared, ..Drv::new(maker.clone(), here, arg) };
        let former = special(&args, former);
        args = Override { change: &change, last, here }.apply(ev, args, &former);
    }
    ev.each(args, &mut |ev, args| {
        let Kind::Attrs(attrs) = &args.kind else {
            let odd = ev.done(args.clone());
            ev.leave(odd);
            let reason = nix_lang::eval::reason_of(&args, "the arguments are not known", here);
            return Value::doubtful(reason);
        };
        let declared = declare(ev, maker, base, &args, here);
        let undeclared = given::may_hold(attrs).then(|| args.clone());
        let overrides = overrides.to_vec();
        let drv = Drv { declared, undeclared, overrides, ..Drv::new(maker.clone(), here, arg) };
        special(&args, drv)
    })
}

/// What the derivation declares by itself; overrides reach `fetchNpmDeps`, but not the arguments of `buildNpmPackage`.
fn declare(ev: &mut Eval, maker: &Maker, base: &Value, args: &Value, here: Location) -> Option<Record> {
    let attrs = args.as_attrs()?;
    let record = match maker.builder {
        Builder::Generic | Builder::Join => return None,
        Builder::FetchDeps => Record::new(RecordKind::FetchDeps, args.clone(), here),
        Builder::Npm if attrs.map.contains_key("npmDeps") => {
            ev.declared().given_dependencies.push((args.clone(), here));
            // Only the default of `npmDeps` reads it (fixture `npm-deps-given`).
            if let Some(pos) = attrs.map.get("npmDepsHash").and_then(|attr| attr.pos) {
                ev.declared().inert.entry(pos).or_insert(Inert::BesideNpmDeps);
            }
            return None;
        }
        Builder::Npm => Record::new(RecordKind::Package, base.clone(), here),
    };
    ev.declared().made.extend(record.binding());
    let decided = ev.decided();
    Some(Record { assumed: maker.assumed.clone(), decided, ..record.made_here(ev) })
}

impl Meaning for Drv {
    fn is_files(&self) -> bool {
        true
    }

    fn source(&self, set: &Value, _: Location) -> Option<Source> {
        Some(Source::new(Base::Built(Rc::new(set.clone()))))
    }
}

impl Drv {
    /// A derivation that declares nothing.
    fn new(maker: Maker, call: Location, arg: ThunkId) -> Self {
        let (index, noted) = (Cell::new(None), Cell::new(false));
        Self { maker, call, declared: None, undeclared: None, noted, index, arg, overrides: Vec::new() }
    }

    /// Notes what it declares, once; answers the index.
    pub fn register(&self, ev: &mut Eval) -> Option<usize> {
        if !self.noted.replace(true) && self.index.get().is_none() {
            self.index.set(match (&self.declared, &self.undeclared) {
                (Some(record), _) => Some(ev.record(record.clone())),
                (None, Some(args)) => given::note(ev, args, self.call),
                (None, None) => None,
            });
        }
        self.index.get()
    }

    /// Whether it has npm dependencies, for all that its attributes say.
    pub fn may_declare(&self) -> bool {
        self.declared.is_some() || self.undeclared.is_some() || self.index.get().is_some()
    }

    /// The same derivation with a declaration of its own.
    #[must_use]
    pub(crate) fn declaring(self, declared: Option<Record>) -> Self {
        Self { declared, ..self }
    }

    /// A derivation of which only the declaration is known.
    #[must_use]
    pub fn assumed(index: Option<usize>, call: Location, arg: ThunkId) -> Self {
        Self { index: Cell::new(index), ..Self::new(Builder::Generic.into(), call, arg) }
    }
}

/// A set of arguments as the derivation that it makes.
pub(super) fn special(args: &Value, drv: Drv) -> Value {
    let Kind::Attrs(attrs) = &args.kind else { return args.clone() };
    let mut attrs = attrs.as_ref().clone();
    attrs.special = Special::of(drv);
    Value { kind: Kind::Attrs(Rc::new(attrs)), trail: args.trail.clone() }
}

/// The attributes that a derivation has beside its arguments.
pub fn member(ev: &mut Eval, set: &Value, drv: &Rc<Drv>, name: &str, here: Location) -> Option<Value> {
    match name {
        "overrideAttrs" | "overridePythonAttrs" | "overrideDerivation" => {
            let drv = Rc::clone(drv);
            let again = set.as_attrs().and_then(|attrs| attrs.map.get("override")).map(|attr| attr.thunk);
            Some(lambda(move |ev, change, here| {
                let mut overrides = drv.overrides.clone();
                overrides.push(change);
                let made = make(ev, &drv.maker, drv.arg, &overrides, here);
                keep_override(ev, made, again, change)
            }))
        }
        "override" if drv.maker.builder == Builder::FetchDeps => Some(override_fetcher(Rc::clone(drv))),
        "override" => {
            let same = set.clone();
            Some(lambda(move |ev, changes, _| {
                ev.leave(changes);
                same.clone()
            }))
        }
        "name" => derived_name(ev, set, here),
        "outPath" | "drvPath" | "out" | "bin" | "dev" | "lib" | "all" | "finalPackage" | "drvAttrs" => {
            Some(set.clone())
        }
        "type" => Some(Value::text("derivation")),
        "npmDeps" if drv.maker.builder == Builder::Npm => own_dependencies(ev, set, drv, here),
        "meta" | "outputs" | "outputName" | "system" | "stdenv" | "tests" | "inputDerivation" | "npmDeps" => {
            passthru(ev, set, name, here)
                .or_else(|| Some(Value::outside(&format!("derivation.{name}"), Some(here))))
        }
        "passthru" => None,
        _ => passthru(ev, set, name, here),
    }
}

/// The `fetchNpmDeps` that `buildNpmPackage` calls by itself.
fn own_dependencies(ev: &mut Eval, set: &Value, drv: &Rc<Drv>, _: Location) -> Option<Value> {
    // What nixpkgs hands on. `npmRoot` and `setSourceRoot` are not among it, and do not move the lockfile (fixtures
    // `npm-root-only`, `set-source-root-not-forwarded`).
    const FORWARDED: [(&str, &str); 11] = [
        ("src", "src"),
        ("srcs", "srcs"),
        ("sourceRoot", "sourceRoot"),
        ("prePatch", "prePatch"),
        ("patches", "patches"),
        ("postPatch", "postPatch"),
        ("patchFlags", "patchFlags"),
        ("npmDepsHash", "hash"),
        ("npmDepsFetcherVersion", "fetcherVersion"),
        ("forceGitDeps", "forceGitDeps"),
        ("forceEmptyCache", "forceEmptyCache"),
    ];
    let base = drv.declared.as_ref().map_or_else(|| set.clone(), |record| record.args.clone());
    let attrs = base.as_attrs()?;
    let mut args = Attrs { open: attrs.open.clone(), ..Attrs::default() };
    for (from, to) in FORWARDED {
        if let Some(attr) = attrs.map.get(from) {
            args.map.insert(Rc::from(to), attr.clone());
        }
    }
    let arg = ev.done(Value::attrs(args));
    let maker = Maker { builder: Builder::FetchDeps, assumed: drv.maker.assumed.clone() };
    Some(make(ev, &maker, arg, &[], drv.call))
}

/// `npmDeps.override { hash = ...; }`: `fetchNpmDeps` is called again, with other arguments.
fn override_fetcher(drv: Rc<Drv>) -> Value {
    lambda(move |ev, changes, here| {
        let (given, changes) = (ev.force(drv.arg), ev.force(changes));
        let changes = super::call_package::resolve_changes(ev, &changes, &given, here);
        let merged = ev.update(given, &changes, here);
        let arg = ev.done(merged);
        make(ev, &drv.maker, arg, &drv.overrides, here)
    })
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

/// An unknown function whose argument holds a hash is taken for a builder of npm packages.
pub(crate) fn assume(ev: &mut Eval, callee: &Rc<Unknown>, argument: &Value, here: Location) -> Option<usize> {
    let Kind::Attrs(attrs) = &argument.kind else { return None };
    if !attrs.special.is_none() || !attrs.map.contains_key("npmDepsHash") || attrs.map.contains_key("npmDeps")
    {
        return None;
    }
    let record = Record::new(RecordKind::Package, argument.clone(), here).made_here(ev);
    Some(ev.record(Record { assumed: Some(Rc::clone(callee)), ..record }))
}
