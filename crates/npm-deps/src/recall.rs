//! What was computed once and cannot have changed since.
//!
//! A hash is a pure function of (lockfile bytes, options) where the tree's contents are: with fetcher version 1, if every
//! tarball is pinned by its integrity and every git dependency, at any depth, by a full commit. Packuments (version 2)
//! and branches are the registry's and the host's present answers, and are never remembered. The key is a sha256, since
//! the lockfile may come from anybody; it covers the version of the algorithm, so that a release which computes
//! differently forgets what older ones knew.

use npm_tarballs::store::memo::{Memo, SharedMemo};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::assembly::NarHash;
use super::{Computed, HashRequest, LockfileWarning, Settings};

/// To be raised whenever the same lockfile and options lead to another hash or to other warnings, or when a hash is believed
/// for better reasons than before. 1 took tarballs from disk whatever URL they had come from.
pub const ALGORITHM: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Record {
    hash: [u8; 32],
    packages: usize,
    bytes: u64,
    warnings: Vec<LockfileWarning>,
}

/// Whether a request's result may be looked up: its tree must not be wanted for itself.
fn applies(request: &HashRequest) -> bool {
    !request.outputs.wanted() && request.options.fetcher_version == 1
}

fn key(request: &HashRequest) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(ALGORITHM.to_le_bytes());
    // The fetcher version is not in it: `applies` lets only version 1 through.
    hasher.update([u8::from(request.options.force_git_deps), u8::from(request.options.force_empty_cache)]);
    hasher.update(&request.lockfile);
    hasher.finalize().into()
}

/// The key of what others said of a request: it counts only for those who still listen to them, so that a run which does not
/// computes what it knows by hearsay.
fn by_word_of(shared: &dyn SharedMemo, key: &[u8; 32]) -> Option<[u8; 32]> {
    let word = shared.word()?;
    Some(Sha256::new().chain_update(key).chain_update(word).finalize().into())
}

/// The result of an equal request of an earlier run.
pub(super) fn recall(settings: &Settings, request: &HashRequest) -> Option<Computed> {
    let memo = settings.memo.as_ref()?;
    if !applies(request) {
        return None;
    }
    let key = key(request);
    let shared = settings.shared.as_deref();
    let told = || memo.get(&by_word_of(shared?, &key)?);
    let Some(own) = memo.get(&key) else { return read(&told()?) };
    // What was computed here before anything was shared, others want to know as well.
    shared.inspect(|shared| shared.put(&key, &own));
    read(&own)
}

fn read(value: &[u8]) -> Option<Computed> {
    // A record of another form is as good as none: the hash is computed.
    let Record { hash, packages, bytes, warnings } = serde_json::from_slice(value).ok()?;
    Some(Computed { hash: NarHash(hash), packages, bytes, warnings })
}

/// What other machines computed of these requests, by their index; asked all at once, and kept here, too.
pub(super) fn recall_shared(
    shared: &dyn SharedMemo,
    memo: Option<&Memo>,
    requests: &[HashRequest],
    due: &[usize],
) -> Vec<(usize, Computed)> {
    let asked: Vec<usize> = due.iter().copied().filter(|index| applies(&requests[*index])).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let keys: Vec<_> = asked.iter().map(|index| key(&requests[*index])).collect();
    let known = asked.into_iter().zip(&keys).zip(shared.get(&keys));
    let known = known.filter_map(|((index, key), value)| {
        let value = value?;
        let computed = read(&value)?;
        // What cannot be kept is asked for again.
        if let (Some(memo), Some(key)) = (memo, by_word_of(shared, key)) {
            let _ = memo.put(&key, &value);
        }
        Some((index, computed))
    });
    known.collect()
}

/// Keeps a result that cannot change.
pub(super) fn remember(settings: &Settings, request: &HashRequest, computed: &Computed) {
    // A tree that was wanted for itself has the same hash as one that was not.
    if request.options.fetcher_version != 1 {
        return;
    }
    let Computed { hash, packages, bytes, warnings } = computed;
    let record = Record { hash: hash.0, packages: *packages, bytes: *bytes, warnings: warnings.clone() };
    if let Ok(record) = serde_json::to_vec(&record) {
        let key = key(request);
        // What cannot be kept is computed again; the store has said so if its folder is not writable.
        let _ = settings.memo.as_ref().map(|memo| memo.put(&key, &record));
        if let Some(shared) = &settings.shared {
            shared.put(&key, &record);
        }
    }
}
