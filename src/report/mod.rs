//! What a run has to say, as one value. The modules beside this one write it down for their readers: people, the CI
//! services' own formats, a patch is applied; JSON is the value itself.
//!
//! The JSON form is versioned: fields are added freely, [`SCHEMA_VERSION`] changes when one changes its meaning or goes.

pub mod because;
mod build;
pub mod changes;
pub mod codequality;
pub mod diff;
pub mod explained;
mod finding;
pub mod github;
pub mod human;
mod json;
pub mod layout;
pub mod markdown;
pub mod messages;
mod published;
mod repair;
mod rule;
pub mod sarif;
mod source;

pub use because::BecauseReport;
pub use build::{Paths, repair_messages, service};
pub use json::json;
pub use published::{PublishedReport, PublishedState};
pub use repair::{FilledReport, LockfileReport, RepairReport, RepairStatus, RepairSummary};
pub use rule::Rule;
use serde::Serialize;
pub use source::{OutdatedReport, SourceReport};

/// Version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// The outcome of `list`, `check` or `update`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The command: `list`, `check` or `update`.
    pub command: &'static str,
    /// All sites, in the order of their places.
    pub sites: Vec<SiteReport>,
    /// Lockfiles that are used without a hash, as `importNpmLock` uses them.
    pub uses: Vec<UseReport>,
    /// What stops a build besides: drift for `check`, warnings for `update`.
    pub findings: Vec<FindingReport>,
    /// Files that could not be read or parsed.
    pub problems: Vec<Message>,
    /// What is worth knowing besides.
    pub warnings: Vec<Message>,
    /// Lockfiles that no `npmDepsHash` covers.
    pub uncovered: Vec<String>,
    /// How many sites of the repository the report is not about, and why.
    pub left_out: LeftOutReport,
    /// Folders of somebody else's in the repository: not searched, never written.
    pub borders: Vec<BorderReport>,
    /// What the repository has of other ecosystems' hashes, which are none of ours (`list`).
    pub elsewhere: Vec<Message>,
    /// The files that were changed, or with `--dry-run` would have been.
    pub changed_files: Vec<String>,
    /// What `update` does, as a unified diff from the top of the repository; empty where nothing is to be done.
    pub patch: String,
    /// How many sites have which status.
    pub summary: Summary,
    #[serde(skip)]
    paths: Paths,
}

/// How many sites of the repository a report is not about.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOutReport {
    /// Neither a path nor a name chose them.
    pub not_chosen: usize,
    /// They are excluded.
    pub excluded: usize,
    /// Nothing of theirs in the repository changed since `since`: that their hashes were right there, and that nothing
    /// outside of the repository moved, was not looked at.
    pub unchanged: usize,
    /// The commit that files were compared with, in hexadecimal: the merge base of the revision that was named and the last
    /// commit.
    pub since: Option<String>,
}

/// A folder of somebody else's.
#[derive(Debug, Serialize)]
pub struct BorderReport {
    /// The folder.
    pub folder: String,
    /// Whose it is, for people.
    pub what: &'static str,
}

/// A derivation and its hash.
#[derive(Debug, Serialize)]
pub struct SiteReport {
    /// What people call it: attribute path, else name, else place.
    pub service: String,
    /// What its hash is the hash of.
    pub kind: SiteKind,
    /// The attribute path, if one leads to it.
    pub attr_path: Option<String>,
    /// Further attribute paths of the same derivation.
    pub other_attr_paths: Vec<String>,
    /// Where the derivation is made.
    pub place: PlaceReport,
    /// Where the repository asks for it, if that is another place: the arguments of a call of its own wrapper.
    pub asked_at: Option<PlaceReport>,
    /// The function of somebody else that is taken for nixpkgs' builder.
    pub assumed: Option<String>,
    /// The lockfile that decides the hash, where it is known.
    pub lockfile: Option<String>,
    /// The options that decide it besides.
    pub options: OptionsReport,
    /// Where the site stands.
    pub status: SiteStatus,
    /// The lockfile's hash as SRI, where it was computed.
    pub hash: Option<String>,
    /// The name of the derivation that fetches, where it is known.
    pub output_name: Option<String>,
    /// Where its output is in the Nix store, with `--add-to-store`.
    pub store_path: Option<String>,
    /// How its output stands in binary caches, with `--publish` or `--published`.
    pub published: Vec<PublishedReport>,
    /// Number of contents in the tree.
    pub packages: Option<usize>,
    /// Their size in bytes.
    pub bytes: Option<u64>,
    /// Why it is stale, where that is known.
    pub because: Option<BecauseReport>,
    /// The literals that hold the hash.
    pub literals: Vec<LiteralReport>,
    /// The sources it rests on that are not in the repository.
    pub sources: Vec<SourceReport>,
    /// Its lockfile, if that is vendored and was made for another version than the source has.
    pub outdated_lockfile: Option<OutdatedReport>,
    /// Its files that git does not track although they are in a flake, so that Nix does not see them.
    pub untracked: Vec<String>,
    /// Its lockfile, if that lacked what an offline install needs and was completed.
    pub repaired_lockfile: Option<RepairedReport>,
    /// Why the site is undecided.
    pub undecided: Option<UndecidedReport>,
    /// Why the hash could not be computed, or of an incomplete lockfile was not: every reason.
    pub errors: Vec<Message>,
    /// What the user should know of this site.
    pub warnings: Vec<Message>,
    /// What would have to stand at these places for the derivation to be used; empty where it is used today.
    pub only_when: Vec<StepReport>,
    /// The chain of places that led to the answer.
    pub explain: Vec<StepReport>,
}

/// What the hash of a site is the hash of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteKind {
    /// The dependencies that a lockfile names.
    NpmDeps,
    /// One tarball of a registry, pinned without a lockfile.
    Tarball,
}

impl SiteKind {
    /// How people call that hash.
    #[must_use]
    pub fn hash(self) -> &'static str {
        match self {
            Self::NpmDeps => "npmDepsHash",
            Self::Tarball => "tarball's hash",
        }
    }
}

/// The status of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteStatus {
    /// The literals say the lockfile's hash.
    InSync,
    /// They do not.
    Stale,
    /// They did not, and do now.
    Updated,
    /// The lockfile is known; no hash was computed (`list`).
    Resolved,
    /// The lockfile is inside a source that has to be fetched, and was not (`list`).
    Remote,
    /// The lockfile or the literal cannot be known.
    Undecided,
    /// The lockfile lacks what an offline install needs, so no hash was computed.
    Incomplete,
    /// The hash should be computable and is not.
    Failed,
}

/// A position in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PlaceReport {
    /// The file.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// A position in the file of a [`PlaceReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EndReport {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// The options of `fetchNpmDeps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OptionsReport {
    /// `fetcherVersion`.
    pub fetcher_version: u32,
    /// `forceGitDeps`.
    pub force_git_deps: bool,
    /// `forceEmptyCache`.
    pub force_empty_cache: bool,
}

/// Something that stops a build although the hashes are right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingReport {
    /// What it is about.
    pub code: Rule,
    /// Where to fix it.
    pub place: PlaceReport,
    /// What is wrong.
    pub message: String,
    /// What can be done about it.
    pub hint: String,
}

impl FindingReport {
    /// As a message.
    #[must_use]
    pub fn message(&self) -> Message {
        Message { place: Some(self.place.clone()), ..Message::plain(&self.message) }.hinting(Some(&self.hint))
    }
}

/// A lockfile that is used without a hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UseReport {
    /// The call that uses it.
    pub place: PlaceReport,
    /// The file.
    pub lockfile: String,
    /// What its user breaks on: empty for a complete lockfile, and where nobody looked (`list`).
    pub errors: Vec<Message>,
}

/// A lockfile that was completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepairedReport {
    /// The file.
    pub lockfile: String,
    /// The number of entries that got something.
    pub packages: usize,
}

/// A token that holds a hash.
#[derive(Debug, Serialize)]
pub struct LiteralReport {
    /// Where it begins.
    pub place: PlaceReport,
    /// Where it ends: behind its last character.
    pub end: EndReport,
    /// The hash as written; of `lib.fakeHash` and the like what they stand for.
    pub old: String,
    /// What it should say, if that is something else.
    pub new: Option<String>,
    /// The token to write in its place, quotes included, if it has to change.
    pub replacement: Option<String>,
    /// Whether it only holds the hash's place: `lib.fakeHash`, an empty string, all zero.
    pub placeholder: bool,
}

/// Why a site is undecided.
#[derive(Debug, Serialize)]
pub struct UndecidedReport {
    /// A stable word.
    pub code: &'static str,
    /// A sentence.
    pub reason: String,
    /// The expression that is in the way.
    pub place: PlaceReport,
    /// What would settle it.
    pub settle: String,
}

/// A step of `list --explain`, or a condition.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Where.
    pub place: PlaceReport,
    /// What happens there, or what has to hold there.
    pub text: String,
}

/// An error or a warning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Where it applies, if it is a place.
    pub place: Option<PlaceReport>,
    /// What is wrong.
    pub message: String,
    /// What lies behind it, outermost first.
    pub causes: Vec<String>,
    /// What can be done about it.
    pub hint: Option<String>,
}

/// How many sites have which status.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// In sync.
    pub in_sync: usize,
    /// Stale.
    pub stale: usize,
    /// Updated.
    pub updated: usize,
    /// Tied to a lockfile, not computed.
    pub resolved: usize,
    /// Inside a source that has to be fetched, and was not.
    pub remote: usize,
    /// Undecided.
    pub undecided: usize,
    /// With a lockfile that lacks what an offline install needs; uses without a hash are counted, too.
    pub incomplete: usize,
    /// Failed.
    pub failed: usize,
    /// Of all these, those whose builder is assumed to be like that of nixpkgs.
    pub assumed: usize,
    /// Lockfiles that no derivation is hashed by: those of `uncovered`, and those that only `importNpmLock` uses.
    pub without_derivation: usize,
    /// Of these, those that `importNpmLock` uses.
    pub import_npm_lock: usize,
}
