//! One plan for `check`, `list` and `update`: every site beside the hash that its lockfile has now.
//!
//! Nothing is printed or written here.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    nix::{FileProblem, Literal, Outcome, Reason, Site, Survey, Undecided, Warning},
    npm_deps::{self, Computed, Failure, Outputs, Request, Settings, supply::Supply},
};

/// What is known of every site below a path.
#[derive(Debug)]
pub struct Plan {
    /// The repository's folder.
    pub root: PathBuf,
    /// All sites, in the order of their hashes.
    pub sites: Vec<Planned>,
    /// Files that could not be read or parsed.
    pub problems: Vec<FileProblem>,
    /// What the survey noticed besides.
    pub warnings: Vec<Warning>,
    /// Lockfiles that no site is tied to.
    pub uncovered: Vec<PathBuf>,
    /// The texts that the literals were read from.
    pub files: BTreeMap<PathBuf, String>,
}

/// A site and where it stands.
#[derive(Debug)]
pub struct Planned {
    /// The site.
    pub site: Site,
    /// Its verdict.
    pub status: Status,
}

/// How a site's literals compare to its lockfile.
#[derive(Debug)]
pub enum Status {
    /// All literals say the lockfile's hash.
    InSync(Computed),
    /// At least one literal says something else.
    Stale(Computed),
    /// The survey tied the site to this lockfile; nothing was computed.
    Tied(PathBuf),
    /// Which lockfile decides, or which literal, cannot be known.
    Undecided(Undecided),
    /// The hash should be computable, and is not.
    Failed(SiteFailure),
}

/// Why the hash of a site is not known although its lockfile is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SiteFailure {
    /// No lockfile where one has to be.
    #[error("there is no lockfile at {}", .0.display())]
    NoLockfile(PathBuf),
    /// The lockfile cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The lockfile.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: Arc<io::Error>,
    },
    /// The lockfile's hash cannot be computed.
    #[error("cannot compute the hash of {}", path.display())]
    Uncomputable {
        /// The lockfile.
        path: PathBuf,
        /// All reasons.
        failure: Failure,
    },
}

impl SiteFailure {
    /// What the user can do about it, where the failure itself does not say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoLockfile(_) => Some(
                "write it with `npm install --package-lock-only`, and let git track it: Nix sees nothing else",
            ),
            Self::Unreadable { .. } | Self::Uncomputable { .. } => None,
        }
    }
}

impl Plan {
    /// Ties sites to lockfiles and goes no further: what `list` shows.
    #[must_use]
    pub fn tied(survey: Survey) -> Self {
        let status = |site: &Site| tie(site).map_or_else(|status| status, Status::Tied);
        Self::with(survey, |sites| sites.iter().map(status).collect())
    }

    /// Computes the hash of every site whose lockfile is known.
    #[must_use]
    pub fn computed(survey: Survey, supply: &Arc<Supply>, settings: &Settings) -> Self {
        Self::with(survey, |sites| compute(sites, supply, settings))
    }

    fn with(mut survey: Survey, judge: impl FnOnce(&[Site]) -> Vec<Status>) -> Self {
        survey.sites.sort_by(|a, b| hash_place(a).cmp(&hash_place(b)));
        let statuses = judge(&survey.sites);
        let sites =
            survey.sites.into_iter().zip(statuses).map(|(site, status)| Planned { site, status }).collect();
        let Survey { root, problems, warnings, uncovered, files, .. } = survey;
        Self { root, sites, problems, warnings, uncovered, files }
    }
}

impl Planned {
    /// The literals that have to change, each with the SRI it should say.
    pub fn stale_literals(&self) -> impl Iterator<Item = (&Literal, String)> {
        let computed = match &self.status {
            Status::Stale(computed) => Some(computed),
            _ => None,
        };
        computed.into_iter().flat_map(|computed| {
            let stale = self.site.hashes.iter().filter(|literal| !says(literal, computed));
            stale.map(|literal| (literal, computed.hash.sri()))
        })
    }

    /// What was computed.
    #[must_use]
    pub fn computed(&self) -> Option<&Computed> {
        match &self.status {
            Status::InSync(computed) | Status::Stale(computed) => Some(computed),
            Status::Tied(_) | Status::Undecided(_) | Status::Failed(_) => None,
        }
    }

    /// The lockfile that decides the hash, where it is known.
    #[must_use]
    pub fn lockfile(&self) -> Option<&Path> {
        match &self.site.outcome {
            Outcome::Local { lockfile } => Some(lockfile),
            Outcome::MissingLockfile { expected } => Some(expected),
            Outcome::Remote { .. } | Outcome::Undecided(_) => None,
        }
    }
}

/// Where people look for a site: at its hash, which of a wrapper is at the call; else at the derivation.
fn hash_place(site: &Site) -> (&Path, usize, usize) {
    let derivation = (site.place.file.as_path(), site.place.line, site.place.column);
    site.hashes.first().map_or(derivation, |literal| (literal.file.as_path(), literal.line, literal.column))
}

/// The lockfile of a site, or why there is none.
fn tie(site: &Site) -> Result<PathBuf, Status> {
    match &site.outcome {
        Outcome::Local { lockfile } => Ok(lockfile.clone()),
        Outcome::MissingLockfile { expected } => {
            Err(Status::Failed(SiteFailure::NoLockfile(expected.clone())))
        }
        Outcome::Undecided(undecided) => Err(Status::Undecided(undecided.clone())),
        Outcome::Remote { source, folder } => Err(Status::Undecided(remote(site, &source.fetcher, folder))),
    }
}

/// A lockfile inside a source that has to be fetched first.
fn remote(site: &Site, fetcher: &str, folder: &str) -> Undecided {
    let folder = if folder.is_empty() { String::new() } else { format!(" in its folder {folder}") };
    Undecided {
        reason: Reason::RemoteSource,
        message: format!(
            "the lockfile is inside the source that {fetcher} gives{folder}, not in this repository"
        ),
        stopped_at: site.place.clone(),
        settle: "keep a copy of the lockfile in the repository and copy it in by postPatch".to_owned(),
    }
}

fn compute(sites: &[Site], supply: &Arc<Supply>, settings: &Settings) -> Vec<Status> {
    let mut lockfiles = Lockfiles::default();
    let mut requests = Vec::new();
    let ties: Vec<_> = sites
        .iter()
        .map(|site| {
            let path = tie(site)?;
            let lockfile = lockfiles.read(&path).map_err(Status::Failed)?;
            requests.push(Request { lockfile, options: site.options, outputs: Outputs::default() });
            Ok(path)
        })
        .collect();
    let mut results = npm_deps::compute(&requests, supply, settings).into_iter();
    let mut judge = |site: &Site, path: PathBuf| match results.next()? {
        Err(failure) => Some(Status::Failed(SiteFailure::Uncomputable { path, failure })),
        Ok(computed) if site.hashes.iter().all(|literal| says(literal, &computed)) => {
            Some(Status::InSync(computed))
        }
        Ok(computed) => Some(Status::Stale(computed)),
    };
    let status = |(site, tie): (&Site, Result<PathBuf, Status>)| match tie {
        Err(status) => status,
        Ok(path) => judge(site, path).expect("bug: there is a result for each request"),
    };
    sites.iter().zip(ties).map(status).collect()
}

/// Lockfiles that were read, so that sites that share one share its bytes.
#[derive(Default)]
struct Lockfiles(HashMap<PathBuf, Arc<[u8]>>);

impl Lockfiles {
    fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, SiteFailure> {
        if let Some(bytes) = self.0.get(path) {
            return Ok(Arc::clone(bytes));
        }
        let bytes: Arc<[u8]> = fs::read(path)
            .map_err(|error| SiteFailure::Unreadable { path: path.to_owned(), error: Arc::new(error) })?
            .into();
        self.0.insert(path.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }
}

/// Whether a literal says this hash, in whatever form it is written.
fn says(literal: &Literal, computed: &Computed) -> bool {
    literal.written.digest == Some(computed.hash.0)
}
