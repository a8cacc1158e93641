//! Which hosts cannot be reached, so that hundreds of requests do not find it out one by one.
//!
//! A host is given up when one request has failed to connect as often as it may, or when nobody could connect for
//! [`Timeouts::unreachable`](super::Timeouts) since the first failure. From then on every request to it fails at once
//! with the same reason. An answer, whatever its status, ends a streak of failures.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

#[derive(Default)]
pub(super) struct Health {
    hosts: Mutex<HashMap<String, Host>>,
}

#[derive(Default)]
struct Host {
    /// Since when connecting is being tried in vain.
    trying_since: Option<Instant>,
    answered_at: Option<Instant>,
    /// Nobody asks before this: the server said so.
    quiet_until: Option<Instant>,
    given_up: Option<String>,
}

/// An attempt that could not connect.
pub(super) struct Failed<'a> {
    /// When the request's first attempt began.
    pub first: Instant,
    /// When this attempt began.
    pub begun: Instant,
    /// Whether the request will not try again.
    pub last: bool,
    /// Why connecting failed.
    pub reason: &'a str,
}

fn key(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Health {
    fn with<T>(&self, url: &Url, change: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        change(hosts.entry(key(url)).or_default())
    }

    /// Why the host was given up, if it was.
    pub(super) fn given_up(&self, url: &Url) -> Option<String> {
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
    pub(super) fn failed(&self, url: &Url, failure: &Failed<'_>, limit: Duration) {
        self.with(url, |host| {
            let since = *host.trying_since.get_or_insert(failure.begun);
            let answered_meanwhile = host.answered_at.is_some_and(|at| at > failure.first);
            let exhausted = failure.last && !answered_meanwhile;
            if host.given_up.is_none() && (exhausted || since.elapsed() >= limit) {
                host.given_up = Some(failure.reason.to_owned());
            }
        });
    }

    /// The server asked everybody to wait.
    pub(super) fn hush(&self, url: &Url, pause: Duration) {
        let until = Instant::now() + pause;
        self.with(url, |host| host.quiet_until = host.quiet_until.max(Some(until)));
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
        let failed = |last, reason| Failed { first: now, begun: now, last, reason };
        health.failed(&a, &failed(false, "refused"), long);
        assert_eq!(health.given_up(&a), None);
        health.answered(&a);
        health.failed(&a, &failed(true, "others get through"), long);
        assert_eq!(health.given_up(&a), None);
        health.failed(&a, &Failed { first: Instant::now(), ..failed(true, "refused") }, long);
        assert_eq!(health.given_up(&a).as_deref(), Some("refused"));
        assert_eq!(health.given_up(&b), None);
        health.failed(&b, &failed(false, "timeout"), Duration::ZERO);
        assert_eq!(health.given_up(&b).as_deref(), Some("timeout"));
        health.hush(&a, long);
        assert!(health.quiet_for(&a).is_some() && health.quiet_for(&b).is_none());
    }
}
