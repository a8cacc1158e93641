//! The proof of an answer, as a list of places.

use nix_lang::eval::Eval;
use nix_lang::place::Place;
use nix_lang::syntax::ast::Location;
use nix_lang::value::{Hop, Move, Trail};

use crate::site::Step;

/// A location as people read it.
pub(crate) fn place_of(ev: &Eval, at: Location) -> Place {
    let (line, column) = ev.files.position(at.file, at.span.start);
    Place { file: ev.files.get(at.file).path.clone(), line, column }
}

/// The steps of a chain, the origin first.
pub(super) fn steps(ev: &Eval, what: &str, trail: &Trail, proof: &mut Vec<Step>) {
    let mut hops: Vec<&Hop> = Vec::new();
    let mut next = trail.as_deref();
    while let Some(hop) = next {
        hops.push(hop);
        next = hop.before.as_deref();
    }
    for hop in hops.into_iter().rev().filter(|hop| hop.step != Move::Silent) {
        let text = format!("{what} {}", describe(ev, hop));
        let step = Step { place: place_of(ev, hop.place), text };
        if proof.last() != Some(&step) {
            proof.push(step);
        }
    }
}

fn describe(ev: &Eval, hop: &Hop) -> String {
    match &hop.step {
        Move::Literal | Move::Data(_) => format!("is written here: {}", excerpt(ev.files.text(hop.place))),
        Move::Variable(name) => format!("is read as `{name}`"),
        Move::Attribute(name) => format!("is bound to `{name}`"),
        Move::Default(name) => format!("is the default of the argument `{name}`"),
        Move::Import(file) => format!("comes from {file}"),
        Move::Branch => "is one branch of this condition, which is not known; both count".to_owned(),
        Move::FileTest => "depends on which files are there".to_owned(),
        Move::Note(note) => note.to_string(),
        Move::Silent => String::new(),
    }
}

/// The first line of a text, not too long.
pub(crate) fn excerpt(text: &str) -> String {
    // What a line of 80 columns has room for behind an indent.
    const LONGEST: usize = 72;
    let line = text.lines().next().unwrap_or("").trim();
    let mut short: String = line.chars().take(LONGEST).collect();
    if short.len() < text.trim().len() {
        short.push_str(" …");
    }
    format!("`{short}`")
}
