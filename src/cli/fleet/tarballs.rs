//! `--remote-tarballs`: verified tarballs of many machines, beside the remembered hashes.
//!
//! ```text
//! <remote>/tarballs-v1/<algorithm>/<d[0:2]>/<d[2:]>-<u>.tgz     d: the digest in hex; u: 32 hex digits of the sha256 of the URL
//! ```
//!
//! The digest says what the bytes are, and they count only when they were found to be that. The URL is part of the name
//! because a lockfile whose URL serves something else, or nothing, has no hash: that an object is there says that a machine
//! which may write here saw the URL serve it.
//!
//! Reading: who waits for an object that does not come soon asks the registry as well, and takes what is there first; a large one
//! whose bytes come fast enough has some more time. What
//! was waited for nothing is added up by the clock; when it is as much as a run may lose, nobody asks here any longer.
//! Writing: behind the run, at a bounded number of bytes at a time, and no longer than the run's end allows.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nix_binary_cache::storage::{Storage, StorageFailure, UploadPart};
use npm_tarballs::Tarball;
use npm_tarballs::integrity::{ContentId, hex};
use npm_tarballs::store::shared::{Pace, SharedAnswer, SharedTarballs, WaitingTime};
use npm_tarballs::verified::{ReceiveError, Receiver};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::memory::{Memory, READING};

/// How long an object may let wait before the registry is asked as well. A bucket of the same region answers in a tenth.
const PATIENCE: Duration = Duration::from_millis(400);

/// What is left of [`READING`] below this is not worth a question.
const WORTH_ASKING: Duration = Duration::from_millis(20);

/// An object whose bytes come so slowly will not be waited for where the registry has failed, either.
const LONGEST: Duration = Duration::from_mins(1);

/// How long writing one object may take, if the run goes on for so long.
const WRITING_ONE: Duration = Duration::from_secs(30);

/// Bytes of a part of a large object; S3 wants at least 5 MiB.
const PART: usize = 6 << 20;

/// MiB that are in memory at once to be written: a large object has up to four parts there.
const IN_MEMORY: u32 = 24;

/// How tarballs are shared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sharing {
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// The largest that is taken.
    pub(super) largest: u64,
}

/// The shared tarballs.
#[derive(Debug)]
pub(super) struct Tarballs {
    memory: Arc<Memory>,
    /// For writing, with more patience than for hashes.
    storage: Storage,
    sharing: Sharing,
    slots: Arc<Semaphore>,
    waits: Mutex<Waits>,
    /// Objects that were read or written.
    known: Mutex<HashSet<String>>,
}

/// Until when waiting for nothing was added up: several that wait at one time lose it once.
#[derive(Debug, Default)]
struct Waits {
    until: Option<Instant>,
}

impl Waits {
    /// What has not been added up yet of the time between these.
    fn add(&mut self, since: Instant, until: Instant) -> Duration {
        let from = self.until.map_or(since, |counted| counted.max(since));
        self.until = Some(self.until.map_or(until, |counted| counted.max(until)));
        until.saturating_duration_since(from)
    }
}

impl Tarballs {
    pub(super) fn new(memory: &Arc<Memory>, sharing: Sharing) -> Self {
        Self {
            memory: Arc::clone(memory),
            storage: memory.storage().clone().waiting(WRITING_ONE),
            sharing,
            slots: Arc::new(Semaphore::new(IN_MEMORY as usize)),
            waits: Mutex::default(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashSet<String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, key: &str, mut receiver: Receiver, pace: &Pace) -> Result<Option<Tarball>, Unread> {
        let Some(mut incoming) = self.memory.storage().open_object(key).await? else { return Ok(None) };
        if let Some(length) = incoming.length {
            if length > self.sharing.largest {
                return Err(Unread::Elsewhere);
            }
            receiver.announce(length)?;
            pace.announce(length);
        }
        while let Some(bytes) = incoming.next().await? {
            receiver.write(&bytes)?;
            receiver.hash_beside_others(false).await?;
            pace.add(bytes.len());
            if receiver.received() > self.sharing.largest {
                return Err(Unread::Elsewhere);
            }
        }
        receiver.hash_beside_others(true).await?;
        Ok(Some(receiver.finish()?))
    }
}

/// Why a tarball was not read.
enum Unread {
    /// The store failed.
    Failed(StorageFailure),
    /// Other bytes than their name says.
    Damaged,
    /// For a reason of this machine, which the registry's answer will meet as well.
    Elsewhere,
}

impl From<StorageFailure> for Unread {
    fn from(failure: StorageFailure) -> Self {
        Self::Failed(failure)
    }
}

impl From<ReceiveError> for Unread {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Mismatch(_) => Self::Damaged,
            ReceiveError::Spill(_) => Self::Elsewhere,
        }
    }
}

impl SharedTarballs for Tarballs {
    fn word(&self) -> Option<String> {
        self.sharing.reads.then(|| self.storage.location().to_string())
    }

    fn patience(&self) -> Option<WaitingTime> {
        if !self.sharing.reads {
            return None;
        }
        let left = READING.saturating_sub(self.memory.reading()?);
        if left < WORTH_ASKING {
            self.memory.slow_tarballs();
            return None;
        }
        Some(WaitingTime { usual: left.min(PATIENCE), longest: left })
    }

    fn get<'a>(&'a self, url: &'a str, receiver: Receiver, pace: &'a Pace) -> BoxFuture<'a, SharedAnswer> {
        async move {
            let key = path(url, &receiver.expected());
            match timeout(LONGEST, self.read(&key, receiver, pace)).await.unwrap_or(Err(Unread::Elsewhere)) {
                Ok(Some(tarball)) => {
                    self.known().insert(key);
                    return SharedAnswer::Here(tarball);
                }
                Ok(None) => return SharedAnswer::Absent,
                // As if it were not there: then the right bytes are written over it.
                Err(Unread::Damaged) => {
                    self.memory.damaged_tarball();
                    return SharedAnswer::Absent;
                }
                Err(Unread::Failed(failure)) => self.memory.failed_to_read(failure),
                Err(Unread::Elsewhere) => {}
            }
            SharedAnswer::Unknown
        }
        .boxed()
    }

    fn lost(&self, since: Instant, until: Instant) {
        let lost = self.waits.lock().unwrap_or_else(PoisonError::into_inner).add(since, until);
        self.memory.lost_reading(lost);
    }

    fn put(&self, url: &str, tarball: Tarball, replace: bool) {
        let key = path(url, &tarball.id());
        if !self.sharing.writes || tarball.len() > self.sharing.largest || !self.known().insert(key.clone()) {
            return;
        }
        let (storage, slots) = (self.storage.clone(), Arc::clone(&self.slots));
        self.memory.write_tarball(async move {
            // The semaphore lives as long as the tasks that wait for it.
            let _slots = slots.acquire_many(weight(tarball.len())).await;
            if !replace && storage.exists(&key).await? {
                return Ok(());
            }
            write(&storage, &key, tarball).await
        });
    }
}

/// How many MiB it has in memory while it is written.
fn weight(len: u64) -> u32 {
    if len > PART as u64 { IN_MEMORY } else { u32::try_from(len >> 20).unwrap_or(IN_MEMORY) + 1 }
}

async fn write(storage: &Storage, key: &str, tarball: Tarball) -> Result<(), StorageFailure> {
    const TYPE: &str = "application/gzip";
    if tarball.len() <= PART as u64 {
        let read = spawn_blocking(move || {
            let mut bytes = Vec::new();
            tarball.reader()?.read_to_end(&mut bytes).map(|_| bytes)
        });
        // What vanished from this disk meanwhile is no business of the store.
        let Ok(Ok(bytes)) = read.await else { return Ok(()) };
        return storage.put(key, bytes.into(), TYPE).await;
    }
    let (sender, parts) = mpsc::channel(1);
    let reading = spawn_blocking(move || send(&tarball, &sender));
    let written = storage.receive(key, TYPE, parts).await;
    match (reading.await, written) {
        (Ok(Ok(())), written) => written,
        _ => Ok(()),
    }
}

/// Sends a large tarball in parts; the last one only when all of it was read, and so was right.
fn send(tarball: &Tarball, parts: &mpsc::Sender<UploadPart>) -> io::Result<()> {
    let mut reader = tarball.reader()?;
    let mut next = || {
        let mut part = Vec::with_capacity(PART);
        reader.by_ref().take(PART as u64).read_to_end(&mut part).map(|_| Bytes::from(part))
    };
    let mut part = next()?;
    loop {
        // Read ahead, because the last part has to be known for what it is when it is sent.
        let following = next()?;
        let last = following.is_empty();
        let sent = if last { UploadPart::Last(part) } else { UploadPart::More(part) };
        // Where nobody takes it, writing has failed, and says so itself.
        if parts.blocking_send(sent).is_err() || last {
            return Ok(());
        }
        part = following;
    }
}

/// The object of what a URL serves. The URL itself, which may hold secrets, does not stand in it.
fn path(url: &str, id: &ContentId) -> String {
    let (digest, url) = (id.hex(), hex(&Sha256::digest(url)));
    format!("tarballs-v1/{}/{}/{}-{}.tgz", id.algorithm().name(), &digest[..2], &digest[2..], &url[..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objects_name_has_its_digest_and_not_its_url() {
        let id = ContentId::sha512_of(b"x");
        let name = path("https://host/a.tgz?token=hunter2", &id);
        let digest = id.hex();
        assert!(
            name.starts_with(&format!("tarballs-v1/sha512/{}/{}-", &digest[..2], &digest[2..])),
            "{name}"
        );
        assert!(!name.contains("host") && name.len() < 200, "{name}");
        assert_ne!(name, path("https://host/b.tgz", &id));
    }

    #[test]
    fn those_who_wait_at_one_time_lose_it_once() {
        let (start, at) = (Instant::now(), Duration::from_millis);
        let mut waits = Waits::default();
        assert_eq!(waits.add(start, start + at(400)), at(400));
        assert_eq!(waits.add(start + at(10), start + at(410)), at(10));
        assert_eq!(waits.add(start + at(20), start + at(100)), at(0));
        assert_eq!(waits.add(start + at(500), start + at(600)), at(100));
    }

    #[test]
    fn memory_is_bounded_by_weights() {
        assert_eq!([0, (1 << 20) - 1, 1 << 20, PART as u64].map(weight), [1, 1, 2, 7]);
        assert_eq!([PART as u64 + 1, u64::MAX].map(weight), [IN_MEMORY; 2]);
    }
}
