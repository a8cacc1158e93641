//! What is wrong beside the hashes: a build stops at it, however right they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use nix_sites::{Outcome, Place, Site, VersionMismatch};
use npm_lockfile::LockedTree;
use npm_lockfile::in_step::{Disagreement, workspace_globs};

use super::Status;
use super::examined::ExaminedLockfiles;
use super::workspaces::workspaces;

/// Something that stops a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where to fix it.
    pub place: Place,
    /// What it is.
    pub kind: FindingKind,
}

/// What can stop a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingKind {
    /// A manifest asks for something that its lockfile does not hold.
    OutOfStep {
        /// The lockfile.
        lockfile: PathBuf,
        /// What it is about.
        disagreement: Disagreement,
    },
    /// `npmDeps` is fetched by another version of the fetcher than the builder expects.
    FetcherVersion(VersionMismatch),
}

impl FindingKind {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::OutOfStep { .. } => {
                "bring the lockfile in step with `npm install --package-lock-only`, then run `npm-nixhash update`".to_owned()
            }
            Self::FetcherVersion(VersionMismatch { fetched, expected, .. }) if fetched > expected => {
                format!("write `npmDepsFetcherVersion = {fetched};` beside `npmDeps`")
            }
            Self::FetcherVersion(VersionMismatch { expected, .. }) => {
                format!("write `fetcherVersion = {expected};` into the call of `fetchNpmDeps`, then run `npm-nixhash update`")
            }
        }
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfStep { lockfile, disagreement: Disagreement { name, wanted, locked, .. } } => {
                let lockfile = lockfile.file_name().unwrap_or_default().display();
                let wanted = npm_tarballs::redaction::redacted(wanted);
                match locked {
                    Some(locked) => write!(
                        f,
                        "`npm ci` refuses {lockfile}: {name} is wanted as `{wanted}`, and locked is {locked}"
                    ),
                    None => write!(
                        f,
                        "`npm ci` refuses {lockfile}: {name} is wanted as `{wanted}`, and not locked at all"
                    ),
                }
            }
            Self::FetcherVersion(VersionMismatch { fetched, expected, .. }) => write!(
                f,
                "`npmDeps` is fetched with fetcherVersion {fetched}, and `buildNpmPackage` expects {expected}: the build \
                 stops with \"npmDepsHash is out of date\""
            ),
        }
    }
}

/// Everything that is found about sites that are not undecided, in the order of the places.
pub(super) fn find<'a>(
    sites: &[(&'a Site, &Status)],
    mismatches: Vec<VersionMismatch>,
    examined: &ExaminedLockfiles,
) -> Vec<Finding> {
    let local = |(site, status): &(&'a Site, &Status)| match (&site.outcome, status) {
        (Outcome::Local { .. }, Status::Undecided(_)) => None,
        (Outcome::Local { lockfile, .. }, _) => Some(lockfile),
        _ => None,
    };
    let lockfiles: BTreeSet<&PathBuf> = sites.iter().filter_map(local).collect();
    let found = lockfiles.into_iter().filter_map(|lockfile| examined.get(lockfile));
    let mut findings: Vec<Finding> = found.flat_map(|examined| &examined.findings).cloned().collect();
    findings.extend(mismatches.into_iter().map(|mismatch| Finding {
        place: mismatch.place.clone(),
        kind: FindingKind::FetcherVersion(mismatch),
    }));
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    findings
}

/// Where a lockfile does not hold what the manifests beside it ask for; `own` is that of its folder.
pub(super) fn out_of_step(lockfile: &Path, tree: &LockedTree<'_>, own: &[u8]) -> Vec<Finding> {
    let Some(folder) = lockfile.parent() else { return Vec::new() };
    let read = |below: &str| match below {
        "" => Some(own.to_vec()),
        below => fs::read(folder.join(below).join("package.json")).ok(),
    };
    let manifests = tree.manifests(workspaces(folder, &workspace_globs(own)), read);
    let finding = |disagreement: Disagreement| {
        let file = folder.join(&disagreement.folder).join("package.json");
        let manifest = manifests.iter().find(|manifest| manifest.folder == disagreement.folder);
        let (line, column) = manifest.map_or((1, 1), |manifest| line_of(&manifest.bytes, &disagreement));
        let place = Place { file, line, column };
        Finding { place, kind: FindingKind::OutOfStep { lockfile: lockfile.to_owned(), disagreement } }
    };
    tree.disagreements(&manifests).into_iter().map(finding).collect()
}

/// Where a manifest names a dependency with that text; its beginning where that cannot be found.
fn line_of(manifest: &[u8], disagreement: &Disagreement) -> (usize, usize) {
    let text = String::from_utf8_lossy(manifest);
    let key = format!("\"{}\"", disagreement.name);
    let value = format!("\"{}\"", disagreement.wanted);
    let is_it = |at: &usize| {
        let rest = text[at + key.len()..].trim_start().strip_prefix(':').map(str::trim_start);
        rest.is_some_and(|rest| rest.starts_with(&value))
    };
    let Some(at) = text.match_indices(&key).map(|(at, _)| at).find(is_it) else { return (1, 1) };
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    (1 + text[..at].matches('\n').count(), 1 + text[start..at].chars().count())
}
