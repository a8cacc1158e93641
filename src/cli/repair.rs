//! `repair`: lockfiles get the `resolved` and `integrity` that they lack, and nothing else of them changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix_sites::{Outcome as Tied, Survey};
use npm_nixhash::drift::{RepairedLockfile, Repairs};
use npm_nixhash::repair::{Filled, RepairError, Repaired, Thoroughness, repair};
use npm_nixhash::replace::{FileReplacement, replace_all, sweep};
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::report::{Message, Paths, RepairReport, RepairStatus, RepairSummary, repair_messages};

use super::args::RepairArgs;
use super::config::Config;
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::supply::Sources;
use super::survey::{Surveyed, paths, survey};

pub(super) fn run(args: &RepairArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let (lockfiles, paths) = lockfiles(args, environment)?;
    let config = Config::around(lockfiles.first().unwrap_or(&environment.here))?;
    let sources = Sources::new(&args.sources, &config, environment, terminal)?;
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) => Err(Fatal::reading(&path, &error)),
    };
    let old: Vec<_> = lockfiles.into_iter().map(read).collect::<Result<_, _>>()?;
    let bytes: Vec<&[u8]> = old.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let results = repair(&bytes, sources.registry(), Thoroughness { strengthen: args.strengthen });
    sources.finish(terminal);
    let mut report = RepairReport::default();
    for ((path, old), result) in old.into_iter().zip(results) {
        let lockfile = paths.show(&path);
        let (status, filled, errors) = conclude(result, path, old, args.check);
        for message in &errors {
            let told = format!("{lockfile}: {}", message.message);
            terminal.message(MessageKind::Error, &Message { message: told, ..message.clone() });
        }
        report.add(lockfile, status, &filled, errors);
    }
    if args.json {
        terminal.data(&report.json());
    } else {
        terminal.text(&report.human(terminal.look()));
    }
    Ok(match report.summary {
        RepairSummary { failed: 1.., .. } => Exit::Failed,
        RepairSummary { incomplete: 1.., .. } => Exit::Drift,
        _ => Exit::Fine,
    })
}

/// What becomes of a lockfile, which is written unless `check` says otherwise. Each is one of its own: what cannot be written
/// keeps no other one from it.
fn conclude(
    result: Result<Repaired, RepairError>,
    path: PathBuf,
    old: Vec<u8>,
    check: bool,
) -> (RepairStatus, Vec<Filled>, Vec<Message>) {
    let Repaired { bytes: new, filled } = match result {
        Ok(repaired) if repaired.filled.is_empty() => {
            return (RepairStatus::Complete, Vec::new(), Vec::new());
        }
        Ok(repaired) if check => return (RepairStatus::Incomplete, repaired.filled, Vec::new()),
        Ok(repaired) => repaired,
        Err(error) => return (RepairStatus::Failed, Vec::new(), repair_messages(&error)),
    };
    path.parent().map(sweep);
    match replace_all(&[FileReplacement { path, old, new }]) {
        Ok(()) => (RepairStatus::Completed, filled, Vec::new()),
        Err(error) => {
            let message = Message::of(&error);
            (RepairStatus::Failed, Vec::new(), vec![message])
        }
    }
}

/// The lockfile that is named, or those of the derivations that are; and how paths are shown.
fn lockfiles(args: &RepairArgs, environment: &Environment) -> Result<(Vec<PathBuf>, Paths), Fatal> {
    let named = |word: &OsString| {
        let path = environment.absolute(Path::new(word));
        // A lockfile may be called anything; a `.nix` file stands for the derivations in it.
        (path.is_file() && path.extension().is_none_or(|extension| extension != "nix")).then_some(path)
    };
    if !args.scope.wanted.is_empty()
        && let Some(files) = args.scope.wanted.iter().map(named).collect::<Option<Vec<_>>>()
    {
        return Ok((files, paths(environment, &environment.here)));
    }
    let Surveyed { survey, .. } = survey(&args.scope, environment)?;
    let found = used(&survey);
    if found.is_empty() {
        let message = "no npm derivation that is meant has a lockfile in the repository";
        return Err(Fatal(Message::plain(message).hinting(Some("name the lockfile itself"))));
    }
    let paths = paths(environment, &survey.root);
    Ok((found.into_iter().collect(), paths))
}

/// The lockfiles of the repository that its derivations use, each once.
fn used(survey: &Survey) -> BTreeSet<PathBuf> {
    let local = |outcome: &Tied| match outcome {
        Tied::Local { lockfile, .. } => Some(lockfile.clone()),
        _ => None,
    };
    let of_sites = survey.sites.iter().filter_map(|site| local(&site.outcome));
    of_sites.chain(survey.uses.iter().map(|used| used.lockfile.clone())).collect()
}

/// Completes the lockfiles of a survey in memory, for a run that goes on with them. One that cannot be read is told of
/// where it is needed.
pub(super) fn in_memory(survey: &Survey, sources: &Sources) -> Repairs {
    let old: Vec<(PathBuf, Arc<[u8]>)> = used(survey)
        .into_iter()
        .filter_map(|path| Some((path.clone(), fs::read(path).ok()?.into())))
        .collect();
    let bytes: Vec<&[u8]> = old.iter().map(|(_, bytes)| &**bytes).collect();
    let results = repair(&bytes, sources.registry(), Thoroughness::default());
    let mut repairs = Repairs { done: BTreeMap::new(), failed: BTreeMap::new() };
    for ((path, old), result) in old.into_iter().zip(results) {
        match result {
            Ok(repaired) if repaired.filled.is_empty() => {}
            Ok(repaired) => {
                let (new, packages) = (repaired.bytes.into(), repaired.filled.len());
                repairs.done.insert(path.clone(), RepairedLockfile { path, old, new, packages });
            }
            // What is not a lockfile at all is told of where its hash is computed.
            Err(RepairError::Lockfile(_)) => {}
            Err(error) => drop(repairs.failed.insert(path, Arc::new(error))),
        }
    }
    repairs
}
