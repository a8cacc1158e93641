//! From a plan to new texts: one edit for each stale literal, judged before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use error_advice::Advise;
use nix_sites::edit::{self, EditError, FileKind};

use crate::drift::{Plan, Planned, Status};
use crate::replace::FileReplacement;

/// Why a file was not rewritten.
#[derive(Debug, thiserror::Error)]
pub enum RewriteError {
    /// An edit was refused.
    #[error("cannot rewrite {}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: EditError,
    },
    /// A literal of a file whose text was not kept.
    #[error("the text of {} is not known", .0.display())]
    NoText(PathBuf),
}

// Nothing helps but to look at the file.
impl Advise for RewriteError {}

impl RewriteError {
    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Edit { path, .. } | Self::NoText(path) => path,
        }
    }
}

/// The files whose literals are stale and the lockfiles that were regenerated or completed, with their new texts, in
/// the order of their paths. A site that would change something of somebody else's is left out.
///
/// # Errors
/// An edit that would change anything but its literal.
pub fn rewrite(plan: &Plan) -> Result<Vec<FileReplacement>, RewriteError> {
    let mut edits: BTreeMap<PathBuf, (FileKind, Vec<edit::Replacement>)> = BTreeMap::new();
    let stale = |planned| Planned::stale_literals(planned).chain(planned.stale_source_literals());
    let own: Vec<&Planned> = plan.sites.iter().filter(|planned| is_own(plan, planned)).collect();
    for (literal, sri) in own.iter().copied().flat_map(stale) {
        let kind = FileKind::of(literal.kind);
        let (_, edits) = edits.entry(literal.file.clone()).or_insert_with(|| (kind, Vec::new()));
        edits.push(edit::replacement(literal, &sri));
    }
    let files = edits.into_iter().map(|(path, (kind, edits))| rewrite_file(plan, path, kind, edits));
    let mut replacements: Vec<_> = files.collect::<Result<_, _>>()?;
    replacements.extend(lockfiles(plan, &own));
    replacements.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(replacements)
}

fn is_own(plan: &Plan, planned: &Planned) -> bool {
    planned.changes().iter().all(|(file, _)| plan.border_of(file).is_none())
}

/// Replacements in groups of files that change together or not at all, because a site changes something in each of them.
#[must_use]
pub fn groups(plan: &Plan, replacements: Vec<FileReplacement>) -> Vec<Vec<FileReplacement>> {
    let mut groups: Vec<(BTreeSet<PathBuf>, Vec<FileReplacement>)> = replacements
        .into_iter()
        .map(|replacement| (BTreeSet::from([replacement.path.clone()]), vec![replacement]))
        .collect();
    for planned in &plan.sites {
        let files: BTreeSet<PathBuf> = planned.changes().into_iter().map(|(file, _)| file).collect();
        let together = |(own, _): &mut (BTreeSet<PathBuf>, Vec<FileReplacement>)| !own.is_disjoint(&files);
        // What a site changes may tie together groups that earlier sites made.
        let mut joined = (BTreeSet::new(), Vec::new());
        for (own, mut members) in groups.extract_if(.., together) {
            joined.0.extend(own);
            joined.1.append(&mut members);
        }
        if !joined.1.is_empty() {
            groups.push(joined);
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Vendored lockfiles that were regenerated, and those that were completed, each once.
fn lockfiles(plan: &Plan, sites: &[&Planned]) -> Vec<FileReplacement> {
    let mut renewed: BTreeMap<&PathBuf, FileReplacement> = BTreeMap::new();
    let stale = sites.iter().filter(|planned| matches!(planned.status, Status::Stale(_)));
    for outdated in stale.filter_map(|planned| planned.outdated.as_ref()) {
        let Some(new) = &outdated.new else { continue };
        let (path, old) = (outdated.path.clone(), outdated.old.to_vec());
        renewed.insert(&outdated.path, FileReplacement { path, old, new: new.to_vec() });
    }
    let stale = sites.iter().filter(|planned| matches!(planned.status, Status::Stale(_)));
    let of_sites = stale.filter_map(|planned| planned.repaired.as_ref());
    let of_uses = plan.uses.iter().filter_map(|used| used.repaired.as_ref());
    let own_uses = of_uses.filter(|repaired| plan.border_of(&repaired.path).is_none());
    for repaired in of_sites.chain(own_uses) {
        let (path, old) = (repaired.path.clone(), repaired.old.to_vec());
        let replacement = FileReplacement { path, old, new: repaired.new.to_vec() };
        // One that npm made anew lacks nothing: what would be filled into the old one is of no use.
        renewed.entry(&repaired.path).or_insert(replacement);
    }
    renewed.into_values().collect()
}

fn rewrite_file(
    plan: &Plan,
    path: PathBuf,
    kind: FileKind,
    mut edits: Vec<edit::Replacement>,
) -> Result<FileReplacement, RewriteError> {
    // Several derivations may share a literal; they were found to want the same hash.
    edits.sort();
    edits.dedup();
    let Some(text) = plan.files.get(&path) else { return Err(RewriteError::NoText(path)) };
    match edit::rewrite(kind, text, &edits) {
        Ok(new) => Ok(FileReplacement { path, old: text.clone().into(), new: new.into() }),
        Err(source) => Err(RewriteError::Edit { path, source }),
    }
}
