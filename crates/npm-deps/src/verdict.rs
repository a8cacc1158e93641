//! What nixpkgs' fetcher would say of a lockfile: decided here, once, for every command.
//!
//! Three kinds of answer: a *refusal* (its build fails and no hash exists), a *warning* (the hash is computable, but the
//! user should know something), and nothing. Each names the place, the reason and a cure.

use std::borrow::Cow;
use std::fmt;

use error_advice::Advise;
use npm_lockfile::listing::some;
use npm_lockfile::options::HashOptions;
use npm_lockfile::{CanonicalUrl, Dependency, DependencyProblem, Lockfile, ProblemKind, Skipped};
use npm_tarballs::redaction::redacted;
use serde::{Deserialize, Serialize};

/// Why nixpkgs would build no tree from this lockfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An entry that cannot be fetched, or cannot be read.
    #[error("{}: {}", said_place(.0), .0.kind)]
    Entry(DependencyProblem),
    /// One URL for which equally strong entries give several names or versions, which decide what fetcher version 2 stores.
    #[error(
        "{place}: another entry gives {} another name or version, and which one counts is left to chance",
        redacted(url)
    )]
    Names {
        /// Where one of the entries stands in the lockfile.
        place: String,
        /// What they have in common.
        url: CanonicalUrl,
    },
    /// Nothing to fetch at all.
    #[error("{}", nothing(without_url))]
    NothingToFetch {
        /// Packages that an install wants from the registry but that the lockfile gives no URL for.
        without_url: Vec<String>,
    },
    /// A git dependency that would run scripts at install time but has no lockfile.
    #[error("{place}: git dependency with install scripts ({scripts}) but without a package-lock.json")]
    GitScripts {
        /// Where the entry stands in the lockfile.
        place: String,
        /// The scripts, separated by commas.
        scripts: String,
    },
    /// A git dependency that is not an npm package.
    #[error("{place}: git dependency whose package.json {reason}")]
    GitManifest {
        /// Where the entry stands in the lockfile.
        place: String,
        /// What is wrong with the file.
        reason: &'static str,
    },
    /// A fetcher version that never existed.
    #[error("fetcher version {0} does not exist")]
    FetcherVersion(u32),
}

impl Advise for Refusal {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::NothingToFetch { without_url } if without_url.is_empty() => {
                "set forceEmptyCache = true if it really needs nothing"
            }
            Self::NothingToFetch { .. } => REPAIR,
            Self::GitScripts { .. } => "set forceGitDeps = true if the package works without running them",
            Self::FetcherVersion(_) => "use 1 or 2",
            Self::GitManifest { .. } => return None,
            Self::Entry(DependencyProblem { aside: Some(_), .. }) => {
                "write the lockfile again with `npm install --package-lock-only --lockfile-version 3`"
            }
            Self::Entry(DependencyProblem { kind, .. }) => kind_hint(kind)?,
            Self::Names { .. } => REWRITE,
        };
        Some(hint.into())
    }
}

const REWRITE: &str =
    "let npm write the entry again: remove it from the lockfile and run `npm install --package-lock-only`";

fn said_place(problem: &DependencyProblem) -> String {
    let DependencyProblem { place, aside, .. } = problem;
    aside.map_or_else(|| place.clone(), |map| format!("{place} in `{map}`, which nixpkgs' fetcher reads too"))
}

fn kind_hint(kind: &ProblemKind) -> Option<&'static str> {
    match kind {
        ProblemKind::NoIntegrity(_)
        | ProblemKind::NoVersion
        | ProblemKind::AliasWithoutUrl(_)
        | ProblemKind::NotAUrlInVersion1(_)
        | ProblemKind::WrongType { .. } => Some(REWRITE),
        ProblemKind::Scheme(_) => Some("depend on a published version, or on a tarball at an https URL"),
        ProblemKind::Integrity(_) => {
            Some("let npm record a sha512: remove the entry and run `npm install --package-lock-only`")
        }
        ProblemKind::Git(_) => {
            Some("depend on a published version, or on a commit at github.com, bitbucket.org or git.sr.ht")
        }
        ProblemKind::NotAUrl(_) => None,
    }
}

/// Something the user should know although the hash could be computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LockfileWarning {
    /// Packages that an install wants from the registry but that the lockfile gives no URL for.
    NoUrl {
        /// `name or path@version`, in file order.
        packages: Vec<String>,
    },
    /// `resolved` texts that are not URLs, which nixpkgs passes over in silence.
    NotAUrl {
        /// Where they stand.
        places: Vec<String>,
    },
    /// Git dependencies that have themselves as a dependency, at which nixpkgs' fetcher goes round for ever.
    GitCycle {
        /// Where they stand.
        places: Vec<String>,
    },
    /// A fetcher version that nixpkgs accepted only before August 2026.
    FetcherVersion(u32),
    /// Scopes that were taken as absent from the public registry without asking.
    AssumedAbsent {
        /// The packages concerned.
        packages: Vec<String>,
    },
}

impl fmt::Display for LockfileWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrl { packages } => write!(
                f,
                "{} without `resolved`: the hash covers none of them, and an offline install that needs one fails (ENOTCACHED): {}",
                count(packages, "package"),
                list(packages)
            ),
            Self::NotAUrl { places } => write!(
                f,
                "{} with a `resolved` that is not a URL, which nixpkgs' fetcher passes over: {}",
                count(places, "entry"),
                list(places)
            ),
            Self::GitCycle { places } => write!(
                f,
                "{} with itself among its dependencies: nixpkgs' fetcher never comes to an end: {}",
                count(places, "git dependency"),
                list(places)
            ),
            Self::FetcherVersion(version) => {
                write!(f, "fetcher version {version}: nixpkgs accepts only 1 and 2 since August 2026")
            }
            Self::AssumedAbsent { packages } => write!(
                f,
                "{} taken as absent from the public registry without asking; the hash equals nixpkgs' only if that is so: {}",
                count(packages, "package"),
                list(packages)
            ),
        }
    }
}

impl LockfileWarning {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoUrl { .. } => Some(REPAIR),
            _ => None,
        }
    }
}

/// What completes a lockfile. npm does not: it leaves entries that it keeps as they are (npm/cli#4460).
const REPAIR: &str = "`npm-nixhash repair` fills in what is missing, without moving a version";

fn nothing(without_url: &[String]) -> String {
    match without_url {
        [] => "the lockfile has no package to fetch".to_owned(),
        _ => format!(
            "{} without `resolved`, and no other to fetch: {}",
            count(without_url, "package"),
            list(without_url)
        ),
    }
}

/// Names in a message before the rest is only counted.
const LISTED: usize = 8;

fn list(names: &[String]) -> String {
    some(names, LISTED, ", ")
}

fn count(items: &[String], noun: &str) -> String {
    match items.len() {
        1 => format!("1 {noun}"),
        n if noun.ends_with('y') => format!("{n} {}ies", &noun[..noun.len() - 1]),
        n => format!("{n} {noun}s"),
    }
}

/// What can be said of a lockfile before anything is fetched. `nested` is a lockfile inside a git dependency.
pub(super) fn judge(
    lockfile: &Lockfile,
    options: HashOptions,
    nested: bool,
) -> (Vec<Refusal>, Vec<LockfileWarning>) {
    let mut refusals = Vec::new();
    if options.fetcher_version == 0 {
        refusals.push(Refusal::FetcherVersion(0));
    }
    let fatal = lockfile.problems.iter().filter(|problem| is_fatal(&problem.kind));
    refusals.extend(fatal.cloned().map(Refusal::Entry));
    // Only packuments are stored by name and version: for version 1 the rivals lead to the same tree.
    if options.fetcher_version >= 2 {
        let torn = lockfile.dependencies.iter().filter(|dependency| !dependency.rivals.is_empty());
        refusals.extend(
            torn.map(|Dependency { place, url, .. }| Refusal::Names {
                place: place.clone(),
                url: url.clone(),
            }),
        );
    }
    // nixpkgs asks that of the outer lockfile only; a git dependency with an empty one is fine.
    if lockfile.dependencies.is_empty() && refusals.is_empty() && !options.force_empty_cache && !nested {
        refusals.push(Refusal::NothingToFetch { without_url: without_url(lockfile) });
    }
    (refusals, warnings(lockfile, options, nested))
}

/// `name or path@version`, in file order.
fn without_url(lockfile: &Lockfile) -> Vec<String> {
    let named = |skipped: &Skipped| match &skipped.version {
        Some(version) => format!("{}@{}", skipped.place, redacted(version)),
        None => skipped.place.clone(),
    };
    lockfile.skipped.iter().map(named).collect()
}

fn is_fatal(kind: &ProblemKind) -> bool {
    // nixpkgs' fetcher passes over these in silence, so there is a hash; a warning says what it lacks.
    !matches!(kind, ProblemKind::NotAUrl(_))
}

fn warnings(lockfile: &Lockfile, options: HashOptions, nested: bool) -> Vec<LockfileWarning> {
    let places = |wanted: fn(&ProblemKind) -> bool| -> Vec<String> {
        lockfile
            .problems
            .iter()
            .filter(|problem| wanted(&problem.kind))
            .map(|problem| problem.place.clone())
            .collect()
    };
    let packages = without_url(lockfile);
    let not_urls = places(|kind| matches!(kind, ProblemKind::NotAUrl(_)));
    let version = options.fetcher_version;
    let all = [
        (!packages.is_empty()).then_some(LockfileWarning::NoUrl { packages }),
        (!not_urls.is_empty()).then_some(LockfileWarning::NotAUrl { places: not_urls }),
        (version > 2 && !nested).then_some(LockfileWarning::FetcherVersion(version)),
    ];
    all.into_iter().flatten().collect()
}
