//! `list`: every npm derivation, its lockfile and its hash literals; nothing is fetched.

use npm_nixhash::{
    drift::Plan,
    report::{Message, human, messages},
};

use super::{
    args::{Format, ListArgs},
    env::Environment,
    output::{Exit, Fatal, Outcome, Terminal},
    publish::publish,
    survey::{State, report, survey},
};

pub(super) fn run(args: &ListArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    if args.report.asks_for(Format::Patch) {
        let message = Message::plain("`list` computes no hash, so it has no patch");
        return Err(Fatal(message.hinting(Some("`npm-nixhash check --format patch` has"))));
    }
    let surveyed = survey(&args.scope, environment)?;
    let plan = Plan::tied(surveyed.survey);
    let report = report("list", &plan, surveyed.left_out, environment);
    publish(
        &args.report,
        &report,
        Format::Human,
        &human::list(&report, args.explain),
        environment,
        terminal,
    )?;
    terminal.messages(&messages::messages(&report, terminal.room()));
    Ok(if State::of(&report, &[]).failed { Exit::Failed } else { Exit::Fine })
}
