//! `repair`: lockfiles get the `resolved` and `integrity` that they lack, and nothing else of them changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use npm_nixhash::{
    drift::{RepairedLockfile, Repairs},
    nix::{Outcome as Tied, Survey},
    repair::{Filled, RepairError, Thoroughness, repair},
    replace::{Replacement, replace_all, sweep},
    report::{Message, Paths, repair_messages},
};

use super::{
    args::RepairArgs,
    config::Config,
    env::Environment,
    hash::unreadable,
    output::{Exit, Fatal, Outcome, Terminal},
    supply::Sources,
    survey::{Surveyed, paths, survey},
};

/// Packages that are named before the rest is only counted.
const NAMED: usize = 8;

pub(super) fn run(args: &RepairArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let (lockfiles, paths) = lockfiles(args, environment)?;
    let config = Config::around(lockfiles.first().unwrap_or(&environment.here))?;
    let sources = Sources::new(&args.sources, &config, environment, terminal)?;
    let read = |path: PathBuf| match fs::read(&path) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) => Err(unreadable(&path, &error)),
    };
    let old: Vec<_> = lockfiles.into_iter().map(read).collect::<Result<_, _>>()?;
    let bytes: Vec<&[u8]> = old.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let results = repair(&bytes, sources.supply.registry(), Thoroughness { strengthen: args.strengthen });
    sources.finish(terminal);
    let (mut replacements, mut text, mut failed, mut whole) = (Vec::new(), String::new(), 0, 0);
    for ((path, old), result) in old.into_iter().zip(results) {
        let shown = paths.show(&path);
        match result {
            Ok(repaired) if repaired.filled.is_empty() => whole += 1,
            Ok(repaired) => {
                text += &row(&shown, &repaired.filled, args.check);
                replacements.push(Replacement { path, old, new: repaired.bytes });
            }
            Err(error) => {
                failed += 1;
                tell(&shown, &error, terminal);
            }
        }
    }
    if !args.check {
        replacements.iter().filter_map(|replacement| replacement.path.parent()).for_each(sweep);
        replace_all(&replacements).map_err(|error| Fatal::new(&error))?;
    }
    let incomplete = if args.check { "incomplete" } else { "completed" };
    let counts = [(replacements.len(), incomplete), (whole, "complete"), (failed, "failed")];
    let counts =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
    text += &(counts.collect::<Vec<_>>().join(", ") + "\n");
    terminal.text(&text);
    Ok(match failed {
        0 if args.check && !replacements.is_empty() => Exit::Drift,
        0 => Exit::Fine,
        _ => Exit::Failed,
    })
}

/// `web/package-lock.json: 72 packages completed: a@1.0.0, ...`
fn row(path: &str, filled: &[Filled], check: bool) -> String {
    let names: BTreeSet<&str> = filled.iter().map(|filled| filled.package.as_str()).collect();
    let more = names.len().saturating_sub(NAMED);
    let list = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = if check { "to complete" } else { "completed" };
    let noun = if names.len() == 1 { "package" } else { "packages" };
    format!("{path}: {} {noun} {what}: {list}{more}\n", names.len())
}

fn tell(path: &str, error: &RepairError, terminal: &Terminal) {
    for message in repair_messages(error) {
        terminal.message("error", &Message { message: format!("{path}: {}", message.message), ..message });
    }
}

/// The lockfile that is named, or those of the derivations that are; and how paths are shown.
fn lockfiles(args: &RepairArgs, environment: &Environment) -> Result<(Vec<PathBuf>, Paths), Fatal> {
    let named = |word: &OsString| {
        let path = environment.absolute(Path::new(word));
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
    let results = repair(&bytes, sources.supply.registry(), Thoroughness::default());
    let mut repairs = Repairs { done: BTreeMap::new(), failed: BTreeMap::new() };
    for ((path, old), result) in old.into_iter().zip(results) {
        match result {
            Ok(repaired) if repaired.filled.is_empty() => {}
            Ok(repaired) => {
                let (new, packages) = (repaired.bytes.into(), repaired.filled.len());
                repairs.done.insert(path.clone(), RepairedLockfile { path, old, new, packages });
            }
            // What is no lockfile at all is told of where its hash is computed.
            Err(RepairError::Lockfile(_)) => {}
            Err(error) => drop(repairs.failed.insert(path, Arc::new(error))),
        }
    }
    repairs
}
