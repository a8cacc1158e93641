//! What, besides the lockfile, decides a hash.

/// The options of `fetchNpmDeps` that change the tree it hashes.
///
/// Two requests with equal lockfile bytes and equal options have equal hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HashOptions {
    /// `fetcherVersion` / `npmDepsFetcherVersion`: 1 (the default) holds tarballs, 2 and above add packuments.
    pub fetcher_version: u32,
    /// `forceGitDeps`: accept git dependencies that run install scripts but bring no lockfile.
    pub force_git_deps: bool,
    /// `forceEmptyCache`: accept a lockfile without a single package to fetch.
    pub force_empty_cache: bool,
}

impl Default for HashOptions {
    fn default() -> Self {
        Self { fetcher_version: 1, force_git_deps: false, force_empty_cache: false }
    }
}

impl HashOptions {
    /// The same with the other fetcher version.
    #[must_use]
    pub fn with_other_version(self) -> Self {
        Self { fetcher_version: if self.fetcher_version == 1 { 2 } else { 1 }, ..self }
    }
}
