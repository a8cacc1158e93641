//! `check`: is every hash that of its lockfile? Decided from the lockfile's bytes alone; nothing is written.

use npm_nixhash::{
    drift::{Plan, Rules},
    report::{Message, Report, human, messages},
    rewrite::rewrite,
};

use super::{
    args::{CheckArgs, Format},
    env::Environment,
    npm::vendoring,
    output::{Exit, Outcome, Terminal},
    publish::{patch, publish},
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
    let mut report = Report::new("check", &plan, paths(environment, &plan.root));
    match rewrite(&plan) {
        Ok(replacements) => report.patch = patch(&plan.root, &replacements),
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
