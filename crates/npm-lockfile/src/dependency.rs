//! What a lockfile entry comes down to, and how equal entries are merged.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, hash_map};

use foldhash::fast::RandomState;
use npm_tarballs::integrity::{Candidate, Integrity, IntegrityError};
use npm_tarballs::redaction::redacted;

use super::canonical_url::UrlReader;
use super::hosted_git::{GitUrlError, hosted_archive, is_git};
use super::packages::package_name;
use super::text::Text;
use super::{CanonicalUrl, Lockfile, Version};

/// One thing to fetch.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package's name; of an alias the real one where the lockfile tells it.
    pub name: String,
    /// Where the entry stands: an install path (`node_modules/a`), or of version 1 the chain of names (`a > b`).
    pub place: String,
    /// The version; none in version 1 lockfiles, where nixpkgs looks at none.
    pub version: Option<String>,
    /// Other names and versions that equally strong entries give the same URL: which one counts for nixpkgs is left to
    /// chance.
    pub rivals: Vec<(String, Option<String>)>,
    /// The URL that is fetched and that keys the cache entry.
    pub url: CanonicalUrl,
    /// Whether the entry is limited to some platforms: such packages carry binaries and tend to be large.
    pub platform_specific: bool,
    /// What the bytes are checked against.
    pub source: DependencySource,
}

impl Dependency {
    /// The name that it is installed under, which of an alias is not the package's.
    #[must_use]
    pub fn installed_as(&self) -> &str {
        package_name(self.place.rsplit(" > ").next().unwrap_or(&self.place))
    }
}

/// How a dependency's bytes are obtained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependencySource {
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
pub struct DependencyProblem {
    /// Where the entry stands.
    pub place: String,
    /// What is wrong.
    pub kind: ProblemKind,
    /// The map it stands in, if that is one that decides nothing and is read all the same: `dependencies` in versions 2
    /// and 3, `packages` in version 1.
    pub aside: Option<&'static str>,
}

/// What can be wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// A field of another type than npm writes.
    #[error("`{field}` is {found}, where only {expected} can stand")]
    WrongType {
        /// The field.
        field: &'static str,
        /// What should stand there.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A URL, but nothing to check its bytes against.
    #[error("no integrity for {}", redacted(.0))]
    NoIntegrity(CanonicalUrl),
    /// An integrity that cannot be used.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// A URL of a kind that nothing can be fetched from.
    #[error("a `{}:` URL, which nixpkgs' fetcher cannot fetch: {}", .0.scheme(), redacted(.0))]
    Scheme(CanonicalUrl),
    /// A git URL without an archive to fetch.
    #[error(transparent)]
    Git(#[from] GitUrlError),
    /// An alias (`npm:real@1.0.0`) without `resolved`, of which nixpkgs makes a URL it cannot fetch.
    #[error("the alias {0} has no `resolved`")]
    AliasWithoutUrl(String),
    /// An entry of a `dependencies` map without `version`.
    #[error("no `version`")]
    NoVersion,
    /// A `resolved` of the `packages` map that is neither a URL nor a folder of the project.
    #[error("`resolved` is not an absolute URL: {}", redacted(.0))]
    NotAUrl(String),
    /// The same in a lockfile of version 1, where nixpkgs' fetcher panics at it.
    #[error("`resolved` is not a URL, without which nixpkgs' fetcher takes no package of version 1: {}", redacted(.0))]
    NotAUrlInVersion1(String),
}

/// An entry that has a URL, as both formats describe it, before it is judged.
pub(super) struct Raw {
    pub(super) name: String,
    pub(super) place: String,
    pub(super) version: Option<String>,
    pub(super) url: CanonicalUrl,
    pub(super) integrity: Option<Candidate>,
    pub(super) platform_specific: bool,
}

/// An entry that stands for all of its URL.
struct Merged {
    entry: Raw,
    rivals: Vec<(String, Option<String>)>,
}

/// What has been gathered of a lockfile so far, equal URLs merged.
#[derive(Default)]
pub(super) struct DependencyCollector {
    pub(super) urls: UrlReader,
    merged: Vec<Merged>,
    /// Where the entry of a URL stands. A map of the entries themselves would move them about.
    by_url: HashMap<CanonicalUrl, usize, RandomState>,
    skipped: Vec<Skipped>,
    problems: Vec<DependencyProblem>,
}

impl DependencyCollector {
    /// Nothing yet, with room for so many entries.
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self {
            merged: Vec::with_capacity(entries),
            by_url: HashMap::with_capacity_and_hasher(entries, RandomState::default()),
            ..Self::default()
        }
    }

    pub(super) fn skip(&mut self, place: String, version: Option<String>) {
        self.skipped.push(Skipped { place, version });
    }

    pub(super) fn problem(&mut self, place: &str, kind: ProblemKind) {
        self.problems.push(DependencyProblem { place: place.to_owned(), kind, aside: None });
    }

    pub(super) fn problems(&mut self, place: &str, kinds: Vec<ProblemKind>) {
        for kind in kinds {
            self.problem(place, kind);
        }
    }

    /// Notes what is wrong in a map that decides nothing.
    pub(super) fn set_aside(
        &mut self,
        map: &'static str,
        kinds: impl IntoIterator<Item = (String, ProblemKind)>,
    ) {
        let problem = |(place, kind)| DependencyProblem { place, kind, aside: Some(map) };
        self.problems.extend(kinds.into_iter().map(problem));
    }

    /// Adds an entry that has a URL.
    pub(super) fn add(&mut self, entry: Raw) {
        match self.by_url.entry(entry.url.clone()) {
            hash_map::Entry::Vacant(slot) => {
                slot.insert(self.merged.len());
                self.merged.push(Merged { entry, rivals: Vec::new() });
            }
            hash_map::Entry::Occupied(slot) => self.merged[*slot.get()].merge(entry),
        }
    }

    pub(super) fn into_lockfile(mut self, version: Version) -> Lockfile {
        // As nixpkgs sorts them: where two git URLs lead to one archive, the first one counts.
        self.merged.sort_unstable_by(|one, other| one.entry.url.cmp(&other.entry.url));
        let mut dependencies: Vec<Dependency> = Vec::with_capacity(self.merged.len());
        let mut archives: HashSet<CanonicalUrl> = HashSet::new();
        for merged in self.merged {
            let place = merged.entry.place.clone();
            match merged.judge() {
                Err(kind) => self.problems.push(DependencyProblem { place, kind, aside: None }),
                Ok(dependency) if archives.contains(&dependency.url) => {}
                Ok(dependency) => {
                    if let DependencySource::GitArchive { .. } = dependency.source {
                        archives.insert(dependency.url.clone());
                    }
                    dependencies.push(dependency);
                }
            }
        }
        Lockfile { version, dependencies, skipped: self.skipped, problems: self.problems }
    }
}

impl Merged {
    /// Merges another entry for the same URL. The one with the strongest integrity counts, with its name and version, and
    /// what the others lack is not a fault.
    fn merge(&mut self, other: Raw) {
        let mine = &mut self.entry;
        mine.platform_specific |= other.platform_specific;
        let strength = |entry: &Raw| entry.integrity.as_ref().map(Candidate::algorithm);
        match strength(&other).cmp(&strength(mine)) {
            Ordering::Less => {}
            Ordering::Greater => {
                let platform_specific = mine.platform_specific;
                *self = Self { entry: Raw { platform_specific, ..other }, rivals: Vec::new() };
            }
            Ordering::Equal => {
                mine.integrity = match (mine.integrity.take(), other.integrity) {
                    (Some(mine), Some(other)) => Some(mine.or_stronger(other)),
                    (mine, _) => mine,
                };
                // Without a version the name is of no use to nixpkgs.
                let names = (other.name, other.version);
                let same = (&mine.name, &mine.version) == (&names.0, &names.1);
                if !same && (mine.version.is_some() || names.1.is_some()) && !self.rivals.contains(&names) {
                    self.rivals.push(names);
                }
            }
        }
    }

    fn judge(self) -> Result<Dependency, ProblemKind> {
        let Self { entry: Raw { name, place, version, url, integrity, platform_specific }, rivals } = self;
        let (url, source) = source_of(url, integrity)?;
        Ok(Dependency { name, place, version, rivals, url, platform_specific, source })
    }
}

fn source_of(
    url: CanonicalUrl,
    integrity: Option<Candidate>,
) -> Result<(CanonicalUrl, DependencySource), ProblemKind> {
    if is_git(url.scheme()) {
        let (archive, pinned) = hosted_archive(&url.to_url())?;
        return Ok((archive, DependencySource::GitArchive { pinned }));
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ProblemKind::Scheme(url));
    }
    let Some(integrity) = integrity else { return Err(ProblemKind::NoIntegrity(url)) };
    Ok((url, DependencySource::Tarball(integrity.chosen()?)))
}

/// The fields of an entry that nixpkgs reads as text, by their names.
pub(super) fn wrong_types<'a>(
    fields: &'a [(&'static str, &'a Text<'a>)],
) -> impl Iterator<Item = ProblemKind> + 'a {
    fields.iter().filter_map(|(field, text)| {
        Some(ProblemKind::WrongType { field, expected: "a string", found: text.other()? })
    })
}

/// The strongest integrity of an entry whose other fields have these faults.
///
/// # Errors
/// All faults, with that of an integrity which nixpkgs refuses unseen, whether it needs it or not.
pub(super) fn verdict(
    faults: impl Iterator<Item = ProblemKind>,
    integrity: &Text<'_>,
) -> Result<Option<Candidate>, Vec<ProblemKind>> {
    let mut faults: Vec<_> = faults.collect();
    match integrity.as_deref().map(Candidate::strongest_of).transpose() {
        Ok(candidate) if faults.is_empty() => Ok(candidate.flatten()),
        Ok(_) => Err(faults),
        Err(error) => {
            faults.push(error.into());
            Err(faults)
        }
    }
}
