//! One attempt of one request: redirects, the answer's head, the body's chunks.

use std::time::{Instant, SystemTime};

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, HeaderMap, LOCATION};
use reqwest::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use url::Url;

use super::Watch;
use super::client::Inner;
use super::error::{self, Problem};
use super::health::Failed;
use super::retry;
use super::transport::{Lane, Transport};
use crate::redaction::redacted;

const REDIRECTS: usize = 10;

/// What is asked for.
pub(super) struct Ask<'a> {
    /// Where, after rewriting.
    pub url: Url,
    pub accept: &'a str,
    /// Whether a compressed answer is welcome; a tarball's bytes must arrive as they are.
    pub gzip: bool,
    /// Statuses other than success that are an answer, too.
    pub answers: &'a [StatusCode],
    pub watch: &'a dyn Watch,
}

/// Where a body goes.
pub(super) trait Sink: Send {
    fn announce(&mut self, len: u64) -> Result<(), Problem>;
    fn write(&mut self, chunk: &[u8]) -> Result<(), Problem>;
    fn finish(&mut self, head: &Head) -> Result<(), Problem>;
    fn reset(&mut self);
    /// Bytes received since the last reset.
    fn received(&self) -> u64;
}

/// An answer without its body.
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
}

/// A failed attempt.
pub(super) struct Failure {
    pub problem: Problem,
    pub cure: Cure,
}

/// What may help against a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cure {
    /// Nothing.
    None,
    /// Asking again.
    Repeat,
    /// Asking again later, and everybody asking less: after so long, if the server said it.
    Relieve(Option<std::time::Duration>),
    /// Asking again once, past all caches.
    Once,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let cure = match &problem {
            Problem::Connect { .. } | Problem::Broken { .. } => Cure::Repeat,
            Problem::Stalled { .. } => Cure::Relieve(None),
            // Another shelf may take it: a store whose disk is full is not asked a second time.
            // A name that is not found twice does not exist.
            Problem::Mismatch(_) | Problem::Shelf(_) | Problem::Lookup { .. } => Cure::Once,
            _ => Cure::None,
        };
        Self { problem, cure }
    }
}

/// When a request and its present attempt began, and whether it is the last.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub first: Instant,
    pub begun: Instant,
    pub last: bool,
    /// Ask the origin, not a cache on the way.
    pub fresh: bool,
}

/// A response, and the leave for its socket until the body is read.
struct Answer {
    response: Response,
    socket: Option<OwnedSemaphorePermit>,
}

impl Inner {
    /// Makes one attempt and fills `sink`.
    pub(super) async fn attempt<S: Sink>(
        &self,
        transport: &Transport,
        ask: &Ask<'_>,
        turn: Turn,
        sink: &mut S,
    ) -> Result<Head, Failure> {
        let Answer { response, socket } = self.follow(transport, ask, turn).await?;
        let status = response.status();
        if !status.is_success() && !ask.answers.contains(&status) {
            return Err(refusal(&response));
        }
        let head = self.receive(response, ask, sink).await;
        drop(socket);
        head
    }

    /// Requests, following redirects. Credentials are looked up for each URL on the way, and no more of them are sent
    /// once a redirect has led to another host.
    async fn follow(&self, transport: &Transport, ask: &Ask<'_>, turn: Turn) -> Result<Answer, Failure> {
        let mut url = ask.url.clone();
        let mut at_home = true;
        for _ in 0..=REDIRECTS {
            let answer = self.send(transport, &url, ask, at_home, turn).await?;
            if !is_redirect(answer.response.status()) {
                return Ok(answer);
            }
            let next = self.redirect_target(&url, &answer.response)?;
            at_home &= next.origin() == ask.url.origin();
            url = next;
        }
        Err(Problem::Redirect { reason: format!("more than {REDIRECTS} times") }.into())
    }

    fn redirect_target(&self, url: &Url, response: &Response) -> Result<Url, Problem> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|text| url.join(text).ok());
        let target = target.filter(|target| matches!(target.scheme(), "http" | "https"));
        let target =
            target.ok_or_else(|| Problem::Redirect { reason: "without a usable target".to_owned() })?;
        if url.scheme() == "https" && target.scheme() == "http" && !self.options.trust.insecure {
            return Err(Problem::Downgrade { target: redacted(&target) });
        }
        Ok(target)
    }

    /// Sends one request and waits for the answer's head.
    async fn send(
        &self,
        transport: &Transport,
        url: &Url,
        ask: &Ask<'_>,
        with_credentials: bool,
        turn: Turn,
    ) -> Result<Answer, Failure> {
        let lane = transport.lane(url);
        let greeting = lane.greeting().await;
        let socket = lane.socket().await;
        if let Some(reason) = self.health.given_up(url) {
            return Err(Problem::Unreachable { host: host(url), reason }.into());
        }
        let result = self.exchange(&lane, url, ask, with_credentials, turn).await;
        match &result {
            Ok(response) => {
                self.health.answered(url);
                lane.greeted(response.version());
            }
            Err(problem) => self.note(url, turn, problem),
        }
        drop(greeting);
        Ok(Answer { response: result?, socket })
    }

    /// Tells the others of a host that could not be reached.
    fn note(&self, url: &Url, turn: Turn, problem: &Problem) {
        let (reason, last) = match problem {
            Problem::Connect { reason } => (reason, turn.last),
            Problem::Lookup { reason } => (reason, turn.last || turn.fresh),
            _ => return,
        };
        let failed = Failed { first: turn.first, begun: turn.begun, last, reason };
        self.health.failed(url, &failed, self.options.timeouts.unreachable);
    }

    async fn exchange(
        &self,
        lane: &Lane<'_>,
        url: &Url,
        ask: &Ask<'_>,
        with_credentials: bool,
        turn: Turn,
    ) -> Result<Response, Problem> {
        // User info becomes a header here, under the same rule as other credentials.
        let mut bare = url.clone();
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let mut request = lane.client().get(bare).header(ACCEPT, ask.accept);
        if ask.gzip {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        if turn.fresh {
            request = request.header(CACHE_CONTROL, "no-cache");
        }
        if let Some(value) = self.options.access.authorization(url).filter(|_| with_credentials) {
            request = request.header(AUTHORIZATION, value);
        }
        let stall = self.options.timeouts.stall;
        let sent = timeout(stall, request.send()).await.map_err(|_| Problem::Stalled { after: stall })?;
        sent.map_err(|error| error::of_exchange(&error.without_url(), 0))
    }

    async fn receive<S: Sink>(
        &self,
        mut response: Response,
        ask: &Ask<'_>,
        sink: &mut S,
    ) -> Result<Head, Failure> {
        let len = response.content_length();
        ask.watch.begun(len);
        if let Some(len) = len {
            sink.announce(len)?;
        }
        let stall = self.options.timeouts.stall;
        loop {
            let next =
                timeout(stall, response.chunk()).await.map_err(|_| Problem::Stalled { after: stall })?;
            let Some(chunk) =
                next.map_err(|error| error::of_exchange(&error.without_url(), sink.received()))?
            else {
                break;
            };
            sink.write(&chunk)?;
            ask.watch.received(chunk.len() as u64);
        }
        let head = Head { status: response.status(), headers: response.headers().clone() };
        sink.finish(&head)?;
        Ok(head)
    }
}

fn refusal(response: &Response) -> Failure {
    let status = response.status();
    let asked = retry::retry_after(response.headers(), SystemTime::now());
    let cure = if retry::is_overload(status) {
        Cure::Relieve(asked)
    } else if retry::is_transient(status) {
        Cure::Repeat
    } else {
        Cure::None
    };
    Failure { problem: Problem::Status { status }, cure }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
