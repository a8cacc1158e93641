//! Binary operators.

use std::rc::Rc;

use super::choices::constant_of;
use super::{Eval, Operand, reason_of};
use crate::budget::Cost;
use crate::syntax::ast::{ExprId, Location, Op};
use crate::value::formula::{Atom, Formula, Identity, Under, both, either};
use crate::value::{Code, Doubt, EnvId, Kind, List, ThunkId, Value};

/// Lists in lists are compared so far.
const DEEPEST: u32 = 20;

impl Eval {
    /// Evaluates a binary operator.
    pub(crate) fn eval_binary(
        &mut self,
        code: &Code,
        op: Op,
        left: ExprId,
        right: ExprId,
        env: EnvId,
    ) -> Value {
        let here = code.location();
        match op {
            Op::And | Op::Or | Op::Implies => self.eval_logic(code, op, left, right, env),
            Op::PipeRight => {
                let callee = self.eval(&code.at(right), env);
                let argument = self.delay(code.at(left), env);
                self.apply(&callee, argument, here)
            }
            Op::PipeLeft => self.eval_apply(code, left, right, env),
            _ => {
                let a = self.eval(&code.at(left), env);
                let b = self.eval(&code.at(right), env);
                if matches!(op, Op::Equal | Op::NotEqual)
                    && let Some(equal) = self.world.equality(
                        code,
                        Operand { id: left, value: &a },
                        Operand { id: right, value: &b },
                    )
                {
                    return Value::bool(equal == (op == Op::Equal));
                }
                self.combine(op, a, &b, here)
            }
        }
    }

    fn eval_logic(&mut self, code: &Code, op: Op, left: ExprId, right: ExprId, env: EnvId) -> Value {
        let a = self.eval(&code.at(left), env);
        if first_of(op, &a) == Some(settling(op)) {
            return Value { kind: Kind::Bool(op != Op::And), trail: a.trail };
        }
        let b = self.eval(&code.at(right), env);
        self.join(op, a, b, code.location())
    }

    /// What two conditions say together, the first of which does not settle the answer.
    fn join(&mut self, op: Op, a: Value, b: Value, here: Location) -> Value {
        let short = Some(settling(op));
        let first = first_of(op, &a);
        let second = crate::value::truth(&b);
        if second != short {
            // Both have a part in the answer, which can remember one (fixture `flags-together-hide`).
            let lost = if first.is_some() { &a } else { &b };
            self.turned_as_well(lost, here);
        }
        match (first, second) {
            (Some(_), Some(_)) if op != Op::And && b.flip().is_none() => Value { trail: a.trail, ..b },
            (Some(_), _) => b,
            (None, Some(value)) if Some(value) == short => b,
            // The first side decides nothing more.
            (None, Some(_)) if op != Op::Implies => a,
            (None, Some(_)) => negated(a, here),
            _ => {
                let value = Value::doubtful(reason_of(&a, "a condition is not known", here));
                value.standing_for(logic(op, &a, &b), here)
            }
        }
    }

    fn combine(&mut self, op: Op, a: Value, b: &Value, here: Location) -> Value {
        match op {
            Op::Update => self.update(a, b, here).nameless(),
            Op::Concat => self.each(a, &mut |ev, a| {
                let b = b.clone();
                ev.each(b, &mut |ev, b| concat_lists(ev, &a, &b, here).nameless())
            }),
            Op::Add => self.each(a, &mut |ev, a| {
                let b = b.clone();
                ev.each(b, &mut |ev, b| ev.add(&a, &b, here).nameless())
            }),
            Op::Equal => self.equality(&a, b, here, 0),
            Op::NotEqual => {
                let equal = self.equality(&a, b, here, 0);
                negated(equal, here)
            }
            Op::Less => compare(self, [&a, b], here, std::cmp::Ordering::is_lt),
            Op::LessEq => compare(self, [&a, b], here, std::cmp::Ordering::is_le),
            Op::More => compare(self, [&a, b], here, std::cmp::Ordering::is_gt),
            Op::MoreEq => compare(self, [&a, b], here, std::cmp::Ordering::is_ge),
            _ => arithmetic(op, &a, b, here),
        }
    }

    /// Whether two values are equal, with what would turn the answer; what is in them may be flags as well (fixture
    /// `condition-compares-lists`).
    fn equality(&mut self, a: &Value, b: &Value, here: Location, depth: u32) -> Value {
        if depth <= DEEPEST
            && let Parts::Pairs(pairs) = parts(a, b)
        {
            return self.equality_of_all(&pairs, here, depth);
        }
        if let Some(value) = self.equal(a, b, depth) {
            self.compared(value, [a, b], here)
        } else {
            let doubtful = if a.as_unknown().is_some() { a } else { b };
            let value = Value::doubtful(reason_of(doubtful, "a comparison is not known", here));
            value.standing_for(equals(a, b).or_else(|| equals(b, a)), here)
        }
    }

    fn equality_of_all(&mut self, pairs: &[(ThunkId, ThunkId)], here: Location, depth: u32) -> Value {
        let mut all = Value::bool(true);
        for (a, b) in pairs {
            if crate::value::truth(&all) == Some(false) {
                break;
            }
            if let Err(over) = self.budget.charge(Cost::Step, Some(here)) {
                return over.value();
            }
            let (a, b) = (self.force(*a), self.force(*b));
            let next = self.equality(&a, &b, here, depth + 1);
            all = self.join(Op::And, all, next, here);
        }
        all
    }

    /// Whether two values are equal; `None` when it is not known.
    pub fn equal(&mut self, a: &Value, b: &Value, depth: u32) -> Option<bool> {
        // Lists of one list, over and over, are a tree of any size.
        if depth > DEEPEST || self.budget.charge(Cost::Step, None).is_err() {
            return None;
        }
        match (&a.kind, &b.kind) {
            // Some other value than the one of today is none of those that are written.
            (Kind::Unknown(unknown), Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Str(_))
            | (Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Str(_), Kind::Unknown(unknown))
                if unknown.doubt == Doubt::Other =>
            {
                Some(false)
            }
            (Kind::Unknown(_) | Kind::Alt(_) | Kind::Float(_), _)
            | (_, Kind::Unknown(_) | Kind::Alt(_) | Kind::Float(_)) => None,
            (Kind::Null, Kind::Null) => Some(true),
            (Kind::Bool(a), Kind::Bool(b)) => Some(a == b),
            (Kind::Int(a), Kind::Int(b)) => Some(a == b),
            (Kind::Path(a), Kind::Path(b)) => Some(a == b),
            (Kind::Str(a), Kind::Str(b)) => {
                let (x, y) = (a.known()?, b.known()?);
                let systems =
                    (a.system || b.system) && super::select::is_system(&x) && super::select::is_system(&y);
                if systems { None } else { Some(x == y) }
            }
            (Kind::List(_), Kind::List(_)) | (Kind::Attrs(_), Kind::Attrs(_)) => match parts(a, b) {
                Parts::Unknown => None,
                Parts::Others => Some(false),
                Parts::Pairs(pairs) => self.all_equal(&pairs, depth),
            },
            // Nix compares the addresses of items first: `f == f` is false, and `[ f ] == [ f ]` is true.
            _ if a.is_function() || b.is_function() => None,
            _ => Some(false),
        }
    }

    fn all_equal(&mut self, pairs: &[(ThunkId, ThunkId)], depth: u32) -> Option<bool> {
        let mut known = true;
        for (a, b) in pairs {
            let (a, b) = (self.force(*a), self.force(*b));
            match self.equal(&a, &b, depth + 1) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => known = false,
            }
        }
        known.then_some(true)
    }
}

/// What is held against what when two lists, or two sets, are compared.
enum Parts {
    Pairs(Vec<(ThunkId, ThunkId)>),
    /// Not as many, or under other names.
    Others,
    Unknown,
}

fn parts(a: &Value, b: &Value) -> Parts {
    match (&a.kind, &b.kind) {
        (Kind::List(a), Kind::List(b)) if a.open.is_none() && b.open.is_none() => {
            if a.items.len() != b.items.len() {
                return Parts::Others;
            }
            Parts::Pairs(a.items.iter().copied().zip(b.items.iter().copied()).collect())
        }
        (Kind::Attrs(a), Kind::Attrs(b))
            if [a, b].iter().all(|set| {
                let certain = set.map.values().all(|attr| attr.maybe.is_none());
                certain && set.open.is_none() && set.special.is_none()
            }) =>
        {
            if !a.map.keys().eq(b.map.keys()) {
                return Parts::Others;
            }
            Parts::Pairs(a.map.values().zip(b.map.values()).map(|(x, y)| (x.thunk, y.thunk)).collect())
        }
        _ => Parts::Unknown,
    }
}

/// Which answer of a side settles `&&`, `||` or `->`.
fn settling(op: Op) -> bool {
    op != Op::And
}

/// The answer of the first side, which `->` turns.
fn first_of(op: Op, a: &Value) -> Option<bool> {
    let answer = crate::value::truth(a);
    if op == Op::Implies { answer.map(|answer| !answer) } else { answer }
}

/// The opposite of a condition.
pub(super) fn negated(value: Value, here: Location) -> Value {
    match &value.kind {
        Kind::Bool(flag) => Value { kind: Kind::Bool(!flag), trail: value.trail },
        Kind::Unknown(_) => {
            let opposite = value.stands_for().map(Formula::not);
            value.standing_for(opposite, here)
        }
        _ => value,
    }
}

/// What `a && b`, `a || b` or `a -> b` says of values that are not known.
fn logic(op: Op, a: &Value, b: &Value) -> Under {
    let (one, two) = (a.stands_for().cloned()?, b.stands_for().cloned()?);
    match op {
        Op::And => both(&Some(one), &Some(two)),
        Op::Or => either(&Some(one), &Some(two)),
        _ => either(&Some(Formula::not(&one)), &Some(two)),
    }
}

/// What it says of a value that is not known to be equal to a constant.
fn equals(value: &Value, constant: &Value) -> Under {
    let formula = match &value.kind {
        // Whichever system it is: all of them are one value that is not known.
        Kind::Str(text) if text.system => Formula::of(Identity::System),
        _ => value.stands_for().cloned()?,
    };
    match &constant.kind {
        Kind::Bool(true) => Some(formula),
        Kind::Bool(false) => Some(Formula::not(&formula)),
        _ => {
            let (of, constant) = (Rc::clone(formula.identity()?), constant_of(constant)?);
            Some(Rc::new(Formula::Holds(Atom { of, constant: Some(constant) })))
        }
    }
}

fn concat_lists(ev: &Eval, a: &Value, b: &Value, here: Location) -> Value {
    match (&a.kind, &b.kind) {
        (Kind::List(x), Kind::List(y)) => {
            // Items are four bytes each.
            let cost = Cost::Bytes(4 * (x.items.len() + y.items.len()));
            if let Err(over) = ev.budget.charge(cost, Some(here)) {
                return over.value();
            }
            let items = x.items.iter().chain(&y.items).copied().collect();
            let open = x.open.clone().or_else(|| y.open.clone());
            Value {
                kind: Kind::List(Rc::new(List { items, open })),
                trail: a.trail.clone().or_else(|| b.trail.clone()),
            }
        }
        (Kind::List(list), Kind::Unknown(unknown)) | (Kind::Unknown(unknown), Kind::List(list)) => {
            let open = list.open.clone().or_else(|| Some(Rc::clone(unknown)));
            Value::new(Kind::List(Rc::new(List { items: list.items.clone(), open })))
        }
        (Kind::Unknown(_), _) => a.clone(),
        (_, Kind::Unknown(_)) => b.clone(),
        _ => Value::unknown(Doubt::Error, "`++` needs two lists", Some(here)),
    }
}

/// `a < b`, also as `builtins.lessThan`.
pub fn less(ev: &mut Eval, a: &Value, b: &Value, here: Location) -> Value {
    compare(ev, [a, b], here, std::cmp::Ordering::is_lt)
}

fn compare(ev: &mut Eval, sides: [&Value; 2], here: Location, test: fn(std::cmp::Ordering) -> bool) -> Value {
    let [a, b] = sides;
    let order = match (&a.kind, &b.kind) {
        (Kind::Int(a), Kind::Int(b)) => Some(a.cmp(b)),
        (Kind::Float(a), Kind::Float(b)) => a.partial_cmp(b),
        (Kind::Str(_), Kind::Str(_)) => a.known_text().zip(b.known_text()).map(|(a, b)| a.cmp(&b)),
        _ => None,
    };
    match (order, &a.kind, &b.kind) {
        (Some(order), Kind::Int(x), Kind::Int(y)) => {
            ev.ordered(test(order), [a, b], [*x, *y], |[x, y]| test(x.cmp(&y)), here)
        }
        (Some(order), _, _) => Value::bool(test(order)),
        (None, _, _) => Value::doubtful(reason_of(a, "a comparison is not known", here)),
    }
}

fn arithmetic(op: Op, a: &Value, b: &Value, here: Location) -> Value {
    let (Kind::Int(x), Kind::Int(y)) = (&a.kind, &b.kind) else {
        return Value::doubtful(reason_of(a, "a number is not known", here));
    };
    let result = match op {
        Op::Sub => x.checked_sub(*y),
        Op::Mul => x.checked_mul(*y),
        Op::Div => x.checked_div(*y),
        _ => None,
    };
    match result {
        Some(number) => Value::new(Kind::Int(number)),
        None => Value::unknown(Doubt::Error, "arithmetic without a result", Some(here)),
    }
}
