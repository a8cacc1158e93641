//! Git archives: fetched once a run, repacked as nixpkgs does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gnu_archive::repack::{Modes, repack_as};
use npm_lockfile::options::HashOptions;
use npm_lockfile::{CanonicalUrl, Dependency};
use npm_tarballs::Tarball;
use serde_json::{Map, Value};
use tokio::sync::OnceCell;

use super::supply::{Supply, SupplyError};
use super::unpacking::Room;
use super::verdict::Refusal;

/// The scripts for which npm installs a git dependency's own dependencies, and nixpkgs therefore wants its lockfile.
const INSTALL_SCRIPTS: [&str; 6] = ["postinstall", "build", "preinstall", "install", "prepack", "prepare"];

/// From how many bytes on a repacked archive waits on disk.
pub(super) const PARKED: u64 = 1 << 20;

/// A repacked git archive.
#[derive(Debug)]
pub(super) struct Archive {
    /// The tarball that goes into the cache; on disk, where it is large.
    pub(super) tarball: Tarball,
    /// The text of its `package-lock.json`.
    pub(super) lockfile: Option<String>,
    manifest: Option<String>,
}

/// All git archives of a run.
pub(super) struct Archives<'a> {
    supply: &'a Supply,
    modes: Modes,
    fetched: Mutex<HashMap<CanonicalUrl, Arc<OnceCell<Arc<Archive>>>>>,
}

impl<'a> Archives<'a> {
    pub(super) fn new(supply: &'a Supply, modes: Modes) -> Self {
        Self { supply, modes, fetched: Mutex::default() }
    }

    /// The archive of a git dependency.
    pub(super) async fn get(&self, dependency: &Dependency) -> Result<Arc<Archive>, SupplyError> {
        let cell = {
            let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(fetched.entry(dependency.url.clone()).or_default())
        };
        cell.get_or_try_init(|| self.fetch(dependency)).await.cloned()
    }

    async fn fetch(&self, dependency: &Dependency) -> Result<Arc<Archive>, SupplyError> {
        let work = async |room| self.fetch_within(dependency, room).await;
        self.supply.unpacking().within(work).await
    }

    async fn fetch_within(&self, dependency: &Dependency, room: Room) -> Result<Arc<Archive>, SupplyError> {
        let (package, url) = (&dependency.name, &dependency.url.to_url());
        let body = self.supply.archive(package, url, room.download).await?;
        // Compressing takes seconds for large packages, and blocks.
        let modes = self.modes;
        let repack = move || repack_as(body.as_ref(), room.unpacked, modes);
        let repacked = tokio::task::spawn_blocking(repack).await;
        let repacked = repacked
            .expect("bug: repacking neither panics nor is cancelled")
            .map_err(|error| SupplyError::archive(package, url, error))?;
        let tarball = self.put_aside(Tarball::of(repacked.bytes.into()));
        let (lockfile, manifest) = (repacked.package_lock, repacked.package_json);
        Ok(Arc::new(Archive { tarball, lockfile, manifest }))
    }

    /// Moves a large archive to disk: it waits for its turn in the tree, and with many others that are large.
    pub(super) fn put_aside(&self, tarball: Tarball) -> Tarball {
        if tarball.len() < PARKED {
            return tarball;
        }
        // Only a full disk keeps it from being parked; then memory has to do.
        self.supply.park(tarball.clone()).unwrap_or(tarball)
    }
}

impl Archive {
    /// Whether nixpkgs would take this package as a dependency.
    pub(super) fn judge(&self, place: &str, options: HashOptions) -> Result<(), Refusal> {
        let refuse = |reason| Refusal::GitManifest { place: place.to_owned(), reason };
        let manifest = self.manifest.as_deref().ok_or_else(|| refuse("is missing or not text"))?;
        let manifest: Map<String, Value> =
            serde_json::from_str(manifest).map_err(|_| refuse("is not a JSON object"))?;
        // With a lockfile of its own its dependencies are in the cache, and its scripts can run.
        if self.lockfile.is_some() || options.force_git_deps {
            return Ok(());
        }
        let Some(Value::Object(scripts)) = manifest.get("scripts") else { return Ok(()) };
        let found: Vec<_> =
            INSTALL_SCRIPTS.into_iter().filter(|script| scripts.contains_key(*script)).collect();
        if found.is_empty() {
            return Ok(());
        }
        Err(Refusal::GitScripts { place: place.to_owned(), scripts: found.join(", ") })
    }
}
