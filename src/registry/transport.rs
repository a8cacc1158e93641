//! The HTTP clients: several, because each keeps one HTTP/2 connection to a host.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{NoProxy, Proxy};
use rustls::ClientConfig;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use url::Url;

use super::options::{Options, Proxies};
use super::trust::{self, TrustError};

/// A whole tarball of usual size fits, so that no stream waits for permission to go on.
const STREAM_WINDOW: u32 = 4 << 20;
/// Bounds what lies unread in memory for one connection.
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Fewer, larger frames cost less.
const FRAME: u32 = 64 << 10;
/// A dead HTTP/2 connection is noticed after these two, not when each of its streams has stalled.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long others wait for the first request through a lane before they go anyway.
pub(super) const GREETING: Duration = Duration::from_secs(3);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Why no request can be made at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The trusted certificates cannot be had.
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
    clients: Vec<reqwest::Client>,
    next: AtomicUsize,
    greetings: Mutex<HashMap<(usize, String), Arc<Greeting>>>,
}

/// A client, and whether it has a connection to the host yet.
pub(super) struct Lane {
    pub client: reqwest::Client,
    pub greeting: Arc<Greeting>,
}

/// The first request through a lane goes alone, for those that came with it would each open a connection of their own.
#[derive(Default)]
pub(super) struct Greeting {
    done: AtomicBool,
    turn: AsyncMutex<()>,
}

impl Greeting {
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(super) fn done(&self) {
        self.done.store(true, Ordering::Release);
    }

    /// Waits for leave to be the first; `None` if somebody was meanwhile.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        let turn = self.turn.lock().await;
        (!self.is_done()).then_some(turn)
    }
}

impl Transport {
    pub(super) fn new(options: &Options) -> Result<Self, SetupError> {
        let tls = trust::tls_config(&options.trust)?;
        let clients = (0..options.connections.max(1))
            .map(|_| client(options, tls.clone()))
            .collect::<Result<_, _>>()?;
        Ok(Self { clients, next: AtomicUsize::new(0), greetings: Mutex::default() })
    }

    /// The next lane to `url`'s host, in turn.
    pub(super) fn lane(&self, url: &Url) -> Lane {
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
        let key = (index, url.origin().ascii_serialization());
        let mut greetings = self.greetings.lock().unwrap_or_else(PoisonError::into_inner);
        let greeting = Arc::clone(greetings.entry(key).or_default());
        Lane { client: self.clients[index].clone(), greeting }
    }
}

fn client(options: &Options, tls: ClientConfig) -> Result<reqwest::Client, SetupError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(&options.user_agent)
        .redirect(Policy::none())
        .referer(false)
        .connect_timeout(options.timeouts.connect)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_frame_size(FRAME)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
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
        made.push(Proxy::http(address.expose()).map_err(|_| SetupError::Proxy { scheme: "http" })?);
    }
    if let Some(address) = &proxies.https {
        made.push(Proxy::https(address.expose()).map_err(|_| SetupError::Proxy { scheme: "https" })?);
    }
    Ok(made.into_iter().map(|proxy| proxy.no_proxy(exempt.clone())).collect())
}
