//! The first half of `list`, `check` and `update`: what is there, and what of it is meant?

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix_sites::{Place, Survey, SurveyScope, Warning, WarningKind};
use npm_nixhash::choice::{
    ChangedSince, ChoiceError, InvalidPattern, LeftOut, NamePattern, SiteChoice, Wanted, choose,
};
use npm_nixhash::drift::Plan;
use npm_nixhash::report::{Message, Paths, Report, SiteReport};
use npm_nixhash::source::head::is_read;
use repository_files::CONFIG;
use repository_files::git::{Before, Git, GitError};

use super::args::{Denied, ScopeArgs};
use super::config::Config;
use super::env::Environment;
use super::output::Fatal;

/// What a run is about.
pub(super) struct Surveyed {
    pub(super) survey: Survey,
    /// What of the repository it is not about.
    pub(super) left_out: LeftOut,
    /// What the repository's team decided.
    pub(super) config: Config,
}

impl Surveyed {
    /// What counts as a failure, by the command line or the team.
    pub(super) fn deny(&self, args: &[Denied]) -> Vec<Denied> {
        let mut all: Vec<Denied> = args.iter().chain(&self.config.deny).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Surveys the repository that is meant, and restricts the survey to what was asked for.
pub(super) fn survey(args: &ScopeArgs, environment: &Environment) -> Result<Surveyed, Fatal> {
    let here = environment.here.canonicalize().map_err(|error| Fatal::reading(&environment.here, &error))?;
    let mut wanted = args.wanted.iter().map(|word| read(word, &here)).collect::<Result<Vec<_>, _>>()?;
    if wanted.is_empty() {
        wanted.push(Wanted::Path(here.clone()));
    }
    let root = root(&wanted, &here)?;
    let config = Config::read(&root)?;
    let also = wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Path(path) | Wanted::Either(path, _) => Some(path),
        Wanted::Name { .. } => None,
    });
    let is_nix = |path: &&PathBuf| path.is_file() && path.extension() == Some(OsStr::new("nix"));
    let scope = SurveyScope {
        also: also.filter(is_nix).cloned().collect(),
        stated: config.stated(&root),
        ..SurveyScope::of(&root)
    };
    let mut survey = nix_sites::survey(&scope);
    let since = args.changed_since.as_deref().map(|revision| since(revision, &scope, &survey)).transpose()?;
    let unknown = config.unknown(&survey).map(|message| Warning {
        kind: WarningKind::Settings,
        place: Place { file: root.join(CONFIG), line: 1, column: 1 },
        message,
    });
    let unknown: Vec<Warning> = unknown.collect();
    survey.warnings.extend(unknown);
    let ignored = config.ignored()?;
    survey.uncovered.retain(|path| !ignored.is_match(path.strip_prefix(&root).unwrap_or(path)));
    let left_out =
        choose(&mut survey, &choice(args, wanted, &config, since)?).map_err(|error| refused(&error))?;
    Ok(Surveyed { survey, left_out, config })
}

fn choice(
    args: &ScopeArgs,
    wanted: Vec<Wanted>,
    config: &Config,
    since: Option<ChangedSince>,
) -> Result<SiteChoice, Fatal> {
    let mut exclude = config.exclude()?;
    for text in &args.exclude {
        exclude.push(NamePattern::parse(text.trim_start_matches(".#")).map_err(|error| no_name(&error))?);
    }
    Ok(SiteChoice { wanted, exclude, since })
}

/// What changed since a revision. The repository is surveyed a second time, with the texts that it had then.
fn since(revision: &str, scope: &SurveyScope, survey: &Survey) -> Result<ChangedSince, Fatal> {
    let refused = |error: GitError| {
        let hint = "fetch it first: a shallow clone has neither old commits nor merge bases";
        Fatal(Message::from_error(&error).hinting(Some(hint)))
    };
    let git = Git::of(&scope.root);
    let changed = git.changed_since(revision).map_err(refused)?;
    if changed.paths.is_empty() {
        // A second survey would find the same.
        return Ok(ChangedSince::new(changed, &survey.sites));
    }
    let Before { texts, absent } = git.before(&changed, is_read).map_err(refused)?;
    // What is stated of a derivation may have been something else.
    let stated = if changed.has(&scope.root.join(CONFIG)) { BTreeMap::new() } else { scope.stated.clone() };
    let before = nix_sites::survey(&SurveyScope { instead: texts, absent, stated, ..scope.clone() });
    Ok(ChangedSince::new(changed, &before.sites))
}

/// What a word of the command line means.
fn read(word: &OsStr, here: &Path) -> Result<Wanted, Fatal> {
    let path = here.join(word);
    let text = word.to_str();
    match path.canonicalize() {
        Ok(path) => {
            let plain = text.filter(|text| !text.contains(['/', '\\']) && *text != "." && *text != "..");
            // What is not a name because of its brackets is a path alone.
            let name = plain.and_then(|text| NamePattern::parse(text).ok());
            Ok(name.map_or_else(|| Wanted::Path(path.clone()), |name| Wanted::Either(path.clone(), name)))
        }
        Err(error) => match text {
            Some(text) if text.contains('#') => in_flake(text, here),
            Some(text) if !is_path(text) => Ok(Wanted::Name {
                name: NamePattern::parse(text).map_err(|error| no_name(&error))?,
                within: None,
            }),
            _ => Err(Fatal::reading(&path, &error)),
        },
    }
}

/// Whether a word that is not a path was meant to be one. Names of packages can have a scope.
fn is_path(text: &str) -> bool {
    let scoped = text.starts_with('@') && text.matches('/').count() == 1;
    text.contains('/') && !scoped
}

/// `.#web`, as Nix has it: the flake's folder and the name.
fn in_flake(text: &str, here: &Path) -> Result<Wanted, Fatal> {
    let (folder, name) = text.split_once('#').unwrap_or(("", text));
    let name = NamePattern::parse(if name.is_empty() { "default" } else { name })
        .map_err(|error| no_name(&error))?;
    if matches!(folder, "" | ".") {
        return Ok(Wanted::Name { name, within: None });
    }
    let path = here.join(folder);
    let within = path.canonicalize().map_err(|error| Fatal::reading(&path, &error))?;
    Ok(Wanted::Name { name, within: Some(within) })
}

/// The repository that all paths lie in.
fn root(wanted: &[Wanted], here: &Path) -> Result<PathBuf, Fatal> {
    let path = |wanted: &Wanted| match wanted {
        Wanted::Path(path) | Wanted::Either(path, _) => Some(path.clone()),
        Wanted::Name { within, .. } => within.clone(),
    };
    let mut roots: Vec<PathBuf> =
        wanted.iter().filter_map(path).map(|path| repository_files::around(&path)).collect();
    roots.dedup();
    match roots.as_slice() {
        [] => Ok(repository_files::around(here)),
        [root] => Ok(root.clone()),
        [first, second, ..] => {
            let message = format!("{} and {} are different repositories", first.display(), second.display());
            Err(Fatal(Message::plain(message).hinting(Some("one run is about one repository"))))
        }
    }
}

fn no_name(error: &InvalidPattern) -> Fatal {
    Fatal::new(error)
}

fn refused(error: &ChoiceError) -> Fatal {
    Fatal(Message::of(error))
}

/// The report of a command.
pub(super) fn report(
    command: &'static str,
    plan: &Plan,
    left_out: LeftOut,
    environment: &Environment,
) -> Report {
    Report::new(command, plan, left_out, paths(environment, &plan.root))
}

/// How paths are shown.
pub(super) fn paths(environment: &Environment, root: &Path) -> Paths {
    let here = fs::canonicalize(&environment.here).unwrap_or_else(|_| environment.here.clone());
    Paths::from(here, root.to_owned())
}

/// What a report comes down to for the exit code.
#[expect(clippy::struct_excessive_bools, reason = "each may hold beside the others")]
pub(super) struct RunState {
    /// A hash or file could not be computed or read.
    pub(super) failed: bool,
    /// What is there that `--deny` names, for people.
    pub(super) denied: Vec<&'static str>,
    /// A hash is stale.
    pub(super) stale: bool,
    /// There are lockfiles, and no derivation at all.
    pub(super) nothing: bool,
    /// Something else stops a build.
    pub(super) finding: bool,
    /// A lockfile lacks what an offline install needs.
    pub(super) incomplete: bool,
    /// A binary cache lacks an output.
    pub(super) unpublished: bool,
}

impl RunState {
    pub(super) fn of(report: &Report, deny: &[Denied]) -> Self {
        let found = |what: &Denied| {
            let (there, name) = match what {
                Denied::Undecided => {
                    (report.summary.undecided + report.summary.remote > 0, "undecided derivations")
                }
                Denied::Uncovered => (!report.uncovered.is_empty(), "lockfiles that no npmDepsHash covers"),
                Denied::Untracked => (
                    report.sites.iter().any(|site| !site.untracked.is_empty()),
                    "files that git does not track",
                ),
                Denied::Assumed => {
                    (report.summary.assumed > 0, "builders that are only assumed to be like nixpkgs'")
                }
                Denied::Fake => (report.sites.iter().any(SiteReport::keeps_placeholder), "placeholders"),
            };
            there.then_some(name)
        };
        Self {
            failed: report.summary.failed > 0 || !report.problems.is_empty() || report.failed_to_publish(),
            denied: deny.iter().filter_map(found).collect(),
            stale: report.summary.stale > 0,
            nothing: report.finds_nothing(),
            finding: !report.findings.is_empty(),
            incomplete: report.summary.incomplete > 0,
            unpublished: report.lacks_published(),
        }
    }
}
