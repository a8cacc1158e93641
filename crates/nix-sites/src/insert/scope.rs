//! Which names can be used at a place.

use rnix::ast::{self, Attr, Entry, Expr, HasEntry as _, Param};
use rowan::ast::AstNode as _;

use super::{Component, key};

/// The names that are bound at a set, and whether a `with` is around it.
pub(super) fn scope(set: &ast::AttrSet) -> (Vec<String>, bool) {
    let (mut bound, mut with) = (Vec::new(), false);
    for node in set.syntax().ancestors() {
        match Expr::cast(node) {
            Some(Expr::LetIn(inner)) => bind(inner.entries(), &mut bound),
            Some(Expr::AttrSet(inner)) if inner.rec_token().is_some() => bind(inner.entries(), &mut bound),
            Some(Expr::With(_)) => with = true,
            Some(Expr::Lambda(lambda)) => bind_param(lambda.param(), &mut bound),
            _ => {}
        }
    }
    (bound, with)
}

fn bind(entries: impl Iterator<Item = Entry>, bound: &mut Vec<String>) {
    for entry in entries {
        let attrs: Vec<Attr> = match entry {
            Entry::Inherit(inherit) => inherit.attrs().collect(),
            Entry::AttrpathValue(entry) => {
                // `a.b = 1;` binds `a`.
                entry.attrpath().and_then(|path| path.attrs().next()).into_iter().collect()
            }
        };
        bound.extend(attrs.iter().map(key).filter_map(|key| match key {
            Component::Name(name) => Some(name),
            Component::Dynamic(_) => None,
        }));
    }
}

fn bind_param(param: Option<Param>, bound: &mut Vec<String>) {
    let mut add =
        |ident: Option<ast::Ident>| bound.extend(ident.map(|ident| ident.syntax().text().to_string()));
    match param {
        Some(Param::IdentParam(param)) => add(param.ident()),
        Some(Param::Pattern(pattern)) => {
            pattern.pat_entries().for_each(|entry| add(entry.ident()));
            add(pattern.pat_bind().and_then(|bind| bind.ident()));
        }
        None => {}
    }
}
