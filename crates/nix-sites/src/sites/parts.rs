//! Hashes that are a part of what a hash attribute is bound to, such as one side of an `if`.
//!
//! A site accounts for the attribute, but only for those of its parts that some configuration chooses. A part that none
//! chooses may be the hash of a configuration that was not thought of, so it is not passed over (fixture `hash-in-a-list`).

use std::collections::HashSet;

use nix_lang::syntax::ast::{Ast, Bound, Expr, ExprId, Location, StringPart};
use nixpkgs_model::hash_text::looks_like_hash;

use super::draft::Draft;
use super::sweep::Sweep;
use crate::occurrences::{Occurrence, Standing, callee};
use crate::other_hashes::is_other;
use crate::site::Outcome;

/// The parts that are the hash of no site in any configuration; `accounted` are those of other configurations than today's.
pub(super) fn nobodys(
    today: &Sweep<'_>,
    drafts: &[Draft],
    open: &[Occurrence],
    accounted: &HashSet<Location>,
) -> Vec<Occurrence> {
    let skipped: HashSet<Location> = open.iter().map(|occurrence| occurrence.at).collect();
    let is_nobodys = |at: Location| {
        !today.tokens.contains(&at) && !accounted.contains(&at) && !today.seen.was_ruled_out(at)
    };
    let mut found = Vec::new();
    for occurrence in today.entries.index.values().flatten() {
        let Some((ast, value)) = today.ev.parsed(occurrence.at.file).zip(occurrence.value) else { continue };
        if occurrence.argument || skipped.contains(&occurrence.at) || matches!(ast.expr(value), Expr::Str(_))
        {
            continue;
        }
        let mut parts = Vec::new();
        add_parts(&ast, value, &mut parts);
        parts.retain(|part| is_nobodys(ast.location(*part)));
        let is_told = || {
            today.known_dead(occurrence.at).is_some()
                || drafts.iter().any(|draft| is_undecided_around(draft, occurrence.at))
        };
        if parts.is_empty() || is_told() {
            continue;
        }
        found.extend(parts.into_iter().map(|part| Occurrence {
            at: ast.location(part),
            value: Some(part),
            lambda: None,
            argument: false,
            standing: Standing::default(),
        }));
    }
    found
}

/// A site that has no hash, because the attribute is not known, says all that there is to say.
fn is_undecided_around(draft: &Draft, at: Location) -> bool {
    matches!(draft.site.outcome, Outcome::Undecided(_))
        && draft.literals.is_empty()
        && draft.call.file == at.file
        && draft.call.span.contains(at.span)
}

/// The literals that an expression may come to; what it only compares with, or hands to a fetcher, is none of them.
fn add_parts(ast: &Ast, id: ExprId, parts: &mut Vec<ExprId>) {
    match ast.expr(id) {
        Expr::Str(pieces) => {
            if let [StringPart::Text(text)] = pieces.as_slice()
                && looks_like_hash(text)
            {
                parts.push(id);
            }
        }
        Expr::If { then, otherwise, .. } => {
            add_parts(ast, *then, parts);
            add_parts(ast, *otherwise, parts);
        }
        Expr::List(items) => {
            for item in items {
                add_parts(ast, *item, parts);
            }
        }
        Expr::Set { bindings, .. } => {
            for binding in bindings.entries.iter().filter(|binding| !is_other(&binding.name)) {
                if let Bound::Expr(value) = binding.bound {
                    add_parts(ast, value, parts);
                }
            }
        }
        Expr::Apply(function, _) if callee(ast, *function).is_some_and(|name| name.starts_with("fetch")) => {}
        Expr::Apply(function, argument) => {
            add_parts(ast, *function, parts);
            add_parts(ast, *argument, parts);
        }
        Expr::Select { base, default, .. } => {
            add_parts(ast, *base, parts);
            if let Some(default) = default {
                add_parts(ast, *default, parts);
            }
        }
        Expr::Let { body, .. } | Expr::With { body, .. } | Expr::Assert { body, .. } => {
            add_parts(ast, *body, parts);
        }
        _ => {}
    }
}
