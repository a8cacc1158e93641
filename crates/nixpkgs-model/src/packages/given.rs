//! `npmDeps` that is not made by nixpkgs' fetcher: by a function that is not known, or by the repository's own fetcher.
//!
//! No hash may be missed only because nobody knows what makes the dependencies: it is a declaration like any other, and
//! undecided where the maker is not understood.

use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::source::Base;
use nix_lang::value::{Attrs, Doubt, Kind, Special, ThunkId, Unknown, Value};

use super::derivation::{Builder, Drv};
use super::record::{HASH_NAMES, Record, RecordKind};
use super::{installed, own_fetcher};
use crate::packages::record::Declarations as _;

/// Package managers whose fetchers take hashes of their own (fixtures `npm-deps-of-pnpm`, `pnpm-named-npm`).
const OTHER_MANAGERS: [&str; 4] = ["pnpm", "yarn", "bun", "deno"];

/// Calls of unknown functions, by their results: what was called, and with which argument.
#[derive(Default)]
pub struct Calls {
    /// Results are kept alive, so that their addresses stay theirs.
    by_result: std::collections::HashMap<*const Unknown, (Rc<Unknown>, Rc<Unknown>, ThunkId)>,
}

/// Notes the call of something unknown.
pub(super) fn remember(ev: &mut Eval, result: &Rc<Unknown>, callee: &Rc<Unknown>, argument: ThunkId) {
    let call = (Rc::clone(result), Rc::clone(callee), argument);
    ev.declared().calls.by_result.insert(Rc::as_ptr(result), call);
}

/// Whether the attributes of a derivation may hold dependencies that it does not declare by itself.
pub(super) fn may_hold(attrs: &Attrs) -> bool {
    ["npmDeps", "outputHash"].iter().any(|name| attrs.map.contains_key(*name))
}

/// Looks for `npmDeps` in the argument of an unknown function, once it is visited.
pub(super) fn look_at(ev: &mut Eval, argument: &Value, here: Location) {
    let Some(attrs) = argument.as_attrs().filter(|attrs| attrs.special.is_none()) else { return };
    if attrs.map.contains_key("npmDeps") {
        let argument = argument.clone();
        let visit = ev.lazy(move |ev| {
            note(ev, &argument, here);
            Value::new(Kind::Null)
        });
        ev.leave(visit);
    }
}

/// Notes the declaration that the attributes of a derivation hold; answers its index.
pub(super) fn note(ev: &mut Eval, args: &Value, call: Location) -> Option<usize> {
    let attrs = args.as_attrs()?;
    if attrs.map.contains_key("outputHash")
        && let Some(own) = own_fetcher::of_derivation(ev, args, call)
    {
        return Some(ev.record(own));
    }
    if attrs.map.contains_key("outputHash")
        && !attrs.map.contains_key("npmDeps")
        && let Some(installed) = installed::of_derivation(ev, args, call)
    {
        return Some(ev.record(installed));
    }
    let thunk = attrs.map.get("npmDeps")?.thunk;
    let deps = ev.force(thunk);
    let all = match &deps.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![deps],
    };
    let records: Vec<Record> = all.iter().filter_map(|deps| foreign(ev, deps, call)).collect();
    records.into_iter().map(|record| ev.record(record)).next_back()
}

/// The declaration behind one value of `npmDeps`, unless the value declares it by itself.
fn foreign(ev: &mut Eval, deps: &Value, call: Location) -> Option<Record> {
    match &deps.kind {
        Kind::Unknown(unknown) => of_call(ev, unknown, call),
        Kind::Attrs(attrs) => match (attrs.special.read::<Drv>(), &attrs.special) {
            (Some(drv), _) if drv.maker.builder == Builder::Generic => {
                let odd = attrs.map.contains_key("outputHash") && drv.register(ev).is_none();
                let message =
                    "a derivation of the repository makes `npmDeps`, and what it hashes is not understood";
                odd.then(|| Record::new(RecordKind::Foreign(message.into()), deps.clone(), drv.call))
            }
            (_, Special::Source(source)) => match &source.base {
                Base::Script { text, env } if holds_hash(env) => {
                    let (text, env) = (Rc::clone(text), Rc::clone(env));
                    Some(own_fetcher::of_script(&text, &env, call))
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The call of an unknown function, with the hash that it was given.
fn of_call(ev: &mut Eval, result: &Rc<Unknown>, call: Location) -> Option<Record> {
    // A function that takes its arguments one by one is called once for each (fixture `npm-deps-of-unknown-function`).
    const LONGEST: usize = 8;
    let mut next = Rc::clone(result);
    let mut hashes = Vec::new();
    let mut given = None;
    for _ in 0..LONGEST {
        let Some((_, callee, argument)) = ev.declared().calls.by_result.get(&Rc::as_ptr(&next)).cloned()
        else {
            break;
        };
        let value = ev.force(argument);
        match &value.kind {
            Kind::Attrs(_) if holds_hash(&value) => given = given.or(Some(value)),
            Kind::Str(text) if text.token.is_some() && is_hash(&value) => hashes.push(argument),
            _ => {}
        }
        next = callee;
    }
    // What is called without an argument, or throws, is called in another way as well, or is not called at all.
    if matches!(next.doubt, Doubt::Error | Doubt::Recursion | Doubt::Throw) {
        return None;
    }
    let name = next.name.as_deref().unwrap_or("a function");
    // nixpkgs' manual has `npmDeps = pnpmDeps`: a hash that is not one of npm's.
    if OTHER_MANAGERS.iter().any(|manager| name.to_ascii_lowercase().contains(manager)) {
        return None;
    }
    let message = format!("`npmDeps` is made by `{name}`, which is not known here");
    let args = match (given, hashes.first()) {
        (Some(args), _) => args,
        (None, Some(hash)) => Value::attrs(Attrs::of([(Rc::from("hash"), *hash)])),
        (None, None) => return None,
    };
    Some(Record::new(RecordKind::Foreign(message.into()), args, call))
}

fn holds_hash(value: &Value) -> bool {
    value.as_attrs().is_some_and(|attrs| HASH_NAMES.iter().any(|name| attrs.map.contains_key(*name)))
}

fn is_hash(value: &Value) -> bool {
    value.known_text().is_some_and(|text| {
        let hash = crate::hash_text::HashText::parse(&text);
        hash.digest.is_some()
    })
}
