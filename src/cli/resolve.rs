//! `update --resolve`: conflicts that a merge left, and in which only hashes differ, are solved before anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use npm_nixhash::conflicts::{self, HashSupply, Solved};
use npm_nixhash::replace::{FileReplacement, replace_all};
use npm_nixhash::report::Message;
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::source::head::is_read;
use repository_files::git::Git;

use super::args::SourceArgs;
use super::config::Config;
use super::env::Environment;
use super::output::{Fatal, Terminal};
use super::supply::Sources;
use super::survey::paths;

/// A larger file holds no hash that somebody wrote.
const LARGEST: u64 = 8 << 20;

/// Whether a file is a lockfile by its name.
pub(super) fn is_lockfile(path: &Path) -> bool {
    path.file_name().is_some_and(|own| npm_lockfile::FILE_NAMES.iter().any(|name| own == OsStr::new(name)))
}

/// Solves what can be solved in the repository around, and says what was.
pub(super) fn resolve(
    args: &SourceArgs,
    environment: &Environment,
    terminal: &Terminal,
) -> Result<(), Fatal> {
    let here = fs::canonicalize(&environment.here).unwrap_or_else(|_| environment.here.clone());
    let root = &repository_files::around(&here);
    let files = conflicted(root);
    if files.is_empty() {
        return Ok(());
    }
    let sources = Sources::new(args, &Config::read(root)?, environment, terminal)?;
    let means = HashSupply { supply: &sources.supply, settings: &sources.settings };
    let solved = conflicts::solve(root, &files, &BTreeMap::new(), &means);
    sources.finish(terminal);
    let replacement = |(path, Solved { text, .. }): (&PathBuf, &Solved)| FileReplacement {
        path: path.clone(),
        old: files[path].clone().into_bytes(),
        new: text.clone().into_bytes(),
    };
    let replacements: Vec<_> = solved.iter().map(replacement).collect();
    replace_all(&replacements).map_err(|error| Fatal::new(&error))?;
    let paths = paths(environment, root);
    for (path, solved) in &solved {
        terminal.message(MessageKind::Note, &Message::plain(solved.message(&paths.show(path))));
    }
    for path in files.keys().filter(|path| !solved.contains_key(*path)) {
        let text = format!(
            "{} has conflicts in more than hashes, or their lockfiles are not merged",
            paths.show(path)
        );
        let hint = "solve those first; a conflict in a lockfile with `npm install --package-lock-only`";
        terminal.message(MessageKind::Warning, &Message::plain(text).hinting(Some(hint)));
    }
    Ok(())
}

/// The files with conflicts, lockfiles apart: npm solves those.
fn conflicted(root: &Path) -> BTreeMap<PathBuf, String> {
    let git = Git::of(root);
    let tracked = git.tracked().ok();
    let listing = repository_files::list(root, tracked, &npm_lockfile::FILE_NAMES);
    let mut paths: BTreeSet<PathBuf> = listing.nix.clone();
    paths.extend(tracked.into_iter().flat_map(|tracked| tracked.files()).cloned());
    let is_foreign = |path: &Path| listing.borders.iter().any(|border| path.starts_with(&border.folder));
    let read = |path: PathBuf| {
        let metadata = fs::symlink_metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return None;
        }
        let text = fs::read_to_string(&path).ok()?;
        conflicts::has_conflict(&text).then_some((path, text))
    };
    paths
        .into_iter()
        .filter(|path| is_read(path) && !is_lockfile(path) && !is_foreign(path))
        .filter_map(read)
        .collect()
}
