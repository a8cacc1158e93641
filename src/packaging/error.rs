//! Why a release cannot be packaged.

use std::borrow::Cow;
use std::io;

use error_advice::Advise;
use npm_deps::HashFailure;
use npm_deps::supply::SupplyError;
use npm_lockfile::LockfileError;
use npm_registry::packages::PackageError;
use npm_registry::packages::signature::SignatureVerdict;

use crate::packaging::{Fit, Shape};
use crate::relock::RelockError;

/// What stands in the way.
#[derive(Debug, thiserror::Error)]
pub enum PackagingError {
    /// The network may not be used.
    #[error("a package that is new has to be fetched")]
    Offline,
    /// The registry does not tell.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The signatures are not what is asked for.
    #[error("{package}: {verdict}")]
    Signature {
        /// Name and version.
        package: String,
        /// What the signatures say.
        verdict: SignatureVerdict,
    },
    /// The tarball cannot be fetched, or is not what the registry says.
    #[error(transparent)]
    Fetch(SupplyError),
    /// The tarball cannot be read.
    #[error("the package's tarball cannot be read")]
    Tarball(#[source] io::Error),
    /// The manifest in the tarball is none, or of another package.
    #[error("the package.json in the tarball of {package} {problem}")]
    Manifest {
        /// Name and version.
        package: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The dependencies cannot be resolved.
    #[error(transparent)]
    Relock(#[from] RelockError),
    /// The same, of a package that brings dependencies along.
    #[error("the tarball brings dependencies along ({}), and npm wants them from the registry", .names.join(", "))]
    Bundled {
        /// Their names.
        names: Vec<String>,
        /// What npm said.
        #[source]
        source: RelockError,
    },
    /// The lockfile cannot be read.
    #[error("the package's lockfile cannot be read")]
    Lockfile(#[source] LockfileError),
    /// Another shape was ordered than the one that fits.
    #[error("{package} cannot be written down as {}: {fit}", what(*.shape))]
    Shape {
        /// Name and version.
        package: String,
        /// What was ordered.
        shape: Shape,
        /// What fits, and why.
        fit: Fit,
    },
    /// More optional dependencies than any program has.
    #[error("{package} has {number} optional dependencies, more than are looked up")]
    TooManyOptional {
        /// Name and version.
        package: String,
        /// Their number.
        number: usize,
    },
    /// Their hash cannot be computed.
    #[error("cannot compute the hash of the dependencies")]
    Dependencies(HashFailure),
}

/// A shape, as it is spoken of.
fn what(shape: Shape) -> &'static str {
    match shape {
        Shape::Lockfile => "a package with a lockfile",
        Shape::Bundled => "its tarball alone",
        Shape::Platforms => "a tarball for each system",
    }
}

impl Advise for PackagingError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Offline => Some("run it without --offline".into()),
            Self::Shape { fit, .. } => Some(
                match fit.shape() {
                    Shape::Lockfile => "run it without --bundled and --platforms: a lockfile fits",
                    Shape::Bundled => "run it with --bundled",
                    Shape::Platforms => "run it with --platforms",
                }
                .into(),
            ),
            Self::Bundled { .. } => Some(
                "what is bundled is installed if this package is a dependency: package one that depends on it"
                    .into(),
            ),
            Self::Signature { verdict: SignatureVerdict::Invalid { .. }, .. } => {
                Some("do not use this release unexamined; a mirror may also be out of date".into())
            }
            Self::Signature { .. } => {
                Some("without --require-signatures the registry's integrity is what is relied on".into())
            }
            _ => None,
        }
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Package(error) => Some(error),
            Self::Fetch(error) => Some(error),
            Self::Relock(error) => Some(error),
            _ => None,
        }
    }
}
