//! One plan for `check`, `list` and `update`: every site beside the hash that its lockfile has now.
//!
//! Nothing is printed or written here.

mod because;
mod completeness;
mod configurations;
mod conflict;
mod examined;
mod failure;
mod findings;
mod lockfiles;
mod sources;
mod warnings;
mod workspaces;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use error_advice::Advise;
use nix_sites::{FileProblem, Literal, Outcome, Reason, Site, Survey, Undecided, Warning};
use npm_deps::supply::Supply;
use npm_deps::{Computed, HashFailure, HashRequest, Settings};
use repository_files::Border;

pub use self::because::Because;
use self::because::HistorySearch;
pub use self::completeness::{IncompleteLockfile, PlannedUse, RepairedLockfile, Repairs};
use self::examined::ExaminedLockfiles;
pub use self::failure::SiteFailure;
pub use self::findings::{Finding, FindingKind};
pub use self::lockfiles::Outdated;
use self::lockfiles::{Chosen, Lockfiles};
pub use self::sources::{SourceState, Standing};
pub use self::warnings::SiteWarning;
use crate::source::NpmServices;
use crate::source::head::Head;

/// What is to be done about what is found.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own that the command line answers"
)]
pub struct Rules<'a> {
    /// A source that was replaced under its name is a failure, not only drift.
    pub alarm: bool,
    /// Such a replacement is wanted.
    pub accept_changed_sources: bool,
    /// Vendored lockfiles of other versions are regenerated.
    pub renew_lockfiles: bool,
    /// Lockfiles that were completed, to be used instead of the files.
    pub repairs: Option<&'a Repairs>,
    /// Lockfiles that cannot be installed from offline are hashed nevertheless, as nixpkgs' fetcher does.
    pub allow_incomplete: bool,
    /// What npm can tell and do; without it neither happens.
    pub npm: Option<&'a dyn NpmServices>,
    /// The last commit.
    pub head: &'a Head,
    /// The branch that the last commit is meant for, where that is known: a revision of git's.
    pub base: Option<&'a str>,
}

impl<'a> Rules<'a> {
    /// Tells what is there, and does nothing about it.
    #[must_use]
    pub fn telling(head: &'a Head, npm: Option<&'a dyn NpmServices>) -> Self {
        Self {
            alarm: false,
            accept_changed_sources: false,
            renew_lockfiles: false,
            repairs: None,
            allow_incomplete: false,
            npm,
            head,
            base: None,
        }
    }
}

/// A computation under way.
struct PlanMaker<'a> {
    rules: &'a Rules<'a>,
    lockfiles: RefCell<Lockfiles>,
}

/// What is known of every site below a path.
#[derive(Debug)]
pub struct Plan {
    /// The repository's folder.
    pub root: PathBuf,
    /// All sites, in the order of their hashes.
    pub sites: Vec<Planned>,
    /// Lockfiles that are used without a hash.
    pub uses: Vec<PlannedUse>,
    /// What stops a build besides.
    pub findings: Vec<Finding>,
    /// Files that could not be read or parsed.
    pub problems: Vec<FileProblem>,
    /// What the survey noticed besides.
    pub warnings: Vec<Warning>,
    /// Lockfiles that no site is tied to.
    pub uncovered: Vec<PathBuf>,
    /// Folders of somebody else, in which nothing is written.
    pub borders: Vec<Border>,
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
    /// The sources it rests on that are not in the repository.
    pub sources: Vec<SourceState>,
    /// Its lockfile, if that is vendored and was made for another version than the source has.
    pub outdated: Option<Outdated>,
    /// Its lockfile, if that was completed.
    pub repaired: Option<RepairedLockfile>,
    /// What should be known of it besides.
    pub warnings: Vec<SiteWarning>,
    /// Why it is stale, where that is known.
    pub because: Option<Because>,
    /// The lockfile as it was hashed, wherever it came from.
    pub hashed: Option<Arc<[u8]>>,
}

/// How a site's literals compare to its lockfile.
#[derive(Debug)]
pub enum Status {
    /// All literals say what they should, and so does a vendored lockfile. Nothing is computed from a lockfile where there
    /// is none ([`Outcome::Tarball`]).
    InSync(Option<Computed>),
    /// At least one of them does not.
    Stale(Option<Computed>),
    /// The survey tied the site to a lockfile; nothing was computed.
    Tied,
    /// Which lockfile decides, or which literal, cannot be known.
    Undecided(Undecided),
    /// The lockfile cannot be installed from offline, so that its hash would be of no use.
    Incomplete(IncompleteLockfile),
    /// The hash should be computable, and is not.
    Failed(SiteFailure),
}

impl Plan {
    /// Ties sites to lockfiles and goes no further: what `list` shows.
    #[must_use]
    pub fn tied(survey: Survey) -> Self {
        Self::with(survey, |sites| {
            let sources = sources::resolve(sites).into_iter();
            let verdict = |(site, sources): (&Site, Vec<_>)| Judgement::bare(tie(site, &sources), sources);
            sites.iter().zip(sources).map(verdict).collect()
        })
    }

    /// Computes the hash of every site whose lockfile is known, and of every source that one rests on.
    #[must_use]
    pub fn computed(survey: Survey, supply: &Arc<Supply>, settings: &Settings, rules: &Rules<'_>) -> Self {
        let mut survey = survey;
        let mismatches = std::mem::take(&mut survey.version_mismatches);
        let mut examined = ExaminedLockfiles::new();
        let mut plan = Self::with(survey, |sites| {
            let (verdicts, lockfiles) = compute(sites, supply, settings, rules);
            examined = lockfiles.into_examined();
            verdicts
        });
        completeness::judge_uses(&mut plan.uses, rules);
        let sites: Vec<_> = plan.sites.iter().map(|planned| (&planned.site, &planned.status)).collect();
        plan.findings = findings::find(&sites, mismatches, &examined);
        plan
    }

    fn with(mut survey: Survey, judge: impl FnOnce(&[Site]) -> Vec<Judgement>) -> Self {
        survey.sites.sort_by_cached_key(Site::hash_place);
        let verdicts = judge(&survey.sites);
        let planned = |(site, verdict)| {
            let Judgement { status, sources, outdated, repaired, warnings, because, hashed } = verdict;
            Planned { site, status, sources, outdated, repaired, warnings, because, hashed }
        };
        let mut sites: Vec<Planned> = survey.sites.into_iter().zip(verdicts).map(planned).collect();
        let aside = configurations::set_aside(&mut sites, &survey.root);
        survey.warnings.extend(aside);
        conflict::hold_back(&mut sites);
        let Survey { root, uses, problems, warnings, uncovered, borders, files, .. } = survey;
        let uses = uses.into_iter().map(PlannedUse::from).collect();
        Self { root, sites, uses, findings: Vec::new(), problems, warnings, uncovered, borders, files }
    }

    /// Whose a file is, if not the repository's.
    #[must_use]
    pub(crate) fn border_of(&self, file: &Path) -> Option<&Border> {
        let inside = |path: &Path| self.borders.iter().find(|border| path.starts_with(&border.folder));
        inside(file).or_else(|| inside(&file.canonicalize().ok()?))
    }

    /// Makes a failure of every site that would change something of somebody else's.
    pub fn keep_to_the_repository(&mut self) {
        let foreign = |planned: &Planned| {
            planned.changes().into_iter().find_map(|(file, _)| {
                let Border { folder, kind } = self.border_of(&file)?.clone();
                Some(SiteFailure::Foreign { file, folder, whose: kind.word() })
            })
        };
        let failures: Vec<_> = self.sites.iter().map(foreign).collect();
        for (planned, failure) in self.sites.iter_mut().zip(failures) {
            if let Some(failure) = failure {
                planned.status = Status::Failed(failure);
            }
        }
        conflict::hold_back(&mut self.sites);
    }

    /// Makes a failure of every site that would change, and whose builder is only assumed to be like that of nixpkgs.
    pub fn refuse_assumed(&mut self) {
        for planned in &mut self.sites {
            if let (Some(function), Status::Stale(_)) = (&planned.site.assumed, &planned.status) {
                planned.status = Status::Failed(SiteFailure::Assumed { function: function.clone() });
            }
        }
        conflict::hold_back(&mut self.sites);
    }

    /// Makes a failure of every site that would change something in one of these files, none of which can be written.
    pub fn refuse(&mut self, files: &[PathBuf], error: &Arc<dyn Advise + Send + Sync>) {
        for planned in &mut self.sites {
            if planned.changes().iter().any(|(file, _)| files.contains(file)) {
                planned.status = Status::Failed(SiteFailure::Unwritten { error: Arc::clone(error) });
            }
        }
        conflict::hold_back(&mut self.sites);
    }
}

/// A file and the offset of a literal in it; of a whole lockfile no offset.
pub type LiteralPlace = (PathBuf, Option<usize>);

impl Planned {
    /// The literals of the site's own hash that have to change, each with the SRI it should say.
    pub(crate) fn stale_literals(&self) -> impl Iterator<Item = (&Literal, String)> {
        let computed = match &self.status {
            Status::Stale(computed) => computed.as_ref(),
            _ => None,
        };
        computed.into_iter().flat_map(|computed| {
            let stale = self.site.hashes.iter().filter(|literal| !says(literal, computed));
            stale.map(|literal| (literal, computed.hash.sri()))
        })
    }

    /// The literals of its sources' hashes that have to change, likewise.
    pub(crate) fn stale_source_literals(&self) -> impl Iterator<Item = (&Literal, String)> {
        let stale = matches!(self.status, Status::Stale(_));
        self.sources.iter().filter(move |_| stale).filter_map(SourceState::stale_literal)
    }

    /// Everything that changes when the site is made right; it moves together or not at all.
    #[must_use]
    pub fn changes(&self) -> Vec<LiteralPlace> {
        let literals = self.stale_literals().chain(self.stale_source_literals());
        let literals = literals.map(|(literal, _)| (literal.file.clone(), Some(literal.range.start)));
        let renewed = self.outdated.as_ref().filter(|outdated| outdated.new.is_some());
        let stale = matches!(self.status, Status::Stale(_));
        let renewed = renewed.map(|outdated| &outdated.path);
        let completed = self.repaired.as_ref().map(|repaired| &repaired.path);
        let lockfile = renewed.or(completed).filter(|_| stale).map(|path| (path.clone(), None));
        literals.chain(lockfile).collect()
    }

    /// What was computed.
    #[must_use]
    pub fn computed(&self) -> Option<&Computed> {
        match &self.status {
            Status::InSync(computed) | Status::Stale(computed) => computed.as_ref(),
            Status::Tied | Status::Undecided(_) | Status::Incomplete(_) | Status::Failed(_) => None,
        }
    }

    /// The lockfile that decides the hash, where it is known.
    #[must_use]
    pub fn lockfile(&self) -> Option<&Path> {
        match &self.site.outcome {
            Outcome::Local { lockfile, .. } => Some(lockfile),
            Outcome::MissingLockfile { expected } => Some(expected),
            Outcome::Remote { .. } | Outcome::Tarball(_) | Outcome::Undecided(_) => None,
        }
    }
}

/// What became of a site.
struct Judgement {
    status: Status,
    sources: Vec<SourceState>,
    outdated: Option<Outdated>,
    repaired: Option<RepairedLockfile>,
    warnings: Vec<SiteWarning>,
    because: Option<Because>,
    hashed: Option<Arc<[u8]>>,
}

impl Judgement {
    fn bare(status: Status, sources: Vec<SourceState>) -> Self {
        let (outdated, repaired, because, hashed) = (None, None, None, None);
        Self { status, sources, outdated, repaired, warnings: Vec::new(), because, hashed }
    }
}

/// Whether a site's lockfile is known, without a look at it. A source that could not be followed is said to be one here
/// as it is where hashes are computed.
fn tie(site: &Site, sources: &[SourceState]) -> Status {
    match &site.outcome {
        Outcome::Local { .. } => Status::Tied,
        Outcome::Tarball(_) => match sources.iter().find_map(|state| state.resolved.as_ref().err()) {
            None => Status::Tied,
            Some(why) => Status::Undecided(unpinned(site, why)),
        },
        Outcome::Remote { source, .. } => match lockfiles::followed(site, source, sources) {
            Ok(_) => Status::Tied,
            Err(undecided) => Status::Undecided(undecided),
        },
        Outcome::MissingLockfile { expected } => missing(site, expected),
        Outcome::Undecided(undecided) => Status::Undecided(undecided.clone()),
    }
}

fn missing(site: &Site, expected: &Path) -> Status {
    Status::Failed(SiteFailure::NoLockfile { path: expected.to_owned(), npm_root: site.npm_root.clone() })
}

/// A hash that only a build can tell is surely stale once the version beside it moved, or what it is made of. Without git, that
/// is not known.
fn stale_unknown(site: &Site, why: &Undecided, head: &Head) -> Option<Undecided> {
    match head.has_for_other_version(site) {
        Ok(false) => None,
        Ok(true) => {
            let version =
                site.version.as_deref().map_or_else(String::new, |version| format!(" to {version}"));
            let message = format!("stale since the version moved{version}: {}", why.message);
            Some(Undecided { reason: Reason::StaleUnknown, message, ..why.clone() })
        }
        Err(unknown) => {
            let message = format!("{}; whether it is stale is not known: {unknown}", why.message);
            Some(Undecided { message, ..why.clone() })
        }
    }
}

/// A tarball whose fetch cannot be followed.
fn unpinned(site: &Site, why: &str) -> Undecided {
    undecided(site, Reason::UnknownUrl, format!("the tarball cannot be followed: {why}"))
}

fn undecided(site: &Site, reason: Reason, message: impl Into<String>) -> Undecided {
    Undecided::new(reason, message, site.place.clone())
}

fn compute(
    sites: &[Site],
    supply: &Arc<Supply>,
    settings: &Settings,
    rules: &Rules<'_>,
) -> (Vec<Judgement>, Lockfiles) {
    let mut lockfiles = Lockfiles::with(rules.repairs, rules.head);
    lockfiles.foresee(sites, rules.head);
    let work = PlanMaker { rules, lockfiles: RefCell::new(lockfiles) };
    let mut sources = sources::resolve(sites);
    sources::examine(sites, &mut sources, supply, settings, &work);
    let moved = |site: &Site| match &site.outcome {
        Outcome::Undecided(why) if why.reason == Reason::BuildOnly => stale_unknown(site, why, rules.head),
        _ => None,
    };
    let choose = |(site, sources): (&Site, &Vec<SourceState>)| {
        if let Some(stale) = moved(site) {
            return Err(Status::Undecided(stale));
        }
        sources::obstacle(site, sources, rules).map_or_else(|| lockfiles::choose(site, sources, &work), Err)
    };
    let mut chosen: Vec<_> = sites.iter().zip(&sources).map(choose).collect();
    conflict::settle(sites, &sources, &mut chosen);
    let respelled = completeness::judge(sites, &mut chosen, &work.lockfiles.borrow(), rules);
    let request = |(site, chosen): (&Site, &Result<Chosen, Status>)| {
        let lockfile = Arc::clone(&chosen.as_ref().ok()?.bytes);
        Some(HashRequest { label: label(site), ..HashRequest::new(lockfile, site.options) })
    };
    let requests: Vec<_> = sites.iter().zip(&chosen).filter_map(request).collect();
    let mut results = npm_deps::compute(&requests, supply, settings).into_iter();
    let mut verdicts = Vec::new();
    for (((site, sources), chosen), respelled) in sites.iter().zip(sources).zip(chosen).zip(respelled) {
        verdicts.push(match chosen {
            Err(status) => Judgement::bare(status, sources),
            Ok(Chosen { outdated, bytes, .. }) => {
                let result = results.next().expect("bug: there is a result for each request");
                let repaired = completeness::repaired(site, outdated.as_ref(), rules);
                let changes = outdated.is_some() || repaired.is_some();
                let status = judge(site, &sources, changes, result);
                let line_ends = work.lockfiles.borrow().line_ends(site);
                let all = [respelled, line_ends, warnings::old_nixpkgs(site)];
                let warnings = all.into_iter().flatten().collect();
                let hashed = Some(bytes);
                Judgement { status, sources, outdated, repaired, warnings, because: None, hashed }
            }
        });
    }
    because::explain(sites, &mut verdicts, &HistorySearch { work: &work, supply, settings });
    (verdicts, work.lockfiles.into_inner())
}

/// What people call a site while its hash is computed: the last part of its attribute path, which is short.
fn label(site: &Site) -> Option<Arc<str>> {
    let path = site.attr_path.as_deref().map(|path| path.rsplit('.').next().unwrap_or(path));
    path.or(site.name.as_deref()).map(Arc::from)
}

fn judge(
    site: &Site,
    sources: &[SourceState],
    lockfile_changes: bool,
    result: Result<Computed, HashFailure>,
) -> Status {
    match result {
        Err(failure) => {
            let path = match &site.outcome {
                Outcome::Local { lockfile, .. } => lockfile.clone(),
                Outcome::Remote { inside, .. } => Path::new(&inside.folder).join("package-lock.json"),
                _ => PathBuf::new(),
            };
            Status::Failed(SiteFailure::Uncomputable { path, failure })
        }
        Ok(computed) => {
            let right = site.hashes.iter().all(|literal| says(literal, &computed));
            let no_change = sources.iter().all(|source| source.wanted().is_none());
            if right && no_change && !lockfile_changes {
                Status::InSync(Some(computed))
            } else {
                Status::Stale(Some(computed))
            }
        }
    }
}

/// Whether a literal says this hash, in whatever form it is written.
fn says(literal: &Literal, computed: &Computed) -> bool {
    literal.written.digest == Some(computed.hash.0)
}
