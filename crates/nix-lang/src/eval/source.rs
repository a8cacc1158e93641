//! What values mean as files.

use std::path::Path;
use std::rc::Rc;

use super::{Eval, reason_of};
use crate::files::normalize;
use crate::syntax::ast::Location;
use crate::value::source::{Base, Source};
use crate::value::{Attrs, Doubt, Kind, Piece, Special, Text, Unknown, Value};

impl Eval {
    /// What a value means as a source.
    pub fn source_of(&mut self, value: &Value, here: Location) -> Rc<Source> {
        match &value.kind {
            Kind::Path(path) => Rc::new(Source::local(path.as_ref().clone())),
            Kind::Str(text) => of_text(text, value, here),
            Kind::Attrs(attrs) => self.source_of_set(value, attrs, here),
            Kind::Null => Rc::new(Source::new(Base::Nothing)),
            _ => Rc::new(Source::new(Base::Unknown(reason_of(value, "the source is not known", here)))),
        }
    }

    fn source_of_set(&mut self, value: &Value, attrs: &Rc<Attrs>, here: Location) -> Rc<Source> {
        let meant = match &attrs.special {
            Special::Source(source) => return Rc::clone(source),
            Special::Of(meaning) => meaning.source(value, here),
            Special::None => None,
        };
        if let Some(source) = meant {
            if matches!(source.base, Base::Built(_)) {
                // A derivation that is only mentioned in a string may hold others.
                let whole = self.done(value.clone());
                self.leave(whole);
            }
            return Rc::new(source);
        }
        match self.peek_attr(value, "outPath", here) {
            // `let a = { outPath = a; }; in "${a}"` has no end in Nix either.
            Some(out) if !is_plain_set(&out) => self.source_of(&out, here),
            _ => {
                let message = "a set that is not a source".into();
                let unknown = Unknown { doubt: Doubt::Unmodelled, message, at: Some(here), name: None };
                Rc::new(Source::new(Base::Unknown(Rc::new(unknown))))
            }
        }
    }
}

fn of_text(text: &Text, value: &Value, here: Location) -> Rc<Source> {
    match text.pieces.as_slice() {
        [Piece::Source(source)] => return Rc::clone(source),
        [Piece::Source(source), Piece::Text(tail)] if tail.starts_with('/') => {
            return Rc::new(source.inside(tail));
        }
        [Piece::Text(path)] if path.starts_with('/') => {
            return Rc::new(Source::local(normalize(Path::new(path.as_ref()))));
        }
        _ => {}
    }
    let unknown = text.pieces.iter().find_map(|piece| match piece {
        Piece::Unknown(unknown) => Some(Rc::clone(unknown)),
        _ => None,
    });
    Rc::new(Source::new(Base::Unknown(
        unknown.unwrap_or_else(|| reason_of(value, "a string that is not a path", here)),
    )))
}

fn is_plain_set(value: &Value) -> bool {
    value.as_attrs().is_some_and(|attrs| attrs.special.is_none())
}
