//! One tarball, wherever it is: this run's store, npm's cache, the network.

use std::io;
use std::sync::Arc;

use url::Url;

use crate::integrity::ContentId;
use crate::registry::{Client, FetchError, Problem, Request, Unwatched, Watch};
use crate::store::Store;
use crate::store::npm_cache::NpmCache;
use crate::tarball::spool::Spool;
use crate::tarball::verified::{Draft, Receiver, Shelf, Tarball};

/// Where tarballs come from, in this order; each may be missing. Without a client nothing is downloaded ("offline").
#[derive(Clone)]
pub struct Supply {
    store: Option<Store>,
    npm_cache: Option<NpmCache>,
    client: Option<Client>,
    watch: Arc<dyn Watch>,
    shelf: Arc<Shelves>,
}

/// A tarball that is wanted.
#[derive(Debug, Clone)]
pub struct Want {
    /// The package, for messages: `name@version` or a path in `node_modules`.
    pub package: String,
    /// The lockfile's URL.
    pub url: Url,
    /// What its bytes must be.
    pub id: ContentId,
}

/// Why a tarball cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// It is not on disk, and the network may not be used.
    #[error("{package} is not on disk")]
    Offline {
        /// The package.
        package: String,
        /// The lockfile's URL, without secrets.
        url: String,
        /// What was looked for.
        id: ContentId,
    },
    /// It cannot be fetched.
    #[error("{package} cannot be had")]
    Fetch {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: FetchError,
    },
}

impl SupplyError {
    /// What to do about it, where something can be done.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Offline { .. } => Some("run once without --offline, or run `npm ci` first".to_owned()),
            Self::Fetch { source, .. } => source.hint(),
        }
    }

    /// Whether the bytes that arrived were others than the lockfile's.
    #[must_use]
    pub fn is_mismatch(&self) -> bool {
        matches!(self, Self::Fetch { source: FetchError { problem: Problem::Mismatch(_), .. }, .. })
    }
}

impl Supply {
    /// A supply from these sources.
    #[must_use]
    pub fn new(store: Option<Store>, npm_cache: Option<NpmCache>, client: Option<Client>) -> Self {
        let shelf = Arc::new(Shelves { store: store.clone(), spool: Spool::default() });
        Self { store, npm_cache, client, watch: Arc::new(Unwatched), shelf }
    }

    /// The same supply, watched.
    #[must_use]
    pub fn watched_by(mut self, watch: Arc<dyn Watch>) -> Self {
        self.watch = watch;
        self
    }

    /// The store, for its trouble and its numbers.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The length of a tarball that seems to be on disk: for planning only, nothing is opened or verified.
    #[must_use]
    pub fn probe(&self, id: &ContentId) -> Option<u64> {
        let stored = self.store.as_ref().and_then(|store| store.probe(id));
        stored.or_else(|| self.npm_cache.as_ref()?.probe(id))
    }

    /// The tarball, if it is on disk and whole.
    #[must_use]
    pub fn on_disk(&self, id: &ContentId) -> Option<Tarball> {
        let stored = self.store.as_ref().and_then(|store| store.get(id));
        stored.or_else(|| self.npm_cache.as_ref()?.get(id))
    }

    /// The tarball, from disk or from the network; what was downloaded is kept in the store.
    pub async fn obtain(&self, want: &Want) -> Result<Tarball, SupplyError> {
        match self.on_disk(&want.id) {
            Some(tarball) => Ok(tarball),
            None => self.download(want).await,
        }
    }

    /// The tarball from the network, without looking on disk.
    pub async fn download(&self, want: &Want) -> Result<Tarball, SupplyError> {
        let Some(client) = &self.client else {
            let url = crate::registry::redacted(&want.url);
            return Err(SupplyError::Offline { package: want.package.clone(), url, id: want.id });
        };
        let receiver = Receiver::new(want.id, Arc::clone(&self.shelf) as Arc<dyn Shelf>);
        let request = Request { url: &want.url, watch: &*self.watch };
        let tarball = client
            .download(&request, receiver)
            .await
            .map_err(|source| SupplyError::Fetch { package: want.package.clone(), source })?;
        if let Some(store) = &self.store {
            store.put(&tarball);
        }
        Ok(tarball)
    }

    /// The same tarball with its bytes out of memory, for one that has to wait.
    pub fn park(&self, tarball: Tarball) -> io::Result<Tarball> {
        let stored = self.store.as_ref().and_then(|store| store.handle(&tarball));
        stored.map_or_else(|| tarball.park(&self.shelf.spool), Ok)
    }
}

/// The store if it takes the body, else a temporary file.
struct Shelves {
    store: Option<Store>,
    spool: Spool,
}

impl Shelf for Shelves {
    fn begin(&self, id: &ContentId) -> io::Result<Box<dyn Draft>> {
        match &self.store {
            Some(store) => store.begin(id).or_else(|_| self.spool.begin(id)),
            None => self.spool.begin(id),
        }
    }
}
