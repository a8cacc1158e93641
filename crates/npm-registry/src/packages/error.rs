//! Why the registry does not tell about a package.

use std::borrow::Cow;

use error_advice::Advise;
use npm_tarballs::integrity::IntegrityError;

use super::{PackageName, PackageNameError, SelectorError};
use crate::FetchError;

/// Why a package or one of its releases is not known.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// No package can have this name.
    #[error(transparent)]
    Name(#[from] PackageNameError),
    /// The registry cannot be asked.
    #[error("cannot ask the registry about {name}")]
    Fetch {
        /// The package.
        name: PackageName,
        /// Why.
        #[source]
        source: Box<FetchError>,
    },
    /// The registry has no such package.
    #[error("the registry has no package {name}")]
    Unknown {
        /// The package.
        name: PackageName,
    },
    /// The registry's answer is not a packument.
    #[error("the registry's answer for {name} is not a packument")]
    Packument {
        /// The package.
        name: PackageName,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No release is meant.
    #[error("no release of {name} is meant")]
    Selector {
        /// The package.
        name: PackageName,
        /// Why.
        #[source]
        source: SelectorError,
    },
    /// The registry has no such release.
    #[error("the registry has no {name}@{version}{}", beside(nearest))]
    NoRelease {
        /// The package.
        name: PackageName,
        /// The version that was asked for.
        version: String,
        /// The last version before it and the first one after it, where there are any.
        nearest: Vec<String>,
    },
    /// The registry says something about a release that cannot be used.
    #[error("the registry's entry for {name}@{version} cannot be used: {reason}")]
    Release {
        /// The package.
        name: PackageName,
        /// The version.
        version: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry's integrity of a release cannot be used.
    #[error("the registry's integrity of {name}@{version} cannot be used")]
    Integrity {
        /// The package.
        name: PackageName,
        /// The version.
        version: String,
        /// Why.
        #[source]
        source: IntegrityError,
    },
    /// The registry's signing keys are not a document that npm knows.
    #[error("the registry's signing keys cannot be read")]
    Keys(#[source] serde_json::Error),
}

impl Advise for PackageError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let hint = match self {
            Self::Unknown { .. } => {
                "check the name; a private package needs its registry and token in your .npmrc"
            }
            Self::NoRelease { .. } | Self::Selector { .. } => {
                "`npm view NAME versions dist-tags` shows what there is"
            }
            _ => return None,
        };
        Some(hint.into())
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Fetch { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

/// The versions that somebody may have meant.
fn beside(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; the nearest is {one}"),
        all => format!("; the nearest are {}", all.join(" and ")),
    }
}
