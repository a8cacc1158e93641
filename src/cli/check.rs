//! `check`: is every hash that of its lockfile? Decided from the lockfile's bytes alone; nothing is written.

use npm_nixhash::{
    drift::Plan,
    report::{Report, human},
};

use super::{
    args::CheckArgs,
    env::Environment,
    output::{Exit, Outcome, Terminal},
    supply::Sources,
    survey::{State, paths, survey},
};

pub(super) fn run(args: &CheckArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let sources = Sources::new(&args.sources, environment, terminal)?;
    let plan = Plan::computed(survey(&args.scope.path, environment)?, &sources.supply, &sources.settings);
    sources.finish(terminal);
    let report = Report::new("check", &plan, &paths(environment));
    if args.json {
        terminal.data(&report.json());
    } else {
        terminal.data(&human::check(&report));
    }
    terminal.messages(&human::messages(&report));
    let state = State::of(&report, &args.deny);
    Ok(match state {
        State { failed: true, .. } => Exit::Failed,
        State { stale: true, .. } | State { denied: true, .. } => Exit::Drift,
        State { .. } => Exit::Fine,
    })
}
