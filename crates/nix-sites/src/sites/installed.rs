//! Hashes of what a package manager leaves in a build: nobody but the build can tell them.

use nix_lang::eval::Eval;
use nixpkgs_model::packages::record::Record;

use super::draft::{Draft, asked_at, name_of, text_of, undecided};
use super::explain::{place_of, steps};
use super::{ingredients, literals};
use crate::reason::Reason;
use crate::site::{Site, Step};

/// The site of a derivation that runs a package manager.
pub(super) fn draft(ev: &mut Eval, record: &Record, manager: &str) -> Option<Draft> {
    let at = record.call;
    let hash = ev.peek_attr(&record.args, record.hash_name(), at)?;
    let hash = literals::read(ev, &hash, &None);
    if hash.null && hash.literals.is_empty() {
        return None;
    }
    let message = format!(
        "`{}` is the hash of what `{manager}` leaves in a build, which only that build can tell",
        record.hash_name()
    );
    let mut explain = vec![Step { place: place_of(ev, at), text: format!("a derivation runs `{manager}`") }];
    steps(ev, "the hash", &hash.trail, &mut explain);
    explain.push(Step { place: place_of(ev, at), text: format!("nothing can be said: {message}") });
    let site = Site {
        name: name_of(ev, &record.args, at),
        version: text_of(ev, &record.args, "version", at),
        asked_at: asked_at(ev, at, &hash, &[]),
        hashes: hash.literals.iter().map(|(literal, _)| literal.clone()).collect(),
        explain,
        made_of: ingredients::fetched(ev, &record.args, at),
        ..Site::new(place_of(ev, at), undecided(ev, Reason::BuildOnly, message, at))
    };
    Some(Draft::new(record, site, &hash))
}
