//! Whatever goes to a registry or a code host: verified downloads of tarballs, and small documents. Binary caches have
//! a client of their own, set up here ([`plain_client`]).
//!
//! It reads no environment and no files but the certificates it is told of; everything else arrives in [`Options`].
//! Requests run under a limit that adapts to the server (see [`gate`]), are repeated where repeating can help (see
//! [`retry`]), and give up together on a host that cannot be reached (see [`health`]). Credentials are chosen as
//! npm chooses them and go nowhere else (see [`credentials`]).

mod access;
mod advice;
mod attempt;
mod client;
mod credentials;
mod error;
mod gate;
mod gzip;
mod health;
pub mod netrc;
pub mod npmrc;
mod options;
pub mod packages;
mod retry;
mod secret;
mod transport;
mod trust;

pub use access::{Access, InvalidOverride};
pub use client::{Client, Get, Reply, TarballRequest};
pub use credentials::{ClientIdentity, Credential, CredentialUse, Grant, Purpose, Withheld};
pub use error::{Challenge, FetchError, Problem};
pub use options::{Options, Proxies, Roots, Timeouts, Trust};
pub use retry::Retry;
pub use secret::Secret;
pub use transport::{CONNECTION_WINDOW, STREAM_WINDOW, SetupError, plain_client};

/// Watches downloads; every method does nothing unless it is overridden. Called often and from many tasks: be quick.
pub trait Watch: Send + Sync {
    /// A body begins, of this length if the server tells.
    fn begun(&self, _len: Option<u64>) {}
    /// Bytes of a body arrived.
    fn received(&self, _bytes: u64) {}
    /// Bytes that had arrived do not count: their attempt failed and will be repeated.
    fn discarded(&self, _bytes: u64) {}
    /// A request will be repeated.
    fn retrying(&self, _retry: &Retry<'_>) {}
}

/// Watches nothing.
pub struct Unwatched;

impl Watch for Unwatched {}
