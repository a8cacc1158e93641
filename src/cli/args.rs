//! The command line's grammar.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::fleet::{PublishArgs, PublishedArgs, RemoteArgs};

/// Over what every command takes.
const GLOBAL: &str = "Global options";

/// What every `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  everything is in sync, or was updated
  1  check: a hash is stale, a lockfile is incomplete or not what npm ci
     accepts, a cache of --published lacks an output, something is there
     that --deny names, or there are lockfiles and no derivation at all
  2  failed: a hash could not be computed, a file not be read, parsed or
     written, PATH or NAME chose nothing, or (update) a source was replaced
     under its name or a lockfile is incomplete

update writes what is proven whatever else failed, and exits 2 then, and where check exits 1 for another reason than a \
stale hash. A derivation whose lockfile or hash literal cannot be known from the source is undecided: a warning, counted \
in the summary.";

/// What `hash --help` ends with.
const HASH_NOTES: &str = "\
Outputs appear whole or not at all. Exit codes: 0 if the hash was computed, else 2.

Under the name prefetch-npm-deps (a symbolic link will do) this program takes the command line and the environment of \
nixpkgs' tool of that name, --fixup-lockfile and --map-cache included.";

/// What `repair --help` ends with.
const REPAIR_NOTES: &str = "\
PATH may also be a lockfile itself. Only `resolved` and `integrity` are written, as the registry has them for exactly the version that is locked; every other \
byte of a lockfile stays.

Exit codes: 0 if every lockfile is complete now, 1 if --check found one that is not, 2 if one cannot be completed; that \
one stays as it is.";

/// What `merge-driver --help` ends with.
const MERGE_NOTES: &str = "\
git calls it; `npm-nixhash init merge-driver` writes the lines that make it do so. Exit codes: 0 if there is no conflict \
left, 1 if there is one, 2 if a file could not be read or written.";

/// What `explain --help` ends with.
const EXPLAIN_NOTES: &str = "\
Tried, in this order: the lockfile with either fetcher version, with other line endings, with or without its last line feed, \
and before phases edit it; fetcher version 2 as nixpkgs made it before 2026-02-15; git dependencies unpacked by root or \
under another umask; the other lockfiles of the repository; the lockfile at earlier commits. Only what was computed is \
claimed.

Exit codes: 0 if it is known what each hash is, 1 if it is not of one, 2 if something failed.";

/// What `add --help` ends with.
const ADD_NOTES: &str = "\
The npm client resolves the dependencies, in a temporary folder, with a clean environment, and without running scripts. \
With --bundled and --platforms nothing is resolved, and no lockfile is written. A note says which of the three fits, and why.
All files are written or none. Exit codes: 0 if the package was added, else 2.";

/// Keeps npmDepsHash right: finds every npm derivation of a Nix repository, computes the hash of its lockfile as
/// nixpkgs' fetcher would, without Nix, and rewrites it in place.
#[derive(Debug, Parser)]
#[command(name = "npm-nixhash", version, after_help = EXIT_CODES, max_term_width = 100, disable_help_flag = true)]
pub(super) struct Cli {
    /// Print help, a short one with -h
    #[arg(short, long, global = true, action = clap::ArgAction::Help, help_heading = GLOBAL)]
    help: Option<bool>,
    /// Print no progress and no warnings, only errors
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(super) quiet: bool,
    /// Tell more: also what is as it should be, all that is known of each derivation, and on standard error what is done;
    /// -vv: each request, file and cache, too [or set `NPM_NIXHASH_LOG`]
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = GLOBAL)]
    pub(super) verbose: u8,
    #[command(flatten, next_help_heading = GLOBAL)]
    pub(super) color: colorchoice_clap::Color,
    /// Run as if started in this folder
    #[arg(short = 'C', long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(super) directory: Option<PathBuf>,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Rewrite every stale hash in place
    ///
    /// What is proven is written; one failure never blocks the rest.
    Update(UpdateArgs),
    /// Tell which hashes are stale; writes nothing
    Check(CheckArgs),
    /// Show every npm derivation, its lockfile and its hash
    List(ListArgs),
    /// Say what a recorded hash is, if not that of its lockfile
    Explain(ExplainArgs),
    /// Print the npmDepsHash of one lockfile; write its tree or NAR
    Hash(HashArgs),
    /// Fill in what lockfiles lack for an offline install
    ///
    /// No version is moved.
    Repair(RepairArgs),
    /// Package a program that is published on the npm registry
    Add(AddArgs),
    /// Solve merge conflicts in which only hashes differ, for git
    MergeDriver(MergeDriverArgs),
    /// Show or prune the tarballs kept on disk
    Cache(CacheArgs),
    /// Write the file that puts this program to work in a repository
    Init(super::init::InitArgs),
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them to a folder
    Man {
        /// The folder
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What is meant")]
pub(super) struct ScopeArgs {
    /// What is meant: paths (all that has its Nix file, hash file, source or lockfile at or below one) and names (attribute
    /// paths, their ends, packages, globs, .#name); the repository around is always evaluated as a whole [default: .]
    #[arg(value_name = "PATH|NAME")]
    pub(super) wanted: Vec<OsString>,
    /// Leave out what is called so; a glob, too
    #[arg(long, value_name = "NAME")]
    pub(super) exclude: Vec<String>,
    /// Leave out what has not changed since REV and the last commit parted: lockfile, own source, and what Nix and data files
    /// say of a derivation; hashes that were wrong then, and what moved elsewhere, are not seen
    #[arg(long, value_name = "REV")]
    pub(super) changed_since: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, next_help_heading = "What is done")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct UpdateArgs {
    /// Change nothing; print what would change as a unified diff
    #[arg(long, visible_alias = "diff")]
    pub(super) dry_run: bool,
    /// Change nothing unless every hash is known and nothing is there that --deny names
    #[arg(long)]
    pub(super) all_or_nothing: bool,
    /// Also complete lockfiles that lack `resolved` or `integrity`; lockfiles and hashes change together
    #[arg(long)]
    pub(super) repair: bool,
    /// Also solve merge conflicts in which only hashes differ, by the merged lockfiles
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) resolve: bool,
    /// Also put the trees into the local Nix store, so that the next build does not fetch them
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) add_to_store: bool,
    /// Treat this as a failure
    #[arg(long, value_name = "WHAT")]
    pub(super) deny: Vec<Denied>,
    /// Go on despite this
    #[arg(long, value_name = "WHAT")]
    pub(super) allow: Vec<Allowed>,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) trust: TrustArgs,
    #[command(flatten)]
    pub(super) publish: PublishArgs,
    /// Publish nothing, whatever npm-nixhash.toml says
    #[cfg(feature = "fleet")]
    #[arg(long, conflicts_with = "publish", help_heading = "Binary caches")]
    pub(super) no_publish: bool,
    #[command(flatten)]
    pub(super) report: ReportArgs,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

/// What is taken from outside.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct TrustArgs {
    /// Take sources whose files were replaced under their names; without this they are a failure
    #[arg(long)]
    pub(super) accept_changed_sources: bool,
    /// Refuse new tarballs of the npm registry that are not signed by it
    #[arg(long)]
    pub(super) require_signatures: bool,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, next_help_heading = "What counts")]
pub(super) struct CheckArgs {
    /// Go on, with a line for each change, until Ctrl-C ends it
    #[arg(long, conflicts_with_all = ["format", "json", "output"])]
    pub(super) watch: bool,
    /// Look every TIME, such as 2s, instead of waiting for the system to tell of changes
    #[arg(long, value_name = "TIME", requires = "watch")]
    pub(super) poll: Option<humantime::Duration>,
    /// Treat this as drift
    #[arg(long, value_name = "WHAT")]
    pub(super) deny: Vec<Denied>,
    /// Go on despite this
    #[arg(long, value_name = "WHAT")]
    pub(super) allow: Vec<Allowed>,
    /// Believe no hash that was computed before, here or elsewhere: compute every one
    #[arg(long)]
    pub(super) paranoid: bool,
    #[command(flatten)]
    pub(super) publish: PublishArgs,
    #[command(flatten)]
    pub(super) published: PublishedArgs,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct ListArgs {
    /// Show the chain of places that led to each answer
    #[arg(long)]
    pub(super) explain: bool,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) report: ReportArgs,
}

#[derive(Debug, Args)]
#[command(after_help = EXPLAIN_NOTES)]
pub(super) struct ExplainArgs {
    /// Earlier states of a lockfile to try
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(super) commits: usize,
    /// Also download what other and earlier lockfiles need; without this only what is on disk is used for them
    #[arg(long)]
    pub(super) download: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = MERGE_NOTES)]
pub(super) struct MergeDriverArgs {
    /// %O: what both sides come from
    pub(super) ancestor: PathBuf,
    /// %A: our side, and where the result goes
    pub(super) ours: PathBuf,
    /// %B: their side
    pub(super) theirs: PathBuf,
    /// %P: the file's path in the repository
    pub(super) path: PathBuf,
    /// %L: the length of conflict markers
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(super) marker_size: u8,
    /// %X: what our side is called
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(super) our_label: String,
    /// %Y: what their side is called; its first word has to be a revision
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    pub(super) their_label: String,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = HASH_NOTES)]
pub(super) struct HashArgs {
    /// The lockfile, or a folder that holds one
    pub(super) lockfile: PathBuf,
    /// Also write the tree to this folder, which must not exist or be empty
    pub(super) out: Option<PathBuf>,
    /// The fetcher version, 1 or 2 [default: `NPM_FETCHER_VERSION`, else 1]
    #[arg(long, value_name = "N")]
    pub(super) fetcher_version: Option<u32>,
    /// Accept git dependencies that have install scripts but no lockfile [or set `FORCE_GIT_DEPS`]
    #[arg(long)]
    pub(super) force_git_deps: bool,
    /// Accept a lockfile without anything to fetch [or set `FORCE_EMPTY_CACHE`]
    #[arg(long)]
    pub(super) force_empty_cache: bool,
    /// Go on despite this
    #[arg(long, value_name = "WHAT")]
    pub(super) allow: Vec<Allowed>,
    /// Also write the tree as a Nix archive to this file
    #[arg(long, value_name = "FILE")]
    pub(super) nar: Option<PathBuf>,
    /// Also print the store path that Nix will use for a derivation of this name
    #[arg(long, value_name = "NAME")]
    pub(super) store_path: Option<String>,
    /// Also put the tree into the local Nix store under this name, and print its store path
    #[arg(long, value_name = "NAME", conflicts_with_all = ["out", "store_path"])]
    pub(super) add_to_store: Option<String>,
    #[command(flatten)]
    pub(super) publish: PublishArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = REPAIR_NOTES)]
pub(super) struct RepairArgs {
    /// Write nothing; only tell what would be filled in
    #[arg(long)]
    pub(super) check: bool,
    /// Also replace integrities of sha1 alone by the registry's stronger ones
    #[arg(long)]
    pub(super) strengthen: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = ADD_NOTES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct AddArgs {
    /// The package, with a version, a range or a tag [default: the tag `latest`]
    #[arg(value_name = "NAME[@VERSION]")]
    pub(super) package: String,
    /// Write its tarball and a wrapper, without a lockfile: for a program that has nothing to install
    #[arg(long, conflicts_with = "platforms")]
    pub(super) bundled: bool,
    /// The same with a tarball for each system besides, as its optional dependencies name them
    #[arg(long)]
    pub(super) platforms: bool,
    /// The folder for lockfiles; each package has one of its own in it [default: `npm` beside the file of --into]
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["bundled", "platforms"])]
    pub(super) dir: Option<PathBuf>,
    /// Insert the expression into this file, instead of printing it
    #[arg(long, value_name = "FILE", requires = "attr")]
    pub(super) into: Option<PathBuf>,
    /// The new attribute, as its path is written in that file, such as packages.x86_64-linux.tool
    #[arg(long, value_name = "PATH", requires = "into")]
    pub(super) attr: Option<String>,
    /// Fail unless the registry signed the release
    #[arg(long)]
    pub(super) require_signatures: bool,
    /// Write nothing; print the expression, or with --into what would change
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
pub(super) struct CacheArgs {
    #[command(subcommand)]
    pub(super) command: CacheCommand,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CacheCommand {
    /// Print the folder
    Dir,
    /// Count what is there
    Stats,
    /// Remove what was not used for long
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true)))]
    Prune {
        /// Remove the longest unused tarballs until no more than this is left, such as 500MB or 2GiB
        #[arg(long, value_name = "SIZE", group = "what")]
        max_size: Option<bytesize::ByteSize>,
        /// Remove tarballs and remembered hashes that were not used for this long, such as 30d
        #[arg(long, value_name = "AGE", group = "what")]
        older_than: Option<humantime::Duration>,
    },
}

/// How and where the report is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Report")]
pub(super) struct ReportArgs {
    /// What to print on standard output: human, json, github, markdown, patch, codequality or sarif [default: human;
    /// in GitHub Actions `check` adds annotations and a job summary to it]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "FORMAT")]
    format: Option<Format>,
    /// Short for --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Write the report to a file as well; may be given several times
    #[arg(long, value_name = "FORMAT=FILE", value_parser = super::publish::output)]
    pub(super) output: Vec<(Format, PathBuf)>,
}

impl ReportArgs {
    /// The format that was asked for.
    pub(super) fn format(&self) -> Option<Format> {
        if self.json { Some(Format::Json) } else { self.format }
    }

    /// Whether this format is written anywhere.
    pub(super) fn asks_for(&self, format: Format) -> bool {
        self.format() == Some(format) || self.output.iter().any(|(wanted, _)| *wanted == format)
    }
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A text for people
    Human,
    /// The whole report; its schema is versioned
    Json,
    /// Workflow commands, which GitHub Actions turns into annotations
    Github,
    /// A table and the patch, for a job summary or a comment
    Markdown,
    /// A unified diff for `git apply`
    Patch,
    /// GitLab's code quality report
    Codequality,
    /// SARIF 2.1.0, for GitHub's code scanning and editors
    Sarif,
}

/// What can be made a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum Denied {
    /// Derivations whose lockfile or hash literal cannot be known
    Undecided,
    /// Lockfiles that no `npmDepsHash` covers
    Uncovered,
    /// Placeholders where a hash should be, also of derivations that are undecided
    Fake,
    /// Files of derivations in a flake that git does not track, so that Nix does not see them
    Untracked,
    /// Derivations of functions that are only assumed to hash what nixpkgs' builder does
    Assumed,
}

/// What is not a failure although it is one by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Allowed {
    /// Lockfiles that lack `resolved` or `integrity`: hashed as nixpkgs' fetcher hashes them, without those packages
    Incomplete,
}

/// Where tarballs come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network and cache")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(super) struct SourceArgs {
    /// Requests in flight at most
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// Use only what is on disk already
    #[arg(long)]
    pub(super) offline: bool,
    /// Neither read nor keep tarballs on disk
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Compute every hash again, also of lockfiles that did not change
    #[arg(long)]
    pub(super) no_memo: bool,
    /// Send requests for HOST to a mirror; its path goes before theirs
    #[arg(long, value_name = "HOST=URL", value_parser = RegistryOverride)]
    pub(super) registry_override: Vec<(String, String)>,
    /// Give up what is not there after this time, such as 90s or 2h; one request may take a quarter of it [default: 1h]
    #[arg(long, value_name = "TIME")]
    pub(super) timeout: Option<humantime::Duration>,
    /// The largest tarball that is downloaded, such as 2GiB; half of it for archives of sources [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) max_download: Option<bytesize::ByteSize>,
    /// Send the variable `GITHUB_TOKEN` to the GitHub server that a workflow runs on, for private sources
    #[arg(long)]
    pub(super) github_token: bool,
    /// Take packuments of this scope as absent from the public registry, without asking it
    #[arg(long, value_name = "@SCOPE", value_parser = scope)]
    pub(super) private_scope: Vec<String>,
    #[command(flatten)]
    pub(super) remote: RemoteArgs,
}

/// What is done with a memory that many machines share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub(super) enum RemoteMode {
    /// Hashes that others computed are taken from it
    Read,
    /// Hashes that were computed here are put into it
    Write,
    /// Both
    Both,
}

/// Reads `HOST=URL`. An error does not repeat what was given, as clap's own would: it may hold a password.
#[derive(Debug, Clone)]
struct RegistryOverride;

impl clap::builder::TypedValueParser for RegistryOverride {
    type Value = (String, String);

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let pair = value.to_str().and_then(|text| text.split_once('='));
        let named =
            |(host, url): &(&str, &str)| !host.is_empty() && !host.contains(['/', '@']) && !url.is_empty();
        let (host, url) = pair.filter(named).ok_or_else(|| {
            let message = "invalid value for '--registry-override <HOST=URL>': expected HOST=URL\n";
            clap::Error::raw(clap::error::ErrorKind::ValueValidation, message).with_cmd(command)
        })?;
        Ok((host.to_owned(), url.to_owned()))
    }
}

pub(super) fn scope(text: &str) -> Result<String, String> {
    if text.starts_with('@') && text.len() > 1 && !text.contains('/') {
        Ok(text.to_owned())
    } else {
        Err("expected a scope such as @acme".to_owned())
    }
}
