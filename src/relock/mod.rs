//! Resolving a published package's dependencies with the real npm client, starting from the lockfile that is vendored.
//!
//! A tarball on the registry has no lockfile, so a Nix expression brings one along. When the package's version moves,
//! that lockfile has to follow, and only as far as it must: npm is given the old one, and keeps of it what still fits.
//!
//! # What npm is given
//!
//! * An empty temporary folder that holds `package.json` and the lockfile, and its own home and cache. npm's cache
//!   of the user is neither read nor written: what is resolved depends on the registry alone.
//! * An environment made of what [`NpmClient`] lists, and nothing else. The caller's own is not inherited, so no token that
//!   happens to be in it can reach npm, or a proxy that npm talks to.
//! * Of the user's `.npmrc` the settings that say where registries are (see [`npmrc`]), and the credentials of those hosts
//!   alone that this resolution may ask: the default registry's, those of scopes that `package.json` or the lockfile
//!   name, and those of the lockfile's addresses. They are in a file that only its owner can read, in a folder that only its owner can
//!   enter, and which goes when npm ends, or when a signal ends this program (see [`Running`]). Credentials written as
//!   `${NAME}` stay so, and those variables alone are handed over. Other settings, such as `legacy-peer-deps`, would make
//!   a lockfile that `npm ci` refuses in a Nix build, which has no `.npmrc`.
//! * Of the registry's answers those that it will need, as far as can be told beforehand (see [`Ahead`]).
//! * No scripts of any package are run (`--ignore-scripts`), and certificates are checked whatever `.npmrc` says.
//!
//! # What comes back
//!
//! The bytes of the lockfile, after these were seen: its root says the version of `package.json`, and each package has
//! the URL and the integrity that an offline install needs.

mod ahead;
mod child;
mod error;
pub mod npmrc;
mod optional;
mod outcome;
mod running;
mod start;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use ahead::Ahead;
pub use error::RelockError;
use npm_registry::Access;
pub use running::Running;

/// What is to be resolved.
#[derive(Debug, Clone, Copy)]
pub struct RelockRequest<'a> {
    /// `package.json` of the tarball.
    pub package_json: &'a [u8],
    /// `npm-shrinkwrap.json` of the tarball, if it has one: then that is what npm goes by, and `existing` is not used.
    pub shrinkwrap: Option<&'a [u8]>,
    /// The lockfile that is vendored now.
    pub existing: Option<&'a [u8]>,
    /// Whether a lockfile that does not exist yet leaves out `devDependencies`. An existing one decides that itself.
    pub omit_dev: bool,
}

/// The npm client, and all that it is given.
#[derive(Debug, Clone)]
pub struct NpmClient {
    /// Its name, looked up in `path`, or its path.
    pub program: PathBuf,
    /// `PATH`.
    pub path: OsString,
    /// Proxies, certificates, `npm_config_*`: variables that do not hold secrets of anybody else.
    pub variables: Vec<(String, OsString)>,
    /// The user's configuration.
    pub npmrc: npmrc::Passed,
    /// Where registries are.
    pub access: Access,
    /// How long it may take.
    pub timeout: Duration,
    /// When the whole run has to be over, and npm with it.
    pub deadline: Option<Instant>,
    /// Where it is noted while it runs, so that a signal can end it.
    pub running: Running,
    /// Whom to ask ahead of npm what it will ask one after the other; nobody is where this is not there.
    pub ahead: Option<Ahead>,
}

/// How long npm may take by default: two thirds of what Renovate gives a command.
pub const TIMEOUT: Duration = Duration::from_mins(10);

/// Resolves.
///
/// # Errors
/// Npm is missing, fails or takes too long; or what it wrote is not enough for an offline install.
pub fn relock(npm: &NpmClient, request: &RelockRequest<'_>) -> Result<Vec<u8>, RelockError> {
    let start = start::Start::of(request)?;
    let place = child::NpmFolder::new(npm, &start)?;
    // With a lockfile to go by npm asks about little.
    if let (Some(ahead), None) = (&npm.ahead, &start.lockfile) {
        ahead::fill(ahead, &start.manifest, &place.cache());
    }
    child::run(npm, &place)?;
    let written = place.lockfile()?;
    let written = optional::account(outcome::public_urls(written, &npm.access));
    outcome::check(&written, &start)?;
    Ok(written)
}
