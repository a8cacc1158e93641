//! `check`: is every hash that of its lockfile? Decided from the lockfile's bytes alone; nothing is written.

use npm_nixhash::{
    drift::Plan,
    report::{Message, Report, human, messages},
    rewrite::rewrite,
};

use super::{
    args::{CheckArgs, Format},
    env::Environment,
    output::{Exit, Outcome, Terminal},
    publish::{patch, publish},
    supply::Sources,
    survey::{State, paths, survey},
};

pub(super) fn run(args: &CheckArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let sources = Sources::new(&args.sources, environment, terminal)?;
    let plan = Plan::computed(survey(&args.scope.path, environment)?, &sources.supply, &sources.settings);
    sources.finish(terminal);
    let mut report = Report::new("check", &plan, paths(environment, &plan));
    match rewrite(&plan) {
        Ok(replacements) => report.patch = patch(&plan, &replacements),
        Err(error) => report.problems.push(Message::from_error(&error)),
    }
    publish(&args.report, &report, Format::Human, &human::check(&report), environment, terminal)?;
    terminal.messages(&messages::messages(&report, terminal.room()));
    let state = State::of(&report, &args.deny);
    Ok(if state.failed {
        Exit::Failed
    } else if state.stale || !state.denied.is_empty() {
        Exit::Drift
    } else {
        Exit::Fine
    })
}
