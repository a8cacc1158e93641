//! What the registry says of the releases that are wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use futures::StreamExt as _;
use npm_registry::Client;
use npm_registry::packages::{self, PackageError, PackageName, Release};
use tokio::runtime::Handle;

use super::Unrepairable;

/// Packuments that are read at one time. They may be megabytes each, and the client bounds the requests besides.
const AT_ONCE: usize = 32;

/// A release that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WantedRelease {
    pub name: PackageName,
    pub version: String,
}

/// The registry's word about each.
#[derive(Default)]
pub(super) struct Releases(BTreeMap<WantedRelease, Result<Release, Arc<PackageError>>>);

impl Releases {
    /// Asks about each name once.
    pub(super) fn fetch(
        client: &Client,
        wanted: &BTreeSet<WantedRelease>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let mut versions: BTreeMap<&PackageName, Vec<&str>> = BTreeMap::new();
        for WantedRelease { name, version } in wanted {
            versions.entry(name).or_default().push(version);
        }
        let asked = versions.into_iter().map(|(name, versions)| {
            let (client, name) = (client.clone(), name.clone());
            let versions: Vec<String> = versions.into_iter().map(str::to_owned).collect();
            async move {
                // Each on its own task: reading a large packument keeps a core busy.
                tokio::spawn(ask(client, name, versions)).await.map_err(io::Error::other)
            }
        });
        let answers = runtime.block_on(async {
            futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
        });
        let answers: Vec<Vec<_>> = answers.into_iter().collect::<io::Result<_>>()?;
        Ok(Self(answers.into_iter().flatten().collect()))
    }

    pub(super) fn release(&self, wanted: &WantedRelease) -> Result<&Release, Unrepairable> {
        let answer = self.0.get(wanted).map(|answer| answer.as_ref().map_err(Arc::clone));
        let missing = || PackageError::NoRelease {
            name: wanted.name.clone(),
            version: wanted.version.clone(),
            nearest: Vec::new(),
        };
        answer.unwrap_or_else(|| Err(Arc::new(missing()))).map_err(Unrepairable::Package)
    }
}

type Answer = (WantedRelease, Result<Release, Arc<PackageError>>);

async fn ask(client: Client, name: PackageName, versions: Vec<String>) -> Vec<Answer> {
    // The short form has `dist` of every release, which is all that is missing in a lockfile.
    let packument = packages::fetch_abbreviated(&client, &name).await.map_err(Arc::new);
    let answer = |version: String| {
        let release = match &packument {
            Ok(packument) => packument.release(&version).map_err(Arc::new),
            Err(error) => Err(Arc::clone(error)),
        };
        (WantedRelease { name: name.clone(), version }, release)
    };
    versions.into_iter().map(answer).collect()
}
