//! The first half of `list`, `check` and `update`: what is there?

use std::{fs, path::Path};

use npm_nixhash::{
    nix::{self, Scope, Survey},
    report::{Message, Paths, Report},
    source::head::{Git, Head},
};

use super::{args::Denied, env::Environment, output::Fatal};

/// Surveys what a path names.
pub(super) fn survey(path: &Path, environment: &Environment) -> Result<Survey, Fatal> {
    let path = environment.absolute(path);
    if let Err(error) = fs::metadata(&path) {
        let message = Message::plain(format!("cannot read {}", path.display()));
        return Err(Fatal(Message { causes: vec![error.to_string()], ..message }));
    }
    Ok(nix::survey(&Scope::new(&path)))
}

/// What the last commit says, should it matter.
pub(super) fn head(survey: &Survey, environment: &Environment) -> Head {
    let git = environment.program("git").map(|program| Git { program, home: environment.home() });
    Head::new(survey.root.clone(), git)
}

/// How paths are shown.
pub(super) fn paths(environment: &Environment) -> Paths {
    Paths::from(fs::canonicalize(&environment.here).unwrap_or_else(|_| environment.here.clone()))
}

/// What a report comes down to for the exit code.
pub(super) struct State {
    /// A hash or file could not be had.
    pub(super) failed: bool,
    /// Something is there that `--deny` names.
    pub(super) denied: bool,
    /// A hash is stale.
    pub(super) stale: bool,
}

impl State {
    pub(super) fn of(report: &Report, deny: &[Denied]) -> Self {
        let undecided = report.summary.undecided + report.summary.remote;
        Self {
            failed: report.summary.failed > 0 || !report.problems.is_empty(),
            denied: deny.contains(&Denied::Undecided) && undecided > 0,
            stale: report.summary.stale > 0,
        }
    }
}
