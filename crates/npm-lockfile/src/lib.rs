//! `package-lock.json` and `npm-shrinkwrap.json`, versions 1, 2 and 3: what has to be fetched, and from where.
//!
//! Grammar, as far as it decides the hash: version 1 nests `dependencies`; versions 2 and 3 hold a flat map `packages`
//! from install path to entry (version 2 repeats the former for old clients, which is looked through for mistakes only). An entry's
//! `resolved` is the URL it came from, `integrity` an SRI set over the tarball.
//!
//! This module reads bytes and never panics on them; it neither touches the network nor decides what nixpkgs would
//! refuse: it only records the facts ([`Lockfile::skipped`], [`Lockfile::problems`]) that [`npm_deps`] judges.

mod canonical_url;
pub mod changes;
pub mod completeness;
mod dependency;
mod entries;
pub mod fixup;
mod hosted_git;
pub mod in_step;
pub mod line_ends;
pub mod listing;
pub mod options;
mod packages;
mod places;
mod text;
mod tree;
mod v1;

use std::borrow::Cow;

pub use canonical_url::CanonicalUrl;
pub use dependency::{Dependency, DependencyProblem, DependencySource, ProblemKind, Skipped};
use error_advice::Advise;
pub use hosted_git::{GitUrlError, is_git};
use merge_markers::first_conflict;
pub use packages::{is_installed, package_name};
pub use places::search;
use serde::Deserialize;
use text::{Entries, Object};
pub use tree::LockedTree;

/// File names of a lockfile, the one npm and nixpkgs prefer first.
pub const FILE_NAMES: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];

/// The lockfile formats that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// npm 5 and 6: nested `dependencies`.
    V1,
    /// npm 7 and 8: `packages`, with `dependencies` for older clients.
    V2,
    /// npm 9 and later: `packages` alone.
    V3,
}

/// A lockfile, reduced to what decides the hash.
#[derive(Debug)]
pub struct Lockfile {
    /// The format.
    pub version: Version,
    /// What is fetched, one per URL, in the order of the URLs as the lockfile has them.
    pub dependencies: Vec<Dependency>,
    /// Packages that an install needs but that carry no URL to fetch them from.
    pub skipped: Vec<Skipped>,
    /// Entries that nixpkgs' fetcher stumbles over: first what stands in the wrong place, then what lacks something.
    pub problems: Vec<DependencyProblem>,
}

/// Why a text is not a lockfile.
#[derive(Debug, thiserror::Error)]
pub enum LockfileError {
    /// The bytes are not UTF-8.
    #[error("line {line}: not valid UTF-8")]
    Utf8 {
        /// Line of the first bad byte, from 1.
        line: usize,
    },
    /// Git left conflict markers in the file.
    #[error("line {line}: unsolved merge conflict")]
    Conflict {
        /// Line of the first marker, from 1.
        line: usize,
    },
    /// Not JSON, or JSON of another shape.
    #[error("not a lockfile")]
    Json(#[source] serde_json::Error),
    /// A format this tool and nixpkgs do not know.
    #[error("unsupported lockfileVersion {0}: only 1, 2 and 3 exist")]
    Version(u64),
}

impl Advise for LockfileError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Conflict { .. } => Some(
                "resolve the conflict with `npm install --package-lock-only`, then run this again".into(),
            ),
            Self::Version(_) => {
                Some("write it again with `npm install --package-lock-only --lockfile-version 3`".into())
            }
            Self::Utf8 { .. } | Self::Json(_) => None,
        }
    }
}

/// The parts of the document that decide the hash; all else is passed over unread.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "lockfileVersion")]
    version: u64,
    #[serde(borrow, default)]
    dependencies: Option<Entries<'a, v1::DependencyEntry<'a>>>,
    #[serde(borrow, default)]
    packages: Option<Entries<'a, packages::PackageEntry<'a>>>,
}

impl Lockfile {
    /// Reads a lockfile.
    ///
    /// # Errors
    /// Bytes that are not a lockfile of a known version. Entries that cannot be fetched are not error here; they
    /// are listed in [`Lockfile::problems`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LockfileError> {
        let text = utf8(bytes)?;
        let document: Object<Document> = serde_json::from_str(text).map_err(|error| explain(text, error))?;
        let Document { version, dependencies, packages } = document.0;
        let version = match version {
            1 => Version::V1,
            2 => Version::V2,
            3 => Version::V3,
            other => return Err(LockfileError::Version(other)),
        };
        // nixpkgs reads both maps, and refuses a lockfile for what it does not need, too.
        let found = if version == Version::V1 {
            let mut found = v1::collect(dependencies);
            found.set_aside("packages", packages.iter().flat_map(packages::all_faults));
            found
        } else {
            let mut found = packages::collect(packages);
            found.set_aside(
                "dependencies",
                dependencies.iter().flat_map(|entries| v1::all_faults(entries, "")),
            );
            found
        };
        Ok(found.into_lockfile(version))
    }

    /// The same as the lockfile of a dependency: its places are said to be inside that one's.
    #[must_use]
    pub fn inside(mut self, place: &str) -> Self {
        let dependencies = self.dependencies.iter_mut().map(|dependency| &mut dependency.place);
        let skipped = self.skipped.iter_mut().map(|skipped| &mut skipped.place);
        let problems = self.problems.iter_mut().map(|problem| &mut problem.place);
        for inner in dependencies.chain(skipped).chain(problems) {
            *inner = format!("{place} > {inner}");
        }
        self
    }
}

/// The text of a lockfile.
///
/// # Errors
/// The first byte that is not UTF-8, with its place.
pub fn utf8(bytes: &[u8]) -> Result<&str, LockfileError> {
    std::str::from_utf8(bytes)
        .map_err(|error| LockfileError::Utf8 { line: line_at(bytes, error.valid_up_to()) })
}

fn explain(text: &str, error: serde_json::Error) -> LockfileError {
    match first_conflict(text) {
        Some(conflict) => LockfileError::Conflict { line: conflict.first },
        None => LockfileError::Json(error),
    }
}

fn line_at(bytes: &[u8], offset: usize) -> usize {
    bytes[..offset].split(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests;
