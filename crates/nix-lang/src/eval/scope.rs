//! Scopes: lexical bindings, `with`, and the globals.

use std::rc::Rc;

use super::Eval;
use super::select::identified;
use crate::budget::Cost;
use crate::syntax::ast::{Binding, Bindings, Bound, Location, Name};
use crate::value::LiteralKind;
use crate::value::formula::{Identity, Under, both, can_meet};
use crate::value::{Code, Doubt, EnvId, Kind, Move, Text, ThunkId, Token, Value};

/// One scope and its parent.
pub struct Env {
    parent: Option<EnvId>,
    content: Content,
    /// What is evaluated in it counts only then.
    assumed: Under,
}

enum Content {
    /// Sorted by name.
    Names(Vec<(Name, ThunkId)>),
    With(ThunkId),
}

impl Env {
    /// The scope of the globals.
    #[must_use]
    pub fn root() -> Self {
        Self { parent: None, content: Content::Names(Vec::new()), assumed: None }
    }

    /// The names of a `let`, a recursive set or a function's arguments.
    #[must_use]
    pub fn names(parent: EnvId, mut names: Vec<(Name, ThunkId)>) -> Self {
        names.sort_by(|a, b| a.0.cmp(&b.0));
        Self { parent: Some(parent), content: Content::Names(names), assumed: None }
    }

    /// The attributes of a `with`.
    #[must_use]
    pub fn with(parent: EnvId, namespace: ThunkId) -> Self {
        Self { parent: Some(parent), content: Content::With(namespace), assumed: None }
    }
}

/// The scope that holds only the globals.
pub const ROOT: EnvId = EnvId(0);

/// The scopes of a binding.
#[derive(Clone, Copy)]
pub struct Scopes {
    /// The one around the set or `let`, which `inherit` without a source looks into.
    pub outer: EnvId,
    /// The one in which values are evaluated.
    pub inner: EnvId,
}

impl Eval {
    /// Adds a scope.
    pub fn scope(&mut self, mut env: Env) -> EnvId {
        if let Content::Names(names) = &env.content {
            self.budget.spend(Cost::Items(names.len() / 2));
        }
        let outer = env.parent.map(|parent| self.assumed_in(parent)).unwrap_or_default();
        env.assumed = both(&outer, &self.assumed);
        let id = EnvId(crate::syntax::ast::to_u32(self.envs.len()));
        self.envs.push(env);
        id
    }

    /// When what is evaluated in a scope counts.
    pub(super) fn assumed_in(&self, env: EnvId) -> Under {
        self.envs[env.0 as usize].assumed.clone()
    }

    /// Evaluates something that counts only under a condition which is not known: so do the derivations that it makes
    /// (fixture `condition-around-call`). What never counts where it stands is not evaluated: a hash in it is hidden as long
    /// as no flag is turned (fixture `flag-beside-platform`).
    pub(super) fn assuming(&mut self, condition: &Under, code: &Code, env: EnvId) -> Option<Value> {
        let assumed = both(&self.assumed, condition);
        if !can_meet(&assumed, &assumed) {
            return None;
        }
        let before = std::mem::replace(&mut self.assumed, assumed);
        let inner = self.scope(Env::names(env, Vec::new()));
        let value = self.eval(code, inner);
        self.assumed = before;
        Some(value)
    }

    /// An argument that is written in the call itself counts only where the call uses it: nothing else can.
    pub(super) fn assume_of_argument(&mut self, argument: ThunkId, condition: &Under, call: Location) {
        let super::Slot::Code(code, env) = &self.thunks[argument.0 as usize] else { return };
        let (code, env) = (code.clone(), *env);
        let place = code.location();
        if place.file != call.file || !call.span.contains(place.span) {
            return;
        }
        let before = std::mem::replace(&mut self.assumed, condition.clone());
        let inner = self.scope(Env::names(env, Vec::new()));
        self.assumed = before;
        self.set_code(argument, code, inner);
    }

    /// Prepares what is kept for everybody, whoever asks first.
    pub fn for_everybody<T>(&mut self, prepare: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.assumed.take();
        let prepared = prepare(self);
        self.assumed = before;
        prepared
    }

    /// The thunk of a lexically bound name.
    pub(crate) fn lexical(&self, name: &str, mut env: EnvId) -> Option<ThunkId> {
        loop {
            let scope = &self.envs[env.0 as usize];
            if let Content::Names(names) = &scope.content
                && let Ok(i) = names.binary_search_by(|(known, _)| known.as_ref().cmp(name))
            {
                return Some(names[i].1);
            }
            env = scope.parent?;
        }
    }

    /// The value of a name.
    pub(crate) fn eval_variable(&mut self, name: &Name, env: EnvId, here: Location) -> Value {
        let mut identity = None;
        let value = match self.lexical(name, env) {
            Some(thunk) => {
                identity = Some(Identity::Thunk(thunk));
                self.force(thunk)
            }
            // Before any `with`: globals are bound around the whole file, and `with { map = 1; }; map` is the function.
            None => match self.world.global(name) {
                // `true` is a name like any other, which a `let` may bind to something else: here nothing did (fixture
                // `hostile-shadowed-builtins`).
                Some(value) if matches!(value.kind, Kind::Bool(_) | Kind::Null) => {
                    let value = self.configured(value.moved(here, Move::Variable(Rc::clone(name))), here);
                    return super::flag(value, here);
                }
                Some(value) => value,
                None => self.with_scopes(name, env, here),
            },
        };
        let value = self.adopt(name, value);
        let value = self.mark_placeholder(value, here).moved(here, Move::Variable(Rc::clone(name)));
        value.known_as(identity, here)
    }

    fn with_scopes(&mut self, name: &Name, env: EnvId, here: Location) -> Value {
        let mut next = Some(env);
        let mut doubt: Option<Value> = None;
        while let Some(id) = next {
            let scope = &self.envs[id.0 as usize];
            next = scope.parent;
            let Content::With(namespace) = scope.content else { continue };
            let set = self.force(namespace);
            match self.peek_attr(&set, name, here) {
                Some(found) if found.as_unknown().is_none() => return found,
                Some(unknown) => {
                    // nixpkgs has an answer for every name. A `with` further out may really have this one.
                    let decisive = set.as_attrs().is_none_or(|attrs| attrs.special.is_none());
                    doubt.get_or_insert_with(|| identified(unknown, &set, name, here));
                    if decisive {
                        break;
                    }
                }
                None => {}
            }
        }
        doubt.unwrap_or_else(|| crate::eval::error(format!("undefined variable `{name}`"), here))
    }

    /// A scope in which the bindings see each other.
    pub fn bind(&mut self, code: &Code, bindings: &Rc<Bindings>, env: EnvId) -> EnvId {
        let thunks: Vec<ThunkId> = bindings.entries.iter().map(|_| self.reserve()).collect();
        let names = bindings.entries.iter().zip(&thunks).map(|(b, t)| (Rc::clone(&b.name), *t)).collect();
        let inner = self.scope(Env::names(env, names));
        let sources = self.inherit_sources(code, bindings, inner);
        for (binding, thunk) in bindings.entries.iter().zip(thunks) {
            self.suspend(code, binding, &sources, Scopes { outer: env, inner }, thunk);
        }
        inner
    }

    /// The sources of `inherit (source) ...`.
    pub(crate) fn inherit_sources(&mut self, code: &Code, bindings: &Bindings, env: EnvId) -> Vec<ThunkId> {
        bindings.sources.iter().map(|source| self.delay(code.at(*source), env)).collect()
    }

    /// Prepares the value of one binding.
    pub fn suspend(
        &mut self,
        code: &Code,
        binding: &Binding,
        sources: &[ThunkId],
        scopes: Scopes,
        thunk: ThunkId,
    ) {
        let Scopes { outer, inner } = scopes;
        let here = Location { file: code.ast.file, span: binding.span };
        let name = Rc::clone(&binding.name);
        self.observer.bound(&name, here);
        match binding.bound {
            Bound::Expr(id) => self.set_code(thunk, code.at(id), inner),
            Bound::Outer => self.set_lazy(thunk, move |ev| ev.eval_variable(&name, outer, here)),
            Bound::From(i) => {
                let source = sources[i];
                self.set_lazy(thunk, move |ev| {
                    let set = ev.force(source);
                    let value = ev.select(&set, &name, here);
                    identified(value, &set, &name, here).moved(here, Move::Attribute(name))
                });
            }
        }
    }

    fn set_code(&mut self, id: ThunkId, code: Code, env: EnvId) {
        self.thunks[id.0 as usize] = super::Slot::Code(code, env);
    }

    fn set_lazy(&mut self, id: ThunkId, run: impl FnOnce(&mut Eval) -> Value + 'static) {
        self.thunks[id.0 as usize] = super::Slot::Lazy(Box::new(run), self.assumed.clone());
    }

    /// `lib.fakeHash` and its relatives are values of the world; the expression that names one is the token to rewrite.
    pub(super) fn mark_placeholder(&self, value: Value, here: Location) -> Value {
        let Kind::Str(text) = &value.kind else { return value };
        if text.token.is_some() || !self.world.is_placeholder(text) {
            return value;
        }
        let token = Token { location: here, kind: LiteralKind::NixExpr };
        let marked = Text { token: Some(Rc::new(token)), ..text.as_ref().clone() };
        Value { kind: Kind::Str(Rc::new(marked)), trail: value.trail }
    }

    /// A name that everybody gives to nixpkgs is nixpkgs, even where its value is not known.
    fn adopt(&self, name: &str, value: Value) -> Value {
        let Kind::Unknown(unknown) = &value.kind else { return value };
        if matches!(unknown.doubt, Doubt::Throw | Doubt::Recursion) {
            return value;
        }
        self.world.conventional(name).unwrap_or(value)
    }
}
