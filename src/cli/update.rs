//! `update`: every stale hash becomes its lockfile's, in place; all files or none.

use std::time::Instant;

use npm_nixhash::{
    drift::{Plan, Rules},
    replace::{replace_all, sweep},
    report::{Message, Report, human, messages},
    rewrite::rewrite,
};

use super::{
    args::{Format, UpdateArgs},
    env::Environment,
    nix_store::add_all,
    npm::vendoring,
    output::{Exit, Fatal, Outcome, Terminal},
    publish::{patch, publish},
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
    let mut report = Report::new("update", &plan, paths(environment, &plan.root));
    let state = State::of(&report, &args.deny);
    let ready = !state.failed && state.denied.is_empty();
    if ready {
        carry_out(&plan, args.dry_run, &mut report)?;
    }
    // The files are right whatever becomes of the store.
    let added = (ready && args.add_to_store).then(|| add_all(&plan, &mut report, &sources, environment));
    let human = if ready { human::update(&report, started.elapsed().as_secs_f64()) } else { String::new() };
    let default = if args.dry_run { Format::Patch } else { Format::Human };
    publish(&args.report, &report, default, &human, environment, terminal)?;
    // The last line is kept for what became of the files.
    terminal.messages(&messages::messages(&report, terminal.room().saturating_sub(1)));
    for unnamed in added.transpose()?.into_iter().flatten() {
        terminal.message("warning", &unnamed);
    }
    if ready {
        return Ok(Exit::Fine);
    }
    if state.stale || !state.failed {
        let denied = || format!("there are {}", state.denied.join(" and "));
        let why = if state.failed { "not every hash is known".to_owned() } else { denied() };
        terminal.message("error", &Message::plain(format!("nothing was changed, because {why}")));
    }
    Ok(Exit::Failed)
}

fn carry_out(plan: &Plan, dry_run: bool, report: &mut Report) -> Result<(), Fatal> {
    let replacements = rewrite(plan).map_err(|error| Fatal::new(&error))?;
    report.patch = patch(&plan.root, &replacements);
    report.set_changed_files(replacements.iter().map(|replacement| replacement.path.as_path()));
    if !dry_run {
        replace_all(&replacements).map_err(|error| Fatal::new(&error))?;
        report.set_updated();
    }
    Ok(())
}
