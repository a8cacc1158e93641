//! The kinds of findings: a stable word for machines and a text that helps people, each once.

use serde::Serialize;

use crate::drift::FindingKind;

/// What a finding is about. Its word is part of the formats: fingerprints, suppressions and dashboards are tied to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A literal says another hash than its lockfile has.
    Stale,
    /// A literal only holds the hash's place.
    Placeholder,
    /// The hash of a source is not that of what was fetched.
    StaleSource,
    /// A vendored lockfile is that of another version than the source has.
    OutdatedLockfile,
    /// The lockfile or the literal cannot be known.
    Undecided,
    /// The lockfile lacks what an offline install needs.
    Incomplete,
    /// The hash should be computable, and is not.
    NoHash,
    /// A manifest asks for something that its lockfile does not hold.
    OutOfStep,
    /// `npmDeps` is fetched by another version of the fetcher than the package expects.
    FetcherVersion,
    /// git does not track a file that a flake needs.
    Untracked,
    /// A lockfile without an `npmDepsHash`.
    Uncovered,
    /// A file that could not be read or parsed.
    Unreadable,
    /// Anything else that is worth a word.
    Notice,
}

impl Rule {
    /// All of them, the gravest first.
    pub(super) const ALL: [Self; 13] = [
        Self::Stale,
        Self::Placeholder,
        Self::StaleSource,
        Self::OutdatedLockfile,
        Self::Incomplete,
        Self::NoHash,
        Self::OutOfStep,
        Self::FetcherVersion,
        Self::Unreadable,
        Self::Undecided,
        Self::Untracked,
        Self::Uncovered,
        Self::Notice,
    ];

    /// The stable word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Placeholder => "placeholder",
            Self::StaleSource => "stale-source",
            Self::OutdatedLockfile => "outdated-lockfile",
            Self::Undecided => "undecided",
            Self::Incomplete => "incomplete",
            Self::NoHash => "no-hash",
            Self::OutOfStep => "out-of-step",
            Self::FetcherVersion => "fetcher-version",
            Self::Untracked => "untracked",
            Self::Uncovered => "uncovered",
            Self::Unreadable => "unreadable",
            Self::Notice => "notice",
        }
    }

    /// The same as a name in one word, as the SARIF viewers of editors show it.
    pub(super) fn name(self) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        };
        self.word().split('-').filter_map(capital).collect()
    }

    /// What it is, in a sentence.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Stale => "An npmDepsHash is not that of its lockfile.",
            Self::Placeholder => "A placeholder stands where an npmDepsHash has to be.",
            Self::StaleSource => "The hash of a source is not that of what its URL serves.",
            Self::OutdatedLockfile => "A vendored lockfile was made for another version than its source has.",
            Self::Undecided => "Which lockfile decides a hash, or which literal holds it, cannot be known.",
            Self::Incomplete => "A lockfile lacks what an offline install needs.",
            Self::NoHash => "The hash of a lockfile could not be computed.",
            Self::OutOfStep => "npm ci refuses a lockfile for what a package.json asks for.",
            Self::FetcherVersion => {
                "npmDeps is fetched by another version of the fetcher than its package expects."
            }
            Self::Untracked => "git does not track a file that a derivation of a flake needs.",
            Self::Uncovered => "No npmDepsHash covers a lockfile.",
            Self::Unreadable => "A file could not be read or parsed.",
            Self::Notice => "Something that is worth knowing.",
        }
    }

    /// Why it matters and what to do, for people who see it the first time.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Stale | Self::Placeholder => {
                "Nix refuses to build the package until the hash is that of the lockfile. Run `npm-nixhash update`, which \
                 rewrites the literal in place, or take the fix."
            }
            Self::StaleSource => {
                "Nix refuses to fetch the source. Where version or URL changed, `npm-nixhash update` writes the new hash; a \
                 file that was replaced under its name is worth a look first."
            }
            Self::OutdatedLockfile => {
                "The build installs the dependencies of another version. `npm-nixhash update` has npm make the lockfile for \
                 the version of the source."
            }
            Self::Undecided => {
                "Nothing is guessed: the hash is neither checked nor written until the source says which lockfile it is. The \
                 message names what would settle it."
            }
            Self::Incomplete => {
                "Packages without `resolved` or `integrity` are not in the cache that Nix builds, so the build fails with \
                 ENOTCACHED. `npm-nixhash repair` fills them in without moving a version."
            }
            Self::NoHash => {
                "The message says which package or file is in the way, and what can be done about it."
            }
            Self::OutOfStep => {
                "The build stops in npm ci. Bring the lockfile in step with `npm install --package-lock-only`, then run \
                 `npm-nixhash update`."
            }
            Self::FetcherVersion => {
                "nixpkgs' build hook stops with \"npmDepsHash is out of date\". Let `fetcherVersion` and \
                 `npmDepsFetcherVersion` agree."
            }
            Self::Untracked => "Nix sees nothing of a flake that git does not track. `git add` the file.",
            Self::Uncovered => {
                "Its dependencies are built by nobody, or by a derivation that is not known. If that is as it should be, \
                 name it in `ignore-lockfiles` of npm-nixhash.toml."
            }
            Self::Unreadable => {
                "What stands in the file could not be taken into account. The message names the place."
            }
            Self::Notice => "The message says what it is about.",
        }
    }

    /// Whether it stops a build, as a rule.
    pub(super) fn is_error(self) -> bool {
        !matches!(self, Self::Undecided | Self::Untracked | Self::Uncovered | Self::Notice)
    }
}

impl From<&FindingKind> for Rule {
    fn from(kind: &FindingKind) -> Self {
        match kind {
            FindingKind::OutOfStep { .. } => Self::OutOfStep,
            FindingKind::FetcherVersion(_) => Self::FetcherVersion,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_word() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.word());
        }
        assert_eq!(Rule::OutOfStep.name(), "OutOfStep");
    }
}
