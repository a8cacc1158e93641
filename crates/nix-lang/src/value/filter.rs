//! Filters between a source and the store, and `lib.fileset`.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Meaning, ThunkId};

/// A filter between a source and the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `toSource`: the files of a set.
    Fileset(Rc<Fileset>),
    /// `nix-filter`: what is included and excluded, where known.
    Lists {
        /// What is kept; all where it is not given.
        include: Option<Vec<PathBuf>>,
        /// What is left out.
        exclude: Vec<PathBuf>,
    },
    /// A predicate of path and kind, for everything below a root.
    Predicate {
        /// The predicate.
        function: ThunkId,
        /// The folder.
        root: PathBuf,
    },
    /// `sourceByRegex`: every part of the way must match one of the patterns.
    Regexes {
        /// The folder.
        root: PathBuf,
        /// The patterns, as written.
        patterns: Vec<Rc<str>>,
    },
    /// What `.gitignore` files below a root name is left out.
    GitIgnore(PathBuf),
    /// A predicate that is not evaluated; it is taken to keep the lockfile.
    Opaque,
}

/// `lib.fileset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fileset {
    /// A file or a folder with all in it.
    Path(PathBuf),
    /// What is in any.
    Union(Vec<Rc<Fileset>>),
    /// What is in both.
    Intersection(Rc<Fileset>, Rc<Fileset>),
    /// What is in the first alone.
    Difference(Rc<Fileset>, Rc<Fileset>),
    /// Files that a predicate of `{ name, type, hasExt }` accepts.
    Predicate(ThunkId),
    /// Not known.
    Unknown,
}

impl Meaning for Fileset {}

fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = false,
        }
    }
    if known { Some(false) } else { None }
}

fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// Whether a file and all folders above it match one of the patterns as a whole.
fn matches_all(root: &Path, path: &Path, patterns: &[Rc<str>]) -> Option<bool> {
    let patterns: Option<Vec<_>> =
        patterns.iter().map(|p| regex_lite::Regex::new(&format!("^(?:{p})$")).ok()).collect();
    let patterns = patterns?;
    let below = path.strip_prefix(root).ok()?;
    let parts: Vec<_> = below.components().collect();
    let kept = (1..=parts.len()).all(|count| {
        let text = parts[..count]
            .iter()
            .map(|part| part.as_os_str().to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        patterns.iter().any(|pattern| pattern.is_match(&text))
    });
    Some(kept)
}

/// Whether the `.gitignore` files between a root and a file name the file.
fn ignored(root: &Path, path: &Path) -> Option<bool> {
    let mut folder = root.to_path_buf();
    let mut verdict = false;
    for part in path.parent()?.strip_prefix(root).ok()?.components().map(Some).chain([None]) {
        let rules = folder.join(".gitignore");
        if rules.is_file() {
            let (matcher, _) = ignore::gitignore::Gitignore::new(&rules);
            match matcher.matched_path_or_any_parents(path, false) {
                ignore::Match::Ignore(_) => verdict = true,
                ignore::Match::Whitelist(_) => verdict = false,
                ignore::Match::None => {}
            }
        }
        if let Some(part) = part {
            folder.push(part);
        }
    }
    Some(verdict)
}

impl Fileset {
    /// Whether a file is in the set; `None` when it is not known. `test` answers for predicates.
    pub fn contains(&self, path: &Path, test: &mut dyn FnMut(ThunkId) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Path(root) => Some(path.starts_with(root)),
            Self::Union(sets) => {
                let answers: Vec<Option<bool>> = sets.iter().map(|set| set.contains(path, test)).collect();
                any(answers.into_iter())
            }
            Self::Intersection(a, b) => both(a.contains(path, test), b.contains(path, test)),
            Self::Difference(a, b) => {
                both(a.contains(path, test), b.contains(path, test).map(|inside| !inside))
            }
            Self::Predicate(function) => test(*function),
            Self::Unknown => None,
        }
    }
}

impl Filter {
    /// Whether a file passes; `None` when it is not known.
    #[must_use]
    pub fn keeps(&self, path: &Path) -> Option<bool> {
        match self {
            Self::Fileset(set) => set.contains(path, &mut |_| None),
            Self::Regexes { root, patterns } => matches_all(root, path, patterns),
            Self::Lists { include, exclude } => {
                if exclude.iter().any(|root| path.starts_with(root)) {
                    return Some(false);
                }
                include.as_ref().map(|roots| roots.iter().any(|root| path.starts_with(root)))
            }
            Self::GitIgnore(root) => ignored(root, path).map(|ignored| !ignored),
            Self::Predicate { .. } | Self::Opaque => None,
        }
    }
}
