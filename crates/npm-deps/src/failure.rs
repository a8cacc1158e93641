//! Why a hash could not be computed: every reason, not only the first.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use error_advice::Advise;
use npm_lockfile::LockfileError;

use super::outputs::OutputError;
use super::supply::SupplyError;
use super::verdict::Refusal;

/// One reason why there is no hash.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Obstacle {
    /// The file is not a lockfile.
    #[error("cannot read the lockfile")]
    Lockfile(#[source] Arc<LockfileError>),
    /// The lockfile of a git dependency is none.
    #[error("{place}: cannot read the package-lock.json of this git dependency")]
    Nested {
        /// Where the git dependency stands in the outer lockfile.
        place: String,
        /// What is wrong with its lockfile.
        #[source]
        error: Arc<LockfileError>,
    },
    /// nixpkgs' fetcher would refuse it.
    #[error(transparent)]
    Refused(Refusal),
    /// Something that is needed is not available.
    #[error(transparent)]
    Supply(Arc<SupplyError>),
    /// An output cannot be made.
    #[error(transparent)]
    Output(Arc<OutputError>),
    /// An output cannot be written, or the machine is out of something.
    #[error("cannot assemble the tree")]
    Assembly(#[source] Arc<io::Error>),
    /// A tarball on disk vanished or turned out to be damaged while it was read.
    #[error("a tarball was lost on disk while the tree was assembled")]
    Lost(#[source] Arc<io::Error>),
}

impl Advise for Obstacle {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Lost(_) => Some("try again; if it happens again, use --no-cache".into()),
            _ => None,
        }
    }

    fn because(&self) -> Option<&dyn Advise> {
        Some(match self {
            Self::Lockfile(error) | Self::Nested { error, .. } => &**error,
            Self::Refused(refusal) => refusal,
            Self::Supply(error) => &**error,
            Self::Output(error) => &**error,
            Self::Assembly(_) | Self::Lost(_) => return None,
        })
    }
}

/// All reasons why there is no hash; there is at least one.
#[derive(Debug, Clone)]
pub struct HashFailure {
    /// The reasons.
    pub obstacles: Vec<Obstacle>,
}

impl HashFailure {
    /// Whether nothing but lost tarballs stands in the way: another attempt would fetch them.
    pub(super) fn is_loss(&self) -> bool {
        // Any other reason would stop the next attempt, too.
        self.obstacles.iter().all(|obstacle| matches!(obstacle, Obstacle::Lost(_)))
    }
}

impl From<Obstacle> for HashFailure {
    fn from(obstacle: Obstacle) -> Self {
        Self { obstacles: vec![obstacle] }
    }
}
