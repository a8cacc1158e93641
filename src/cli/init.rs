//! `init`: writes the file that puts this program to work in a repository. The files are those of `templates/`, which
//! the documentation shows too.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use npm_nixhash::{
    create::{CreateError, Creation, create_all},
    replace::Replacement,
    report::{Message, diff},
};

use super::{
    env::Environment,
    output::{Exit, Fatal, Outcome, Terminal},
};

/// What `init --help` ends with.
const INIT_NOTES: &str = "\
A file that is there is never changed without --force; what to add to it by hand is said instead. Exit codes: 0 if the \
file was written or is there as it would be written, else 2.";

#[derive(Debug, Args)]
#[command(after_help = INIT_NOTES)]
pub(super) struct InitArgs {
    /// For whom
    wanted: InitFor,
    /// The repository's root
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Write nothing; print what would be written as a unified diff
    #[arg(long)]
    dry_run: bool,
    /// Where this program's repository is, and the commit to pin; without it OWNER and COMMIT are left for you
    #[arg(long, value_name = "OWNER/REPO@COMMIT", value_parser = source)]
    source: Option<Source>,
}

/// Whom a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InitFor {
    /// renovate.json, which extends the preset
    Renovate,
    /// A GitHub workflow that checks
    Github,
    /// A GitHub workflow that commits right hashes to pull requests of bots
    GithubUpdate,
    /// A GitLab job that checks
    Gitlab,
    /// .pre-commit-config.yaml
    PreCommit,
    /// npm-nixhash.toml, with everything that a team can decide in comments
    Config,
}

/// A repository at a commit.
#[derive(Debug, Clone)]
struct Source {
    repository: String,
    commit: String,
}

/// What is written for whom.
struct Template {
    /// Where it belongs, from the repository's root.
    path: &'static str,
    text: &'static str,
    /// Other files that play the same part; where one is, ours would be ignored or would silence it.
    rivals: &'static [&'static str],
    /// What to do with a file of one's own instead.
    by_hand: &'static str,
}

const RENOVATE: Template = Template {
    path: "renovate.json",
    text: include_str!("../../templates/renovate.json"),
    rivals: &[
        "renovate.json5",
        ".github/renovate.json",
        ".github/renovate.json5",
        ".gitlab/renovate.json",
        ".gitlab/renovate.json5",
        ".renovaterc",
        ".renovaterc.json",
        ".renovaterc.json5",
    ],
    by_hand: "add \"github>OWNER/npm-nixhash//renovate/default#COMMIT\" to its \"extends\"",
};

const GITHUB: Template = Template {
    path: ".github/workflows/npm-nixhash.yml",
    text: include_str!("../../templates/github.yml"),
    rivals: &[],
    by_hand: "add a step with `uses: OWNER/npm-nixhash@COMMIT` after the checkout",
};

const GITHUB_UPDATE: Template = Template {
    path: ".github/workflows/npm-nixhash-update.yml",
    text: include_str!("../../templates/github-update.yml"),
    ..GITHUB
};

const GITLAB: Template = Template {
    path: ".gitlab-ci.yml",
    text: include_str!("../../templates/gitlab-ci.yml"),
    rivals: &[],
    by_hand: "add the job that `npm-nixhash init gitlab --dry-run` shows in an empty folder",
};

const PRE_COMMIT: Template = Template {
    path: ".pre-commit-config.yaml",
    text: include_str!("../../templates/pre-commit-config.yaml"),
    rivals: &[".pre-commit-config.yml"],
    by_hand: "add `repo: https://github.com/OWNER/npm-nixhash` with the hook `npm-nixhash` to its \"repos\"",
};

const CONFIG: Template = Template {
    path: npm_nixhash::repository::CONFIG,
    text: include_str!("../../templates/npm-nixhash.toml"),
    rivals: &[],
    by_hand: "`npm-nixhash init config --dry-run` in an empty folder shows all that can be written in it",
};

fn template(wanted: InitFor) -> &'static Template {
    match wanted {
        InitFor::Renovate => &RENOVATE,
        InitFor::Github => &GITHUB,
        InitFor::GithubUpdate => &GITHUB_UPDATE,
        InitFor::Gitlab => &GITLAB,
        InitFor::PreCommit => &PRE_COMMIT,
        InitFor::Config => &CONFIG,
    }
}

pub(super) fn run(args: &InitArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let root = environment.absolute(&args.path);
    if let Some(message) = misplaced(&root) {
        return Err(Fatal(message));
    }
    let template = template(args.wanted);
    if let Some(rival) = template.rivals.iter().find(|name| root.join(name).exists()) {
        return Err(Fatal(by_hand(&format!("{rival} does the work of {}", template.path), template, args)));
    }
    let new = filled_in(template.text, args);
    let path = root.join(template.path);
    let old = existing(&path)?;
    match &old {
        Some(old) if *old == new.as_bytes() => {
            terminal.message("note", &Message::plain(format!("{} is there already", template.path)));
            return Ok(Exit::Fine);
        }
        Some(_) if !args.force && !args.dry_run => {
            return Err(Fatal(by_hand(&format!("{} exists", template.path), template, args)));
        }
        _ => terminal.data(&diff::unified(
            Path::new(template.path),
            old.as_deref().unwrap_or_default(),
            new.as_bytes(),
        )),
    }
    if !args.dry_run {
        write(path, old, new).map_err(|error| Fatal::new(&error))?;
    }
    if args.source.is_none() {
        terminal.message(
            "note",
            &Message::plain("put your source in the place of OWNER and COMMIT, or name it with --source"),
        );
    }
    Ok(Exit::Fine)
}

/// Why a folder is not the one in which tools look for their files.
fn misplaced(root: &Path) -> Option<Message> {
    if !root.is_dir() {
        return Some(Message::plain(format!("{} is no folder", root.display())));
    }
    let root = fs::canonicalize(root).ok()?;
    if root.join(".git").exists() {
        return None;
    }
    let repository = root.ancestors().skip(1).find(|folder| folder.join(".git").exists())?;
    let hint = format!("the file belongs to its root: name {}", repository.display());
    let message = Message::plain(format!("{} is inside a repository", root.display()));
    Some(Message { hint: Some(hint), ..message })
}

fn existing(path: &Path) -> Result<Option<Vec<u8>>, Fatal> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = Message::plain(format!("cannot read {}", path.display()));
            Err(Fatal(Message { causes: vec![error.to_string()], ..message }))
        }
    }
}

fn by_hand(what: &str, template: &Template, args: &InitArgs) -> Message {
    let hint = format!("{}; --force replaces {}", filled_in(template.by_hand, args), template.path);
    let hint = if what.ends_with("exists") { hint } else { filled_in(template.by_hand, args) };
    Message { hint: Some(hint), ..Message::plain(what) }
}

/// The text with the source that the user named.
fn filled_in(text: &str, args: &InitArgs) -> String {
    match &args.source {
        None => text.to_owned(),
        Some(source) => {
            text.replace("OWNER/npm-nixhash", &source.repository).replace("COMMIT", &source.commit)
        }
    }
}

fn write(path: PathBuf, old: Option<Vec<u8>>, new: String) -> Result<(), CreateError> {
    let bytes = new.into_bytes();
    match old {
        None => create_all(&[Creation { path, bytes }], &[]),
        Some(old) => create_all(&[], &[Replacement { path, old, new: bytes }]),
    }
}

fn source(text: &str) -> Result<Source, String> {
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    let parts = text.split_once('@').and_then(|(repository, commit)| {
        let (owner, name) = repository.split_once('/')?;
        (plain(owner) && plain(name) && plain(commit)).then_some((repository, commit))
    });
    let (repository, commit) = parts.ok_or("expected OWNER/REPO@COMMIT")?;
    Ok(Source { repository: repository.to_owned(), commit: commit.to_owned() })
}
