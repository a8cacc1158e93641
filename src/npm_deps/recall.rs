//! What was computed once and cannot have changed since.
//!
//! A hash is a pure function of (lockfile bytes, options) where the tree's contents are: with fetcher version 1, if every
//! tarball is pinned by its integrity and every git dependency, at any depth, by a full commit. Packuments (version 2)
//! and branches are the registry's and the host's present answers, and are never remembered. The key is a sha256, since
//! the lockfile may come from anybody; it covers the version of the algorithm, so that a release which computes
//! differently forgets what older ones knew.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Computed, Request, Warning, assembly::NarHash};
use crate::store::memo::Memo;

/// To be raised whenever the same lockfile and options lead to another hash or to other warnings, or when a hash is believed
/// for better reasons than before. 1 took tarballs from disk whatever URL they had come from.
const ALGORITHM: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Record {
    hash: [u8; 32],
    packages: usize,
    bytes: u64,
    warnings: Vec<Warning>,
}

/// Whether a request's result may be looked up: its tree must not be wanted for itself.
fn applies(request: &Request) -> bool {
    !request.outputs.wanted() && request.options.fetcher_version == 1
}

fn key(request: &Request) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(ALGORITHM.to_le_bytes());
    hasher.update([u8::from(request.options.force_git_deps), u8::from(request.options.force_empty_cache)]);
    hasher.update(&request.lockfile);
    hasher.finalize().into()
}

/// The result of an equal request of an earlier run.
pub(super) fn recall(memo: &Memo, request: &Request) -> Option<Computed> {
    if !applies(request) {
        return None;
    }
    let record: Record = serde_json::from_slice(&memo.get(&key(request))?).ok()?;
    let Record { hash, packages, bytes, warnings } = record;
    Some(Computed { hash: NarHash(hash), packages, bytes, warnings })
}

/// Keeps a result that cannot change.
pub(super) fn remember(memo: &Memo, request: &Request, computed: &Computed) {
    if !applies(request) {
        return;
    }
    let Computed { hash, packages, bytes, warnings } = computed;
    let record = Record { hash: hash.0, packages: *packages, bytes: *bytes, warnings: warnings.clone() };
    if let Ok(record) = serde_json::to_vec(&record) {
        // What cannot be kept is computed again; the store has said so if its folder is not writable.
        let _ = memo.put(&key(request), &record);
    }
}
