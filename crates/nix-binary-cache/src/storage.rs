//! Objects by their keys, wherever they lie. Nothing appears under a key before it is whole.

mod http;

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs, io};

use bytes::Bytes;
use error_advice::Advise;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Attributes, BackoffConfig, MultipartUpload, ObjectStore, ObjectStoreExt as _,
    PutMultipartOptions, PutOptions, RetryConfig,
};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use self::http::HttpCache;
use crate::credentials::{self, CredentialsError, Surroundings};
use crate::location::{CacheLocation, Kind};

/// Parts that are on their way at once for one upload; each is in memory.
const PARTS_IN_FLIGHT: usize = 2;

/// One part must not take longer.
const PART: Duration = Duration::from_mins(5);

/// How long failures are borne.
#[derive(Debug, Clone, Copy)]
pub struct RetryLimits {
    /// How often a request is repeated.
    pub retries: usize,
    /// How long a request for a small object may take, repetitions included, where the store counts them.
    pub request: Duration,
}

impl Default for RetryLimits {
    fn default() -> Self {
        Self { retries: 5, request: Duration::from_mins(1) }
    }
}

/// A place with objects in it.
#[derive(Clone)]
pub struct Storage {
    location: CacheLocation,
    patience: RetryLimits,
    inner: Inner,
}

#[derive(Clone)]
enum Inner {
    Objects { store: Arc<dyn ObjectStore>, prefix: Path, attributes: bool },
    Http(HttpCache),
}

/// The place alone: what opens it is nobody's business.
impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("location", &self.location).finish_non_exhaustive()
    }
}

/// An object whose bytes are on their way.
pub struct Incoming {
    /// How many bytes there are, if the store tells beforehand.
    pub length: Option<u64>,
    body: BoxStream<'static, Result<Bytes, StorageFailure>>,
    /// How long the next bytes may take.
    patience: Duration,
}

impl Incoming {
    pub(crate) fn new(
        length: Option<u64>,
        body: BoxStream<'static, Result<Bytes, StorageFailure>>,
        patience: Duration,
    ) -> Self {
        Self { length, body, patience }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// They do not come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StorageFailure> {
        timeout(self.patience, self.body.next()).await.map_err(|_| StorageFailure::Timeout)?.transpose()
    }
}

/// A part of an object that is on its way. An object whose last part does not come never appears.
#[derive(Debug)]
pub enum UploadPart {
    /// There is more to come; at least 5 MiB, which S3 asks for.
    More(Bytes),
    /// The end, which may be empty.
    Last(Bytes),
}

/// Why an object cannot be read or written. It says nothing that a server said: answers of S3 quote the headers of
/// requests, with session tokens in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageFailure {
    /// A server's refusal, such as 403.
    #[error("{}", status_words(*.0))]
    Status(u16),
    /// Nobody answers there.
    #[error("cannot connect")]
    Connect,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// It took too long.
    #[error("it took too long to answer")]
    Timeout,
    /// A redirect that leads nowhere, or out of encryption.
    #[error("it redirects to a place that may not be followed")]
    Redirect,
    /// A file or folder.
    #[error("{0}")]
    Io(io::ErrorKind),
    /// There is no such bucket or folder.
    #[error("there is no such bucket or folder")]
    NoSuchPlace,
    /// An object is larger than it may be.
    #[error("an object is larger than {0} bytes")]
    TooLarge(usize),
    /// An object's name is not part of a URL.
    #[error("an object's name cannot be part of a URL")]
    Key,
    /// The one who wrote it gave up.
    #[error("it was not written to its end")]
    GivenUp,
    /// Anything else.
    #[error("it cannot be used, for a reason that the store does not name")]
    Other,
}

fn status_words(status: u16) -> String {
    match status {
        401 => "it does not know these credentials (401)".to_owned(),
        403 => "it does not allow that with these credentials (403)".to_owned(),
        status => format!("it answered {status}"),
    }
}

impl Advise for StorageFailure {
    fn advice(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Status(401 | 403) => Some(
                "the credentials have to allow reading, writing and checking whether objects exist".into(),
            ),
            Self::Status(405 | 501) => Some("this server takes no uploads; name the bucket behind it".into()),
            Self::NoSuchPlace => Some("make it first, or correct the URL".into()),
            _ => None,
        }
    }
}

impl StorageFailure {
    pub(crate) fn of_reqwest(error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect
        } else {
            Self::Broken
        }
    }

    fn of(error: &object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<HttpError>() {
                return match error.kind() {
                    HttpErrorKind::Connect => Self::Connect,
                    HttpErrorKind::Timeout => Self::Timeout,
                    _ => Self::Broken,
                };
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Self::Io(error.kind());
            }
            cause = error.source();
        }
        match error {
            object_store::Error::NotFound { .. } => Self::NoSuchPlace,
            object_store::Error::PermissionDenied { .. } => Self::Status(403),
            object_store::Error::Unauthenticated { .. } => Self::Status(401),
            _ => status_in(error).map_or(Self::Other, Self::Status),
        }
    }
}

/// The status of a server's refusal. The library keeps its error with the status to itself, and says it in words only; a test
/// with a real server holds this to them.
fn status_in(error: &object_store::Error) -> Option<u16> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if let Some((_, rest)) = text.split_once("status code: ") {
            return rest.get(..3)?.parse().ok();
        }
        cause = error.source();
    }
    None
}

/// Why a place cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is nothing to open it with.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// It is a folder that cannot be used.
    #[error(transparent)]
    Folder(#[from] StorageFailure),
}

impl Advise for OpenError {
    fn because(&self) -> Option<&dyn Advise> {
        Some(match self {
            Self::Credentials(error) => error,
            Self::Folder(error) => error,
        })
    }
}

impl OpenError {
    /// Whether nothing was found to open it with.
    #[must_use]
    pub fn lacks_credentials(&self) -> bool {
        matches!(self, Self::Credentials(CredentialsError::None(_)))
    }
}

impl Storage {
    /// The place at a location; a folder is made if it is to be written to. Nothing is asked of a server yet.
    ///
    /// # Errors
    /// No credentials, or a folder that is not there.
    pub fn open(
        location: &CacheLocation,
        around: &Surroundings<'_>,
        patience: RetryLimits,
        write: bool,
    ) -> Result<Self, OpenError> {
        let inner = match location.kind() {
            Kind::Folder(folder) => {
                let io = |error: io::Error| match error.kind() {
                    io::ErrorKind::NotFound => StorageFailure::NoSuchPlace,
                    kind => StorageFailure::Io(kind),
                };
                if write {
                    fs::create_dir_all(folder).map_err(io)?;
                }
                fs::metadata(folder).map_err(io)?;
                let store =
                    LocalFileSystem::new_with_prefix(folder).map_err(|error| StorageFailure::of(&error))?;
                // A narinfo must not outlive the NAR that a power cut took.
                let store = Arc::new(store.with_fsync(true));
                Inner::Objects { store, prefix: Path::default(), attributes: false }
            }
            Kind::Bucket(bucket) => {
                let prefix = Path::parse(&bucket.prefix).map_err(|_| StorageFailure::Key)?;
                let store = credentials::open(bucket, around, patience.retry())?;
                Inner::Objects { store, prefix, attributes: true }
            }
            Kind::Http(url) => {
                Inner::Http(HttpCache::new(url, around.http.clone(), (around.authorization)(url), patience))
            }
        };
        Ok(Self { location: location.clone(), patience, inner })
    }

    /// The same place, where a request for a small object may take so long.
    #[must_use]
    pub fn waiting(mut self, request: Duration) -> Self {
        self.patience.request = request;
        if let Inner::Http(cache) = &mut self.inner {
            cache.wait(request);
        }
        self
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &CacheLocation {
        &self.location
    }

    /// Whether there is an object: one HEAD.
    ///
    /// # Errors
    /// It cannot be known.
    pub async fn exists(&self, key: &str) -> Result<bool, StorageFailure> {
        match &self.inner {
            Inner::Http(cache) => cache.exists(key).await,
            Inner::Objects { store, prefix, .. } => {
                let head = timeout(self.patience.request, async { store.head(&below(prefix, key)).await });
                missing(head.await.map_err(|_| StorageFailure::Timeout)?).map(|meta| meta.is_some())
            }
        }
    }

    /// An object of at most `limit` bytes, if it is there.
    ///
    /// # Errors
    /// It cannot be read, or is larger.
    pub async fn get(&self, key: &str, limit: usize) -> Result<Option<Bytes>, StorageFailure> {
        match &self.inner {
            Inner::Http(cache) => cache.get(key, limit).await,
            Inner::Objects { store, prefix, .. } => {
                let read = async {
                    let Some(found) = missing(store.get(&below(prefix, key)).await)? else { return Ok(None) };
                    if found.meta.size > limit as u64 {
                        return Err(StorageFailure::TooLarge(limit));
                    }
                    found.bytes().await.map(Some).map_err(|error| StorageFailure::of(&error))
                };
                timeout(self.patience.request, read).await.map_err(|_| StorageFailure::Timeout)?
            }
        }
    }

    /// Begins to read an object of any size, if it is there.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn open_object(&self, key: &str) -> Result<Option<Incoming>, StorageFailure> {
        match &self.inner {
            Inner::Http(cache) => cache.open_object(key).await,
            Inner::Objects { store, prefix, .. } => {
                let begin = timeout(self.patience.request, async { store.get(&below(prefix, key)).await });
                let found = missing(begin.await.map_err(|_| StorageFailure::Timeout)?)?;
                Ok(found.map(|found| {
                    let length = Some(found.meta.size);
                    let body = found.into_stream().map_err(|error| StorageFailure::of(&error)).boxed();
                    Incoming::new(length, body, self.patience.request)
                }))
            }
        }
    }

    /// Writes a small object.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &'static str,
    ) -> Result<(), StorageFailure> {
        match &self.inner {
            Inner::Http(cache) => cache.put(key, bytes, content_type).await,
            Inner::Objects { store, prefix, attributes } => {
                let options = PutOptions::from(described(*attributes, content_type));
                let write = async { store.put_opts(&below(prefix, key), bytes.into(), options).await };
                let written =
                    timeout(self.patience.request, write).await.map_err(|_| StorageFailure::Timeout)?;
                written.map(drop).map_err(|error| StorageFailure::of(&error))
            }
        }
    }

    /// Writes an object whose parts arrive one after the other. It appears when the last one was written.
    ///
    /// # Errors
    /// It cannot be written, or the last part did not come; what was there of it is removed.
    pub async fn receive(
        &self,
        key: &str,
        content_type: &'static str,
        mut parts: Receiver<UploadPart>,
    ) -> Result<(), StorageFailure> {
        let (store, prefix, attributes) = match &self.inner {
            Inner::Http(cache) => return cache.receive(key, content_type, parts).await,
            Inner::Objects { store, prefix, attributes } => (store, prefix, *attributes),
        };
        let first = match parts.recv().await {
            None => return Err(StorageFailure::GivenUp),
            // One request; an upload in parts takes three.
            Some(UploadPart::Last(bytes)) => return self.put(key, bytes, content_type).await,
            Some(UploadPart::More(bytes)) => bytes,
        };
        let options = PutMultipartOptions::from(described(attributes, content_type));
        let begin = async { store.put_multipart_opts(&below(prefix, key), options).await };
        let upload = timeout(self.patience.request, begin).await.map_err(|_| StorageFailure::Timeout)?;
        let mut upload = upload.map_err(|error| StorageFailure::of(&error))?;
        let result = send(&mut upload, first, parts).await;
        if result.is_err() {
            // Where this fails too, the bucket's rules for unfinished uploads clean up.
            let _ = timeout(self.patience.request, async { upload.abort().await }).await;
        }
        result
    }
}

async fn send(
    upload: &mut Box<dyn MultipartUpload>,
    first: Bytes,
    mut parts: Receiver<UploadPart>,
) -> Result<(), StorageFailure> {
    let mut flight = FuturesUnordered::new();
    let mut next = Some(UploadPart::More(first));
    loop {
        let (bytes, last) = match next {
            None => return Err(StorageFailure::GivenUp),
            Some(UploadPart::More(bytes)) => (bytes, false),
            Some(UploadPart::Last(bytes)) => (bytes, true),
        };
        if !bytes.is_empty() {
            let part = upload.put_part(bytes.into());
            flight.push(async {
                timeout(PART, part)
                    .await
                    .map_err(|_| StorageFailure::Timeout)?
                    .map_err(|error| StorageFailure::of(&error))
            });
        }
        if last {
            break;
        }
        if flight.len() >= PARTS_IN_FLIGHT {
            flight.next().await.transpose()?;
        }
        next = parts.recv().await;
    }
    flight.try_collect::<()>().await?;
    let completed =
        timeout(PART, async { upload.complete().await }).await.map_err(|_| StorageFailure::Timeout)?;
    completed.map(drop).map_err(|error| StorageFailure::of(&error))
}

impl RetryLimits {
    fn retry(self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() },
            max_retries: self.retries,
            retry_timeout: self.request,
        }
    }
}

fn below(prefix: &Path, key: &str) -> Path {
    let key = Path::from(key);
    prefix.parts().chain(key.parts()).collect()
}

fn described(attributes: bool, content_type: &'static str) -> Attributes {
    // A folder has no place for them.
    let pair = attributes.then(|| (Attribute::ContentType, AttributeValue::from(content_type)));
    pair.into_iter().collect()
}

/// Nothing, where there is no such object. A bucket that is not there says the same; what is written there fails.
fn missing<T>(result: object_store::Result<T>) -> Result<Option<T>, StorageFailure> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(StorageFailure::of(&error)),
    }
}
