//! Hashes of what a package manager leaves in a build: nobody but the build can tell them.

use std::collections::BTreeSet;

use super::decide::{Draft, asked_at, name_of, text_of};
use super::explain::{place_of, steps};
use super::literals;
use crate::nix::eval::Eval;
use crate::nix::nixpkgs::record::Record;
use crate::nix::reason::Reason;
use crate::nix::site::{Outcome, Site, Step, Undecided};
use crate::options::HashOptions;

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
        attr_path: record.attr_paths.first().cloned(),
        other_attr_paths: record.attr_paths.iter().skip(1).cloned().collect(),
        name: name_of(ev, &record.args, at),
        version: text_of(ev, &record.args, "version", at),
        output_name: None,
        place: place_of(ev, at),
        asked_at: asked_at(ev, at, &hash, &[]),
        assumed: None,
        candidates: Vec::new(),
        npm_root: None,
        hashes: hash.literals.iter().map(|(literal, _)| literal.clone()).collect(),
        options: HashOptions::default(),
        outcome: Outcome::Undecided(Undecided::new(Reason::BuildOnly, message, place_of(ev, at))),
        source: None,
        folders: BTreeSet::new(),
        untracked: Vec::new(),
        only_when: Vec::new(),
        explain,
    };
    let literals = hash.literals.iter().map(|(_, at)| *at).collect();
    Some(Draft {
        site,
        literals,
        from_caller: hash.from_caller,
        call: at,
        decided: Vec::new(),
        warnings: Vec::new(),
    })
}
