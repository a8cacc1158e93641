//! What has to be known before a tree's shape is: git archives, the lockfiles in them, and packuments.
//!
//! For most lockfiles that is nothing, and their trees start at once. The others are prepared here, while the tarballs
//! that the lockfile names are on their way already.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future::{BoxFuture, FutureExt as _, join_all};
use url::Url;

use super::{
    Obstacle, Warning,
    archive::Archives,
    depot::{Depot, TreeId},
    packuments::Packuments,
    supply::Want,
    verdict,
};
use crate::{
    cacache::{IndexEntry, PACKUMENT_ACCEPTS},
    integrity::Integrity,
    lockfile::{Dependency, Lockfile, Source},
    options::HashOptions,
    tarball::Tarball,
};

/// What everything that is being prepared shares.
pub(super) struct Workshop<'a> {
    pub(super) depot: &'a Depot<'a>,
    pub(super) archives: Archives<'a>,
    pub(super) packuments: Packuments<'a>,
}

/// A tree's index as it becomes known.
pub(super) struct Preparation<'a> {
    workshop: &'a Workshop<'a>,
    tree: TreeId,
    options: HashOptions,
    entries: BTreeMap<Url, IndexEntry>,
    packuments: Vec<IndexEntry>,
    names: BTreeMap<String, BTreeSet<String>>,
    pinned: bool,
    obstacles: Vec<Obstacle>,
    warnings: Vec<Warning>,
}

/// What came of it.
pub(super) struct Prepared {
    pub(super) entries: Vec<IndexEntry>,
    /// Whether every content is pinned, by integrity or by commit.
    pub(super) pinned: bool,
    pub(super) obstacles: Vec<Obstacle>,
    pub(super) warnings: Vec<Warning>,
}

/// Package names of a lockfile, each with its versions: what fetcher version 2 asks packuments for.
pub(super) fn names_of(lockfile: &Lockfile) -> impl Iterator<Item = (&str, &str)> {
    lockfile.dependencies.iter().flat_map(|dependency| {
        let own = dependency.versions.iter().map(|version| (dependency.name.as_str(), version.as_str()));
        own.chain(dependency.also_named.iter().map(|(name, version)| (name.as_str(), version.as_str())))
    })
}

impl<'a> Preparation<'a> {
    pub(super) fn new(workshop: &'a Workshop<'a>, tree: TreeId, options: HashOptions) -> Self {
        Self {
            workshop,
            tree,
            options,
            entries: BTreeMap::new(),
            packuments: Vec::new(),
            names: BTreeMap::new(),
            pinned: options.fetcher_version < 2,
            obstacles: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes in a lockfile: its tarballs are announced; returns its git dependencies that are new.
    pub(super) fn absorb(&mut self, lockfile: Lockfile) -> Vec<Dependency> {
        for (name, version) in names_of(&lockfile) {
            self.names.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
        let mut archives = Vec::new();
        for dependency in lockfile.dependencies {
            // A URL that an outer lockfile names already is taken as that one has it.
            if self.entries.contains_key(&dependency.url) {
                continue;
            }
            match &dependency.source {
                Source::Tarball(integrity) => self.add_tarball(&dependency, &integrity.clone()),
                Source::GitArchive { pinned } => {
                    self.pinned &= *pinned;
                    archives.push(dependency);
                }
            }
        }
        archives
    }

    fn add_tarball(&mut self, dependency: &Dependency, integrity: &Integrity) {
        let (package, url, early) =
            (dependency.name.clone(), dependency.url.clone(), dependency.platform_specific);
        let want = Want { package, url, id: integrity.id(), early };
        self.workshop.depot.announce(self.tree, want);
        self.add_entry(&dependency.url, integrity);
    }

    fn add_entry(&mut self, url: &Url, integrity: &Integrity) {
        let entry = IndexEntry {
            url: url.as_str().to_owned(),
            integrity: integrity.text().to_owned(),
            content: integrity.id(),
            accept: None,
        };
        self.entries.insert(url.clone(), entry);
    }

    /// Fetches git archives, and what the lockfiles in them name, to any depth.
    pub(super) fn fetch_archives(&mut self, wanted: Vec<Dependency>) -> BoxFuture<'_, ()> {
        async move {
            let archives = &self.workshop.archives;
            let fetched = join_all(wanted.iter().map(|dependency| archives.get(dependency))).await;
            let mut nested = Vec::new();
            for (dependency, fetched) in wanted.into_iter().zip(fetched) {
                match fetched {
                    Ok(archive) => nested.extend(self.add_archive(&dependency, &archive)),
                    Err(error) => self.obstacles.push(Obstacle::Supply(Arc::new(error))),
                }
            }
            if !nested.is_empty() {
                self.fetch_archives(nested).await;
            }
        }
        .boxed()
    }

    /// Adds a repacked archive; returns the git dependencies of the lockfile in it.
    fn add_archive(&mut self, dependency: &Dependency, archive: &super::archive::Archive) -> Vec<Dependency> {
        if self.entries.contains_key(&dependency.url) {
            return Vec::new();
        }
        let tarball = Tarball::of(archive.bytes.clone());
        self.add_entry(&dependency.url, &Integrity::from(tarball.id()));
        let want = Want {
            package: dependency.name.clone(),
            url: dependency.url.clone(),
            id: tarball.id(),
            early: false,
        };
        self.workshop.depot.put(self.tree, want, tarball);
        if let Err(refusal) = archive.judge(&dependency.place, self.options) {
            self.obstacles.push(Obstacle::Refused(refusal));
            return Vec::new();
        }
        let Some(lockfile) = &archive.lockfile else { return Vec::new() };
        match Lockfile::parse(lockfile.as_bytes()) {
            Err(error) => {
                self.obstacles
                    .push(Obstacle::Nested { place: dependency.place.clone(), error: Arc::new(error) });
                Vec::new()
            }
            Ok(nested) => {
                let (refusals, warnings) = verdict::judge(&nested, self.options, true);
                self.obstacles.extend(refusals.into_iter().map(Obstacle::Refused));
                self.warnings.extend(warnings);
                self.absorb(nested)
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
            names.into_iter().partition(|(name, _)| self.workshop.packuments.is_assumed_absent(name));
        if !assumed_absent.is_empty() {
            let packages = assumed_absent.into_iter().map(|(name, _)| name).collect();
            self.warnings.push(Warning::AssumedAbsent { packages });
        }
        let packuments = &self.workshop.packuments;
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

    fn add_packument(&mut self, package: String, url: Url, bytes: bytes::Bytes) {
        let tarball = Tarball::of(bytes);
        let content = tarball.id();
        self.packuments.extend(PACKUMENT_ACCEPTS.map(|accept| IndexEntry {
            url: url.as_str().to_owned(),
            integrity: content.sri(),
            content,
            accept: Some(accept),
        }));
        self.workshop.depot.put(self.tree, Want { package, url, id: content, early: false }, tarball);
    }

    pub(super) fn finish(self) -> Prepared {
        let entries = self.entries.into_values().chain(self.packuments).collect();
        Prepared { entries, pinned: self.pinned, obstacles: self.obstacles, warnings: self.warnings }
    }
}
