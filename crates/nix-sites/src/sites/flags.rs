//! What a token that decides is: a flag, which is turned without a look at what it decides, or a part of the code itself.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{Ast, AttrName, Bindings, Bound, Expr, ExprId, FileId, Location, Param, Span};

use super::draft::Draft;
use crate::occurrences::callee;

/// What a token is to the hashes that depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// A value of a data file, a default, an attribute of a set of settings: others turn it, elsewhere and later.
    Flag,
    /// A variable that the code gives itself (fixture `phase-optional-string`).
    Constant,
    /// An argument beside the hash that it belongs to (fixture `patches-optional`), or one that a call gives or leaves to a
    /// wrapper's default while the hash comes from outside of the wrapper (fixture `wrapper-default-beside-hash`): another call
    /// has other arguments and a hash of its own.
    Given,
}

/// What binds an expression.
#[derive(Clone, Copy)]
enum Bearer {
    /// What is not said elsewhere is this: an `or`, an option's default.
    Default,
    /// The default of an argument of this function.
    Formal(Span),
    Set(Span),
    /// The set is what a function is called with.
    Argument,
    Variable,
}

/// The tokens of the files that were asked about, each file once for all configurations.
#[derive(Default)]
pub(super) struct Tokens(RefCell<HashMap<FileId, Rc<Bearers>>>);

/// What the expressions of a file are bound by.
struct Bearers {
    /// In order of place, each place once.
    of: Vec<(Span, Bearer)>,
    /// Attributes that are selected by a name which is no constant, such as `hashes.${name}`.
    selections: HashSet<Span>,
}

impl Tokens {
    /// What a token is to the hashes of a site.
    pub fn of(&self, ev: &Eval, leaf: Location, draft: &Draft) -> Token {
        let bearers = self.bearers(ev, leaf.file);
        // What is not a Nix file is a file of data.
        let Some(bearers) = bearers else { return Token::Flag };
        let is_near = |hash: &Location| hash.file == leaf.file;
        let holds = |span: &Span| draft.literals.iter().any(|hash| is_near(hash) && span.contains(hash.span));
        // A token that nothing binds stands in the middle of an expression: it is a part of the code.
        let Some(bearer) = bearers.of(leaf.span) else { return Token::Given };
        match bearer {
            Bearer::Argument => Token::Given,
            Bearer::Set(set) if holds(&set) => Token::Given,
            Bearer::Formal(function)
                if draft.ways.iter().any(|way| {
                    enters(ev, way, leaf.file, function)
                        || is_selected(way, leaf.file, function, &bearers.selections)
                }) =>
            {
                Token::Given
            }
            Bearer::Variable if draft.literals.iter().any(is_near) => Token::Constant,
            Bearer::Default | Bearer::Formal(_) | Bearer::Set(_) | Bearer::Variable => Token::Flag,
        }
    }

    /// Whether a constant is a setting: somebody chose it and may choose otherwise, in a file of data or under a name. What
    /// stands in for something that is not said may stand in several places, each of which is then a token of its own
    /// (fixture `condition-with-default`).
    pub fn is_setting(&self, ev: &Eval, leaf: Location) -> bool {
        // A file of data is nothing but settings.
        let Some(bearers) = self.bearers(ev, leaf.file) else { return true };
        bearers.of(leaf.span).is_some_and(|bearer| !matches!(bearer, Bearer::Argument | Bearer::Default))
    }

    /// `None` for a file of data.
    fn bearers(&self, ev: &Eval, file: FileId) -> Option<Rc<Bearers>> {
        let ast = ev.parsed(file)?;
        let read = || Rc::new(Bearers { of: bearers(&ast), selections: selections(&ast) });
        Some(Rc::clone(self.0.borrow_mut().entry(file).or_insert_with(read)))
    }
}

impl Bearers {
    fn of(&self, span: Span) -> Option<Bearer> {
        self.of.binary_search_by_key(&span, |(own, _)| *own).ok().map(|at| self.of[at].1)
    }
}

/// Whether a hash comes into a function from code outside of it, as an argument does. From a file of data that the function
/// reads it does not.
fn enters(ev: &Eval, way: &[Location], file: FileId, function: Span) -> bool {
    let is_inside = |place: &Location| place.file == file && function.contains(place.span);
    let first = way.iter().find(|place| ev.parsed(place.file).is_some());
    first.is_some_and(|first| !is_inside(first)) && way.iter().any(is_inside)
}

/// Whether a function selects a hash by a name that its caller gives: another call has a hash of its own, as where it is given
/// (fixture `wrapper-selects-hash-by-name`).
fn is_selected(way: &[Location], file: FileId, function: Span, selections: &HashSet<Span>) -> bool {
    let mut inside = way.iter().filter(|place| place.file == file && function.contains(place.span));
    inside.any(|place| selections.contains(&place.span))
}

/// The expressions that select by a name, and the bindings of such.
fn selections(ast: &Ast) -> HashSet<Span> {
    let is_by_name = |expr: &Expr| match expr {
        Expr::Select { path, .. } => path.iter().any(|name| matches!(name, AttrName::Dynamic(_))),
        _ => false,
    };
    let own = ast.exprs.iter().zip(&ast.spans).filter(|(expr, _)| is_by_name(expr)).map(|(_, span)| *span);
    let bindings = ast.bindings().filter(|(_, id)| is_by_name(ast.expr(*id)));
    own.chain(bindings.map(|(binding, _)| binding.span)).collect()
}

/// What binds each expression of a file that something binds. They are told apart by their numbers: to hash the place of each
/// took a twenty-fifth of all instructions for a flake of 3,000 lines.
fn bearers(ast: &Ast) -> Vec<(Span, Bearer)> {
    let mut all: Vec<Option<Bearer>> = vec![None; ast.exprs.len()];
    let mut set = |id: ExprId, bearer: Bearer| all[id.0 as usize] = Some(bearer);
    for ((expr, span), is_argument) in ast.exprs.iter().zip(&ast.spans).zip(arguments(ast)) {
        match expr {
            Expr::Lambda(lambda) => {
                let Param::Pattern { formals, .. } = &lambda.param else { continue };
                let defaults = formals.iter().filter_map(|formal| formal.default);
                defaults.for_each(|default| set(default, Bearer::Formal(*span)));
            }
            Expr::Select { default: Some(default), .. } => set(*default, Bearer::Default),
            // `attrByPath path default` is an `or` in other words.
            Expr::Apply(function, argument) => {
                if let Expr::Apply(inner, _) = ast.expr(*function)
                    && callee(ast, *inner) == Some("attrByPath")
                {
                    set(*argument, Bearer::Default);
                }
            }
            Expr::Set { bindings, .. } => {
                let bearer = if is_argument { Bearer::Argument } else { Bearer::Set(*span) };
                bound_in(bindings).for_each(|id| set(id, bearer));
            }
            Expr::Let { bindings, .. } | Expr::LegacyLet(bindings) => {
                bound_in(bindings).for_each(|id| set(id, Bearer::Variable));
            }
            _ => {}
        }
    }
    // `mkEnableOption` is a default without a token of its own.
    let own = |(expr, bearer): (&Expr, Option<Bearer>)| {
        bearer.or_else(|| matches!(expr, Expr::Apply(..)).then_some(Bearer::Default))
    };
    let bearers = ast.exprs.iter().zip(all).map(own);
    let mut found: Vec<_> =
        ast.spans.iter().zip(bearers).filter_map(|(span, bearer)| Some((*span, bearer?))).collect();
    found.sort_unstable_by_key(|(span, _)| *span);
    found.dedup_by_key(|(span, _)| *span);
    found
}

/// Which expressions are the argument of a call.
fn arguments(ast: &Ast) -> Vec<bool> {
    let mut are = vec![false; ast.exprs.len()];
    for expr in &ast.exprs {
        if let Expr::Apply(_, argument) = expr {
            are[argument.0 as usize] = true;
        }
    }
    are
}

fn bound_in(bindings: &Bindings) -> impl Iterator<Item = ExprId> {
    bindings.entries.iter().filter_map(|binding| match binding.bound {
        Bound::Expr(id) => Some(id),
        Bound::Outer | Bound::From(_) => None,
    })
}
