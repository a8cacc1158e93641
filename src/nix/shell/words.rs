//! What the words of a command say: operands, paths, names of lockfiles.

use super::phase::NAMES;
use super::script::{Command, has_mark, is_dynamic};

pub(super) struct Operands {
    pub sources: Vec<String>,
    pub target: String,
    pub into_folder: bool,
    /// `-n`: an existing file stays.
    pub keep: bool,
}

pub(super) fn operands(command: &Command, name: &str) -> Option<Operands> {
    let mut words = Vec::new();
    let mut target = None;
    let mut keep = false;
    let mut folders_only = false;
    let mut args = command.words.iter().skip(1);
    while let Some(word) = args.next() {
        match word.as_str() {
            "-t" | "--target-directory" => target = args.next().cloned(),
            "-m" | "-o" | "-g" | "--mode" | "-S" if name == "install" || name == "cp" => {
                args.next();
            }
            "-d" if name == "install" => folders_only = true,
            "--no-clobber" | "--update=none" => keep = true,
            _ if word.starts_with("--target-directory=") => {
                target = word.split_once('=').map(|(_, t)| t.to_owned());
            }
            _ if word.starts_with("--") => {}
            _ if word.starts_with('-') && word.len() > 1 => {
                keep |= name != "install" && name != "ln" && word.contains('n') && name == "cp";
                if word.ends_with('t') && name != "install" {
                    target = args.next().cloned();
                }
            }
            _ => words.push(word.clone()),
        }
    }
    if folders_only {
        return None;
    }
    let into_folder = target.is_some();
    let target = match target {
        Some(target) => target,
        None if words.len() == 1 && name == "ln" => ".".to_owned(),
        None if words.len() >= 2 => words.pop()?,
        None => return None,
    };
    let into_folder = into_folder || target.ends_with('/') || target == ".";
    Some(Operands { sources: words, target, into_folder, keep })
}

pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

pub(super) fn is_lockfile(word: &str) -> bool {
    NAMES.iter().any(|name| word.contains(name)) || word.contains("package-lock")
}

pub(super) fn is_glob_for_lockfile(word: &str) -> bool {
    matches!(
        word,
        "*" | "./*"
            | "*.json"
            | "./*.json"
            | "package*"
            | "package*.json"
            | "./package*"
            | "*lock*"
            | "*-lock.json"
    )
}

/// Whether any word or redirection of a command names a lockfile.
pub(super) fn mentions(command: &Command) -> bool {
    command.words.iter().chain(&command.inputs).any(|word| is_lockfile(word))
}

/// Whether a command may write files that its words do not spell out.
pub(super) fn touches_many(command: &Command) -> bool {
    let words = &command.words;
    if words.iter().skip(1).any(|word| is_glob_for_lockfile(word) || word.ends_with("*.json")) {
        return true;
    }
    let runs_others = words
        .iter()
        .any(|word| word == "xargs" || word == "-exec" || word == "-delete" || word == "-execdir");
    let named = words.iter().any(|word| word == "-name" || word == "-iname" || word == "-path");
    runs_others && !named
}

/// The name that a copied file keeps; a path in the store has a hash before it.
pub(super) fn plain_name(word: &str) -> Option<&str> {
    let name = word.rsplit('/').next()?;
    (!has_mark(name) && !is_dynamic(name)).then_some(name)
}
