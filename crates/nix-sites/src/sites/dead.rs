//! Hash attributes that nothing can use, and why that is certain.

use nix_lang::eval::Eval;
use nix_lang::syntax::ast::{Bound, Expr, Location, Span};
use nixpkgs_model::packages::record::{Declared, Inert};

use super::sweep::{Sweep, literal_of};
use crate::occurrences::{Occurrence, inside};

/// Why nothing can use a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unused {
    /// Its derivation is only overridden.
    OnlyOverridden,
    /// It stands in a branch that a test for a file rules out.
    RuledOut,
    /// It is a default, and every call gives the argument.
    AlwaysGiven,
    /// It is a variable that no npm derivation reads.
    NoReader,
    /// Its set was made, and nothing reads it there.
    Unread,
    /// It is an annotation of a derivation.
    Annotation,
    /// It stands in an entry of a set of which nothing reads this entry.
    EntryUnread,
    /// `npmDeps` is given beside it.
    BesideNpmDeps,
    /// `overrideAttrs` comes after `npmDeps` was made.
    OverriddenTooLate,
}

impl Unused {
    /// The sentence for people: a fragment after "a hash that nothing uses: ".
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OnlyOverridden => "its derivation is only overridden, never built",
            Self::RuledOut => "the branch is ruled out by the files that are there",
            Self::AlwaysGiven => "every call gives the argument",
            Self::NoReader => "no npm derivation reads it",
            Self::Unread => "nothing reads it",
            Self::Annotation => "it stands in `passthru` or `meta`",
            Self::EntryUnread => "nothing reads the entry of the set that it stands in",
            Self::OverriddenTooLate => {
                "`overrideAttrs` cannot change it: `npmDeps` was made from the original arguments"
            }
            Self::BesideNpmDeps => "`npmDeps` is given beside it, so that nothing reads it",
        }
    }

    /// Only this repository's own use makes it dead; another user of the file has a use for it
    /// (fixture `formal-default-overridden`).
    pub(super) fn may_stand_alone(self) -> bool {
        matches!(self, Self::OnlyOverridden | Self::AlwaysGiven | Self::RuledOut)
    }

    /// No value of any condition changes it.
    pub(super) fn holds_everywhere(self) -> bool {
        matches!(self, Self::BesideNpmDeps | Self::OverriddenTooLate | Self::Annotation)
    }

    /// Whether it is worth a word: a variable that takes its hash from elsewhere holds none itself.
    pub fn is_telling(self, value: Option<&Expr>) -> bool {
        self != Self::NoReader || matches!(value, Some(Expr::Str(_)))
    }
}

impl From<Inert> for Unused {
    fn from(why: Inert) -> Self {
        match why {
            Inert::BesideNpmDeps => Self::BesideNpmDeps,
            Inert::OverriddenTooLate => Self::OverriddenTooLate,
        }
    }
}

/// Bindings that a derivation of this configuration does not read, and why.
pub(super) fn inert(ev: &Eval) -> impl Iterator<Item = (Location, Unused)> {
    let all = ev.noted::<Declared>().into_iter().flat_map(|declared| &declared.inert);
    all.map(|(at, why)| (*at, Unused::from(*why)))
}

impl Sweep<'_> {
    /// Why a binding is dead, as far as that was found out.
    pub(super) fn known_dead(&self, at: Location) -> Option<Unused> {
        let inert = || self.ev.noted::<Declared>()?.inert.get(&at).map(|why| Unused::from(*why));
        self.dead.get(&at).copied().or_else(inert)
    }

    /// Why nothing can use an occurrence, if that is certain.
    pub(super) fn is_dead(&self, occurrence: &Occurrence, all: &[Occurrence]) -> Option<Unused> {
        let ev = &self.ev;
        if let Some(why) = self.known_dead(occurrence.at) {
            return Some(why);
        }
        // What was not evaluated may use it.
        if ev.budget.was_exceeded() {
            return None;
        }
        let forced = literal_of(ev, occurrence).is_some_and(|own| self.seen.was_evaluated(own));
        // Made, and met nowhere as a derivation: it is what an override begins with.
        if ev.noted::<Declared>().is_some_and(|declared| declared.made.contains(&occurrence.at)) {
            return Some(Unused::OnlyOverridden);
        }
        if self.seen.was_ruled_out(occurrence.at) {
            return Some(Unused::RuledOut);
        }
        if occurrence.lambda.is_some_and(|lambda| self.seen.was_entered(lambda)) && !forced {
            return Some(Unused::AlwaysGiven);
        }
        if self.seen.was_bound(occurrence.at) {
            let bound_by_let = occurrence.standing.variable;
            return match (forced, bound_by_let) {
                (false, _) => Some(Unused::Unread),
                (true, true) => Some(Unused::NoReader),
                (true, false) => occurrence.standing.annotation.then_some(Unused::Annotation),
            };
        }
        if forced && occurrence.standing.annotation {
            return Some(Unused::Annotation);
        }
        self.is_unchosen(occurrence, all).then_some(Unused::EntryUnread)
    }

    /// A set of records of which others were used, and which nobody visited as a whole.
    pub(super) fn is_unchosen(&self, occurrence: &Occurrence, all: &[Occurrence]) -> bool {
        let Some((own, outer)) = occurrence.standing.sets else { return false };
        let at = |span| Location { file: occurrence.at.file, span };
        let own_built = self.seen.was_made(at(own));
        let outer_built = self.seen.was_made(at(outer));
        if own_built || !outer_built || !self.is_entry(at(own), outer) {
            return false;
        }
        inside(all, outer).iter().any(|other| {
            other != occurrence && literal_of(self.ev, other).is_some_and(|l| self.tokens.contains(&l))
        })
    }

    /// Whether a set is bound to a name of another one. A call in between is not a record: what it makes may be used in
    /// ways that are not seen (fixture `flag-hides-wrapper-call`).
    fn is_entry(&self, own: Location, outer: Span) -> bool {
        let Some(ast) = self.ev.parsed(own.file) else { return false };
        ast.exprs.iter().zip(&ast.spans).any(|(expr, span)| match expr {
            Expr::Set { bindings, .. } if *span == outer => bindings.entries.iter().any(
                |binding| matches!(binding.bound, Bound::Expr(id) if ast.spans[id.0 as usize] == own.span),
            ),
            _ => false,
        })
    }
}
