//! `--remote`: remembered hashes of many machines, in one object store.
//!
//! ```text
//! <remote>/hashes-v1/<k[0:2]>/<k[2:]>.json
//! { "format": 1, "tool": "npm-nixhash/1.2.3", "algorithm": 2, "key": <64 hex digits>, "value": <text>, "signature": "name:base64" }
//! ```
//!
//! The key is the sha256 of the lockfile, the options and the version of the algorithm, so that an entry is an answer to exactly
//! one question. An entry that cannot be read, is for another key or algorithm, or lacks a signature that is asked for counts
//! as missing. Whatever the store does, a run takes no more than [`READING`] and [`WRITING`] longer for it.

use std::{
    collections::HashSet,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use nix_binary_cache::{
    location::Location,
    signing::{PublicKey, SecretKey},
    storage::{Failure, Patience, Storage},
};
use npm_nixhash::{
    integrity::hex, npm_deps::ALGORITHM, registry::Options, report::Message, store::memo::SharedMemo,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::{runtime::Handle, sync::Semaphore, task::JoinHandle};

use super::{
    RemoteArgs,
    outside::{open, sign_key, unopened},
};
use crate::cli::{
    args::RemoteMode,
    config::Config,
    env::Environment,
    output::{Fatal, Terminal},
};

/// How long a run waits for what others know, all questions together.
const READING: Duration = Duration::from_secs(1);

/// How long it waits at its end for what it tells them.
const WRITING: Duration = Duration::from_millis(900);

/// Requests in flight.
const REQUESTS: usize = 64;

/// A longer entry is none.
const LARGEST: usize = 256 << 10;

const FORMAT: u32 = 1;

/// The tool, as entries and requests name it.
const TOOL: &str = concat!("npm-nixhash/", env!("CARGO_PKG_VERSION"));

/// What is kept under a key.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    format: u32,
    tool: String,
    algorithm: u32,
    key: String,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
}

impl Entry {
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
    state: Mutex<State>,
    slots: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    /// Of [`READING`] and [`WRITING`].
    spent_reading: Duration,
    spent_writing: Duration,
    /// The first failure; the store is not asked any more after it.
    trouble: Option<Trouble>,
    told: bool,
    /// Keys that the store is known to have.
    known: HashSet<[u8; 32]>,
    writing: Vec<JoinHandle<Result<(), Failure>>>,
}

#[derive(Debug, Clone)]
enum Trouble {
    Reading(Failure),
    Writing(Failure),
    SlowReading,
    SlowWriting(usize),
}

impl Memory {
    /// The memory that is configured: by flags, else the environment, else the team. One that cannot be opened is a warning.
    pub(in crate::cli) fn configured(
        args: &RemoteArgs,
        config: &Config,
        environment: &Environment,
        options: &Options,
        (runtime, terminal): (&Handle, &Terminal),
    ) -> Result<Option<Arc<Self>>, Fatal> {
        if args.no_remote {
            return Ok(None);
        }
        let named = variable(environment, "NPM_NIXHASH_REMOTE")?;
        let Some(location) = args.remote.clone().or(named).or_else(|| config.remote.0.clone()) else {
            return Ok(None);
        };
        let mode = mode(environment)?;
        let mode = args.remote_mode.or(mode).or(config.remote_mode).unwrap_or(RemoteMode::Both);
        let key = sign_key(args, environment)?;
        // A request that failed is not repeated: computing is the better use of the time.
        let patience = Patience { retries: 1, request: READING };
        match open(&location, environment, options, (patience, mode != RemoteMode::Read))? {
            Err(error) => {
                let message = unopened(&location, &error);
                let message = Message {
                    message: format!("{}; hashes are computed without it", message.message),
                    ..message
                };
                terminal.message("warning", &message);
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
            }))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, for a while, until the others were told; gives what went wrong, once.
    pub(in crate::cli) fn settle(&self) -> Option<Message> {
        let (writing, left) = {
            let mut state = self.state();
            (std::mem::take(&mut state.writing), WRITING.saturating_sub(state.spent_writing))
        };
        if !writing.is_empty() {
            let began = Instant::now();
            let lost = self.runtime.block_on(wait(writing, left));
            let mut state = self.state();
            state.spent_writing += began.elapsed();
            state.trouble = state.trouble.take().or(lost);
        }
        let mut state = self.state();
        let trouble = state.trouble.clone().filter(|_| !std::mem::replace(&mut state.told, true));
        state.told = state.trouble.is_some();
        trouble.map(|trouble| self.message(&trouble))
    }

    fn message(&self, trouble: &Trouble) -> Message {
        let location = self.storage.location();
        let (message, failure) = match trouble {
            Trouble::Reading(failure) => {
                (format!("{location} told nothing; hashes were computed without it"), Some(failure))
            }
            Trouble::Writing(failure) => {
                (format!("{location} did not take what was computed"), Some(failure))
            }
            Trouble::SlowReading => {
                (format!("{location} is too slow; some hashes were computed without it"), None)
            }
            Trouble::SlowWriting(lost) => {
                (format!("{location} is too slow; it was not told {lost} of the hashes"), None)
            }
        };
        let refused = matches!(trouble, Trouble::Writing(Failure::Status(401 | 403)));
        let hint = if refused { Some("--remote-mode read only reads") } else { None };
        let causes = failure.map(ToString::to_string).into_iter().collect();
        Message { causes, ..Message::plain(message) }.hinting(hint)
    }
}

/// Waits for what is being written, no longer than `left`.
async fn wait(writing: Vec<JoinHandle<Result<(), Failure>>>, left: Duration) -> Option<Trouble> {
    let aborts: Vec<_> = writing.iter().map(JoinHandle::abort_handle).collect();
    let mut all: FuturesUnordered<_> = writing.into_iter().collect();
    let mut trouble = None;
    let end = tokio::time::Instant::now() + left;
    while let Ok(next) = tokio::time::timeout_at(end, all.next()).await {
        match next {
            None => return trouble,
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(failure))) => trouble = trouble.or(Some(Trouble::Writing(failure))),
            Some(Err(_)) => trouble = trouble.or(Some(Trouble::Writing(Failure::Other))),
        }
    }
    aborts.iter().for_each(tokio::task::AbortHandle::abort);
    trouble.or(Some(Trouble::SlowWriting(all.len())))
}

impl SharedMemo for Memory {
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
                    Err(_) | Ok(Some((_, Err(Failure::Timeout)))) => return Some(Trouble::SlowReading),
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
        if self.mode == RemoteMode::Read || state.trouble.is_some() || !state.known.insert(*key) {
            return;
        }
        let mut entry = Entry {
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
            storage.put(&path, bytes.into(), "application/json").await
        };
        state.writing.push(self.runtime.spawn(write));
    }
}

fn believed(bytes: &[u8], key: &[u8; 32], trusted: &[PublicKey]) -> Option<Vec<u8>> {
    let entry: Entry = serde_json::from_slice(bytes).ok()?;
    entry.is_believed(key, trusted).then(|| entry.value.into_bytes())
}

fn path(key: &[u8; 32]) -> String {
    let key = hex(key);
    format!("hashes-v1/{}/{}.json", &key[..2], &key[2..])
}

/// A location in a variable, whose text is not repeated where it is none.
fn variable(environment: &Environment, name: &str) -> Result<Option<Location>, Fatal> {
    let Some(text) = environment.text(name) else { return Ok(None) };
    let wrong = |error: nix_binary_cache::location::LocationError| {
        let message = Message::plain(format!("{name} is no location"));
        Fatal(Message { causes: vec![error.to_string()], ..message }.hinting(error.hint()))
    };
    Location::from_str(text).map(Some).map_err(wrong)
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

    fn entry(key: &[u8; 32]) -> Entry {
        let (tool, value) = (TOOL.to_owned(), "{}".to_owned());
        Entry { format: FORMAT, tool, algorithm: ALGORITHM, key: hex(key), value, signature: None }
    }

    #[test]
    fn an_entry_is_believed_for_its_own_key_and_algorithm_alone() {
        let good = serde_json::to_vec(&entry(&[7; 32])).unwrap();
        assert_eq!(believed(&good, &[7; 32], &[]).as_deref(), Some(&b"{}"[..]));
        assert_eq!(believed(&good, &[8; 32], &[]), None);
        let other = Entry { algorithm: ALGORITHM + 1, ..entry(&[7; 32]) };
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
    }
}
