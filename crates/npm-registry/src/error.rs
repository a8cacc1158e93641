//! Why something could not be fetched. What to do about it stands in `advice`.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use npm_tarballs::verified::{Mismatch, ReceiveError};
use reqwest::StatusCode;

use super::credentials::{CredentialUse, Purpose};
use super::transport::SetupError;

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
    /// What it was for: credentials for sources stand elsewhere than those for packages.
    pub purpose: Purpose,
    /// Which credential went along.
    pub credential: CredentialUse,
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
    /// Whether the server refused because of who asks.
    #[must_use]
    pub(crate) fn is_refusal(&self) -> bool {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        matches!(&self.problem, Problem::Status { status, .. } if refused.contains(status))
    }

    /// Whether the server says that there is no such thing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let missing = [StatusCode::NOT_FOUND, StatusCode::GONE];
        matches!(&self.problem, Problem::Status { status, .. } if missing.contains(status))
    }
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The server answered with a status that is not a success.
    #[error("the server answered {status}{}", asks(asks_for))]
    Status {
        /// The answer.
        status: StatusCode,
        /// What it wants to let somebody in.
        asks_for: Challenge,
    },
    /// The proxy, not the server, could not be reached, or refused.
    #[error("the proxy {proxy} cannot be used: {reason}")]
    Proxy {
        /// Its host and port.
        proxy: String,
        /// What went wrong.
        reason: String,
    },
    /// The server wants to be left alone for longer than a run waits.
    #[error("the server answered {status} and asks to wait {}", humantime::format_duration(*wait))]
    AskedToWait {
        /// The answer.
        status: StatusCode,
        /// For how long.
        wait: Duration,
    },
    /// A page for people came where a file is due.
    #[error("{from} sent {what} instead of the file")]
    WebPage {
        /// What came.
        what: &'static str,
        /// The host that sent it.
        from: String,
    },
    /// A body that trickles.
    #[error("only {received} bytes arrived within {} seconds", after.as_secs_f32())]
    TooSlow {
        /// In that time.
        received: u64,
        /// For how long it was watched.
        after: Duration,
    },
    /// The time of the request, or of the run, is over.
    #[error("it took longer than {}", humantime::format_duration(*.limit))]
    Deadline {
        /// The time there was.
        limit: Duration,
    },
    /// The credential's value needs a variable that is not set; nothing was sent.
    #[error("{place} needs the variable {variable}, which is not set; nothing was sent")]
    Unset {
        /// The variable.
        variable: String,
        /// Where the credential is configured.
        place: String,
    },
    /// The credential's value cannot be sent; nothing was.
    #[error("{place} holds characters that no request can carry; nothing was sent")]
    Credential {
        /// Where the credential is configured.
        place: String,
    },
    /// No connection came about, for this request or one before.
    #[error("cannot connect to {host}: {reason}")]
    Connect {
        /// The host and port.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The host's name leads nowhere.
    #[error("cannot find the host {host}: {reason}")]
    Lookup {
        /// The host and port.
        host: String,
        /// What the system said.
        reason: String,
    },
    /// The server's certificate is not trusted.
    #[error("the server's certificate is not trusted: {reason}")]
    Certificate {
        /// What TLS said.
        reason: String,
    },
    /// The server asked for a client certificate, got none that it takes, and said no more.
    #[error("the server asked for a client certificate, {}", shown(certificate.as_ref(), refusal.as_deref()))]
    Identity {
        /// The one that it got.
        certificate: Option<PathBuf>,
        /// What TLS said of it. The server closes the connection right behind this word, which may take it along.
        refusal: Option<String>,
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
    #[error("cannot store the body on disk")]
    Spill(#[source] std::io::Error),
    /// The body is larger than anything sensible.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
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

/// What a server wants to let somebody in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// The schemes, as `www-authenticate` names them.
    pub schemes: Vec<String>,
    /// A client certificate, in the handshake, and it got none. Only for answers that may be about that.
    pub certificate: bool,
}

impl Challenge {
    pub(super) fn scheme(&self, name: &str) -> bool {
        self.schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case(name))
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.schemes.is_empty() && !self.certificate
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = self.certificate.then_some("a client certificate");
        let all: Vec<_> = self.schemes.iter().map(String::as_str).chain(certificate).collect();
        f.write_str(&all.join(" or "))
    }
}

fn asks(wanted: &Challenge) -> String {
    if wanted.is_nothing() { String::new() } else { format!(" and asks for {wanted}") }
}

fn shown(certificate: Option<&PathBuf>, refusal: Option<&str>) -> String {
    match (certificate, refusal) {
        // Whatever TLS says of one that is missing, it is missing.
        (None, _) => "got none, and ended the connection".to_owned(),
        (Some(path), None) => format!("got the one in {}, and ended the connection", path.display()),
        (Some(path), Some(refusal)) => format!("and refused the one in {}: {refusal}", path.display()),
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Mismatch(mismatch) => Self::Mismatch(mismatch),
            ReceiveError::Spill(source) => Self::Spill(source),
        }
    }
}

/// Where a request went: to a host, perhaps through a proxy.
#[derive(Debug, Clone)]
pub(super) struct Way {
    /// `host` or `host:port`.
    pub host: String,
    /// The proxy's `host:port`.
    pub proxy: Option<String>,
    /// The client certificate that there is for it.
    pub certificate: Option<PathBuf>,
    /// Whether the host asked for one, and has answered nobody who came with this one, or with none.
    pub asked: bool,
}

/// What a failed exchange means, after so many bytes of a body.
pub(super) fn of_exchange(error: &reqwest::Error, received: u64, way: Way) -> Problem {
    let reason = match innermost(error) {
        _ if error.is_connect() && error.is_timeout() => "it took too long".to_owned(),
        reason => reason,
    };
    let unreached = error.is_dns() || error.is_connect();
    // Before the proxy is blamed: through one that tunnels, the certificate is the server's, and the library calls it
    // a failure to connect all the same.
    if matches!(tls(error), Some(rustls::Error::InvalidCertificate(_))) {
        return Problem::Certificate { reason };
    }
    if let Some(problem) = of_handshake(error, &reason, received, &way) {
        return problem;
    }
    let Way { host, proxy, .. } = way;
    match proxy {
        Some(proxy) if unreached => Problem::Proxy { proxy, reason },
        _ if error.is_dns() => Problem::Lookup { host, reason },
        _ if error.is_connect() => Problem::Connect { host, reason },
        _ if error.is_builder() => Problem::Url { reason },
        _ => Problem::Broken { received, reason },
    }
}

/// What it means if it is about the client certificate: the server says so, or it asked for one and hung up.
fn of_handshake(error: &reqwest::Error, reason: &str, received: u64, way: &Way) -> Option<Problem> {
    let certificate = way.certificate.clone();
    if refuses_identity(reason) {
        return Some(Problem::Identity { certificate, refusal: Some(reason.to_owned()) });
    }
    let hung_up = if error.is_connect() {
        tls(error).is_some() || was_closed(error)
    } else {
        received == 0 && !error.is_timeout() && !error.is_builder()
    };
    (way.asked && hung_up).then_some(Problem::Identity { certificate, refusal: None })
}

/// Whether a connection had come about, and then ended.
fn was_closed(error: &(dyn Error + 'static)) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof))
        || error.source().is_some_and(was_closed)
}

/// The cause at the end of the chain: the others only say that something failed.
fn innermost(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// What TLS said, if it said something.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // An `io::Error` hides what it wraps from the chain of sources.
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.and_then(|inner| tls(inner)).or_else(|| tls(error.source()?))
}

/// Whether the server refuses the client for its certificate. Only TLS 1.3 has a word of its own for one that is missing;
/// before that it is any failure of the handshake, which counts if the server had asked for one. The answer may come after the handshake, to HTTP/2, which keeps no more of
/// an error than its text: `reason` is compared with what TLS itself would say.
fn refuses_identity(reason: &str) -> bool {
    use rustls::AlertDescription as Alert;
    [
        Alert::CertificateRequired,
        Alert::BadCertificate,
        Alert::UnsupportedCertificate,
        Alert::CertificateRevoked,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
    ]
    .into_iter()
    .any(|alert| rustls::Error::AlertReceived(alert).to_string() == reason)
}
