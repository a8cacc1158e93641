//! From a plan to its report.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::{Component, Path, PathBuf};

use error_advice::{Advise, advice_on};
use nix_sites::elsewhere::Elsewhere;
use nix_sites::{Condition, Literal, Outcome, Place, Site, Step, edit};
use npm_deps::Computed;
use npm_lockfile::options::HashOptions;
use repository_files::Border;

use super::{
    BecauseReport, BorderReport, EndReport, FindingReport, LeftOutReport, LiteralReport, Message,
    OptionsReport, OutdatedReport, PlaceReport, RepairedReport, Report, Rule, SCHEMA_VERSION, SiteKind,
    SiteReport, SiteStatus, SourceReport, StepReport, Summary, UndecidedReport, UseReport, source,
};
use crate::choice::LeftOut;
use crate::drift::{
    Finding, IncompleteLockfile, Plan, Planned, PlannedUse, SiteFailure, SiteWarning, SourceState, Status,
};
use crate::repair::{EntryError, RepairError};
use crate::source::digest::SourceDigest;

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

    /// The same with what led to it.
    #[must_use]
    pub fn caused_by(self, cause: &impl ToString) -> Self {
        Self { causes: vec![cause.to_string()], ..self }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hinting(self, hint: Option<impl Into<String>>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
    }

    /// An error, what led to it, and what can be done about it.
    #[must_use]
    pub fn of(error: &(dyn Advise + 'static)) -> Self {
        Self::from_error(error).hinting(advice_on(error))
    }
}

/// Writes paths as a reader in `here` would: relative, where they are in one repository with `here`.
#[derive(Debug, Clone)]
pub struct Paths {
    here: PathBuf,
    root: PathBuf,
}

impl Paths {
    /// Paths as seen from `here`, in the repository at `root`; both are absolute.
    #[must_use]
    pub fn from(here: PathBuf, root: PathBuf) -> Self {
        Self { here, root }
    }

    /// A path that was written for a reader in `here`, as seen from the top of the repository.
    pub(super) fn seen_from_top(&self, shown: &str) -> String {
        let mut path = self.here.clone();
        for part in Path::new(shown).components() {
            match part {
                Component::ParentDir => {
                    path.pop();
                }
                part => path.push(part),
            }
        }
        path.strip_prefix(&self.root).map_or_else(|_| shown.to_owned(), |path| path.display().to_string())
    }

    /// One path.
    #[must_use]
    pub fn show(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.here).ok().filter(|rest| !rest.as_os_str().is_empty());
        relative.map_or_else(|| self.seen_from_below(path), Path::to_path_buf).display().to_string()
    }

    /// A path of the repository as seen from one of its folders; any other stays as it is.
    fn seen_from_below(&self, path: &Path) -> PathBuf {
        let (Ok(here), Ok(inside)) = (self.here.strip_prefix(&self.root), path.strip_prefix(&self.root))
        else {
            return path.to_path_buf();
        };
        let (here, inside): (Vec<_>, Vec<_>) = (here.components().collect(), inside.components().collect());
        let common = here.iter().zip(&inside).take_while(|(a, b)| a == b).count();
        let up = here.iter().skip(common).map(|_| Path::new(".."));
        up.chain(inside.iter().skip(common).map(|part| Path::new(part.as_os_str()))).collect()
    }

    pub(super) fn place(&self, place: &Place) -> PlaceReport {
        PlaceReport { file: self.show(&place.file), line: place.line, column: place.column }
    }
}

impl Report {
    /// The report of a plan.
    #[must_use]
    pub fn new(command: &'static str, plan: &Plan, left_out: LeftOut, paths: Paths) -> Self {
        let tokens = Tokens { paths: &paths, files: &plan.files };
        let sites: Vec<_> = plan.sites.iter().map(|planned| SiteReport::new(planned, &tokens)).collect();
        let problem = |problem: &nix_sites::FileProblem| Message {
            place: Some(paths.place(&problem.place)),
            ..Message::plain(&problem.message)
        };
        let warning = |warning: &nix_sites::Warning| Message {
            place: Some(paths.place(&warning.place)),
            ..Message::plain(&warning.message)
        };
        let mut report = Self {
            schema_version: SCHEMA_VERSION,
            command,
            sites,
            uses: plan.uses.iter().map(|used| UseReport::new(used, &paths)).collect(),
            findings: plan.findings.iter().map(|finding| FindingReport::new(finding, &paths)).collect(),
            problems: plan.problems.iter().map(problem).collect(),
            warnings: plan.warnings.iter().map(warning).collect(),
            uncovered: plan.uncovered.iter().map(|path| paths.show(path)).collect(),
            left_out: left_out.into(),
            borders: plan.borders.iter().map(|border| BorderReport::new(border, &paths)).collect(),
            elsewhere: Vec::new(),
            changed_files: Vec::new(),
            patch: String::new(),
            summary: without_derivation(plan),
            paths,
        };
        report.count();
        if report.finds_nothing() {
            let hint = "if they do not matter, name them in `ignore-lockfiles` of npm-nixhash.toml";
            let message = Message::plain("no npm derivation was found, although there are lockfiles");
            report.warnings.push(message.hinting(Some(hint)));
        }
        report
    }

    /// Whether there are lockfiles and no derivation at all: then what was looked at is hardly what was meant.
    #[must_use]
    pub fn finds_nothing(&self) -> bool {
        let LeftOutReport { not_chosen, excluded, unchanged, .. } = self.left_out;
        self.sites.is_empty() && not_chosen + excluded + unchanged == 0 && !self.uncovered.is_empty()
    }

    /// A path of this report as seen from the top of the repository.
    pub(super) fn seen_from_top(&self, shown: &str) -> String {
        self.paths.seen_from_top(shown)
    }

    /// Records that the stale literals were rewritten.
    pub fn set_updated(&mut self) {
        for site in self.sites.iter_mut().filter(|site| site.status == SiteStatus::Stale) {
            site.status = SiteStatus::Updated;
        }
        self.count();
    }

    /// Records what is not ours. Of Cargo's and Go's hashes nobody expects that we change them, unless there is nothing else.
    pub fn set_elsewhere(&mut self, found: &[Elsewhere]) {
        let alone = self.sites.is_empty() && self.uses.is_empty();
        let named = found.iter().filter(|found| alone || found.ecosystem.is_of_npm_packages());
        self.elsewhere = named.map(|found| elsewhere(found, &self.paths)).collect();
    }

    /// Keeps what an earlier run of the same command updated and this one found right.
    pub fn remember_updated(&mut self, earlier: Self) {
        for site in earlier.sites.into_iter().filter(|site| site.status == SiteStatus::Updated) {
            // Its place within the file may have moved with what others wrote.
            let is_it = |now: &&mut SiteReport| {
                (&now.service, &now.lockfile, &now.place.file, now.status)
                    == (&site.service, &site.lockfile, &site.place.file, SiteStatus::InSync)
            };
            if let Some(now) = self.sites.iter_mut().find(is_it) {
                *now = site;
            }
        }
        self.count();
    }

    /// Records which files were changed.
    pub fn set_changed_files<'a>(&mut self, files: impl Iterator<Item = &'a Path>) {
        self.changed_files = files.map(|file| self.paths.show(file)).collect();
    }

    fn count(&mut self) {
        let Summary { without_derivation, import_npm_lock, .. } = self.summary;
        let mut summary = Summary { without_derivation, import_npm_lock, ..Summary::default() };
        for site in &self.sites {
            summary.assumed += usize::from(site.assumed.is_some());
            *match site.status {
                SiteStatus::InSync => &mut summary.in_sync,
                SiteStatus::Stale => &mut summary.stale,
                SiteStatus::Updated => &mut summary.updated,
                SiteStatus::Resolved => &mut summary.resolved,
                SiteStatus::Remote => &mut summary.remote,
                SiteStatus::Undecided => &mut summary.undecided,
                SiteStatus::Incomplete => &mut summary.incomplete,
                SiteStatus::Failed => &mut summary.failed,
            } += 1;
        }
        summary.incomplete += self.uses.iter().filter(|used| !used.errors.is_empty()).count();
        self.summary = summary;
    }

    /// The JSON form, indented, with a final newline.
    #[must_use]
    pub fn json(&self) -> String {
        super::json::json(self)
    }
}

/// How many lockfiles no derivation is hashed by, and nothing else.
fn without_derivation(plan: &Plan) -> Summary {
    let hashed: BTreeSet<&Path> = plan.sites.iter().filter_map(Planned::lockfile).collect();
    let imported: BTreeSet<&Path> = plan.uses.iter().map(|used| used.site.lockfile.as_path()).collect();
    let import_npm_lock = imported.difference(&hashed).count();
    let without_derivation = plan.uncovered.len() + import_npm_lock;
    Summary { without_derivation, import_npm_lock, ..Summary::default() }
}

impl SiteReport {
    /// Whether a literal only holds its hash's place.
    #[must_use]
    pub(crate) fn has_placeholder(&self) -> bool {
        self.literals.iter().any(|literal| literal.placeholder) && self.status != SiteStatus::Updated
    }

    /// Whether it does and `update` does not change that.
    #[must_use]
    pub fn keeps_placeholder(&self) -> bool {
        self.has_placeholder() && self.status != SiteStatus::Stale
    }

    fn new(planned: &Planned, tokens: &Tokens<'_>) -> Self {
        let paths = tokens.paths;
        let Site { attr_path, other_attr_paths, place, options, only_when, explain, .. } = &planned.site;
        let mut report = Self {
            service: service(&planned.site, paths),
            kind: match planned.site.outcome {
                Outcome::Tarball(_) => SiteKind::Tarball,
                _ => SiteKind::NpmDeps,
            },
            attr_path: attr_path.clone(),
            other_attr_paths: other_attr_paths.clone(),
            place: paths.place(place),
            asked_at: planned.site.asked_at.as_ref().map(|place| paths.place(place)),
            assumed: planned.site.assumed.clone(),
            lockfile: planned.lockfile().map(|path| paths.show(path)).or_else(|| source::inside(planned)),
            options: (*options).into(),
            status: SiteStatus::Resolved,
            hash: None,
            output_name: planned.site.output_name.clone(),
            store_path: None,
            published: Vec::new(),
            packages: None,
            bytes: None,
            because: None,
            literals: literals(planned, tokens),
            sources: sources(planned, tokens),
            repaired_lockfile: planned.repaired.as_ref().map(|repaired| RepairedReport {
                lockfile: paths.show(&repaired.path),
                packages: repaired.packages,
            }),
            outdated_lockfile: planned.outdated.as_ref().map(|outdated| OutdatedReport::new(outdated, paths)),
            untracked: planned.site.untracked.iter().map(|file| paths.show(file)).collect(),
            undecided: None,
            errors: Vec::new(),
            warnings: Vec::new(),
            only_when: only_when
                .iter()
                .map(|Condition { place, text }| StepReport { place: paths.place(place), text: text.clone() })
                .collect(),
            explain: explain.iter().map(|step| StepReport::new(step, paths)).collect(),
        };
        let because = planned.because.as_ref().filter(|_| matches!(planned.status, Status::Stale(_)));
        report.because = because.map(|because| BecauseReport::new(because, &report.service, paths));
        report.set_status(planned, paths);
        report.warnings.extend(report.assumed.as_deref().map(assumption));
        report
    }

    fn set_status(&mut self, planned: &Planned, paths: &Paths) {
        self.status = match &planned.status {
            Status::InSync(computed) => self.set_computed(SiteStatus::InSync, computed.as_ref(), planned),
            Status::Stale(computed) => self.set_computed(SiteStatus::Stale, computed.as_ref(), planned),
            Status::Tied => match planned.site.outcome {
                Outcome::Remote { .. } => SiteStatus::Remote,
                _ => SiteStatus::Resolved,
            },
            Status::Undecided(undecided) => {
                self.undecided = Some(UndecidedReport {
                    code: undecided.reason.code(),
                    reason: undecided.message.clone(),
                    place: paths.place(&undecided.stopped_at),
                    settle: undecided.settle.clone(),
                });
                SiteStatus::Undecided
            }
            Status::Incomplete(incomplete) => {
                self.errors = incomplete_messages(incomplete);
                SiteStatus::Incomplete
            }
            Status::Failed(failure) => {
                self.errors = failure_messages(failure, paths);
                SiteStatus::Failed
            }
        };
    }

    fn set_computed(
        &mut self,
        status: SiteStatus,
        computed: Option<&Computed>,
        planned: &Planned,
    ) -> SiteStatus {
        let Some(computed) = computed else {
            self.hash = planned.sources.iter().find_map(SourceState::digest).map(SourceDigest::sri);
            return status;
        };
        self.hash = Some(computed.hash.sri());
        self.packages = Some(computed.packages);
        self.bytes = Some(computed.bytes);
        let message =
            |warning: &npm_deps::LockfileWarning| Message::plain(warning.to_string()).hinting(warning.hint());
        self.warnings = computed.warnings.iter().map(message).chain(source::warnings(planned)).collect();
        let own = |warning: &SiteWarning| Message::plain(warning.to_string()).hinting(Some(warning.hint()));
        self.warnings.extend(planned.warnings.iter().map(own));
        status
    }
}

/// What to say of a builder that only bears a name.
fn assumption(function: &str) -> Message {
    let message = format!("`{function}` is not known; it is assumed to hash what nixpkgs' builder does");
    Message::plain(message).hinting(Some("--deny assumed refuses such builders"))
}

/// What people call a site.
#[must_use]
pub fn service(site: &Site, paths: &Paths) -> String {
    let named = site.attr_path.clone().or_else(|| site.name.clone());
    named.unwrap_or_else(|| format!("{}:{}", paths.show(&site.place.file), site.place.line))
}

/// Tokens as a reader sees them, and the texts they stand in.
pub(super) struct Tokens<'a> {
    pub(super) paths: &'a Paths,
    files: &'a BTreeMap<PathBuf, String>,
}

impl Tokens<'_> {
    pub(super) fn place(&self, literal: &Literal) -> PlaceReport {
        PlaceReport { file: self.paths.show(&literal.file), line: literal.line, column: literal.column }
    }

    /// Where a token ends. Few have more than one line: `''`-strings, and text files.
    pub(super) fn end(&self, literal: &Literal) -> EndReport {
        let text = self.files.get(&literal.file).and_then(|text| text.get(literal.range.clone()));
        let text = text.unwrap_or_default();
        match text.rsplit_once('\n') {
            None => EndReport { line: literal.line, column: literal.column + text.chars().count() },
            Some((before, last)) => EndReport {
                line: literal.line + 1 + before.matches('\n').count(),
                column: 1 + last.chars().count(),
            },
        }
    }
}

fn literals(planned: &Planned, tokens: &Tokens<'_>) -> Vec<LiteralReport> {
    // The hash of a tarball that is all there is stands where others have that of their lockfile.
    let tarball = planned.site.tarball_literal();
    let of_tarball = planned.stale_source_literals().filter(|_| tarball.is_some());
    let stale: Vec<(&Literal, String)> = planned.stale_literals().chain(of_tarball).collect();
    let report = |literal: &Literal| {
        let new = stale.iter().find(|(stale, _)| *stale == literal).map(|(_, sri)| sri.clone());
        LiteralReport {
            place: tokens.place(literal),
            end: tokens.end(literal),
            old: literal.written.text.trim().to_owned(),
            replacement: new.as_ref().map(|sri| edit::replacement(literal, sri).text),
            new,
            placeholder: literal.written.is_placeholder(),
        }
    };
    planned.site.hashes.iter().chain(tarball).map(report).collect()
}

fn sources(planned: &Planned, tokens: &Tokens<'_>) -> Vec<SourceReport> {
    let stale = matches!(planned.status, Status::Stale(_));
    planned.sources.iter().map(|state| SourceReport::new(state, stale, tokens)).collect()
}

impl FindingReport {
    fn new(finding: &Finding, paths: &Paths) -> Self {
        let Finding { place, kind } = finding;
        Self {
            code: Rule::from(kind),
            place: paths.place(place),
            message: kind.to_string(),
            hint: kind.hint(),
        }
    }
}

impl UseReport {
    fn new(used: &PlannedUse, paths: &Paths) -> Self {
        Self {
            place: paths.place(&used.site.place),
            lockfile: paths.show(&used.site.lockfile),
            errors: used.incomplete.as_ref().map(incomplete_messages).unwrap_or_default(),
        }
    }
}

fn incomplete_messages(incomplete: &IncompleteLockfile) -> Vec<Message> {
    let message = Message::plain(incomplete.lacks.to_string());
    match &incomplete.failure {
        None => vec![message.hinting(Some(incomplete.hint()))],
        Some(failure) => std::iter::once(message).chain(repair_messages(failure)).collect(),
    }
}

/// Why a lockfile was not completed: every reason.
#[must_use]
pub fn repair_messages(error: &RepairError) -> Vec<Message> {
    match error {
        RepairError::Entries(errors) => errors
            .iter()
            .map(|EntryError { place, reason }| {
                let message = Message::of(reason);
                Message { message: format!("{place}: {}", message.message), ..message }
            })
            .collect(),
        _ => vec![Message::of(error)],
    }
}

fn failure_messages(failure: &SiteFailure, paths: &Paths) -> Vec<Message> {
    match failure {
        SiteFailure::Uncomputable { failure, .. } => {
            failure.obstacles.iter().map(|obstacle| Message::of(obstacle)).collect()
        }
        SiteFailure::NoLockfile { path, .. } => {
            vec![
                Message::plain(format!("there is no lockfile at {}", paths.show(path)))
                    .hinting(advice_on(failure)),
            ]
        }
        SiteFailure::Unreadable { path, error } => {
            vec![Message::plain(format!("cannot read {}", paths.show(path))).caused_by(error)]
        }
        SiteFailure::Relock { path, .. } => {
            let message = format!("cannot regenerate {}", paths.show(path));
            vec![Message { message, ..Message::of(failure) }]
        }
        _ => vec![Message::of(failure)],
    }
}

impl From<LeftOut> for LeftOutReport {
    fn from(left_out: LeftOut) -> Self {
        let LeftOut { not_chosen, excluded, unchanged, since } = left_out;
        Self { not_chosen, excluded, unchanged, since }
    }
}

impl BorderReport {
    fn new(border: &Border, paths: &Paths) -> Self {
        Self { folder: paths.show(&border.folder), what: border.kind.word() }
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

fn elsewhere(found: &Elsewhere, paths: &Paths) -> Message {
    let more = match found.count {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let what = format!(
        "{}{more}: {}'s dependencies are not npm's, and their hashes are neither computed nor changed here",
        found.word,
        found.ecosystem.name()
    );
    let message = Message { place: Some(paths.place(&found.place)), ..Message::plain(what) };
    message.hinting(Some(found.ecosystem.hint()))
}
