//! What git recorded, to tell a source that moved on from one that was replaced under its name.
//!
//! A hash that the commit has for the very same origin was true of that origin. A hash that it has for another one, or
//! not at all, says nothing about this one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix_sites::{Outcome, Reason, SurveyScope};
use repository_files::git::{Git, GitError};

use super::digest::SourceDigest;
use super::origin::Origin;
use super::resolve;

/// Files that Nix expressions are made of, or read.
const READ: [&str; 5] = ["nix", "json", "toml", "lock", "txt"];

/// Whether a file may be one that Nix expressions are made of, or read.
#[must_use]
pub fn is_read(path: &Path) -> bool {
    path.extension().is_some_and(|own| READ.iter().any(|known| *own == **known))
}

/// What the last commit of a repository records.
pub struct Head {
    root: PathBuf,
    committed: OnceLock<Result<Committed, String>>,
    staged: OnceLock<BTreeMap<PathBuf, Vec<u8>>>,
}

/// What the last commit records.
struct Committed {
    sources: Vec<CommittedSource>,
    /// The hashes that only builds can tell.
    builds: Vec<Build>,
}

/// A hash that only a build can tell.
struct Build {
    /// As it is written.
    hash: String,
    /// The version of the derivation.
    version: Option<String>,
    /// What is fetched for it.
    made_of: BTreeSet<String>,
}

/// A source of the last commit.
struct CommittedSource {
    /// `None` if its origin is not known.
    identity: Option<String>,
    recorded: Option<SourceDigest>,
}

impl Head {
    /// The last commit of the repository at `root`. Nothing is read before it is asked for.
    #[must_use]
    pub fn of(root: PathBuf) -> Self {
        Self { root, committed: OnceLock::new(), staged: OnceLock::new() }
    }

    /// The repository's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether the last commit records this hash for this origin.
    ///
    /// # Errors
    /// When that is not known: why.
    pub fn records(&self, origin: &Origin, recorded: &SourceDigest) -> Result<bool, String> {
        let committed = &self.committed_state()?.sources;
        let identity = origin.identity();
        let same_hash: Vec<_> =
            committed.iter().filter(|source| source.recorded.as_ref() == Some(recorded)).collect();
        if same_hash.iter().any(|source| source.identity.as_ref() == Some(&identity)) {
            return Ok(true);
        }
        if same_hash.iter().any(|source| source.identity.is_none()) {
            return Err("the last commit has this hash for a source that is not known".to_owned());
        }
        Ok(false)
    }

    /// Whether the last commit has this hash for other origins, and not for this one.
    #[must_use]
    pub(crate) fn has_for_other_origin(&self, origin: &Origin, recorded: &SourceDigest) -> bool {
        let Ok(Committed { sources, .. }) = self.committed_state() else { return false };
        let identity = origin.identity();
        let mut same = sources.iter().filter(|source| source.recorded.as_ref() == Some(recorded)).peekable();
        let other = |source: &CommittedSource| source.identity.as_ref().is_some_and(|own| *own != identity);
        same.peek().is_some() && same.all(other)
    }

    /// Whether the last commit has the hashes of a site, which only a build can tell, for another version of it, or made of
    /// something else.
    ///
    /// # Errors
    /// When that is not known: why.
    pub(crate) fn has_for_other_version(&self, site: &nix_sites::Site) -> Result<bool, String> {
        let builds = &self.committed_state()?.builds;
        let texts: Vec<&str> = site.hashes.iter().map(|literal| literal.written.text.trim()).collect();
        let same: Vec<_> = builds.iter().filter(|build| texts.contains(&build.hash.as_str())).collect();
        let other = |build: &&Build| build.version != site.version || build.made_of != site.made_of;
        Ok(!same.is_empty() && same.iter().all(other))
    }

    fn committed_state(&self) -> Result<&Committed, String> {
        let read = || self.read().map_err(|error| error.to_string());
        self.committed.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    /// The bytes that the next commit has of a JSON file, as things are staged, where the file itself holds others; nothing if
    /// they are the same, or not known.
    #[must_use]
    pub fn staged(&self, path: &Path) -> Option<&[u8]> {
        let is_json = |path: &Path| path.extension().is_some_and(|extension| extension == "json");
        let staged = self.staged.get_or_init(|| Git::of(&self.root).staged(is_json).unwrap_or_default());
        staged.get(path).map(Vec::as_slice)
    }

    fn read(&self) -> Result<Committed, GitError> {
        let instead = Git::of(&self.root).committed(is_read)?;
        let scope = SurveyScope { instead, ..SurveyScope::of(&self.root) };
        let survey = nix_sites::survey(&scope);
        let sources = survey.sites.iter().flat_map(nix_sites::Site::sources);
        let committed = sources.map(|source| match resolve(source) {
            Ok(resolved) => CommittedSource {
                identity: Some(resolved.origin.identity()),
                recorded: resolved.recorded.known().cloned(),
            },
            Err(_) => CommittedSource { identity: None, recorded: super::recorded(source) },
        });
        let sources = committed.collect();
        let is_build = |site: &&nix_sites::Site| matches!(&site.outcome, Outcome::Undecided(why) if why.reason == Reason::BuildOnly);
        let builds = survey.sites.iter().filter(is_build).flat_map(|site| {
            site.hashes.iter().map(|literal| Build {
                hash: literal.written.text.trim().to_owned(),
                version: site.version.clone(),
                made_of: site.made_of.clone(),
            })
        });
        Ok(Committed { sources, builds: builds.collect() })
    }
}
