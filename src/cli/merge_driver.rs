//! `merge-driver`: git calls it for a file that both branches changed. The result goes where git wants it, whatever
//! happens: conflicts that are only in hashes are solved, all others are as git itself would leave them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use npm_nixhash::conflicts::{self, HashSupply, Solved};
use npm_nixhash::report::Message;
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::source::head::is_read;
use repository_files::git::{Git, Marks, Versions, merge};

use super::args::MergeDriverArgs;
use super::config::Config;
use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};
use super::resolve::is_lockfile;
use super::supply::Sources;

pub(super) fn run(args: &MergeDriverArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let read = |path: &PathBuf| {
        let path = environment.absolute(path);
        fs::read(&path).map_err(|error| Fatal::reading(&path, &error))
    };
    let (ancestor, ours, theirs) = (read(&args.ancestor)?, read(&args.ours)?, read(&args.theirs)?);
    let label = |given: &str, default: &str| {
        // An older git leaves what it does not know as it stands.
        if given.is_empty() || given.starts_with('%') { default.to_owned() } else { given.to_owned() }
    };
    let marks = Marks {
        size: args.marker_size,
        labels: [label(&args.our_label, "ours"), label(&args.their_label, "theirs")],
    };
    let versions = Versions { ancestor: &ancestor, ours: &ours, theirs: &theirs };
    let (merged, is_clean) = merge(versions, &marks);
    // Before anything is solved: whatever goes wrong from here on, git has what it would have made itself.
    write(&environment.absolute(&args.ours), &merged)?;
    if is_clean {
        return Ok(Exit::Fine);
    }
    match solve(args, &merged, &ancestor, environment, terminal) {
        Ok(Some(solved)) => {
            write(&environment.absolute(&args.ours), solved.text.as_bytes())?;
            let text = solved.message(&args.path.display().to_string());
            terminal.message(MessageKind::Note, &Message::plain(text));
            Ok(if solved.left == 0 { Exit::Fine } else { Exit::Drift })
        }
        Ok(None) => Ok(Exit::Drift),
        Err(Fatal(message)) => {
            terminal.message(MessageKind::Note, &message);
            Ok(Exit::Drift)
        }
    }
}

/// Solves conflicts of hashes, if there are any and it is known what else is merged.
fn solve(
    args: &MergeDriverArgs,
    merged: &[u8],
    ancestor: &[u8],
    environment: &Environment,
    terminal: &Terminal,
) -> Result<Option<Solved>, Fatal> {
    let Ok(text) = std::str::from_utf8(merged) else { return Ok(None) };
    // Marks of another length are not those that are looked for.
    if args.marker_size != 7 || !conflicts::has_conflict(text) {
        return Ok(None);
    }
    let here = fs::canonicalize(&environment.here).unwrap_or_else(|_| environment.here.clone());
    let path = here.join(&args.path);
    let root = repository_files::around(&path);
    // `1a2b3c4 (subject)` of a rebase or a cherry-pick, a branch or a commit of a merge.
    let theirs = args.their_label.split(' ').next().unwrap_or_default();
    let others = Git::of(&root).merging(theirs, &path, ancestor, is_read);
    let mut others = others.map_err(|error| {
        let message = Message::from_error(&error);
        let hint = "solve other conflicts, then `npm-nixhash update --resolve` solves those of hashes";
        Fatal(message.hinting(Some(hint)))
    })?;
    others.remove(&path);
    let sources = Sources::new(&args.sources, &Config::read(&root)?, environment, terminal)?;
    let means = HashSupply { supply: &sources.supply, settings: &sources.settings };
    // A file that conflicts as well may be what leads to this one.
    let conflicted = |path: &PathBuf, bytes: &mut Vec<u8>| {
        !is_lockfile(path) && std::str::from_utf8(bytes).is_ok_and(conflicts::has_conflict)
    };
    let text_of = |(path, bytes): (PathBuf, Vec<u8>)| Some((path, String::from_utf8(bytes).ok()?));
    let mut files: BTreeMap<PathBuf, String> =
        others.extract_if(.., conflicted).filter_map(text_of).collect();
    files.insert(path.clone(), text.to_owned());
    let solved = conflicts::solve(&root, &files, &others, &means).remove(&path);
    sources.finish(terminal);
    Ok(solved)
}

/// The file is a temporary one of git's.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Fatal> {
    fs::write(path, bytes).map_err(|error| Fatal::writing(path, &error))
}
