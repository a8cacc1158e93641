//! How the recorded hashes of sources compare to what was fetched, and what a mismatch means.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use error_advice::Advise;
use nix_sites::{Literal, Outcome, Reason, RemoteKind, RemoteSource, Site};
use npm_deps::Settings;
use npm_deps::supply::Supply;
use npm_tarballs::redaction::redacted;

use super::{PlanMaker, Rules, SiteFailure, Status, undecided};
use crate::source::digest::{DigestKind, Recorded, SourceDigest};
use crate::source::origin::{Access, Hashed, Origin};
use crate::source::{
    self, Excerpt, FetchedSource, LookError, NpmFailure, NpmServices, Resolved, SourceFailure, SourcePlace,
    SourceRequest, TarballQuestion, Word,
};

/// A source of a site, and where it stands.
#[derive(Debug, Clone)]
pub struct SourceState {
    /// The fetcher's call.
    pub source: RemoteSource,
    /// Where it comes from and what is recorded of it, or why that is not known.
    pub resolved: Result<Resolved, String>,
    /// Where it stands.
    pub standing: Standing,
    /// What was read from it, if it was fetched.
    pub excerpt: Option<Result<Excerpt, LookError>>,
    /// Whether the registry's own statement is its hash, so that nothing was downloaded.
    pub stated: bool,
}

/// How a source's recorded hash compares to what was fetched.
#[derive(Debug, Clone)]
pub enum Standing {
    /// Nothing was fetched.
    NotFetched,
    /// It is right.
    InSync,
    /// It is not written yet; this is it.
    Blank(SourceDigest),
    /// It is that of another source, because the URL or version changed; this is the right one.
    Moved(SourceDigest),
    /// It differs, and the npm registry vouches for what was fetched.
    Vouched(SourceDigest),
    /// It differs for no reason that is known: the file was replaced under its name.
    Replaced {
        /// What was fetched.
        found: SourceDigest,
        /// Whether that was accepted beforehand.
        accepted: bool,
        /// Why the committed files tell nothing, if they do not.
        unknown: Option<String>,
    },
    /// The npm registry says that other bytes were published.
    Forged {
        /// What was fetched.
        found: SourceDigest,
        /// The integrity of what was published.
        published: String,
    },
    /// The npm registry does not vouch for it as it has to.
    Unvouched(NpmFailure),
    /// Only a build can tell it, as far as is known it is right: see [`SourceState::unchecked`].
    Unchecked,
    /// Only a build can tell it, and it is surely not right: why.
    Untold(String),
    /// It could not be fetched.
    Failed(SourceFailure),
}

impl SourceState {
    /// What the hash should be, where it has to be written.
    #[must_use]
    pub fn wanted(&self) -> Option<&SourceDigest> {
        match &self.standing {
            Standing::Blank(digest) | Standing::Moved(digest) | Standing::Vouched(digest) => Some(digest),
            Standing::Replaced { found, .. } => Some(found),
            _ => None,
        }
    }

    /// Why nothing is known of its hash, where that is so.
    #[must_use]
    pub fn unchecked(&self) -> Option<&str> {
        match &self.resolved {
            Ok(resolved) => resolved.origin.more.as_deref(),
            Err(why) => Some(why),
        }
    }

    /// The hash of what was fetched.
    #[must_use]
    pub fn digest(&self) -> Option<&SourceDigest> {
        match (&self.standing, &self.resolved) {
            (Standing::InSync, Ok(resolved)) => resolved.recorded.known(),
            (Standing::Forged { found, .. }, _) => Some(found),
            _ => self.wanted(),
        }
    }

    /// The token to write it to, with what it should say.
    #[must_use]
    pub(crate) fn stale_literal(&self) -> Option<(&Literal, String)> {
        let literal = self.resolved.as_ref().ok()?.literal.as_ref()?;
        Some((literal, self.wanted()?.spelt_like(&literal.written)))
    }
}

/// What to read of a site's source.
fn look_at(site: &Site, source: &RemoteSource) -> SourcePlace {
    let (folder, shrinkwrap) = match &site.outcome {
        Outcome::Remote { source: of_lockfile, inside } if of_lockfile.place == source.place => {
            (inside.folder.clone(), inside.shrinkwrap.clone())
        }
        _ => (source.vendored_in.clone().unwrap_or_default(), source.shrinkwrap.clone()),
    };
    SourcePlace { source_root: source.source_root.clone(), folder, shrinkwrap }
}

/// All sources of all sites that are decided, not yet fetched.
pub(super) fn resolve(sites: &[Site]) -> Vec<Vec<SourceState>> {
    let of_site = |site: &Site| match &site.outcome {
        Outcome::Undecided(_) => Vec::new(),
        _ => site.sources().map(|source| unfetched(site, source)).collect(),
    };
    sites.iter().map(of_site).collect()
}

fn unfetched(site: &Site, source: &RemoteSource) -> SourceState {
    let holds_lockfile =
        matches!(&site.outcome, Outcome::Remote { source: own, .. } if own.place == source.place);
    let resolved = match source::resolve(source) {
        // Of what does not tell the hash, nothing is wanted but a lockfile.
        Ok(Resolved { origin: Origin { more: Some(why), .. }, .. }) if !holds_lockfile => Err(why),
        resolved => resolved.map_err(|error| error.to_string()),
    };
    let standing = Standing::NotFetched;
    SourceState { source: source.clone(), resolved, standing, excerpt: None, stated: false }
}

/// Fetches all sources and holds their hashes against them.
pub(super) fn examine(
    sites: &[Site],
    states: &mut [Vec<SourceState>],
    supply: &Arc<Supply>,
    settings: &Settings,
    work: &PlanMaker<'_>,
) {
    ask(sites, states, work);
    let requests = requests(sites, states);
    let fetched = source::fetch(&requests, supply, settings.memo.as_ref());
    let results: HashMap<_, _> =
        requests.iter().map(|request| request.origin.identity()).zip(fetched).collect();
    let words = words(states, &results, work.rules.npm);
    let missing = missing(sites, states, &results, work.rules.npm);
    for (site, states) in sites.iter().zip(states) {
        for state in states.iter_mut().filter(|state| !state.stated) {
            let Ok(resolved) = &state.resolved else { continue };
            let identity = resolved.origin.identity();
            match &results[&identity] {
                Err(failure) if is_hidden(resolved, failure) => {
                    state.resolved = Err(hidden(failure));
                }
                Err(failure) => {
                    let pinned = matches!(site.outcome, Outcome::Tarball(_));
                    let said = missing.get(&identity).filter(|_| pinned).cloned().map(Standing::Unvouched);
                    state.standing = said.unwrap_or_else(|| Standing::Failed(failure.clone()));
                }
                Ok(fetched) => {
                    state.excerpt = fetched.excerpts.get(&look_at(site, &state.source)).cloned();
                    let found = &fetched.digests[&resolved.recorded.kind()];
                    state.standing = judge(site, state, found, words.get(&identity), work);
                }
            }
        }
    }
}

/// Whether Nix may get at a source all the same, with what git knows: a password, or a key. A server that cannot be
/// reached hides a repository with a key, too: such ones stand in private networks.
fn is_hidden(resolved: &Resolved, failure: &SourceFailure) -> bool {
    match resolved.origin.access {
        Access::Download => false,
        Access::Git => failure.is_not_found(),
        Access::GitWithKey => true,
    }
}

fn hidden(failure: &SourceFailure) -> String {
    let causes = std::iter::successors(Some(failure as &dyn std::error::Error), |error| error.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    format!("Nix fetches it with git, and as an archive it cannot be fetched: {}", causes.join(": "))
}

/// What registries say of the sources whose recorded hash is not that of what was fetched, each asked about once.
fn words(
    states: &[Vec<SourceState>],
    results: &HashMap<String, Result<FetchedSource, SourceFailure>>,
    npm: Option<&dyn NpmServices>,
) -> HashMap<String, Result<Word, NpmFailure>> {
    let Some(npm) = npm else { return HashMap::new() };
    let mut questions = BTreeMap::new();
    let unstated = states.iter().flatten().filter(|state| !state.stated);
    for resolved in unstated.filter_map(|state| state.resolved.as_ref().ok()) {
        let identity = resolved.origin.identity();
        if let Ok(fetched) = &results[&identity]
            && resolved.origin.more.is_none()
            && !is_recorded(resolved, &fetched.digests[&resolved.recorded.kind()])
        {
            let question = TarballQuestion { url: resolved.origin.url(), content: &fetched.contents };
            questions.insert(identity, question);
        }
    }
    let said = npm.words(&questions.values().copied().collect::<Vec<_>>());
    questions.into_keys().zip(said).collect()
}

fn is_recorded(resolved: &Resolved, found: &SourceDigest) -> bool {
    match &resolved.recorded {
        Recorded::Known(recorded) => recorded == found,
        // What the host says is that commit.
        Recorded::Commit => true,
        Recorded::Placeholder(_) => false,
    }
}

/// What registries state themselves: the SHA-512 of a tarball is the integrity of its release, so it is known without a
/// download.
fn ask(sites: &[Site], states: &mut [Vec<SourceState>], work: &PlanMaker<'_>) {
    let Some(npm) = work.rules.npm else { return };
    let mut pinned: Vec<(&Site, &mut SourceState)> = sites
        .iter()
        .zip(states)
        .filter(|(site, _)| matches!(site.outcome, Outcome::Tarball(_)))
        .flat_map(|(site, states)| states.iter_mut().map(move |state| (site, state)))
        .filter(|(_, state)| state.resolved.as_ref().is_ok_and(is_integrity))
        .collect();
    let urls = pinned.iter().filter_map(|(_, state)| Some(state.resolved.as_ref().ok()?.origin.url()));
    let answers = npm.stated(&urls.collect::<Vec<_>>());
    for ((site, state), answer) in pinned.iter_mut().zip(answers) {
        match answer {
            Ok(Some(found)) => {
                state.standing = compare(site, state, SourceDigest::from(&found), true, work);
                state.stated = true;
            }
            // The tarball itself tells what the registry does not.
            Ok(None) => {}
            Err(failure) => {
                state.standing = Standing::Unvouched(failure);
                state.stated = true;
            }
        }
    }
}

/// Whether the hash of a source is what a registry states of a tarball.
fn is_integrity(resolved: &Resolved) -> bool {
    resolved.origin.hashed == Hashed::File && resolved.recorded.kind() == DigestKind::Sha512
}

/// What registries say of pinned tarballs that are not there: one that has no such release says more than a URL that is not
/// found. They are asked side by side.
fn missing(
    sites: &[Site],
    states: &[Vec<SourceState>],
    results: &HashMap<String, Result<FetchedSource, SourceFailure>>,
    npm: Option<&dyn NpmServices>,
) -> HashMap<String, NpmFailure> {
    let Some(npm) = npm else { return HashMap::new() };
    let pinned = sites.iter().zip(states).filter(|(site, _)| matches!(site.outcome, Outcome::Tarball(_)));
    let mut urls = BTreeMap::new();
    for state in pinned.flat_map(|(_, states)| states).filter(|state| !state.stated) {
        let Ok(resolved) = &state.resolved else { continue };
        let identity = resolved.origin.identity();
        if results[&identity].as_ref().is_err_and(SourceFailure::is_not_found) {
            urls.insert(identity, resolved.origin.url());
        }
    }
    let said = npm.stated(&urls.values().copied().collect::<Vec<_>>());
    urls.into_keys().zip(said).filter_map(|(identity, said)| Some((identity, said.err()?))).collect()
}

/// Each origin once, with everything that is wanted of it.
fn requests(sites: &[Site], states: &[Vec<SourceState>]) -> Vec<SourceRequest> {
    let mut requests: BTreeMap<String, SourceRequest> = BTreeMap::new();
    for (site, states) in sites.iter().zip(states) {
        for state in states.iter().filter(|state| !state.stated) {
            let Ok(resolved) = &state.resolved else { continue };
            let request = requests.entry(resolved.origin.identity()).or_insert_with(|| SourceRequest {
                origin: resolved.origin.clone(),
                recorded: BTreeSet::new(),
                looks: BTreeSet::new(),
            });
            request.recorded.insert(resolved.recorded.clone());
            // Nobody looks into a tarball that is only pinned.
            if !matches!(site.outcome, Outcome::Tarball(_)) {
                request.looks.insert(look_at(site, &state.source));
            }
        }
    }
    requests.into_values().collect()
}

/// A release is not signed as it has to be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unsigned(String);

impl Advise for Unsigned {
    fn advice(&self) -> Option<Cow<'static, str>> {
        Some("do not accept it unexamined".into())
    }
}

/// `said` is what the registry says of it, if somebody was asked.
fn judge(
    site: &Site,
    state: &SourceState,
    found: &SourceDigest,
    said: Option<&Result<Word, NpmFailure>>,
    work: &PlanMaker<'_>,
) -> Standing {
    let (Ok(resolved), found) = (&state.resolved, found.clone()) else { return Standing::NotFetched };
    if let Some(why) = &resolved.origin.more {
        return untold(resolved, why, work);
    }
    if is_recorded(resolved, &found) {
        return Standing::InSync;
    }
    let vouched = match said {
        Some(Ok(Word::Vouched(_))) => true,
        Some(Ok(Word::Other(published))) => return Standing::Forged { found, published: published.clone() },
        Some(Ok(Word::Unsigned(message))) => {
            return Standing::Unvouched(NpmFailure { error: Arc::new(Unsigned(message.clone())) });
        }
        None | Some(Ok(Word::None)) => false,
        Some(Err(failure)) => return Standing::Unvouched(failure.clone()),
    };
    compare(site, state, found, vouched, work)
}

/// What can be said of a hash that only a build can tell.
fn untold(resolved: &Resolved, why: &str, work: &PlanMaker<'_>) -> Standing {
    match &resolved.recorded {
        Recorded::Placeholder(_) => Standing::Untold(format!("its source has no hash yet: {why}")),
        Recorded::Commit => Standing::InSync,
        Recorded::Known(recorded) if work.rules.head.has_for_other_origin(&resolved.origin, recorded) => {
            Standing::Untold(format!("the hash of its source is that of another version or URL: {why}"))
        }
        Recorded::Known(_) => Standing::Unchecked,
    }
}

/// What it means that a hash is recorded and another one was found, for which a registry vouches or does not.
fn compare(
    site: &Site,
    state: &SourceState,
    found: SourceDigest,
    vouched: bool,
    work: &PlanMaker<'_>,
) -> Standing {
    let Ok(resolved) = &state.resolved else { return Standing::NotFetched };
    let Recorded::Known(recorded) = &resolved.recorded else { return Standing::Blank(found) };
    if *recorded == found {
        return Standing::InSync;
    }
    let pinned = state.source.kind == RemoteKind::FlakeInput;
    if pinned {
        return Standing::Replaced { found, accepted: false, unknown: None };
    }
    if lockfile_stayed_behind(site, work) {
        return Standing::Moved(found);
    }
    let unknown = match work.rules.head.records(&resolved.origin, recorded) {
        Ok(false) => return Standing::Moved(found),
        Ok(true) => None,
        Err(why) => Some(why),
    };
    if vouched {
        return Standing::Vouched(found);
    }
    Standing::Replaced { found, accepted: work.rules.accept_changed_sources, unknown }
}

/// What keeps a site from its hash, as far as its sources go.
pub(super) fn obstacle(site: &Site, states: &[SourceState], rules: &Rules<'_>) -> Option<Status> {
    let failure = |state: &SourceState| {
        let resolved = state.resolved.as_ref().ok()?;
        let url = redacted(resolved.origin.url());
        let locked = state.source.kind == RemoteKind::FlakeInput;
        let failure = match &state.standing {
            Standing::Failed(failure) => SiteFailure::Source(failure.clone()),
            Standing::Unvouched(failure) => SiteFailure::Unvouched(failure.clone()),
            Standing::Forged { found, published } => {
                SiteFailure::Forged { url, published: published.clone(), found: found.clone() }
            }
            Standing::Replaced { found, accepted, unknown } if locked || (rules.alarm && !accepted) => {
                let recorded = resolved.recorded.known().map(SourceDigest::sri).unwrap_or_default();
                SiteFailure::Replaced {
                    url,
                    recorded,
                    found: found.clone(),
                    unknown: unknown.clone(),
                    locked,
                }
            }
            _ => return None,
        };
        Some(Status::Failed(failure))
    };
    let unpinned = |state: &SourceState| match (&site.outcome, &state.resolved) {
        (Outcome::Tarball(_), Err(why)) => Some(Status::Undecided(super::unpinned(site, why))),
        _ => None,
    };
    let untold = |state: &SourceState| match &state.standing {
        Standing::Untold(why) => {
            let cure = "build it once, and write the hash that Nix prints for the source; then run `update`";
            let undecided = undecided(site, Reason::StaleUnknown, why.clone());
            Some(Status::Undecided(undecided.cured_by(Some(cure.to_owned()))))
        }
        _ => None,
    };
    states
        .iter()
        .find_map(failure)
        .or_else(|| states.iter().find_map(untold))
        .or_else(|| states.iter().find_map(unpinned))
        .or_else(|| states.iter().find_map(|state| unwritable(site, state)))
}

/// A hash that should be written, and has no one token to go to.
fn unwritable(site: &Site, state: &SourceState) -> Option<Status> {
    state.wanted().filter(|_| state.stale_literal().is_none())?;
    let message = "no single literal holds the hash of its source, which is stale".to_owned();
    let cure = Some("write the hash of the source as one string".to_owned());
    Some(Status::Undecided(undecided(site, Reason::UnknownHash, message).cured_by(cure)))
}

/// Whether the vendored lockfile is that of another version than the derivation's.
fn lockfile_stayed_behind(site: &Site, work: &PlanMaker<'_>) -> bool {
    let Outcome::Local { lockfile, .. } = &site.outcome else { return false };
    let Some(version) = &site.version else { return false };
    let bytes = work.lockfiles.borrow_mut().read(lockfile, work.rules.head);
    let locked = bytes.ok().and_then(|bytes| super::lockfiles::root_version(&bytes));
    locked.is_some_and(|locked| locked != *version)
}
