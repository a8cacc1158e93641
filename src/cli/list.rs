//! `list`: every npm derivation, its lockfile and its hash literals; nothing is fetched.

use std::path::PathBuf;

use nix_sites::elsewhere::elsewhere;
use npm_nixhash::drift::Plan;
use npm_nixhash::report::{Message, human, messages};

use super::args::{Format, ListArgs, ScopeArgs};
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::publish::{StandardOutput, publish};
use super::survey::{RunState, report, survey};

pub(super) fn run(args: &ListArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    if args.report.asks_for(Format::Patch) {
        let message = Message::plain("`list` computes no hash, so it has no patch");
        return Err(Fatal(message.hinting(Some("`npm-nixhash check --format patch` has"))));
    }
    let mut surveyed = survey(&args.scope, environment)?;
    let nix = std::mem::take(&mut surveyed.survey.nix);
    let plan = Plan::tied(surveyed.survey);
    let mut report = report("list", &plan, surveyed.left_out, environment);
    if let Some(places) = places(&args.scope, environment) {
        report.set_elsewhere(&elsewhere(&nix, &places));
    }
    let human = |look| human::list(&report, args.explain, look);
    publish(
        &args.report,
        &report,
        StandardOutput { format: Format::Human, human: &human },
        environment,
        terminal,
    )?;
    terminal.messages(&messages::messages(&report, terminal.room()));
    Ok(if RunState::of(&report, &[]).failed { Exit::Failed } else { Exit::Fine })
}

/// The folders and files that are looked at, if no name chooses from them: who names a derivation does not ask about others.
fn places(args: &ScopeArgs, environment: &Environment) -> Option<Vec<PathBuf>> {
    if args.wanted.is_empty() {
        return Some(vec![environment.here.canonicalize().ok()?]);
    }
    args.wanted.iter().map(|word| environment.here.join(word).canonicalize().ok()).collect()
}
