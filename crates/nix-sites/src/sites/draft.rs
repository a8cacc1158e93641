//! A site on its way to its answer.

use nix_lang::eval::{Decided, Eval};
use nix_lang::place::Place;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Flip, LiteralKind, Move, Trail, Value};

use super::answer::Located;
use super::explain::place_of;
use super::literals::Hash;
use crate::reason::Reason;
use crate::site::{Outcome, Site, Undecided};

/// A site and what is needed to compare it with others.
pub(crate) struct Draft {
    pub site: Site,
    pub literals: Vec<Location>,
    /// The places that they travelled, from where they are written to where they are used.
    pub ways: Vec<Vec<Location>>,
    /// The hash is an argument that nothing in the repository gives.
    pub from_caller: bool,
    pub call: Location,
    /// The decisions that the answer rests on.
    pub decided: Vec<Decided>,
    /// What is turned where it is met, if that is not as things stand today.
    pub turned: Vec<Flip>,
    /// What people should know of it: where, and what.
    pub warnings: Vec<(Place, String)>,
}

/// Where a wrapper is called: its hash or its source is written outside of the function that makes the derivation.
pub(super) fn asked_at(ev: &Eval, call: Location, hash: &Hash, located: &[Located]) -> Option<Place> {
    let wrapper = ev.parsed(call.file)?.functions.around(call.span)?;
    let of_hash = hash
        .literals
        .iter()
        .filter(|(literal, _)| matches!(literal.kind, LiteralKind::NixString | LiteralKind::NixExpr));
    let of_source = located.iter().filter_map(|located| origin(&located.trail));
    let mut all = of_hash.map(|(_, at)| *at).chain(of_source);
    let at = all.find(|at| at.file != call.file || !wrapper.contains(at.span))?;
    Some(place_of(ev, at))
}

/// The place where a chain begins.
fn origin(trail: &Trail) -> Option<Location> {
    let mut next = trail.as_deref();
    let mut first = None;
    while let Some(hop) = next {
        // A silent step is a place that people need not be told of, and no place where a source is chosen.
        if hop.step != Move::Silent {
            first = Some(hop.place);
        }
        next = hop.before.as_deref();
    }
    first
}

pub(super) fn text_of(ev: &mut Eval, args: &Value, name: &str, at: Location) -> Option<String> {
    args.as_attrs()?.map.get(name)?;
    ev.peek_attr(args, name, at)?.known_text().map(|text| text.to_string())
}

pub(super) fn name_of(ev: &mut Eval, args: &Value, at: Location) -> Option<String> {
    text_of(ev, args, "pname", at).or_else(|| text_of(ev, args, "name", at))
}

pub(super) fn undecided(ev: &Eval, reason: Reason, message: String, at: Location) -> Outcome {
    Outcome::Undecided(Undecided::new(reason, message, place_of(ev, at)))
}
