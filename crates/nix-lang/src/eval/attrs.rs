//! Attribute sets: construction and `//`.

use std::rc::Rc;

use super::{Env, Eval, Scopes};
use crate::budget::Cost;
use crate::syntax::ast::{Bindings, Location};
use crate::value::{Attr, Attrs, Code, Doubt, EnvId, Kind, Meaning, Move, Unknown, Value};

impl Eval {
    /// `{ ... }` and `rec { ... }`.
    pub(crate) fn eval_set(
        &mut self,
        code: &Code,
        recursive: bool,
        bindings: &Rc<Bindings>,
        env: EnvId,
    ) -> Value {
        let mut set = Attrs::default();
        self.observer.made_set(code.location());
        self.budget.spend(Cost::Items(8 + bindings.entries.len()));
        let thunks: Vec<_> = bindings.entries.iter().map(|_| self.reserve()).collect();
        let inner = if recursive {
            let names = bindings.entries.iter().zip(&thunks).map(|(b, t)| (Rc::clone(&b.name), *t)).collect();
            self.scope(Env::names(env, names))
        } else {
            env
        };
        let sources = self.inherit_sources(code, bindings, inner);
        for (binding, thunk) in bindings.entries.iter().zip(thunks) {
            self.suspend(code, binding, &sources, Scopes { outer: env, inner }, thunk);
            let pos = Some(Location { file: code.ast.file, span: binding.span });
            set.map.insert(Rc::clone(&binding.name), Attr { thunk, pos, maybe: None });
        }
        for (name, value) in &bindings.dynamic {
            let key = self.eval(&code.at(*name), inner);
            let pos = Some(code.ast.location(*name));
            let thunk = self.delay(code.at(*value), inner);
            self.insert_dynamic(&mut set, &key, Attr { thunk, pos, maybe: None });
        }
        let here = code.location();
        self.configured(Value::attrs(set).moved(here, Move::Literal), here)
    }

    fn insert_dynamic(&mut self, set: &mut Attrs, key: &Value, attr: Attr) {
        match &key.kind {
            // `${null} = 1;` defines nothing (fixture `attr-name-null`).
            Kind::Null => {}
            Kind::Str(text) => match text.known() {
                Some(name) => {
                    // A name that is there already is an error of Nix.
                    set.map.entry(name).or_insert(attr);
                }
                None => self.insert_unnamed(set, &attr),
            },
            Kind::Alt(keys) => {
                let maybe = attr.maybe.clone().or_else(|| Some(unknown_name(&attr)));
                for key in keys.iter() {
                    self.insert_dynamic(set, key, Attr { maybe: maybe.clone(), ..attr.clone() });
                }
            }
            _ => self.insert_unnamed(set, &attr),
        }
    }

    /// An attribute whose name is not known: the set is open, and its value is still worth a visit.
    fn insert_unnamed(&mut self, set: &mut Attrs, attr: &Attr) {
        self.leave(attr.thunk);
        set.open.get_or_insert(unknown_name(attr));
    }

    /// `left // right`.
    pub fn update(&mut self, left: Value, right: &Value, here: Location) -> Value {
        let trail = left.trail.clone().or_else(|| right.trail.clone());
        let mut merged = self.each(left, &mut |ev, l| {
            let right = right.clone();
            ev.each(right, &mut |ev, r| {
                // Both are copied.
                let size = |value: &Value| value.as_attrs().map_or(0, |attrs| attrs.map.len());
                match ev.budget.charge(Cost::Items(size(&l) + size(&r)), Some(here)) {
                    Ok(()) => update_one(&l, &r, here),
                    Err(over) => over.value(),
                }
            })
        });
        if merged.trail.is_none() {
            merged.trail = trail;
        }
        merged
    }
}

fn unknown_name(attr: &Attr) -> Rc<Unknown> {
    let message = "an attribute name is not known".into();
    Rc::new(Unknown { doubt: Doubt::Unmodelled, message, at: attr.pos, name: None })
}

fn update_one(left: &Value, right: &Value, here: Location) -> Value {
    match (&left.kind, &right.kind) {
        (Kind::Attrs(l), Kind::Attrs(r)) => {
            Value { kind: Kind::Attrs(Rc::new(merge(l, r))), trail: left.trail.clone() }
        }
        (Kind::Attrs(l), Kind::Unknown(unknown)) => {
            if l.special.has(Meaning::is_firm) || unknown.doubt == Doubt::Throw {
                return left.clone();
            }
            Value { kind: Kind::Attrs(Rc::new(overlaid(l, unknown))), trail: left.trail.clone() }
        }
        (Kind::Unknown(unknown), Kind::Attrs(r)) => {
            let mut set = r.as_ref().clone();
            set.open.get_or_insert(Rc::clone(unknown));
            Value { kind: Kind::Attrs(Rc::new(set)), trail: right.trail.clone() }
        }
        (Kind::Unknown(_), _) => left.clone(),
        (_, Kind::Unknown(_)) => right.clone(),
        _ => crate::eval::error(format!("`//` between {} and {}", left.type_name(), right.type_name()), here),
    }
}

/// Both sets known as far as they are: the right one wins.
pub fn merge(left: &Attrs, right: &Attrs) -> Attrs {
    let mut set = match &right.open {
        Some(unknown) if !left.special.has(Meaning::is_firm) => overlaid(left, unknown),
        _ => left.clone(),
    };
    for (name, attr) in &right.map {
        set.map.insert(Rc::clone(name), attr.clone());
    }
    if !right.special.is_none() {
        set.special = right.special.clone();
    }
    set
}

/// A set that something unknown was laid over: every attribute may be another one.
fn overlaid(left: &Attrs, unknown: &Rc<Unknown>) -> Attrs {
    let mut set = left.clone();
    for attr in set.map.values_mut() {
        attr.maybe.get_or_insert(Rc::clone(unknown));
    }
    set.open.get_or_insert(Rc::clone(unknown));
    set
}
