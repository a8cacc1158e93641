//! Why there is no new lockfile.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use error_advice::Advise;
use npm_lockfile::LockfileError;
use npm_lockfile::listing::some;

/// Places in a message before the rest is only counted.
const SHOWN: usize = 5;

/// Why dependencies could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum RelockError {
    /// There is no such program.
    #[error("npm is needed to resolve the dependencies, and `{}` cannot be found", .0.display())]
    NoNpm(PathBuf),
    /// The program cannot be run, or its folder not made.
    #[error("cannot run npm")]
    Run(#[source] io::Error),
    /// It did not end in time.
    #[error("npm did not resolve the dependencies within {}", humantime::format_duration(*.0))]
    TooSlow(Duration),
    /// It failed.
    #[error("npm cannot resolve the dependencies of {package}")]
    Npm {
        /// The package, as its manifest calls it.
        package: String,
        /// The last that it said, without secrets.
        #[source]
        said: NpmOutput,
    },
    /// The manifest is not a JSON object.
    #[error("the package's package.json cannot be read")]
    Manifest(#[source] serde_json::Error),
    /// The lockfile to start from cannot be read.
    #[error("the vendored lockfile cannot be read")]
    Existing(#[source] serde_json::Error),
    /// npm wrote no lockfile.
    #[error("npm wrote no lockfile")]
    Nothing(#[source] io::Error),
    /// npm wrote something that is not a lockfile.
    #[error("npm wrote a lockfile that cannot be read")]
    Written(#[source] LockfileError),
    /// The lockfile is that of another version.
    #[error("npm wrote a lockfile of version {found} for version {expected}")]
    Version {
        /// The manifest's version.
        expected: String,
        /// The lockfile's.
        found: String,
    },
    /// Packages without a URL or an integrity: an offline install would not find them.
    #[error("npm wrote a lockfile without the addresses of {}", some(.0, SHOWN, ", "))]
    Incomplete(Vec<String>),
}

/// What npm said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct NpmOutput(pub Vec<String>);

impl Advise for RelockError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NoNpm(_) => Some("install Node.js with npm 8 or later, or run this where it is on PATH (`nix shell nixpkgs#nodejs`)".into()),
            Self::TooSlow(_) => Some("check the network and the registry in your .npmrc, or give the run longer with --timeout".into()),
            Self::Npm { .. } => {
                Some("try `npm install --package-lock-only --ignore-scripts` on the unpacked tarball".into())
            }
            Self::Existing(_) => {
                Some("restore the lockfile, or remove it and write it again with `npm-nixhash add`".into())
            }
            Self::Incomplete(_) => Some("this registry does not tell npm what an offline install needs".into()),
            _ => None,
        }
    }
}
