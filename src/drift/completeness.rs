//! Lockfiles that cannot be installed from offline: a hash of one would be green and of no use.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexSet;
use nix_sites::{LockfileUse, Outcome, Site};
use npm_deps::parallel;
use npm_lockfile::LockedTree;
use npm_lockfile::completeness::{Completeness, Incomplete, System};

use super::examined::manifest_beside;
use super::lockfiles::{Chosen, Lockfiles};
use super::{Outdated, Rules, SiteWarning, Status};
use crate::repair::RepairError;

/// Lockfiles of the repository that were to be completed, by their paths.
#[derive(Debug, Default)]
pub struct Repairs {
    /// Those that were.
    pub done: BTreeMap<PathBuf, RepairedLockfile>,
    /// Those that could not be.
    pub failed: BTreeMap<PathBuf, Arc<RepairError>>,
}

/// A lockfile that was completed in memory.
#[derive(Debug, Clone)]
pub struct RepairedLockfile {
    /// The file.
    pub path: PathBuf,
    /// Its bytes now.
    pub old: Arc<[u8]>,
    /// The bytes it should have.
    pub new: Arc<[u8]>,
    /// The number of entries that were completed.
    pub packages: usize,
}

/// What a lockfile lacks, and whether it is a file of the repository.
#[derive(Debug, Clone)]
pub struct IncompleteLockfile {
    /// What it lacks.
    pub lacks: Incomplete,
    /// It is a file of the repository, so that it can be completed.
    pub is_local: bool,
    /// Why that did not succeed, if it was tried.
    pub failure: Option<Arc<RepairError>>,
}

impl IncompleteLockfile {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        if self.is_local {
            "`npm-nixhash repair` fills them in without moving a version; --allow incomplete goes on without them, as \
             nixpkgs' fetcher does"
        } else {
            "keep a lockfile that `npm-nixhash repair` completed in the repository and copy it in by postPatch; \
             --allow incomplete goes on without them, as nixpkgs' fetcher does"
        }
    }
}

/// A lockfile that is used without a hash, and where it stands.
#[derive(Debug)]
pub struct PlannedUse {
    /// The use.
    pub site: LockfileUse,
    /// What its user breaks on.
    pub incomplete: Option<IncompleteLockfile>,
    /// The lockfile, if it was completed.
    pub repaired: Option<RepairedLockfile>,
}

impl From<LockfileUse> for PlannedUse {
    fn from(site: LockfileUse) -> Self {
        Self { site, incomplete: None, repaired: None }
    }
}

/// Looks at lockfiles that are used without a hash. One that is not there, or is none, is told of by Nix itself.
pub(super) fn judge_uses(uses: &mut [PlannedUse], rules: &Rules<'_>) {
    for used in uses {
        let path = &used.site.lockfile;
        used.repaired = rules.repairs.and_then(|repairs| repairs.done.get(path)).cloned();
        if rules.allow_incomplete || used.repaired.is_some() {
            continue;
        }
        let manifest = used.site.manifest.as_ref().and_then(|path| fs::read(path).ok());
        let lockfile = fs::read(path).unwrap_or_default();
        let tree = LockedTree::read(&lockfile).ok();
        let lacks = tree.and_then(|tree| tree.completeness(manifest.as_deref()).incomplete_for_import(&[]));
        let failure = rules.repairs.and_then(|repairs| repairs.failed.get(path)).cloned();
        used.incomplete = lacks.map(|lacks| IncompleteLockfile { lacks, is_local: true, failure });
    }
}

/// Stops sites whose lockfiles are incomplete.
///
/// Answers for each site what is odd about the URLs of its lockfile.
pub(super) fn judge(
    sites: &[Site],
    chosen: &mut [Result<Chosen, Status>],
    lockfiles: &Lockfiles,
    rules: &Rules<'_>,
) -> Vec<Option<SiteWarning>> {
    let mut odd = vec![None; sites.len()];
    let known = look(sites, chosen, lockfiles);
    for (((site, chosen), completeness), odd) in sites.iter().zip(chosen).zip(&known).zip(&mut odd) {
        let Some(completeness) = completeness.as_deref() else { continue };
        let respelled = Some(&completeness.respelled).filter(|respelled| !respelled.is_empty());
        *odd = respelled.cloned().map(SiteWarning::Respelled);
        let lacks = completeness.incomplete(&systems(site)).filter(|_| !rules.allow_incomplete);
        if let Some(lacks) = lacks {
            let local = local_lockfile(site);
            let failure = local.and_then(|path| rules.repairs?.failed.get(path).cloned());
            let incomplete = IncompleteLockfile { lacks, is_local: local.is_some(), failure };
            *chosen = Err(Status::Incomplete(incomplete));
        }
    }
    odd
}

/// What each site's lockfile has. Sites often share one, and reading one of thousands of packages takes milliseconds.
fn look(
    sites: &[Site],
    chosen: &[Result<Chosen, Status>],
    lockfiles: &Lockfiles,
) -> Vec<Option<Arc<Completeness>>> {
    // Whether something is wanted depends on the manifest beside it, too.
    let mut texts: IndexSet<(Arc<[u8]>, Option<&Path>), RandomState> = IndexSet::default();
    let mut known = vec![None; sites.len()];
    let mut others = Vec::new();
    for (n, (site, chosen)) in sites.iter().zip(chosen).enumerate() {
        let (Ok(Chosen { bytes, .. }), local) = (chosen, local_lockfile(site)) else { continue };
        match local.and_then(|path| lockfiles.examined_as(path, bytes)) {
            Some(examined) => known[n].clone_from(&examined.completeness),
            None => others.push((n, texts.insert_full((Arc::clone(bytes), local)).0)),
        }
    }
    let texts: Vec<_> = texts.into_iter().collect();
    let found = parallel::map(&texts, |(bytes, local)| {
        let tree = LockedTree::read(bytes).ok()?;
        Some(Arc::new(tree.completeness(local.and_then(manifest_beside).as_deref())))
    });
    for (n, text) in others {
        known[n].clone_from(&found[text]);
    }
    known
}

/// The site's lockfile, if it was completed and is not regenerated.
pub(super) fn repaired(
    site: &Site,
    outdated: Option<&Outdated>,
    rules: &Rules<'_>,
) -> Option<RepairedLockfile> {
    let renewed = outdated.is_some_and(|outdated| outdated.new.is_some());
    rules.repairs?.done.get(local_lockfile(site)?).filter(|_| !renewed).cloned()
}

fn local_lockfile(site: &Site) -> Option<&Path> {
    match &site.outcome {
        Outcome::Local { lockfile, .. } => Some(lockfile),
        _ => None,
    }
}

/// The systems that a site is built for, as far as its names tell.
fn systems(site: &Site) -> Vec<System> {
    System::named_in(site.attr_path.iter().chain(&site.other_attr_paths).map(String::as_str))
}
