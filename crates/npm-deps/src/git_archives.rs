//! Git dependencies and the git dependencies in their lockfiles: all of them fetched, none taken in yet.
//!
//! Archives are fetched as soon as somebody names them, so in no particular order; [`super::prepare`] takes them in in
//! the order that decides the hash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use npm_lockfile::options::HashOptions;
use npm_lockfile::{CanonicalUrl, Dependency, DependencySource, Lockfile};
use npm_tarballs::Tarball;

use super::archive::Archive;
use super::prepare::Shared;
use super::{LockfileWarning, Obstacle, verdict};

/// What was fetched, by the archive's URL.
pub(super) struct GitArchives {
    archives: BTreeMap<CanonicalUrl, Arc<Archive>>,
    options: HashOptions,
    pub(super) obstacles: Vec<Obstacle>,
    pub(super) warnings: Vec<LockfileWarning>,
}

impl GitArchives {
    /// Fetches these archives, and what the lockfiles in them name, to any depth.
    pub(super) async fn fetch(wanted: &[Dependency], shared: &Shared<'_>, options: HashOptions) -> Self {
        let mut git_archives =
            Self { archives: BTreeMap::new(), options, obstacles: Vec::new(), warnings: Vec::new() };
        let mut asked: BTreeSet<CanonicalUrl> =
            wanted.iter().map(|dependency| dependency.url.clone()).collect();
        let mut wanted = wanted.to_vec();
        while !wanted.is_empty() {
            let fetched = join_all(wanted.iter().map(|dependency| shared.archives.get(dependency))).await;
            let mut next = Vec::new();
            for (dependency, fetched) in wanted.iter().zip(fetched) {
                match fetched {
                    Ok(archive) => next.extend(git_archives.add(dependency, &archive)),
                    Err(error) => git_archives.obstacles.push(Obstacle::Supply(Arc::new(error))),
                }
            }
            // Two that depend on each other are asked for once each, so this ends.
            wanted = next.into_iter().filter(|dependency| asked.insert(dependency.url.clone())).collect();
        }
        git_archives
    }

    /// Adds an archive; returns the git dependencies of the lockfile in it.
    fn add(&mut self, dependency: &Dependency, archive: &Arc<Archive>) -> Vec<Dependency> {
        if let Err(refusal) = archive.judge(&dependency.place, self.options) {
            self.obstacles.push(Obstacle::Refused(refusal));
            return Vec::new();
        }
        self.archives.insert(dependency.url.clone(), Arc::clone(archive));
        let Some(text) = &archive.lockfile else { return Vec::new() };
        match Lockfile::parse(text.as_bytes()) {
            Err(error) => {
                let place = dependency.place.clone();
                self.obstacles.push(Obstacle::Nested { place, error: Arc::new(error) });
                Vec::new()
            }
            Ok(lockfile) => {
                let lockfile = lockfile.inside(&dependency.place);
                let (refusals, warnings) = verdict::judge(&lockfile, self.options, true);
                self.obstacles.extend(refusals.into_iter().map(Obstacle::Refused));
                self.warnings.extend(warnings);
                let is_git = |dependency: &Dependency| {
                    matches!(dependency.source, DependencySource::GitArchive { .. })
                };
                lockfile.dependencies.into_iter().filter(is_git).collect()
            }
        }
    }

    /// The repacked archive of a git dependency.
    pub(super) fn tarball(&self, url: &CanonicalUrl) -> Option<Tarball> {
        Some(self.archives.get(url)?.tarball.clone())
    }

    /// The lockfile in the archive of a git dependency, if there is one that can be read.
    pub(super) fn lockfile(&self, dependency: &Dependency) -> Option<Lockfile> {
        let text = self.archives.get(&dependency.url)?.lockfile.as_ref()?;
        Lockfile::parse(text.as_bytes()).ok().map(|lockfile| lockfile.inside(&dependency.place))
    }
}
