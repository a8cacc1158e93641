//! `update`: every stale hash becomes its lockfile's, in place; all files or none.

use std::time::Instant;

use npm_nixhash::{
    drift::{Plan, Rules},
    replace::{Replacement, replace_all, sweep},
    report::{Message, Paths, Report, diff, human},
    rewrite::rewrite,
};

use super::{
    args::UpdateArgs,
    env::Environment,
    npm::vendoring,
    output::{Exit, Fatal, Outcome, Terminal},
    supply::Sources,
    survey::{State, head, paths, survey},
};

pub(super) fn run(args: &UpdateArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    let sources = Sources::new(&args.sources, environment, terminal)?;
    let survey = survey(&args.scope.path, environment)?;
    let vendoring = vendoring(environment, &sources, args.trust.require_signatures);
    let rules = Rules {
        alarm: true,
        accept_changed_sources: args.trust.accept_changed_sources,
        renew_lockfiles: true,
        npm: Some(&vendoring),
        head: &head(&survey, environment),
    };
    let plan = Plan::computed(survey, &sources.supply, &sources.settings, &rules);
    sources.finish(terminal);
    plan.files.keys().filter_map(|file| file.parent()).for_each(sweep);
    let paths = paths(environment);
    let mut report = Report::new("update", &plan, &paths);
    let state = State::of(&report, &args.deny);
    let ready = !state.failed && !state.denied;
    if ready {
        let replacements = rewrite(&plan).map_err(|error| Fatal::new(&error))?;
        carry_out(args, &replacements, &mut report, &paths, terminal)?;
    }
    if args.json {
        terminal.data(&report.json());
    } else if ready && !args.dry_run {
        terminal.data(&human::update(&report, started.elapsed().as_secs_f64()));
    }
    terminal.messages(&human::messages(&report));
    if ready {
        return Ok(Exit::Fine);
    }
    if state.stale {
        terminal.message("error", &Message::plain("nothing was changed, because not every hash is known"));
    }
    Ok(Exit::Failed)
}

fn carry_out(
    args: &UpdateArgs,
    replacements: &[Replacement],
    report: &mut Report,
    paths: &Paths,
    terminal: &Terminal,
) -> Result<(), Fatal> {
    report.changed_files = replacements.iter().map(|replacement| paths.show(&replacement.path)).collect();
    if !args.dry_run {
        replace_all(replacements).map_err(|error| Fatal::new(&error))?;
        report.set_updated();
    } else if !args.json {
        for Replacement { path, old, new } in replacements {
            terminal.data(&diff::unified(&paths.show(path), old, new));
        }
    }
    Ok(())
}
