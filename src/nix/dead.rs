//! Hash attributes that nothing can use, and why that is certain.

use super::occurrences::{Occurrence, inside};
use super::sweep::Sweep;
use super::syntax::ast::{Expr, Location};

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
            let bound_by_let = occurrence.standing.variable;
            return match (forced, bound_by_let) {
                (false, _) => Some("nothing reads it"),
                (true, true) => Some(NO_READER),
                (true, false) => {
                    occurrence.standing.annotation.then_some("it stands in `passthru` or `meta`")
                }
            };
        }
        if forced && occurrence.standing.annotation {
            return Some("it stands in `passthru` or `meta`");
        }
        self.is_unchosen(occurrence, all).then_some("another entry of the same set is chosen")
    }

    /// A set of records of which others were used, and which nobody visited as a whole.
    pub(super) fn is_unchosen(&self, occurrence: &Occurrence, all: &[Occurrence]) -> bool {
        let Some((own, outer)) = occurrence.standing.sets else { return false };
        let at = |span| Location { file: occurrence.at.file, span };
        let own_built = self.ev.built_sets.contains(&at(own));
        let outer_built = self.ev.built_sets.contains(&at(outer));
        if own_built || !outer_built {
            return false;
        }
        inside(all, outer).iter().any(|other| {
            other != occurrence && self.ev.literal_of(other).is_some_and(|l| self.tokens.contains(&l))
        })
    }
}
