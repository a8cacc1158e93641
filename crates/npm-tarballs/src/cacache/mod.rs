//! npm's cache (`_cacache`) as nixpkgs lays it out: a tree in memory, of which only the shape is known beforehand.
//!
//! ```text
//! .fetcher-version                              only for fetcher version 2 and above: the number, no newline
//! _cacache/content-v2/<algorithm>/ab/cd/ef...   a tarball's bytes under the hex of its integrity
//! _cacache/index-v5/ab/cd/ef...                 under the sha256 of the cache key: one line per entry
//! package-lock.json                             the lockfile's bytes
//! ```
//!
//! All files are regular and not executable. This module does no I/O, reads no clock (every entry's time is 0) and does
//! not know where bytes come from.

mod index;
mod map;
mod tree;

pub(crate) use index::cache_key;
pub use index::{IndexEntry, PACKUMENT_ACCEPTS};
pub use map::{CacheMap, MapError};
pub use tree::{CacheTree, Node};
