//! The literals behind a hash.

use std::rc::Rc;

use crate::literal::Literal;
use crate::reason::Reason;
use nix_lang::eval::Eval;
use nix_lang::syntax::ast::Location;
use nix_lang::value::LiteralKind;
use nix_lang::value::formula::{Under, both, can_meet, either};
use nix_lang::value::{Doubt, Kind, Text, Token, Trail, Value};
use nixpkgs_model::hash_text::HashText;

/// A hash as far as it is known.
#[derive(Default, Clone)]
pub(super) struct Hash {
    pub literals: Vec<(Literal, Location)>,
    pub trail: Trail,
    pub doubt: Option<(Reason, String, Option<Location>)>,
    /// The places that each literal travelled, from where it is written to where it is used.
    pub ways: Vec<Vec<Location>>,
    /// When each literal is the one that counts.
    pub conditions: Vec<(Location, Under)>,
    /// No hash is wanted, at least sometimes.
    pub null: bool,
    /// The hash is an argument that nothing in the repository gives.
    pub from_caller: bool,
}

/// Reads the value of a hash attribute, as far as it can count under a condition.
pub(super) fn read(ev: &Eval, value: &Value, under: &Under) -> Hash {
    let mut hash = Hash { trail: value.trail.clone(), ..Hash::default() };
    add(ev, value, under, &mut hash);
    hash.literals.sort_by_key(|a| a.1);
    hash.literals.dedup_by(|a, b| a.1 == b.1);
    hash
}

fn add(ev: &Eval, value: &Value, under: &Under, hash: &mut Hash) {
    if !can_meet(under, &value.under()) {
        return;
    }
    match &value.kind {
        Kind::Alt(values) => values.iter().for_each(|value| add(ev, value, under, hash)),
        Kind::Str(text) => match &text.token {
            Some(token) => {
                if hash.trail.is_none() {
                    hash.trail.clone_from(&value.trail);
                }
                let literal = literal(ev, text, token);
                hash.literals.push((literal, token.location));
                hash.note(token.location, &both(under, &value.under()));
                let mut way: Vec<Location> = value.hops().map(|hop| hop.place).collect();
                way.reverse();
                hash.ways.push(way);
            }
            None => {
                hash.doubt = Some((
                    Reason::UnknownHash,
                    "the hash is put together from pieces; no single literal holds it".to_owned(),
                    None,
                ));
            }
        },
        Kind::Unknown(unknown) => {
            hash.from_caller |= unknown.doubt == Doubt::Argument;
            let message = format!("`npmDepsHash` is not known: {}", unknown.message);
            hash.doubt = Some((Reason::UnknownHash, message, unknown.at));
        }
        Kind::Null => hash.null = true,
        _ => {
            hash.doubt = Some((Reason::UnknownHash, format!("`npmDepsHash` is {}", value.type_name()), None));
        }
    }
}

impl Hash {
    /// One literal on two ways counts when either of them is taken.
    fn note(&mut self, literal: Location, under: &Under) {
        match self.conditions.iter_mut().find(|(known, _)| *known == literal) {
            Some((_, known)) => *known = either(known, under),
            None => self.conditions.push((literal, under.clone())),
        }
    }
}

/// A token as the outside world sees it.
pub(super) fn literal(ev: &Eval, text: &Rc<Text>, token: &Token) -> Literal {
    let source = ev.files.get(token.location.file);
    let (line, column) = ev.files.position(token.location.file, token.location.span.start);
    let written = match token.kind {
        // Whichever of them it names: what counts is that it waits to be written.
        LiteralKind::NixExpr => HashText::fake(),
        _ => HashText::parse(&text.known().unwrap_or_default()),
    };
    Literal {
        file: source.path.clone(),
        range: token.location.span.start as usize..token.location.span.end as usize,
        kind: token.kind,
        written,
        line,
        column,
    }
}

/// The literal of a value, if it is one token.
pub(super) fn of_value(ev: &Eval, value: &Value) -> Option<Literal> {
    match &value.kind {
        Kind::Str(text) => text.token.as_ref().map(|token| literal(ev, text, token)),
        _ => None,
    }
}
