//! The client: what the rest of the crate asks for.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use tokio::sync::OnceCell;
use tokio::time::sleep;
use url::Url;

use super::attempt::{Ask, Cure, Failure, Head, Sink, Turn};
use super::error::{FetchError, Problem};
use super::gate::{Gate, Pass};
use super::health::Health;
use super::options::Options;
use super::retry::{self, Retry};
use super::transport::{SetupError, Transport};
use super::{Unwatched, Watch, gzip};
use crate::redaction::redacted;
use crate::tarball::verified::{Receiver, Tarball};

/// Fetches tarballs and documents. Cheap to make and to clone: nothing is set up before the first request.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) health: Health,
    gate: Arc<Gate>,
    transport: OnceCell<Result<Transport, Arc<SetupError>>>,
}

/// A tarball to download.
pub struct Request<'a> {
    /// The URL in the lockfile; overrides and the configured registry are applied to it.
    pub url: &'a Url,
    /// Who watches.
    pub watch: &'a dyn Watch,
}

/// A document to get whole.
pub struct Get<'a> {
    /// The URL; overrides are applied to it.
    pub url: &'a Url,
    /// The `accept` header.
    pub accept: &'a str,
    /// The longest acceptable answer, decoded.
    pub limit: usize,
    /// Whether npm's configured registry may stand in for the public one. It may answer otherwise, so this is for what
    /// is verified afterwards.
    pub registry: bool,
    /// Whether the answer may be compressed on the way; it is decoded then. Never for files that are kept as they are.
    pub gzip: bool,
}

/// The answer to a [`Get`]: a success, or "there is no such thing".
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status: 2xx or 404.
    pub status: StatusCode,
    /// The body.
    pub bytes: Bytes,
    /// The headers.
    pub headers: HeaderMap,
}

impl Client {
    /// A client with these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let gate = Gate::new(options.jobs);
        let inner = Inner { options, health: Health::default(), gate, transport: OnceCell::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Downloads a tarball into `receiver`, which verifies it.
    ///
    /// Errors: every failure for good, after the repetitions that make sense.
    pub async fn download(&self, request: &Request<'_>, receiver: Receiver) -> Result<Tarball, FetchError> {
        let url = self.inner.options.access.locate_tarball(request.url);
        let ask = Ask { url, accept: "*/*", gzip: false, answers: &[], watch: request.watch };
        let mut sink = TarballSink { receiver, tarball: None };
        self.inner.run(request.url, &ask, &mut sink).await?;
        Ok(sink.tarball.expect("bug: a successful download has finished its receiver"))
    }

    /// Gets a document whole; 404 is an answer.
    pub async fn get(&self, get: &Get<'_>) -> Result<Reply, FetchError> {
        let url = self.inner.options.access.locate(get.url, get.registry);
        let answers = &[StatusCode::NOT_FOUND];
        let ask = Ask { url, accept: get.accept, gzip: get.gzip, answers, watch: &Unwatched };
        let mut sink = DocumentSink { limit: get.limit, bytes: Vec::new(), decode: get.gzip };
        let head = self.inner.run(get.url, &ask, &mut sink).await?;
        Ok(Reply { status: head.status, bytes: sink.bytes.into(), headers: head.headers })
    }
}

impl Inner {
    /// Sets everything up; the trust store takes milliseconds, which a run without downloads must not pay.
    async fn transport(&self) -> Result<&Transport, Problem> {
        let made =
            self.transport.get_or_init(|| async { Transport::new(&self.options).map_err(Arc::new) }).await;
        made.as_ref().map_err(|error| Problem::Setup(Arc::clone(error)))
    }

    /// Makes attempts until one succeeds or another would not help.
    async fn run<S: Sink>(&self, url: &Url, ask: &Ask<'_>, sink: &mut S) -> Result<Head, FetchError> {
        let transport = self.transport().await.map_err(|problem| failed(url, ask, 0, problem))?;
        let first = Instant::now();
        let (mut attempts, mut fresh, mut kept) = (0, false, None);
        loop {
            attempts += 1;
            let pass = match kept.take() {
                Some(pass) => pass,
                None => self.leave(&ask.url).await,
            };
            let turn = Turn { first, begun: Instant::now(), last: attempts > self.options.retries, fresh };
            let failure = match self.attempt(transport, ask, turn, sink).await {
                Ok(head) => {
                    self.gate.succeeded();
                    return Ok(head);
                }
                Err(failure) => failure,
            };
            ask.watch.discarded(sink.received());
            sink.reset();
            if turn.last || failure.cure == Cure::None || (failure.cure == Cure::Once && fresh) {
                return Err(failed(url, ask, attempts, failure.problem));
            }
            fresh |= failure.cure == Cure::Once;
            // Whether a host can be reached should be known soon, not when all others have tried once.
            let unreached = matches!(failure.problem, Problem::Connect { .. } | Problem::Lookup { .. });
            kept = Some(pass).filter(|_| unreached);
            self.pause(url, ask, attempts, &failure).await;
        }
    }

    /// Waits for leave to make a request.
    async fn leave(&self, url: &Url) -> Pass {
        loop {
            let pass = self.gate.enter().await;
            let Some(quiet) = self.health.quiet_for(url) else { return pass };
            drop(pass);
            sleep(quiet).await;
        }
    }

    /// Waits before the next attempt, and has the others take care of the server.
    async fn pause(&self, url: &Url, ask: &Ask<'_>, attempts: u32, failure: &Failure) {
        let (asked, patience) = match failure.cure {
            Cure::Relieve(asked) => {
                self.gate.overloaded();
                if let Some(asked) = asked {
                    self.health.hush(&ask.url, asked.min(self.options.timeouts.retry_after));
                }
                // An overloaded server needs longer than a broken connection.
                (asked, 2)
            }
            _ => (None, 0),
        };
        let pause = retry::pause(&self.options.timeouts, attempts + patience, asked);
        ask.watch.retrying(&Retry { url: &redacted(url), attempts, pause, problem: &failure.problem });
        sleep(pause).await;
    }
}

fn failed(url: &Url, ask: &Ask<'_>, attempts: u32, problem: Problem) -> FetchError {
    let asked = (*url != ask.url).then(|| redacted(&ask.url));
    FetchError { url: redacted(url), asked, attempts, problem }
}

struct TarballSink {
    receiver: Receiver,
    tarball: Option<Tarball>,
}

impl Sink for TarballSink {
    fn announce(&mut self, len: u64) -> Result<(), Problem> {
        Ok(self.receiver.announce(len)?)
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        Ok(self.receiver.write(chunk)?)
    }

    fn finish(&mut self, _: &Head) -> Result<(), Problem> {
        self.tarball = Some(self.receiver.finish()?);
        Ok(())
    }

    fn reset(&mut self) {
        self.receiver.reset();
    }

    fn received(&self) -> u64 {
        self.receiver.received()
    }
}

struct DocumentSink {
    limit: usize,
    bytes: Vec<u8>,
    decode: bool,
}

impl Sink for DocumentSink {
    fn announce(&mut self, len: u64) -> Result<(), Problem> {
        match usize::try_from(len) {
            Ok(len) if len <= self.limit => {
                self.bytes.reserve_exact(len.min(1 << 20));
                Ok(())
            }
            _ => Err(Problem::TooLarge { limit: self.limit }),
        }
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        if self.bytes.len() + chunk.len() > self.limit {
            return Err(Problem::TooLarge { limit: self.limit });
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(&mut self, head: &Head) -> Result<(), Problem> {
        let encoding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        if self.decode && encoding.is_some_and(|name| name.eq_ignore_ascii_case(b"gzip")) {
            self.bytes = gzip::decode(&self.bytes, self.limit)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.bytes.clear();
    }

    fn received(&self) -> u64 {
        self.bytes.len() as u64
    }
}
