//! The client: what the rest of the crate asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use npm_tarballs::redaction::{Redacted, redacted};
use npm_tarballs::verified::{Receiver, Tarball};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout_at};
use tracing::{debug, warn};
use url::Url;

use super::attempt::{Ask, Cure, Failure, Head, Sink, Turn};
use super::credentials::{Chosen, CredentialUse, Purpose, Withheld};
use super::error::{FetchError, Problem};
use super::gate::{Gate, Pass};
use super::health::{GivenUp, Health, Hush};
use super::options::Options;
use super::retry::{self, Retry};
use super::transport::{SetupError, Transport};
use super::{Unwatched, Watch, gzip};

/// Bytes of a body that tell what it is.
const START: usize = 512;

/// How often a request does as the server asks, and waits, without that counting as a failure. Each is a part of a pause of
/// all; how many of those there may be without anything between is for [`Health`] to say.
const WAITS: u32 = 20;

/// The part of the run's time that one request may take.
const REQUEST_SHARE: u32 = 4;

/// Nobody waits longer than this; a clock can be added to it.
const LONGEST_RUN: Duration = Duration::from_hours(24 * 365);

/// Fetches tarballs and documents. Cheap to make and to clone: nothing is set up before the first request.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) health: Health,
    gate: Arc<Gate>,
    /// When the run has to be over.
    deadline: Instant,
    transport: OnceCell<Result<Transport, Arc<SetupError>>>,
}

/// A tarball to download.
pub struct TarballRequest<'a> {
    /// The URL in the lockfile; overrides and the configured registry are applied to it.
    pub url: &'a Url,
    /// The scope of the package, `@acme`: whose registry's credential may go along.
    pub scope: Option<&'a str>,
    /// Who watches.
    pub watch: &'a dyn Watch,
}

/// A document to get whole.
pub struct Get<'a> {
    /// The URL; overrides are applied to it.
    pub url: &'a Url,
    /// The scope of the package that it is about, `@acme`.
    pub scope: Option<&'a str>,
    /// What it is for, which decides about credentials.
    pub purpose: Purpose,
    /// The `accept` header.
    pub accept: &'a str,
    /// The longest acceptable answer, decoded.
    pub limit: usize,
    /// Whether npm's configured registry may stand in for the public one. It may answer otherwise, so this is for what
    /// is verified afterwards.
    pub registry: bool,
    /// Whether the answer may be compressed on the way; it is decoded then. Never for files that are kept as they are.
    pub gzip: bool,
    /// Whether 404 is an answer, not a failure.
    pub may_be_missing: bool,
}

/// The answer to a [`Get`]: a success, or "there is no such thing" where that is one.
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
        let deadline = Instant::now() + options.timeouts.run.min(LONGEST_RUN);
        let inner = Inner { options, health: Health::default(), gate, deadline, transport: OnceCell::new() };
        Self { inner: Arc::new(inner) }
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// When the run has to be over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.inner.deadline
    }

    /// Sets up what the first request needs, beside whatever the caller does meanwhile: it takes milliseconds to read the
    /// trust store.
    pub fn prepare(&self, runtime: &Handle) {
        let inner = Arc::clone(&self.inner);
        // What is wrong with it the first request tells.
        runtime.spawn(async move { inner.transport().await.is_ok() });
    }

    /// Downloads a tarball into `receiver`, which verifies it.
    ///
    /// # Errors
    /// Every failure for good, after the repetitions that make sense.
    pub async fn download(
        &self,
        request: &TarballRequest<'_>,
        receiver: Receiver,
    ) -> Result<Tarball, FetchError> {
        let (url, led) = self.inner.options.access.locate_tarball(request.url);
        let (scope, watch) = (request.scope, request.watch);
        let purpose = Purpose::Package;
        let ask = Ask { url, led, scope, purpose, accept: "*/*", gzip: false, answers: &[], watch };
        let limit = self.inner.options.max_download;
        let mut sink = TarballSink { receiver, tarball: None, limit, start: Vec::new() };
        self.inner.run(request.url, &ask, &mut sink).await?;
        Ok(sink.tarball.expect("bug: a successful download has finished its receiver"))
    }

    /// Gets a document whole.
    ///
    /// # Errors
    /// No answer, or one that is not a success, after all attempts.
    pub async fn get(&self, get: &Get<'_>) -> Result<Reply, FetchError> {
        let url = self.inner.options.access.locate(get.url, get.registry);
        let answers: &[_] = if get.may_be_missing { &[StatusCode::NOT_FOUND] } else { &[] };
        let Get { scope, purpose, accept, gzip, .. } = *get;
        let ask = Ask { url, led: false, scope, purpose, accept, gzip, answers, watch: &Unwatched };
        let json = get.accept.contains("json");
        let mut sink = DocumentSink { limit: get.limit, bytes: Vec::new(), decode: get.gzip, json };
        let head = self.inner.run(get.url, &ask, &mut sink).await?;
        Ok(Reply { status: head.status, bytes: sink.bytes.into(), headers: head.headers })
    }
}

/// What all attempts at a request have in common.
#[derive(Clone, Copy)]
struct Course<'a> {
    /// What was asked for, before a configured registry stood in for its host.
    url: &'a Url,
    ask: &'a Ask<'a>,
    transport: &'a Transport,
    chosen: &'a Chosen,
}

impl Inner {
    /// Sets everything up; the trust store takes milliseconds, which a run without downloads must not pay.
    async fn transport(&self) -> Result<&Transport, Problem> {
        let made =
            self.transport.get_or_init(|| async { Transport::new(&self.options).map_err(Arc::new) }).await;
        made.as_ref().map_err(|error| Problem::Setup(Arc::clone(error)))
    }

    /// What a request carries.
    fn choose(&self, ask: &Ask<'_>) -> Result<Chosen, Problem> {
        let chosen = self.options.access.choose(&ask.url, ask.scope, ask.purpose);
        // What is kept back need not be complete.
        if ask.led { Ok(chosen.unwrap_or_default().kept_back(Withheld::Mirror)) } else { chosen }
    }

    /// Makes attempts until one succeeds, another would not help, or the time is over.
    async fn run<S: Sink>(&self, url: &Url, ask: &Ask<'_>, sink: &mut S) -> Result<Head, FetchError> {
        let fail = |attempts, problem, used| failed(url, ask, attempts, problem, used);
        let chosen = self.choose(ask).map_err(|problem| fail(0, problem, CredentialUse::None))?;
        let transport = self.transport().await.map_err(|problem| fail(0, problem, chosen.used.clone()))?;
        let run = self.options.timeouts.run;
        let over = |limit| Problem::Deadline { limit };
        // The request's own time begins behind the gate: waiting for others, or as a server asked, is not its fault.
        let Ok(pass) = timeout_at(self.deadline.into(), self.leave(&ask.url)).await else {
            return Err(fail(0, over(run), chosen.used));
        };
        let own = Instant::now() + (run / REQUEST_SHARE).min(LONGEST_RUN);
        let (until, limit) =
            if own < self.deadline { (own, run / REQUEST_SHARE) } else { (self.deadline, run) };
        let mut attempts = 0;
        let course =
            self.attempts(Course { url, ask, transport, chosen: &chosen }, pass, &mut attempts, sink);
        let ended = timeout_at(until.into(), course).await;
        ended.unwrap_or_else(|_| {
            ask.watch.discarded(sink.received());
            sink.reset();
            Err(fail(attempts, over(limit), chosen.used.clone()))
        })
    }

    async fn attempts<S: Sink>(
        &self,
        course: Course<'_>,
        pass: Pass,
        attempts: &mut u32,
        sink: &mut S,
    ) -> Result<Head, FetchError> {
        let Course { url, ask, transport, chosen } = course;
        let first = Instant::now();
        let (mut waits, mut fresh, mut kept) = (0, false, Some(pass));
        loop {
            *attempts += 1;
            let pass = match kept.take() {
                Some(pass) => pass,
                None => self.leave(&ask.url).await,
            };
            let last = *attempts - waits > self.options.retries;
            let turn = Turn { first, begun: Instant::now(), last, number: *attempts, fresh };
            let failure = match self.attempt(transport, ask, chosen, turn, sink).await {
                Ok(head) => {
                    self.gate.succeeded();
                    self.health.served(&ask.url);
                    return Ok(head);
                }
                Err(failure) => failure,
            };
            ask.watch.discarded(sink.received());
            sink.reset();
            // A pause that the server asks for is not a failure of the request, for a while.
            let excused = matches!(failure.cure, Cure::Relieve(Some(_))) && waits < WAITS;
            let spent = turn.last || failure.cure == Cure::None || (failure.cure == Cure::Once && fresh);
            self.despair(&ask.url, first, spent, &failure.problem);
            if spent && !excused {
                let (number, took, why) = (*attempts, first.elapsed(), &failure.problem);
                warn!(url = %Redacted(ask.url.as_str()), attempts = number, ?took, %why, "GET failed");
                let used = failure.used.unwrap_or_else(|| chosen.used.clone());
                return Err(failed(url, ask, *attempts, failure.problem, used));
            }
            waits += u32::from(excused);
            fresh |= failure.cure == Cure::Once;
            // Whether a host can be reached should be known soon, not when all others have tried once.
            let unreached = matches!(
                failure.problem,
                Problem::Connect { .. } | Problem::Lookup { .. } | Problem::Proxy { .. }
            );
            kept = Some(pass).filter(|_| unreached);
            self.pause(url, ask, turn, &failure).await;
        }
    }

    /// Gives up a host that has let a request that began at `first` wait for as long as all its attempts may.
    fn despair(&self, url: &Url, first: Instant, spent: bool, problem: &Problem) {
        let why = match *problem {
            Problem::Stalled { after } => GivenUp::Silent(after),
            Problem::TooSlow { received, after } => GivenUp::Slow { received, after },
            _ => return,
        };
        // Where the gate lets few through, the time is over before the attempts are.
        let all = self.options.timeouts.stall.saturating_mul(self.options.retries.saturating_add(1));
        if spent || first.elapsed() >= all {
            self.health.starved(url, first, why);
        }
    }

    /// Waits for leave to make a request.
    async fn leave(&self, url: &Url) -> Pass {
        loop {
            let pass = self.gate.enter().await;
            let Some(quiet) = self.health.quiet_for(url) else { return pass };
            drop(pass);
            debug!(url = %Redacted(url.as_str()), pause = ?quiet, "waiting as the server asked");
            sleep(quiet).await;
        }
    }

    /// Waits before the next attempt, and has the others take care of the server.
    async fn pause(&self, url: &Url, ask: &Ask<'_>, turn: Turn, failure: &Failure) {
        let attempts = turn.number;
        let (pause, shared) = match failure.cure {
            Cure::Relieve(Some(asked)) => {
                let hush = self.health.hush(&ask.url, turn.begun, asked);
                if let (Hush::Enough, Problem::Status { status, .. }) = (hush, &failure.problem) {
                    self.health.give_up(&ask.url, GivenUp::Refuses(*status));
                } else if hush == Hush::Begins {
                    self.gate.paused();
                }
                (self.health.quiet_for(&ask.url).unwrap_or_default(), hush == Hush::Begins)
            }
            Cure::Relieve(None) => {
                self.gate.overloaded();
                // An overloaded server needs longer than a broken connection.
                (retry::pause(&self.options.timeouts, attempts + 2), false)
            }
            _ => (retry::pause(&self.options.timeouts, attempts), false),
        };
        let problem = &failure.problem;
        warn!(url = %Redacted(url.as_str()), attempts, why = %problem, pause = ?pause, "asking again after a pause");
        ask.watch.retrying(&Retry { url: &redacted(url), attempts, pause, shared, problem });
        sleep(pause).await;
    }
}

fn failed(url: &Url, ask: &Ask<'_>, attempts: u32, problem: Problem, used: CredentialUse) -> FetchError {
    let asked = (*url != ask.url).then(|| redacted(&ask.url));
    FetchError { url: redacted(url), asked, attempts, purpose: ask.purpose, credential: used, problem }
}

struct TarballSink {
    receiver: Receiver,
    tarball: Option<Tarball>,
    /// The largest body.
    limit: u64,
    /// How the body begins, in case it is something else.
    start: Vec<u8>,
}

impl Sink for TarballSink {
    fn announce(&mut self, len: u64) -> Result<(), Problem> {
        if len > self.limit {
            return Err(Problem::TooLarge { limit: self.limit });
        }
        Ok(self.receiver.announce(len)?)
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        if self.receiver.received().saturating_add(chunk.len() as u64) > self.limit {
            return Err(Problem::TooLarge { limit: self.limit });
        }
        let room = START.saturating_sub(self.start.len()).min(chunk.len());
        self.start.extend_from_slice(&chunk[..room]);
        Ok(self.receiver.write(chunk)?)
    }

    async fn check(&mut self, whole: bool) -> Result<(), Problem> {
        Ok(self.receiver.hash_beside_others(whole).await?)
    }

    fn finish(&mut self, head: &Head) -> Result<(), Problem> {
        // Asked of wrong bytes alone: right ones are right, whatever they look like.
        self.tarball = Some(self.receiver.finish().map_err(|error| match error.into() {
            Problem::Mismatch(mismatch) => head.page(&self.start).unwrap_or(Problem::Mismatch(mismatch)),
            problem => problem,
        })?);
        Ok(())
    }

    fn reset(&mut self) {
        self.receiver.reset();
        self.start.clear();
    }

    fn received(&self) -> u64 {
        self.receiver.received()
    }
}

struct DocumentSink {
    limit: usize,
    bytes: Vec<u8>,
    decode: bool,
    /// Whether JSON is due.
    json: bool,
}

impl Sink for DocumentSink {
    fn announce(&mut self, len: u64) -> Result<(), Problem> {
        match usize::try_from(len) {
            Ok(len) if len <= self.limit => {
                // A length is only a claim: memory is taken as the bytes come.
                self.bytes.reserve_exact(len.min(1 << 20));
                Ok(())
            }
            _ => Err(Problem::TooLarge { limit: self.limit as u64 }),
        }
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        if self.bytes.len() + chunk.len() > self.limit {
            return Err(Problem::TooLarge { limit: self.limit as u64 });
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    async fn check(&mut self, _: bool) -> Result<(), Problem> {
        Ok(())
    }

    fn finish(&mut self, head: &Head) -> Result<(), Problem> {
        let encoding = head.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
        if self.decode && encoding.is_some_and(|name| name.eq_ignore_ascii_case(b"gzip")) {
            self.bytes = gzip::decode(&self.bytes, self.limit)?;
        }
        if self.json && head.status.is_success() {
            head.page(&self.bytes).map_or(Ok(()), Err)?;
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
