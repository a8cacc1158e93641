//! Hosts that cannot be reached or trusted, redirects, and who sees which credentials.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use error_advice::advice_on;
use npm_registry::npmrc::Npmrc;
use npm_registry::{Credential, Problem, Secret};

use super::*;
use crate::support::registry::{Asks, Fault, closed_port};

fn unreachable(mirror: &str, count: usize) -> (Vec<FetchError>, Duration) {
    let mut options = Options { timeouts: quick(), ..Options::default() };
    options.access.override_host(PUBLIC, mirror).unwrap();
    let wants: Vec<_> = (0..count)
        .map(|n| Want {
            package: format!("p{n}"),
            scope: None,
            url: format!("https://{PUBLIC}/p{n}/-/p{n}-1.0.0.tgz").parse().unwrap(),
            id: npm_tarballs::integrity::ContentId::sha512_of(b""),
            early: false,
        })
        .collect();
    let supply = Supply::new(None, None, Some(Client::new(options)), runtime());
    let started = Instant::now();
    let done = run(futures::future::join_all(wants.iter().map(|want| supply.download(want))));
    (done.into_iter().map(|done| fetch_error(done.unwrap_err())).collect(), started.elapsed())
}

#[test]
fn a_refused_connection_ends_soon_and_for_all() {
    let port = closed_port();
    let (errors, elapsed) = unreachable(&format!("http://127.0.0.1:{port}"), 500);
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
    assert!(errors.iter().all(|error| chain(error).contains("refused")));
    let given_up = errors.iter().filter(|error| error.attempts == 1).count();
    assert!(given_up > 300, "{given_up}");
    let causes: std::collections::HashSet<_> =
        errors.iter().map(|error| (error.problem.to_string(), advice_on(error))).collect();
    assert_eq!(causes.len(), 1, "one cause is one message: {causes:?}");
    assert!(advice_on(&errors[0]).unwrap().contains("--offline"));
    assert!(chain(&errors[499]).contains(&port.to_string()));
}

#[test]
fn a_host_that_swallows_connections_ends_at_the_deadline() {
    // The kernel accepts the connection, nobody answers the TLS greeting.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (errors, elapsed) = unreachable(&format!("https://{}", silent.local_addr().unwrap()), 500);
    let limit = quick().unreachable + quick().connect * 2;
    assert!(elapsed < limit, "{elapsed:?}");
    assert!(errors.iter().all(|error| advice_on(error).is_some()), "{:?}", errors[0]);
}

#[test]
fn a_name_that_does_not_resolve_is_said_so() {
    // A label of more than 63 characters is refused here: how long a name server looks for a name is its own affair.
    let name = format!("{}.invalid", "a".repeat(64));
    let (errors, _) = unreachable(&format!("http://{name}"), 3);
    assert!(chain(&errors[0]).contains(&name), "{}", chain(&errors[0]));
    for error in &errors {
        assert!(matches!(error.problem, Problem::Lookup { .. }), "{error:?}");
        assert!(error.attempts <= 2, "{error:?}");
    }
}

#[test]
fn an_untrusted_certificate_fails_at_once_and_other_roots_help() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let mut options = tls_options(&registry);
    let other = Registry::start();
    options.trust.roots = Roots::File(other.ca_file());
    let error = fetch_error(download(options.clone(), &want(&published)).unwrap_err());
    assert!(matches!(error.problem, Problem::Certificate { .. }), "{error:?}");
    assert_eq!(error.attempts, 1);
    assert!(advice_on(&error).unwrap().contains("NODE_EXTRA_CA_CERTS"));
    options.trust.extra_files.push(registry.ca_file());
    download(options.clone(), &want(&published)).unwrap();
    options.trust.extra_files.clear();
    options.trust.extra_pem.push(std::fs::read_to_string(registry.ca_file()).unwrap());
    download(options.clone(), &want(&published)).unwrap();
    options.trust.extra_pem.clear();
    options.trust.insecure = true;
    download(options.clone(), &want(&published)).unwrap();
    options.trust.insecure = false;
    options.trust.roots = Roots::File("/nonexistent/roots.pem".into());
    let error = download(options, &want(&published)).unwrap_err();
    assert!(chain(&error).contains("/nonexistent/roots.pem"), "{}", chain(&error));
}

#[test]
fn redirects_are_followed_without_credentials_for_others() {
    let (here, there) = (Registry::start(), Registry::start());
    let published = here.publish("a", "1.0.0", &[]);
    there.serve("/elsewhere.tgz", published.bytes.clone());
    here.serve("/moved.tgz", published.bytes.clone());
    let mut options = options(&here);
    let host = |registry: &Registry| registry.url().replace("http://", "");
    options.access.token(&host(&here), Credential::of_token("mine"));
    options.access.token(&host(&there), Credential::of_token("theirs"));

    here.fault(&published.path, 1, Fault::Redirect("/moved.tgz".into()));
    download(options.clone(), &want(&published)).unwrap();
    let mine = Some("Bearer mine".to_owned());
    for path in [published.path.as_str(), "/moved.tgz"] {
        assert_eq!(here.headers(path, "authorization").as_slice(), std::slice::from_ref(&mine));
    }

    here.fault(&published.path, 1, Fault::Redirect(format!("{}/elsewhere.tgz", there.url())));
    there.fault("/elsewhere.tgz", 1, Fault::Redirect(format!("{}/moved.tgz", here.url())));
    download(options.clone(), &want(&published)).unwrap();
    assert_eq!(there.headers("/elsewhere.tgz", "authorization"), [None]);
    assert_eq!(here.headers("/moved.tgz", "authorization")[1], None);

    here.fault(&published.path, 99, Fault::Redirect(published.path.clone()));
    let error = fetch_error(download(options, &want(&published)).unwrap_err());
    assert!(matches!(error.problem, Problem::Redirect { .. }) && error.attempts == 1);
}

#[test]
fn a_redirect_from_https_to_http_is_refused() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    registry.serve("/plain.tgz", published.bytes.clone());
    registry.fault(&published.path, 2, Fault::Redirect(format!("{}/plain.tgz", registry.url())));
    let mut options = tls_options(&registry);
    let error = fetch_error(download(options.clone(), &want(&published)).unwrap_err());
    assert!(matches!(error.problem, Problem::Downgrade { .. }), "{error:?}");
    options.trust.insecure = true;
    download(options, &want(&published)).unwrap();
}

#[test]
fn npmrc_leads_to_the_registry_and_opens_its_door() {
    let registry = Registry::start();
    let published = registry.publish("@corp/a", "1.0.0", &[]);
    registry.serve(&format!("/npm{}", published.path), published.bytes.clone());
    registry.require("/npm/", "Bearer s3cret");
    let host = registry.url().replace("http:", "");
    let text = format!("registry={}/npm/\n{host}/npm/:_authToken=${{TOKEN}}\n", registry.url());
    let apply = |text: &str| {
        let mut npmrc = Npmrc::default();
        npmrc.layer(text, &|name| (name == "TOKEN").then(|| "s3cret".to_owned()));
        let mut options = Options::default();
        npmrc.apply(&mut options, None, Path::new("/")).unwrap();
        options
    };
    download(apply(&text), &want(&published)).unwrap();
    let wrong = text.replace("/npm/:_auth", "/other/:_auth");
    let error = download(apply(&wrong), &want(&published)).unwrap_err();
    let sent = registry.headers(&format!("/npm{}", published.path), "authorization");
    assert_eq!(sent, [Some("Bearer s3cret".to_owned()), None]);
    let text = chain(&error);
    assert!(text.contains(&format!("{} from {}/npm/", published.url, registry.url())), "{text}");
    assert!(text.contains("401") && !text.contains("s3cret"), "{text}");
    assert!(advice_on(&error).unwrap().contains("_authToken"));
}

#[test]
fn user_info_in_a_url_is_used_and_not_shown() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    registry.require("/", "Basic dTpodW50ZXIy");
    let mut options = options(&registry);
    let mirror = registry.url().replace("http://", "http://u:hunter2@");
    options.access.override_host(PUBLIC, &mirror).unwrap();
    download(options.clone(), &want(&published)).unwrap();
    registry.fault(&published.path, 1, Fault::Status(404));
    let text = chain(&download(options, &want(&published)).unwrap_err());
    assert!(text.contains("//***@") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_proxy_is_used_but_for_exempt_hosts() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let mut options = Options { timeouts: quick(), retries: 0, ..Options::default() };
    options.access.override_host(PUBLIC, "http://upstream.invalid/").unwrap();
    // A server sees a proxied request with the whole URL, whose path is what this one looks at.
    options.proxies.http = Some(Secret::new(registry.url().replace("http://", "http://me:hunter2@")));
    download(options.clone(), &want(&published)).unwrap();
    assert_eq!(registry.headers(&published.path, "host"), [Some("upstream.invalid".to_owned())]);
    assert!(registry.headers(&published.path, "proxy-authorization")[0].is_some());
    options.proxies.exempt = Some("upstream.invalid".to_owned());
    assert!(download(options, &want(&published)).is_err());
    assert_eq!(registry.count(&published.path), 1);
}

#[test]
fn http1_opens_a_bounded_number_of_sockets_and_uses_them_again() {
    let registry = Registry::start();
    registry.delay(Duration::from_millis(20));
    let wants: Vec<_> = (0..200).map(|n| want(&registry.publish("many", &format!("1.0.{n}"), &[]))).collect();
    let supply = Supply::new(None, None, Some(Client::new(options(&registry))), runtime());
    let done = run(futures::future::join_all(wants.iter().map(|want| supply.download(want))));
    assert!(done.iter().all(Result::is_ok));
    let peers: std::collections::HashSet<_> =
        registry.requests().iter().map(|request| request.peer).collect();
    assert!(peers.len() <= 40, "{}", peers.len());
}

#[test]
fn a_dead_proxy_is_named_as_the_proxy() {
    let registry = Registry::start();
    let published = registry.publish("a", "1.0.0", &[]);
    let port = closed_port();
    let mut options = Options { retries: 1, ..tls_options(&registry) };
    options.proxies.https = Some(Secret::new(format!("http://me:hunter2@127.0.0.1:{port}")));
    let error = fetch_error(download(options.clone(), &want(&published)).unwrap_err());
    let text = error.problem.to_string();
    assert!(text.starts_with(&format!("the proxy 127.0.0.1:{port} cannot be used: ")), "{text}");
    assert!(advice_on(&error).unwrap().contains("no_proxy") && !chain(&error).contains("hunter2"));
    options.proxies.exempt = Some("localhost".to_owned());
    download(options, &want(&published)).unwrap();
}

#[test]
fn a_mirror_in_the_lockfile_that_cannot_be_found_has_a_way_round_it() {
    let mut want = want(&Registry::start().publish("a", "1.0.0", &[]));
    want.url = "https://mirror.invalid/a/-/a-1.0.0.tgz".parse().unwrap();
    let options = Options { timeouts: quick(), ..Options::default() };
    let error = fetch_error(download(options, &want).unwrap_err());
    let hint = advice_on(&error).unwrap();
    assert!(hint.contains("--registry-override mirror.invalid=URL"), "{hint}");
    assert!(hint.contains("replace-registry-host=mirror.invalid"), "{hint}");
}

#[test]
fn a_client_certificate_is_shown_to_the_host_it_is_for() {
    let registry = Registry::start_with_client_certificates();
    let published = registry.publish("a", "1.0.0", &[]);
    registry.serve(&format!("/npm{}", published.path), published.bytes.clone());
    let (certfile, keyfile) = registry.client_identity();
    let host = registry.tls_url().replace("https:", "");
    let apply = |text: &str| {
        let (mut npmrc, mut options) = (Npmrc::default(), tls_options(&registry));
        npmrc.layer(text, &|_| None);
        npmrc.apply(&mut options, None, Path::new("/")).unwrap();
        Options { retries: 0, ..options }
    };
    let lines = |host: &str| {
        format!("{host}/:certfile={}\n{host}/:keyfile={}\n", certfile.display(), keyfile.display())
    };
    download(apply(&lines(&host)), &want(&published)).unwrap();
    let missing = lines(&host).replace("key.pem", "none.pem");
    let error = chain(&download(apply(&missing), &want(&published)).unwrap_err());
    assert!(error.contains("none.pem"), "{error}");
}

/// The program's word for what `registry` makes of a download with these PEM files.
fn refused(registry: &Registry, identity: Option<(PathBuf, PathBuf)>) -> FetchError {
    let published = registry.publish("a", "1.0.0", &[]);
    let host = registry.tls_url().replace("https:", "");
    let (mut npmrc, mut options) = (Npmrc::default(), tls_options(registry));
    if let Some((certfile, keyfile)) = identity {
        let lines =
            format!("{host}/:certfile={}\n{host}/:keyfile={}\n", certfile.display(), keyfile.display());
        npmrc.layer(&lines, &|_| None);
    }
    npmrc.apply(&mut options, None, Path::new("/")).unwrap();
    fetch_error(download(options, &want(&published)).unwrap_err())
}

#[test]
fn a_client_certificate_that_is_missing_or_refused_is_said_to_be() {
    // Whether the server's reason arrives before the end of its connection is a race; a few of each see both.
    for asks in [Asks::Insists, Asks::InsistsInTls12].repeat(5) {
        let (registry, other) = (Registry::start_asking(asks), Registry::start());
        let host = registry.tls_url().replace("https:", "");
        let error = refused(&registry, None);
        let said = error.problem.to_string();
        assert_eq!(
            said, "the server asked for a client certificate, got none, and ended the connection",
            "{asks:?}"
        );
        let hint = advice_on(&error).unwrap();
        assert!(
            hint.starts_with(&format!("set `{host}/:certfile` and `{host}/:keyfile` in ~/.npmrc to ")),
            "{hint}"
        );
        assert!(hint.contains("a repository's own .npmrc is not read"), "{hint}");

        let identity = other.client_identity();
        let certfile = identity.0.display().to_string();
        let error = refused(&registry, Some(identity));
        let said = error.problem.to_string();
        let lost = format!(
            "the server asked for a client certificate, got the one in {certfile}, and ended the connection"
        );
        let known = format!(
            "the server asked for a client certificate, and refused the one in {certfile}: received fatal alert: "
        );
        assert!(said == lost || said.starts_with(&known), "{asks:?}: {said}");
        let hint = advice_on(&error).unwrap();
        assert!(hint.starts_with(&format!("`{host}/:certfile` in .npmrc is what applies: ")), "{hint}");
        assert!(registry.requests().is_empty());
    }
}

#[test]
fn an_answer_tells_of_a_client_certificate_where_one_was_asked_for() {
    let registry = Registry::start_asking(Asks::Optionally);
    let published = registry.publish("a", "1.0.0", &[]);
    download(tls_options(&registry), &want(&published)).unwrap();
    for (status, said) in [
        (400, "the server answered 400 Bad Request and asks for a client certificate"),
        (403, "the server answered 403 Forbidden and asks for a client certificate"),
        (404, "the server answered 404 Not Found"),
    ] {
        registry.fault(&published.path, 1, Fault::Status(status));
        let error = fetch_error(download(tls_options(&registry), &want(&published)).unwrap_err());
        assert_eq!(error.problem.to_string(), said);
        assert_eq!(advice_on(&error).unwrap().contains(":certfile`"), status != 404);
    }
    // A connection that breaks is not a refusal where others were served, and is tried again where none was.
    registry.fault(&published.path, 1, Fault::Close);
    download(tls_options(&registry), &want(&published)).unwrap();
}

#[test]
fn a_forward_proxy_with_tls_and_without_sees_no_credential_of_a_registry() {
    let (registry, proxy) = (Registry::start(), Registry::start());
    let published = registry.publish("a", "1.0.0", &[]);
    let host = registry.tls_url();
    for address in [proxy.url(), proxy.tls_url()] {
        let mut options = Options { retries: 0, ..tls_options(&registry) };
        options.access.token(&host, Credential::of_token("mine"));
        options.trust.extra_files.push(proxy.ca_file());
        options.proxies.https = Some(Secret::new(address.replace("://", "://me:hunter2@")));
        download(options, &want(&published)).unwrap();
    }
    assert_eq!(registry.headers(&published.path, "authorization"), vec![Some("Bearer mine".to_owned()); 2]);
    assert_eq!(registry.headers(&published.path, "proxy-authorization"), [None, None]);
    let asked = proxy.requests();
    assert_eq!(asked.len(), 2);
    for request in asked {
        assert_eq!(request.path, host.replace("https://", ""));
        assert_eq!(
            request.headers.get("proxy-authorization").map(String::as_str),
            Some("Basic bWU6aHVudGVyMg==")
        );
        assert!(!request.headers.contains_key("authorization"));
    }
}
