//! Lockfiles made complete: `resolved` and `integrity` from the registry, of exactly the versions that are locked.
//!
//! npm itself cannot do this: entries that it keeps it leaves as they are (npm/cli#4460). Nothing is resolved here, so no
//! version moves. The registry is asked for the packument of each name, the one of a scope where the user's configuration
//! names it, and the fields are put into the lockfile's text where npm writes them; every other byte stays, which is
//! proven before anybody gets the text.
//!
//! What a lockfile has already is held against the registry's word, and is never overwritten by another one.

mod answers;
mod edit;
mod entries;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;

pub use edit::FillError;
use error_advice::Advise;
use npm_lockfile::LockfileError;
use npm_registry::packages::{PackageError, PackageName, PackageNameError, Release, published_at};
use npm_registry::{Access, Client};
use npm_tarballs::integrity::{Algorithm, Integrity};
use npm_tarballs::redaction::redacted;
use tokio::runtime::Handle;
use url::Url;

use self::answers::{Releases, WantedRelease};
use self::edit::Fill;
use self::entries::LockfileEntry;

/// A lockfile that was completed, or lacked nothing.
#[derive(Debug)]
pub struct Repaired {
    /// The bytes with everything filled in.
    pub bytes: Vec<u8>,
    /// What was filled in, in file order.
    pub filled: Vec<Filled>,
}

/// What an entry got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Where it stands.
    pub place: String,
    /// `name@version`.
    pub package: String,
    /// It got its `resolved`.
    pub resolved: bool,
    /// It got its `integrity`, or a stronger one.
    pub integrity: bool,
}

/// Why a lockfile was not completed.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// It is none.
    #[error(transparent)]
    Lockfile(#[from] LockfileError),
    /// Entries for which there is nothing to fill in.
    #[error("{} entries cannot be completed", .0.len())]
    Entries(Vec<EntryError>),
    /// The text cannot be edited.
    #[error("cannot edit the lockfile")]
    Edit(#[from] FillError),
    /// The registry may not be asked.
    #[error("it lacks `resolved` or `integrity`, which only the registry knows")]
    Offline,
    /// The machine is out of something.
    #[error("cannot ask the registry")]
    Io(#[from] io::Error),
}

/// Why an entry cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct EntryError {
    /// Where it stands.
    pub place: String,
    /// Why.
    #[source]
    pub reason: Unrepairable,
}

/// Why there is nothing to fill in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unrepairable {
    /// No package can have this name.
    #[error(transparent)]
    Name(#[from] PackageNameError),
    /// The registry does not say.
    #[error(transparent)]
    Package(#[from] std::sync::Arc<PackageError>),
    /// There is nothing to ask for.
    #[error("it has no `version`")]
    NoVersion,
    /// No registry knows the tarball.
    #[error("no `integrity`, and {} is not a tarball of a registry that could be asked", redacted(.0))]
    Elsewhere(String),
    /// The registry published other bytes.
    #[error("its integrity {has} is not that of {package}, which is {published}")]
    OtherBytes {
        /// `name@version`.
        package: String,
        /// What the entry says.
        has: String,
        /// What the registry says.
        published: String,
    },
    /// The integrity that is there cannot be read.
    #[error("its integrity cannot be used")]
    Integrity(#[from] npm_tarballs::integrity::IntegrityError),
}

impl Advise for RepairError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        matches!(self, Self::Offline).then(|| "run it without --offline".into())
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Lockfile(error) => Some(error),
            _ => None,
        }
    }
}

impl Advise for Unrepairable {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Package(error) => match &**error {
                PackageError::NoRelease { .. } => {
                    "that version is gone: depend on another one, and let `npm install` lock it"
                }
                _ => return None,
            },
            Self::OtherBytes { .. } => {
                "one of the two was tampered with, or comes from another registry: do not accept it unexamined"
            }
            Self::NoVersion | Self::Elsewhere(_) | Self::Integrity(_) => {
                "let npm write the entry again: remove it from the lockfile and run `npm install --package-lock-only`"
            }
            Self::Name(_) => return None,
        };
        Some(hint.into())
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Package(error) => Some(&**error),
            _ => None,
        }
    }
}

/// How thorough a repair is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Thoroughness {
    /// Integrities of sha1 alone are replaced by the registry's stronger ones.
    pub strengthen: bool,
}

/// Completes lockfiles, in their order. Each name is asked about once for all of them, by a client that works in a runtime
/// of several threads; without one nothing is asked.
///
/// Errors are per lockfile: one that cannot be completed does not keep the others from it.
pub fn repair(
    lockfiles: &[&[u8]],
    registry: Option<(&Client, &Handle)>,
    thoroughness: Thoroughness,
) -> Vec<Result<Repaired, RepairError>> {
    let due: Vec<_> = lockfiles.iter().map(|bytes| Due::of(bytes, thoroughness)).collect();
    let wanted: BTreeSet<WantedRelease> = due.iter().flatten().flat_map(Due::wanted).collect();
    let ask = |(client, runtime)| (client, Releases::fetch(client, &wanted, runtime));
    let answers = registry.filter(|_| !wanted.is_empty()).map(ask);
    let complete = |due: Result<Due<'_>, RepairError>| {
        let due = due?;
        match &answers {
            _ if due.entries.is_empty() => Ok(Repaired { bytes: due.text.into(), filled: Vec::new() }),
            None if registry.is_none() => Err(RepairError::Offline),
            None => due.complete(&Releases::default(), &Access::default()),
            Some((client, Ok(answers))) => due.complete(answers, &client.options().access),
            Some((_, Err(error))) => Err(RepairError::Io(io::Error::new(error.kind(), error.to_string()))),
        }
    };
    due.into_iter().map(complete).collect()
}

/// What a lockfile lacks.
struct Due<'a> {
    text: &'a str,
    /// Those that lack something.
    entries: Vec<LockfileEntry<'a>>,
    thoroughness: Thoroughness,
}

impl<'a> Due<'a> {
    fn of(bytes: &'a [u8], thoroughness: Thoroughness) -> Result<Self, RepairError> {
        let text = npm_lockfile::utf8(bytes)?;
        let mut entries = entries::entries(text)?;
        entries.retain(|entry| lacks(entry, thoroughness));
        Ok(Self { text, entries, thoroughness })
    }

    fn wanted(&self) -> impl Iterator<Item = WantedRelease> {
        self.entries.iter().filter_map(|entry| {
            let name = PackageName::parse(&entry.name).ok()?;
            Some(WantedRelease { name, version: published_version(entry)? })
        })
    }

    fn complete(&self, answers: &Releases, access: &Access) -> Result<Repaired, RepairError> {
        let (mut fills, mut errors) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            match self.fill(entry, answers, access) {
                Ok(fill) => fills.push((entry, fill)),
                Err(reason) => errors.push(EntryError { place: entry.place.clone(), reason }),
            }
        }
        if !errors.is_empty() {
            return Err(RepairError::Entries(errors));
        }
        // Nothing stronger is known of these.
        fills.retain(|(_, fill)| *fill != Fill::default());
        let bytes = edit::apply(self.text, &fills)?.into_bytes();
        let filled = fills.iter().map(|(entry, fill)| Filled {
            place: entry.place.clone(),
            package: package(entry),
            resolved: fill.resolved.is_some(),
            integrity: fill.integrity.is_some(),
        });
        Ok(Repaired { bytes, filled: filled.collect() })
    }

    fn fill(
        &self,
        entry: &LockfileEntry<'_>,
        answers: &Releases,
        access: &Access,
    ) -> Result<Fill, Unrepairable> {
        let name = PackageName::parse(&entry.name)?;
        let version = match (published_version(entry), &entry.resolved) {
            (Some(version), _) => version,
            (None, Some(url)) => return Err(Unrepairable::Elsewhere(url.clone())),
            (None, None) => return Err(Unrepairable::NoVersion),
        };
        let release = answers.release(&WantedRelease { name, version })?;
        let published = &release.dist.integrity;
        let present = present(entry)?;
        if let Some(present) = &present {
            hold_against(present, release)?;
        }
        let resolved = entry.resolved.is_none().then(|| recorded_url(release, access).into());
        let stronger = |present: &Integrity| {
            self.thoroughness.strengthen && published.id().algorithm() > present.id().algorithm()
        };
        let wanted = present.as_ref().is_none_or(stronger);
        Ok(Fill { resolved, integrity: wanted.then(|| published.text().to_owned()) })
    }
}

/// Whether there is something to fill in, or to strengthen.
fn lacks(entry: &LockfileEntry<'_>, thoroughness: Thoroughness) -> bool {
    let weak = || present(entry).is_ok_and(|present| present.is_some_and(|one| is_sha1(&one)));
    entry.resolved.is_none() || has_none(entry) || (thoroughness.strengthen && weak())
}

fn is_sha1(integrity: &Integrity) -> bool {
    integrity.id().algorithm() == Algorithm::Sha1
}

fn has_none(entry: &LockfileEntry<'_>) -> bool {
    entry.integrity.as_ref().is_none_or(|text| text.trim().is_empty())
}

/// The integrity that an entry has.
fn present(entry: &LockfileEntry<'_>) -> Result<Option<Integrity>, Unrepairable> {
    let text = entry.integrity.as_deref().filter(|_| !has_none(entry));
    text.map(Integrity::strongest_of).transpose().map_err(Unrepairable::Integrity)
}

/// The version under which a registry has the entry's tarball: its own, if its URL, where it has one, is of that.
fn published_version(entry: &LockfileEntry<'_>) -> Option<String> {
    let Some(resolved) = &entry.resolved else { return entry.version.clone() };
    // Behind a URL of another name or version are other bytes: the registry's integrity would make npm refuse them.
    let published = published_at(&Url::parse(resolved).ok()?)?;
    let own = entry.version.as_ref().is_none_or(|version| *version == published.version);
    (own && published.name.as_str() == entry.name).then_some(published.version)
}

/// `name@version`.
fn package(entry: &LockfileEntry<'_>) -> String {
    let version = entry.version.as_deref().unwrap_or("?");
    format!("{}@{version}", entry.name)
}

/// Refuses an integrity that the registry's word contradicts.
fn hold_against(present: &Integrity, release: &Release) -> Result<(), Unrepairable> {
    let id = present.id();
    let published = [Some(release.dist.integrity.id()), release.dist.shasum];
    // A sha1 and a sha512 cannot contradict each other. Registries state both, so old entries with a sha1 alone are
    // held against something, too.
    let comparable = published.into_iter().flatten().find(|other| other.algorithm() == id.algorithm());
    match comparable {
        Some(other) if other != id => Err(Unrepairable::OtherBytes {
            package: format!("{}@{}", release.name, release.version),
            has: present.text().to_owned(),
            published: other.sri(),
        }),
        _ => Ok(()),
    }
}

/// The URL that npm records: the tarball's as the registry says it. Of a host that is overridden for this run, which is
/// nobody else's business, the one that it stands in for.
fn recorded_url(release: &Release, access: &Access) -> Url {
    let asked = access.registry_url(release.name.scope(), &release.name.tarball_path(&release.version));
    let own = published_at(&release.dist.tarball)
        .is_some_and(|found| found.name == release.name && found.version == release.version);
    if own && access.mirror_of(&asked).is_some() { asked } else { release.dist.tarball.clone() }
}

#[cfg(test)]
mod tests;
