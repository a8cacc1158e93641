//! What a server can do wrong, over HTTP/1.1 and over TLS with HTTP/2.

use std::time::{Duration, Instant};

use npm_nixhash::registry::{Client, Problem};
use url::Url;

use super::*;
use crate::support::registry::Fault;

fn published(registry: &Registry) -> Published {
    registry.publish("left-pad", "1.3.0", &[("index.js", &[b'a'; 5000])])
}

/// Runs `test` over both protocols.
fn both(test: impl Fn(&Registry, Options, Published)) {
    for tls in [false, true] {
        let registry = Registry::start();
        let published = published(&registry);
        let options = if tls { tls_options(&registry) } else { options(&registry) };
        test(&registry, options, published);
    }
}

#[test]
fn a_tarball_arrives_over_both_protocols() {
    both(|registry, options, published| {
        assert!(watched(options, &published).is_empty());
        assert_eq!(registry.count(&published.path), 1);
        assert_eq!(registry.headers(&published.path, "accept-encoding"), [None]);
        let agent = registry.headers(&published.path, "user-agent");
        assert!(agent[0].as_ref().unwrap().starts_with("npm-nixhash/"));
    });
}

#[test]
fn tls_speaks_http2_over_few_connections() {
    let registry = Registry::start();
    let wants: Vec<_> = (0..60).map(|n| want(&registry.publish("many", &format!("1.0.{n}"), &[]))).collect();
    let connections = 2;
    let supply =
        Supply::new(None, None, Some(Client::new(Options { connections, ..tls_options(&registry) })));
    let done = run(futures::future::join_all(wants.iter().map(|want| supply.download(want))));
    assert!(done.iter().all(Result::is_ok));
    let requests = registry.requests();
    assert!(requests.iter().all(|request| request.version == "HTTP/2.0"));
    let peers: std::collections::HashSet<_> = requests.iter().map(|request| request.peer).collect();
    assert_eq!(peers.len(), connections);
}

#[test]
fn passing_failures_are_repeated() {
    for status in [408, 429, 500, 502, 503, 504] {
        both(|registry, options, published| {
            registry.fault(&published.path, 2, Fault::Status(status));
            assert_eq!(watched(options, &published).len(), 2, "{status}");
            assert_eq!(registry.count(&published.path), 3, "{status}");
        });
    }
    for fault in [Fault::Close, Fault::Truncate(0), Fault::Truncate(100), Fault::Stall(100), Fault::Silence] {
        both(|registry, options, published| {
            registry.fault(&published.path, 1, fault.clone());
            assert!(watched(options, &published).len() <= 1, "{fault:?}");
            assert_eq!(registry.count(&published.path), 2, "{fault:?}");
        });
    }
}

#[test]
fn failures_that_stay_end_with_the_attempts_counted() {
    both(|registry, options, published| {
        registry.fault(&published.path, 99, Fault::Status(503));
        let error = fetch_error(download(Options { retries: 2, ..options }, &want(&published)).unwrap_err());
        assert_eq!((error.attempts, registry.count(&published.path)), (3, 3));
        let text = chain(&error);
        assert!(text.contains(&published.url) && text.contains("(3 attempts)"), "{text}");
        assert!(text.contains("503 Service Unavailable"), "{text}");
    });
}

#[test]
fn other_statuses_fail_at_once() {
    for status in [400, 401, 403, 404, 410, 418, 304] {
        both(|registry, options, published| {
            registry.fault(&published.path, 99, Fault::Status(status));
            let error = download(options, &want(&published)).unwrap_err();
            assert_eq!(registry.count(&published.path), 1);
            let text = chain(&error);
            assert!(text.starts_with("left-pad@1.3.0 cannot be had\ncannot fetch https://"), "{text}");
            assert!(text.contains(&published.url) && text.contains(&status.to_string()), "{text}");
            assert_eq!(error.hint().is_some(), [401, 403, 404, 410].contains(&status));
        });
    }
}

#[test]
fn retry_after_is_honoured_up_to_a_limit() {
    let registry = Registry::start();
    let published = published(&registry);
    registry.fault(&published.path, 1, Fault::RetryAfter(429, "1".into()));
    registry.fault(&published.path, 1, Fault::RetryAfter(503, "9999".into()));
    let soon = std::time::SystemTime::now() - Duration::from_secs(5);
    registry.fault(&published.path, 1, Fault::RetryAfter(429, httpdate::fmt_http_date(soon)));
    let started = Instant::now();
    let pauses = watched(options(&registry), &published);
    assert_eq!(pauses, [1, 2, 0].map(Duration::from_secs));
    assert!(started.elapsed() >= Duration::from_secs(3));
}

#[test]
fn retry_after_silences_all_requests_to_the_host() {
    let registry = Registry::start();
    let (first, second) = (published(&registry), registry.publish("other", "1.0.0", &[]));
    registry.fault(&first.path, 1, Fault::RetryAfter(429, "1".into()));
    let supply = Supply::new(None, None, Some(Client::new(options(&registry))));
    run(async {
        let slow = async { supply.download(&want(&first)).await.map(drop) };
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let started = Instant::now();
            supply.download(&want(&second)).await.unwrap();
            started.elapsed()
        };
        let (slow, waited) = futures::join!(slow, later);
        slow.unwrap();
        assert!(waited > Duration::from_millis(500), "{waited:?}");
    });
}

#[test]
fn wrong_bytes_are_asked_for_once_more_and_then_named() {
    both(|registry, options, published| {
        registry.fault(&published.path, 1, Fault::WrongBytes);
        assert_eq!(watched(options.clone(), &published).len(), 1);
        let fresh = registry.headers(&published.path, "cache-control");
        assert_eq!(fresh, [None, Some("no-cache".to_owned())]);
        registry.fault(&published.path, 99, Fault::WrongBytes);
        let error = download(options, &want(&published)).unwrap_err();
        assert_eq!(registry.count(&published.path), 4);
        assert!(error.is_mismatch() && error.hint().is_some());
        let text = chain(&error);
        let got = npm_nixhash::integrity::ContentId::sha512_of(&vec![b'x'; published.bytes.len()]).sri();
        for part in ["left-pad@1.3.0", &published.url, &published.integrity, &got] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    });
}

#[test]
fn a_tarball_claimed_to_be_encoded_is_left_alone() {
    both(|registry, options, published| {
        registry.fault(&published.path, 1, Fault::ClaimGzip);
        assert!(watched(options, &published).is_empty());
    });
}

#[test]
fn large_bodies_are_put_aside_and_survive_a_break() {
    both(|registry, options, _| {
        let bytes: Vec<u8> = (0..=250).cycle().take(3 << 20).collect();
        let published = registry.publish_bytes("large", "1.0.0", bytes);
        registry.fault(&published.path, 1, Fault::Truncate(2 << 20));
        let tarball = download(options, &want(&published)).unwrap();
        assert!(tarball.bytes().is_none());
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut tarball.reader().unwrap(), &mut read).unwrap();
        assert!(read == published.bytes);
    });
}

#[test]
fn a_document_may_be_compressed_missing_or_too_large() {
    both(|registry, options, published| {
        let client = Client::new(options);
        let url = Url::parse(&format!("https://{PUBLIC}/left-pad")).unwrap();
        let missing = Url::parse(&format!("https://{PUBLIC}/@none%2fsuch")).unwrap();
        registry.fault("/left-pad", 1, Fault::Gzip);
        run(async {
            for _ in 0..2 {
                let reply = client.get(&document(&url, 10_000)).await.unwrap();
                assert_eq!(reply.status, 200);
                assert!(String::from_utf8(reply.bytes.to_vec()).unwrap().contains(&published.integrity));
            }
            assert_eq!(client.get(&document(&missing, 10_000)).await.unwrap().status, 404);
            registry.fault("/left-pad", 1, Fault::Gzip);
            for _ in 0..2 {
                let error = client.get(&document(&url, 100)).await.unwrap_err();
                assert!(matches!(error.problem, Problem::TooLarge { limit: 100 }), "{error:?}");
            }
            registry.fault("/left-pad", 99, Fault::Status(403));
            assert!(matches!(
                client.get(&document(&url, 100)).await.unwrap_err().problem,
                Problem::Status { .. }
            ));
        });
    });
}
