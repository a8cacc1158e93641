//! Why nothing can be said of a derivation.

/// Why a site is undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The source cannot be known statically.
    UnknownSource,
    /// The URL of a tarball cannot be known statically.
    UnknownUrl,
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
    /// What is not known chooses between lockfiles that are, and the hash is one.
    SeveralLockfiles,
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
    /// The hash is that of what a build leaves.
    BuildOnly,
    /// It is, and the version moved since the hash was recorded, so that it is surely stale.
    StaleUnknown,
    /// The lockfile is inside a source that has to be fetched.
    RemoteSource,
}

/// What settles whether a source or an archive brings a shrinkwrap.
pub const NO_SHRINKWRAP: &str =
    "remove what may come with it, behind the step that brings it: `rm -f npm-shrinkwrap.json`";

impl Reason {
    /// A stable word for machines.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::UnknownSource => "unknown-source",
            Self::UnknownUrl => "unknown-url",
            Self::UnknownHash => "unknown-hash",
            Self::NoHash => "no-hash",
            Self::SourceRoot => "source-root",
            Self::LockfileEdited => "lockfile-edited",
            Self::Patched => "patched",
            Self::FilteredOut => "filtered-out",
            Self::SharedLiteral => "shared-literal",
            Self::SeveralLockfiles => "several-lockfiles",
            Self::UnknownOptions => "unknown-options",
            Self::UnknownArguments => "unknown-arguments",
            Self::UnknownFetcher => "unknown-fetcher",
            Self::UnknownBase => "unknown-base",
            Self::Unreached => "unreached",
            Self::Replaced => "replaced",
            Self::InArchive => "in-archive",
            Self::Generated => "generated",
            Self::BuildOnly => "build-only",
            Self::StaleUnknown => "stale-unknown",
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
            Self::UnknownUrl => "write name and version of the tarball as plain texts where it is fetched",
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
            Self::SeveralLockfiles => "give each of them a hash of its own, chosen by the same condition",
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
            Self::BuildOnly | Self::StaleUnknown => {
                "`npm-nixhash add PACKAGE` writes the same program with a lockfile, whose hash can be kept; else build it and \
                 take the hash that Nix reports"
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
    pub(crate) fn takes_comment(self) -> bool {
        matches!(self, Self::UnknownSource | Self::SourceRoot | Self::UnknownArguments | Self::Unreached)
    }

    /// Whether the repository's settings may state the lockfile: where a comment may, and where a copy of it is kept.
    #[must_use]
    pub(crate) fn takes_statement(self) -> bool {
        self.takes_comment() || matches!(self, Self::RemoteSource | Self::InArchive)
    }
}
