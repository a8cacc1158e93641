//! Lockfiles that the repository's settings state for derivations whose source cannot be known.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::site::{Outcome, Site, Step};

/// Applies the statements to undecided sites. What is edited before it is hashed is hashed nowhere in the repository, so no
/// statement can settle it.
pub(super) fn apply(sites: &mut [Site], stated: &BTreeMap<String, PathBuf>) {
    for site in sites {
        let mut paths = site.attr_path.iter().chain(&site.other_attr_paths);
        let Some(lockfile) = paths.find_map(|path| stated.get(path)) else { continue };
        let Outcome::Undecided(undecided) = &site.outcome else { continue };
        if !undecided.reason.takes_statement() {
            continue;
        }
        let text = "the repository's settings say which lockfile it has".to_owned();
        site.explain.push(Step { place: site.place.clone(), text });
        site.outcome = if lockfile.is_file() {
            Outcome::Local { lockfile: lockfile.clone(), edits: Vec::new() }
        } else {
            Outcome::MissingLockfile { expected: lockfile.clone() }
        };
    }
}
