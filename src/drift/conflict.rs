//! What several sites share has to be the same for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use nix_sites::{Outcome, Reason, Site};

use super::lockfiles::Chosen;
use super::{LiteralPlace, Planned, SiteFailure, SourceState, Status, undecided};

/// Makes sites undecided that share a token or a lockfile and need different ones.
pub(super) fn settle(sites: &[Site], sources: &[Vec<SourceState>], chosen: &mut [Result<Chosen, Status>]) {
    let (mut literals, mut files) = (BTreeMap::new(), BTreeMap::new());
    let mut renewed = BTreeSet::new();
    for ((site, sources), chosen) in sites.iter().zip(sources).zip(chosen.iter()) {
        let Ok(chosen) = chosen else { continue };
        for (place, text) in wanted(sources) {
            literals.entry(place).or_insert_with(BTreeSet::new).insert(text);
        }
        if let Outcome::Local { lockfile, .. } = &site.outcome {
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
        let cure = Some("give each derivation one of its own".to_owned());
        *chosen = Err(Status::Undecided(undecided(site, Reason::SharedLiteral, message).cured_by(cure)));
    }
}

/// Makes failures of stale sites that share a token or lockfile, which they would change, with a site that failed: the
/// literals of one derivation move together or not at all, and so does what is shared, from one to the next.
pub(super) fn hold_back(sites: &mut [Planned]) {
    let mut stuck: BTreeMap<LiteralPlace, String> = BTreeMap::new();
    for planned in sites.iter().filter(|planned| matches!(planned.status, Status::Failed(_))) {
        stuck.extend(tokens(&planned.site).map(|token| (token, called(&planned.site))));
    }
    // Each round fails one site for good, so there are no more rounds than sites.
    loop {
        let held = |planned: &Planned| planned.changes().iter().find_map(|token| stuck.get(token).cloned());
        let Some((at, with)) = sites.iter().enumerate().find_map(|(at, planned)| Some((at, held(planned)?)))
        else {
            return;
        };
        sites[at].status = Status::Failed(SiteFailure::HeldBack { with });
        let site = &sites[at].site;
        stuck.extend(tokens(site).map(|token| (token, called(site))));
    }
}

/// What makes a site, as far as it can be shared: its own literals, those of its sources, and a vendored lockfile.
fn tokens(site: &Site) -> impl Iterator<Item = LiteralPlace> {
    let literals = site.hashes.iter().chain(site.source_literals());
    let lockfile = match (&site.outcome, &site.source) {
        (Outcome::Local { lockfile, .. }, Some(_)) => Some((lockfile.clone(), None)),
        _ => None,
    };
    literals.map(|literal| (literal.file.clone(), Some(literal.range.start))).chain(lockfile)
}

fn called(site: &Site) -> String {
    let name = site.attr_path.as_ref().or(site.name.as_ref());
    name.map_or_else(|| "another derivation".to_owned(), Clone::clone)
}

fn shares_file(site: &Site, files: &BTreeMap<PathBuf, BTreeSet<Arc<[u8]>>>) -> bool {
    matches!(&site.outcome, Outcome::Local { lockfile, .. } if files.get(lockfile).is_some_and(|all| all.len() > 1))
}

/// Each token that records a source's hash, with what it should say.
fn wanted(sources: &[SourceState]) -> impl Iterator<Item = ((PathBuf, usize), String)> {
    sources.iter().filter_map(|state| {
        let literal = state.resolved.as_ref().ok()?.literal.as_ref()?;
        Some(((literal.file.clone(), literal.range.start), state.digest()?.sri()))
    })
}
