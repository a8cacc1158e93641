//! What a survey says: sites, their literals, and everything that is worth a word.

use std::collections::BTreeSet;
use std::path::PathBuf;

pub use nix_lang::place::{FileProblem, Place};
pub use nix_lang::value::LiteralKind;
use npm_lockfile::options::HashOptions;
use phase_shell::LockfileEdit;

pub use super::literal::Literal;
pub use super::reason::Reason;
use super::remote::{LockfileInside, RemoteSource};

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
        edits: Vec<LockfileEdit>,
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
        /// Where it is in there.
        inside: LockfileInside,
    },
    /// There is no lockfile: what is pinned is one tarball of a registry, and its hash is that of the source.
    Tarball(Box<RemoteSource>),
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
    /// What holds then, such as `` `features.chat` is `true` ``.
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
    /// What a build whose hash only it can tell is made of: what is fetched for it, as far as that is known.
    pub made_of: BTreeSet<String>,
    /// Its files that git does not track although they are in a flake: Nix does not see them.
    pub untracked: Vec<PathBuf>,
    /// What would have to stand in the repository for the derivation to be used; empty where it is used today.
    pub only_when: Vec<Condition>,
    /// The chain of places that led to the answer.
    pub explain: Vec<Step>,
}

impl Literal {
    /// What it says, and in which file.
    pub(super) fn without_positions(&self) -> Self {
        Self { range: 0..0, line: 0, column: 0, ..self.clone() }
    }
}

impl Site {
    /// A derivation of which only the call and the answer are known.
    #[must_use]
    pub fn new(place: Place, outcome: Outcome) -> Self {
        Self {
            attr_path: None,
            other_attr_paths: Vec::new(),
            name: None,
            version: None,
            output_name: None,
            place,
            asked_at: None,
            assumed: None,
            candidates: Vec::new(),
            npm_root: None,
            hashes: Vec::new(),
            options: HashOptions::default(),
            outcome,
            source: None,
            folders: BTreeSet::new(),
            made_of: BTreeSet::new(),
            untracked: Vec::new(),
            only_when: Vec::new(),
            explain: Vec::new(),
        }
    }

    /// Where people look for it: at its hash, which of a wrapper is at the call; else at the derivation.
    #[must_use]
    pub fn hash_place(&self) -> Place {
        let literal = self.hashes.first().or_else(|| self.tarball_literal());
        literal.map_or_else(
            || self.place.clone(),
            |literal| Place { file: literal.file.clone(), line: literal.line, column: literal.column },
        )
    }

    /// The same without the places within files, and without the way that led to it: two that are equal then are one
    /// derivation, with the same hashes, sources and lockfile, in texts of which other parts may differ.
    #[must_use]
    pub fn without_positions(&self) -> Self {
        let outcome = match &self.outcome {
            Outcome::Undecided(undecided) => {
                let stopped_at = undecided.stopped_at.file_only();
                Outcome::Undecided(Undecided { stopped_at, ..undecided.clone() })
            }
            Outcome::Remote { source, inside } => {
                Outcome::Remote { source: Box::new(source.without_positions()), inside: inside.clone() }
            }
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
            Outcome::Remote { source, .. } | Outcome::Tarball(source) => Some(&**source),
            _ => None,
        };
        let own = self.source.as_ref().filter(|own| of_lockfile.is_none_or(|other| other.place != own.place));
        own.into_iter().chain(of_lockfile)
    }

    /// The literal that holds the hash of a tarball which is all that is pinned, if it is one.
    #[must_use]
    pub fn tarball_literal(&self) -> Option<&Literal> {
        match &self.outcome {
            Outcome::Tarball(source) => source.hash()?.literal.as_ref(),
            _ => None,
        }
    }

    /// The literals that hold the hashes of those sources.
    pub fn source_literals(&self) -> impl Iterator<Item = &Literal> {
        self.sources().filter_map(RemoteSource::hash).filter_map(|attribute| attribute.literal.as_ref())
    }
}

/// Something worth knowing that is not an undecided site.
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
