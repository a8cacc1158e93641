//! All sources of a run, fetched side by side, each once.
//!
//! What was verified is remembered: *this origin had that hash*. Such a pair is never taken apart, so a hash that stayed
//! behind when its URL moved on is not found again under the new one. The archive's bytes lie in the store.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use error_advice::Advise;
use futures::future::join_all;
use npm_deps::supply::{Supply, SupplyError};
use npm_deps::unpacking::{Room, TooLarge};
use npm_tarballs::Tarball;
use npm_tarballs::integrity::{Algorithm, ContentId, Hasher};
use npm_tarballs::redaction::{Redacted, redacted};
use npm_tarballs::store::memo::Memo;
use sha2::{Digest as _, Sha256};
use tracing::{debug, info};

use super::archive::{ArchiveError, Unpacked};
use super::digest::{DigestKind, Recorded, SourceDigest};
use super::look::{Excerpt, LookError, SourcePlace};
use super::nar;
use super::origin::{Hashed, Origin, Top};

/// Part of every key: to be raised when the same source would be hashed otherwise.
const ALGORITHM: &str = "source 1";

/// Stands for the hash in the key of what a commit brought.
const OF_COMMIT: &str = "commit";

/// A source that is wanted.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// Where it comes from.
    pub origin: Origin,
    /// What is said of its hash, by everybody who uses it.
    pub recorded: BTreeSet<Recorded>,
    /// What to read from it.
    pub looks: BTreeSet<SourcePlace>,
}

/// A source that was fetched, or is known from an earlier run.
#[derive(Debug, Clone)]
pub struct FetchedSource {
    /// Its hash, by each algorithm that was asked for.
    pub digests: BTreeMap<DigestKind, SourceDigest>,
    /// What the bytes of the download are, by the algorithms of npm; of one that was recalled only the first.
    pub contents: Vec<ContentId>,
    /// What was read from it.
    pub excerpts: BTreeMap<SourcePlace, Result<Excerpt, LookError>>,
}

/// Why nothing is known of a source.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceFailure {
    /// It cannot be fetched.
    #[error(transparent)]
    Supply(Arc<SupplyError>),
    /// It is not an archive, or one that is refused.
    #[error("the source at {url} cannot be used")]
    Archive {
        /// Its URL, without secrets.
        url: String,
        /// Why.
        #[source]
        error: Arc<ArchiveError>,
    },
    /// What was kept of it cannot be read, or nothing can be run.
    #[error("cannot read the source at {url}")]
    Io {
        /// Its URL, without secrets.
        url: String,
        /// What the system said.
        #[source]
        error: Arc<io::Error>,
    },
}

impl TooLarge for SourceFailure {
    fn is_too_large(&self) -> bool {
        match self {
            Self::Supply(error) => error.is_too_large(),
            Self::Archive { error, .. } => error.is_too_large(),
            Self::Io { .. } => false,
        }
    }
}

impl Advise for SourceFailure {
    fn advice(&self) -> Option<Cow<'static, str>> {
        let Self::Supply(error) = self else { return None };
        match &**error {
            SupplyError::Offline { .. } => Some("run once without --offline".into()),
            SupplyError::Fetch { source, .. } if source.is_missing() => Some(format!(
                "check version, rev and tag: the server has no such file, or hides it from those without access; {}",
                source.access_hint()
            ).into()),
            _ => None,
        }
    }

    fn because(&self) -> Option<&dyn Advise> {
        match self {
            Self::Supply(error) => Some(&**error),
            Self::Archive { .. } | Self::Io { .. } => None,
        }
    }
}

impl SourceFailure {
    /// Whether the server has no such file, as far as it tells.
    #[must_use]
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Supply(error) if matches!(&**error, SupplyError::Fetch { source, .. } if source.is_missing()))
    }
}

/// Fetches all sources; the results are in the order of the requests.
#[must_use]
pub fn fetch(
    requests: &[SourceRequest],
    supply: &Arc<Supply>,
    memo: Option<&Memo>,
) -> Vec<Result<FetchedSource, SourceFailure>> {
    let job = async |request: &SourceRequest| {
        let work = async |room| obtain(request, supply, memo, room).await;
        supply.unpacking().within(work).await
    };
    let began = Instant::now();
    let fetched = supply.runtime().block_on(join_all(requests.iter().map(job)));
    if !requests.is_empty() {
        let failed = fetched.iter().filter(|result| result.is_err()).count();
        info!(sources = requests.len(), failed, took = ?began.elapsed(), "sources are here");
    }
    fetched
}

fn shown(request: &SourceRequest) -> String {
    redacted(request.origin.url())
}

/// A source from disk, if it was verified before, else from the network.
async fn obtain(
    request: &SourceRequest,
    supply: &Supply,
    memo: Option<&Memo>,
    room: Room,
) -> Result<FetchedSource, SourceFailure> {
    if let Some(known) = memo.and_then(|memo| recall(request, supply, memo)) {
        debug!(url = %Redacted(request.origin.url().as_str()), from = "the store", "a source");
        return examine(request, known, room.unpacked).await;
    }
    let bytes = download(request, supply, room.download).await?;
    debug!(url = %Redacted(request.origin.url().as_str()), from = "the network", bytes = bytes.len(), "a source");
    let tarball = Tarball::of(bytes.clone());
    let content = tarball.id();
    let mut sha1 = Hasher::new(Algorithm::Sha1);
    sha1.update(&bytes);
    // A registry is asked about these bytes, and of an old release it may know the sha1 alone.
    let contents = vec![content, sha1.finish()];
    let identity = request.origin.identity();
    let fetched = examine(request, Known { bytes, contents, digests: None }, room.unpacked).await?;
    supply.keep(&tarball);
    if let Some(memo) = memo {
        // What cannot be kept is fetched again.
        for digest in fetched.digests.values() {
            let _ = memo.put(&key(&identity, &digest.sri()), content.digest());
        }
        if request.recorded.contains(&Recorded::Commit) {
            let _ = memo.put(&key(&identity, OF_COMMIT), content.digest());
        }
    }
    Ok(fetched)
}

/// Bytes of a source, with its hashes if they are known.
struct Known {
    bytes: Bytes,
    contents: Vec<ContentId>,
    digests: Option<BTreeMap<DigestKind, SourceDigest>>,
}

fn key(identity: &str, recorded: &str) -> [u8; 32] {
    Sha256::digest(format!("{ALGORITHM}\n{identity}\n{recorded}")).into()
}

/// What an earlier run verified: every recorded hash must have been found at this very origin, and lead to one content.
fn recall(request: &SourceRequest, supply: &Supply, memo: &Memo) -> Option<Known> {
    let identity = request.origin.identity();
    let (mut digests, mut content) = (BTreeMap::new(), None);
    for recorded in &request.recorded {
        let (text, digest) = match recorded {
            Recorded::Known(digest) => (digest.sri(), Some(digest)),
            Recorded::Commit => (OF_COMMIT.to_owned(), None),
            // It says nothing of the bytes: what is there today has to be looked at.
            Recorded::Placeholder(_) => return None,
        };
        let found = ContentId::new(Algorithm::Sha512, &memo.get(&key(&identity, &text))?)?;
        let other = digest.and_then(|digest| digests.insert(digest.kind(), digest.clone()));
        // Two hashes of one kind, or two contents: at least one is wrong, and only the bytes tell which.
        if *content.get_or_insert(found) != found || other.is_some() {
            return None;
        }
    }
    let content = content?;
    let tarball = supply.kept(&content)?;
    let mut bytes = Vec::new();
    tarball.reader().ok()?.read_to_end(&mut bytes).ok()?;
    // Of a commit no hash is recorded, so it is computed again.
    let digests = Some(digests).filter(|_| !request.recorded.contains(&Recorded::Commit));
    Some(Known { bytes: bytes.into(), contents: vec![content], digests })
}

async fn download(request: &SourceRequest, supply: &Supply, limit: usize) -> Result<Bytes, SourceFailure> {
    let mut failure = None;
    for url in &request.origin.urls {
        match supply.source(url, limit).await {
            Ok(bytes) => return Ok(bytes),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(SourceFailure::Supply(Arc::new(failure.expect("bug: an origin has a URL"))))
}

/// Hashes a source and reads what is wanted from it.
async fn examine(
    request: &SourceRequest,
    known: Known,
    unpacked: u64,
) -> Result<FetchedSource, SourceFailure> {
    let (url, request) = (shown(request), request.clone());
    let worked = tokio::task::spawn_blocking(move || work(&request, known, unpacked)).await;
    match worked {
        Ok(Ok(fetched)) => Ok(fetched),
        Ok(Err(error)) => Err(SourceFailure::Archive { url, error: Arc::new(error) }),
        Err(error) => Err(SourceFailure::Io { url, error: Arc::new(io::Error::other(error)) }),
    }
}

fn work(request: &SourceRequest, known: Known, limit: u64) -> Result<FetchedSource, ArchiveError> {
    let Known { bytes, contents, digests } = known;
    let kinds: BTreeSet<DigestKind> = request.recorded.iter().map(Recorded::kind).collect();
    let hashed = request.origin.hashed;
    let unpacked = match hashed {
        Hashed::Tree(top) if digests.is_none() || !request.looks.is_empty() => {
            Ok(Unpacked::new(&bytes, top, limit)?)
        }
        // A file that is not an archive still has its hash.
        Hashed::File | Hashed::StoreFile if !request.looks.is_empty() => {
            match Unpacked::new(&bytes, Top::Kept, limit) {
                // Not as something that the file is: with more room it may be an archive.
                Err(error) if error.is_too_large() => return Err(error),
                unpacked => unpacked.map_err(Arc::new),
            }
        }
        _ => Err(Arc::new(ArchiveError::NotOne("nothing is wanted from it"))),
    };
    let hash = |kind: DigestKind| match (hashed, &unpacked) {
        (Hashed::Tree(_), Ok(tree)) => nar::hash(tree, kind).map_err(ArchiveError::Nar),
        (Hashed::StoreFile, _) => nar::hash_file(&bytes, kind).map_err(ArchiveError::Nar),
        _ => Ok(SourceDigest::of(kind, &bytes)),
    };
    let digests = match digests {
        Some(digests) => digests,
        None => kinds.into_iter().map(|kind| Ok((kind, hash(kind)?))).collect::<Result<_, ArchiveError>>()?,
    };
    let see = |look: &SourcePlace| match &unpacked {
        Ok(tree) => look.at(tree, hashed),
        Err(error) => Err(LookError::Archive(Arc::clone(error))),
    };
    let excerpts = request.looks.iter().map(|look| (look.clone(), see(look))).collect();
    Ok(FetchedSource { digests, contents, excerpts })
}
