//! What npm itself knows of a source: whether a registry vouches for a tarball, and how a lockfile is regenerated.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use error_advice::Advise;
use npm_tarballs::integrity::ContentId;
use url::Url;

/// What a registry says of a tarball.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// The URL is not that of a registry's tarball, or the registry knows nothing of it.
    None,
    /// The bytes are what was published; a stable word about the release's signatures.
    Vouched(&'static str),
    /// They are, but the release is not signed as it has to be: how it is signed.
    Unsigned(String),
    /// Other bytes were published; their integrity.
    Other(String),
}

/// What a registry is asked.
#[derive(Debug, Clone, Copy)]
pub struct TarballQuestion<'a> {
    /// Where the bytes came from.
    pub url: &'a Url,
    /// Their digests, by the algorithms of npm.
    pub content: &'a [ContentId],
}

/// A lockfile to be regenerated.
#[derive(Debug, Clone, Copy)]
pub struct Relock<'a> {
    /// The package's `package.json`.
    pub package_json: &'a [u8],
    /// The package's `npm-shrinkwrap.json`, if it has one.
    pub shrinkwrap: Option<&'a [u8]>,
    /// The lockfile to start from, so that only what has to move moves.
    pub existing: &'a [u8],
}

/// Why npm cannot help.
#[derive(Debug, Clone)]
pub struct NpmFailure {
    /// What went wrong.
    pub error: Arc<dyn Advise + Send + Sync>,
}

impl fmt::Display for NpmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for NpmFailure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

impl Advise for NpmFailure {
    fn because(&self) -> Option<&dyn Advise> {
        Some(&*self.error)
    }
}

/// Registries and the npm client.
pub trait NpmServices: Sync {
    /// Whether this is the URL of a registry's tarball.
    fn publishes(&self, url: &Url) -> bool;

    /// What registries say of the bytes at URLs, in the order of the questions. All are asked side by side: one after the
    /// other took 11 s for 16 sources where an answer takes 0.3 s.
    fn words(&self, questions: &[TarballQuestion<'_>]) -> Vec<Result<Word, NpmFailure>>;

    /// The SHA-512 of the tarball at each URL, as its registry states it; all are asked side by side. `None` if the URL is
    /// not that of a tarball of a registry that is asked, or if the registry states another algorithm's hash; a failure when
    /// the registry cannot be asked, has no such release, or does not vouch for it as it has to.
    fn stated(&self, urls: &[&Url]) -> Vec<Result<Option<ContentId>, NpmFailure>>;

    /// Regenerates a lockfile.
    ///
    /// # Errors
    /// When npm is missing, or refuses.
    fn relock(&self, relock: &Relock<'_>) -> Result<Vec<u8>, NpmFailure>;
}
