//! Packuments of a run: each name is asked for once, with the versions that all lockfiles together want.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use npm_lockfile::CanonicalUrl;
use tokio::sync::OnceCell;
use url::Url;

use super::Settings;
use super::packument::{Kept, normalise};
use super::supply::{Supply, SupplyError};

/// Where nixpkgs asks for packuments whatever the user configured, and what keys their cache entries.
const PUBLIC_REGISTRY: &str = "https://registry.npmjs.org/";

/// A packument as it is stored.
pub(super) struct Packument {
    pub(super) url: CanonicalUrl,
    pub(super) bytes: Bytes,
}

/// What the registry answered for a name: the packument with the versions that the run wants, or nothing.
type Answer = Arc<OnceCell<Option<Bytes>>>;

pub(super) struct Packuments<'a> {
    supply: &'a Supply,
    /// Scopes (`@acme`) that are taken as absent without asking.
    assumed_absent: BTreeSet<String>,
    whole_dist: bool,
    wanted: BTreeMap<String, BTreeSet<String>>,
    answers: Mutex<HashMap<String, Answer>>,
}

impl<'a> Packuments<'a> {
    /// `wanted` are the versions that this run is known to want; others cost another request.
    pub(super) fn new(
        supply: &'a Supply,
        settings: &Settings,
        wanted: BTreeMap<String, BTreeSet<String>>,
    ) -> Self {
        let (assumed_absent, whole_dist) = (settings.assumed_absent.clone(), settings.manner.whole_dist);
        Self { supply, assumed_absent, whole_dist, wanted, answers: Mutex::default() }
    }

    /// Whether the registry is not to be asked for this name.
    pub(super) fn is_assumed_absent(&self, name: &str) -> bool {
        name.split_once('/').is_some_and(|(scope, _)| self.assumed_absent.contains(scope))
    }

    /// The packument with these versions; `None` if the registry does not know the name.
    pub(super) async fn get(
        &self,
        name: &str,
        versions: &BTreeSet<String>,
    ) -> Result<Option<Packument>, SupplyError> {
        let url = url_of(name);
        let foreseen = self.wanted.get(name).filter(|wanted| versions.is_subset(wanted));
        let answer = match foreseen {
            Some(wanted) => {
                let cell = {
                    let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                    Arc::clone(answers.entry(name.to_owned()).or_default())
                };
                cell.get_or_try_init(|| self.fetch(name, &url, wanted)).await?.clone()
            }
            // A lockfile inside a git dependency wants versions that nobody could foresee, and what is kept of an
            // earlier answer lacks them.
            None => self.fetch(name, &url, versions).await?,
        };
        let Some(bytes) = answer else { return Ok(None) };
        // The answer has the versions of all lockfiles of the run, and the hash of each covers its own.
        let bytes = self.trim(name, &url, &bytes, versions)?;
        Ok(Some(Packument { url: CanonicalUrl::from(&url), bytes }))
    }

    async fn fetch(
        &self,
        name: &str,
        url: &Url,
        wanted: &BTreeSet<String>,
    ) -> Result<Option<Bytes>, SupplyError> {
        match self.supply.packument(name, url).await? {
            // Trimmed before it is kept for the run: of a popular package a registry tells megabytes, hardly any of
            // which is wanted.
            Some(body) => self.trim(name, url, &body, wanted).map(Some),
            None => Ok(None),
        }
    }

    fn trim(
        &self,
        name: &str,
        url: &Url,
        body: &[u8],
        versions: &BTreeSet<String>,
    ) -> Result<Bytes, SupplyError> {
        let kept = Kept { versions, whole_dist: self.whole_dist };
        normalise(body, kept).map(Bytes::from).map_err(|error| SupplyError::packument(name, url, error))
    }
}

fn url_of(name: &str) -> Url {
    let mut url = Url::parse(PUBLIC_REGISTRY).expect("bug: the registry's URL is one");
    // The standard leaves `%2f` alone and encodes what else a path may not hold.
    url.set_path(&name.replace('/', "%2f"));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_part_of_the_name() {
        assert_eq!(url_of("@acme/tool").as_str(), format!("{PUBLIC_REGISTRY}@acme%2ftool"));
        assert_eq!(url_of("ms").as_str(), format!("{PUBLIC_REGISTRY}ms"));
    }
}
