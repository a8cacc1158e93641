//! The proof of an answer.

use nix_lang::eval::Eval;
use nixpkgs_model::packages::record::{Record, RecordKind};

use super::answer::Located;
use super::explain::{place_of, steps};
use super::literals::Hash;
use crate::site::{Outcome, Step};

/// The chain of places that led to the answer.
pub(super) fn proof(
    ev: &Eval,
    record: &Record,
    hash: &Hash,
    located: &[Located],
    outcome: &Outcome,
) -> Vec<Step> {
    let mut proof = vec![Step { place: place_of(ev, record.call), text: beginning(record) }];
    steps(ev, "the hash", &hash.trail, &mut proof);
    // Those that agree lead to one lockfile, and one way there is proof enough.
    for located in located.iter().take(1) {
        steps(ev, "the source", &located.trail, &mut proof);
        for (at, note) in &located.notes {
            proof.push(Step { place: place_of(ev, *at), text: note.to_string() });
        }
    }
    let place = match outcome {
        Outcome::Undecided(undecided) => undecided.stopped_at.clone(),
        _ => place_of(ev, record.call),
    };
    proof.push(Step { place, text: end(ev, outcome) });
    proof
}

fn beginning(record: &Record) -> String {
    let builder = match &record.kind {
        RecordKind::Package => "`buildNpmPackage`",
        RecordKind::FetchDeps => "`fetchNpmDeps`",
        RecordKind::OwnFetcher(_) => "the repository's own fetcher",
        RecordKind::Tarball(_) => "a fetcher",
        RecordKind::Installed(_) => "a derivation that runs a package manager",
        RecordKind::Foreign(_) => "a derivation with `npmDeps` of its own",
    };
    match &record.assumed {
        None => format!("{builder} is called"),
        Some(callee) => {
            let name = callee.name.as_deref().unwrap_or("a function from outside");
            format!("`{name}` is called; it is not known, and is taken for {builder} of nixpkgs")
        }
    }
}

fn end(ev: &Eval, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Local { lockfile, edits } => {
            let edited = if edits.is_empty() { "" } else { ", edited by the phases" };
            format!("so the lockfile is {}{edited}", ev.files.display(lockfile))
        }
        Outcome::MissingLockfile { expected } => {
            format!("so the lockfile would be {}, which is not there", ev.files.display(expected))
        }
        Outcome::Remote { source, inside } => match inside.folder.as_str() {
            "" => format!("so the lockfile is inside what `{}` fetches", source.fetcher),
            folder => format!("so the lockfile is in `{folder}` inside what `{}` fetches", source.fetcher),
        },
        Outcome::Tarball(source) => format!("so what is pinned is what `{}` fetches", source.fetcher),
        Outcome::Undecided(undecided) => format!("nothing can be said: {}", undecided.message),
    }
}
