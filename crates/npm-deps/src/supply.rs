//! One tarball, wherever it is: this run's store, npm's cache, the network.

use std::borrow::Cow;
use std::io::{self, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use error_advice::Advise;
use gnu_archive::repack;
use npm_lockfile::CanonicalUrl;
use npm_registry::{Access, Client, FetchError, Get, Problem, Purpose, Reply, TarballRequest, Watch};
use npm_tarballs::integrity::ContentId;
use npm_tarballs::redaction::redacted;
use npm_tarballs::side_by_side::SideBySide;
use npm_tarballs::spill::SpillFile;
use npm_tarballs::store::Store;
use npm_tarballs::store::npm_cache::NpmCache;
use npm_tarballs::store::shared::SharedTarballs;
use npm_tarballs::verified::{Draft, Receiver, SpillTarget, Tarball};
use reqwest::StatusCode;
use tokio::runtime::Handle;
use tracing::{debug, trace};
use url::Url;

use super::sharing::by_word_of;
use super::unpacking::{TooLarge, Unpacking};

/// The largest packument that is read, in bytes.
const PACKUMENT_LIMIT: usize = 256 << 20;

/// Where tarballs come from, in this order; each may be missing. Without a client nothing is downloaded ("offline").
#[derive(Clone)]
pub struct Supply {
    store: Option<Store>,
    npm_cache: Option<NpmCache>,
    client: Option<Client>,
    /// What other machines downloaded.
    shared: Option<Arc<dyn SharedTarballs>>,
    /// Where npm, as it is configured, would ask instead of the lockfile's host.
    access: Access,
    progress: Arc<dyn Progress>,
    spill: Arc<SpillTargets>,
    /// What is on its way to it or into memory.
    arriving: Arc<SideBySide>,
    unpacking: Arc<Unpacking>,
    runtime: Handle,
}

/// Watches a run: its downloads, and how many contents are still to come. Every method does nothing by default.
pub trait Progress: Watch {
    /// A content has to be fetched.
    fn ordered(&self) {}
    /// A content that was ordered came, or failed.
    fn delivered(&self) {}
    /// The computation of a hash begins, of something that is called so.
    fn begun_hash(&self, _label: &str) {}
    /// It ended.
    fn ended_hash(&self, _label: &str) {}
}

/// Watches nothing.
struct Unwatched;

impl Watch for Unwatched {}
impl Progress for Unwatched {}

/// A tarball that is wanted.
#[derive(Debug, Clone)]
pub struct Want {
    /// The package, for messages: `name@version` or a path in `node_modules`.
    pub package: String,
    /// The scope of the name that it is installed under, whose registry's credential may go along: npm knows an alias by
    /// no other.
    pub scope: Option<String>,
    /// The lockfile's URL.
    pub url: CanonicalUrl,
    /// What its bytes must be.
    pub id: ContentId,
    /// Whether to fetch it before others, because it is probably large.
    pub early: bool,
}

/// Why a tarball is not available.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// It is not on disk, and the network may not be used.
    #[error("{package} is not on disk ({url})")]
    Offline {
        /// The package.
        package: String,
        /// Where it would be fetched from, without secrets.
        url: String,
    },
    /// Its bytes are on disk, but from elsewhere, and the network may not be used.
    #[error("{package} is on disk, but not known to come from {url}")]
    FromElsewhere {
        /// The package.
        package: String,
        /// Where it would be fetched from, without secrets.
        url: String,
    },
    /// A git archive that cannot be repacked.
    #[error("the archive of {package} at {url} cannot be used")]
    Archive {
        /// The package.
        package: String,
        /// The archive's URL, without secrets.
        url: String,
        /// Why.
        #[source]
        source: repack::Error,
    },
    /// An answer that is not a packument.
    #[error("the registry's answer for {package} at {url} is not a packument")]
    Packument {
        /// The package.
        package: String,
        /// The packument's URL, without secrets.
        url: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be fetched.
    #[error("{package} is not available")]
    Fetch {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: Box<FetchError>,
    },
}

/// The scope of a package's name, with or without a version behind it.
pub(super) fn scope_of(package: &str) -> Option<&str> {
    package.split_once('/').map(|(scope, _)| scope).filter(|scope| scope.starts_with('@'))
}

impl Advise for SupplyError {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Offline { .. } | Self::FromElsewhere { .. } => {
                Some("run once without --offline, or run `npm ci` first".into())
            }
            _ => None,
        }
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Fetch { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

impl SupplyError {
    pub(super) fn archive(package: &str, url: &Url, source: repack::Error) -> Self {
        Self::Archive { package: package.to_owned(), url: redacted(url), source }
    }

    pub(super) fn packument(package: &str, url: &Url, source: serde_json::Error) -> Self {
        Self::Packument { package: package.to_owned(), url: redacted(url), source }
    }
}

impl TooLarge for SupplyError {
    fn is_too_large(&self) -> bool {
        match self {
            Self::Fetch { source, .. } => matches!(source.problem, Problem::TooLarge { .. }),
            Self::Archive { source, .. } => matches!(source, repack::Error::TooLarge { .. }),
            _ => false,
        }
    }
}

impl Supply {
    /// A supply from these sources, which works in this runtime of several threads.
    #[must_use]
    pub fn new(
        store: Option<Store>,
        npm_cache: Option<NpmCache>,
        client: Option<Client>,
        runtime: Handle,
    ) -> Self {
        let spill = Arc::new(SpillTargets { store: store.clone(), spill: SpillFile::default() });
        let access = client.as_ref().map(|client| client.options().access.clone()).unwrap_or_default();
        let (progress, arriving, unpacking) = (Arc::new(Unwatched), Arc::default(), Arc::default());
        Self { store, npm_cache, client, shared: None, access, progress, spill, arriving, unpacking, runtime }
    }

    /// The same supply, told where tarballs would be fetched from although it fetches none: npm's cache has them under the
    /// URLs that npm asked for.
    #[must_use]
    pub fn located_by(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// The same supply of what is on disk alone.
    #[must_use]
    pub fn without_network(&self) -> Self {
        Self { client: None, shared: None, ..self.clone() }
    }

    /// The same supply, which asks other machines before the network, or asks none.
    #[must_use]
    pub fn sharing(mut self, shared: Option<Arc<dyn SharedTarballs>>) -> Self {
        self.shared = shared;
        self
    }

    /// The same supply, which keeps what it downloads in this store.
    #[must_use]
    pub fn keeping(mut self, store: Store) -> Self {
        self.spill = Arc::new(SpillTargets { store: Some(store.clone()), spill: SpillFile::default() });
        self.store = Some(store);
        self
    }

    /// The same supply, watched.
    #[must_use]
    pub fn watched_by(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Where asynchronous work is done. The caller made the runtime and ends it: a name lookup that hangs cannot be cancelled, and
    /// must not hold up the end.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// What archives may take of memory, all together.
    #[must_use]
    pub fn unpacking(&self) -> &Unpacking {
        &self.unpacking
    }

    /// Who watches.
    pub(super) fn progress(&self) -> &Arc<dyn Progress> {
        &self.progress
    }

    /// How many requests to have under way at once.
    pub(super) fn concurrency(&self) -> usize {
        // Some more than the client lets through, so that one waits at its gate when a place becomes free.
        self.client.as_ref().map_or(1, |client| client.options().jobs) + 8
    }

    /// The registry client; none if nothing is downloaded.
    #[must_use]
    pub fn registry(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// Gets the client ready for its first request.
    pub(super) fn prepare(&self) {
        if let Some(client) = &self.client {
            client.prepare(&self.runtime);
        }
    }

    /// The store, for its trouble and its numbers.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The length of a tarball that seems to be on disk and is known to come from its URL: for planning only, nothing is
    /// opened or verified.
    #[must_use]
    pub fn probe(&self, want: &Want) -> Option<u64> {
        let stored = self.known(want).and_then(|store| store.probe(&want.id));
        stored.or_else(|| self.in_npm_cache(want, NpmCache::probe))
    }

    /// The tarball, if it is on disk and known to come from its URL. A large one is checked only while it is read, and to
    /// be believed at its end.
    #[must_use]
    pub fn on_disk(&self, want: &Want) -> Option<Tarball> {
        let stored = self.known(want).and_then(|store| store.get(&want.id)).map(|found| ("the store", found));
        let found =
            stored.or_else(|| self.in_npm_cache(want, NpmCache::get).map(|found| ("npm's cache", found)));
        let Some((place, tarball)) = found else {
            trace!(package = want.package, "a tarball that is not on disk");
            return None;
        };
        debug!(package = want.package, from = place, bytes = tarball.len(), "a tarball");
        Some(tarball)
    }

    /// Whether the store knows that the URL served the content, which may be gone since.
    pub(super) fn knows(&self, want: &Want) -> bool {
        self.known(want).is_some()
    }

    /// The store, if it knows that the URL served the content.
    fn known(&self, want: &Want) -> Option<&Store> {
        let store = self.store.as_ref()?;
        let word = || self.shared.as_ref().and_then(|shared| by_word_of(&**shared, want));
        let known = store.knows(want.url.as_str(), &want.id)
            || word().is_some_and(|name| store.knows(&name, &want.id));
        known.then_some(store)
    }

    /// Asks npm's cache, first for the lockfile's URL, then for the one that npm asks in its place.
    fn in_npm_cache<T>(
        &self,
        want: &Want,
        ask: impl Fn(&NpmCache, &str, &ContentId) -> Option<T>,
    ) -> Option<T> {
        let cache = self.npm_cache.as_ref()?;
        ask(cache, want.url.as_str(), &want.id).or_else(|| {
            let url = want.url.to_url();
            let located = self.access.locate(&url, true);
            if located == url { None } else { ask(cache, located.as_str(), &want.id) }
        })
    }

    /// Bytes of the store whose origin the caller knows otherwise.
    #[must_use]
    pub fn kept(&self, id: &ContentId) -> Option<Tarball> {
        self.store.as_ref()?.get(id)
    }

    /// The tarball, from disk, from other machines or from the network; what came is kept in the store.
    ///
    /// # Errors
    /// It is nowhere, or what came is not it.
    pub async fn obtain(&self, want: &Want) -> Result<Tarball, SupplyError> {
        self.obtain_watched(want, &*self.progress).await
    }

    /// The same, with somebody else who watches.
    pub(super) async fn obtain_watched(
        &self,
        want: &Want,
        watch: &dyn Watch,
    ) -> Result<Tarball, SupplyError> {
        // Read to its end here, which `on_disk` leaves out for a large one: what is damaged has to be downloaded.
        match (self.on_disk(want).filter(|tarball| tarball.prove().is_ok()), &self.shared) {
            (Some(tarball), _) => Ok(tarball),
            (None, Some(shared)) => self.shared_or_downloaded(shared, want, watch).await,
            (None, None) => self.download_watched(want, watch).await,
        }
    }

    /// Takes in what is to become a tarball.
    pub(super) fn receiver(&self, want: &Want) -> Receiver {
        let receiver = Receiver::new(want.id, Arc::clone(&self.spill) as Arc<dyn SpillTarget>);
        receiver.beside(Arc::clone(&self.arriving))
    }

    /// Keeps bytes for later runs, where there is a store.
    pub fn keep(&self, tarball: &Tarball) {
        if let Some(store) = &self.store {
            store.put(tarball);
        }
    }

    /// Keeps bytes, and that they came from there.
    pub(super) fn keep_from(&self, origin: &str, tarball: &Tarball) {
        self.keep(tarball);
        if let Some(store) = &self.store {
            store.learn(origin, &tarball.id());
        }
    }

    /// Completes what is kept; to be called at the end of a run.
    pub(super) fn settle(&self) {
        if let Some(store) = &self.store {
            store.settle();
        }
    }

    /// The tarball from the network, without looking on disk.
    ///
    /// # Errors
    /// It does not come, or what came is not it.
    pub async fn download(&self, want: &Want) -> Result<Tarball, SupplyError> {
        self.download_watched(want, &*self.progress).await
    }

    /// The same, with somebody else who watches.
    pub(super) async fn download_watched(
        &self,
        want: &Want,
        watch: &dyn Watch,
    ) -> Result<Tarball, SupplyError> {
        let url = want.url.to_url();
        let client = self.client(&want.package, &url).map_err(|error| self.elsewhere(want, error))?;
        let receiver = self.receiver(want);
        let request = TarballRequest { url: &url, scope: want.scope.as_deref(), watch };
        let tarball = client
            .download(&request, receiver)
            .await
            .map_err(|source| SupplyError::Fetch { package: want.package.clone(), source: source.into() })?;
        debug!(package = want.package, from = "the network", bytes = tarball.len(), "a tarball");
        self.keep_from(want.url.as_str(), &tarball);
        Ok(tarball)
    }

    /// What the URL of a want served under another integrity, if its bytes have this one, too; else nothing is known.
    pub(super) fn recognise(&self, served: &Tarball, want: &Want) -> Option<Tarball> {
        let mut receiver = self.receiver(want);
        let mut reader = served.reader().ok()?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            match reader.read(&mut buffer).ok()? {
                0 => break,
                read => receiver.write(buffer.get(..read)?).ok()?,
            }
        }
        // Checked against the want's own integrity: what was served for another one may still be something else.
        let tarball = receiver.finish().ok()?;
        self.keep_from(want.url.as_str(), &tarball);
        Some(tarball)
    }

    /// Says so where only the origin of what is missing is unknown.
    fn elsewhere(&self, want: &Want, error: SupplyError) -> SupplyError {
        let stored = self.store.as_ref().is_some_and(|store| store.probe(&want.id).is_some());
        let there = stored || self.npm_cache.as_ref().is_some_and(|cache| cache.holds(&want.id));
        match error {
            SupplyError::Offline { package, url } if there => SupplyError::FromElsewhere { package, url },
            error => error,
        }
    }

    /// The archive of a git dependency, of at most `limit` bytes, which are not known beforehand; `package` is for messages.
    pub(super) async fn archive(&self, package: &str, url: &Url, limit: usize) -> Result<Bytes, SupplyError> {
        let limit = limit.min(self.archive_limit());
        self.file(package, url, scope_of(package), Purpose::Package, limit).await
    }

    /// A file of at most `limit` bytes that is the source of a derivation.
    ///
    /// # Errors
    /// It does not come, or is larger.
    pub async fn source(&self, url: &Url, limit: usize) -> Result<Bytes, SupplyError> {
        self.file("the source", url, None, Purpose::Source, limit.min(self.archive_limit())).await
    }

    async fn file(
        &self,
        package: &str,
        url: &Url,
        scope: Option<&str>,
        purpose: Purpose,
        limit: usize,
    ) -> Result<Bytes, SupplyError> {
        // A configured registry stands in for the public one, as for any other tarball of it.
        let registry =
            url.path().rsplit_once("/-/").is_some_and(|(_, file)| file.rsplit('.').next() == Some("tgz"));
        let get =
            Get { url, scope, purpose, accept: "*/*", limit, registry, gzip: false, may_be_missing: false };
        Ok(self.get(package, &get).await?.bytes)
    }

    /// Half of what a tarball may have: an archive is held in memory, and its tree with it.
    fn archive_limit(&self) -> usize {
        let limit = self.client.as_ref().map_or(0, |client| client.options().max_download);
        usize::try_from(limit / 2).unwrap_or(usize::MAX)
    }

    /// A packument of the public registry, whole; `None` if it knows no such name.
    pub(super) async fn packument(&self, package: &str, url: &Url) -> Result<Option<Bytes>, SupplyError> {
        // Not from a configured registry: it may answer with other fields, and nixpkgs would not ask it.
        let get = Get {
            url,
            scope: scope_of(package),
            purpose: Purpose::Package,
            accept: "application/json",
            limit: PACKUMENT_LIMIT,
            registry: false,
            gzip: true,
            may_be_missing: true,
        };
        let reply = self.get(package, &get).await?;
        Ok((reply.status != StatusCode::NOT_FOUND).then_some(reply.bytes))
    }

    async fn get(&self, package: &str, get: &Get<'_>) -> Result<Reply, SupplyError> {
        let client = self.client(package, get.url)?;
        let reply = client.get(get).await;
        reply.map_err(|source| SupplyError::Fetch { package: package.to_owned(), source: Box::new(source) })
    }

    fn client(&self, package: &str, url: &Url) -> Result<&Client, SupplyError> {
        self.client
            .as_ref()
            .ok_or_else(|| SupplyError::Offline { package: package.to_owned(), url: redacted(url) })
    }

    /// The same tarball with its bytes out of memory, for one that has to wait.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn park(&self, tarball: Tarball) -> io::Result<Tarball> {
        let stored = self.store.as_ref().and_then(|store| store.handle(&tarball));
        stored.map_or_else(|| tarball.park(&self.spill.spill), Ok)
    }
}

/// The store if it takes the body, else a temporary file.
struct SpillTargets {
    store: Option<Store>,
    spill: SpillFile,
}

impl SpillTarget for SpillTargets {
    fn begin(&self, id: &ContentId) -> io::Result<Box<dyn Draft>> {
        match &self.store {
            // A store that cannot be written to is no reason to hold a large body in memory, or to fail.
            Some(store) => store.begin(id).or_else(|_| self.spill.begin(id)),
            None => self.spill.begin(id),
        }
    }
}
