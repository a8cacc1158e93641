//! What the shell decides about the network.

use std::path::PathBuf;
use std::time::Duration;

use super::access::Access;
use super::secret::Secret;

/// Everything a [`super::Client`] is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests in flight at most; fewer when a server asks for it.
    pub jobs: usize,
    /// HTTP/2 connections to each host at most.
    pub connections: usize,
    /// How often a request is repeated after it failed.
    pub retries: u32,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// The largest tarball or archive that is downloaded, in bytes.
    pub max_download: u64,
    /// Which certificates are believed.
    pub trust: Trust,
    /// Where requests really go, and what opens the door there.
    pub access: Access,
    /// Proxies.
    pub proxies: Proxies,
    /// The `user-agent` header.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 128,
            // More paid on none of the lines that were measured (BENCHMARKS.md, "Long and thin lines").
            connections: 4,
            retries: 4,
            timeouts: Timeouts::default(),
            max_download: 1 << 30,
            trust: Trust::default(),
            access: Access::default(),
            proxies: Proxies::default(),
            user_agent: concat!("npm-nixhash/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name lookup, TCP and TLS together.
    pub connect: Duration,
    /// For the answer to begin, and then for each next part of it.
    pub stall: Duration,
    /// For a host from its first connection failure on; after that, all requests to it fail at once.
    pub unreachable: Duration,
    /// The first pause before repeating a request; each next one is twice as long.
    pub backoff: Duration,
    /// The longest pause a server may ask for with `Retry-After`.
    pub retry_after: Duration,
    /// For the whole run, from when the client was made; a single request, with its repetitions, may take a quarter of it.
    pub run: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            unreachable: Duration::from_secs(20),
            backoff: Duration::from_millis(250),
            retry_after: Duration::from_mins(1),
            run: Duration::from_hours(1),
        }
    }
}

/// Which certificates are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Where the roots come from.
    pub roots: Roots,
    /// PEM files whose certificates are believed besides (`NODE_EXTRA_CA_CERTS`, npm's `cafile`).
    pub extra_files: Vec<PathBuf>,
    /// PEM texts whose certificates are believed besides (npm's `ca`).
    pub extra_pem: Vec<String>,
    /// Believe everything. Only the drop-in inside a fixed-output build does that, as the reference does there.
    pub insecure: bool,
}

/// Where the trusted roots come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// The system's trust store.
    #[default]
    System,
    /// A PEM file instead of it (`SSL_CERT_FILE`, `NIX_SSL_CERT_FILE`).
    File(PathBuf),
}

/// Proxies, by the scheme of the request.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For `http:` requests.
    pub http: Option<Secret>,
    /// For `https:` requests.
    pub https: Option<Secret>,
    /// Hosts reached without a proxy, as `NO_PROXY` lists them.
    pub exempt: Option<String>,
}
