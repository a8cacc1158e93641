//! What a server can do wrong, over HTTP/1.1 and over TLS with HTTP/2.

use std::time::{Duration, Instant};

use error_advice::advice_on;
use npm_deps::supply::SupplyError;
use npm_registry::{Client, Credential, Problem};
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
    let supply = Supply::new(
        None,
        None,
        Some(Client::new(Options { connections, ..tls_options(&registry) })),
        runtime(),
    );
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
            assert!(text.starts_with("left-pad@1.3.0 is not available\ncannot fetch https://"), "{text}");
            assert!(text.contains(&published.url) && text.contains(&status.to_string()), "{text}");
            assert_eq!(advice_on(&error).is_some(), [401, 403, 404, 410].contains(&status));
        });
    }
}

#[test]
fn retry_after_is_honoured_up_to_a_limit() {
    let registry = Registry::start();
    let published = published(&registry);
    registry.fault(&published.path, 1, Fault::RetryAfter(429, "1".into()));
    registry.fault(&published.path, 1, Fault::RetryAfter(503, "2".into()));
    let soon = std::time::SystemTime::now() - Duration::from_secs(5);
    registry.fault(&published.path, 1, Fault::RetryAfter(429, httpdate::fmt_http_date(soon)));
    let started = Instant::now();
    let pauses = watched(options(&registry), &published);
    let seconds: Vec<_> = pauses.iter().map(|pause| pause.as_secs_f64().ceil()).collect();
    assert_eq!(seconds, [1.0, 2.0, 0.0]);
    assert!(started.elapsed() >= Duration::from_secs(3));
}

#[test]
fn a_pause_beyond_all_patience_fails_at_once_and_for_all() {
    let registry = Registry::start();
    let all: Vec<_> = (0..50).map(|n| registry.publish("many", &format!("1.0.{n}"), &[])).collect();
    for published in &all {
        registry.fault(&published.path, 9, Fault::RetryAfter(429, "86400".into()));
    }
    let options = Options { jobs: 4, ..options(&registry) };
    let supply = Supply::new(None, None, Some(Client::new(options)), runtime());
    let started = Instant::now();
    let wants: Vec<_> = all.iter().map(want).collect();
    let done = run(futures::future::join_all(wants.iter().map(|want| supply.download(want))));
    assert!(started.elapsed() < Duration::from_secs(2));
    for error in done.into_iter().map(|done| fetch_error(done.unwrap_err())) {
        assert_eq!(
            error.problem.to_string(),
            "the server answered 429 Too Many Requests and asks to wait 1day"
        );
        assert!(advice_on(&error).unwrap().contains("--jobs"));
    }
    assert!(registry.requests().len() <= 8, "{}", registry.requests().len());
}

#[test]
fn a_pause_that_many_are_asked_for_is_one_pause() {
    let registry = Registry::start();
    let all: Vec<_> = (0..300).map(|n| registry.publish("many", &format!("1.0.{n}"), &[])).collect();
    // One in five is turned away once.
    for published in all.iter().step_by(5) {
        registry.fault(&published.path, 1, Fault::RetryAfter(429, "1".into()));
    }
    let supply = Supply::new(None, None, Some(Client::new(options(&registry))), runtime());
    let wants: Vec<_> = all.iter().map(want).collect();
    let started = Instant::now();
    let done = run(futures::future::join_all(wants.iter().map(|want| supply.download(want))));
    assert!(done.iter().all(Result::is_ok));
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_trickle_ends_and_so_does_the_whole_run() {
    let registry = Registry::start();
    let published = registry.publish_bytes("slow", "1.0.0", vec![7; 5000]);
    registry.fault(&published.path, 99, Fault::Trickle(Duration::from_millis(50)));
    let error = fetch_error(download(options(&registry), &want(&published)).unwrap_err());
    assert!(matches!(error.problem, Problem::TooSlow { .. }), "{error:?}");
    assert_eq!(registry.count(&published.path), 2);
    assert!(advice_on(&error).unwrap().contains("--registry-override"));

    let mut options = options(&registry);
    options.timeouts.run = Duration::from_millis(1200);
    options.timeouts.stall = Duration::from_mins(1);
    let started = Instant::now();
    let error = fetch_error(download(options.clone(), &want(&published)).unwrap_err());
    assert_eq!(error.problem.to_string(), "it took longer than 300ms");
    assert!(started.elapsed() < Duration::from_secs(1));
    let client = Client::new(options);
    std::thread::sleep(Duration::from_millis(1300));
    let started = Instant::now();
    let error =
        run(Supply::new(None, None, Some(client), runtime()).download(&want(&published))).unwrap_err();
    assert!(chain(&error).ends_with("it took longer than 1s 200ms"), "{}", chain(&error));
    assert!(started.elapsed() < Duration::from_millis(500));
}

#[test]
fn a_body_without_end_is_cut_off_and_the_limit_can_be_raised() {
    both(|registry, options, _| {
        let published = registry.publish_bytes("large", "1.0.0", vec![7; 200_000]);
        let small = Options { max_download: 100_000, ..options.clone() };
        let error = fetch_error(download(small, &want(&published)).unwrap_err());
        assert_eq!(error.problem.to_string(), "the answer is larger than 100000 bytes");
        assert!(advice_on(&error).unwrap().contains("--max-download"));
        registry.fault(&published.path, 99, Fault::Endless);
        let started = Instant::now();
        let large = Options { max_download: 3 << 20, ..options.clone() };
        let error = fetch_error(download(large, &want(&published)).unwrap_err());
        assert!(matches!(error.problem, Problem::TooLarge { limit: 0x30_0000 }), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn a_page_for_people_is_not_taken_for_tampering() {
    both(|registry, options, published| {
        registry.fault(&published.path, 99, Fault::Page("<!DOCTYPE html><title>Sign in</title>".into()));
        let error = fetch_error(download(options.clone(), &want(&published)).unwrap_err());
        let text = error.problem.to_string();
        assert!(text.ends_with(" sent a web page instead of the file"), "{text}");
        assert!(advice_on(&error).unwrap().contains("sign-in page"));
        registry.fault("/left-pad", 99, Fault::Page("\n<html>no</html>".into()));
        let url = Url::parse(&format!("https://{PUBLIC}/left-pad")).unwrap();
        let error = run(Client::new(options).get(&document(&url, 10_000))).unwrap_err();
        assert!(matches!(error.problem, Problem::WebPage { .. }), "{error:?}");
    });
}

#[test]
fn a_refusal_names_the_scheme_and_the_credential_by_its_place() {
    let registry = Registry::start();
    let published = published(&registry);
    let host = registry.url().replace("http://", "");
    let refused = |options: &Options, challenge: &str| {
        registry.fault(&published.path, 1, Fault::Challenge(challenge.into()));
        let error = fetch_error(download(options.clone(), &want(&published)).unwrap_err());
        (error.problem.to_string(), advice_on(&error).unwrap())
    };
    let mut options = options(&registry);
    let (problem, hint) = refused(&options, "Basic realm=\"a, b\", Bearer");
    assert_eq!(problem, "the server answered 401 Unauthorized and asks for Basic or Bearer");
    let unread = "a repository's own .npmrc is not read, because anyone who can change it could send your tokens anywhere";
    let expected = format!(
        "no credential for {host} is configured: set `//{host}/:_authToken` in ~/.npmrc, or NIX_NPM_TOKENS; {unread}"
    );
    assert_eq!(hint, expected);
    let (_, hint) = refused(&options, "Basic realm=x");
    let basic = "in ~/.npmrc to the base64 of user:password, or NIX_NPM_TOKENS";
    assert_eq!(
        hint,
        format!("no credential for {host} is configured: set `//{host}/:_auth` {basic}; {unread}")
    );
    options.access.token(&host, Credential::of_token("s3cret"));
    let (_, hint) = refused(&options, "Basic realm=x");
    assert_eq!(
        hint,
        format!(
            "`{host}` in NIX_NPM_TOKENS was sent: it may have expired, or may not be allowed to read this; {unread}; \
             the server wants Basic, and what was sent is Bearer"
        )
    );
    registry.fault(&published.path, 1, Fault::Status(404));
    let error = fetch_error(download(options, &want(&published)).unwrap_err());
    let hint = advice_on(&error).unwrap();
    assert!(
        hint.starts_with(
            "the registry has no such version any more, or hides it from those without access: "
        )
    );
    assert!(hint.contains("NIX_NPM_TOKENS was sent"), "{hint}");
}

#[test]
fn retry_after_silences_all_requests_to_the_host() {
    let registry = Registry::start();
    let (first, second) = (published(&registry), registry.publish("other", "1.0.0", &[]));
    registry.fault(&first.path, 1, Fault::RetryAfter(429, "1".into()));
    let supply = Supply::new(None, None, Some(Client::new(options(&registry))), runtime());
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
        let SupplyError::Fetch { source, .. } = &error else { panic!("{error}") };
        assert!(matches!(source.problem, Problem::Mismatch(_)) && advice_on(&error).is_some());
        let text = chain(&error);
        let got = npm_tarballs::integrity::ContentId::sha512_of(&vec![b'x'; published.bytes.len()]).sri();
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
