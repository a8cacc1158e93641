//! `init`: writes the file that puts this program to work in a repository. The files are those of `templates/`, which
//! the documentation shows too.

use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::{Args, ValueEnum};
use npm_nixhash::create::{CreateError, Creation, create_all};
use npm_nixhash::replace::FileReplacement;
use npm_nixhash::report::messages::MessageKind;
use npm_nixhash::report::{Message, diff};
use repository_files::git::{Git, MergedBy, merged_by};

use super::env::Environment;
use super::output::{Exit, Fatal, Outcome, Terminal};

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
    /// Write nothing; print the file alone, to be put elsewhere
    #[arg(long, conflicts_with = "dry_run")]
    print: bool,
    /// Where this program's repository is, and the tag (v1.2.3) or whole commit to pin; by default this release of it
    #[arg(long, value_name = "OWNER/REPO@REF", value_parser = source)]
    source: Option<PinnedRepository>,
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
    /// A GitHub workflow that opens a pull request with right hashes, for protected branches
    GithubPullRequest,
    /// A GitHub workflow that publishes npm-deps outputs into a Nix binary cache
    GithubPublish,
    /// A workflow that checks, for Forgejo and Gitea
    Forgejo,
    /// A GitLab job that checks
    Gitlab,
    /// A GitLab job that publishes npm-deps outputs into a Nix binary cache
    GitlabPublish,
    /// .pre-commit-config.yaml
    PreCommit,
    /// .gitattributes, and the git configuration that solves merge conflicts of hashes
    MergeDriver,
    /// npm-nixhash.toml, with everything that a team can decide in comments
    Config,
}

/// A repository at a tag or commit.
#[derive(Debug, Clone)]
struct PinnedRepository {
    repository: String,
    reference: Reference,
}

/// What can be pinned: a branch moves, and an abbreviated commit is refused by those who read these files.
#[derive(Debug, Clone)]
enum Reference {
    /// `1.2.3` of the tag `v1.2.3`.
    Version(String),
    /// 40 hexadecimal digits.
    Commit(String),
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
    /// Where the text goes when the file is there already, if that file can include others, and how.
    beside: Option<(&'static str, &'static str)>,
    /// What it needs to know of this program's repository.
    needs: Needs,
}

/// What a template needs to know of this program's repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// A tag or a commit.
    Source,
    /// A tag: it downloads a release, which a commit does not name.
    Release,
    /// Nothing; without a source the lines that would name it are left out.
    Nothing,
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
    by_hand: "add \"github>OWNER/npm-nixhash//renovate/default#REF\" to its \"extends\"",
    beside: None,
    needs: Needs::Source,
};

const GITHUB: Template = Template {
    path: ".github/workflows/npm-nixhash.yml",
    text: include_str!("../../templates/github.yml"),
    rivals: &[],
    by_hand: "add a step with `uses: OWNER/npm-nixhash@REF` after the checkout",
    beside: None,
    needs: Needs::Source,
};

const GITHUB_UPDATE: Template = Template {
    path: ".github/workflows/npm-nixhash-update.yml",
    text: include_str!("../../templates/github-update.yml"),
    ..GITHUB
};

const GITHUB_PULL_REQUEST: Template = Template {
    path: ".github/workflows/npm-nixhash-pull-request.yml",
    text: include_str!("../../templates/github-pull-request.yml"),
    ..GITHUB
};

const GITHUB_PUBLISH: Template = Template {
    path: ".github/workflows/npm-nixhash-publish.yml",
    text: include_str!("../../templates/github-publish.yml"),
    ..GITHUB
};

const FORGEJO: Template = Template {
    path: ".forgejo/workflows/npm-nixhash.yml",
    text: include_str!("../../templates/forgejo.yml"),
    by_hand: "add a step with `uses: https://github.com/OWNER/npm-nixhash@REF` after the checkout",
    ..GITHUB
};

const GITLAB: Template = Template {
    path: ".gitlab-ci.yml",
    text: include_str!("../../templates/gitlab-ci.yml"),
    rivals: &[],
    by_hand: "add the job that `npm-nixhash init gitlab --print` prints",
    beside: Some((
        ".gitlab/npm-nixhash.yml",
        "add `include: [{ local: .gitlab/npm-nixhash.yml }]` to .gitlab-ci.yml, or the item to the list that it has",
    )),
    needs: Needs::Release,
};

const GITLAB_PUBLISH: Template = Template {
    text: include_str!("../../templates/gitlab-publish.yml"),
    by_hand: "add the job that `npm-nixhash init gitlab-publish --print` prints",
    beside: Some((
        ".gitlab/npm-nixhash-publish.yml",
        "add `include: [{ local: .gitlab/npm-nixhash-publish.yml }]` to .gitlab-ci.yml, or the item to the list that it has",
    )),
    ..GITLAB
};

const PRE_COMMIT: Template = Template {
    path: ".pre-commit-config.yaml",
    text: include_str!("../../templates/pre-commit-config.yaml"),
    rivals: &[".pre-commit-config.yml"],
    by_hand: "add `repo: https://github.com/OWNER/npm-nixhash` with the hook `npm-nixhash` to its \"repos\"",
    beside: None,
    needs: Needs::Source,
};

const CONFIG: Template = Template {
    path: repository_files::CONFIG,
    text: include_str!("../../templates/npm-nixhash.toml"),
    rivals: &[],
    by_hand: "`npm-nixhash init config --dry-run` in an empty folder shows all that can be written in it",
    beside: None,
    needs: Needs::Nothing,
};

const MERGE_DRIVER: Template = Template {
    path: ".gitattributes",
    text: include_str!("../../templates/gitattributes"),
    by_hand: "add what `npm-nixhash init merge-driver --print` prints; its comments have the two lines for git's configuration",
    ..CONFIG
};

fn template(wanted: InitFor) -> &'static Template {
    match wanted {
        InitFor::Renovate => &RENOVATE,
        InitFor::Github => &GITHUB,
        InitFor::GithubUpdate => &GITHUB_UPDATE,
        InitFor::GithubPullRequest => &GITHUB_PULL_REQUEST,
        InitFor::GithubPublish => &GITHUB_PUBLISH,
        InitFor::Forgejo => &FORGEJO,
        InitFor::Gitlab => &GITLAB,
        InitFor::GitlabPublish => &GITLAB_PUBLISH,
        InitFor::PreCommit => &PRE_COMMIT,
        InitFor::MergeDriver => &MERGE_DRIVER,
        InitFor::Config => &CONFIG,
    }
}

pub(super) fn run(args: &InitArgs, environment: &Environment, terminal: &Terminal) -> Outcome {
    let template = template(args.wanted);
    let source = chosen(args, template)?;
    let new = filled_in(template.text, source.as_ref());
    if args.print {
        terminal.data(&new);
        return Ok(Exit::Fine);
    }
    let root = environment.absolute(&args.path);
    if let Some(message) = misplaced(&root) {
        return Err(Fatal(message));
    }
    let by_hand = filled_in(template.by_hand, source.as_ref());
    if let Some(rival) = template.rivals.iter().find(|name| root.join(name).exists()) {
        let what = format!("{rival} does the work of {}", template.path);
        return Err(Fatal(Message { hint: Some(by_hand), ..Message::plain(what) }));
    }
    let old = existing(&root.join(template.path))?;
    let is_there = old.as_ref().is_some_and(|old| *old == new.as_bytes());
    let exit = match (&old, template.beside) {
        (Some(_), Some((path, how))) if !is_there && !args.force => {
            let old = existing(&root.join(path))?;
            put(&Destination { root: &root, path }, old, new, args, terminal)?;
            terminal.message(MessageKind::Note, &Message::plain(format!("{} exists: {how}", template.path)));
            Ok(Exit::Fine)
        }
        (Some(_), None) if !is_there && !args.force && !args.dry_run => {
            let hint = format!("{by_hand}; --force replaces {}", template.path);
            let message = Message::plain(format!("{} exists", template.path));
            Err(Fatal(Message { hint: Some(hint), ..message }))
        }
        _ => put(&Destination { root: &root, path: template.path }, old, new, args, terminal),
    };
    if args.wanted == InitFor::MergeDriver {
        tell_of_other_drivers(&root, terminal);
    }
    exit
}

/// Lockfiles that are merged by somebody else: what that makes of them is known only afterwards.
fn tell_of_other_drivers(root: &Path, terminal: &Terminal) {
    let git = Git::of(root);
    let lockfiles = repository_files::list(root, git.tracked().ok(), &npm_lockfile::FILE_NAMES).lockfiles;
    let merged = |path: &PathBuf| Some((path.clone(), merged_by(root, path)?));
    let merged: Vec<_> = lockfiles.iter().filter_map(merged).collect();
    let Some((path, MergedBy { driver, file, line })) = merged.first() else { return };
    let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let others = match merged.len() - 1 {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    };
    let text = format!(
        "{}{others} is merged by `{driver}` ({}:{line}), so that conflicts of its hash stay",
        shown(path),
        shown(file)
    );
    let hint = "`npm-nixhash update --resolve` solves them after the merge";
    terminal.message(MessageKind::Note, &Message::plain(text).hinting(Some(hint)));
}

/// A file to write.
struct Destination<'a> {
    root: &'a Path,
    path: &'static str,
}

/// Shows the change, and makes it unless this is a dry run.
fn put(
    place: &Destination<'_>,
    old: Option<Vec<u8>>,
    new: String,
    args: &InitArgs,
    terminal: &Terminal,
) -> Outcome {
    if old.as_ref().is_some_and(|old| *old == new.as_bytes()) {
        terminal.message(MessageKind::Note, &Message::plain(format!("{} is there already", place.path)));
        return Ok(Exit::Fine);
    }
    terminal.patch(&diff::unified(Path::new(place.path), old.as_deref().unwrap_or_default(), new.as_bytes()));
    if !args.dry_run {
        write(place.root.join(place.path), old, new).map_err(|error| Fatal::new(&error))?;
    }
    Ok(Exit::Fine)
}

/// The source to pin: the one that is named, else this release of the repository that Cargo.toml names.
fn chosen(args: &InitArgs, template: &Template) -> Result<Option<PinnedRepository>, Fatal> {
    let source = match (&args.source, published()) {
        (Some(source), _) => source.clone(),
        (None, Ok(source)) => source,
        (None, Err(_)) if template.needs == Needs::Nothing => return Ok(None),
        (None, Err(unpublished)) => return Err(unpublished),
    };
    if template.needs == Needs::Release && matches!(source.reference, Reference::Commit(_)) {
        let message = Message::plain("this job downloads a release, which a commit does not name");
        return Err(Fatal(Message { hint: Some("pin a tag: OWNER/REPO@v1.2.3".to_owned()), ..message }));
    }
    Ok(Some(source))
}

fn published() -> Result<PinnedRepository, Fatal> {
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    // The placeholder of a checkout that was not published under its own name.
    if repository.starts_with("OWNER/") {
        let message = Message::plain("this build does not know where its repository is published");
        return Err(Fatal(Message {
            hint: Some("name it: --source OWNER/REPO@v1.2.3".to_owned()),
            ..message
        }));
    }
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Ok(PinnedRepository { repository: repository.to_owned(), reference: Reference::Version(version) })
}

/// Why a folder is not the one in which tools look for their files.
fn misplaced(root: &Path) -> Option<Message> {
    if !root.is_dir() {
        return Some(Message::plain(format!("{} is not a folder", root.display())));
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
        Err(error) => Err(Fatal::reading(path, &error)),
    }
}

/// What templates have in the place of the repository.
const PLACEHOLDER: &str = "OWNER/npm-nixhash";

/// The text with the source that is pinned.
fn filled_in(text: &str, source: Option<&PinnedRepository>) -> String {
    let Some(source) = source else {
        return text
            .lines()
            .filter(|line| !line.contains(PLACEHOLDER))
            .flat_map(|line| [line, "\n"])
            .collect();
    };
    let reference = match &source.reference {
        Reference::Version(version) => format!("v{version}"),
        Reference::Commit(commit) => commit.clone(),
    };
    text.replace(PLACEHOLDER, &source.repository).replace("REF", &reference).replace("vVERSION", &reference)
}

fn write(path: PathBuf, old: Option<Vec<u8>>, new: String) -> Result<(), CreateError> {
    let bytes = new.into_bytes();
    match old {
        None => create_all(&[Creation { path, bytes }], &[]),
        Some(old) => create_all(&[], &[FileReplacement { path, old, new: bytes }]),
    }
}

fn source(text: &str) -> Result<PinnedRepository, String> {
    const EXPECTED: &str = "expected OWNER/REPO@v1.2.3 or OWNER/REPO@ and a commit's 40 digits";
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    let (repository, reference) = text.split_once('@').ok_or(EXPECTED)?;
    let (owner, name) = repository.split_once('/').ok_or(EXPECTED)?;
    if !plain(owner) || !plain(name) || owner == "OWNER" {
        return Err(EXPECTED.to_owned());
    }
    let reference = if reference.len() == 40 && reference.bytes().all(|b| b.is_ascii_hexdigit()) {
        Reference::Commit(reference.to_owned())
    } else {
        let version = reference.strip_prefix('v').ok_or(EXPECTED)?;
        let version = semver::Version::parse(version).map_err(|error| format!("{EXPECTED}: {error}"))?;
        Reference::Version(version.to_string())
    };
    Ok(PinnedRepository { repository: repository.to_owned(), reference })
}
