//! The literals behind a hash.

use std::rc::Rc;

use crate::nix::eval::Eval;
use crate::nix::hash_text::HashText;
use crate::nix::site::{Literal, LiteralKind, Reason};
use crate::nix::syntax::ast::Location;
use crate::nix::value::{Doubt, Kind, Text, Token, Trail, Value};

/// A hash as far as it is known.
#[derive(Default)]
pub(super) struct Hash {
    pub literals: Vec<(Literal, Location)>,
    pub trail: Trail,
    pub doubt: Option<(Reason, String, Option<Location>)>,
    /// The hash is an argument that nothing in the repository gives.
    pub from_caller: bool,
}

/// Reads the value of a hash attribute.
pub(super) fn read(ev: &Eval, value: &Value) -> Hash {
    let mut hash = Hash { trail: value.trail.clone(), ..Hash::default() };
    add(ev, value, &mut hash);
    hash.literals.sort_by(|a, b| a.1.cmp(&b.1));
    hash.literals.dedup_by(|a, b| a.1 == b.1);
    hash
}

fn add(ev: &Eval, value: &Value, hash: &mut Hash) {
    match &value.kind {
        Kind::Alt(values) => values.iter().for_each(|value| add(ev, value, hash)),
        Kind::Str(text) => match &text.token {
            Some(token) => {
                if hash.trail.is_none() {
                    hash.trail.clone_from(&value.trail);
                }
                hash.literals.push((literal(ev, text, token), token.location));
            }
            None => {
                hash.doubt =
                    Some((Reason::UnknownHash, "the hash is put together from pieces".to_owned(), None));
            }
        },
        Kind::Unknown(unknown) => {
            hash.from_caller |= unknown.doubt == Doubt::Argument;
            let message = format!("the hash is not known: {}", unknown.message);
            hash.doubt = Some((Reason::UnknownHash, message, unknown.at));
        }
        _ => hash.doubt = Some((Reason::UnknownHash, format!("the hash is {}", value.type_name()), None)),
    }
}

/// A token as the outside world sees it.
pub(super) fn literal(ev: &Eval, text: &Rc<Text>, token: &Token) -> Literal {
    let source = ev.files.get(token.location.file);
    let (line, column) = ev.files.position(token.location.file, token.location.span.start);
    let written = match token.kind {
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
