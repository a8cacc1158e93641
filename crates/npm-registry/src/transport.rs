//! The HTTP clients: several, because each keeps one HTTP/2 connection to a host.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy, Version};
use rustls::ClientConfig;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Url;

use super::credentials::ClientIdentity;
use super::options::{Options, Proxies};
use super::secret::Secret;
use super::trust::{self, ASKED, TrustError};

/// What may be on the way of one HTTP/2 stream, in bytes: a whole tarball of usual size fits, so that none waits for permission
/// to go on.
// With 3 MiB for both, and fewer bodies at once, 300 MB over 1 Gbit/s and 100 ms took 6.03 s instead of 4.60
// (BENCHMARKS.md).
pub const STREAM_WINDOW: u32 = 4 << 20;
/// What may be on the way over one HTTP/2 connection, in bytes: it bounds what lies unread in memory.
pub const CONNECTION_WINDOW: u32 = 16 << 20;
/// Fewer, larger frames cost less.
const FRAME: u32 = 64 << 10;
/// A dead HTTP/2 connection is noticed after these two, not when each of its streams has stalled.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long others wait for the first request through a lane before they go anyway.
const GREETING: Duration = Duration::from_secs(3);
/// Sockets to one host that speaks HTTP/1.1 only.
const HTTP1_SOCKETS: usize = 32;
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no request can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There are no trusted certificates.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A proxy's address is not usable.
    #[error("the proxy's address for {scheme} requests is not usable")]
    Proxy {
        /// `http` or `https`.
        scheme: &'static str,
    },
    /// The HTTP client cannot be made.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

pub(super) struct Transport {
    options: Options,
    proxies: Matcher,
    clients: Clients,
    /// For each client certificate clients of its own: it is part of a connection.
    identified: Mutex<HashMap<Arc<ClientIdentity>, Identified>>,
    hosts: Mutex<HashMap<HostKey, Arc<HostClients>>>,
}

type Clients = Arc<[reqwest::Client]>;
type Identified = Result<Clients, Arc<SetupError>>;
/// An origin, and the certificate that is shown there.
type HostKey = (String, Option<Arc<ClientIdentity>>);

/// What is known of a host, and how requests are spread over the clients.
struct HostClients {
    /// What is still on the way over the connection of each client, in bytes.
    loads: Vec<AtomicU64>,
    /// Whether a handshake asked for a client certificate.
    asked: Arc<AtomicBool>,
    greetings: Vec<Greeting>,
    http1: AtomicBool,
    sockets: Arc<Semaphore>,
}

/// A client to use for one request to a host.
pub(super) struct Lane {
    clients: Clients,
    host: Arc<HostClients>,
    index: usize,
}

/// An answer of unknown length counts for so many bytes of its lane's load.
const UNKNOWN: u64 = 64 << 10;

/// What an answer that is on the way weighs on its lane, until this is dropped.
pub(super) struct Load {
    host: Arc<HostClients>,
    index: usize,
    bytes: u64,
}

/// The first request through a lane goes alone, for those that came with it would each open a connection of their own.
#[derive(Default)]
struct Greeting {
    done: AtomicBool,
    turn: AsyncMutex<()>,
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self, SetupError> {
        Ok(Self {
            clients: clients(options, None)?,
            proxies: matcher(&options.proxies),
            options: options.clone(),
            identified: Mutex::default(),
            hosts: Mutex::default(),
        })
    }

    /// The lane to `url`'s host that the least is on the way of, with this client certificate, and the load of an answer on it.
    ///
    /// A server gives all streams of a connection the same, and all connections: who comes to 58 MB that are on their way
    /// takes half of its line from them, and goes on with half a line himself.
    pub(super) fn lane(
        &self,
        url: &Url,
        identity: Option<&Arc<ClientIdentity>>,
    ) -> Result<(Lane, Load), Arc<SetupError>> {
        let clients = match identity {
            None => Arc::clone(&self.clients),
            Some(identity) => self.identified(identity)?,
        };
        let host = self.host(url, identity);
        let load = HostClients::least_loaded(&host);
        let index = load.index;
        Ok((Lane { clients, host, index }, load))
    }

    fn identified(&self, identity: &Arc<ClientIdentity>) -> Result<Clients, Arc<SetupError>> {
        let mut identified = self.identified.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || clients(&self.options, Some(identity)).map_err(Arc::new);
        identified.entry(Arc::clone(identity)).or_insert_with(made).clone()
    }

    fn host(&self, url: &Url, identity: Option<&Arc<ClientIdentity>>) -> Arc<HostClients> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = hosts.entry((url.origin().ascii_serialization(), identity.cloned()));
        Arc::clone(host.or_insert_with(|| Arc::new(HostClients::new(self.clients.len()))))
    }

    /// The proxy that stands between here and `url`, as `host:port`.
    pub(super) fn proxy_of(&self, url: &Url) -> Option<String> {
        let through = self.proxies.intercept(&url.as_str().parse().ok()?)?;
        // Without the name and password that may stand before the host: this goes into messages.
        Some(through.uri().authority()?.as_str().rsplit('@').next()?.to_owned())
    }
}

fn clients(options: &Options, identity: Option<&ClientIdentity>) -> Result<Clients, SetupError> {
    let tls = trust::tls_config(&options.trust, identity)?;
    (0..options.connections.max(1)).map(|_| client(options, tls.clone())).collect()
}

/// The same decision as the client's own, which it does not tell.
fn matcher(proxies: &Proxies) -> Matcher {
    let address = |proxy: &Option<Secret>| {
        proxy.as_ref().map(|address| address.expose().to_owned()).unwrap_or_default()
    };
    Matcher::builder()
        .http(address(&proxies.http))
        .https(address(&proxies.https))
        .no(proxies.exempt.clone().unwrap_or_default())
        .build()
}

impl HostClients {
    fn new(clients: usize) -> Self {
        Self {
            loads: (0..clients).map(|_| AtomicU64::new(0)).collect(),
            asked: Arc::default(),
            greetings: (0..clients).map(|_| Greeting::default()).collect(),
            http1: AtomicBool::new(false),
            sockets: Arc::new(Semaphore::new(HTTP1_SOCKETS)),
        }
    }

    /// Adds an answer of unknown length where the least is on the way.
    fn least_loaded(host: &Arc<Self>) -> Load {
        // Two who look at the same time may choose the same; the next one makes up for it.
        let lightest = host.loads.iter().enumerate().min_by_key(|(_, load)| load.load(Ordering::Relaxed));
        let index = lightest.map_or(0, |(index, _)| index);
        let mut load = Load { host: Arc::clone(host), index, bytes: 0 };
        load.weighs(UNKNOWN);
        load
    }

    fn is_http1(&self) -> bool {
        self.http1.load(Ordering::Acquire)
    }
}

impl Load {
    /// The answer's length is known.
    pub(super) fn weighs(&mut self, bytes: u64) {
        let load = &self.host.loads[self.index];
        load.fetch_add(bytes, Ordering::Relaxed);
        load.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.weighs(0);
    }
}

impl Lane {
    /// The client to use. Without HTTP/2 there is nothing to spread, and one client keeps its sockets alive best.
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.clients[if self.host.is_http1() { 0 } else { self.index }]
    }

    /// Waits until somebody has been greeted, for a while; `Some` for the one who goes first.
    pub(super) async fn greeting(&self) -> Option<MutexGuard<'_, ()>> {
        let greeting = &self.host.greetings[self.index];
        if greeting.done.load(Ordering::Acquire) {
            return None;
        }
        let turn = timeout(GREETING, greeting.turn.lock()).await.ok()?;
        (!greeting.done.load(Ordering::Acquire)).then_some(turn)
    }

    /// The host answered, in this version of HTTP.
    pub(super) fn greeted(&self, version: Version) {
        self.host.http1.store(version < Version::HTTP_2, Ordering::Release);
        self.host.greetings[self.index].done.store(true, Ordering::Release);
    }

    /// What `exchange` comes to, and whether a handshake meanwhile asks for a client certificate is noted.
    pub(super) async fn witness<T>(&self, exchange: impl Future<Output = T>) -> T {
        ASKED.scope(Arc::clone(&self.host.asked), exchange).await
    }

    /// Whether the host asks for a client certificate.
    pub(super) fn asks_for_certificate(&self) -> bool {
        self.host.asked.load(Ordering::Acquire)
    }

    /// Whether the host has answered anybody who came with the same certificate, or without one.
    pub(super) fn has_answered(&self) -> bool {
        self.host.greetings.iter().any(|greeting| greeting.done.load(Ordering::Acquire))
    }

    /// Leave for one more socket, where each request needs its own.
    pub(super) async fn socket(&self) -> Option<OwnedSemaphorePermit> {
        if !self.host.is_http1() {
            return None;
        }
        Arc::clone(&self.host.sockets).acquire_owned().await.ok()
    }
}

/// A client for others than registries, with the same proxies and certificates. It follows no redirects.
///
/// # Errors
/// The certificates or a proxy cannot be used.
pub fn plain_client(options: &Options) -> Result<reqwest::Client, SetupError> {
    client(options, trust::tls_config(&options.trust, None)?)
}

fn client(options: &Options, tls: ClientConfig) -> Result<reqwest::Client, SetupError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&options.user_agent)
        // They are followed in `attempt`, which decides at each hop whether credentials go along.
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(options.timeouts.connect)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_frame_size(FRAME)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        // Else reqwest would read proxies out of the environment, which is the shell's to read.
        .no_proxy();
    for proxy in proxies(&options.proxies)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(SetupError::Client)
}

fn proxies(proxies: &Proxies) -> Result<Vec<Proxy>, SetupError> {
    let exempt = proxies.exempt.as_deref().and_then(NoProxy::from_string);
    let mut made = Vec::new();
    if let Some(address) = &proxies.http {
        // What reqwest says may repeat the address, and that may hold a password.
        made.push(Proxy::http(address.expose()).map_err(|_| SetupError::Proxy { scheme: "http" })?);
    }
    if let Some(address) = &proxies.https {
        made.push(Proxy::https(address.expose()).map_err(|_| SetupError::Proxy { scheme: "https" })?);
    }
    Ok(made.into_iter().map(|proxy| proxy.no_proxy(exempt.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_go_where_the_least_is_on_the_way() {
        let host = Arc::new(HostClients::new(3));
        let mut loads: Vec<_> = (0..3).map(|_| HostClients::least_loaded(&host)).collect();
        assert_eq!(loads.iter().map(|load| load.index).collect::<Vec<_>>(), [0, 1, 2]);
        loads[0].weighs(58 << 20);
        loads[1].weighs(UNKNOWN + 1);
        let others: Vec<_> = (0..3).map(|_| HostClients::least_loaded(&host)).collect();
        assert_eq!(others.iter().map(|load| load.index).collect::<Vec<_>>(), [2, 1, 2]);
        drop((loads, others));
        assert!(host.loads.iter().all(|load| load.load(Ordering::Relaxed) == 0));
    }
}
