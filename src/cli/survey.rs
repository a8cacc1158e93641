//! The first half of `list`, `check` and `update`: what is there?

use std::{fs, path::Path};

use npm_nixhash::{
    nix::{self, Scope, Survey},
    report::{Message, Paths, Report, SiteReport},
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
pub(super) fn paths(environment: &Environment, root: &Path) -> Paths {
    let here = fs::canonicalize(&environment.here).unwrap_or_else(|_| environment.here.clone());
    Paths::from(here, root.to_owned())
}

/// What a report comes down to for the exit code.
pub(super) struct State {
    /// A hash or file could not be had.
    pub(super) failed: bool,
    /// What is there that `--deny` names, for people.
    pub(super) denied: Vec<&'static str>,
    /// A hash is stale.
    pub(super) stale: bool,
}

impl State {
    pub(super) fn of(report: &Report, deny: &[Denied]) -> Self {
        let found = |what: &Denied| {
            let (there, name) = match what {
                Denied::Undecided => {
                    (report.summary.undecided + report.summary.remote > 0, "undecided derivations")
                }
                Denied::Uncovered => (!report.uncovered.is_empty(), "lockfiles that no npmDepsHash covers"),
                Denied::Fake => (report.sites.iter().any(SiteReport::keeps_placeholder), "placeholders"),
            };
            there.then_some(name)
        };
        Self {
            failed: report.summary.failed > 0 || !report.problems.is_empty(),
            denied: deny.iter().filter_map(found).collect(),
            stale: report.summary.stale > 0,
        }
    }
}
