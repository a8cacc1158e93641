//! What has to be known before a tree's shape is: git archives, the lockfiles in them, and packuments.
//!
//! For most lockfiles that is nothing, and their trees start at once. The others are prepared here, while the tarballs
//! that the lockfile names are on their way already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use npm_lockfile::options::HashOptions;
use npm_lockfile::{CanonicalUrl, Dependency, DependencySource, Lockfile};
use npm_tarballs::Tarball;
use npm_tarballs::cacache::{IndexEntry, PACKUMENT_ACCEPTS};
use npm_tarballs::integrity::Integrity;

use super::archive::Archives;
use super::git_archives::GitArchives;
use super::packuments::Packuments;
use super::scheduler::{Scheduler, TreeId};
use super::supply::{Want, scope_of};
use super::{LockfileWarning, Obstacle};

/// What everything that is being prepared shares.
pub(super) struct Shared<'a> {
    pub(super) scheduler: &'a Scheduler<'a>,
    pub(super) archives: Archives<'a>,
    pub(super) packuments: Packuments<'a>,
}

/// A tree's index as it becomes known.
pub(super) struct Preparation<'a> {
    shared: &'a Shared<'a>,
    tree: TreeId,
    options: HashOptions,
    entries: BTreeMap<CanonicalUrl, IndexEntry>,
    packuments: Vec<IndexEntry>,
    names: BTreeMap<String, BTreeSet<String>>,
    pinned: bool,
    obstacles: Vec<Obstacle>,
    warnings: Vec<LockfileWarning>,
}

/// What came of it.
pub(super) struct Prepared {
    pub(super) entries: Vec<IndexEntry>,
    /// Whether every content is pinned, by integrity or by commit.
    pub(super) pinned: bool,
    pub(super) obstacles: Vec<Obstacle>,
    pub(super) warnings: Vec<LockfileWarning>,
}

/// Package names of a lockfile, each with its versions: what fetcher version 2 asks packuments for.
pub(super) fn names_of(lockfile: &Lockfile) -> impl Iterator<Item = (&str, &str)> {
    lockfile.dependencies.iter().filter_map(name_in)
}

fn name_in(dependency: &Dependency) -> Option<(&str, &str)> {
    Some((dependency.name.as_str(), dependency.version.as_deref()?))
}

impl<'a> Preparation<'a> {
    pub(super) fn new(shared: &'a Shared<'a>, tree: TreeId, options: HashOptions) -> Self {
        Self {
            shared,
            tree,
            options,
            entries: BTreeMap::new(),
            packuments: Vec::new(),
            names: BTreeMap::new(),
            // What a registry says of a name today, it may say otherwise tomorrow.
            pinned: options.fetcher_version < 2,
            obstacles: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes in a lockfile: its tarballs are announced; returns its git dependencies.
    ///
    /// A URL that is known already is taken as the lockfile before had it.
    pub(super) fn absorb(&mut self, lockfile: Lockfile) -> Vec<Dependency> {
        let mut archives = Vec::new();
        for dependency in lockfile.dependencies {
            match &dependency.source {
                DependencySource::GitArchive { pinned } => {
                    self.pinned &= *pinned;
                    archives.push(dependency);
                }
                DependencySource::Tarball(integrity) if !self.entries.contains_key(&dependency.url) => {
                    self.add_tarball(&dependency, &integrity.clone());
                }
                DependencySource::Tarball(_) => {}
            }
        }
        archives
    }

    fn add_tarball(&mut self, dependency: &Dependency, integrity: &Integrity) {
        let (package, url, early) =
            (dependency.name.clone(), dependency.url.clone(), dependency.platform_specific);
        let scope = scope_of(dependency.installed_as()).map(str::to_owned);
        let want = Want { package, scope, url, id: integrity.id(), early };
        self.shared.scheduler.announce(self.tree, want);
        self.add_entry(dependency, integrity);
    }

    fn add_entry(&mut self, dependency: &Dependency, integrity: &Integrity) {
        // Entries of version 1 lockfiles have none for nixpkgs, which asks for no packument then.
        if let Some((name, version)) = name_in(dependency) {
            self.names.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
        let entry = IndexEntry {
            url: dependency.url.as_str().to_owned(),
            integrity: integrity.text().to_owned(),
            content: integrity.id(),
            accept: None,
        };
        self.entries.insert(dependency.url.clone(), entry);
    }

    /// Fetches git archives, and what the lockfiles in them name, to any depth, and takes in what came.
    pub(super) async fn fetch_archives(&mut self, wanted: Vec<Dependency>) {
        let git_archives = GitArchives::fetch(&wanted, self.shared, self.options).await;
        self.take_in(wanted, &git_archives);
        self.obstacles.extend(git_archives.obstacles);
        self.warnings.extend(git_archives.warnings);
    }

    /// Takes in what was fetched in the order in which nixpkgs does, because the first to name a URL decides its
    /// integrity: each lockfile whole, then those of its git dependencies one after the other.
    fn take_in(&mut self, wanted: Vec<Dependency>, git_archives: &GitArchives) {
        let mut cycles = Vec::new();
        let mut taken = BTreeSet::new();
        self.add_archives(&wanted, git_archives);
        let mut path: Vec<(Option<CanonicalUrl>, std::vec::IntoIter<Dependency>)> =
            vec![(None, wanted.into_iter())];
        while let Some((_, siblings)) = path.last_mut() {
            let Some(dependency) = siblings.next() else {
                path.pop();
                continue;
            };
            // nixpkgs' fetcher goes down again at each of them; here an archive is taken in once, so a cycle ends and
            // is only told.
            if path.iter().any(|(above, _)| above.as_ref() == Some(&dependency.url)) {
                cycles.push(dependency.place.clone());
            }
            if !taken.insert(dependency.url.clone()) {
                continue;
            }
            if let Some(lockfile) = git_archives.lockfile(&dependency) {
                let nested = self.absorb(lockfile);
                self.add_archives(&nested, git_archives);
                path.push((Some(dependency.url), nested.into_iter()));
            }
        }
        if !cycles.is_empty() {
            self.warnings.push(LockfileWarning::GitCycle { places: cycles });
        }
    }

    fn add_archives(&mut self, dependencies: &[Dependency], git_archives: &GitArchives) {
        for dependency in dependencies {
            if let Some(tarball) = git_archives.tarball(&dependency.url)
                && !self.entries.contains_key(&dependency.url)
            {
                // An integrity that the lockfile has for it is ignored, as nixpkgs does: npm packs a commit to other bytes.
                self.add_entry(dependency, &Integrity::from(tarball.id()));
                let (package, url) = (dependency.name.clone(), dependency.url.clone());
                self.shared.scheduler.put(
                    self.tree,
                    Want { package, scope: None, url, id: tarball.id(), early: false },
                    tarball,
                );
            }
        }
    }

    /// Fetches the packuments of all names gathered so far, if the fetcher version has them.
    pub(super) async fn fetch_packuments(&mut self) {
        if self.options.fetcher_version < 2 {
            return;
        }
        let names = std::mem::take(&mut self.names);
        let (assumed_absent, asked): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|(name, _)| self.shared.packuments.is_assumed_absent(name));
        if !assumed_absent.is_empty() {
            let packages = assumed_absent.into_iter().map(|(name, _)| name).collect();
            self.warnings.push(LockfileWarning::AssumedAbsent { packages });
        }
        let packuments = &self.shared.packuments;
        let fetched = join_all(asked.iter().map(|(name, versions)| packuments.get(name, versions))).await;
        for ((name, _), fetched) in asked.into_iter().zip(fetched) {
            match fetched {
                Ok(Some(packument)) => self.add_packument(name, packument.url, packument.bytes),
                // A name that the public registry does not know: nixpkgs leaves it out.
                Ok(None) => {}
                Err(error) => self.obstacles.push(Obstacle::Supply(Arc::new(error))),
            }
        }
    }

    fn add_packument(&mut self, package: String, url: CanonicalUrl, bytes: bytes::Bytes) {
        let tarball = Tarball::of(bytes);
        let content = tarball.id();
        // npm asks with the one header when it installs, with the other one when it wants the whole packument; an
        // offline install needs both, and they share an index file.
        self.packuments.extend(PACKUMENT_ACCEPTS.map(|accept| IndexEntry {
            url: url.as_str().to_owned(),
            integrity: content.sri(),
            content,
            accept: Some(accept),
        }));
        self.shared.scheduler.put(
            self.tree,
            Want { package, scope: None, url, id: content, early: false },
            tarball,
        );
    }

    pub(super) fn finish(self) -> Prepared {
        let entries = self.entries.into_values().chain(self.packuments).collect();
        Prepared { entries, pinned: self.pinned, obstacles: self.obstacles, warnings: self.warnings }
    }
}
