//! Where tarballs come from, as flags, environment and npm's configuration say.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use npm_deps::Settings;
use npm_deps::supply::Supply;
use npm_nixhash::report::Message;
use npm_nixhash::report::messages::MessageKind;
use npm_registry::npmrc::{Ignored, Npmrc};
use npm_registry::{Client, Credential, Options, Roots, Secret};
use npm_tarballs::store::Store;
use npm_tarballs::store::memo::Memo;
use npm_tarballs::store::npm_cache::NpmCache;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

use super::args::SourceArgs;
use super::config::Config;
use super::env::Environment;
use super::fleet::{Memory, PublishArgs, RemoteArgs};
use super::output::{Fatal, Terminal};
use super::progress::Bar;
use super::signals::before_the_end;
use super::source_tokens;

/// Requests that are under way for each core that Nix grants: one keeps a core busy for a fraction of its time.
const JOBS_PER_CORE: usize = 16;

/// What says where outputs are published.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "read, but not obeyed"))]
#[derive(Clone, Copy)]
pub(super) struct PublishSettings<'a> {
    pub(super) args: &'a PublishArgs,
    pub(super) remote: &'a RemoteArgs,
    pub(super) config: Option<&'a Config>,
}

/// What says whether hashes are shared with other machines.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "read, but not obeyed"))]
#[derive(Clone, Copy)]
pub(super) struct RemoteSettings<'a> {
    pub(super) args: &'a RemoteArgs,
    pub(super) config: &'a Config,
    /// Where this machine remembers what it told the others.
    pub(super) memo: Option<&'a Memo>,
}

/// Everything a computation draws on.
pub(super) struct Sources {
    pub(super) supply: Arc<Supply>,
    pub(super) settings: Settings,
    bar: Arc<Bar>,
    /// What is shared with other machines.
    memory: Option<Arc<Memory>>,
    /// How requests go out.
    #[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "for caches alone"))]
    pub(super) options: Options,
    /// The only one of the program; it is taken when it ends.
    runtime: Option<Runtime>,
    /// A store that goes with the run.
    passing: Option<TempDir>,
}

impl Drop for Sources {
    fn drop(&mut self) {
        // A name lookup that hangs cannot be cancelled, and must not hold up the end.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Sources {
    /// Reads npm's configuration and sets everything up; nothing is connected to, nothing written.
    pub(super) fn new(
        args: &SourceArgs,
        config: &Config,
        environment: &Environment,
        terminal: &Terminal,
    ) -> Result<Self, Fatal> {
        let npmrc = npmrc(environment, terminal);
        let (options, ignored) = options(args, environment, &npmrc)?;
        for Ignored { setting, reason } in ignored {
            terminal.warn_once(&Message::plain(format!("npm's setting `{setting}` is ignored: {reason}")));
        }
        let mut options = options;
        for (host, mirror) in &config.registry_mirrors {
            options.access.mirror_tarballs(host, mirror).map_err(|error| Fatal::new(&error))?;
        }
        let (store, npm_cache) = if args.no_cache {
            (None, None)
        } else {
            (store_folder(environment).map(Store::at), npm_cache(environment, &npmrc))
        };
        let access = options.access.clone();
        if let Some(store) = &store {
            store.sweep();
        }
        let client = (!args.offline).then(|| Client::new(options.clone()));
        let memo = store.as_ref().filter(|_| !args.no_memo).map(|store| Memo::at(store.dir()));
        let runtime = runtime()?;
        // What is not to be remembered is not to be believed of others either, and offline nobody is asked.
        let memory = if args.no_memo || args.offline {
            None
        } else {
            let settings = RemoteSettings { args: &args.remote, config, memo: memo.as_ref() };
            Memory::configured(settings, &options, runtime.handle(), environment, terminal)?
        };
        let settings = Settings {
            memo,
            shared: memory.clone().map(|memory| memory as _),
            assumed_absent: private_scopes(args, config, environment),
            ..Settings::default()
        };
        let tarballs = memory.as_ref().and_then(Memory::tarballs);
        let supply = Supply::new(store, npm_cache, client, runtime.handle().clone());
        let supply = supply.located_by(access).sharing(tarballs);
        let mut sources = Self::of(supply, runtime, settings, options, terminal);
        sources.memory = memory;
        Ok(sources)
    }

    /// What nixpkgs' own tool would draw on: npm's configuration is not read, and inside a Nix build, where nothing
    /// outlasts the build, no store is kept.
    pub(super) fn for_drop_in(environment: &Environment, terminal: &Terminal) -> Result<Self, Fatal> {
        let mut options = surroundings(environment);
        options.trust.insecure = skips_certificate_checks(environment);
        add_access(&mut options, &[], environment)?;
        if let Some(cores) = environment.text("NIX_BUILD_CORES") {
            let cores: usize =
                cores.parse().map_err(|_| Fatal(Message::plain("NIX_BUILD_CORES is not a number")))?;
            options.jobs =
                // Zero is Nix's word for all cores.
                if cores == 0 { options.jobs } else { options.jobs.min(cores.saturating_mul(JOBS_PER_CORE)) };
        }
        let store = if environment.in_nix_build() { None } else { store_folder(environment).map(Store::at) };
        let runtime = runtime()?;
        let supply = Supply::new(store, None, Some(Client::new(options.clone())), runtime.handle().clone());
        Ok(Self::of(supply, runtime, Settings::default(), options, terminal))
    }

    fn of(
        supply: Supply,
        runtime: Runtime,
        settings: Settings,
        options: Options,
        terminal: &Terminal,
    ) -> Self {
        let bar = Arc::new(Bar::new(terminal.watched, terminal.tells()));
        let supply = supply.watched_by(Arc::clone(&bar) as _);
        Self {
            supply: Arc::new(supply),
            settings,
            bar,
            memory: None,
            options,
            runtime: Some(runtime),
            passing: None,
        }
    }

    /// Believes nothing that was computed before, here or elsewhere.
    pub(super) fn forget(&mut self) {
        self.settings.memo = None;
        self.settings.shared = None;
        self.supply = Arc::new(Supply::clone(&self.supply).sharing(None));
        self.memory = None;
    }

    /// Keeps tarballs until the run ends, if they are not kept at all: a tree that is made a second time, because it goes
    /// somewhere once its hash is known, must not be downloaded twice. Where there is no room for them, it is.
    pub(super) fn keep_for_the_run(&mut self) {
        if self.supply.store().is_some() {
            return;
        }
        let Ok(folder) = tempfile::Builder::new().prefix("npm-nixhash-").tempdir() else { return };
        let path = folder.path().to_owned();
        if before_the_end(move || drop(fs::remove_dir_all(&path))).is_err() {
            return;
        }
        self.supply = Arc::new(Supply::clone(&self.supply).keeping(Store::at(folder.path().to_owned())));
        self.passing = Some(folder);
    }

    /// Whether something that could be signed is told to other machines.
    #[cfg(feature = "fleet")]
    pub(super) fn tells_others(&self) -> bool {
        self.memory.as_ref().is_some_and(|memory| memory.writes())
    }

    /// Where asynchronous work is done.
    #[cfg(feature = "fleet")]
    pub(super) fn runtime(&self) -> Handle {
        self.supply.runtime().clone()
    }

    /// Whom to ask about packages, and where; `None` offline.
    pub(super) fn registry(&self) -> Option<(&Client, &Handle)> {
        self.supply.registry().map(|client| (client, self.supply.runtime()))
    }

    /// Takes the progress bar away, and tells what became of the store.
    pub(super) fn finish(&self, terminal: &Terminal) {
        self.bar.finish();
        if let Some(trouble) = self.supply.store().and_then(Store::trouble) {
            terminal.warn_once(&Message::of(trouble));
        }
        if let Some(trouble) = self.memory.as_ref().and_then(|memory| memory.settle()) {
            terminal.message(MessageKind::Warning, &trouble);
        }
    }
}

/// Where all asynchronous work of the program is done.
fn runtime() -> Result<Runtime, Fatal> {
    let cannot = |error| Fatal(Message::plain("cannot start the network threads").caused_by(&error));
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(cannot)
}

/// The folder of the tarball store.
pub(super) fn store_folder(environment: &Environment) -> Option<PathBuf> {
    let below_home = || environment.home().map(|home| home.join(".cache"));
    let named = environment.path("NPM_NIXHASH_CACHE");
    // A relative path is to be ignored, says the XDG specification.
    let cache = || environment.path("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(below_home);
    let folder = named.or_else(|| cache().map(|cache| cache.join("npm-nixhash")))?;
    Some(environment.absolute(&folder))
}

fn npm_cache(environment: &Environment, npmrc: &Npmrc) -> Option<NpmCache> {
    let home = environment.home();
    let configured = npmrc.cache(home.as_deref(), &environment.here);
    configured.or_else(|| Some(home?.join(".npm"))).map(|folder| NpmCache::at(&folder))
}

/// The text of the user's own configuration. A repository's `.npmrc` is not read: it could send the user's tokens
/// anywhere.
///
/// # Errors
/// There is one, and it cannot be read. With bytes that are not text it can, as npm reads it.
pub(super) fn user_npmrc(environment: &Environment) -> Result<Option<String>, Message> {
    use io::ErrorKind::{NotADirectory, NotFound};
    let file = environment.npm_config("userconfig").map(PathBuf::from);
    let Some(file) = file.or_else(|| Some(environment.home()?.join(".npmrc"))) else { return Ok(None) };
    match fs::read(&file) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) => {
            let text = format!("cannot read {}; no setting and no credential of it is used", file.display());
            Err(Message::plain(text).caused_by(&error))
        }
    }
}

fn npmrc(environment: &Environment, terminal: &Terminal) -> Npmrc {
    let mut npmrc = Npmrc::default();
    match user_npmrc(environment) {
        Ok(text) => npmrc.layer(&text.unwrap_or_default(), &|name| environment.expand(name)),
        // npm goes on, too: a home that somebody else has is no reason to stop where nothing of it is needed.
        Err(message) => terminal.message(MessageKind::Warning, &message),
    }
    for name in super::env::NPM_SETTINGS {
        if let Some(value) = environment.npm_config(name) {
            npmrc.set(name, value.to_owned());
        }
    }
    for (name, value) in environment.npm_credentials() {
        npmrc.set(name, value.clone());
    }
    npmrc
}

fn options(
    args: &SourceArgs,
    environment: &Environment,
    npmrc: &Npmrc,
) -> Result<(Options, Vec<Ignored>), Fatal> {
    let mut options = surroundings(environment);
    options.trust.extra_files.extend(environment.path("NODE_EXTRA_CA_CERTS"));
    let ignored = npmrc.apply(&mut options, environment.home().as_deref(), &environment.here);
    let ignored = ignored.map_err(|error| Fatal(Message::of(&error)))?;
    add_access(&mut options, &args.registry_override, environment)?;
    source_tokens::add(&mut options.access, environment, args.github_token);
    if let Some(jobs) = args.jobs {
        options.jobs = jobs.max(1);
    }
    if let Some(timeout) = args.timeout {
        options.timeouts.run = timeout.into();
    }
    if let Some(size) = args.max_download {
        options.max_download = size.as_u64();
    }
    Ok((options, ignored))
}

/// Proxies and certificates, as the environment names them for every program.
fn surroundings(environment: &Environment) -> Options {
    let mut options = Options::default();
    let proxy = |names: [&str; 2]| {
        names.iter().find_map(|name| environment.text(name)).map(|url| Secret::new(url.to_owned()))
    };
    let any = || proxy(["all_proxy", "ALL_PROXY"]);
    // Of the unencrypted pair only the lower case counts, because a web server sets HTTP_PROXY from a request's header.
    options.proxies.http = environment.text("http_proxy").map(|url| Secret::new(url.to_owned())).or_else(any);
    options.proxies.https = proxy(["https_proxy", "HTTPS_PROXY"]).or_else(any);
    options.proxies.exempt = environment.text("no_proxy").or(environment.text("NO_PROXY")).map(str::to_owned);
    let roots = ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"].into_iter().filter_map(|name| environment.path(name));
    // Builds of nixpkgs have SSL_CERT_FILE=/no-cert-file.crt, which is never there.
    if let Some(file) = roots.into_iter().find(|file| file.exists()) {
        options.trust.roots = Roots::File(file);
    }
    options
}

/// Whether this is a fixed-output build without certificates: its hash is what protects it, as nixpkgs sees it.
fn skips_certificate_checks(environment: &Environment) -> bool {
    let missing = environment.path("SSL_CERT_FILE").is_some_and(|file| !file.exists());
    missing && environment.is_set("outputHash")
}

/// Mirrors and tokens, in the variables of nixpkgs' own tool and as flags.
fn add_access(
    options: &mut Options,
    flags: &[(String, String)],
    environment: &Environment,
) -> Result<(), Fatal> {
    let overrides = table(environment, "NIX_NPM_REGISTRY_OVERRIDES")?;
    for (host, mirror) in overrides.iter().chain(flags) {
        options.access.override_host(host, mirror).map_err(|error| Fatal::new(&error))?;
    }
    for (host, token) in table(environment, "NIX_NPM_TOKENS")? {
        options.access.token(&host, Credential::of_token(&token));
    }
    Ok(())
}

/// A variable that holds a JSON object of strings, as nixpkgs' fetcher has them. Its text may hold secrets.
fn table(environment: &Environment, name: &str) -> Result<Vec<(String, String)>, Fatal> {
    let Some(text) = environment.text(name) else { return Ok(Vec::new()) };
    let refuse = || Fatal(Message::plain(format!("{name} is not a JSON object of strings")));
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|_| refuse())?;
    let pair = |(host, value): (String, Value)| Some((host, value.as_str()?.to_owned()));
    object.into_iter().map(|entry| pair(entry).ok_or_else(refuse)).collect()
}

fn private_scopes(args: &SourceArgs, config: &Config, environment: &Environment) -> BTreeSet<String> {
    let named = environment.text("NPM_NIXHASH_PRIVATE_SCOPES").unwrap_or_default();
    let named = named.split([',', ' ']).filter(|scope| scope.starts_with('@')).map(str::to_owned);
    named.chain(args.private_scope.iter().chain(&config.private_scopes).cloned()).collect()
}
