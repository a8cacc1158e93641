//! Why something could not be fetched, and what to do about it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use url::Url;

use super::access::Access;
use super::credentials::{CredentialUse, Withheld, authority};
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
    pub fn is_refusal(&self) -> bool {
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        matches!(&self.problem, Problem::Status { status, .. } if refused.contains(status))
    }

    /// Whether the server says that there is no such thing.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        let missing = [StatusCode::NOT_FOUND, StatusCode::GONE];
        matches!(&self.problem, Problem::Status { status, .. } if missing.contains(status))
    }

    /// Where the request went: `host` or `host:port`.
    fn host(&self) -> String {
        let url = Url::parse(self.asked.as_ref().unwrap_or(&self.url)).ok();
        url.and_then(|url| authority(&url)).unwrap_or_default()
    }

    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if self.is_refusal() {
            return Some(self.refusal_hint());
        }
        if self.is_missing() {
            return Some(format!(
                "the registry has no such version any more, or hides it from those without access: {}",
                self.access_hint()
            ));
        }
        let hint = match &self.problem {
            Problem::Mismatch(_) => {
                "the lockfile or the registry's file was changed; do not accept the new integrity unexamined"
            }
            Problem::WebPage { .. } => {
                "a sign-in page, a captive portal or a filtering proxy answers in the registry's place: sign in, or name \
                 the right registry, mirror or proxy"
            }
            Problem::Identity { .. } => {
                let host = self.host();
                return Some(format!(
                    "set `//{host}/:certfile` and `//{host}/:keyfile` in ~/.npmrc to the PEM files of one that it takes"
                ));
            }
            Problem::Certificate { .. } => {
                "if a company's proxy re-signs the traffic, name its certificate with NODE_EXTRA_CA_CERTS or `cafile` in .npmrc"
            }
            Problem::Proxy { .. } => {
                "check the proxy's address in https_proxy, http_proxy or .npmrc, or exempt the host with no_proxy"
            }
            Problem::Lookup { .. } if self.asked.is_none() && !self.is_public() => {
                return Some(format!(
                    "if {0} can be reached only from elsewhere, lead its requests to another mirror with \
                     `--registry-override {0}=URL`, or with `registry` and `replace-registry-host={0}` in ~/.npmrc",
                    self.host()
                ));
            }
            Problem::Connect { .. } | Problem::Lookup { .. } => {
                "check the network, the proxy settings and the registry in .npmrc; --offline uses only what is on disk"
            }
            Problem::Setup(_) => "check SSL_CERT_FILE, NODE_EXTRA_CA_CERTS and the proxy settings",
            Problem::Downgrade { .. } => {
                "the registry redirects to an unencrypted address: name another registry or mirror"
            }
            Problem::TooLarge { .. } => "if it really is that large, raise the limit with --max-download",
            Problem::TooSlow { .. } | Problem::Deadline { .. } => {
                "name a nearer mirror with --registry-override, or give the run more time with --timeout"
            }
            Problem::AskedToWait { .. } => "try again later, or ask for less at once with --jobs",
            Problem::Unset { variable, .. } => {
                return Some(format!(
                    "set {variable}, or write ${{{variable}?}} if the setting may be empty without it"
                ));
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn refusal_hint(&self) -> String {
        let wanted = match (&self.problem, &self.credential) {
            (
                Problem::Status { asks_for: Some(asked), .. },
                CredentialUse::Sent { scheme: Some(sent), .. },
            ) if !asked.to_ascii_lowercase().contains(&sent.to_ascii_lowercase()) => {
                format!("; the server wants {asked}, and what was sent is {sent}")
            }
            _ => String::new(),
        };
        self.access_hint() + &wanted
    }

    /// Which credential went along, and what to do if it was the wrong one or none.
    #[must_use]
    pub fn access_hint(&self) -> String {
        let host = self.host();
        match &self.credential {
            CredentialUse::Sent { place, .. } => {
                format!("{place} was sent: it may have expired, or may not be allowed to read this")
            }
            CredentialUse::Withheld { place, why } => {
                let why = match why {
                    Withheld::Unencrypted => {
                        format!(
                            "because the URL is not encrypted and nothing of the user's configuration says http://{host}"
                        )
                    }
                    Withheld::OtherPort => "because it is for another port of this host".to_owned(),
                    Withheld::OtherPath => {
                        "because it is for another path of this host, and no registry there is configured"
                            .to_owned()
                    }
                    Withheld::Redirected => "because a redirect led to another host".to_owned(),
                };
                format!("{place} was not sent, {why}; {UNREAD}")
            }
            CredentialUse::None => format!(
                "no credential for {host} is configured: set `//{host}/:_authToken` in ~/.npmrc, or NIX_NPM_TOKENS; \
                 {UNREAD}"
            ),
        }
    }

    fn is_public(&self) -> bool {
        Url::parse(&self.url).is_ok_and(|url| Access::is_public(&url))
    }
}

/// Why the token that lies beside the lockfile is of no use.
const UNREAD: &str =
    "a repository's own .npmrc is not read, because who can change it could send your tokens anywhere";

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The server answered with a status that is no success.
    #[error("the server answered {status}{}", asks(asks_for.as_deref()))]
    Status {
        /// The answer.
        status: StatusCode,
        /// The schemes that it wants, as `www-authenticate` names them.
        asks_for: Option<String>,
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
    /// The server asks for a client certificate, and got none that it takes.
    #[error("the server wants a client certificate: {reason}")]
    Identity {
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

fn asks(schemes: Option<&str>) -> String {
    schemes.map(|schemes| format!(" and asks for {schemes}")).unwrap_or_default()
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Mismatch(mismatch) => Self::Mismatch(mismatch),
            ReceiveError::Shelf(source) => Self::Shelf(source),
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
}

/// What a failed exchange means, after so many bytes of a body.
pub(super) fn of_exchange(error: &reqwest::Error, received: u64, way: &Way) -> Problem {
    let reason = match innermost(error) {
        _ if error.is_connect() && error.is_timeout() => "it took too long".to_owned(),
        reason => reason,
    };
    let host = way.host.clone();
    let unreached = error.is_dns() || error.is_connect();
    let tls = tls(error);
    match &way.proxy {
        _ if matches!(tls, Some(rustls::Error::InvalidCertificate(_))) => Problem::Certificate { reason },
        _ if wants_identity(&reason) => Problem::Identity { reason },
        Some(proxy) if unreached => Problem::Proxy { proxy: proxy.clone(), reason },
        _ if error.is_dns() => Problem::Lookup { host, reason },
        _ if error.is_connect() => Problem::Connect { host, reason },
        _ if error.is_builder() => Problem::Url { reason },
        _ => Problem::Broken { received, reason },
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
/// before that it is any failure of the handshake. The answer may come after the handshake, to HTTP/2, which keeps no more of
/// an error than its text: `reason` is compared with what TLS itself would say.
fn wants_identity(reason: &str) -> bool {
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
