//! A cache behind HTTP: GET, HEAD and PUT below one URL, which is all that Nix's own client asks of one.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use url::Url;

use super::{Incoming, RetryLimits, StorageFailure, UploadPart};

/// Redirects that are followed; Nix follows as many of any kind as curl does, but caches answer with one.
const REDIRECTS: usize = 5;

/// A whole upload must not take longer.
const UPLOAD: Duration = Duration::from_mins(30);

/// A cache at a URL.
#[derive(Debug, Clone)]
pub(crate) struct HttpCache {
    base: Url,
    client: reqwest::Client,
    authorization: Option<HeaderValue>,
    patience: RetryLimits,
}

impl HttpCache {
    pub(crate) fn new(
        base: &Url,
        client: reqwest::Client,
        authorization: Option<String>,
        patience: RetryLimits,
    ) -> Self {
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            // Without the slash `join` would put a key in the place of the last part.
            base.set_path(&format!("{}/", base.path()));
        }
        let secret = |text: String| {
            let mut value = HeaderValue::try_from(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        Self { base, client, authorization: authorization.and_then(secret), patience }
    }

    fn url(&self, key: &str) -> Result<Url, StorageFailure> {
        self.base.join(key).map_err(|_| StorageFailure::Key)
    }

    pub(crate) async fn exists(&self, key: &str) -> Result<bool, StorageFailure> {
        Ok(self.read(Method::HEAD, key).await?.is_some())
    }

    pub(crate) fn wait(&mut self, request: Duration) {
        self.patience.request = request;
    }

    pub(crate) async fn open_object(&self, key: &str) -> Result<Option<Incoming>, StorageFailure> {
        let Some(response) = self.read(Method::GET, key).await? else { return Ok(None) };
        let length = response.content_length();
        let body = response.bytes_stream().map_err(|error| StorageFailure::of_reqwest(&error)).boxed();
        Ok(Some(Incoming::new(length, body, self.patience.request)))
    }

    pub(crate) async fn get(&self, key: &str, limit: usize) -> Result<Option<Bytes>, StorageFailure> {
        let Some(mut incoming) = self.open_object(key).await? else { return Ok(None) };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = incoming.next().await? {
            if bytes.len() + chunk.len() > limit {
                return Err(StorageFailure::TooLarge(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.freeze()))
    }

    /// The answer, or nothing where there is no such object. Credentials go to the cache's own origin alone.
    async fn read(&self, method: Method, key: &str) -> Result<Option<Response>, StorageFailure> {
        let mut url = self.url(key)?;
        for _ in 0..=REDIRECTS {
            let response = self.repeated(|| self.request(method.clone(), &url)).await?;
            let target = response.headers().get(LOCATION).filter(|_| response.status().is_redirection());
            let Some(target) = target else { return present(response) };
            url =
                target.to_str().ok().and_then(|text| url.join(text).ok()).ok_or(StorageFailure::Redirect)?;
            // What was encrypted stays so.
            if self.base.scheme() == "https" && url.scheme() != "https" {
                return Err(StorageFailure::Redirect);
            }
        }
        Err(StorageFailure::Redirect)
    }

    fn request(&self, method: Method, url: &Url) -> reqwest::RequestBuilder {
        let request = self.client.request(method, url.clone());
        match &self.authorization {
            Some(value) if url.origin() == self.base.origin() => request.header(AUTHORIZATION, value.clone()),
            _ => request,
        }
    }

    /// Repeats what failed for a reason that may pass.
    async fn repeated(&self, make: impl Fn() -> reqwest::RequestBuilder) -> Result<Response, StorageFailure> {
        let mut pause = Duration::from_millis(100);
        let mut left = self.patience.retries;
        loop {
            let answer = match timeout(self.patience.request, make().send()).await {
                Err(_) => Err(StorageFailure::Timeout),
                Ok(Err(error)) => Err(StorageFailure::of_reqwest(&error)),
                Ok(Ok(response)) if passes(response.status()) => {
                    Err(StorageFailure::Status(response.status().as_u16()))
                }
                Ok(Ok(response)) => Ok(response),
            };
            if answer.is_ok() || left == 0 {
                return answer;
            }
            left -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        content_type: &'static str,
    ) -> Result<(), StorageFailure> {
        let url = self.url(key)?;
        let make = || self.request(Method::PUT, &url).header(CONTENT_TYPE, content_type).body(bytes.clone());
        accepted(&self.repeated(make).await?)
    }

    /// What comes in parts is put aside on disk first: a PUT says how long it is, and may have to be repeated.
    pub(crate) async fn receive(
        &self,
        key: &str,
        content_type: &'static str,
        mut parts: Receiver<UploadPart>,
    ) -> Result<(), StorageFailure> {
        let spilled = tempfile::tempfile().map_err(|error| StorageFailure::Io(error.kind()))?;
        let mut file = File::from_std(spilled.try_clone().map_err(|error| StorageFailure::Io(error.kind()))?);
        let io = |error: io::Error| StorageFailure::Io(error.kind());
        let mut length = 0;
        loop {
            let (bytes, last) = match parts.recv().await {
                None => return Err(StorageFailure::GivenUp),
                Some(UploadPart::More(bytes)) => (bytes, false),
                Some(UploadPart::Last(bytes)) => (bytes, true),
            };
            length += bytes.len() as u64;
            file.write_all(&bytes).await.map_err(io)?;
            if last {
                file.flush().await.map_err(io)?;
                break;
            }
        }
        self.put_file(&self.url(key)?, content_type, &spilled, length).await
    }

    async fn put_file(
        &self,
        url: &Url,
        content_type: &'static str,
        spilled: &std::fs::File,
        length: u64,
    ) -> Result<(), StorageFailure> {
        use std::io::Seek as _;
        let mut left = self.patience.retries;
        loop {
            let mut again = spilled.try_clone().map_err(|error| StorageFailure::Io(error.kind()))?;
            again.rewind().map_err(|error| StorageFailure::Io(error.kind()))?;
            let request = self
                .request(Method::PUT, url)
                .header(CONTENT_LENGTH, length)
                .header(CONTENT_TYPE, content_type)
                .body(File::from_std(again));
            let answer = match timeout(UPLOAD, request.send()).await {
                Err(_) => Err(StorageFailure::Timeout),
                Ok(Err(error)) => Err(StorageFailure::of_reqwest(&error)),
                Ok(Ok(response)) if passes(response.status()) => {
                    Err(StorageFailure::Status(response.status().as_u16()))
                }
                Ok(Ok(response)) => return accepted(&response),
            };
            if left == 0 {
                return answer;
            }
            left -= 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// Whether asking again may help.
fn passes(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

fn present(response: Response) -> Result<Option<Response>, StorageFailure> {
    match response.status() {
        status if status.is_success() => Ok(Some(response)),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
        status => Err(StorageFailure::Status(status.as_u16())),
    }
}

fn accepted(response: &Response) -> Result<(), StorageFailure> {
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(StorageFailure::Status(status.as_u16())) }
}
