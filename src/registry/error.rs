//! Why something could not be fetched, and what to do about it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

use super::transport::SetupError;
use crate::tarball::verified::{Mismatch, ReceiveError};

/// A fetch that failed for good.
#[derive(Debug, thiserror::Error)]
#[error("cannot fetch {url}{}{}", via(asked.as_deref()), tries(*attempts))]
pub struct FetchError {
    /// What was to be fetched, without secrets.
    pub url: String,
    /// Where it was asked for, without secrets, if a mirror or another registry stands in.
    pub asked: Option<String>,
    /// How many attempts were made.
    pub attempts: u32,
    /// Why the last one failed.
    #[source]
    pub problem: Problem,
}

fn via(asked: Option<&str>) -> String {
    asked.map(|asked| format!(" from {asked}")).unwrap_or_default()
}

fn tries(attempts: u32) -> String {
    if attempts > 1 { format!(" ({attempts} attempts)") } else { String::new() }
}

impl FetchError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.problem {
            Problem::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN } => {
                "set `//host/:_authToken` for this registry in .npmrc"
            }
            Problem::Status { status: StatusCode::NOT_FOUND | StatusCode::GONE } => {
                "the lockfile names a version that the registry does not have (any more): make the lockfile anew"
            }
            Problem::Mismatch(_) => {
                "the lockfile or the registry's file was changed; do not accept the new integrity unexamined"
            }
            Problem::Certificate { .. } => {
                "if a company's proxy re-signs the traffic, name its certificate with NODE_EXTRA_CA_CERTS or `cafile` in .npmrc"
            }
            Problem::Connect { .. } | Problem::Lookup { .. } | Problem::Unreachable { .. } => {
                "check the network, the proxy settings and the registry in .npmrc; --offline uses only what is on disk"
            }
            Problem::Setup(_) => "check SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and the proxy settings",
            Problem::Downgrade { .. } => {
                "the registry redirects to an unencrypted address: name another registry or mirror"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The server answered with a status that is no success.
    #[error("the server answered {status}")]
    Status {
        /// The answer.
        status: StatusCode,
    },
    /// No connection came about.
    #[error("cannot connect: {reason}")]
    Connect {
        /// What the system said.
        reason: String,
    },
    /// The host's name leads nowhere.
    #[error("cannot find the host: {reason}")]
    Lookup {
        /// What the system said.
        reason: String,
    },
    /// Connecting to this host was given up before.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// The host and port.
        host: String,
        /// Why connecting failed.
        reason: String,
    },
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted: {reason}")]
    Certificate {
        /// What TLS said.
        reason: String,
    },
    /// Nothing arrived for too long.
    #[error("nothing arrived for {} seconds", after.as_secs_f32())]
    Stalled {
        /// For how long.
        after: Duration,
    },
    /// The connection broke, or the body ended early.
    #[error("the transfer broke off after {received} bytes: {reason}")]
    Broken {
        /// Bytes of the body that had arrived.
        received: u64,
        /// What the connection said.
        reason: String,
    },
    /// The bytes are not what the lockfile says.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
    /// The body could not be put aside.
    #[error("cannot put the body aside on disk")]
    Shelf(#[source] std::io::Error),
    /// The document is larger than anything sensible.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body's encoding cannot be undone.
    #[error("the answer cannot be decoded: {reason}")]
    Encoding {
        /// What was wrong.
        reason: String,
    },
    /// A redirect without a usable target, or too many.
    #[error("the server redirects {reason}")]
    Redirect {
        /// What is wrong with it.
        reason: String,
    },
    /// A redirect from `https` to `http`.
    #[error("the server redirects to the unencrypted {target}")]
    Downgrade {
        /// The target, without secrets.
        target: String,
    },
    /// The URL cannot be requested.
    #[error("the URL cannot be requested: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// No request can be made at all.
    #[error(transparent)]
    Setup(Arc<SetupError>),
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Mismatch(mismatch) => Self::Mismatch(mismatch),
            ReceiveError::Shelf(source) => Self::Shelf(source),
        }
    }
}

/// What a failed exchange means.
pub(super) fn of_exchange(error: &reqwest::Error, received: u64) -> Problem {
    let reason = innermost(error);
    if is_certificate(error) {
        Problem::Certificate { reason }
    } else if error.is_dns() {
        Problem::Lookup { reason }
    } else if error.is_connect() && error.is_timeout() {
        Problem::Connect { reason: "it took too long".to_owned() }
    } else if error.is_connect() {
        Problem::Connect { reason }
    } else if error.is_builder() {
        Problem::Url { reason }
    } else {
        Problem::Broken { received, reason }
    }
}

/// The cause at the end of the chain: the others only say that something failed.
fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn is_certificate(error: &(dyn Error + 'static)) -> bool {
    if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
        return true;
    }
    // An `io::Error` hides what it wraps from the chain of sources.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|inner| is_certificate(inner)) || error.source().is_some_and(is_certificate)
}
