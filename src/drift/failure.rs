//! Why the hash of a site is not known.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use error_advice::Advise;
use npm_deps::HashFailure;

use crate::source::digest::SourceDigest;
use crate::source::{LookError, NpmFailure, SourceFailure};

/// Why the hash of a site is not known although its lockfile is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SiteFailure {
    /// No lockfile where one has to be.
    #[error("there is no lockfile at {}", path.display())]
    NoLockfile {
        /// Where it has to be.
        path: PathBuf,
        /// `npmRoot`, which people take for what moves it.
        npm_root: Option<String>,
    },
    /// The lockfile cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The lockfile.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: Arc<io::Error>,
    },
    /// The lockfile's hash cannot be computed.
    #[error("cannot compute the hash of {}", path.display())]
    Uncomputable {
        /// The lockfile.
        path: PathBuf,
        /// All reasons.
        failure: HashFailure,
    },
    /// A source is not available.
    #[error(transparent)]
    Source(SourceFailure),
    /// The lockfile's place in a source cannot be looked at.
    #[error("cannot look for a lockfile in the source")]
    Inside(#[source] LookError),
    /// There is none in the source.
    #[error("the source has no lockfile{}", in_folder(folder))]
    NoneInside {
        /// The folder where it should be, empty at the top.
        folder: String,
    },
    /// A source was replaced under its name.
    #[error("what is at {url} is not what its hash says: recorded {recorded}, found {found}")]
    Replaced {
        /// Its URL, without secrets.
        url: String,
        /// The recorded hash.
        recorded: String,
        /// The hash of what is there.
        found: SourceDigest,
        /// Why the last commit tells nothing, if it does not.
        unknown: Option<String>,
        /// Whether `flake.lock` records it.
        locked: bool,
    },
    /// The registry published other bytes than those that were fetched.
    #[error(
        "what is at {url} is not what the registry published: its integrity is {published}, found {found}"
    )]
    Forged {
        /// Its URL, without secrets.
        url: String,
        /// What the registry says.
        published: String,
        /// The hash of what is there.
        found: SourceDigest,
    },
    /// The registry does not vouch for a tarball as it has to.
    #[error(transparent)]
    Unvouched(NpmFailure),
    /// It shares something that would have to change with a derivation that failed.
    #[error("not changed: it shares a hash or a lockfile with {with}, which failed")]
    HeldBack {
        /// What that is called.
        with: String,
    },
    /// What would have to change belongs to somebody else.
    #[error("{} belongs to {whose}, which is not changed from here", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The folder at which that begins.
        folder: PathBuf,
        /// Whose it is, such as `a submodule`.
        whose: &'static str,
    },
    /// What makes it is not known to hash what nixpkgs does.
    #[error("not changed: `{function}` is only assumed to hash what nixpkgs' builder does")]
    Assumed {
        /// The function.
        function: String,
    },
    /// A file could not be written.
    #[error("not changed")]
    Unwritten {
        /// Why.
        #[source]
        error: Arc<dyn Advise + Send + Sync>,
    },
    /// The vendored lockfile cannot be regenerated.
    #[error("cannot regenerate {}", path.display())]
    Relock {
        /// The lockfile.
        path: PathBuf,
        /// Why.
        #[source]
        failure: NpmFailure,
    },
}

fn in_folder(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!(" in its folder {folder}") }
}

impl Advise for SiteFailure {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::NoLockfile { npm_root: Some(root), .. } => {
                return Some(format!(
                    "`npmRoot` says where the build runs npm, and does not move the lockfile that is hashed: in place of \
                     `npmDepsHash` write `npmDeps = fetchNpmDeps {{ src = SRC + \"/{root}\"; hash = \"\"; }};`, SRC being \
                     what `src` is"
                ).into());
            }
            Self::NoLockfile { npm_root: None, .. } => {
                "write it with `npm install --package-lock-only`, and add it to git: Nix sees nothing else"
            }
            Self::NoneInside { .. } => "keep a lockfile in the repository and copy it in by postPatch",
            Self::Replaced { locked: true, .. } => {
                "see what changed, then `nix flake update` the input; flake.lock is not edited here"
            }
            Self::Replaced { unknown: Some(why), .. } => {
                return Some(
                    format!(
                        "if version or URL were changed, that is expected ({why}); if not, see what changed; \
                     then use --accept-changed-sources"
                    )
                    .into(),
                );
            }
            Self::Replaced { .. } => {
                "the file was replaced under its name: see what changed, then use --accept-changed-sources"
            }
            Self::Forged { .. } => "a mirror or proxy may have changed it; do not accept it",
            Self::Assumed { .. } => "without --deny assumed it is written as well",
            Self::Foreign { folder, .. } => {
                return Some(format!("run `npm-nixhash -C {} update` there", folder.display()).into());
            }
            Self::Unreadable { .. }
            | Self::Uncomputable { .. }
            | Self::Source(_)
            | Self::Inside(_)
            | Self::Unvouched(_)
            | Self::HeldBack { .. }
            | Self::Unwritten { .. }
            | Self::Relock { .. } => return None,
        };
        Some(hint.into())
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Source(failure) => Some(failure),
            Self::Relock { failure, .. } | Self::Unvouched(failure) => Some(failure),
            Self::Unwritten { error } => Some(&**error),
            _ => None,
        }
    }
}
