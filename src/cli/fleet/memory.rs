//! `--remote`: remembered hashes of many machines, in one object store. Tarballs may lie beside them (see `tarballs`).
//!
//! ```text
//! <remote>/hashes-v1/<k[0:2]>/<k[2:]>.json
//! { "format": 1, "tool": "npm-nixhash/1.2.3", "algorithm": 2, "key": <64 hex digits>, "value": <text>, "signature": "name:base64" }
//! ```
//!
//! The key is the sha256 of the lockfile, the options and the version of the algorithm, so that an entry is an answer to exactly
//! one question. An entry that cannot be read, is for another key or algorithm, or lacks a signature that is asked for counts
//! as missing. Whatever the store does, a run takes no more than [`READING`] and [`WRITING`] longer for it.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use error_advice::advice_on;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use nix_binary_cache::location::CacheLocation;
use nix_binary_cache::signing::{PublicKey, SecretKey};
use nix_binary_cache::storage::{RetryLimits, Storage, StorageFailure};
use npm_deps::ALGORITHM;
use npm_nixhash::report::Message;
use npm_nixhash::report::messages::MessageKind;
use npm_registry::Options;
use npm_tarballs::integrity::hex;
use npm_tarballs::store::memo::{Memo, SharedMemo};
use npm_tarballs::store::shared::SharedTarballs;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::outside::{open, sign_key, unopened};
use super::tarballs::{Sharing, Tarballs};
use crate::cli::args::RemoteMode;
use crate::cli::env::Environment;
use crate::cli::output::{Fatal, Terminal};
use crate::cli::supply::RemoteSettings;

/// How long a run waits for what others know, all questions together: for hashes, and for tarballs that do not come.
pub(super) const READING: Duration = Duration::from_secs(1);

/// How long it waits at its end for what it tells them.
const WRITING: Duration = Duration::from_millis(900);

/// Requests in flight.
const REQUESTS: usize = 64;

/// What the store was told so long ago it is told again: buckets may have rules that remove what is old.
const TOLD_AGAIN: Duration = Duration::from_hours(7 * 24);

/// A longer entry is none.
const LARGEST: usize = 256 << 10;

const FORMAT: u32 = 1;

/// The tool, as entries and requests name it.
const TOOL: &str = concat!("npm-nixhash/", env!("CARGO_PKG_VERSION"));

/// What is kept under a key.
#[derive(Debug, Serialize, Deserialize)]
struct MemoryRecord {
    format: u32,
    tool: String,
    algorithm: u32,
    key: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl MemoryRecord {
    /// What is signed: all of it, so that no part can be moved to another entry.
    fn message(&self) -> String {
        let value = hex(&Sha256::digest(&self.value));
        format!("npm-nixhash memory;{};{};{};{};{value}", self.format, self.tool, self.algorithm, self.key)
    }

    fn is_believed(&self, key: &[u8; 32], trusted: &[PublicKey]) -> bool {
        let fits = self.format == FORMAT && self.algorithm == ALGORITHM && self.key == hex(key);
        let signed = || {
            let signature = self.signature.as_deref()?;
            trusted.iter().find(|key| key.verifies(&self.message(), signature))
        };
        fits && (trusted.is_empty() || signed().is_some())
    }
}

/// The shared memory.
#[derive(Debug)]
pub(in crate::cli) struct Memory {
    storage: Storage,
    mode: RemoteMode,
    key: Option<Arc<SecretKey>>,
    trusted: Vec<PublicKey>,
    runtime: Handle,
    state: Mutex<Usage>,
    slots: Arc<Semaphore>,
    /// What this machine remembers, and when the store was told of it.
    told: Option<Memo>,
    /// Whether the store failed to take something: nothing more is sent to it.
    refused: Arc<AtomicBool>,
    /// Whether tarballs are shared, too.
    sharing: Option<Sharing>,
}

#[derive(Debug, Default)]
struct Usage {
    /// Of [`READING`] and [`WRITING`].
    spent_reading: Duration,
    spent_writing: Duration,
    /// The first failure; the store is not asked any more after it.
    trouble: Option<Trouble>,
    told: bool,
    /// Keys that the store is known to have.
    known: HashSet<[u8; 32]>,
    hashes: Vec<Write>,
    tarballs: Vec<Write>,
    /// Tarballs were not asked for any longer, because too much time was lost on them.
    slow_tarballs: bool,
    /// Tarballs whose bytes were not what their names say.
    damaged_tarballs: usize,
    /// The run is over.
    closed: bool,
}

impl Usage {
    fn damaged(&self) -> Option<Trouble> {
        Some(self.damaged_tarballs).filter(|n| *n > 0).map(Trouble::DamagedTarballs)
    }
}

/// Something that is being written.
type Write = JoinHandle<Result<(), StorageFailure>>;

#[derive(Debug, Clone)]
enum Trouble {
    Reading(StorageFailure),
    Writing(StorageFailure),
    SlowReading,
    SlowWriting { hashes: usize, tarballs: usize },
    SlowTarballs,
    DamagedTarballs(usize),
}

impl Memory {
    /// The memory that is configured: by flags, else the environment, else the team. One that cannot be opened is a warning.
    pub(in crate::cli) fn configured(
        settings: RemoteSettings<'_>,
        options: &Options,
        runtime: &Handle,
        environment: &Environment,
        terminal: &Terminal,
    ) -> Result<Option<Arc<Self>>, Fatal> {
        let RemoteSettings { args, config, memo } = settings;
        if args.no_remote {
            return Ok(None);
        }
        let named = args
            .remote
            .clone()
            .map_or_else(|| variable(environment, "NPM_NIXHASH_REMOTE"), |it| Ok(Some(it)))?;
        let shares = args.remote_tarballs || environment.is_set("NPM_NIXHASH_REMOTE_TARBALLS");
        // What comes with a repository may have tarballs read, but not sent somewhere: they may be private.
        let (reads, writes) = (shares || config.remote_tarballs, shares && named.is_some());
        let Some(location) = named.or_else(|| config.remote.0.clone()) else {
            if shares {
                terminal.message(MessageKind::Warning, &nowhere("tarballs are not shared"));
            } else if args.remote_mode.is_some() {
                terminal.message(MessageKind::Warning, &nowhere("--remote-mode changes nothing"));
            }
            return Ok(None);
        };
        let mode = mode(environment)?;
        let mode = args.remote_mode.or(mode).or(config.remote_mode).unwrap_or(RemoteMode::Both);
        let key = sign_key(args, environment)?;
        // A request that failed is not repeated: computing is the better use of the time.
        let patience = RetryLimits { retries: 1, request: READING };
        match open(&location, environment, options, patience, mode != RemoteMode::Read)? {
            Err(error) => {
                let mut message = unopened(&location, &error);
                message.message.push_str("; hashes are computed without it");
                terminal.message(MessageKind::Warning, &message);
                Ok(None)
            }
            Ok(storage) => Ok(Some(Arc::new(Self {
                storage,
                mode,
                key,
                trusted: config.remote_keys.0.clone(),
                runtime: runtime.clone(),
                state: Mutex::default(),
                slots: Arc::new(Semaphore::new(REQUESTS)),
                told: memo.cloned(),
                refused: Arc::default(),
                sharing: reads.then_some(Sharing {
                    reads: mode != RemoteMode::Write,
                    writes: writes && mode != RemoteMode::Read,
                    largest: options.max_download,
                }),
            }))),
        }
    }

    /// Under which this machine remembers that the store knows a key.
    fn told_key(&self, key: &[u8; 32]) -> [u8; 32] {
        // With the key: what was told unsigned, or signed by another one, is told again.
        let signed = self.key.as_ref().map(|key| format!("{:?}", key.public())).unwrap_or_default();
        let whom = format!("told {} {signed}", self.storage.location());
        Sha256::new().chain_update(key).chain_update(whom).finalize().into()
    }

    fn state(&self) -> MutexGuard<'_, Usage> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether others are told anything.
    pub(in crate::cli) fn writes(&self) -> bool {
        self.mode != RemoteMode::Read
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The tarballs beside it, if they are shared.
    pub(in crate::cli) fn tarballs(self: &Arc<Self>) -> Option<Arc<dyn SharedTarballs>> {
        Some(Arc::new(Tarballs::new(self, self.sharing?)))
    }

    /// What was lost of [`READING`]; `None` if nobody is to ask any longer.
    pub(super) fn reading(&self) -> Option<Duration> {
        let state = self.state();
        (state.trouble.is_none() && !state.slow_tarballs).then_some(state.spent_reading)
    }

    /// Time was lost on a tarball.
    pub(super) fn lost_reading(&self, lost: Duration) {
        self.state().spent_reading += lost;
    }

    pub(super) fn slow_tarballs(&self) {
        self.state().slow_tarballs = true;
    }

    pub(super) fn damaged_tarball(&self) {
        self.state().damaged_tarballs += 1;
    }

    pub(super) fn failed_to_read(&self, failure: StorageFailure) {
        let trouble = match failure {
            StorageFailure::Timeout => Trouble::SlowReading,
            failure => Trouble::Reading(failure),
        };
        self.state().trouble.get_or_insert(trouble);
    }

    /// Writes a tarball, unless the store failed before.
    pub(super) fn write_tarball(
        &self,
        write: impl Future<Output = Result<(), StorageFailure>> + Send + 'static,
    ) {
        let mut state = self.state();
        if !state.closed && state.trouble.is_none() {
            let write = self.spawn(write);
            state.tarballs.push(write);
        }
    }

    /// Begins to write something, unless the store did not take something else meanwhile.
    fn spawn(&self, write: impl Future<Output = Result<(), StorageFailure>> + Send + 'static) -> Write {
        let refused = Arc::clone(&self.refused);
        self.runtime.spawn(async move {
            if refused.load(Ordering::Relaxed) {
                return Ok(());
            }
            write.await.inspect_err(|_| refused.store(true, Ordering::Relaxed))
        })
    }

    /// Waits, for a while, until the others were told; gives what went wrong, once.
    pub(in crate::cli) fn settle(&self) -> Option<Message> {
        let (hashes, tarballs, left) = {
            let mut state = self.state();
            state.closed = true;
            let left = WRITING.saturating_sub(state.spent_writing);
            (std::mem::take(&mut state.hashes), std::mem::take(&mut state.tarballs), left)
        };
        if !hashes.is_empty() || !tarballs.is_empty() {
            let began = Instant::now();
            let both = async { futures::join!(wait(hashes, left), wait(tarballs, left)) };
            let ((failed, hashes), (also, tarballs)) = self.runtime.block_on(both);
            let mut state = self.state();
            state.spent_writing += began.elapsed();
            let lost = (hashes + tarballs > 0).then_some(Trouble::SlowWriting { hashes, tarballs });
            let failed = failed.or(also).map(Trouble::Writing);
            state.trouble = state.trouble.take().or(failed).or_else(|| state.damaged()).or(lost);
        }
        let mut state = self.state();
        let slow = state.slow_tarballs.then_some(Trouble::SlowTarballs);
        let trouble = state.trouble.clone().or_else(|| state.damaged()).or(slow);
        let trouble = trouble.filter(|_| !std::mem::replace(&mut state.told, true))?;
        Some(self.message(&trouble))
    }

    fn message(&self, trouble: &Trouble) -> Message {
        let location = self.storage.location();
        let (message, failure) = match trouble {
            Trouble::Reading(failure) => {
                (format!("{location} did not answer; hashes were computed without it"), Some(failure))
            }
            Trouble::Writing(failure) => {
                (format!("{location} did not take what was computed"), Some(failure))
            }
            Trouble::SlowReading => {
                (format!("{location} is too slow; some hashes were computed without it"), None)
            }
            Trouble::SlowWriting { hashes, tarballs } => {
                (format!("{location} is too slow; it was not told {}", counted(*hashes, *tarballs)), None)
            }
            Trouble::SlowTarballs => {
                (format!("{location} is too slow; some tarballs were not looked for there"), None)
            }
            Trouble::DamagedTarballs(1) => (
                format!("{location} has 1 tarball with other bytes than its name says; it was downloaded"),
                None,
            ),
            Trouble::DamagedTarballs(n) => (
                format!(
                    "{location} has {n} tarballs with other bytes than their names say; they were downloaded"
                ),
                None,
            ),
        };
        let refused = matches!(trouble, Trouble::Writing(StorageFailure::Status(401 | 403)));
        let hint = if refused { Some("--remote-mode read only reads") } else { None };
        let causes = failure.map(ToString::to_string).into_iter().collect();
        Message { causes, ..Message::plain(message) }.hinting(hint)
    }
}

/// How much of what was not told, such as "1 hash and 12 tarballs".
fn counted(hashes: usize, tarballs: usize) -> String {
    let count = |n: usize, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let parts = [count(hashes, "hash", "hashes"), count(tarballs, "tarball", "tarballs")];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// Something was to be shared, and it was not said where.
fn nowhere(so: &str) -> Message {
    Message::plain(format!("{so}, because no shared location is named"))
        .hinting(Some("name it with --remote URL or NPM_NIXHASH_REMOTE"))
}

/// Waits for what is being written, no longer than `left`; gives the first failure, and how much was given up.
async fn wait(writing: Vec<Write>, left: Duration) -> (Option<StorageFailure>, usize) {
    let aborts: Vec<_> = writing.iter().map(JoinHandle::abort_handle).collect();
    let mut all: FuturesUnordered<_> = writing.into_iter().collect();
    let mut failure = None;
    let end = tokio::time::Instant::now() + left;
    while let Ok(next) = tokio::time::timeout_at(end, all.next()).await {
        match next {
            None => return (failure, 0),
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(failed))) => failure = failure.or(Some(failed)),
            Some(Err(_)) => failure = failure.or(Some(StorageFailure::Other)),
        }
    }
    // A task whose handle is dropped goes on.
    aborts.iter().for_each(tokio::task::AbortHandle::abort);
    (failure, all.len())
}

/// When the store was told of something, as this machine remembers it.
struct LastReport {
    memo: Option<Memo>,
    key: [u8; 32],
}

impl LastReport {
    fn lately(&self) -> bool {
        let when = || {
            let seconds = self.memo.as_ref()?.get(&self.key)?;
            let when = Duration::from_secs(u64::from_le_bytes(seconds.try_into().ok()?));
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH.checked_add(when)?).ok()
        };
        when().is_some_and(|ago| ago < TOLD_AGAIN)
    }

    fn now(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // What cannot be kept is told again.
        let _ = self.memo.as_ref().map(|memo| memo.put(&self.key, &now.as_secs().to_le_bytes()));
    }
}

impl SharedMemo for Memory {
    fn word(&self) -> Option<String> {
        // What was signed by other keys than those that are trusted now is not believed any longer.
        (self.mode != RemoteMode::Write).then(|| format!("{} {:?}", self.storage.location(), self.trusted))
    }

    fn get(&self, keys: &[[u8; 32]]) -> Vec<Option<Vec<u8>>> {
        let mut found = vec![None; keys.len()];
        let left = {
            let state = self.state();
            if self.mode == RemoteMode::Write || state.trouble.is_some() {
                return found;
            }
            READING.saturating_sub(state.spent_reading)
        };
        let began = Instant::now();
        let read = async {
            let end = tokio::time::Instant::now() + left;
            let ask = |(index, key): (usize, &[u8; 32])| {
                let (path, slots) = (path(key), Arc::clone(&self.slots));
                async move {
                    let _slot = slots.acquire().await;
                    (index, self.storage.get(&path, LARGEST).await)
                }
            };
            let mut all: FuturesUnordered<_> = keys.iter().enumerate().map(ask).collect();
            loop {
                match tokio::time::timeout_at(end, all.next()).await {
                    Ok(None) => return None,
                    Err(_) | Ok(Some((_, Err(StorageFailure::Timeout)))) => {
                        return Some(Trouble::SlowReading);
                    }
                    Ok(Some((_, Err(failure)))) => return Some(Trouble::Reading(failure)),
                    Ok(Some((index, Ok(bytes)))) => {
                        if let (Some(bytes), Some(place), Some(key)) =
                            (bytes, found.get_mut(index), keys.get(index))
                        {
                            *place = believed(&bytes, key, &self.trusted);
                        }
                    }
                }
            }
        };
        let trouble = self.runtime.block_on(read);
        let mut state = self.state();
        state.spent_reading += began.elapsed();
        state.trouble = trouble;
        state.known.extend(keys.iter().zip(&found).filter(|(_, found)| found.is_some()).map(|(key, _)| *key));
        found
    }

    fn put(&self, key: &[u8; 32], value: &[u8]) {
        let Ok(value) = String::from_utf8(value.to_vec()) else { return };
        let mut state = self.state();
        let asks = self.mode != RemoteMode::Read && state.trouble.is_none() && !state.closed;
        let told = LastReport { memo: self.told.clone(), key: self.told_key(key) };
        if !asks || !state.known.insert(*key) || told.lately() {
            return;
        }
        let mut entry = MemoryRecord {
            format: FORMAT,
            tool: TOOL.to_owned(),
            algorithm: ALGORITHM,
            key: hex(key),
            value,
            signature: None,
        };
        entry.signature = self.key.as_ref().map(|key| key.sign(&entry.message()));
        let Ok(bytes) = serde_json::to_vec(&entry) else { return };
        let (storage, slots, path) = (self.storage.clone(), Arc::clone(&self.slots), path(key));
        let write = async move {
            let _slot = slots.acquire().await;
            storage.put(&path, bytes.into(), "application/json").await.inspect(|()| told.now())
        };
        let write = self.spawn(write);
        state.hashes.push(write);
    }
}

fn believed(bytes: &[u8], key: &[u8; 32], trusted: &[PublicKey]) -> Option<Vec<u8>> {
    let entry: MemoryRecord = serde_json::from_slice(bytes).ok()?;
    entry.is_believed(key, trusted).then(|| entry.value.into_bytes())
}

fn path(key: &[u8; 32]) -> String {
    let key = hex(key);
    format!("hashes-v1/{}/{}.json", &key[..2], &key[2..])
}

/// A location in a variable, whose text is not repeated where it is none.
fn variable(environment: &Environment, name: &str) -> Result<Option<CacheLocation>, Fatal> {
    let Some(text) = environment.text(name) else { return Ok(None) };
    let wrong = |error: nix_binary_cache::location::LocationError| {
        let message = Message::plain(format!("{name} is not a location"));
        Fatal(message.caused_by(&error).hinting(advice_on(&error)))
    };
    CacheLocation::from_str(text).map(Some).map_err(wrong)
}

fn mode(environment: &Environment) -> Result<Option<RemoteMode>, Fatal> {
    const NAME: &str = "NPM_NIXHASH_REMOTE_MODE";
    let Some(text) = environment.text(NAME) else { return Ok(None) };
    let read = <RemoteMode as clap::ValueEnum>::from_str(text, false);
    read.map(Some).map_err(|_| Fatal(Message::plain(format!("{NAME} has to be read, write or both"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> SecretKey {
        // The first key of RFC 8032's test vectors, as `nix-store --generate-binary-cache-key` would write it.
        let key = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
        SecretKey::parse(&format!("test-1:{key}")).unwrap()
    }

    fn entry(key: &[u8; 32]) -> MemoryRecord {
        let (tool, value) = (TOOL.to_owned(), "{}".to_owned());
        MemoryRecord { format: FORMAT, tool, algorithm: ALGORITHM, key: hex(key), value, signature: None }
    }

    #[test]
    fn an_entry_is_believed_for_its_own_key_and_algorithm_alone() {
        let good = serde_json::to_vec(&entry(&[7; 32])).unwrap();
        assert_eq!(believed(&good, &[7; 32], &[]).as_deref(), Some(&b"{}"[..]));
        assert_eq!(believed(&good, &[8; 32], &[]), None);
        let other = MemoryRecord { algorithm: ALGORITHM + 1, ..entry(&[7; 32]) };
        assert_eq!(believed(&serde_json::to_vec(&other).unwrap(), &[7; 32], &[]), None);
        assert_eq!(believed(&good[..good.len() - 1], &[7; 32], &[]), None);
    }

    #[test]
    fn where_keys_are_trusted_only_their_signatures_count() {
        let secret = secret();
        let trusted = [secret.public()];
        let mut signed = entry(&[7; 32]);
        let bare = serde_json::to_vec(&signed).unwrap();
        assert_eq!(believed(&bare, &[7; 32], &trusted), None);
        signed.signature = Some(secret.sign(&signed.message()));
        let bytes = serde_json::to_vec(&signed).unwrap();
        assert!(believed(&bytes, &[7; 32], &trusted).is_some());
        signed.value = "{\"hash\":[]}".to_owned();
        assert_eq!(believed(&serde_json::to_vec(&signed).unwrap(), &[7; 32], &trusted), None);
        assert!(believed(&bytes, &[7; 32], &[]).is_some());
        // Somebody else's signature under the name of a trusted key, and under a name of his own.
        let other =
            "ca5iHwDdIU/sIMrtHjIga6USN3XhV1t0bU/ud/tnP1yy1HDBp1+J2S166p61uwxjpM6OkppNV12Ag7X7D0JJgQ==";
        for name in ["test-1", "other-1"] {
            let stranger = SecretKey::parse(&format!("{name}:{other}")).unwrap();
            let mut forged = entry(&[7; 32]);
            forged.signature = Some(stranger.sign(&forged.message()));
            let bytes = serde_json::to_vec(&forged).unwrap();
            assert_eq!(believed(&bytes, &[7; 32], &trusted), None, "{name}");
            assert!(believed(&bytes, &[7; 32], &[stranger.public()]).is_some());
        }
    }
}
