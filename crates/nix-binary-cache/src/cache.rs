//! A binary cache: is an output there, and how does it get there.
//!
//! ```text
//! nix-cache-info
//! <hash>.narinfo                                  written last: a client believes nothing before it is there
//! nar/<NAR hash>-zstd<version>.nar.zst            compressed while it is made
//! ```
//!
//! Nix itself names a NAR by the hash of the compressed file, which is known only when all of it was uploaded. This name
//! says as much: the same NAR, the same compressor and the same level give the same bytes, so that two writers at once, or
//! one who replaces what another left, write what was there.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use error_advice::Advise;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::JoinHandle;
use zstd::stream::write::Encoder;

use crate::narinfo::{CacheInfo, NarInfo, NarInfoError, SizedDigest, Unfit};
use crate::signing::SecretKey;
use crate::storage::{Storage, StorageFailure, UploadPart};
use crate::store_path::{FixedOutput, STORE, nix_base32};

/// A longer narinfo is none.
const LARGEST_NARINFO: usize = 64 << 10;

/// Bytes of a part: S3 takes 10,000 of at least 5 MiB each, and R2 wants them to be of one size.
const PART: usize = 6 << 20;

/// Tarballs, which most of such trees are, do not get smaller at any level.
const LEVEL: i32 = 3;

/// How long it may take to take back what was given up.
const TAKEN_BACK: Duration = Duration::from_secs(10);

const CACHE_INFO: &str = "nix-cache-info";

/// A cache.
#[derive(Debug)]
pub struct Cache {
    storage: Storage,
    introduced: OnceCell<()>,
}

/// How an output is in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// A client gets it.
    There,
    /// There is no narinfo.
    Missing,
    /// There is a narinfo, but not the NAR that it names.
    NarMissing,
    /// What is there under its name does not serve it.
    Unfit(Unfit),
    /// What is there under its name is not a narinfo.
    NoNarInfo(NarInfoError),
}

/// Why a cache cannot be asked, or written to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// An object cannot be read or written.
    #[error("{doing} failed: {failure}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        failure: StorageFailure,
    },
    /// It is a cache of another store.
    #[error("it is a cache for the store {0}, not for {STORE}")]
    OtherStore(String),
    /// Its `nix-cache-info` is none.
    #[error("its nix-cache-info cannot be read: {0}")]
    Info(NarInfoError),
    /// What was written is not the output.
    #[error("the tree is not the one whose hash was computed")]
    OtherContent,
    /// The NAR cannot be compressed.
    #[error("the NAR cannot be compressed: {0}")]
    Compression(io::ErrorKind),
}

impl Advise for CacheError {
    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Storage { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

fn doing(doing: &'static str) -> impl FnOnce(StorageFailure) -> CacheError {
    move |failure| CacheError::Storage { doing, failure }
}

impl Cache {
    /// The cache in this storage. Nothing is asked.
    #[must_use]
    pub fn new(storage: Storage) -> Self {
        Self { storage, introduced: OnceCell::new() }
    }

    /// Where it is.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Whether the cache says that it has an output: one HEAD.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn has(&self, output: &FixedOutput) -> Result<bool, CacheError> {
        self.storage.exists(&narinfo_key(output)).await.map_err(doing("looking for the narinfo"))
    }

    /// Whether a client would get an output: the narinfo is read and judged, and its NAR looked for.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn look(&self, output: &FixedOutput) -> Result<Presence, CacheError> {
        let read = self.storage.get(&narinfo_key(output), LARGEST_NARINFO).await;
        let Some(bytes) = read.map_err(doing("reading the narinfo"))? else { return Ok(Presence::Missing) };
        let info = match NarInfo::parse(&String::from_utf8_lossy(&bytes)) {
            Ok(info) => info,
            Err(error) => return Ok(Presence::NoNarInfo(error)),
        };
        if let Err(unfit) = info.serves(output) {
            return Ok(Presence::Unfit(unfit));
        }
        // A narinfo may be anybody's: what it says of another host, or of a place above the cache, is not asked for
        // with its credentials.
        let within = !info.url.contains(':')
            && !info.url.split('/').any(|part| part.is_empty() || part.starts_with('.'));
        if !within {
            return Ok(Presence::NoNarInfo(NarInfoError::Value("URL")));
        }
        let there = self.storage.exists(&info.url).await.map_err(doing("looking for the NAR"))?;
        Ok(if there { Presence::There } else { Presence::NarMissing })
    }

    /// Makes sure, once, that it says what it is, and that this is what is published.
    async fn introduce(&self) -> Result<(), CacheError> {
        let introduce = async || {
            let read = self.storage.get(CACHE_INFO, LARGEST_NARINFO).await;
            let Some(bytes) = read.map_err(doing("reading nix-cache-info"))? else {
                let info = CacheInfo { store_dir: STORE.to_owned() }.to_string();
                let written = self.storage.put(CACHE_INFO, info.into(), "text/x-nix-cache-info").await;
                return written.map_err(doing("writing nix-cache-info"));
            };
            let info = CacheInfo::parse(&String::from_utf8_lossy(&bytes)).map_err(CacheError::Info)?;
            if info.store_dir == STORE { Ok(()) } else { Err(CacheError::OtherStore(info.store_dir)) }
        };
        self.introduced.get_or_try_init(introduce).await.copied()
    }

    /// Takes a NAR in parts, and then, if it was told what it is, the narinfo.
    async fn receive(
        self: Arc<Self>,
        output: FixedOutput,
        parts: mpsc::Receiver<UploadPart>,
        info: oneshot::Receiver<NarInfo>,
    ) -> Result<(), CacheError> {
        self.introduce().await?;
        let written = self.storage.receive(&nar_key(&output), "application/x-nix-nar", parts).await;
        written.map_err(doing("writing the NAR"))?;
        let info = info.await.map_err(|_| doing("writing the NAR")(StorageFailure::GivenUp))?;
        let text = Bytes::from(info.to_string());
        let written = self.storage.put(&narinfo_key(&output), text, "text/x-nix-narinfo").await;
        written.map_err(doing("writing the narinfo"))
    }
}

fn narinfo_key(output: &FixedOutput) -> String {
    format!("{}.narinfo", output.hash_part())
}

fn nar_key(output: &FixedOutput) -> String {
    let version = zstd::zstd_safe::version_string();
    format!("nar/{}-zstd{version}.nar.zst", nix_base32(output.nar_hash()))
}

/// An output on its way into caches: its NAR is written to this, compressed once, and uploaded to all of them meanwhile.
/// Where it is dropped before [`Upload::finish`], or the NAR turns out to be another one, no cache has anything.
///
/// It blocks while the slowest cache takes in what was written, so it must not be used where asynchronous work is done.
pub struct Upload {
    output: FixedOutput,
    key: Option<Arc<SecretKey>>,
    /// There until the end.
    encoder: Option<Encoder<'static, Parts>>,
    nar: Counted,
    lanes: Vec<CacheUpload>,
    runtime: Handle,
}

struct CacheUpload {
    cache: Arc<Cache>,
    info: oneshot::Sender<NarInfo>,
    task: JoinHandle<Result<(), CacheError>>,
}

/// What became of an upload to one cache.
#[derive(Debug)]
pub struct UploadResult {
    /// The cache.
    pub cache: Arc<Cache>,
    /// Size of the compressed NAR, if it is there now.
    pub result: Result<u64, CacheError>,
}

impl Upload {
    /// Begins to upload `output` to these caches.
    ///
    /// # Errors
    /// The compressor does not begin.
    pub fn begin(
        output: FixedOutput,
        caches: &[Arc<Cache>],
        key: Option<Arc<SecretKey>>,
        runtime: Handle,
    ) -> io::Result<Self> {
        let (mut senders, mut lanes) = (Vec::new(), Vec::new());
        for cache in caches {
            // One part waits, one is being filled, and `PARTS_IN_FLIGHT` are on their way: of 6 MiB each, and no more.
            let (sender, parts) = mpsc::channel(1);
            let (info, told) = oneshot::channel();
            let task = runtime.spawn(Arc::clone(cache).receive(output.clone(), parts, told));
            senders.push(Some(sender));
            lanes.push(CacheUpload { cache: Arc::clone(cache), info, task });
        }
        let parts = Parts { senders, buffer: BytesMut::new(), file: Counted::default() };
        let encoder = Encoder::new(parts, LEVEL)?;
        Ok(Self { output, key, encoder: Some(encoder), nar: Counted::default(), lanes, runtime })
    }

    /// Ends the upload: when the NAR is there and was the right one, the narinfo follows. Waits until it is.
    #[must_use]
    pub fn finish(mut self) -> Vec<UploadResult> {
        let nar = std::mem::take(&mut self.nar).digest();
        let encoder = self.encoder.take().filter(|_| nar.sha256 == *self.output.nar_hash());
        let file = encoder.map_or(Err(CacheError::OtherContent), |encoder| {
            let ended = encoder.finish().map(Parts::end);
            ended.map_err(|error| CacheError::Compression(error.kind()))
        });
        let (output, key) = (&self.output, &self.key);
        let wait = std::mem::take(&mut self.lanes).into_iter().map(|CacheUpload { cache, info, task }| {
            if let Ok(file) = &file {
                let mut said = NarInfo::of(output, nar_key(output), *file, nar.size);
                if let Some(key) = key {
                    said.sign(key);
                }
                // Who is not there any longer has failed, and says so below.
                let _ = info.send(said);
            }
            let file = file.clone();
            async move {
                let done =
                    task.await.unwrap_or_else(|_| Err(doing("writing the NAR")(StorageFailure::Other)));
                let result = file.and_then(|file| done.map(|()| file.size));
                UploadResult { cache, result }
            }
        });
        let wait: Vec<_> = wait.collect();
        self.runtime.block_on(futures::future::join_all(wait))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Without it no part follows, and what was written is taken back; soon, or by the bucket's own rules.
        self.encoder = None;
        let tasks = std::mem::take(&mut self.lanes).into_iter().map(|lane| lane.task);
        // Blocking inside of the runtime would panic; there the tasks end by themselves.
        if Handle::try_current().is_err() {
            let all = futures::future::join_all(tasks);
            let _ = self.runtime.block_on(async { tokio::time::timeout(TAKEN_BACK, all).await });
        }
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let encoder = self.encoder.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let written = encoder.write(bytes)?;
        self.nar.add(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that went by.
#[derive(Default)]
struct Counted {
    hash: Sha256,
    size: u64,
}

impl Counted {
    fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
    }

    fn digest(self) -> SizedDigest {
        SizedDigest { sha256: self.hash.finalize().into(), size: self.size }
    }
}

/// Cuts what the compressor writes into parts, and hands them to all caches that still listen.
struct Parts {
    senders: Vec<Option<mpsc::Sender<UploadPart>>>,
    buffer: BytesMut,
    file: Counted,
}

impl Parts {
    fn send(&mut self, part: impl Fn() -> UploadPart) {
        for sender in &mut self.senders {
            // A cache that failed does not keep the others from having it.
            if sender.as_ref().is_some_and(|open| open.blocking_send(part()).is_err()) {
                *sender = None;
            }
        }
    }

    fn end(mut self) -> SizedDigest {
        let rest = self.buffer.split().freeze();
        self.send(|| UploadPart::Last(rest.clone()));
        self.file.digest()
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.add(bytes);
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= PART {
            let part = self.buffer.split_to(PART).freeze();
            self.send(|| UploadPart::More(part.clone()));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::credentials::Surroundings;
    use crate::location::CacheLocation;
    use crate::storage::RetryLimits;
    use crate::store_path::DerivationName;

    /// No NAR of Nix's: a cache does not look inside.
    fn nar(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    fn output(nar: &[u8]) -> FixedOutput {
        FixedOutput::new(DerivationName::parse("web-npm-deps").unwrap(), Sha256::digest(nar).into())
    }

    fn open(folder: &Path) -> Arc<Cache> {
        let http = crate::tests::client();
        let around = Surroundings { variable: &|_| None, home: None, authorization: &|_| None, http };
        let location: CacheLocation = format!("file://{}", folder.display()).parse().unwrap();
        Arc::new(Cache::new(Storage::open(&location, &around, RetryLimits::default(), true).unwrap()))
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { names.extend(files(&path)) } else { names.push(path.display().to_string()) }
        }
        names
    }

    fn upload(nar: &[u8], output: &FixedOutput, caches: &[Arc<Cache>]) -> Vec<UploadResult> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let mut upload = Upload::begin(output.clone(), caches, None, runtime.handle().clone()).unwrap();
        upload.write_all(nar).unwrap();
        upload.finish()
    }

    fn look(cache: &Arc<Cache>, output: &FixedOutput) -> Presence {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(cache.look(output)).unwrap()
    }

    #[test]
    fn what_is_published_is_there_in_every_cache_with_right_hashes() {
        // One that goes in one piece, and one of several parts.
        for length in [100, 15 << 20] {
            let nar = nar(length);
            let output = output(&nar);
            let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let caches = [open(folders[0].path()), open(folders[1].path())];
            assert_eq!(look(&caches[0], &output), Presence::Missing);
            for published in upload(&nar, &output, &caches) {
                published.result.unwrap();
            }
            for (cache, folder) in caches.iter().zip(&folders) {
                assert_eq!(look(cache, &output), Presence::There);
                let text = fs::read_to_string(folder.path().join(narinfo_key(&output))).unwrap();
                let info = NarInfo::parse(&text).unwrap();
                let file = fs::read(folder.path().join(&info.url)).unwrap();
                let digest = SizedDigest { sha256: Sha256::digest(&file).into(), size: file.len() as u64 };
                assert_eq!(info.file, Some(digest));
                assert!(zstd::decode_all(&*file).unwrap() == nar);
                assert_eq!(info.nar.size, length as u64);
                assert_eq!(files(folder.path()).len(), 3);
            }
        }
    }

    #[test]
    fn another_content_and_an_upload_that_was_given_up_leave_nothing_to_believe() {
        let nar = nar(13 << 20);
        let output = output(&nar);
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path());
        let published = upload(b"other", &output, &[Arc::clone(&cache)]);
        assert_eq!(published[0].result, Err(CacheError::OtherContent));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let caches = [Arc::clone(&cache)];
        let mut upload = Upload::begin(output.clone(), &caches, None, runtime.handle().clone()).unwrap();
        upload.write_all(&nar).unwrap();
        drop(upload);
        assert_eq!(look(&cache, &output), Presence::Missing);
        let left = files(folder.path());
        assert!(left.iter().all(|name| name.ends_with(CACHE_INFO)), "{left:?}");
    }

    #[test]
    fn what_would_not_serve_is_not_taken_for_present() {
        let nar = nar(10);
        let output = output(&nar);
        let folder = tempfile::tempdir().unwrap();
        let cache = open(folder.path());
        upload(&nar, &output, &[Arc::clone(&cache)]).pop().unwrap().result.unwrap();
        let path = folder.path().join(narinfo_key(&output));
        let text = fs::read_to_string(&path).unwrap();
        let info = NarInfo::parse(&text).unwrap();
        fs::write(&path, text.replace("CA: fixed", "CA: text")).unwrap();
        assert_eq!(look(&cache, &output), Presence::Unfit(Unfit::NoContentAddress));
        fs::write(&path, text.replace("URL: nar", "URL: ../nar")).unwrap();
        assert_eq!(look(&cache, &output), Presence::NoNarInfo(NarInfoError::Value("URL")));
        fs::write(&path, "half").unwrap();
        assert_eq!(look(&cache, &output), Presence::NoNarInfo(NarInfoError::Line(1)));
        fs::write(&path, &text).unwrap();
        fs::remove_file(folder.path().join(info.url)).unwrap();
        assert_eq!(look(&cache, &output), Presence::NarMissing);
    }

    #[test]
    fn a_cache_of_another_store_is_not_written_to() {
        let nar = nar(10);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(CACHE_INFO), "StoreDir: /gnu/store\n").unwrap();
        let published = upload(&nar, &output(&nar), &[open(folder.path())]);
        assert_eq!(published[0].result, Err(CacheError::OtherStore("/gnu/store".to_owned())));
        assert_eq!(files(folder.path()).len(), 1);
    }
}
