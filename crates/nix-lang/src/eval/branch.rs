//! Conditions, and values that depend on conditions that are not known.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use super::Eval;
use crate::syntax::ast::{ExprId, Location, Name};
use crate::value::formula::{self, Formula, Identity, Under};
use crate::value::{Attrs, Code, Doubt, EnvId, Kind, List, Move, ThunkId, Unknown, Value};

/// More alternatives than this are not told apart.
pub(super) const MAX_ALTERNATIVES: usize = 16;
const TOO_MANY: &str = "too many alternatives";

impl Eval {
    pub(super) fn eval_if(
        &mut self,
        code: &Code,
        condition: ExprId,
        branches: [ExprId; 2],
        env: EnvId,
    ) -> Value {
        let test = self.eval(&code.at(condition), env);
        match self.decide(&test, branches.map(|branch| Some(code.ast.location(branch)))) {
            Some(true) => {
                self.hide_branch(&test, &code.ast, branches[1], branches[0]);
                self.rule_out(&test, code.ast.location(branches[1]));
                self.eval(&code.at(branches[0]), env)
            }
            Some(false) => {
                self.hide_branch(&test, &code.ast, branches[0], branches[1]);
                self.rule_out(&test, code.ast.location(branches[0]));
                self.eval(&code.at(branches[1]), env)
            }
            None => {
                let here = code.ast.location(condition);
                let sides = sides(&test, Identity::Code(here, env));
                let mut values = Vec::new();
                for (branch, side) in branches.iter().zip(sides) {
                    let Some(value) = self.assuming(&side, &code.at(*branch), env) else { continue };
                    values.extend(alternatives(value).into_iter().filter_map(|value| {
                        value.only_under(&side, here).map(|value| value.moved(here, Move::Branch))
                    }));
                }
                join(values)
            }
        }
    }

    /// A branch that is not taken, which may be because of the files that are there.
    fn rule_out(&self, condition: &Value, branch: Location) {
        if condition.hops().any(|hop| hop.step == Move::FileTest) {
            self.observer.ruled_out(branch);
        }
    }

    pub(super) fn eval_assert(&mut self, code: &Code, condition: ExprId, body: ExprId, env: EnvId) -> Value {
        let test = self.eval(&code.at(condition), env);
        if self.decide(&test, [Some(code.ast.location(body)), None]) == Some(false) {
            self.hide(&test, code.location());
            return Value::unknown(Doubt::Throw, "an assertion fails", Some(code.location()));
        }
        // One that is not known is taken to hold: where it does not, there is no hash to be right or wrong.
        self.eval(&code.at(body), env)
    }

    /// Applies a function to every alternative; each result counts when its alternative does.
    pub fn each(&mut self, value: Value, apply: &mut dyn FnMut(&mut Eval, Value) -> Value) -> Value {
        match &value.kind {
            Kind::Alt(values) => {
                let mut results = Vec::new();
                for value in values.iter() {
                    let result = apply(self, value.clone());
                    results.extend(counting_with(result, value));
                }
                join(results)
            }
            _ => apply(self, value),
        }
    }

    /// What `optional` and its relatives give: what `given` makes of the argument where the condition holds, and something
    /// empty where it does not. A condition that is not known chooses between them, each on its own side.
    pub(crate) fn given_where(
        &mut self,
        condition: ThunkId,
        argument: ThunkId,
        empty: Value,
        at: Location,
        given: impl FnOnce(&mut Self) -> Value,
    ) -> Value {
        let test = self.force(condition);
        match self.decide_about(&test, argument) {
            Some(true) => given(self),
            Some(false) => {
                self.hide(&test, at);
                empty
            }
            None => {
                let sides = sides(&test, Identity::Thunk(condition));
                self.assume_of_argument(argument, &sides[0], at);
                let values = [given(self), empty];
                let restricted = values.into_iter().zip(sides).flat_map(|(value, side)| {
                    let all = alternatives(value).into_iter();
                    all.filter_map(|value| value.only_under(&side, at)).collect::<Vec<_>>()
                });
                join(restricted.collect())
            }
        }
    }
}

/// A value, or all of its alternatives.
fn alternatives(value: Value) -> Vec<Value> {
    match &value.kind {
        Kind::Alt(values) => values.as_ref().clone(),
        _ => vec![value],
    }
}

/// What was made of an alternative counts when the alternative does.
#[must_use]
pub fn counting_with(result: Value, alternative: &Value) -> Vec<Value> {
    let under = alternative.under();
    let Some(hop) = alternative.trail.as_ref().filter(|_| under.is_some()) else { return vec![result] };
    let all = alternatives(result).into_iter();
    all.filter_map(|value| value.only_under(&under, hop.place)).collect()
}

/// When each side of a condition that is not known counts: `then` and `else`. What cannot be told apart from other
/// conditions is itself, and nothing else.
fn sides(test: &Value, otherwise: Identity) -> [Under; 2] {
    let formula = test.stands_for().cloned().unwrap_or_else(|| Formula::of(otherwise));
    let opposite = Formula::not(&formula);
    [Some(formula), Some(opposite)]
}

/// One of several values; a branch that throws is none of them.
#[must_use]
pub fn join(values: Vec<Value>) -> Value {
    let mut flat: Vec<Value> = Vec::new();
    let mut thrown = None;
    for value in values {
        let inner = match &value.kind {
            Kind::Alt(inner) => inner.as_ref().clone(),
            _ => vec![value],
        };
        for value in inner {
            if value.as_unknown().is_some_and(|u| u.doubt == Doubt::Throw) {
                thrown = Some(value);
            } else if let Some(known) = flat.iter_mut().find(|known| same(known, &value)) {
                widen(known, &value);
            } else {
                flat.push(value);
            }
        }
    }
    match flat.len() {
        0 => thrown.unwrap_or_else(|| Value::unknown(Doubt::Error, "no alternative is left", None)),
        1 => flat.remove(0),
        n if n <= MAX_ALTERNATIVES => Value::new(Kind::Alt(Rc::new(flat))),
        _ => laid_together(&flat).unwrap_or_else(|| Value::unknown(Doubt::Limit, TOO_MANY, None)),
    }
}

/// What may be in any of many sets or lists: each flag before a `//` or a `++` doubles them, and services behind ten flags are
/// there all the same (fixture `flags-each-hides-one`).
fn laid_together(values: &[Value]) -> Option<Value> {
    let unknown = Unknown { doubt: Doubt::Limit, message: TOO_MANY.into(), at: None, name: None };
    let unknown = Rc::new(unknown);
    let lists: Option<Vec<_>> = values.iter().map(as_list).collect();
    if let Some(lists) = lists {
        let mut seen = HashSet::new();
        let items = lists.iter().flat_map(|list| &list.items).copied();
        let items = items.filter(|item| seen.insert(*item)).collect();
        return Some(Value::new(Kind::List(Rc::new(List { items, open: Some(unknown) }))));
    }
    let plain = |value: &Value| value.as_attrs().filter(|attrs| attrs.special.is_none()).cloned();
    let sets: Vec<_> = values.iter().map(plain).collect::<Option<_>>()?;
    let mut all = Attrs { open: sets.iter().find_map(|set| set.open.clone()), ..Attrs::default() };
    let mut times: BTreeMap<Name, usize> = BTreeMap::new();
    for (name, attr) in sets.iter().flat_map(|set| &set.map) {
        *times.entry(Rc::clone(name)).or_default() += 1;
        let known = all.map.entry(Rc::clone(name)).or_insert_with(|| attr.clone());
        let differs = known.thunk != attr.thunk || attr.maybe.is_some();
        known.maybe = known.maybe.take().or_else(|| differs.then(|| Rc::clone(&unknown)));
    }
    for (name, _) in times.iter().filter(|(_, times)| **times < sets.len()) {
        if let Some(attr) = all.map.get_mut(name) {
            attr.maybe.get_or_insert_with(|| Rc::clone(&unknown));
        }
    }
    Some(Value::attrs(all))
}

fn as_list(value: &Value) -> Option<&Rc<List>> {
    if let Kind::List(list) = &value.kind { Some(list) } else { None }
}

/// The same value on two ways counts when either of them is taken (fixture `condition-same-source-twice`).
fn widen(known: &mut Value, other: &Value) {
    let under = known.under();
    let Some(hop) = known.trail.as_ref().filter(|_| under.is_some()) else { return };
    let place = hop.place;
    *known = known.clone().counting(formula::either(&under, &other.under()), place);
}

/// Whether two values are surely the same one.
fn same(a: &Value, b: &Value) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool(a), Kind::Bool(b)) => a == b,
        (Kind::Int(a), Kind::Int(b)) => a == b,
        (Kind::Path(a), Kind::Path(b)) => a == b,
        (Kind::Attrs(a), Kind::Attrs(b)) => Rc::ptr_eq(a, b) || (is_empty(a) && is_empty(b)),
        (Kind::List(a), Kind::List(b)) => {
            Rc::ptr_eq(a, b) || (a.items == b.items && a.open.is_none() && b.open.is_none())
        }
        (Kind::Lambda(a), Kind::Lambda(b)) => Rc::ptr_eq(a, b),
        (Kind::Native(a), Kind::Native(b)) => std::ptr::eq(a.native, b.native) && a.args == b.args,
        (Kind::Str(a), Kind::Str(b)) => {
            // Two literals that spell one hash are two tokens, each of which is to be written (fixture `same-text-twice`).
            a.token == b.token && a.known().is_some_and(|text| b.known().is_some_and(|other| text == other))
        }
        (Kind::Unknown(a), Kind::Unknown(b)) => Rc::ptr_eq(a, b) || (a.message == b.message && a.at == b.at),
        _ => false,
    }
}

fn is_empty(attrs: &Attrs) -> bool {
    attrs.map.is_empty() && attrs.open.is_none() && attrs.special.is_none()
}
