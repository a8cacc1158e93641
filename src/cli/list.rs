//! `list`: every npm derivation, its lockfile and its hash literals; nothing is fetched.

use npm_nixhash::{
    drift::Plan,
    report::{Report, human},
};

use super::{
    args::ListArgs,
    env::Environment,
    output::{Exit, Outcome, Terminal},
    survey::{State, paths, survey},
};

pub(super) fn run(args: &ListArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let plan = Plan::tied(survey(&args.scope.path, environment)?);
    let report = Report::new("list", &plan, &paths(environment));
    if args.json {
        terminal.data(&report.json());
    } else {
        terminal.data(&human::list(&report, args.explain));
    }
    terminal.messages(&human::problems(&report));
    Ok(if State::of(&report, &[]).failed { Exit::Failed } else { Exit::Fine })
}
