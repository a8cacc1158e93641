//! The npm client, as the environment and the user's configuration say.
//!
//! It gets what is named here and nothing else: proxies, certificates, and npm's settings that concern registries. Of
//! `.npmrc` see [`npm_nixhash::relock`].

use std::ffi::OsString;

use npm_nixhash::relock::npmrc::Passed;
use npm_nixhash::relock::{self, Ahead, NpmClient, Running};
use npm_nixhash::vendoring::{RegistryAnswers, Vendoring};
use npm_registry::Client;
use tokio::runtime::Handle;

use super::env::Environment;
use super::signals::end_with_signals;
use super::supply::{Sources, user_npmrc};

/// Variables that say how the network is reached.
const NETWORK: &[&str] = &[
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NIX_SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// npm's settings that are decided otherwise: it has a cache of its own, and always checks certificates.
const DECIDED: &[&str] = &["cache", "strict_ssl", "userconfig"];

/// What registries and npm do for sources.
pub(super) fn vendoring<'a>(
    environment: &Environment,
    sources: &'a Sources,
    require_signatures: bool,
) -> Vendoring<'a> {
    let client = sources.supply.registry();
    let runtime = sources.supply.runtime();
    Vendoring {
        client,
        runtime,
        npm: npm(environment, sources.registry()),
        require_signatures,
        said: RegistryAnswers::default(),
    }
}

/// The npm client; `client` knows where registries are, and how long the run may take.
pub(super) fn npm(environment: &Environment, registry: Option<(&Client, &Handle)>) -> NpmClient {
    let client = registry.map(|(client, _)| client);
    let ahead = registry.map(|(client, runtime)| Ahead { client: client.clone(), runtime: runtime.clone() });
    let network = NETWORK
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), environment.path(name)?.into_os_string())));
    let settings =
        super::env::NPM_SETTINGS.iter().filter(|name| !DECIDED.contains(name)).filter_map(|name| {
            Some((format!("npm_config_{name}"), OsString::from(environment.npm_config(name)?)))
        });
    // What is wrong with it was said when the client was set up.
    let text = user_npmrc(environment).ok().flatten().unwrap_or_default();
    let mut npmrc = Passed::of(&text, environment.home().as_deref(), &|name| environment.expand(name));
    for (name, value) in environment.npm_credentials() {
        npmrc.set(name, value);
    }
    let running = Running::default();
    // Without it npm runs on after Ctrl-C, as it would if this were a shell script.
    let _ = end_with_signals(&running);
    NpmClient {
        program: environment.program("npm").unwrap_or_else(|| "npm".into()),
        path: environment.programs().unwrap_or_default(),
        variables: network.chain(settings).collect(),
        npmrc,
        access: client.map(|client| client.options().access.clone()).unwrap_or_default(),
        timeout: relock::TIMEOUT,
        deadline: client.map(Client::deadline),
        running,
        ahead,
    }
}
