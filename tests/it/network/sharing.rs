//! Tarballs of other machines: asked first, raced when they are late, and never in the way.

use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use npm_tarballs::store::shared::{Pace, SharedAnswer, SharedTarballs, WaitingTime};
use npm_tarballs::verified::Receiver;

use super::*;
use crate::support::registry::Fault;

/// Other machines, as a test wants them.
#[derive(Debug)]
struct Others {
    patience: Option<WaitingTime>,
    /// What they have, and how long it takes them.
    bytes: Option<bytes::Bytes>,
    pause: Duration,
    /// Whether half of it is there at once.
    half: bool,
    log: Mutex<Vec<String>>,
}

impl Others {
    fn new(patience: u64, bytes: Option<&bytes::Bytes>, pause: u64) -> Arc<Self> {
        let (usual, pause) = (Duration::from_millis(patience), Duration::from_millis(pause));
        let patience = Some(WaitingTime { usual, longest: usual.max(Duration::from_mins(1)) });
        Arc::new(Self { patience, bytes: bytes.cloned(), pause, half: false, log: Mutex::default() })
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl SharedTarballs for Others {
    fn word(&self) -> Option<String> {
        Some("others".to_owned())
    }

    fn patience(&self) -> Option<WaitingTime> {
        self.patience
    }

    fn get<'a>(&'a self, _: &'a str, mut receiver: Receiver, pace: &'a Pace) -> BoxFuture<'a, SharedAnswer> {
        async move {
            if self.half {
                pace.announce(100);
                pace.add(50);
            }
            tokio::time::sleep(self.pause).await;
            let Some(bytes) = &self.bytes else { return SharedAnswer::Absent };
            receiver.write(bytes).unwrap();
            receiver.finish().map_or(SharedAnswer::Absent, SharedAnswer::Here)
        }
        .boxed()
    }

    fn lost(&self, since: Instant, until: Instant) {
        // As long as was waited for them, and not for the registry besides.
        let waited = until.duration_since(since);
        self.note(format!("lost {}", if waited < Duration::from_secs(2) { "a moment" } else { "much" }));
    }

    fn put(&self, url: &str, tarball: Tarball, replace: bool) {
        let held = if tarball.bytes().is_some() { "in memory" } else { "on disk" };
        self.note(format!("put {url} {replace} {held}"));
    }
}

/// What the package's bytes came as, what the others were told, and how often the registry was asked.
fn obtain(others: &Arc<Others>, registry: &Registry, published: &Published) -> (Vec<String>, usize) {
    let client = Client::new(options(registry));
    let supply = Supply::new(None, None, Some(client), runtime()).sharing(Some(Arc::clone(others) as _));
    let tarball = run(supply.obtain(&want(published))).unwrap();
    assert_eq!(tarball.bytes().unwrap(), &published.bytes);
    (others.log(), registry.count(&published.path))
}

#[test]
fn what_others_have_is_not_downloaded() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let others = Others::new(60_000, Some(&published.bytes), 0);
    assert_eq!(obtain(&others, &registry, &published), (vec![], 0));
}

#[test]
fn what_others_lack_or_have_with_other_bytes_is_downloaded_and_given_to_them() {
    let wrong = bytes::Bytes::from_static(b"wrong");
    for bytes in [None, Some(&wrong)] {
        let registry = Registry::start();
        let published = registry.publish("a", "1.0.0", &[]);
        let others = Others::new(60_000, bytes, 0);
        let told = vec!["lost a moment".to_owned(), format!("put {} true on disk", published.url)];
        assert_eq!(obtain(&others, &registry, &published), (told, 1));
    }
}

#[test]
fn who_comes_first_has_it_where_others_are_late() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let told = |how: &str| format!("put {} {how} on disk", published.url);
    // They would answer in a minute.
    let others = Others::new(50, Some(&published.bytes), 60_000);
    let began = Instant::now();
    assert_eq!(obtain(&others, &registry, &published), (vec![told("false"), "lost a moment".to_owned()], 1));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // They are late, but the registry is later.
    registry.fault(&published.path, 9, Fault::Delay(Duration::from_secs(30)));
    let others = Others::new(50, Some(&published.bytes), 300);
    assert_eq!(obtain(&others, &registry, &published).0, Vec::<String>::new());
}

#[test]
fn a_large_tarball_that_comes_fast_enough_has_more_time() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let others = Others::new(50, Some(&published.bytes), 500);
    let others = Arc::new(Others { half: true, ..Arc::into_inner(others).unwrap() });
    assert_eq!(obtain(&others, &registry, &published), (vec![], 0));
}

#[test]
fn late_others_are_waited_for_where_the_registry_fails() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    registry.fault(&published.path, 9, Fault::Status(401));
    let others = Others::new(20, Some(&published.bytes), 3_000);
    assert_eq!(obtain(&others, &registry, &published), (vec![], 1));
    // And where they have nothing either, the registry's refusal is the error.
    let others = Others::new(20, None, 500);
    let client = Client::new(options(&registry));
    let supply = Supply::new(None, None, Some(client), runtime()).sharing(Some(Arc::clone(&others) as _));
    let error = run(supply.obtain(&want(&published))).unwrap_err();
    assert!(chain(&error).contains("401"), "{}", chain(&error));
}

#[test]
fn others_who_have_lost_their_credit_are_told_but_not_asked() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let others = Others::new(0, Some(&published.bytes), 0);
    let others = Arc::new(Others { patience: None, ..Arc::into_inner(others).unwrap() });
    assert_eq!(
        obtain(&others, &registry, &published),
        (vec![format!("put {} false on disk", published.url)], 1)
    );
}

#[test]
fn what_others_said_of_a_url_counts_only_while_they_are_asked() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let folder = tempfile::tempdir().unwrap();
    let others = Others::new(60_000, Some(&published.bytes), 0);
    let supply = |shared: Option<Arc<Others>>| {
        let store = Some(npm_tarballs::store::Store::at(folder.path().to_owned()));
        let supply = Supply::new(store, None, Some(Client::new(options(&registry))), runtime());
        supply.sharing(shared.map(|others| others as _))
    };
    run(supply(Some(Arc::clone(&others))).obtain(&want(&published))).unwrap();
    assert!(supply(Some(others)).on_disk(&want(&published)).is_some());
    assert!(supply(None).on_disk(&want(&published)).is_none());
    assert_eq!(registry.count(&published.path), 0);
    run(supply(None).obtain(&want(&published))).unwrap();
    assert_eq!(registry.count(&published.path), 1);
}
