//! Hash attributes that nothing can use, and why that is certain.

use super::occurrences::Occurrence;
use super::sweep::Sweep;
use super::syntax::ast::{Bound, Expr, Location};

pub(super) const ONLY_OVERRIDDEN: &str = "its derivation is only overridden, never built";
pub(super) const RULED_OUT: &str = "the branch is ruled out by the files that are there";
pub(super) const ALWAYS_GIVEN: &str = "every call gives the argument";

const NO_READER: &str = "no npm derivation reads it";

/// Whether it is worth a word: a variable that takes its hash from elsewhere holds none itself.
pub(super) fn is_telling(why: &str, value: Option<&Expr>) -> bool {
    why != NO_READER || matches!(value, Some(Expr::Str(_)))
}

impl Sweep<'_> {
    /// Why nothing can use an occurrence, if that is certain.
    pub(super) fn is_dead(&self, occurrence: &Occurrence, all: &[Occurrence]) -> Option<&'static str> {
        let ev = &self.ev;
        if let Some(why) = ev.dead.get(&occurrence.at) {
            return Some(why);
        }
        if ev.budget.was_exceeded() {
            return None;
        }
        let forced = ev.literal_of(occurrence).is_some_and(|own| ev.forced.contains(&own));
        if ev.made.contains(&occurrence.at) {
            return Some(ONLY_OVERRIDDEN);
        }
        if ev
            .ruled_out
            .iter()
            .any(|branch| branch.file == occurrence.at.file && branch.span.contains(occurrence.at.span))
        {
            return Some(RULED_OUT);
        }
        if occurrence.lambda.is_some_and(|lambda| ev.entered.contains(&lambda)) && !forced && !ev.blind_flags
        {
            return Some(ALWAYS_GIVEN);
        }
        if ev.built.contains(&occurrence.at) {
            let bound_by_let = self.is_let(occurrence);
            return match (forced, bound_by_let) {
                (false, _) => Some("nothing reads it"),
                (true, true) => Some(NO_READER),
                (true, false) => {
                    self.is_annotation(occurrence).then_some("it stands in `passthru` or `meta`")
                }
            };
        }
        if forced && self.is_annotation(occurrence) {
            return Some("it stands in `passthru` or `meta`");
        }
        self.is_unchosen(occurrence, all).then_some("another entry of the same set is chosen")
    }

    /// Whether the occurrence stands in `passthru` or `meta`.
    pub(super) fn is_annotation(&self, occurrence: &Occurrence) -> bool {
        let Some(ast) = self.ev.parsed(occurrence.at.file) else { return false };
        ast.exprs.iter().any(|expr| match expr {
            Expr::Set { bindings, .. } => bindings.entries.iter().any(|binding| {
                let inside = matches!(binding.bound, Bound::Expr(id) if ast.spans[id.0 as usize].contains(occurrence.at.span));
                inside && matches!(binding.name.as_ref(), "passthru" | "meta")
            }),
            _ => false,
        })
    }

    /// Whether the occurrence is a variable.
    pub(super) fn is_let(&self, occurrence: &Occurrence) -> bool {
        let Some(ast) = self.ev.parsed(occurrence.at.file) else { return false };
        ast.exprs.iter().any(|expr| match expr {
            Expr::Let { bindings, .. } | Expr::LegacyLet(bindings) => {
                bindings.entries.iter().any(|b| b.span == occurrence.at.span)
            }
            _ => false,
        })
    }

    /// A set of records of which others were used, and which nobody visited as a whole.
    pub(super) fn is_unchosen(&self, occurrence: &Occurrence, all: &[Occurrence]) -> bool {
        let Some(ast) = self.ev.parsed(occurrence.at.file) else { return false };
        let sets = ast.exprs.iter().enumerate().filter(|(i, expr)| {
            matches!(expr, Expr::Set { .. }) && ast.spans[*i].contains(occurrence.at.span)
        });
        let mut around: Vec<(usize, super::syntax::ast::Span)> =
            sets.map(|(i, _)| (i, ast.spans[i])).collect();
        around.sort_by_key(|(_, span)| span.end - span.start);
        let (Some((own, _)), Some((_, outer))) = (around.first(), around.get(1)) else { return false };
        let at = |span| Location { file: occurrence.at.file, span };
        let own_built = self.ev.built_sets.contains(&at(ast.spans[*own]));
        let outer_built = self.ev.built_sets.contains(&at(*outer));
        let sibling_used = all.iter().any(|other| {
            other != occurrence
                && outer.contains(other.at.span)
                && self.ev.literal_of(other).is_some_and(|l| self.tokens.contains(&l))
        });
        !own_built && outer_built && sibling_used
    }
}
