//! One attempt of one request: redirects, the answer's head, the body's chunks.

use std::time::{Instant, SystemTime};

use npm_tarballs::redaction::{Redacted, redacted};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, LOCATION, WWW_AUTHENTICATE,
};
use reqwest::{Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::{debug, trace};
use url::Url;

use super::client::Inner;
use super::credentials::{Chosen, CredentialUse, Purpose, authority};
use super::error::{self, Challenge, Problem, Way};
use super::health::{Failed, GivenUp};
use super::transport::{Lane, Load, Transport};
use super::{Watch, retry};

const REDIRECTS: usize = 10;

/// Bytes a second that a body has to bring, seen over the time after which it would count as stalled. So low that a modem
/// line shared by all requests of a run passes; a server that trickles does not.
const SLOWEST: u128 = 100;

/// What is asked for.
pub(super) struct Ask<'a> {
    /// Where, after rewriting.
    pub url: Url,
    /// Whether a repository's settings led it there: then it carries no credentials.
    pub led: bool,
    /// The scope of the package that it is about.
    pub scope: Option<&'a str>,
    pub purpose: Purpose,
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
    /// Checks what was written, as far as that is possible before the body is whole, or once it is.
    fn check(&mut self, whole: bool) -> impl Future<Output = Result<(), Problem>> + Send;
    fn finish(&mut self, head: &Head) -> Result<(), Problem>;
    fn reset(&mut self);
    /// Bytes received since the last reset.
    fn received(&self) -> u64;
}

/// An answer without its body.
pub(super) struct Head {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The host that answered, which a redirect may have led to.
    pub from: String,
}

impl Head {
    /// What is wrong if a body that begins like this is a page for people.
    pub(super) fn page(&self, start: &[u8]) -> Option<Problem> {
        let text = start.trim_ascii_start();
        let begins =
            |with: &str| text.get(..with.len()).is_some_and(|at| at.eq_ignore_ascii_case(with.as_bytes()));
        let html =
            self.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let what = if begins("<?xml") {
            "an XML document"
        } else if begins("<!doctype html") || begins("<html") || (html && begins("<")) {
            "a web page"
        } else {
            return None;
        };
        Some(Problem::WebPage { what, from: self.from.clone() })
    }
}

/// A failed attempt.
pub(super) struct Failure {
    pub problem: Problem,
    pub cure: Cure,
    /// Which credential went along, if that is another than was chosen.
    pub used: Option<CredentialUse>,
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
            Problem::Connect { .. }
            | Problem::Broken { .. }
            | Problem::Proxy { .. }
            // Nobody said that it was about the certificate.
            | Problem::Identity { refusal: None, .. } => Cure::Repeat,
            Problem::Stalled { .. } => Cure::Relieve(None),
            // Another place may take it: a store whose disk is full is not asked a second time.
            // A name that is not found twice does not exist.
            Problem::Mismatch(_)
            | Problem::Spill(_)
            | Problem::Lookup { .. }
            | Problem::WebPage { .. }
            | Problem::TooSlow { .. } => Cure::Once,
            _ => Cure::None,
        };
        Self { problem, cure, used: None }
    }
}

/// When a request and its present attempt began, and whether it is the last.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub first: Instant,
    pub begun: Instant,
    pub last: bool,
    /// Which attempt it is; the first is 1.
    pub number: u32,
    /// Ask the origin, not a cache on the way.
    pub fresh: bool,
}

/// A response, and the leave for its socket until the body is read.
struct Answer {
    response: Response,
    socket: Option<OwnedSemaphorePermit>,
    /// Its weight on the connection until then.
    load: Load,
    /// Whether no redirect has led to another origin.
    at_home: bool,
    /// Whether the server asked for a client certificate, and got none.
    lacks_certificate: bool,
}

/// A request: the first one of an attempt, or one to where a redirect led.
#[derive(Clone, Copy)]
struct Hop<'a> {
    url: &'a Url,
    ask: &'a Ask<'a>,
    carried: Option<&'a Chosen>,
    turn: Turn,
}

impl Inner {
    /// Makes one attempt and fills `sink`.
    pub(super) async fn attempt<S: Sink>(
        &self,
        transport: &Transport,
        ask: &Ask<'_>,
        chosen: &Chosen,
        turn: Turn,
        sink: &mut S,
    ) -> Result<Head, Failure> {
        let Answer { response, socket, mut load, at_home, lacks_certificate } =
            self.follow(transport, ask, chosen, turn).await?;
        let status = response.status();
        if !status.is_success() && !ask.answers.contains(&status) {
            let used = if at_home { None } else { chosen.used.elsewhere() };
            return Err(Failure { used, ..self.refusal(&response, lacks_certificate) });
        }
        if let Some(len) = response.content_length() {
            load.weighs(len);
        }
        let head = self.receive(response, ask, sink).await;
        if head.is_ok() {
            debug!(
                url = %Redacted(ask.url.as_str()),
                status = status.as_u16(),
                bytes = sink.received(),
                attempt = turn.number,
                took = ?turn.begun.elapsed(),
                credential = %chosen.used,
                "GET"
            );
        }
        drop((socket, load));
        head
    }

    /// Requests, following redirects. Credentials go along as long as these stay at the origin that they were chosen for,
    /// and not even back there once one has led elsewhere.
    async fn follow(
        &self,
        transport: &Transport,
        ask: &Ask<'_>,
        chosen: &Chosen,
        turn: Turn,
    ) -> Result<Answer, Failure> {
        let mut url = ask.url.clone();
        let mut at_home = true;
        for _ in 0..=REDIRECTS {
            let carried = Some(chosen).filter(|_| at_home);
            let answer = self.send(transport, Hop { url: &url, ask, carried, turn }).await?;
            if !is_redirect(answer.response.status()) {
                return Ok(answer);
            }
            let next = self.redirect_target(&url, &answer.response)?;
            debug!(from = %Redacted(url.as_str()), to = %Redacted(next.as_str()), "redirected");
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
    async fn send(&self, transport: &Transport, hop: Hop<'_>) -> Result<Answer, Failure> {
        let Hop { url, carried, turn, .. } = hop;
        trace!(url = %Redacted(url.as_str()), credentials = carried.is_some(), past_caches = turn.fresh, "asking");
        let identity = carried.and_then(|chosen| chosen.identity.as_ref());
        let (lane, load) = transport.lane(url, identity).map_err(Problem::Setup)?;
        let greeting = lane.greeting().await;
        let socket = lane.socket().await;
        // Asked only here: who waited for the greeting or a socket has mostly waited for the one that failed.
        if let Some(why) = self.health.given_up(url) {
            return Err(Failure { problem: given_up(url, why), cure: Cure::None, used: None });
        }
        let way = Way {
            host: host(url),
            proxy: transport.proxy_of(url),
            certificate: identity.map(|identity| identity.certfile.clone()),
            asked: false,
        };
        let result = self.exchange(&lane, way, hop).await;
        match &result {
            Ok(response) => {
                self.health.answered(url);
                lane.greeted(response.version());
            }
            Err(problem) => self.note(url, turn, problem),
        }
        drop(greeting);
        let lacks_certificate = identity.is_none() && lane.asks_for_certificate();
        Ok(Answer { response: result?, socket, load, at_home: carried.is_some(), lacks_certificate })
    }

    /// Tells the others of a host that could not be reached.
    fn note(&self, url: &Url, turn: Turn, problem: &Problem) {
        let (reason, last) = match problem {
            Problem::Connect { reason, .. } => (GivenUp::Unreachable(reason.clone()), turn.last),
            Problem::Lookup { reason, .. } => (GivenUp::Unknown(reason.clone()), turn.last || turn.fresh),
            Problem::Proxy { proxy, reason } => {
                (GivenUp::Proxy { proxy: proxy.clone(), reason: reason.clone() }, turn.last)
            }
            _ => return,
        };
        let failed = Failed { first: turn.first, begun: turn.begun, last, reason };
        self.health.failed(url, failed, self.options.timeouts.unreachable);
    }

    async fn exchange(&self, lane: &Lane, way: Way, hop: Hop<'_>) -> Result<Response, Problem> {
        let Hop { url, ask, carried, turn } = hop;
        // User info is a header by now, under the same rule as other credentials.
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
        if let Some((name, value)) = carried.and_then(|chosen| chosen.header.clone()) {
            request = request.header(name, value);
        }
        let stall = self.options.timeouts.stall;
        let sent = lane.witness(timeout(stall, request.send())).await;
        let sent = sent.map_err(|_| Problem::Stalled { after: stall })?;
        let asked = lane.asks_for_certificate() && !lane.has_answered();
        sent.map_err(|error| error::of_exchange(&error.without_url(), 0, Way { asked, ..way }))
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
        let (mut since, mut before) = (Instant::now(), 0);
        let way = Way { host: host(response.url()), proxy: None, certificate: None, asked: false };
        loop {
            let next =
                timeout(stall, response.chunk()).await.map_err(|_| Problem::Stalled { after: stall })?;
            let Some(chunk) =
                next.map_err(|error| error::of_exchange(&error.without_url(), sink.received(), way.clone()))?
            else {
                break;
            };
            sink.write(&chunk)?;
            ask.watch.received(chunk.len() as u64);
            // It shares its memory with others that came in one piece, and checking may wait.
            drop(chunk);
            sink.check(false).await?;
            if since.elapsed() >= stall {
                let received = sink.received() - before;
                if u128::from(received) * 1000 < SLOWEST * stall.as_millis() {
                    return Err(Problem::TooSlow { received, after: stall }.into());
                }
                (since, before) = (Instant::now(), sink.received());
            }
        }
        let head = Head { status: response.status(), headers: response.headers().clone(), from: way.host };
        sink.check(true).await?;
        sink.finish(&head)?;
        Ok(head)
    }

    fn refusal(&self, response: &Response, lacks_certificate: bool) -> Failure {
        let status = response.status();
        let asked = retry::retry_after(response.headers(), SystemTime::now());
        // A `retry-after` beside any other status means nothing: a 404 stays one (`tests/it/network/matrix.rs`).
        if let Some(wait) = asked.filter(|wait| *wait > self.options.timeouts.retry_after)
            && retry::is_overload(status)
        {
            self.health.give_up(response.url(), GivenUp::Wait { status, wait });
            return Problem::AskedToWait { status, wait }.into();
        }
        let cure = if retry::is_overload(status) {
            Cure::Relieve(asked)
        } else if retry::is_transient(status) {
            Cure::Repeat
        } else {
            Cure::None
        };
        let certificate = lacks_certificate && is_about_access(status);
        let asks_for = Challenge { schemes: schemes(response.headers()), certificate };
        Failure { problem: Problem::Status { status, asks_for }, cure, used: None }
    }
}

/// The schemes that a server wants, as `www-authenticate` names them: `Basic realm="a, b", Bearer`.
fn schemes(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let words = texts.flat_map(|text| text.split(',')).filter_map(|part| part.split_whitespace().next());
    // They go into a message and come from a server: few, and only what looks like a name. Parameters have a `=`.
    let is_scheme = |word: &&str| {
        word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let mut names: Vec<&str> = Vec::new();
    for word in words.filter(is_scheme) {
        if names.len() < 4 && !names.iter().any(|name| name.eq_ignore_ascii_case(word)) {
            names.push(word);
        }
    }
    names.into_iter().map(str::to_owned).collect()
}

/// Whether an answer may be about a client certificate that is missing: a server that asks and does not insist says so in
/// HTTP. nginx answers 400 (495 and 496 are its names for it), others 401 or 403.
fn is_about_access(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 401 | 403 | 495 | 496)
}

fn given_up(url: &Url, why: GivenUp) -> Problem {
    match why {
        GivenUp::Unreachable(reason) => Problem::Connect { host: host(url), reason },
        GivenUp::Unknown(reason) => Problem::Lookup { host: host(url), reason },
        GivenUp::Proxy { proxy, reason } => Problem::Proxy { proxy, reason },
        GivenUp::Refuses(status) => Problem::Status { status, asks_for: Challenge::default() },
        GivenUp::Silent(after) => Problem::Stalled { after },
        GivenUp::Slow { received, after } => Problem::TooSlow { received, after },
        GivenUp::Wait { status, wait } => Problem::AskedToWait { status, wait },
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn host(url: &Url) -> String {
    authority(url).unwrap_or_default()
}
