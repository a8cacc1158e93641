//! Why a hash is stale, in words.

use npm_lockfile::changes::{Changes, Moved};
use repository_files::git::{ComparedState, Last};
use serde::Serialize;

use super::Paths;
use crate::drift::Because;

/// Packages that the sentence names before it counts the rest.
const NAMED: usize = 3;

/// Packages of each kind that JSON has at most.
const LISTED: usize = 200;

/// Why a hash is stale, where that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BecauseReport {
    /// What kind of reason it is.
    pub code: BecauseCode,
    /// What comes after "because", in words.
    pub text: String,
    /// The state that the lockfile was compared with.
    pub since: Option<SinceReport>,
    /// The commit that last changed the lockfile, where that is known.
    pub last_changed: Option<String>,
    /// What changed in it.
    pub packages: Option<PackagesReport>,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BecauseCode {
    /// The lockfile changed.
    LockfileChanged,
    /// It is the hash of another lockfile.
    OtherLockfile,
    /// It is that of the lockfile under other options.
    OtherOptions,
    /// The lockfile did not change since the hash was written.
    LockfileUnchanged,
}

/// A state of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinceReport {
    /// Its commit.
    pub commit: String,
    /// `hash-written`, `merge-base` or `last-commit`.
    pub state: &'static str,
}

/// What changed in a lockfile, at most 200 packages of each kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackagesReport {
    /// One version went, another came.
    pub moved: Vec<MovedReport>,
    /// Versions that came, `name version`.
    pub added: Vec<String>,
    /// Versions that went.
    pub removed: Vec<String>,
    /// Versions that have another URL or integrity.
    pub replaced: Vec<String>,
}

/// A package of another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MovedReport {
    /// Its name.
    pub name: String,
    /// The version that went.
    pub from: String,
    /// The version that came.
    pub to: String,
}

impl BecauseReport {
    pub(super) fn new(because: &Because, service: &str, paths: &Paths) -> Self {
        match because {
            Because::Changed { lockfile, since, changes, last } => {
                let lockfile = paths.show(lockfile);
                Self {
                    code: BecauseCode::LockfileChanged,
                    text: format!(
                        "{}; {lockfile} {}",
                        changes.as_ref().map_or_else(|| "the lockfile changed".to_owned(), summary),
                        when(last, since)
                    ),
                    since: Some(SinceReport::of(since)),
                    last_changed: commit(last),
                    packages: changes.as_ref().map(PackagesReport::of),
                }
            }
            Because::OtherLockfile { lockfile } => {
                let text = format!("it is the hash of {}", paths.show(lockfile));
                Self::plain(BecauseCode::OtherLockfile, text)
            }
            Because::OtherOptions { options } => {
                let text = format!(
                    "it is the hash of this lockfile with fetcherVersion {}",
                    options.fetcher_version
                );
                Self::plain(BecauseCode::OtherOptions, text)
            }
            Because::Unchanged { lockfile, commit } => {
                let text = format!(
                    "of something other than {}, which is as it was when the hash was written in {}: the fetcher's \
                     version, an option, another lockfile; `npm-nixhash explain {service}` tries what it is",
                    paths.show(lockfile),
                    short(commit)
                );
                let since = ComparedState::Written(commit.clone());
                Self {
                    since: Some(SinceReport::of(&since)),
                    ..Self::plain(BecauseCode::LockfileUnchanged, text)
                }
            }
        }
    }

    fn plain(code: BecauseCode, text: String) -> Self {
        Self { code, text, since: None, last_changed: None, packages: None }
    }
}

impl SinceReport {
    fn of(since: &ComparedState) -> Self {
        let state = match since {
            ComparedState::Written(_) => "hash-written",
            ComparedState::MergeBase(_) => "merge-base",
            ComparedState::LastCommit(_) => "last-commit",
        };
        Self { commit: since.commit().to_owned(), state }
    }
}

impl PackagesReport {
    /// The packages of a change.
    #[must_use]
    pub fn of(changes: &Changes) -> Self {
        let moved = |Moved { name, from, to }: &Moved| MovedReport {
            name: name.clone(),
            from: from.clone(),
            to: to.clone(),
        };
        let some = |names: &[String]| names.iter().take(LISTED).cloned().collect();
        Self {
            moved: changes.moved.iter().take(LISTED).map(moved).collect(),
            added: some(&changes.added),
            removed: some(&changes.removed),
            replaced: some(&changes.replaced),
        }
    }
}

fn commit(last: &Last) -> Option<String> {
    match last {
        Last::Commit(commit) => Some(commit.clone()),
        Last::Uncommitted | Last::Unknown => None,
    }
}

fn when(last: &Last, since: &ComparedState) -> String {
    match last {
        Last::Commit(commit) => format!("last changed in {}", short(commit)),
        Last::Uncommitted => "changed since the last commit".to_owned(),
        Last::Unknown => format!("changed since {}", short(since.commit())),
    }
}

/// `debug 4.3.5 -> 4.3.6, +2, -1 packages`.
#[must_use]
pub fn summary(changes: &Changes) -> String {
    let mut parts: Vec<String> = changes
        .moved
        .iter()
        .take(NAMED)
        .map(|Moved { name, from, to }| format!("{name} {from} -> {to}"))
        .collect();
    let more = changes.moved.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    let (added, removed) = (changes.added.len(), changes.removed.len());
    let signed = [("+", added), ("-", removed)];
    let signed = signed.iter().filter(|(_, n)| *n > 0).map(|(sign, n)| format!("{sign}{n}"));
    let mut counts = signed.collect::<Vec<_>>().join(", ");
    if !counts.is_empty() {
        counts += if added + removed == 1 { " package" } else { " packages" };
        parts.push(counts);
    }
    match (parts.is_empty(), changes.replaced.len()) {
        (true, 0) => "the text of the lockfile changed, and no package of it".to_owned(),
        (true, 1) => format!("{} has another URL or integrity", changes.replaced[0]),
        (true, n) => format!("{n} packages have another URL or integrity"),
        (false, _) => parts.join(", "),
    }
}

/// A commit as git shortens it.
#[must_use]
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(number: usize) -> Vec<Moved> {
        let one = |number| Moved { name: format!("p{number}"), from: "1".to_owned(), to: "2".to_owned() };
        (0..number).map(one).collect()
    }

    fn names(number: usize) -> Vec<String> {
        (0..number).map(|number| format!("q{number} 1.0.0")).collect()
    }

    #[test]
    fn a_summary_names_three_packages_and_counts_the_rest() {
        let changes = Changes { moved: moved(5), added: names(2), removed: names(1), replaced: names(1) };
        assert_eq!(summary(&changes), "p0 1 -> 2, p1 1 -> 2, p2 1 -> 2, 2 more, +2, -1 packages");
        assert_eq!(summary(&Changes { moved: moved(1), ..Changes::default() }), "p0 1 -> 2");
        assert_eq!(summary(&Changes { removed: names(1), ..Changes::default() }), "-1 package");
        assert_eq!(
            summary(&Changes { replaced: names(1), ..Changes::default() }),
            "q0 1.0.0 has another URL or integrity"
        );
        assert_eq!(summary(&Changes::default()), "the text of the lockfile changed, and no package of it");
    }
}
