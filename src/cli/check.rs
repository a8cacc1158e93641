//! `check`: is every hash that of its lockfile? Decided from the lockfile's bytes alone; nothing is written.

use std::path::PathBuf;

use npm_nixhash::drift::{Plan, Rules};
use npm_nixhash::report::{Message, Report, human, messages};
use npm_nixhash::rewrite::rewrite;
use npm_nixhash::source::head::Head;

use super::args::{Allowed, CheckArgs, Denied, Format};
use super::env::Environment;
use super::fleet::Caches;
use super::npm::vendoring;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::publish::{StandardOutput, patch, publish};
use super::supply::{PublishSettings, Sources};
use super::survey::{RunState, report, survey};
use super::watch;

/// What was found.
pub(super) struct Checked {
    pub(super) report: Report,
    /// What of it counts as drift besides.
    deny: Vec<Denied>,
    pub(super) root: PathBuf,
}

pub(super) fn run(args: &CheckArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    if args.watch && args.publish.wanted() {
        let message = Message::plain("--watch writes nothing anywhere, and so it does not --publish");
        return Err(Fatal(message.hinting(Some("run `npm-nixhash check --publish URL` when you are done"))));
    }
    if args.watch {
        return watch::run(args, environment, terminal);
    }
    let Checked { report, deny, .. } = check(args, environment, terminal)?;
    let human = |look| human::check(&report, look);
    publish(
        &args.report,
        &report,
        StandardOutput { format: Format::Human, human: &human },
        environment,
        terminal,
    )?;
    terminal.messages(&messages::messages(&report, terminal.room()));
    let state = RunState::of(&report, &deny);
    Ok(if state.failed {
        Exit::Failed
    } else if state.stale
        || state.unpublished
        || state.incomplete
        || state.finding
        || state.nothing
        || !state.denied.is_empty()
    {
        Exit::Drift
    } else {
        Exit::Fine
    })
}

/// Says what was found to people.
pub(super) fn tell(report: &Report, terminal: &Terminal) {
    terminal.text(&human::check(report, terminal.look()));
    terminal.messages(&messages::messages(report, terminal.room()));
}

/// Checks once.
pub(super) fn check(
    args: &CheckArgs,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Checked, Fatal> {
    let surveyed = survey(&args.scope, environment)?;
    let mut sources = Sources::new(&args.sources, &surveyed.config, environment, terminal)?;
    if args.paranoid {
        sources.forget();
    }
    // What cannot be opened is said before anything is downloaded.
    let to = Caches::to_publish(
        PublishSettings { args: &args.publish, remote: &args.sources.remote, config: None },
        &sources,
        environment,
        terminal,
    )?;
    let published = Caches::to_look_into(&args.published, &surveyed.config, &sources, environment)?;
    if !to.is_empty() {
        sources.keep_for_the_run();
    }
    let deny = surveyed.deny(&args.deny);
    let left_out = surveyed.left_out;
    let head = Head::of(surveyed.survey.root.clone());
    let vendoring = vendoring(environment, &sources, false);
    let allow_incomplete = args.allow.contains(&Allowed::Incomplete);
    let base = args.scope.changed_since.clone().or_else(|| environment.merge_target());
    let rules = Rules { allow_incomplete, base: base.as_deref(), ..Rules::telling(&head, Some(&vendoring)) };
    let plan = Plan::computed(surveyed.survey, &sources.supply, &sources.settings, &rules);
    sources.finish(terminal);
    let mut report = report("check", &plan, left_out, environment);
    match rewrite(&plan) {
        Ok(replacements) => report.patch = patch(&plan.root, &replacements),
        Err(error) => report.problems.push(Message::from_error(&error)),
    }
    to.publish_all(&plan, &mut report, &sources, terminal);
    published.look_for_all(&plan, &mut report, terminal);
    Ok(Checked { report, deny, root: plan.root })
}
