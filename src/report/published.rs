//! How a site's output stands in binary caches.

use serde::Serialize;

use super::human::plain;
use super::layout::{self, Note};
use super::{Report, SiteReport};

/// A site's output in one binary cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedReport {
    /// The cache's URL, which has no secret in it.
    pub cache: String,
    /// The output's path in the Nix store, if its name is known.
    pub store_path: Option<String>,
    /// How it stands.
    pub state: PublishedState,
    /// Why it is not there, or what failed.
    pub reason: Option<String>,
}

/// How an output stands in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishedState {
    /// It was written there.
    Published,
    /// It was there.
    There,
    /// It is not there, or what is there under its name serves nobody (`check --published`).
    Missing,
    /// Under which name it would be there is not known.
    Unnamed,
    /// The cache could not be asked, or did not take it.
    Failed,
}

impl PublishedReport {
    /// Whether a client would not get it.
    #[must_use]
    pub fn lacks(&self) -> bool {
        matches!(self.state, PublishedState::Missing | PublishedState::Unnamed)
    }
}

impl Report {
    /// Whether a cache lacks an output.
    #[must_use]
    pub fn lacks_published(&self) -> bool {
        self.sites.iter().flat_map(|site| &site.published).any(PublishedReport::lacks)
    }

    /// Whether a cache could not be asked, or did not take an output.
    #[must_use]
    pub fn failed_to_publish(&self) -> bool {
        self.published().any(|one| one.state == PublishedState::Failed)
    }

    fn published(&self) -> impl Iterator<Item = &PublishedReport> {
        self.sites.iter().flat_map(|site| &site.published)
    }
}

/// What caches lack of a site, for people.
pub(super) fn published_notes(site: &SiteReport) -> impl Iterator<Item = Note> {
    let lacking = site.published.iter().filter(|one| one.lacks());
    lacking.flat_map(|PublishedReport { cache, store_path, reason, .. }| {
        let what = store_path.as_deref().unwrap_or("its output");
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        [Note::new("missing", format!("{what}{reason}")), Note::new("", format!("in {cache}"))]
    })
}

/// A line for each cache that was asked or written to.
pub(super) fn published_lines(report: &Report, width: Option<usize>) -> String {
    let mut caches: Vec<&str> = report.published().map(|one| one.cache.as_str()).collect();
    caches.sort_unstable();
    caches.dedup();
    let line = |cache: &str| {
        let count = |state| report.published().filter(|one| one.cache == cache && one.state == state).count();
        let counts = [
            (count(PublishedState::Published), "published"),
            (count(PublishedState::There), "there already"),
            (count(PublishedState::Missing), "missing"),
            (count(PublishedState::Unnamed), "without a known name"),
            (count(PublishedState::Failed), "failed"),
        ];
        let counts = counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
        layout::wrapped(&plain(&format!("{cache}: {}", counts.collect::<Vec<_>>().join(", "))), width)
    };
    caches.into_iter().map(line).collect()
}
