//! `update`: every stale hash becomes its lockfile's, in place. Derivations are independent: what is proven is written, what
//! is not is told. What belongs to one derivation, or is shared by several, changes together or not at all.

use std::sync::Arc;
use std::time::Instant;

use error_advice::Advise;
use npm_nixhash::drift::{Plan, Rules};
use npm_nixhash::replace::{FileReplacement, ReplaceError, replace_all, sweep};
use npm_nixhash::report::messages::{self, MessageKind};
use npm_nixhash::report::{Message, Report, human};
use npm_nixhash::rewrite::{groups, rewrite};
use npm_nixhash::source::head::Head;

use super::args::{Allowed, Denied, Format, UpdateArgs};
use super::config::Config;
use super::env::Environment;
use super::fleet::Caches;
use super::nix_store::add_all;
use super::npm::vendoring;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::publish::{StandardOutput, patch, publish};
use super::repair;
use super::resolve::resolve;
use super::supply::{PublishSettings, Sources};
use super::survey::{RunState, Surveyed, report, survey};

/// How often a run begins again because somebody else wrote to its files meanwhile: each time others got on with theirs, so
/// that a few dozen runs on one checkout all end.
const AGAIN: usize = 50;

pub(super) fn run(args: &UpdateArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    if args.resolve {
        resolve(&args.sources, environment, terminal)?;
    }
    let mut surveyed = survey(&args.scope, environment)?;
    let mut sources = Sources::new(&args.sources, &surveyed.config, environment, terminal)?;
    let caches = caches(args, &surveyed.config, &sources, environment, terminal)?;
    if args.add_to_store || caches.as_ref().is_some_and(|caches| !caches.is_empty()) {
        sources.keep_for_the_run();
    }
    let deny = surveyed.deny(&args.deny);
    let mut work = Update::carry_out(surveyed, args, &sources, environment, &deny);
    for _ in 0..AGAIN {
        if !work.overtaken {
            break;
        }
        surveyed = survey(&args.scope, environment)?;
        work = Update::carry_out(surveyed, args, &sources, environment, &deny).after(work);
    }
    sources.finish(terminal);
    let Update { plan, mut report, written, held_back, .. } = work;
    report.patch = patch(&plan.root, &written);
    report.set_changed_files(written.iter().map(|replacement| replacement.path.as_path()));
    // The files are right whatever becomes of the store.
    let added = (args.add_to_store && !held_back).then(|| add_all(&plan, &mut report, &sources, environment));
    if let Some(caches) = caches.filter(|_| !held_back) {
        caches.publish_all(&plan, &mut report, &sources, terminal);
    }
    let seconds = started.elapsed().as_secs_f64();
    let human = |look| human::update(&report, seconds, look);
    let default = if args.dry_run { Format::Patch } else { Format::Human };
    publish(&args.report, &report, StandardOutput { format: default, human: &human }, environment, terminal)?;
    // The last line is kept for what became of the files.
    terminal.messages(&messages::messages(&report, terminal.room().saturating_sub(1)));
    for unnamed in added.transpose()?.into_iter().flatten() {
        terminal.message(MessageKind::Warning, &unnamed);
    }
    Ok(conclude(&RunState::of(&report, &deny), held_back, terminal))
}

/// Where outputs are published, if anywhere.
///
/// # Errors
/// A cache of the command line cannot be opened, or nothing would be published although it was asked for.
fn caches(
    args: &UpdateArgs,
    config: &Config,
    sources: &Sources,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Option<Caches>, Fatal> {
    if args.dry_run && args.publish.wanted() {
        return Err(Fatal(Message::plain("--dry-run changes nothing, and so it does not --publish")));
    }
    #[cfg(feature = "fleet")]
    let config = Some(config).filter(|_| !args.no_publish);
    #[cfg(not(feature = "fleet"))]
    let config = Some(config);
    let settings = PublishSettings { args: &args.publish, remote: &args.sources.remote, config };
    let caches = || Caches::to_publish(settings, sources, environment, terminal);
    (!args.dry_run).then(caches).transpose()
}

/// What was done.
struct Update {
    plan: Plan,
    report: Report,
    written: Vec<FileReplacement>,
    /// Nothing was written, because not everything is as it was wanted.
    held_back: bool,
    /// Something was not written, because somebody else wrote to its file meanwhile.
    overtaken: bool,
}

impl Update {
    fn carry_out(
        surveyed: Surveyed,
        args: &UpdateArgs,
        sources: &Sources,
        environment: &Environment,
        deny: &[Denied],
    ) -> Self {
        let Surveyed { survey, left_out, .. } = surveyed;
        let vendoring = vendoring(environment, sources, args.trust.require_signatures);
        let repairs = args.repair.then(|| repair::in_memory(&survey, sources));
        let base = args.scope.changed_since.clone().or_else(|| environment.merge_target());
        let rules = Rules {
            alarm: true,
            accept_changed_sources: args.trust.accept_changed_sources,
            renew_lockfiles: true,
            repairs: repairs.as_ref(),
            allow_incomplete: args.allow.contains(&Allowed::Incomplete),
            npm: Some(&vendoring),
            head: &Head::of(survey.root.clone()),
            base: base.as_deref(),
        };
        let mut plan = Plan::computed(survey, &sources.supply, &sources.settings, &rules);
        plan.files.keys().filter_map(|file| file.parent()).for_each(sweep);
        plan.keep_to_the_repository();
        if deny.contains(&Denied::Assumed) {
            plan.refuse_assumed();
        }
        let replacements = rewritten(&mut plan);
        // Judged by a report of its own: writing can still fail, and the one that is shown is made after that.
        let before = RunState::of(&report("update", &plan, left_out.clone(), environment), deny);
        let held_back =
            args.all_or_nothing && (before.failed || before.incomplete || !before.denied.is_empty());
        let (written, overtaken) = match (held_back, args.dry_run) {
            (true, _) => (Vec::new(), false),
            (false, true) => (replacements, false),
            (false, false) => replaced(&mut plan, replacements),
        };
        let mut report = report("update", &plan, left_out, environment);
        if !held_back && !args.dry_run {
            report.set_updated();
        }
        Self { plan, report, written, held_back, overtaken }
    }

    /// What was done in all, if something was done before.
    fn after(mut self, before: Self) -> Self {
        self.report.remember_updated(before.report);
        for earlier in before.written {
            match self.written.iter_mut().find(|later| later.path == earlier.path) {
                // The patch leads from what the run found to what it left, however often it began again.
                Some(later) => later.old = earlier.old,
                None => self.written.push(earlier),
            }
        }
        self.written.sort_by(|a, b| a.path.cmp(&b.path));
        self
    }
}

fn conclude(state: &RunState, held_back: bool, terminal: &Terminal) -> Exit {
    let denied = state.denied.join(" and ");
    if held_back {
        let why = if state.failed || state.incomplete {
            "not every hash is known".to_owned()
        } else {
            format!("there are {denied}")
        };
        terminal.message(MessageKind::Error, &Message::plain(format!("nothing was changed, because {why}")));
    } else if !state.denied.is_empty() {
        terminal.message(MessageKind::Error, &Message::plain(format!("there are {denied}")));
    }
    if state.failed || state.incomplete || state.nothing || !state.denied.is_empty() {
        Exit::Failed
    } else {
        Exit::Fine
    }
}

/// The new texts of all files that can have one; sites of other files become failures.
fn rewritten(plan: &mut Plan) -> Vec<FileReplacement> {
    loop {
        match rewrite(plan) {
            Ok(replacements) => return replacements,
            // One site fewer each time.
            Err(error) => {
                let file = error.path().to_owned();
                plan.refuse(&[file], &(Arc::new(error) as Arc<dyn Advise + Send + Sync>));
            }
        }
    }
}

/// Replaces files, each group of those that belong together or none of it; gives those that were replaced, and whether one
/// changed meanwhile. Sites of the others become failures.
fn replaced(plan: &mut Plan, replacements: Vec<FileReplacement>) -> (Vec<FileReplacement>, bool) {
    let (mut written, mut overtaken) = (Vec::new(), false);
    for group in groups(plan, replacements) {
        match replace_all(&group) {
            Ok(()) => written.extend(group),
            Err(error) => {
                let files: Vec<_> = group.into_iter().map(|replacement| replacement.path).collect();
                overtaken |= matches!(error, ReplaceError::Changed(_));
                plan.refuse(&files, &(Arc::new(error) as Arc<dyn Advise + Send + Sync>));
            }
        }
    }
    written.sort_by(|a, b| a.path.cmp(&b.path));
    (written, overtaken)
}
