//! The bytes of each site's lockfile: from the repository, from a source, or regenerated for a new version.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix_sites::{
    LockfileEdit, LockfileInside, NO_SHRINKWRAP, Outcome, Reason, RemoteSource, Shrinkwrap, Site, Undecided,
    apply_edits,
};
use npm_deps::parallel;
use npm_lockfile::line_ends::{has_crlf, with_line_feeds};

use super::examined::{Examined, ExaminedLockfiles};
use super::{PlanMaker, RepairedLockfile, Repairs, SiteFailure, SiteWarning, SourceState, Status, undecided};
use crate::source::head::Head;
use crate::source::{Excerpt, LookError, NpmServices, Relock, patch};

/// Lockfiles that were read, so that sites that share one share its bytes.
#[derive(Default)]
pub struct Lockfiles {
    read: HashMap<PathBuf, Arc<[u8]>>,
    made: HashMap<PathBuf, Regenerated>,
    examined: ExaminedLockfiles,
    /// What the file holds of a lockfile that was completed.
    originals: HashMap<PathBuf, Arc<[u8]>>,
    /// Files of which git has the same text with other line endings.
    other_line_ends: HashSet<PathBuf>,
}

/// A lockfile that was regenerated.
#[derive(Clone)]
struct Regenerated {
    package_json: Arc<[u8]>,
    lockfile: Arc<[u8]>,
}

impl Lockfiles {
    /// Lockfiles that were completed stand in for their files.
    pub(super) fn with(repairs: Option<&Repairs>, head: &Head) -> Self {
        let mut lockfiles = Self::default();
        for RepairedLockfile { path, old, new, .. } in
            repairs.into_iter().flat_map(|repairs| repairs.done.values())
        {
            let as_git_has_it = lockfiles.by_git(path, old, head).map(|_| with_line_feeds(new).into());
            lockfiles.read.insert(path.clone(), as_git_has_it.unwrap_or_else(|| Arc::clone(new)));
            lockfiles.originals.insert(path.clone(), Arc::clone(old));
        }
        lockfiles
    }

    /// Reads and examines the lockfiles of these sites in advance, on all cores. What cannot be read is said where it is needed.
    pub(super) fn foresee(&mut self, sites: &[Site], head: &Head) {
        let local = |site: &'_ Site| match &site.outcome {
            Outcome::Local { lockfile, .. } => Some(lockfile.clone()),
            _ => None,
        };
        let paths: BTreeSet<PathBuf> = sites.iter().filter_map(local).collect();
        let paths: Vec<PathBuf> = paths.into_iter().collect();
        let found = parallel::map(&paths, |path| match self.read.get(path) {
            Some(bytes) => Some((None, Examined::of(path, bytes))),
            None => fs::read(path).ok().map(|bytes| {
                let examined = Examined::of(path, &bytes);
                (Some(bytes), examined)
            }),
        });
        for (path, found) in paths.into_iter().zip(found) {
            let Some((bytes, examined)) = found else { continue };
            if let Some(bytes) = bytes {
                self.keep(&path, bytes, head);
            }
            self.examined.insert(path, examined);
        }
    }

    /// What is known of a lockfile, if this is what was read of it, and not what a build makes of that.
    pub(super) fn examined_as(&self, path: &Path, bytes: &Arc<[u8]>) -> Option<&Examined> {
        let is_that = self.read.get(path).is_some_and(|read| Arc::ptr_eq(read, bytes));
        self.examined.get(path).filter(|_| is_that)
    }

    /// What was found of each.
    pub(super) fn into_examined(self) -> ExaminedLockfiles {
        self.examined
    }

    fn keep(&mut self, path: &Path, bytes: Vec<u8>, head: &Head) -> Arc<[u8]> {
        let bytes: Arc<[u8]> = self.by_git(path, &bytes, head).unwrap_or(bytes).into();
        self.read.insert(path.to_owned(), Arc::clone(&bytes));
        bytes
    }

    /// What git has for a file that differs from it by nothing but its line endings, as where `core.autocrlf` checked it
    /// out. Nix builds from git's bytes.
    fn by_git(&mut self, path: &Path, bytes: &[u8], head: &Head) -> Option<Vec<u8>> {
        if !has_crlf(bytes) {
            return None;
        }
        let staged = head.staged(path).filter(|staged| *staged == with_line_feeds(bytes))?;
        self.other_line_ends.insert(path.to_owned());
        Some(staged.to_vec())
    }

    /// Whether the hash of a site is that of git's bytes, and not of the file's.
    pub(super) fn line_ends(&self, site: &Site) -> Option<SiteWarning> {
        match &site.outcome {
            Outcome::Local { lockfile, .. } if self.other_line_ends.contains(lockfile) => {
                Some(SiteWarning::LineEnds(lockfile.clone()))
            }
            _ => None,
        }
    }

    /// The bytes of a file of the repository.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, path: &Path, head: &Head) -> Result<Arc<[u8]>, SiteFailure> {
        if let Some(bytes) = self.read.get(path) {
            return Ok(Arc::clone(bytes));
        }
        let bytes = fs::read(path)
            .map_err(|error| SiteFailure::Unreadable { path: path.to_owned(), error: Arc::new(error) })?;
        Ok(self.keep(path, bytes, head))
    }
}

/// A vendored lockfile that is not that of the version that was fetched.
#[derive(Debug, Clone)]
pub struct Outdated {
    /// The file.
    pub path: PathBuf,
    /// The version it was made for.
    pub locked: String,
    /// The version that was fetched.
    pub fetched: String,
    /// Its bytes now.
    pub old: Arc<[u8]>,
    /// The bytes it should have, where they were made.
    pub new: Option<Arc<[u8]>>,
}

/// The lockfile that is hashed for a site.
pub(super) struct Chosen {
    pub bytes: Arc<[u8]>,
    pub outdated: Option<Outdated>,
}

/// The lockfile of a site whose sources were examined.
pub(super) fn choose(site: &Site, sources: &[SourceState], work: &PlanMaker<'_>) -> Result<Chosen, Status> {
    match &site.outcome {
        Outcome::Local { lockfile, edits } => {
            let chosen = vendored(site, lockfile, sources, work)?;
            // What is edited is the copy, not a shrinkwrap of the source that wins over it.
            let bytes = if winning_shrinkwrap(sources).is_some() {
                Arc::clone(&chosen.bytes)
            } else {
                edited(site, &chosen.bytes, edits)?
            };
            Ok(Chosen { bytes, ..chosen })
        }
        Outcome::MissingLockfile { expected } => Err(super::missing(site, expected)),
        Outcome::Undecided(undecided) => Err(Status::Undecided(undecided.clone())),
        // There is none: its sources say all that there is to say.
        Outcome::Tarball(_) => {
            let stale = sources.iter().any(|state| state.wanted().is_some());
            Err(if stale { Status::Stale(None) } else { Status::InSync(None) })
        }
        Outcome::Remote { source, inside } => {
            let bytes = match laid_over(site, source, sources)? {
                Some(shrinkwrap) => shrinkwrap,
                None => in_source(site, source, inside, sources)?,
            };
            Ok(Chosen { bytes, outdated: None })
        }
    }
}

/// A lockfile inside a source.
fn in_source(
    site: &Site,
    source: &RemoteSource,
    inside: &LockfileInside,
    sources: &[SourceState],
) -> Result<Arc<[u8]>, Status> {
    let state = followed(site, source, sources).map_err(Status::Undecided)?;
    let excerpt = match &state.excerpt {
        Some(Ok(excerpt)) => excerpt,
        Some(Err(error)) => return Err(Status::Failed(SiteFailure::Inside(error.clone()))),
        None => return Err(Status::Undecided(unfollowed(site, "it was not fetched"))),
    };
    let files = [excerpt.shrinkwrap.clone(), excerpt.package_lock.clone()];
    let patched = patch::apply_all(source, inside, files).map_err(|error| {
        let cure = Some(Reason::RemoteSource.cure().to_owned());
        Status::Undecided(undecided(site, Reason::Patched, error.to_string()).cured_by(cure))
    })?;
    let there = patched.into_iter().zip(&inside.edits).find_map(|(file, edits)| Some((file?, edits)));
    let (lockfile, edits) =
        there.ok_or_else(|| Status::Failed(SiteFailure::NoneInside { folder: inside.folder.clone() }))?;
    edited(site, &lockfile, edits)
}

/// The lockfile as phases leave it.
fn edited(site: &Site, bytes: &Arc<[u8]>, edits: &[LockfileEdit]) -> Result<Arc<[u8]>, Status> {
    apply_edits(bytes, edits).map_err(|error| {
        let message = format!("a phase edits the lockfile: {error}");
        let cure = "make the replacement fit the lockfile, or commit the edited lockfile and drop the step";
        Status::Undecided(undecided(site, Reason::LockfileEdited, message).cured_by(Some(cure.to_owned())))
    })
}

/// The source that a lockfile is copied into.
fn around(sources: &[SourceState]) -> Option<&SourceState> {
    sources.iter().find(|state| state.source.vendored_in.is_some())
}

/// The shrinkwrap of a source that wins over a lockfile that is copied in.
fn winning_shrinkwrap(sources: &[SourceState]) -> Option<&Arc<[u8]>> {
    around(sources)?.excerpt.as_ref()?.as_ref().ok()?.shrinkwrap.as_ref()
}

/// The same where the lockfile comes from another source, so that both have to be at hand.
fn laid_over(
    site: &Site,
    source: &RemoteSource,
    sources: &[SourceState],
) -> Result<Option<Arc<[u8]>>, Status> {
    let Some(state) = around(sources).filter(|state| state.source.place != source.place) else {
        return Ok(None);
    };
    if state.source.shrinkwrap == Shrinkwrap::Ignored {
        return Ok(None);
    }
    match &state.excerpt {
        Some(Ok(excerpt)) => {
            no_stray(site, excerpt)?;
            Ok(excerpt.shrinkwrap.clone())
        }
        Some(Err(error)) => Err(Status::Failed(SiteFailure::Inside(error.clone()))),
        None => Err(Status::Undecided(unasked(site))),
    }
}

/// Where an archive has a shrinkwrap that may come to lie beside the lockfile, nothing is known.
fn no_stray(site: &Site, excerpt: &Excerpt) -> Result<(), Status> {
    let Some(path) = &excerpt.stray_shrinkwrap else { return Ok(()) };
    let message = format!(
        "the archive that is unpacked around the lockfile has {path}, which is hashed instead where it comes to lie beside it"
    );
    let undecided = undecided(site, Reason::Generated, message).cured_by(Some(NO_SHRINKWRAP.to_owned()));
    Err(Status::Undecided(undecided))
}

/// Whether what a lockfile is laid over has a shrinkwrap is not known.
fn unasked(site: &Site) -> Undecided {
    let message = "whether the source that the lockfile is copied into has an npm-shrinkwrap.json, which would be hashed \
                   instead, is not known: it cannot be looked into";
    undecided(site, Reason::Generated, message).cured_by(Some(NO_SHRINKWRAP.to_owned()))
}

/// The state of a source that a lockfile is inside of, if it is one that can be followed.
pub(super) fn followed<'a>(
    site: &Site,
    source: &RemoteSource,
    sources: &'a [SourceState],
) -> Result<&'a SourceState, Undecided> {
    let state = sources.iter().find(|state| state.source.place == source.place);
    let state = state.ok_or_else(|| unfollowed(site, "it was not examined"))?;
    match &state.resolved {
        Ok(_) => Ok(state),
        Err(why) => Err(unfollowed(site, why)),
    }
}

fn unfollowed(site: &Site, why: &str) -> Undecided {
    let message = format!("the lockfile is inside a source that cannot be followed: {why}");
    undecided(site, Reason::RemoteSource, message)
}

/// A lockfile of the repository, which may be copied into a source.
fn vendored(
    site: &Site,
    path: &Path,
    sources: &[SourceState],
    work: &PlanMaker<'_>,
) -> Result<Chosen, Status> {
    let old = work.lockfiles.borrow_mut().read(path, work.rules.head).map_err(Status::Failed)?;
    let plain = Chosen { bytes: Arc::clone(&old), outdated: None };
    let Some(state) = around(sources) else { return Ok(plain) };
    let excerpt = match &state.excerpt {
        Some(Ok(excerpt)) => excerpt,
        Some(Err(error)) if !error.is_unread_format() => {
            return Err(Status::Failed(SiteFailure::Inside(error.clone())));
        }
        _ if state.source.shrinkwrap == Shrinkwrap::Anywhere => {
            return Err(Status::Undecided(unasked(site)));
        }
        // Formats that are not read here say nothing against the copy.
        _ => return Ok(plain),
    };
    no_stray(site, excerpt)?;
    if let Some(shrinkwrap) = winning_shrinkwrap(sources) {
        return Ok(Chosen { bytes: Arc::clone(shrinkwrap), outdated: None });
    }
    let original = work.lockfiles.borrow().originals.get(path).cloned();
    let outdated = outdated(path, &old, excerpt)
        .map(|outdated| Outdated { old: original.unwrap_or_else(|| Arc::clone(&old)), ..outdated });
    match outdated.filter(|_| state.source.keeps_manifest && follows(state, work)) {
        None => Ok(plain),
        Some(outdated) => renewed(site, outdated, excerpt, work),
    }
}

/// Whether a vendored lockfile has to follow its source's version: always for published packages, else when the source
/// changes. Who keeps one for a repository may have reasons for another version in it.
fn follows(state: &SourceState, work: &PlanMaker<'_>) -> bool {
    let published = |npm: &dyn NpmServices| {
        state.resolved.as_ref().is_ok_and(|resolved| npm.publishes(resolved.origin.url()))
    };
    state.wanted().is_some() || work.rules.npm.is_some_and(published)
}

fn outdated(path: &Path, old: &Arc<[u8]>, excerpt: &Excerpt) -> Option<Outdated> {
    let locked = root_version(old)?;
    let fetched = root_version(excerpt.package_json.as_ref()?)?;
    let outdated = Outdated { path: path.to_owned(), locked, fetched, old: Arc::clone(old), new: None };
    (outdated.locked != outdated.fetched).then_some(outdated)
}

/// The lockfile for the version that was fetched, if it may be made.
fn renewed(
    site: &Site,
    outdated: Outdated,
    excerpt: &Excerpt,
    work: &PlanMaker<'_>,
) -> Result<Chosen, Status> {
    let (Some(npm), true, Some(package_json)) =
        (work.rules.npm, work.rules.renew_lockfiles, &excerpt.package_json)
    else {
        return Ok(Chosen { bytes: Arc::clone(&outdated.old), outdated: Some(outdated) });
    };
    let made = work.lockfiles.borrow().made.get(&outdated.path).cloned();
    let new = match made {
        Some(made) if made.package_json == *package_json => made.lockfile,
        Some(_) => {
            let message = "its vendored lockfile is shared by packages of different versions";
            let cure = Some("give each package a lockfile of its own".to_owned());
            let undecided = undecided(site, Reason::SharedLiteral, message).cured_by(cure);
            return Err(Status::Undecided(undecided));
        }
        None => {
            let relock = Relock {
                package_json,
                shrinkwrap: excerpt.own_shrinkwrap.as_deref(),
                existing: &outdated.old,
            };
            let new: Arc<[u8]> = npm.relock(&relock).map(Arc::from).map_err(|failure| {
                Status::Failed(SiteFailure::Relock { path: outdated.path.clone(), failure })
            })?;
            let kept = Regenerated { package_json: Arc::clone(package_json), lockfile: Arc::clone(&new) };
            work.lockfiles.borrow_mut().made.insert(outdated.path.clone(), kept);
            new
        }
    };
    Ok(Chosen { bytes: Arc::clone(&new), outdated: Some(Outdated { new: Some(new), ..outdated }) })
}

/// `version` at the top of a manifest or lockfile, or that of a lockfile's root package.
pub(super) fn root_version(bytes: &[u8]) -> Option<String> {
    let document: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let root = document.pointer("/packages//version").filter(|version| version.is_string());
    root.or_else(|| document.get("version"))?.as_str().map(str::to_owned)
}

impl LookError {
    /// Whether only the archive's format is in the way.
    fn is_unread_format(&self) -> bool {
        matches!(self, Self::Archive(error) if matches!(**error, crate::source::archive::ArchiveError::Format(_)))
    }
}
