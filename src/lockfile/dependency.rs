//! What a lockfile entry comes down to, and how equal entries are merged.

use std::collections::{HashMap, hash_map};

use foldhash::fast::RandomState;

use super::{
    CanonicalUrl, Lockfile, Version,
    canonical_url::UrlReader,
    hosted_git::{GitUrlError, hosted_archive, is_git},
    text::Entries,
    v1,
};
use crate::integrity::{Integrity, IntegrityError};
use crate::redaction::redacted;

/// One thing to fetch.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package's name; of an alias the real one where the lockfile tells it.
    pub name: String,
    /// Where the entry stands: an install path (`node_modules/a`), or of version 1 the chain of names (`a > b`).
    pub place: String,
    /// The version; none in version 1 lockfiles, where nixpkgs looks at none.
    pub version: Option<String>,
    /// Names and versions of further entries for the same URL.
    pub also_known_as: Vec<(String, String)>,
    /// The URL that is fetched and that keys the cache entry.
    pub url: CanonicalUrl,
    /// Whether the entry is limited to some platforms: such packages carry binaries and tend to be large.
    pub platform_specific: bool,
    /// What the bytes are checked against.
    pub source: Source,
}

/// How a dependency's bytes are obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A tarball that goes into the cache as it is.
    Tarball(Integrity),
    /// A code host's archive, which is unpacked and packed again.
    GitArchive {
        /// Whether the URL names a full commit, so that its content cannot change.
        pinned: bool,
    },
}

/// An entry without a URL, although an install wants it from the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Where the entry stands.
    pub place: String,
    /// The package's version, if it has one.
    pub version: Option<String>,
}

/// An entry that nixpkgs' fetcher stumbles over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the entry stands.
    pub place: String,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What can be wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// A URL, but nothing to check its bytes against.
    #[error("no integrity for {}", redacted(.0))]
    NoIntegrity(CanonicalUrl),
    /// An integrity that cannot be used.
    #[error("{error} (for {})", redacted(url))]
    Integrity {
        /// Where the bytes come from.
        url: CanonicalUrl,
        /// What is wrong with the integrity.
        error: IntegrityError,
    },
    /// A git URL without an archive to fetch.
    #[error(transparent)]
    Git(#[from] GitUrlError),
    /// An alias (`npm:real@1.0.0`) without `resolved`, of which nixpkgs makes a URL it cannot fetch.
    #[error("the alias {0} has no `resolved`")]
    AliasWithoutUrl(String),
    /// A version 1 entry, or one in the legacy map of version 2, without `version`.
    #[error("no `version`{}", if *.legacy { " in the legacy `dependencies` map" } else { "" })]
    NoVersion {
        /// Whether it stands in the map that version 2 keeps for old clients and that does not decide the hash.
        legacy: bool,
    },
    /// A `resolved` that is neither a URL nor a folder of the project.
    #[error("`resolved` is not an absolute URL: {}", redacted(.0))]
    NotAUrl(String),
}

/// An entry as both formats describe it, before it is judged.
pub(super) struct Raw<'a> {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) version: Option<String>,
    pub(super) url: CanonicalUrl,
    pub(super) integrity: Option<&'a str>,
    pub(super) platform_specific: bool,
}

/// What has been gathered of a lockfile so far, equal URLs merged.
#[derive(Default)]
pub(super) struct Found {
    pub(super) urls: UrlReader,
    dependencies: Vec<Dependency>,
    /// Where the dependency of a URL stands. A map of the dependencies themselves would move them about.
    by_url: HashMap<CanonicalUrl, usize, RandomState>,
    skipped: Vec<Skipped>,
    problems: Vec<Problem>,
}

impl Found {
    /// Nothing yet, with room for so many entries.
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self {
            dependencies: Vec::with_capacity(entries),
            by_url: HashMap::with_capacity_and_hasher(entries, RandomState::default()),
            ..Self::default()
        }
    }

    pub(super) fn skip(&mut self, place: String, version: Option<String>) {
        self.skipped.push(Skipped { place, version });
    }

    pub(super) fn problem(&mut self, place: &str, kind: ProblemKind) {
        self.problems.push(Problem { place: place.to_owned(), kind });
    }

    /// Adds an entry that has a URL.
    pub(super) fn add(&mut self, raw: Raw<'_>) {
        let (url, source) = match source_of(raw.url, raw.integrity) {
            Ok(found) => found,
            Err(kind) => return self.problem(&raw.place, kind),
        };
        let dependency = Dependency {
            name: raw.name,
            place: raw.place,
            version: raw.version,
            also_known_as: Vec::new(),
            url,
            platform_specific: raw.platform_specific,
            source,
        };
        match self.by_url.entry(dependency.url.clone()) {
            hash_map::Entry::Vacant(slot) => {
                slot.insert(self.dependencies.len());
                self.dependencies.push(dependency);
            }
            hash_map::Entry::Occupied(slot) => {
                let place = dependency.place.clone();
                if let Err(kind) = self.dependencies[*slot.get()].merge(dependency) {
                    self.problem(&place, kind);
                }
            }
        }
    }

    /// Notes entries of a version 2 lockfile's legacy map without `version`: nixpkgs reads it, if only to refuse it.
    pub(super) fn with_legacy(mut self, legacy: Option<&Entries<'_, v1::Entry<'_>>>) -> Self {
        if let Some(entries) = legacy {
            v1::note_missing_versions(entries, "", &mut self);
        }
        self
    }

    pub(super) fn into_lockfile(mut self, version: Version) -> Lockfile {
        self.dependencies.sort_unstable_by(|one, other| one.url.cmp(&other.url));
        Lockfile { version, dependencies: self.dependencies, skipped: self.skipped, problems: self.problems }
    }
}

fn source_of(url: CanonicalUrl, integrity: Option<&str>) -> Result<(CanonicalUrl, Source), ProblemKind> {
    if is_git(url.scheme()) {
        let (archive, pinned) = hosted_archive(&url.to_url())?;
        return Ok((archive, Source::GitArchive { pinned }));
    }
    let Some(text) = integrity else { return Err(ProblemKind::NoIntegrity(url)) };
    match Integrity::strongest_of(text) {
        Ok(integrity) => Ok((url, Source::Tarball(integrity))),
        Err(IntegrityError::Empty) => Err(ProblemKind::NoIntegrity(url)),
        Err(error) => Err(ProblemKind::Integrity { url, error }),
    }
}

impl Dependency {
    /// Merges another entry for the same URL: the strongest integrity wins, all names and versions are kept.
    fn merge(&mut self, other: Self) -> Result<(), ProblemKind> {
        self.platform_specific |= other.platform_specific;
        if (&other.name, &other.version) != (&self.name, &self.version) {
            self.also_known_as.extend(other.version.map(|version| (other.name, version)));
        }
        if let (Source::Tarball(mine), Source::Tarball(theirs)) = (&mut self.source, other.source) {
            let merged = mine.clone().stronger(theirs);
            *mine = merged.map_err(|error| ProblemKind::Integrity { url: other.url, error })?;
        }
        Ok(())
    }
}
