//! `set.name`, `set.${name} or default` and `set ? name`.

use std::rc::Rc;

use super::{Eval, counting_with, reason_of};
use crate::syntax::ast::{AttrName, ExprId, Location, Name};
use crate::value::formula::{Atom, Formula, Identity, Under};
use crate::value::{Attrs, Code, Doubt, EnvId, Instead, Kind, Meaning, Move, Unknown, Value};

/// What a look-up can find: values, or nothing, or either.
struct Selected {
    values: Vec<Value>,
    missing: bool,
}

impl Eval {
    /// The attribute of a value; an error value when it surely has none.
    pub fn select(&mut self, set: &Value, name: &str, here: Location) -> Value {
        let found = self.find(set, name, here);
        if found.values.is_empty() {
            return missing(set, name, here);
        }
        crate::eval::join(found.values)
    }

    /// The attribute of a value; `None` when it surely has none.
    pub fn peek_attr(&mut self, set: &Value, name: &str, here: Location) -> Option<Value> {
        let found = self.find(set, name, here);
        if found.values.is_empty() { None } else { Some(crate::eval::join(found.values)) }
    }

    /// The attribute of something that is not known.
    pub fn member_of_unknown(&mut self, unknown: &Rc<Unknown>, name: &str, here: Location) -> Value {
        self.world.member_of_unknown(self, unknown, name, here)
    }

    fn find(&mut self, set: &Value, name: &str, here: Location) -> Selected {
        match &set.kind {
            Kind::Attrs(attrs) => self.find_in(set, attrs, name, here),
            Kind::Unknown(unknown) => {
                let value = self.world.member_of_unknown(self, unknown, name, here);
                Selected { values: vec![value], missing: false }
            }
            Kind::Alt(sets) => {
                let mut all = Selected { values: Vec::new(), missing: false };
                for set in sets.iter() {
                    let found = self.find(set, name, here);
                    all.values.extend(found.values.into_iter().flat_map(|v| counting_with(v, set)));
                    all.missing |= found.missing;
                }
                all
            }
            Kind::Function(_) | Kind::Native(_) => {
                let values: Vec<Value> = self.world.member_of_function(set, name).into_iter().collect();
                Selected { missing: values.is_empty(), values }
            }
            // What is no set lacks everything: `null.a or 3` is 3, and `null ? a` is false.
            _ => Selected { values: Vec::new(), missing: true },
        }
    }

    fn find_in(&mut self, set: &Value, attrs: &Rc<Attrs>, name: &str, here: Location) -> Selected {
        if let Some(attr) = attrs.map.get(name) {
            let value = self.force(attr.thunk);
            let value = match attr.pos {
                Some(pos) if value.trail.as_ref().is_none_or(|hop| hop.place != pos) => {
                    value.moved(pos, Move::Attribute(Rc::from(name)))
                }
                _ => value,
            };
            let mut values = vec![value];
            if let Some(unknown) = &attr.maybe {
                values.push(Value::doubtful(Rc::clone(unknown)));
            }
            return Selected { values, missing: false };
        }
        if !attrs.special.is_none()
            && let Some(value) = self.world.member(self, set, attrs, name, here)
        {
            return Selected { values: vec![value], missing: false };
        }
        match &attrs.open {
            Some(unknown) => Selected { values: vec![Value::doubtful(Rc::clone(unknown))], missing: true },
            None => Selected { values: Vec::new(), missing: true },
        }
    }

    /// `base.path or default`.
    pub(crate) fn eval_select(
        &mut self,
        code: &Code,
        base: ExprId,
        path: &[AttrName],
        default: Option<ExprId>,
        env: EnvId,
    ) -> Value {
        let here = code.location();
        let mut value = self.eval(&code.at(base), env);
        let mut may_miss = false;
        for component in path {
            let (found, name) = self.step(code, &value, component, env);
            may_miss |= found.missing;
            if found.values.is_empty() {
                // Wherever on the way something is missing: `x.a.b or 5` also where there is no `a` (fixture
                // `select-or-nested`).
                if let Some(default) = default {
                    return self.eval(&code.at(default), env);
                }
                return match component {
                    AttrName::Static(name) => missing(&value, name, here),
                    AttrName::Dynamic(_) => crate::eval::error("an attribute is missing", here),
                };
            }
            if let (AttrName::Static(name), Some(default)) = (component, default) {
                self.hide_default(&value, name, &code.ast, default);
            }
            let next = crate::eval::join(found.values);
            value = match name {
                Some(name) => identified(next, &value, &name, here),
                None => next,
            };
        }
        let value = self.mark_placeholder(value, here);
        match default {
            Some(default) => self.or_default(value, may_miss, |ev| ev.eval(&code.at(default), env)),
            None => value,
        }
    }

    /// A value, or what counts where it is missing.
    pub fn or_default(
        &mut self,
        value: Value,
        may_miss: bool,
        default: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        // What a configuration leaves open is there all the same.
        if !may_miss && (!is_doubtful(&value) || is_open(&value)) {
            return value;
        }
        let other = default(self);
        // Who reads the same attribute without a default stops where it is missing, so that nothing is tied to both. Of two
        // defaults only one can be taken for the attribute (fixture `condition-with-default`).
        if value.stands_for().is_some() && matches!(other.kind, Kind::Bool(false)) {
            return value;
        }
        crate::eval::join(vec![value, other])
    }

    /// What one component of a path leads to, and its name, where it is one.
    fn step(
        &mut self,
        code: &Code,
        set: &Value,
        component: &AttrName,
        env: EnvId,
    ) -> (Selected, Option<Name>) {
        let here = code.location();
        match component {
            AttrName::Static(name) => (self.find(set, name, here), Some(Rc::clone(name))),
            AttrName::Dynamic(expr) => {
                let key = self.eval(&code.at(*expr), env);
                let name = match &key.kind {
                    Kind::Str(text) if !text.system => text.known(),
                    _ => None,
                };
                (self.find_dynamic(set, &key, here), name)
            }
        }
    }

    fn find_dynamic(&mut self, set: &Value, key: &Value, here: Location) -> Selected {
        match &key.kind {
            Kind::Alt(keys) => {
                let mut all = Selected { values: Vec::new(), missing: false };
                for key in keys.iter() {
                    let found = self.find_dynamic(set, key, here);
                    all.values.extend(found.values.into_iter().flat_map(|v| counting_with(v, key)));
                    all.missing |= found.missing;
                }
                all
            }
            Kind::Str(text) => match text.known() {
                Some(name) if text.system => self.find_system(set, &name, here),
                Some(name) => {
                    if let Kind::Attrs(attrs) = &set.kind {
                        self.hide_others(attrs, &name, key, here);
                    }
                    self.find(set, &name, here)
                }
                None => self.find_any(set, key, here),
            },
            _ => self.find_any(set, key, here),
        }
    }

    /// A set indexed by a system: the answer for this system is as good as that for any other. Two answers of which each is
    /// for another system never meet (`tarball-per-system`).
    fn find_system(&mut self, set: &Value, name: &str, here: Location) -> Selected {
        let Kind::Attrs(attrs) = &set.kind else { return self.find(set, name, here) };
        let systems: Vec<_> = attrs.map.keys().filter(|key| is_system(key)).cloned().collect();
        // Other names beside them are those of no system (fixture `system-keys-beside-others`).
        if systems.is_empty() {
            return self.find(set, name, here);
        }
        let is_one_of_several = systems.len() > 1;
        let mut values = Vec::new();
        for key in &systems {
            let constant = Some(Instead::Text(Rc::clone(key)));
            let own = Formula::Holds(Atom { of: Rc::new(Identity::System), constant });
            let under = is_one_of_several.then(|| Rc::new(own));
            let found = self.find(set, key, here).values.into_iter();
            values.extend(found.filter_map(|value| value.only_under(&under, here)));
        }
        Selected { values, missing: !attrs.map.contains_key(name) }
    }

    /// A set indexed by something unknown: any of its attributes.
    fn find_any(&mut self, set: &Value, key: &Value, here: Location) -> Selected {
        match &set.kind {
            Kind::Attrs(attrs)
                if attrs.special.is_none() && attrs.open.is_none() && attrs.map.len() <= 16 =>
            {
                let names: Vec<_> = attrs.map.keys().cloned().collect();
                let mut values = Vec::new();
                for name in &names {
                    let under = is_named(key, name);
                    let found = self.find(set, name, here).values.into_iter();
                    values.extend(found.filter_map(|value| value.only_under(&under, here)));
                }
                Selected { values, missing: true }
            }
            Kind::Unknown(_) => Selected { values: vec![set.clone()], missing: false },
            _ => {
                let unknown = reason_of(key, "an attribute name is not known", here);
                Selected { values: vec![Value::doubtful(unknown)], missing: true }
            }
        }
    }

    /// `base ? path`.
    pub(crate) fn eval_has_attr(
        &mut self,
        code: &Code,
        base: ExprId,
        path: &[AttrName],
        env: EnvId,
    ) -> Value {
        let mut value = self.eval(&code.at(base), env);
        let mut whole = Value::bool(true);
        for (at, component) in path.iter().enumerate() {
            let (found, name) = self.step(code, &value, component, env);
            if let AttrName::Static(name) = component {
                whole = super::present(!found.values.is_empty(), &value, name);
            }
            if found.values.is_empty() {
                return Value { kind: Kind::Bool(false), trail: whole.trail };
            }
            let may_lack = |name| value.as_attrs().is_some_and(|attrs| attrs.may_lack(name));
            if found.missing || is_doubtful(&value) || name.as_deref().is_some_and(may_lack) {
                let names = path.iter().skip(at).map(|name| match name {
                    AttrName::Static(name) => Some(Rc::clone(name)),
                    AttrName::Dynamic(_) => None,
                });
                let names: Option<Vec<Name>> = names.collect();
                return whether(&value, &names.unwrap_or_default(), code.location());
            }
            let next = crate::eval::join(found.values);
            value = match name {
                Some(name) => identified(next, &value, &name, code.location()),
                None => next,
            };
        }
        if value.as_unknown().is_some_and(|u| u.doubt == Doubt::Outside) {
            return Value::doubtful(reason_of(&value, "", code.location()));
        }
        whole
    }
}

/// Whether something is at the end of a path below a set of which that is not known. Where an attribute on the way is missing, who
/// asks the last one alone stops.
pub(crate) fn whether(set: &Value, names: &[Name], here: Location) -> Value {
    let unknown = Value::unknown(Doubt::Unmodelled, "whether an attribute exists is not known", Some(here));
    let base = set.stands_for().and_then(|formula| formula.identity()).cloned();
    let Some((base, (last, way))) = base.zip(names.split_last()) else { return unknown };
    let parent = way.iter().fold(base, |base, name| Rc::new(Identity::Member(base, Rc::clone(name))));
    unknown.known_as(Some(Identity::Has(parent, Rc::clone(last))), here)
}

/// What a member that is not known is: that of nixpkgs by its name, an attribute, or the member of something else that is
/// not known.
pub(crate) fn identified(member: Value, set: &Value, name: &Name, here: Location) -> Value {
    let Kind::Unknown(unknown) = &member.kind else { return member };
    let identity = match &set.kind {
        Kind::Attrs(attrs) => match (attrs.map.get(name), &attrs.special) {
            (Some(attr), _) if attr.maybe.is_none() => Some(Identity::Thunk(attr.thunk)),
            (None, special) if special.has(Meaning::is_named) => {
                unknown.name.as_ref().map(|name| Identity::Named(Rc::clone(name)))
            }
            _ => None,
        },
        _ => set
            .stands_for()
            .and_then(|formula| formula.identity())
            .map(|base| Identity::Member(Rc::clone(base), Rc::clone(name))),
    };
    member.known_as(identity, here)
}

/// When a name that is not known is this one. Two sets with the same unknown name are read at the same place of both.
fn is_named(key: &Value, name: &Name) -> Under {
    let of = Rc::clone(key.stands_for()?.identity()?);
    Some(Rc::new(Formula::Holds(Atom { of, constant: Some(Instead::Text(Rc::clone(name))) })))
}

fn is_doubtful(value: &Value) -> bool {
    value.as_unknown().is_some_and(|unknown| unknown.doubt != Doubt::Throw)
}

/// Whether a flag that is there stands for any value.
fn is_open(value: &Value) -> bool {
    value.as_unknown().is_some_and(|unknown| matches!(unknown.doubt, Doubt::Open | Doubt::Other))
}

/// Whether a text names a system, such as `aarch64-darwin`.
#[must_use]
pub fn is_system(text: &str) -> bool {
    let Some((cpu, os)) = text.split_once('-') else { return false };
    matches!(
        cpu,
        "x86_64"
            | "aarch64"
            | "i686"
            | "armv6l"
            | "armv7l"
            | "armv7a"
            | "riscv64"
            | "powerpc64le"
            | "powerpc64"
            | "s390x"
    ) && matches!(os, "linux" | "darwin" | "freebsd" | "openbsd" | "netbsd" | "windows" | "cygwin")
}

fn missing(set: &Value, name: &str, here: Location) -> Value {
    let message = match &set.kind {
        Kind::Attrs(_) => format!("attribute `{name}` is missing"),
        _ => format!("attribute `{name}` of {}", set.type_name()),
    };
    crate::eval::error(message, here)
}
