//! What many machines share: binary caches that outputs are published to, and remembered hashes. Left out of a build without
//! the feature `fleet` (see `fleet_absent.rs`).

mod args;
mod caches;
mod memory;
mod outside;
mod tarballs;

pub(super) use args::{PublishArgs, PublishedArgs, RemoteArgs};
pub(super) use caches::{Caches, WantedOutput};
pub(super) use memory::Memory;
