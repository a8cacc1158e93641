//! What a recorded hash is: that of something other than it should be, as far as this can be computed.
//!
//! Nothing is claimed that was not computed. Candidates are tried in groups, the likeliest and cheapest first, and the
//! search ends with the first group that holds the hash; what was tried is told, and so is what could not be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix_sites::{HashText, LockfileEdit, apply_edits};
use npm_deps::supply::Supply;
use npm_deps::{Computed, HashFailure, HashRequest, Manner, Modes, Settings};
use npm_lockfile::changes::Changes;
use npm_lockfile::line_ends::{has_crlf, with_crlf, with_line_feeds};
use npm_lockfile::options::HashOptions;
use npm_lockfile::{DependencySource, Lockfile};
use repository_files::git::{Earlier, Git};

/// Other lockfiles of the repository that are tried at most.
const MOST_OTHERS: usize = 100;

/// Earlier states that are tried at once: the hash is mostly that of one of the last.
const AT_ONCE: usize = 8;

/// What is known of a recorded hash.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The hash as it is written.
    pub recorded: HashText,
    /// The lockfile that it should be the hash of, if that is known.
    pub lockfile: Option<OwnLockfile>,
    /// The options that decide it.
    pub options: HashOptions,
    /// Other lockfiles of the repository.
    pub others: Vec<PathBuf>,
}

/// The lockfile of a subject.
#[derive(Debug, Clone)]
pub struct OwnLockfile {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// What phases replace in it before it is hashed.
    pub edits: Vec<LockfileEdit>,
}

/// What a search may use.
pub struct SearchSupply<'a> {
    /// Where tarballs come from.
    pub supply: &'a Arc<Supply>,
    /// How hashes are computed.
    pub settings: &'a Settings,
    /// The repository.
    pub git: &'a Git,
    /// Earlier states of the lockfile that are tried at most.
    pub earlier: usize,
    /// Whether what other and earlier lockfiles need may be downloaded.
    pub download: bool,
}

/// What a recorded hash turned out to be.
#[derive(Debug, Clone)]
pub enum HashVerdict {
    /// Just what it should be.
    Right,
    /// It only holds a hash's place.
    Placeholder,
    /// It is not a sha256, so it is the hash of no lockfile.
    NoHash,
    /// That of something else.
    Is(HashIdentity),
    /// Nothing that was tried.
    Unknown,
}

/// What a hash is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashIdentity {
    /// Which text.
    pub text: HashedText,
    /// The options, if others than those of the derivation.
    pub options: Option<HashOptions>,
    /// The fetcher ran otherwise.
    pub manner: Manner,
    /// For a lockfile of an earlier commit, what changed since.
    pub changes: Option<Changes>,
}

/// A text that may have been hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashedText {
    /// The lockfile as it is.
    Itself,
    /// The lockfile with CRLF.
    Crlf,
    /// The lockfile with line feeds alone, where it has CRLF.
    LineFeeds,
    /// The lockfile without its last line feed.
    WithoutLastLineFeed,
    /// The lockfile with one more line feed at its end.
    WithLineFeed,
    /// The lockfile before phases edit it.
    Unedited,
    /// Another lockfile of the repository.
    Other(PathBuf),
    /// The lockfile at an earlier commit.
    Earlier(String),
}

/// A group of candidates that were tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// What they have in common.
    pub group: Group,
    /// How many were computed.
    pub computed: usize,
    /// How many could not be.
    pub failed: usize,
    /// Why the first of those could not be.
    pub why: Option<String>,
}

/// The groups of candidates, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The lockfile under other options and in other spellings.
    Spellings,
    /// Fetcher version 2 as nixpkgs made it before 2026-02-15.
    OlderFetcher,
    /// Git dependencies unpacked by other users.
    OtherUsers,
    /// Other lockfiles of the repository.
    OtherLockfiles,
    /// The lockfile at earlier commits.
    Earlier,
}

/// The outcome of a search.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What the hash is.
    pub verdict: HashVerdict,
    /// What was tried.
    pub tried: Vec<Tried>,
    /// Whether all earlier states of the lockfile were looked at, if any were.
    pub whole_past: bool,
}

struct HashCandidate {
    text: HashedText,
    bytes: Arc<[u8]>,
    options: HashOptions,
}

/// Finds out what a hash is.
#[must_use]
pub fn explain(subject: &Subject, means: &SearchSupply<'_>) -> Explanation {
    let verdict = match &subject.recorded {
        recorded if recorded.is_placeholder() => Some(HashVerdict::Placeholder),
        recorded if recorded.digest.is_none() => Some(HashVerdict::NoHash),
        _ => None,
    };
    if let Some(verdict) = verdict {
        return Explanation { verdict, tried: Vec::new(), whole_past: true };
    }
    let mut search = Search { subject, means, tried: Vec::new(), whole_past: true };
    let identity = search.run();
    let is_right = |identity: &HashIdentity| {
        let HashIdentity { text, options, manner, .. } = identity;
        *text == HashedText::Itself && options.is_none() && *manner == Manner::default()
    };
    let verdict = match identity {
        Some(identity) if is_right(&identity) => HashVerdict::Right,
        Some(identity) => HashVerdict::Is(identity),
        None => HashVerdict::Unknown,
    };
    Explanation { verdict, tried: search.tried, whole_past: search.whole_past }
}

struct Search<'a> {
    subject: &'a Subject,
    means: &'a SearchSupply<'a>,
    tried: Vec<Tried>,
    whole_past: bool,
}

impl Search<'_> {
    fn run(&mut self) -> Option<HashIdentity> {
        let own = self.subject.lockfile.as_ref();
        own.and_then(|own| self.of_own(own)).or_else(|| self.others()).or_else(|| self.earlier(own?))
    }

    /// The lockfile itself, in all ways that do not need another one.
    fn of_own(&mut self, own: &OwnLockfile) -> Option<HashIdentity> {
        let manner = Manner::default();
        let found = self.attempt(Group::Spellings, self.spellings(own), manner, true);
        if found.is_some() {
            return found;
        }
        let whole_dist = Manner { whole_dist: true, ..manner };
        let edited = edited(&own.bytes, &own.edits)?;
        let of_version = |fetcher_version| HashCandidate {
            text: HashedText::Itself,
            bytes: Arc::clone(&edited),
            options: HashOptions { fetcher_version, ..self.subject.options },
        };
        let candidates = vec![of_version(2)];
        let found = self.attempt(Group::OlderFetcher, candidates, whole_dist, true);
        if found.is_some() || !has_git(&edited) {
            return found;
        }
        // Only what is unpacked from git depends on the user: a registry's tarball is in the cache as it came.
        let users = [Modes::ROOT, Modes::umask(0o002), Modes::umask(0o077), Modes::umask(0o027)];
        users.into_iter().find_map(|modes| {
            let candidates = [1, 2].map(of_version).into_iter().collect();
            self.attempt(Group::OtherUsers, candidates, Manner { modes, ..manner }, true)
        })
    }

    /// The text of the lockfile as it is and in other spellings, under all options.
    fn spellings(&self, own: &OwnLockfile) -> Vec<HashCandidate> {
        let mut texts = Vec::new();
        if let Some(edited) = edited(&own.bytes, &own.edits) {
            texts.push((HashedText::Itself, edited));
        }
        if !own.edits.is_empty() {
            texts.push((HashedText::Unedited, Arc::clone(&own.bytes)));
        }
        if own.bytes.contains(&b'\n') {
            let (text, bytes) = if has_crlf(&own.bytes) {
                (HashedText::LineFeeds, with_line_feeds(&own.bytes))
            } else {
                (HashedText::Crlf, with_crlf(&own.bytes))
            };
            texts.push((text, bytes.into()));
        }
        texts.push(match own.bytes.strip_suffix(b"\n") {
            Some(bytes) => (HashedText::WithoutLastLineFeed, bytes.into()),
            None => (HashedText::WithLineFeed, [&own.bytes, &b"\n"[..]].concat().into()),
        });
        let all = self.options();
        let of = |(text, bytes): (HashedText, Arc<[u8]>)| {
            let candidate = move |options: &HashOptions| HashCandidate {
                text: text.clone(),
                bytes: Arc::clone(&bytes),
                options: *options,
            };
            all.iter().map(candidate).collect::<Vec<_>>()
        };
        texts.into_iter().flat_map(of).collect()
    }

    /// The derivation's own options first, then the other fetcher version, then with every force. A force does not change a
    /// hash, it only lets one be that is refused otherwise; so those with it are of use only where the others failed.
    fn options(&self) -> Vec<HashOptions> {
        let own = self.subject.options;
        let versions = [own, own.with_other_version()];
        let forced =
            versions.map(|options| HashOptions { force_git_deps: true, force_empty_cache: true, ..options });
        // A derivation that has them both already is not asked about twice.
        versions.into_iter().chain(forced.into_iter().filter(|forced| !versions.contains(forced))).collect()
    }

    fn others(&mut self) -> Option<HashIdentity> {
        let own = self.subject.lockfile.as_ref().map(|own| own.path.as_path());
        let others = self.subject.others.iter().filter(|path| Some(path.as_path()) != own).take(MOST_OTHERS);
        let read = |path: &PathBuf| Some((path.clone(), Arc::<[u8]>::from(std::fs::read(path).ok()?)));
        let mut candidates = Vec::new();
        for (path, bytes) in others.filter_map(read) {
            candidates.extend(self.options().into_iter().map(|options| HashCandidate {
                text: HashedText::Other(path.clone()),
                bytes: Arc::clone(&bytes),
                options,
            }));
        }
        self.attempt(Group::OtherLockfiles, candidates, Manner::default(), self.means.download)
    }

    fn earlier(&mut self, own: &OwnLockfile) -> Option<HashIdentity> {
        let past = self.means.git.past(&own.path, &own.bytes, self.means.earlier).ok()?;
        self.whole_past = past.is_whole;
        for states in past.states.chunks(AT_ONCE) {
            let of = |Earlier { commit, bytes }: &Earlier| {
                let bytes = edited(bytes, &own.edits).unwrap_or_else(|| bytes.as_slice().into());
                let commit = commit.clone();
                self.options()
                    .into_iter()
                    .map(move |options| {
                        let bytes = Arc::clone(&bytes);
                        HashCandidate { text: HashedText::Earlier(commit.clone()), bytes, options }
                    })
                    .collect::<Vec<_>>()
            };
            let candidates = states.iter().flat_map(of).collect();
            let found = self.attempt(Group::Earlier, candidates, Manner::default(), self.means.download);
            if let Some(identity) = found {
                let then =
                    states.iter().find(|state| identity.text == HashedText::Earlier(state.commit.clone()))?;
                return Some(HashIdentity { changes: Changes::between(&then.bytes, &own.bytes), ..identity });
            }
        }
        None
    }

    /// Computes candidates in one pass; the first of them whose hash is the recorded one.
    fn attempt(
        &mut self,
        group: Group,
        candidates: Vec<HashCandidate>,
        manner: Manner,
        network: bool,
    ) -> Option<HashIdentity> {
        if candidates.is_empty() {
            return None;
        }
        let request =
            |candidate: &HashCandidate| HashRequest::new(Arc::clone(&candidate.bytes), candidate.options);
        let requests: Vec<_> = candidates.iter().map(request).collect();
        let own = self.means.settings.in_manner(manner);
        let settings = if manner == Manner::default() { self.means.settings } else { &own };
        // Otherwise a search in git's past would download what was replaced long ago, for a candidate that is probably
        // wrong.
        let on_disk = Arc::new(self.means.supply.without_network());
        let supply = if network { self.means.supply } else { &on_disk };
        let results = npm_deps::compute(&requests, supply, settings);
        self.note(group, &candidates, &results);
        let digest = self.subject.recorded.digest;
        let is_it = |result: &Result<Computed, HashFailure>| {
            result.as_ref().is_ok_and(|computed| Some(computed.hash.0) == digest)
        };
        let (candidate, _) = candidates.into_iter().zip(&results).find(|(_, result)| is_it(result))?;
        let options = Some(candidate.options).filter(|options| *options != self.subject.options);
        Some(HashIdentity { text: candidate.text, options, manner, changes: None })
    }

    /// Counts what was computed: a text under some options, however often it was asked for.
    fn note(
        &mut self,
        group: Group,
        candidates: &[HashCandidate],
        results: &[Result<Computed, HashFailure>],
    ) {
        let mut seen: Vec<(&HashedText, u32, Option<&HashFailure>)> = Vec::new();
        for (candidate, result) in candidates.iter().zip(results) {
            let (text, version) = (&candidate.text, candidate.options.fetcher_version);
            let known = seen.iter_mut().find(|(other, of, _)| *other == text && *of == version);
            match (known, result) {
                (None, result) => seen.push((text, version, result.as_ref().err())),
                (Some(known), Ok(_)) => known.2 = None,
                (Some(_), Err(_)) => {}
            }
        }
        let failures: Vec<&HashFailure> = seen.iter().filter_map(|(_, _, failure)| *failure).collect();
        let why = failures.first().and_then(|failure| failure.obstacles.first()).map(ToString::to_string);
        let (computed, failed) = (seen.len() - failures.len(), failures.len());
        match self.tried.iter_mut().find(|tried| tried.group == group) {
            Some(tried) => {
                tried.computed += computed;
                tried.failed += failed;
                tried.why = tried.why.take().or(why);
            }
            None => self.tried.push(Tried { group, computed, failed, why }),
        }
    }
}

fn edited(bytes: &[u8], edits: &[LockfileEdit]) -> Option<Arc<[u8]>> {
    apply_edits(&bytes.into(), edits).ok()
}

fn has_git(bytes: &[u8]) -> bool {
    let is_git = |lockfile: Lockfile| {
        lockfile.dependencies.iter().any(|one| matches!(one.source, DependencySource::GitArchive { .. }))
    };
    Lockfile::parse(bytes).is_ok_and(is_git)
}

/// The lockfile that a derivation should hash, read.
///
/// # Errors
/// When it cannot be read.
pub fn own(path: &Path, edits: &[LockfileEdit]) -> std::io::Result<OwnLockfile> {
    let bytes = std::fs::read(path)?.into();
    Ok(OwnLockfile { path: path.to_owned(), bytes, edits: edits.to_vec() })
}
