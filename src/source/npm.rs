//! What npm itself knows of a source: whether a registry vouches for a tarball, and how a lockfile is made anew.

use std::error::Error;
use std::sync::Arc;

use url::Url;

use crate::integrity::ContentId;

/// What a registry says of a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The URL is not that of a registry's tarball, or the registry knows nothing of it.
    None,
    /// The bytes are what was published.
    Vouched,
    /// Other bytes were published; their integrity.
    Other(String),
}

/// A lockfile to be made anew.
#[derive(Debug, Clone, Copy)]
pub struct Relock<'a> {
    /// The package's `package.json`.
    pub package_json: &'a [u8],
    /// The package's `npm-shrinkwrap.json`, if it has one.
    pub shrinkwrap: Option<&'a [u8]>,
    /// The lockfile to start from, so that only what has to move moves.
    pub existing: &'a [u8],
}

/// Why npm's help cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct NpmFailure {
    /// What was attempted.
    pub message: String,
    /// What can be done about it.
    pub hint: Option<String>,
    /// Why it failed.
    #[source]
    pub source: Option<Arc<dyn Error + Send + Sync>>,
}

/// Registries and the npm client.
pub trait Npm: Sync {
    /// What the registry says of the bytes at a URL, all of whose digests `content` are.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn word(&self, url: &Url, content: &[ContentId]) -> Result<Word, NpmFailure>;

    /// Makes a lockfile anew.
    ///
    /// # Errors
    /// When npm is missing, or refuses.
    fn relock(&self, relock: &Relock<'_>) -> Result<Vec<u8>, NpmFailure>;
}
