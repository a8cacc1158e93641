//! `check`: is every hash that of its lockfile? Decided from the lockfile's bytes alone; nothing is written.

use npm_nixhash::{
    drift::{Plan, Rules},
    report::{Report, human},
};

use super::{
    args::CheckArgs,
    env::Environment,
    npm::vendoring,
    output::{Exit, Outcome, Terminal},
    supply::Sources,
    survey::{State, head, paths, survey},
};

pub(super) fn run(args: &CheckArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let sources = Sources::new(&args.sources, environment, terminal)?;
    let survey = survey(&args.scope.path, environment)?;
    let head = head(&survey, environment);
    let vendoring = vendoring(environment, &sources, false);
    let rules = Rules::telling(&head, Some(&vendoring));
    let plan = Plan::computed(survey, &sources.supply, &sources.settings, &rules);
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
