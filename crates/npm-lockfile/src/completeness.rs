//! Whether a lockfile holds what an offline install needs: of every package that `npm ci` would have to download the
//! URL (`resolved`) and what its bytes are checked against (`integrity`).
//!
//! npm writes neither for registry packages with `omit-lockfile-registry-resolved`, and drops both where it writes a
//! lockfile from an installed tree (npm/cli#4460). nixpkgs' fetcher passes such entries over, so there is a hash, but the
//! build that uses it ends with `ENOTCACHED`.
//!
//! Not downloaded, so never lacking anything: the project and its workspaces, links, `file:` packages, what is bundled
//! into another package's tarball, and what nothing in the lockfile depends on, which `npm ci` prunes before it
//! downloads. Git dependencies need no integrity.

mod need;
mod platform;
mod read;

use std::collections::BTreeSet;
use std::fmt;

use npm_tarballs::redaction::redacted;
pub use platform::{GLIBC, Limits, System, admits};

use self::read::GapCollector;
use super::CanonicalUrl;
use crate::listing::some;
use crate::tree::{LockedEntries, LockedTree};

/// What a lockfile has of what an offline install needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completeness {
    /// Number of entries that have to be downloaded.
    pub packages: usize,
    /// Those that lack something, in file order.
    pub gaps: Vec<Gap>,
    /// URLs that are not written as the URL standard writes them, in file order.
    pub respelled: Vec<Respelled>,
}

/// An entry that lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Where it stands: an install path, or of version 1 the chain of names (`a > b`).
    pub place: String,
    /// The package's name; of an alias the real one.
    pub name: String,
    /// Its version, if the entry has one.
    pub version: Option<String>,
    /// It has no usable `resolved`.
    pub no_resolved: bool,
    /// It has no `integrity`.
    pub no_integrity: bool,
    /// Another entry for the same URL has an integrity, which serves for both once the tree is fetched by URL.
    pub has_twin: bool,
    /// Whether something depends on it.
    pub need: Need,
    /// The platforms it is limited to, if it is only optional.
    pub limits: Option<Limits>,
}

/// Whether an install wants an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The project depends on it, if by others.
    Yes,
    /// Nothing does.
    No,
    /// Nobody says what the project depends on: neither its lockfile nor a manifest that is at hand.
    Unknown,
}

/// A `resolved` that nixpkgs' build looks up as it is written, and does not find: it panics (nixpkgs#496687).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Respelled {
    /// Where the entry stands.
    pub place: String,
    /// What it says.
    pub written: String,
    /// The same URL as the URL standard writes it.
    pub canonical: CanonicalUrl,
}

impl Gap {
    /// Whether a build that fetches by URL, as `fetchNpmDeps` does, breaks on it on one of these systems.
    ///
    /// Without any system known, a package that is limited to some platforms and only optional counts as one for others.
    #[must_use]
    pub(crate) fn breaks(&self, systems: &[System]) -> bool {
        if self.no_resolved {
            return self.is_wanted(systems);
        }
        // nixpkgs' fetcher refuses a URL without integrity, no matter what wants it.
        self.no_integrity && !self.has_twin
    }

    /// The same for `importNpmLock`, which takes each entry by itself.
    #[must_use]
    pub(crate) fn breaks_import(&self, systems: &[System]) -> bool {
        if self.no_resolved { self.is_wanted(systems) } else { self.no_integrity }
    }

    fn is_wanted(&self, systems: &[System]) -> bool {
        let elsewhere = |limits: &Limits| !systems.iter().any(|system| limits.admit(system));
        self.need != Need::No && !self.limits.as_ref().is_some_and(elsewhere)
    }
}

/// A lockfile that cannot be installed from offline, as people are told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Incomplete {
    /// Number of packages that have to be downloaded.
    pub packages: usize,
    /// `name@version` of those without `resolved`, each once.
    pub no_resolved: Vec<String>,
    /// `name@version` of those without `integrity`, likewise.
    pub no_integrity: Vec<String>,
}

impl LockedTree<'_> {
    /// What a lockfile has of what an offline install needs. `manifest` is the `package.json` beside it, whose dependencies count as
    /// wanted besides those that the lockfile says the project has.
    #[must_use]
    pub fn completeness(&self, manifest: Option<&[u8]>) -> Completeness {
        let mut found = GapCollector::default();
        match &self.0 {
            LockedEntries::Nested(entries) => {
                found.collect_nested(entries, "");
                found.assume_needed(manifest);
            }
            LockedEntries::Flat(entries) => {
                found.collect_flat(entries);
                found.mark_needed(entries, manifest);
            }
        }
        found.into_completeness()
    }
}

impl Completeness {
    /// What `fetchNpmDeps` breaks on, if it does on one of these systems.
    #[must_use]
    pub fn incomplete(&self, systems: &[System]) -> Option<Incomplete> {
        self.judged(|gap| gap.breaks(systems))
    }

    /// What `fetchNpmDeps` passes over although the lockfile itself says that an install wants it.
    #[must_use]
    pub fn passed_over(&self) -> Option<Incomplete> {
        self.judged(|gap| gap.no_resolved && gap.need == Need::Yes && gap.breaks(&[]))
    }

    /// What `importNpmLock` breaks on, likewise.
    #[must_use]
    pub fn incomplete_for_import(&self, systems: &[System]) -> Option<Incomplete> {
        self.judged(|gap| gap.breaks_import(systems))
    }

    fn judged(&self, breaks: impl Fn(&Gap) -> bool) -> Option<Incomplete> {
        let named = |lacks: fn(&Gap) -> bool| {
            let mut seen = BTreeSet::new();
            let gaps = self.gaps.iter().filter(|gap| lacks(gap) && breaks(gap)).map(Gap::spec);
            gaps.filter(|name| seen.insert(name.clone())).collect::<Vec<_>>()
        };
        let (no_resolved, no_integrity) = (named(|gap| gap.no_resolved), named(|gap| gap.no_integrity));
        let complete = no_resolved.is_empty() && no_integrity.is_empty();
        (!complete).then_some(Incomplete { packages: self.packages, no_resolved, no_integrity })
    }
}

impl Gap {
    /// `name@version`.
    #[must_use]
    pub fn spec(&self) -> String {
        let version = self.version.as_deref().map(|version| format!("@{}", redacted(version)));
        self.name.clone() + &version.unwrap_or_default()
    }
}

/// Names in a message before the rest is only counted.
const LISTED: usize = 3;

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packages, no_resolved, no_integrity } = self;
        if no_resolved == no_integrity {
            return lacking(f, no_resolved, *packages, "`resolved` and no `integrity`");
        }
        if !no_resolved.is_empty() {
            lacking(f, no_resolved, *packages, "`resolved`")?;
        }
        if !no_resolved.is_empty() && !no_integrity.is_empty() {
            f.write_str("; ")?;
        }
        if !no_integrity.is_empty() {
            lacking(f, no_integrity, *packages, "`integrity`")?;
        }
        Ok(())
    }
}

/// `72 of 133 packages have no X: a, b, c and 69 more`.
fn lacking(f: &mut fmt::Formatter<'_>, names: &[String], all: usize, what: &str) -> fmt::Result {
    let have = if names.len() == 1 { "has" } else { "have" };
    write!(f, "{} of {all} packages {have} no {what}: {}", names.len(), some(names, LISTED, ", "))
}

#[cfg(test)]
mod tests;
