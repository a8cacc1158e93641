//! What several sites share has to be the same for all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use super::{SourceState, Status, lockfiles::Chosen, undecided};
use crate::nix::{Outcome, Reason, Site};

/// Makes sites undecided that share a token or a lockfile and need different ones.
pub(super) fn settle(sites: &[Site], sources: &[Vec<SourceState>], chosen: &mut [Result<Chosen, Status>]) {
    let (mut literals, mut files) = (BTreeMap::new(), BTreeMap::new());
    let mut renewed = BTreeSet::new();
    for ((site, sources), chosen) in sites.iter().zip(sources).zip(chosen.iter()) {
        let Ok(chosen) = chosen else { continue };
        for (place, text) in wanted(sources) {
            literals.entry(place).or_insert_with(BTreeSet::new).insert(text);
        }
        if let Outcome::Local { lockfile } = &site.outcome {
            let bytes = Arc::clone(&chosen.bytes);
            if chosen.outdated.as_ref().is_some_and(|outdated| outdated.new.is_some()) {
                renewed.insert(lockfile.clone());
            }
            files.entry(lockfile.clone()).or_insert_with(BTreeSet::new).insert(bytes);
        }
    }
    // Sites that share a file that stays as it is may well hash something else, such as a shrinkwrap.
    files.retain(|file, _| renewed.contains(file));
    for ((site, sources), chosen) in sites.iter().zip(sources).zip(chosen) {
        if chosen.is_err() {
            continue;
        }
        let message = if wanted(sources).any(|(place, _)| literals[&place].len() > 1) {
            "the hash of its source is shared with another derivation, which needs a different one"
        } else if shares_file(site, &files) {
            "its lockfile is shared with another derivation, which needs a different one"
        } else {
            continue;
        };
        let settle = "give each derivation one of its own";
        *chosen = Err(Status::Undecided(undecided(site, Reason::SharedLiteral, message.to_owned(), settle)));
    }
}

fn shares_file(site: &Site, files: &BTreeMap<PathBuf, BTreeSet<Arc<[u8]>>>) -> bool {
    matches!(&site.outcome, Outcome::Local { lockfile } if files.get(lockfile).is_some_and(|all| all.len() > 1))
}

/// Each token that records a source's hash, with what it should say.
fn wanted(sources: &[SourceState]) -> impl Iterator<Item = ((PathBuf, usize), String)> {
    sources.iter().filter_map(|state| {
        let literal = state.resolved.as_ref().ok()?.literal.as_ref()?;
        Some(((literal.file.clone(), literal.range.start), state.digest()?.sri()))
    })
}
