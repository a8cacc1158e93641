//! From a plan to new texts: one edit for each stale literal, judged before anything is written.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    drift::{Plan, Planned},
    nix::edit::{self, EditError, FileKind},
    replace::Replacement,
};

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

/// The files whose literals are stale and the lockfiles that were made anew, with their new texts, in the order of their
/// paths.
///
/// Errors: an edit that would change anything but its literal.
pub fn rewrite(plan: &Plan) -> Result<Vec<Replacement>, RewriteError> {
    let mut edits: BTreeMap<PathBuf, (FileKind, Vec<edit::Replacement>)> = BTreeMap::new();
    let stale = |planned| Planned::stale_literals(planned).chain(planned.stale_source_literals());
    for (literal, sri) in plan.sites.iter().flat_map(stale) {
        let kind = FileKind::of(literal.kind);
        let (_, edits) = edits.entry(literal.file.clone()).or_insert_with(|| (kind, Vec::new()));
        edits.push(edit::replacement(literal, &sri));
    }
    let files = edits.into_iter().map(|(path, (kind, edits))| rewrite_file(plan, path, kind, edits));
    let mut replacements: Vec<_> = files.collect::<Result<_, _>>()?;
    replacements.extend(lockfiles(plan));
    replacements.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(replacements)
}

/// Vendored lockfiles that were made anew, each once.
fn lockfiles(plan: &Plan) -> Vec<Replacement> {
    let mut renewed: BTreeMap<&PathBuf, Replacement> = BTreeMap::new();
    for outdated in plan.sites.iter().filter_map(|planned| planned.outdated.as_ref()) {
        let Some(new) = &outdated.new else { continue };
        let (path, old) = (outdated.path.clone(), outdated.old.to_vec());
        renewed.insert(&outdated.path, Replacement { path, old, new: new.to_vec() });
    }
    renewed.into_values().collect()
}

fn rewrite_file(
    plan: &Plan,
    path: PathBuf,
    kind: FileKind,
    mut edits: Vec<edit::Replacement>,
) -> Result<Replacement, RewriteError> {
    // Several derivations may share a literal; they were found to want the same hash.
    edits.sort();
    edits.dedup();
    let Some(text) = plan.files.get(&path) else { return Err(RewriteError::NoText(path)) };
    match edit::rewrite(kind, text, &edits) {
        Ok(new) => Ok(Replacement { path, old: text.clone().into(), new: new.into() }),
        Err(source) => Err(RewriteError::Edit { path, source }),
    }
}
