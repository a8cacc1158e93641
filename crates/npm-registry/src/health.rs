//! Which hosts cannot be reached, so that hundreds of requests do not find it out one by one.
//!
//! A host is given up when one request has failed to connect as often as it may, or when nobody could connect for
//! [`Timeouts::unreachable`](super::Timeouts) since the first failure. From then on every request to it fails at once
//! with the same reason. An answer, whatever its status, ends a streak of failures.
//!
//! So is one that takes requests and brings nothing, or next to nothing, for as long as all attempts of a request may wait,
//! while nobody else is served. It would be 20 minutes otherwise before 40 tarballs of a silent server are given up: the gate
//! lets four through at a time where a server stalls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use url::Url;

#[derive(Default)]
pub(super) struct Health {
    hosts: Mutex<HashMap<String, HostHealth>>,
}

#[derive(Default)]
struct HostHealth {
    /// Since when connecting has been failing.
    trying_since: Option<Instant>,
    answered_at: Option<Instant>,
    /// When somebody last got the whole of what was asked for.
    served_at: Option<Instant>,
    /// Nobody asks before this: the server said so.
    quiet_until: Option<Instant>,
    /// Since when the present pause was asked for.
    quiet_since: Option<Instant>,
    /// Pauses since something was served.
    pauses: u32,
    given_up: Option<GivenUp>,
}

/// Why nobody asks a host any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Connecting failed: what the system said.
    Unreachable(String),
    /// Its name leads nowhere: what the system said.
    Unknown(String),
    /// The proxy on the way cannot be used.
    Proxy { proxy: String, reason: String },
    /// It asked for one pause after the other, and served nothing between: what it answered.
    Refuses(StatusCode),
    /// Nothing arrived, for so long at each attempt.
    Silent(Duration),
    /// Next to nothing did.
    Slow { received: u64, after: Duration },
    /// It wants to be left alone for longer than a run waits.
    Wait { status: StatusCode, wait: Duration },
}

/// Pauses that a server may ask for without serving anything.
const PAUSES: u32 = 10;

/// What a wish for a pause comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hush {
    /// It is the first to say so.
    Begins,
    /// It is part of a pause that was asked for before.
    Shared,
    /// There were too many.
    Enough,
}

/// An attempt that could not connect.
pub(super) struct Failed {
    /// When the request's first attempt began.
    pub first: Instant,
    /// When this attempt began.
    pub begun: Instant,
    /// Whether the request will not try again.
    pub last: bool,
    /// Why connecting failed.
    pub reason: GivenUp,
}

fn key(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Health {
    fn with<T>(&self, url: &Url, change: impl FnOnce(&mut HostHealth) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        change(hosts.entry(key(url)).or_default())
    }

    /// Why the host was given up, if it was.
    pub(super) fn given_up(&self, url: &Url) -> Option<GivenUp> {
        self.with(url, |host| host.given_up.clone())
    }

    /// The host answered.
    pub(super) fn answered(&self, url: &Url) {
        self.with(url, |host| {
            host.trying_since = None;
            host.answered_at = Some(Instant::now());
        });
    }

    /// An attempt that began at `begun` could not connect; `last` if its request, begun at `first`, gives up.
    pub(super) fn failed(&self, url: &Url, failure: Failed, limit: Duration) {
        self.with(url, |host| {
            let since = *host.trying_since.get_or_insert(failure.begun);
            // A host that answered somebody since is there: this request was unlucky, and the others go on.
            let answered_meanwhile = host.answered_at.is_some_and(|at| at > failure.first);
            let exhausted = failure.last && !answered_meanwhile;
            if host.given_up.is_none() && (exhausted || since.elapsed() >= limit) {
                host.given_up = Some(failure.reason);
            }
        });
    }

    /// The server asked, in answer to a request that began at `begun`, for a pause. All that were under way when it began
    /// are told the same, and it stays one pause.
    pub(super) fn hush(&self, url: &Url, begun: Instant, pause: Duration) -> Hush {
        let now = Instant::now();
        self.with(url, |host| {
            if host.quiet_since.is_some_and(|since| begun <= since) {
                return Hush::Shared;
            }
            host.pauses += 1;
            host.quiet_since = Some(now);
            host.quiet_until = Some(now + pause);
            if host.pauses > PAUSES { Hush::Enough } else { Hush::Begins }
        })
    }

    /// The server gave what it was asked for.
    pub(super) fn served(&self, url: &Url) {
        self.with(url, |host| {
            host.pauses = 0;
            host.served_at = Some(Instant::now());
        });
    }

    /// A request that began at `first` has waited for as long as one may: if nobody was served meanwhile, nobody will be.
    pub(super) fn starved(&self, url: &Url, first: Instant, why: GivenUp) {
        self.with(url, |host| {
            if host.served_at.is_none_or(|at| at < first) {
                host.given_up.get_or_insert(why);
            }
        });
    }

    /// The server asked for more patience than anybody has.
    pub(super) fn give_up(&self, url: &Url, why: GivenUp) {
        self.with(url, |host| host.given_up.get_or_insert(why).clone());
    }

    /// How long the server wants to be left alone still.
    pub(super) fn quiet_for(&self, url: &Url) -> Option<Duration> {
        let until = self.with(url, |host| host.quiet_until)?;
        until.checked_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_given_up_by_port_and_for_good() {
        let health = Health::default();
        let [a, b] = ["http://a:1/x", "http://a:2/x"].map(|url| Url::parse(url).unwrap());
        let (long, now) = (Duration::from_mins(1), Instant::now());
        let refused = || GivenUp::Unreachable("refused".to_owned());
        let failed = |last, first| Failed { first, begun: first, last, reason: refused() };
        health.failed(&a, failed(false, now), long);
        assert_eq!(health.given_up(&a), None);
        health.answered(&a);
        health.failed(&a, failed(true, now), long);
        assert_eq!(health.given_up(&a), None, "others get through");
        health.failed(&a, failed(true, Instant::now()), long);
        assert_eq!(health.given_up(&a), Some(refused()));
        assert_eq!(health.given_up(&b), None);
        health.failed(&b, failed(false, now), Duration::ZERO);
        assert_eq!(health.given_up(&b), Some(refused()));
    }

    #[test]
    fn a_silent_host_is_given_up_unless_somebody_is_served() {
        let health = Health::default();
        let url = Url::parse("http://a:1/x").unwrap();
        let silent = || GivenUp::Silent(Duration::from_secs(30));
        let first = Instant::now();
        health.served(&url);
        health.starved(&url, first, silent());
        assert_eq!(health.given_up(&url), None);
        health.starved(&url, Instant::now() + Duration::from_secs(1), silent());
        assert_eq!(health.given_up(&url), Some(silent()));
    }

    #[test]
    fn a_pause_is_one_pause_for_all_that_were_under_way() {
        let health = Health::default();
        let [a, b] = ["http://a:1/x", "http://a:2/x"].map(|url| Url::parse(url).unwrap());
        let (early, long) = (Instant::now(), Duration::from_mins(1));
        assert_eq!(health.hush(&a, early, long), Hush::Begins);
        assert_eq!(health.hush(&a, early, long * 2), Hush::Shared);
        assert!(health.quiet_for(&a).unwrap() <= long && health.quiet_for(&b).is_none());
        assert_eq!(health.hush(&a, Instant::now(), long * 2), Hush::Begins);
        assert!(health.quiet_for(&a).unwrap() > long);
        health.served(&a);
        for _ in 0..PAUSES {
            assert_eq!(health.hush(&a, Instant::now(), long), Hush::Begins);
        }
        assert_eq!(health.hush(&a, Instant::now(), long), Hush::Enough);
    }
}
