//! What a run has to say, as one value; [`human`] and JSON are two ways to write it down.
//!
//! The JSON form is versioned: fields are added freely, [`SCHEMA_VERSION`] changes when one changes its meaning or goes.

pub mod diff;
pub mod human;

use std::{
    error::Error,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    drift::{Plan, Planned, SiteFailure, Status},
    nix::{Literal, Outcome, Place, Site, Step},
    npm_deps::{Computed, Obstacle},
    options::HashOptions,
};

/// Version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// The outcome of `list`, `check` or `update`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command: `list`, `check` or `update`.
    pub command: &'static str,
    /// All sites, in the order of their places.
    pub sites: Vec<SiteReport>,
    /// Files that could not be read or parsed.
    pub problems: Vec<Message>,
    /// What is worth knowing besides.
    pub warnings: Vec<Message>,
    /// The files that were changed, or with `--dry-run` would have been.
    pub changed_files: Vec<String>,
    /// How many sites have which status.
    pub summary: Summary,
}

/// A derivation and its hash.
#[derive(Debug, Serialize)]
pub struct SiteReport {
    /// What people call it: attribute path, else name, else place.
    pub service: String,
    /// The attribute path, if one leads to it.
    pub attr_path: Option<String>,
    /// Further attribute paths of the same derivation.
    pub other_attr_paths: Vec<String>,
    /// Where the derivation is made.
    pub place: PlaceReport,
    /// The lockfile that decides the hash, where it is known.
    pub lockfile: Option<String>,
    /// The options that decide it besides.
    pub options: OptionsReport,
    /// Where the site stands.
    pub status: SiteStatus,
    /// The lockfile's hash as SRI, where it was computed.
    pub hash: Option<String>,
    /// Number of contents in the tree.
    pub packages: Option<usize>,
    /// Their size in bytes.
    pub bytes: Option<u64>,
    /// The literals that hold the hash.
    pub literals: Vec<LiteralReport>,
    /// Why the site is undecided.
    pub undecided: Option<UndecidedReport>,
    /// Why the hash could not be computed: every reason.
    pub errors: Vec<Message>,
    /// What the user should know of this site.
    pub warnings: Vec<Message>,
    /// The chain of places that led to the answer.
    pub explain: Vec<StepReport>,
}

/// The status of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteStatus {
    /// The literals say the lockfile's hash.
    InSync,
    /// They do not.
    Stale,
    /// They did not, and do now.
    Updated,
    /// The lockfile is known; no hash was computed (`list`).
    Resolved,
    /// The lockfile is inside a source that has to be fetched.
    Remote,
    /// The lockfile or the literal cannot be known.
    Undecided,
    /// The hash should be computable and is not.
    Failed,
}

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PlaceReport {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// The options of `fetchNpmDeps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OptionsReport {
    /// `fetcherVersion`.
    pub fetcher_version: u32,
    /// `forceGitDeps`.
    pub force_git_deps: bool,
    /// `forceEmptyCache`.
    pub force_empty_cache: bool,
}

/// A token that holds a hash.
#[derive(Debug, Serialize)]
pub struct LiteralReport {
    /// Where it stands.
    pub place: PlaceReport,
    /// The hash as written; of `lib.fakeHash` and the like what they stand for.
    pub old: String,
    /// What it should say, if that is something else.
    pub new: Option<String>,
}

/// Why a site is undecided.
#[derive(Debug, Serialize)]
pub struct UndecidedReport {
    /// A stable word.
    pub code: &'static str,
    /// A sentence.
    pub reason: String,
    /// The expression that is in the way.
    pub place: PlaceReport,
    /// What would settle it.
    pub settle: String,
}

/// A step of `list --explain`.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Where.
    pub place: PlaceReport,
    /// What happens there.
    pub text: String,
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Where it applies, if it is a place.
    pub place: Option<PlaceReport>,
    /// What is wrong.
    pub message: String,
    /// What lies behind it, outermost first.
    pub causes: Vec<String>,
    /// What can be done about it.
    pub hint: Option<String>,
}

/// How many sites have which status.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// In sync.
    pub in_sync: usize,
    /// Stale.
    pub stale: usize,
    /// Updated.
    pub updated: usize,
    /// Tied to a lockfile, not computed.
    pub resolved: usize,
    /// Inside a source that has to be fetched.
    pub remote: usize,
    /// Undecided.
    pub undecided: usize,
    /// Failed.
    pub failed: usize,
}

impl Message {
    /// A message with nothing but its text.
    #[must_use]
    pub fn plain(message: impl Into<String>) -> Self {
        Self { place: None, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// An error and the chain of its sources.
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        Self { causes, ..Self::plain(error.to_string()) }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hinting(self, hint: Option<impl Into<String>>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
    }

    fn from_obstacle(obstacle: &Obstacle) -> Self {
        Self::from_error(obstacle).hinting(obstacle.hint())
    }
}

/// Writes paths as a reader in `here` would: relative where that needs no `..`.
#[derive(Debug, Clone)]
pub struct Paths {
    here: PathBuf,
}

impl Paths {
    /// Paths as seen from `here`, an absolute path.
    #[must_use]
    pub fn from(here: PathBuf) -> Self {
        Self { here }
    }

    /// One path.
    #[must_use]
    pub fn show(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.here).ok().filter(|rest| !rest.as_os_str().is_empty());
        relative.unwrap_or(path).display().to_string()
    }

    fn place(&self, place: &Place) -> PlaceReport {
        PlaceReport { file: self.show(&place.file), line: place.line, column: place.column }
    }
}

impl Report {
    /// The report of a plan.
    #[must_use]
    pub fn new(command: &'static str, plan: &Plan, paths: &Paths) -> Self {
        let sites: Vec<_> = plan.sites.iter().map(|planned| SiteReport::new(planned, paths)).collect();
        let problem = |problem: &crate::nix::FileProblem| Message {
            place: Some(paths.place(&problem.place)),
            ..Message::plain(&problem.message)
        };
        let warning = |warning: &crate::nix::Warning| Message {
            place: Some(paths.place(&warning.place)),
            ..Message::plain(&warning.message)
        };
        let mut report = Self {
            schema_version: SCHEMA_VERSION,
            command,
            sites,
            problems: plan.problems.iter().map(problem).collect(),
            warnings: plan.warnings.iter().map(warning).collect(),
            changed_files: Vec::new(),
            summary: Summary::default(),
        };
        report.count();
        report
    }

    /// Records that the stale literals were rewritten.
    pub fn set_updated(&mut self) {
        for site in self.sites.iter_mut().filter(|site| site.status == SiteStatus::Stale) {
            site.status = SiteStatus::Updated;
        }
        self.count();
    }

    fn count(&mut self) {
        let mut summary = Summary::default();
        for site in &self.sites {
            *match site.status {
                SiteStatus::InSync => &mut summary.in_sync,
                SiteStatus::Stale => &mut summary.stale,
                SiteStatus::Updated => &mut summary.updated,
                SiteStatus::Resolved => &mut summary.resolved,
                SiteStatus::Remote => &mut summary.remote,
                SiteStatus::Undecided => &mut summary.undecided,
                SiteStatus::Failed => &mut summary.failed,
            } += 1;
        }
        self.summary = summary;
    }

    /// The JSON form, indented, with a final newline.
    #[must_use]
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("bug: a report always serialises");
        text.push('\n');
        text
    }
}

impl SiteReport {
    fn new(planned: &Planned, paths: &Paths) -> Self {
        let Site { attr_path, other_attr_paths, place, options, explain, .. } = &planned.site;
        let mut report = Self {
            service: service(&planned.site, paths),
            attr_path: attr_path.clone(),
            other_attr_paths: other_attr_paths.clone(),
            place: paths.place(place),
            lockfile: planned.lockfile().map(|path| paths.show(path)),
            options: (*options).into(),
            status: SiteStatus::Resolved,
            hash: None,
            packages: None,
            bytes: None,
            literals: literals(planned, paths),
            undecided: None,
            errors: Vec::new(),
            warnings: Vec::new(),
            explain: explain.iter().map(|step| StepReport::new(step, paths)).collect(),
        };
        report.set_status(planned, paths);
        report
    }

    fn set_status(&mut self, planned: &Planned, paths: &Paths) {
        self.status = match &planned.status {
            Status::InSync(computed) => self.set_computed(SiteStatus::InSync, computed),
            Status::Stale(computed) => self.set_computed(SiteStatus::Stale, computed),
            Status::Tied(_) => SiteStatus::Resolved,
            Status::Undecided(undecided) => {
                self.undecided = Some(UndecidedReport {
                    code: undecided.reason.code(),
                    reason: undecided.message.clone(),
                    place: paths.place(&undecided.stopped_at),
                    settle: undecided.settle.clone(),
                });
                let remote = matches!(planned.site.outcome, Outcome::Remote { .. });
                if remote { SiteStatus::Remote } else { SiteStatus::Undecided }
            }
            Status::Failed(failure) => {
                self.errors = failure_messages(failure, paths);
                SiteStatus::Failed
            }
        };
    }

    fn set_computed(&mut self, status: SiteStatus, computed: &Computed) -> SiteStatus {
        self.hash = Some(computed.hash.sri());
        self.packages = Some(computed.packages);
        self.bytes = Some(computed.bytes);
        let message =
            |warning: &crate::npm_deps::Warning| Message::plain(warning.to_string()).hinting(warning.hint());
        self.warnings = computed.warnings.iter().map(message).collect();
        status
    }
}

/// What people call a site.
fn service(site: &Site, paths: &Paths) -> String {
    let named = site.attr_path.clone().or_else(|| site.name.clone());
    named.unwrap_or_else(|| format!("{}:{}", paths.show(&site.place.file), site.place.line))
}

fn literals(planned: &Planned, paths: &Paths) -> Vec<LiteralReport> {
    let stale: Vec<(&Literal, String)> = planned.stale_literals().collect();
    let report = |literal: &Literal| LiteralReport {
        place: PlaceReport { file: paths.show(&literal.file), line: literal.line, column: literal.column },
        old: literal.written.text.trim().to_owned(),
        new: stale.iter().find(|(stale, _)| *stale == literal).map(|(_, sri)| sri.clone()),
    };
    planned.site.hashes.iter().map(report).collect()
}

fn failure_messages(failure: &SiteFailure, paths: &Paths) -> Vec<Message> {
    match failure {
        SiteFailure::Uncomputable { failure, .. } => {
            failure.obstacles.iter().map(Message::from_obstacle).collect()
        }
        SiteFailure::NoLockfile(path) => {
            vec![
                Message::plain(format!("there is no lockfile at {}", paths.show(path)))
                    .hinting(failure.hint()),
            ]
        }
        SiteFailure::Unreadable { .. } => vec![Message::from_error(failure).hinting(failure.hint())],
    }
}

impl StepReport {
    fn new(step: &Step, paths: &Paths) -> Self {
        Self { place: paths.place(&step.place), text: step.text.clone() }
    }
}

impl From<HashOptions> for OptionsReport {
    fn from(options: HashOptions) -> Self {
        let HashOptions { fetcher_version, force_git_deps, force_empty_cache } = options;
        Self { fetcher_version, force_git_deps, force_empty_cache }
    }
}
