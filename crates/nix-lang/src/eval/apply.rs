//! Function application.

use std::rc::Rc;

use super::{Env, Eval, counting_with};
use crate::syntax::ast::{Expr, ExprId, Formal, Lambda, Location, Name, Param};
use crate::value::{Attr, Attrs, Closure, Code, Doubt, EnvId, Kind, Meaning, Move, ThunkId, Unknown, Value};

impl Eval {
    /// `function argument`.
    pub(crate) fn eval_apply(
        &mut self,
        code: &Code,
        function: ExprId,
        argument: ExprId,
        env: EnvId,
    ) -> Value {
        let callee = self.eval(&code.at(function), env);
        let argument = self.delay(code.at(argument), env);
        self.apply(&callee, argument, code.location())
    }

    /// Calls a value with an argument that may be a value already.
    pub fn apply_value(&mut self, callee: &Value, argument: Value, here: Location) -> Value {
        let argument = self.done(argument);
        self.apply(callee, argument, here)
    }

    /// Calls a value.
    pub fn apply(&mut self, callee: &Value, argument: ThunkId, here: Location) -> Value {
        self.guarded(Some(here), |ev| ev.apply_guarded(callee, argument, here))
    }

    fn apply_guarded(&mut self, callee: &Value, argument: ThunkId, here: Location) -> Value {
        match &callee.kind {
            Kind::Lambda(closure) => self.enter(closure, argument, here),
            Kind::Native(call) => self.apply_native(call, argument, here),
            Kind::Function(run) => {
                let run = Rc::clone(run);
                self.run(run.as_ref(), argument, here).nameless()
            }
            Kind::Attrs(attrs) => self.apply_set(callee, attrs, argument, here),
            Kind::Alt(callees) => {
                let mut results = Vec::new();
                for callee in callees.iter() {
                    let result = self.apply(callee, argument, here);
                    results.extend(counting_with(result, callee));
                }
                crate::eval::join(results)
            }
            Kind::Unknown(unknown) => self.world.call_unknown(self, unknown, argument, here),
            _ => crate::eval::error(format!("{} is called like a function", callee.type_name()), here),
        }
    }

    fn apply_set(&mut self, callee: &Value, attrs: &Rc<Attrs>, argument: ThunkId, here: Location) -> Value {
        if let Some(attr) = attrs.map.get("__functor") {
            let functor = self.force(attr.thunk);
            // As a method has it: the set itself is the first argument.
            let half = self.apply_value(&functor, callee.clone(), here);
            return self.apply(&half, argument, here);
        }
        if !attrs.special.is_none()
            && let Some(result) = self.world.call_set(self, attrs, argument, here)
        {
            return result;
        }
        if let Some(unknown) = &attrs.open {
            return self.world.call_unknown(self, unknown, argument, here);
        }
        crate::eval::error("a set is called like a function", here)
    }

    /// Evaluates the body of a function of the repository.
    pub fn enter(&mut self, closure: &Closure, argument: ThunkId, here: Location) -> Value {
        let Expr::Lambda(lambda) = closure.code.ast.expr(closure.code.id) else {
            return crate::eval::error("not a function", here);
        };
        let lambda = Rc::clone(lambda);
        self.observer.entered(closure.code.location());
        match &lambda.param {
            Param::Ident(name) => {
                let env = self.scope(Env::names(closure.env, vec![(Rc::clone(name), argument)]));
                self.eval(&closure.code.at(lambda.body), env)
            }
            Param::Pattern { formals, bind, .. } => {
                let value = self.force(argument);
                self.each(value, &mut |ev, arg| {
                    let env = ev.match_formals(closure, formals, bind.as_ref(), &arg, here);
                    ev.eval(&closure.code.at(lambda.body), env)
                })
            }
        }
    }

    /// The scope of a function whose formals an argument was matched with.
    pub fn match_formals(
        &mut self,
        closure: &Closure,
        formals: &[Formal],
        bind: Option<&Name>,
        arg: &Value,
        here: Location,
    ) -> EnvId {
        let mut names = Vec::with_capacity(formals.len() + 1);
        let mut defaults = Vec::new();
        for formal in formals {
            let thunk = if let Some(thunk) = self.argument(arg, formal, here) {
                thunk
            } else {
                // Its default may name any other argument, `{ a ? b, b ? 2 }: a`: the scope has to be there first.
                let thunk = self.reserve();
                defaults.push((thunk, formal));
                thunk
            };
            names.push((Rc::clone(&formal.name), thunk));
        }
        if let Some(bind) = bind {
            // What was given and nothing else: `({ a ? 1 }@args: args) { }` is `{ }` (fixture
            // `formal-default-not-in-args`).
            let whole = self.done(arg.clone());
            names.push((Rc::clone(bind), whole));
        }
        let env = self.scope(Env::names(closure.env, names));
        for (thunk, formal) in defaults {
            self.suspend_default(closure, formal, env, thunk, here);
        }
        env
    }

    fn suspend_default(
        &mut self,
        closure: &Closure,
        formal: &Formal,
        env: EnvId,
        thunk: ThunkId,
        here: Location,
    ) {
        let at = Location { file: closure.code.ast.file, span: formal.span };
        let name = Rc::clone(&formal.name);
        let run: super::Lazy = match formal.default {
            Some(default) => {
                let code = closure.code.at(default);
                Box::new(move |ev| ev.eval(&code, env).moved(at, Move::Default(name)))
            }
            None => {
                Box::new(move |_| crate::eval::error(format!("called without the argument `{name}`"), here))
            }
        };
        self.thunks[thunk.0 as usize] = super::Slot::Lazy(run, self.assumed.clone());
    }

    /// The value of one formal argument; `None` when its default counts.
    fn argument(&mut self, arg: &Value, formal: &Formal, here: Location) -> Option<ThunkId> {
        let name = Rc::clone(&formal.name);
        match &arg.kind {
            Kind::Attrs(attrs) => {
                if let Some(attr) = attrs.map.get(&name) {
                    return Some(self.argument_attr(attr, name));
                }
                if attrs.special.has(Meaning::is_of_arguments) {
                    return self.entry_argument(arg, attrs, formal, here);
                }
                if attrs.special.is_none() && attrs.open.is_none() {
                    return None;
                }
                let set = arg.clone();
                match self.peek_attr(&set, &name, here) {
                    None => None,
                    Some(value) if value.as_unknown().is_some() && formal.default.is_some() => {
                        self.doubtful_default(&set, value)
                    }
                    Some(value) => Some(self.done(value)),
                }
            }
            Kind::Unknown(unknown) => {
                let value = self.unknown_argument(unknown, &name, here);
                Some(self.done(value))
            }
            _ => None,
        }
    }

    /// An open set may give the argument or leave it to its default.
    fn doubtful_default(&mut self, set: &Value, value: Value) -> Option<ThunkId> {
        let yields = set.as_attrs().is_some_and(|attrs| attrs.special.has(Meaning::yields_to_defaults));
        if yields { None } else { Some(self.done(value)) }
    }

    fn argument_attr(&mut self, attr: &Attr, name: Name) -> ThunkId {
        let (thunk, pos, maybe) = (attr.thunk, attr.pos, attr.maybe.clone());
        if pos.is_none() && maybe.is_none() {
            return thunk;
        }
        self.lazy(move |ev| {
            let mut value = ev.force(thunk);
            if let Some(pos) = pos {
                value = value.moved(pos, Move::Attribute(name));
            }
            match maybe {
                Some(unknown) => crate::eval::join(vec![value, Value::doubtful(unknown)]),
                None => value,
            }
        })
    }

    fn entry_argument(
        &mut self,
        arg: &Value,
        attrs: &Rc<Attrs>,
        formal: &Formal,
        here: Location,
    ) -> Option<ThunkId> {
        let value = self.world.member(self, arg, attrs, &formal.name, here);
        match value {
            Some(value) if value.as_unknown().is_none() => Some(self.done(value)),
            _ if formal.default.is_some() => None,
            Some(value) => Some(self.done(value)),
            None => {
                let at = Location { file: here.file, span: formal.span };
                let message = format!("`{}` is an argument that nothing here supplies", formal.name);
                let unknown = Unknown {
                    doubt: Doubt::Argument,
                    message: message.into(),
                    at: Some(at),
                    name: Some(Rc::clone(&formal.name)),
                };
                Some(self.done(Value::doubtful(Rc::new(unknown))))
            }
        }
    }

    fn unknown_argument(&mut self, unknown: &Rc<Unknown>, name: &Name, here: Location) -> Value {
        match self.world.conventional(name) {
            Some(value) => value,
            None => self.world.member_of_unknown(self, unknown, name, here),
        }
    }
}

impl Eval {
    /// The formal arguments of whatever can be called, as nixpkgs asks for them: name and whether there is a default.
    pub fn arguments_of(&mut self, callee: &Value) -> Option<Vec<(Name, bool)>> {
        let Some(told) = callee.as_attrs().and_then(|attrs| attrs.map.get("__functionArgs")) else {
            return formals(callee);
        };
        let told = self.force(told.thunk);
        let attrs = told.as_attrs().filter(|attrs| attrs.open.is_none() && attrs.special.is_none())?;
        let all: Vec<_> = attrs.map.iter().map(|(name, attr)| (Rc::clone(name), attr.thunk)).collect();
        all.into_iter().map(|(name, has)| Some((name, crate::value::truth(&self.force(has))?))).collect()
    }
}

/// The formal arguments of a function of the repository: name and whether there is a default.
#[must_use]
pub fn formals(value: &Value) -> Option<Vec<(Name, bool)>> {
    let Kind::Lambda(closure) = &value.kind else { return None };
    match closure.code.ast.expr(closure.code.id) {
        Expr::Lambda(lambda) => formals_of(lambda),
        _ => None,
    }
}

fn formals_of(lambda: &Lambda) -> Option<Vec<(Name, bool)>> {
    match &lambda.param {
        Param::Ident(_) => None,
        Param::Pattern { formals, .. } => {
            Some(formals.iter().map(|formal| (Rc::clone(&formal.name), formal.default.is_some())).collect())
        }
    }
}
