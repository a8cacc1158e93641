//! What a survey says: sites, their literals, and everything that is worth a word.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use super::hash_text::HashText;
use super::remote::RemoteSource;
use super::shell::Edit;
use crate::options::HashOptions;

/// A position in a file, as people count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Absolute path.
    pub file: PathBuf,
    /// One-based.
    pub line: usize,
    /// One-based, in characters.
    pub column: usize,
}

/// A lockfile that a derivation reads although no hash of it is recorded anywhere, as with `importNpmLock`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockfileUse {
    /// The call.
    pub place: Place,
    /// The lockfile, a file of the repository.
    pub lockfile: PathBuf,
    /// The manifest that it is used with, where it is known.
    pub manifest: Option<PathBuf>,
}

/// A package that is given `npmDeps` of another fetcher version than it expects, at which nixpkgs' hook stops the build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionMismatch {
    /// The call of the builder.
    pub place: Place,
    /// `fetcherVersion` of `npmDeps`.
    pub fetched: u32,
    /// `npmDepsFetcherVersion` of the package.
    pub expected: u32,
}

/// What kind of token holds a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LiteralKind {
    /// A quoted string in a Nix file.
    NixString,
    /// An expression in a Nix file that stands for a placeholder, such as `lib.fakeHash`.
    NixExpr,
    /// A string in a JSON file.
    JsonString,
    /// A string in a TOML file.
    TomlString,
    /// The whole text of a file, without the white space around it.
    TextFile,
}

/// The token that holds a hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Literal {
    /// Absolute path of the file.
    pub file: PathBuf,
    /// The bytes of the token, quotes included.
    pub range: Range<usize>,
    /// What the token is.
    pub kind: LiteralKind,
    /// The hash as it is written now.
    pub written: HashText,
    /// One-based.
    pub line: usize,
    /// One-based, in characters.
    pub column: usize,
}

/// Why a site is undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The source cannot be known statically.
    UnknownSource,
    /// The hash is not one literal.
    UnknownHash,
    /// No hash is given at all.
    NoHash,
    /// `sourceRoot` cannot be followed.
    SourceRoot,
    /// A phase may change the lockfile before it is hashed.
    LockfileEdited,
    /// A patch touches the lockfile, or may do so.
    Patched,
    /// A filter leaves the lockfile out.
    FilteredOut,
    /// One literal is shared by derivations that need different hashes.
    SharedLiteral,
    /// The options cannot be known statically.
    UnknownOptions,
    /// The arguments are only partly known.
    UnknownArguments,
    /// Something that is not known makes `npmDeps`.
    UnknownFetcher,
    /// `npmDeps` of a package from outside is overridden.
    UnknownBase,
    /// The derivation was reached by no evaluation.
    Unreached,
    /// `fetchNpmDeps` or a relative is replaced by the repository.
    Replaced,
    /// The lockfile is inside an archive that lies in the repository.
    InArchive,
    /// The lockfile is made by a build.
    Generated,
    /// The lockfile is inside a source that has to be fetched.
    RemoteSource,
}

impl Reason {
    /// A stable word for machines.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown-source",
            Self::UnknownHash => "unknown-hash",
            Self::NoHash => "no-hash",
            Self::SourceRoot => "source-root",
            Self::LockfileEdited => "lockfile-edited",
            Self::Patched => "patched",
            Self::FilteredOut => "filtered-out",
            Self::SharedLiteral => "shared-literal",
            Self::UnknownOptions => "unknown-options",
            Self::UnknownArguments => "unknown-arguments",
            Self::UnknownFetcher => "unknown-fetcher",
            Self::UnknownBase => "unknown-base",
            Self::Unreached => "unreached",
            Self::Replaced => "replaced",
            Self::InArchive => "in-archive",
            Self::Generated => "generated",
            Self::RemoteSource => "remote-source",
        }
    }

    /// What settles it, where nothing more exact is known. None of these leads to a wrong hash: a comment is advised only
    /// where the lockfile is a file of the repository that is merely not found.
    #[must_use]
    pub fn cure(self) -> &'static str {
        match self {
            Self::UnknownSource | Self::SourceRoot | Self::UnknownArguments => {
                "write `# npm-nixhash: lockfile=PATH` in the line above the hash, PATH being relative to the file"
            }
            Self::Unreached => {
                "delete it if nothing uses it; else write `# npm-nixhash: lockfile=PATH` in the line above the hash, \
                 PATH being relative to the file"
            }
            Self::UnknownHash => "write the hash as one string of its own: `npmDepsHash = \"\";`",
            Self::NoHash => "write `npmDepsHash = \"\";` into the arguments, and `update` fills it in",
            Self::LockfileEdited => {
                "run that tool once, commit the lockfile that it makes, and drop the step; or let the phase copy the edited \
                 lockfile in: `cp ${./edited-lock.json} package-lock.json`"
            }
            Self::Patched => {
                "apply the patch once, commit the lockfile that it makes, and take that part out of the patch"
            }
            Self::FilteredOut => "let the filter keep the lockfile: Nix does not see what it leaves out",
            Self::SharedLiteral => "give each derivation a hash of its own",
            Self::UnknownOptions => "write the option as a plain value: a number, `true` or `false`",
            Self::UnknownFetcher => {
                "let nixpkgs make it: `npmDeps = fetchNpmDeps { src = ...; hash = \"\"; };`, or `npmDepsHash` alone"
            }
            Self::UnknownBase => {
                "write `npmDeps = fetchNpmDeps { src = ...; hash = \"\"; };` in place of the override: everything that is \
                 hashed is then in the repository"
            }
            Self::Replaced => {
                "take the replacement out of the overlay: only a build can tell what it makes of a lockfile"
            }
            Self::InArchive | Self::RemoteSource => {
                "keep a copy of the lockfile in the repository and copy it in by postPatch"
            }
            Self::Generated => {
                "commit the lockfile that is made there, and copy it in by postPatch: \
                 `cp ${./package-lock.json} package-lock.json`"
            }
        }
    }

    /// Whether a comment that names the lockfile settles it. What is edited, patched or made before it is hashed is nowhere
    /// in the repository, so no comment can name it.
    #[must_use]
    pub fn takes_comment(self) -> bool {
        matches!(self, Self::UnknownSource | Self::SourceRoot | Self::UnknownArguments | Self::Unreached)
    }

    /// Whether the repository's settings may state the lockfile: where a comment may, and where a copy of it is kept.
    #[must_use]
    pub fn takes_statement(self) -> bool {
        self.takes_comment() || matches!(self, Self::RemoteSource | Self::InArchive)
    }
}

/// An unanswered question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// The class.
    pub reason: Reason,
    /// The sentence for people, lower-case, no full stop.
    pub message: String,
    /// The expression that stopped the evaluation.
    pub stopped_at: Place,
    /// What would settle it.
    pub settle: String,
}

impl Undecided {
    /// A question with the cure of its class.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>, stopped_at: Place) -> Self {
        Self { reason, message: message.into(), stopped_at, settle: reason.cure().to_owned() }
    }

    /// The same with a cure that fits better than that of its class.
    #[must_use]
    pub fn cured_by(self, cure: Option<String>) -> Self {
        Self { settle: cure.unwrap_or(self.settle), ..self }
    }
}

/// What is known of a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The lockfile is a file of the repository.
    Local {
        /// The file that is hashed; a shrinkwrap wins.
        lockfile: PathBuf,
        /// What phases replace in it before it is hashed, in their order.
        edits: Vec<Edit>,
    },
    /// Everything is known, only the file is not there.
    MissingLockfile {
        /// Where `package-lock.json` should be.
        expected: PathBuf,
    },
    /// The lockfile is inside a source that must be fetched.
    Remote {
        /// The source.
        source: Box<RemoteSource>,
        /// Folder of the lockfile inside the unpacked source, `/`-separated, empty at the top.
        folder: String,
        /// What phases replace in `npm-shrinkwrap.json` and in `package-lock.json`, whichever is there.
        edits: [Vec<Edit>; 2],
    },
    /// Not known, and why.
    Undecided(Undecided),
}

/// One step of the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub place: Place,
    /// What happens there.
    pub text: String,
}

/// What would have to stand at a place for a derivation to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The token that decides.
    pub place: Place,
    /// What holds then, such as `` `false` is `true` ``.
    pub text: String,
}

/// One derivation of npm dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The first attribute path that leads to it, such as `packages.x86_64-linux.web`.
    pub attr_path: Option<String>,
    /// All other attribute paths.
    pub other_attr_paths: Vec<String>,
    /// `pname` or `name`.
    pub name: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// The name of the derivation that fetches, such as `web-1.0.0-npm-deps`, where it is known.
    pub output_name: Option<String>,
    /// The call that makes the derivation.
    pub place: Place,
    /// Where the repository asks for it, if that is another place: the arguments of a call of its own wrapper.
    pub asked_at: Option<Place>,
    /// The function of somebody else that is taken for the builder of nixpkgs.
    pub assumed: Option<String>,
    /// Lockfiles of the repository that may be its own, also where it is undecided.
    pub candidates: Vec<PathBuf>,
    /// `npmRoot`, where the lockfile is not where the derivation looks for it.
    pub npm_root: Option<String>,
    /// The literals that hold its hash.
    pub hashes: Vec<Literal>,
    /// What changes the hash besides the lockfile.
    pub options: HashOptions,
    /// The answer.
    pub outcome: Outcome,
    /// The remote source, also where the lockfile is vendored.
    pub source: Option<RemoteSource>,
    /// The folders of its source that are in the repository.
    pub folders: BTreeSet<PathBuf>,
    /// Its files that git does not track although they are in a flake: Nix does not see them.
    pub untracked: Vec<PathBuf>,
    /// What would have to stand in the repository for the derivation to be used; empty where it is used today.
    pub only_when: Vec<Condition>,
    /// The chain of places that led to the answer.
    pub explain: Vec<Step>,
}

impl Place {
    /// The file alone.
    pub(super) fn file_only(&self) -> Self {
        Self { file: self.file.clone(), line: 0, column: 0 }
    }
}

impl Literal {
    /// What it says, and in which file.
    pub(super) fn without_positions(&self) -> Self {
        Self { range: 0..0, line: 0, column: 0, ..self.clone() }
    }
}

impl Site {
    /// The same without the places within files, and without the way that led to it: two that are equal then are one
    /// derivation, with the same hashes, sources and lockfile, in texts of which other parts may differ.
    #[must_use]
    pub fn without_positions(&self) -> Self {
        let outcome = match &self.outcome {
            Outcome::Undecided(undecided) => {
                let stopped_at = undecided.stopped_at.file_only();
                Outcome::Undecided(Undecided { stopped_at, ..undecided.clone() })
            }
            Outcome::Remote { source, folder, edits } => Outcome::Remote {
                source: Box::new(source.without_positions()),
                folder: folder.clone(),
                edits: edits.clone(),
            },
            outcome => outcome.clone(),
        };
        let only_when = self.only_when.iter();
        let only_when =
            only_when.map(|one| Condition { place: one.place.file_only(), text: one.text.clone() });
        Self {
            place: self.place.file_only(),
            asked_at: self.asked_at.as_ref().map(Place::file_only),
            hashes: self.hashes.iter().map(Literal::without_positions).collect(),
            outcome,
            source: self.source.as_ref().map(RemoteSource::without_positions),
            only_when: only_when.collect(),
            explain: Vec::new(),
            ..self.clone()
        }
    }

    /// All remote sources that the site rests on: the derivation's own, then that of its lockfile.
    pub fn sources(&self) -> impl Iterator<Item = &RemoteSource> {
        let of_lockfile = match &self.outcome {
            Outcome::Remote { source, .. } => Some(&**source),
            _ => None,
        };
        let own = self.source.as_ref().filter(|own| of_lockfile.is_none_or(|other| other.place != own.place));
        own.into_iter().chain(of_lockfile)
    }

    /// The literals that hold the hashes of those sources.
    pub fn source_literals(&self) -> impl Iterator<Item = &Literal> {
        self.sources().filter_map(RemoteSource::hash).filter_map(|attribute| attribute.literal.as_ref())
    }
}

/// A file that could not be read or parsed; only this file stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// The place of the error.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

/// Something worth knowing that is no undecided site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// The class.
    pub kind: WarningKind,
    /// Where.
    pub place: Place,
    /// The sentence.
    pub message: String,
}

/// The classes of [`Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningKind {
    /// An overlay replaces `fetchNpmDeps` or a relative.
    Overlay,
    /// A hash that nothing uses, such as `npmDepsHash` beside `npmDeps`.
    DeadHash,
    /// A function of the repository that is never called here; the hash comes from its callers.
    UncalledFunction,
    /// The evaluation was cut short.
    Budget,
    /// What git tracks is not known.
    Git,
    /// The repository's settings speak of something that is not there.
    Settings,
    /// A derivation that today's configuration does not use has no lockfile.
    OtherConfiguration,
}
