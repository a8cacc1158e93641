//! The network and the store, fault by fault, at library level.

mod credentials;
mod faults;
mod hosts;
mod matrix;
mod names;
mod planted;
mod sharing;
mod stores;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use npm_deps::supply::{Progress, Supply, SupplyError, Want};
use npm_registry::{Client, FetchError, Get, Options, Purpose, Retry, Roots, Timeouts, Watch};
use npm_tarballs::verified::Tarball;
use url::Url;

use crate::support::registry::{PUBLIC, Published, Registry};
use crate::support::runtime;

/// Options with short pauses that lead to `registry`.
fn options(registry: &Registry) -> Options {
    let mut options = Options { timeouts: quick(), ..Options::default() };
    options.access.override_host(PUBLIC, &registry.url()).unwrap();
    options
}

/// The same over TLS and HTTP/2.
fn tls_options(registry: &Registry) -> Options {
    let mut options = options(registry);
    options.access.override_host(PUBLIC, &registry.tls_url()).unwrap();
    options.trust.roots = Roots::File(registry.ca_file());
    options
}

fn quick() -> Timeouts {
    Timeouts {
        connect: Duration::from_millis(400),
        stall: Duration::from_millis(400),
        unreachable: Duration::from_secs(1),
        backoff: Duration::from_millis(10),
        retry_after: Duration::from_secs(2),
        run: Duration::from_mins(2),
    }
}

fn want(published: &Published) -> Want {
    Want {
        package: format!("{}@{}", published.name, published.version),
        scope: published.name.split_once('/').map(|(scope, _)| scope.to_owned()),
        url: published.url.parse().unwrap(),
        id: published.id(),
        early: false,
    }
}

/// Counts what a [`Watch`] is told.
#[derive(Default)]
struct Tally {
    net: Mutex<i64>,
    pauses: Mutex<Vec<Duration>>,
}

impl Watch for Tally {
    fn received(&self, bytes: u64) {
        *self.net.lock().unwrap() += i64::try_from(bytes).unwrap();
    }

    fn discarded(&self, bytes: u64) {
        *self.net.lock().unwrap() -= i64::try_from(bytes).unwrap();
    }

    fn retrying(&self, retry: &Retry<'_>) {
        self.pauses.lock().unwrap().push(retry.pause);
    }
}

impl Progress for Tally {}

fn run<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

fn download(options: Options, want: &Want) -> Result<Tarball, SupplyError> {
    run(Supply::new(None, None, Some(Client::new(options)), runtime()).download(want))
}

/// Downloads, and checks that what was watched adds up; gives the pauses.
fn watched(options: Options, published: &Published) -> Vec<Duration> {
    let tally = Arc::new(Tally::default());
    let supply =
        Supply::new(None, None, Some(Client::new(options)), runtime()).watched_by(Arc::clone(&tally) as _);
    let tarball = run(supply.download(&want(published))).unwrap();
    assert_eq!(tarball.bytes().unwrap(), &published.bytes);
    assert_eq!(*tally.net.lock().unwrap(), i64::try_from(published.bytes.len()).unwrap());
    tally.pauses.lock().unwrap().clone()
}

fn fetch_error(error: SupplyError) -> FetchError {
    match error {
        SupplyError::Fetch { source, .. } => *source,
        other => panic!("no fetch error: {other}"),
    }
}

/// An error with all its causes, one a line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn document(url: &Url, limit: usize) -> Get<'_> {
    Get {
        url,
        scope: None,
        purpose: Purpose::Package,
        accept: "application/json",
        limit,
        registry: false,
        gzip: true,
        may_be_missing: true,
    }
}

/// At the rates of 1, 5 and 20 % in the real-parts run, which has the time.
#[test]
fn every_fault_ends_as_the_table_says() {
    matrix::run_all(&[100], matrix::Pace::Quick);
}
