//! `explain`: what a recorded hash is. Nothing is written.

use nix_sites::{Outcome as Tied, Site};
use npm_nixhash::explain::{HashVerdict, OwnLockfile, SearchSupply, Subject, explain, own};
use npm_nixhash::report::explained::{self, Explained};
use npm_nixhash::report::service;
use repository_files::git::{Git, merged_by};

use super::args::ExplainArgs;
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::supply::Sources;
use super::survey::{Surveyed, paths, survey};

pub(super) fn run(args: &ExplainArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let Surveyed { survey, config, .. } = survey(&args.scope, environment)?;
    let sources = Sources::new(&args.sources, &config, environment, terminal)?;
    let git = Git::of(&survey.root);
    let listing = repository_files::list(&survey.root, git.tracked().ok(), &npm_lockfile::FILE_NAMES);
    let means = SearchSupply {
        supply: &sources.supply,
        settings: &sources.settings,
        git: &git,
        earlier: args.commits,
        download: args.download,
    };
    let paths = paths(environment, &survey.root);
    let mut all: Vec<Explained> = Vec::new();
    for site in &survey.sites {
        let lockfile = lockfile_of(site)?;
        for literal in &site.hashes {
            let subject = Subject {
                recorded: literal.written.clone(),
                lockfile: lockfile.clone(),
                options: site.options,
                others: listing.lockfiles.iter().cloned().collect(),
            };
            let explanation = explain(&subject, &means);
            let service = service(site, &paths);
            let merged_by = subject.lockfile.as_ref().and_then(|own| merged_by(&survey.root, &own.path));
            all.push(Explained { service, literal: literal.clone(), subject, explanation, merged_by });
        }
    }
    sources.finish(terminal);
    if args.json {
        terminal.data(&explained::json(&all, &paths));
    } else {
        terminal.text(&explained::human(&all, &paths, terminal.look()));
    }
    let unknown = all.iter().any(|one| matches!(one.explanation.verdict, HashVerdict::Unknown));
    Ok(if unknown { Exit::Drift } else { Exit::Fine })
}

/// The lockfile that the derivation hashes, if it is a file of the repository.
fn lockfile_of(site: &Site) -> Result<Option<OwnLockfile>, Fatal> {
    match &site.outcome {
        Tied::Local { lockfile, edits } => {
            own(lockfile, edits).map(Some).map_err(|error| Fatal::reading(lockfile, &error))
        }
        _ => Ok(None),
    }
}
