//! What a script did to the files, one change after the other.
//!
//! The log only grows. A state of the script is a place in it, so that both sides of a branch begin at the same place and
//! cost nothing to keep; where they meet, one entry names both ends.

use std::cmp::Ordering;
use std::rc::Rc;

use nix_lang::value::source::Source;

use super::cause::Cause;
use super::edit::LockfileEdit;
use super::field::{Field, Pattern};

/// Which tree a path is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// Where the script works.
    Tree,
    /// `$out`
    Out,
}

/// A path from the top of one of the trees, `/`-separated, empty at the top; `..` may lead out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub root: Root,
    pub path: String,
}

impl Key {
    pub fn new(root: Root, path: &str) -> Self {
        Self { root, path: clean(path) }
    }

    pub fn join(&self, name: &str) -> Self {
        Self::new(self.root, &format!("{}/{name}", self.path))
    }

    /// The path from `outer` to here, if it is here or above.
    pub fn below<'a>(&'a self, outer: &Key) -> Option<&'a str> {
        if self.root != outer.root {
            return None;
        }
        match outer.path.as_str() {
            "" if self.path.starts_with("..") => None,
            "" => Some(&self.path),
            path if path == self.path => Some(""),
            path => self.path.strip_prefix(path)?.strip_prefix('/'),
        }
    }
}

/// What a file holds.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub origin: Origin,
    /// Literal replacements, in their order.
    pub edits: Vec<LockfileEdit>,
    /// Whether it can be written: a copy of a file in the store, and a link to one, cannot.
    pub writable: bool,
}

/// Where a file's bytes came from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// Where the script found it, at this path.
    Base(Key),
    Source(Rc<Source>),
    /// Bytes that are not followed, and why.
    Other(Cause),
}

/// One change.
#[derive(Debug, Clone)]
pub(super) enum Change {
    File(Key, Box<File>),
    Folder(Key),
    /// The path, and everything below it.
    Gone(Key),
    /// The names in a folder that the pattern stands for.
    GoneAll(Key, Pattern),
    /// Everything in a source is laid over a folder, or what the pattern stands for.
    Tree {
        at: Key,
        source: Rc<Source>,
        only: Option<Pattern>,
        writable: bool,
    },
    /// A path and what is below may have changed.
    Doubt(Key, Cause),
    /// A path that is not quite known may have changed; with `deep` also all that is below it.
    DoubtLike {
        field: Rc<Field>,
        folder: Option<Key>,
        deep: bool,
        cause: Cause,
    },
    /// Anything may have changed.
    Havoc(Cause),
    /// What stood in a folder when the log was at `state` is laid over another one.
    Mirror {
        at: Key,
        from: Key,
        state: At,
        only: Option<Pattern>,
    },
    /// An archive was unpacked into a folder: which, where only one can be meant.
    Unpacked(Key, Option<Rc<Source>>, Cause),
    /// Two states meet that began at `from`.
    Either {
        a: At,
        b: At,
        from: At,
        cause: Cause,
    },
}

/// A place in the log; zero is its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(usize);

pub(super) const START: At = At(0);

/// Whether more entries of the log were looked at than one path is worth. Each copy of a folder into one that it lies in leads back
/// to two earlier states (`cp -r new/. .`): sixteen of them are 65,536 ways, and took four seconds.
pub(super) fn is_too_far(steps: u64) -> bool {
    steps > 20_000
}

/// The whole log.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<(Change, At)>,
    /// Of how many folders around the tree the names are known.
    pub around: usize,
}

/// What is known of a path.
#[derive(Debug, Clone)]
pub(super) enum PathState {
    /// As it was where the script began.
    Base,
    File(Box<File>),
    Folder,
    Absent,
    /// What a source has there, or what was there before if the source has nothing.
    InSource {
        file: Rc<Source>,
        before: At,
        writable: bool,
    },
    /// What stood at `from` in an earlier state, or what was there before if nothing did.
    Mirror {
        from: Key,
        state: At,
        before: At,
    },
    Doubt(Cause),
    /// This, if a folder that was named from outside (`cp -r locks ../source`) is the tree; else what was there before.
    Around {
        found: Box<PathState>,
        before: At,
    },
}

impl Log {
    /// Adds a change behind a state.
    pub fn add(&mut self, at: At, change: Change) -> At {
        self.entries.push((change, at));
        At(self.entries.len())
    }

    /// What is known of a path in a state; `steps` counts the entries that were looked at.
    pub fn find(&self, at: At, key: &Key, steps: &mut u64) -> PathState {
        self.until(at, START, key, steps).unwrap_or(PathState::Base)
    }

    fn until(&self, mut at: At, end: At, key: &Key, steps: &mut u64) -> Option<PathState> {
        while at != end {
            let (change, before) = &self.entries[at.0 - 1];
            *steps += 1;
            if let Change::Either { a, b, from, cause } = change {
                let left = self.until(*a, *from, key, steps);
                let right = self.until(*b, *from, key, steps);
                match (left, right) {
                    (None, None) => {}
                    (Some(x), Some(y)) if x.same(&y) => return Some(x),
                    (Some(PathState::Doubt(cause)), _) | (_, Some(PathState::Doubt(cause))) => {
                        return Some(PathState::Doubt(cause));
                    }
                    // `jq ... > x && mv x package-lock.json`: the tool is what is in the way, not the condition.
                    (a, b) => {
                        let inner = [a, b].into_iter().flatten().find_map(|found| match found {
                            PathState::File(file) => match file.origin {
                                Origin::Other(inner) => Some(inner),
                                _ => None,
                            },
                            _ => None,
                        });
                        return Some(PathState::Doubt(inner.unwrap_or_else(|| cause.clone())));
                    }
                }
                at = *from;
                continue;
            }
            if let Some(found) = told(change, *before, key) {
                return Some(found);
            }
            let around = change.come_back(self.around).and_then(|change| told(&change, *before, key));
            if let Some(found) = around.filter(|_| !key.path.starts_with("..")) {
                return Some(PathState::Around { found: Box::new(found), before: *before });
            }
            at = *before;
        }
        None
    }

    /// The archives that may have been unpacked around a shrinkwrap of which nothing became since; `None` for one that is not
    /// known, or where it takes too many steps to tell.
    pub fn unpacked_over(&self, at: At, key: &Key, steps: &mut u64) -> Vec<Option<Rc<Source>>> {
        let mut found = Vec::new();
        self.unpacked_until(at, START, key, steps, &mut found);
        found
    }

    /// The same of the changes behind `end`; whether they say what became of the path, so that none before them counts.
    fn unpacked_until(
        &self,
        mut at: At,
        end: At,
        key: &Key,
        steps: &mut u64,
        found: &mut Vec<Option<Rc<Source>>>,
    ) -> bool {
        while at != end {
            let (change, before) = &self.entries[at.0 - 1];
            *steps += 1;
            if is_too_far(*steps) {
                found.push(None);
                return true;
            }
            if let Change::Either { a, b, from, .. } = change {
                let told = [*a, *b].map(|side| self.unpacked_until(side, *from, key, steps, found));
                if told == [true, true] {
                    return true;
                }
                at = *from;
                continue;
            }
            if let Change::Unpacked(at, archive, _) = change
                && key.below(at).is_some_and(|rest| !rest.is_empty())
            {
                found.push(archive.clone());
            }
            match told(change, *before, key) {
                Some(PathState::Mirror { from, state, .. }) => {
                    self.unpacked_until(state, START, &from, steps, found);
                }
                None | Some(PathState::InSource { .. }) => {}
                Some(_) => return true,
            }
            at = *before;
        }
        false
    }

    /// The last state that both come from.
    pub fn common(&self, mut a: At, mut b: At, steps: &mut u64) -> At {
        loop {
            let later = match a.cmp(&b) {
                Ordering::Equal => return a,
                Ordering::Greater => &mut a,
                Ordering::Less => &mut b,
            };
            *steps += 1;
            *later = self.entries[later.0 - 1].1;
        }
    }

    /// Whether anything at, below or above a path may have changed.
    pub fn touches(&self, mut at: At, key: &Key, steps: &mut u64) -> bool {
        while at != START {
            *steps += 1;
            let (change, before) = &self.entries[at.0 - 1];
            at = *before;
            let touched = match change {
                Change::Havoc(_) | Change::DoubtLike { .. } => true,
                Change::Either { a, b, .. } => {
                    self.touched_since(*a, at, key, steps) || self.touched_since(*b, at, key, steps)
                }
                change => {
                    let meets = |other: &Key| other.below(key).is_some() || key.below(other).is_some();
                    change.key().is_some_and(meets)
                        || change.come_back(self.around).is_some_and(|change| change.key().is_some_and(meets))
                }
            };
            if touched {
                return true;
            }
        }
        false
    }

    fn touched_since(&self, at: At, from: At, key: &Key, steps: &mut u64) -> bool {
        let doubts = self.doubts(at, from, &Cause::Sometimes, steps);
        doubts.iter().any(|doubt| {
            doubt.key().is_none_or(|other| other.below(key).is_some() || key.below(other).is_some())
        })
    }

    /// Doubts about everything that changed since `start`.
    pub(crate) fn doubts(&self, mut at: At, start: At, cause: &Cause, steps: &mut u64) -> Vec<Change> {
        let mut doubts = Vec::new();
        while at != start {
            *steps += 1;
            let (change, before) = &self.entries[at.0 - 1];
            at = *before;
            match change {
                Change::Either { a, b, from, .. } => {
                    doubts.extend(self.doubts(*a, *from, cause, steps));
                    doubts.extend(self.doubts(*b, *from, cause, steps));
                }
                Change::DoubtLike { .. } | Change::Havoc(_) => doubts.push(change.clone()),
                change => doubts.extend(change.key().map(|key| Change::Doubt(key.clone(), cause.clone()))),
            }
        }
        doubts
    }
}

/// What one change says of a path.
fn told(change: &Change, before: At, key: &Key) -> Option<PathState> {
    match change {
        Change::File(at, file) => match (key.below(at), at.below(key)) {
            (Some(""), _) => Some(PathState::File(file.clone())),
            (Some(_), _) => Some(PathState::Absent),
            (None, Some(_)) => Some(PathState::Folder),
            _ => None,
        },
        // What is in it is not touched: `mkdir -p web` of one that is there is no change.
        Change::Folder(at) => at.below(key).map(|_| PathState::Folder),
        Change::Gone(at) => key.below(at).map(|_| PathState::Absent),
        Change::GoneAll(folder, pattern) => {
            let name = key.below(folder).filter(|rest| !rest.is_empty())?.split('/').next()?;
            pattern.matches(name).then_some(PathState::Absent)
        }
        Change::Tree { at, source, only, writable } => {
            let inside = |rest: &str| PathState::InSource {
                file: Rc::new(source.inside(rest)),
                before,
                writable: *writable,
            };
            in_tree(key, at, only.as_ref(), inside)
        }
        Change::Doubt(at, cause) => key.below(at).map(|_| PathState::Doubt(cause.clone())),
        Change::Havoc(cause) => Some(PathState::Doubt(cause.clone())),
        Change::DoubtLike { field, folder, deep, cause } => {
            field.may_reach(key, folder.as_ref(), *deep).then(|| PathState::Doubt(cause.clone()))
        }
        Change::Mirror { at, from, state, only } => {
            let inside = |rest: &str| PathState::Mirror { from: from.join(rest), state: *state, before };
            in_tree(key, at, only.as_ref(), inside)
        }
        Change::Unpacked(at, _, cause) => {
            // Few published packages have a shrinkwrap, and the folder is often filled before the lockfile is copied (fixture
            // `wrapper-of-release-source`): whether one came is asked of the archive (`unpacked_over`).
            let lockfile = !key.path.ends_with(npm_lockfile::FILE_NAMES[0]);
            key.below(at).filter(|rest| !rest.is_empty() && lockfile).map(|_| PathState::Doubt(cause.clone()))
        }
        Change::Either { .. } => None,
    }
}

/// What a tree that was put at a path says of a key; `only` names of which this pattern were put there.
fn in_tree(
    key: &Key,
    at: &Key,
    only: Option<&Pattern>,
    inside: impl FnOnce(&str) -> PathState,
) -> Option<PathState> {
    let Some(rest) = key.below(at) else { return at.below(key).map(|_| PathState::Folder) };
    if rest.is_empty() {
        return Some(PathState::Folder);
    }
    let first = rest.split('/').next()?;
    only.is_none_or(|pattern| pattern.matches(first)).then(|| inside(rest))
}

impl Change {
    /// The path that is changed, if it is one.
    fn key(&self) -> Option<&Key> {
        match self {
            Self::File(key, _)
            | Self::Folder(key)
            | Self::Gone(key)
            | Self::GoneAll(key, _)
            | Self::Doubt(key, _)
            | Self::Unpacked(key, ..)
            | Self::Mirror { at: key, .. }
            | Self::Tree { at: key, .. } => Some(key),
            Self::DoubtLike { .. } | Self::Havoc(_) | Self::Either { .. } => None,
        }
    }

    /// The change where the path that leads out of the tree (`../source/web`) comes back into it, as it may: what the tree's own
    /// folder is called is not known, but for the last `around` names. The tree is no file, and nobody removes it.
    fn come_back(&self, around: usize) -> Option<Self> {
        let key = self.key()?;
        let up = key.path.split('/').take_while(|part| *part == "..").count();
        if up <= around || key.root != Root::Tree {
            return None;
        }
        let parts: Vec<&str> = key.path.split('/').collect();
        let inner = Key::new(Root::Tree, &parts.get(2 * up..).unwrap_or_default().join("/"));
        let is_above = parts.len() < 2 * up;
        match self {
            Self::Doubt(..) if is_above => {}
            // What edits a file edits no folder.
            Self::Doubt(
                _,
                Cause::Origin(_)
                | Cause::Target(_)
                | Cause::Option(..)
                | Cause::Link
                | Cause::Folder
                | Cause::Around,
            ) => {}
            Self::GoneAll(..) | Self::Tree { .. } | Self::Mirror { .. } | Self::Unpacked(..) if !is_above => {
            }
            _ if inner.path.is_empty() => return None,
            _ => {}
        }
        let mut change = self.clone();
        *change.key_mut()? = inner;
        Some(change)
    }

    fn key_mut(&mut self) -> Option<&mut Key> {
        match self {
            Self::File(key, _)
            | Self::Folder(key)
            | Self::Gone(key)
            | Self::GoneAll(key, _)
            | Self::Doubt(key, _)
            | Self::Unpacked(key, ..)
            | Self::Mirror { at: key, .. }
            | Self::Tree { at: key, .. } => Some(key),
            Self::DoubtLike { .. } | Self::Havoc(_) | Self::Either { .. } => None,
        }
    }

    /// Whether this doubt holds the other one.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Havoc(_), _) => true,
            (Self::Doubt(a, _), Self::Doubt(b, _)) => b.below(a).is_some(),
            (
                Self::DoubtLike { field: a, folder: x, deep, .. },
                Self::DoubtLike { field: b, folder: y, deep: below, .. },
            ) => Rc::ptr_eq(a, b) || (a.signs_equal(b) && x == y && deep >= below),
            _ => false,
        }
    }
}

impl PathState {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Folder, Self::Folder) | (Self::Absent, Self::Absent) => true,
            (Self::File(a), Self::File(b)) => a.same(b),
            (Self::InSource { file: a, before: x, .. }, Self::InSource { file: b, before: y, .. }) => {
                same_source(a, b) && x == y
            }
            _ => false,
        }
    }
}

impl File {
    fn same(&self, other: &Self) -> bool {
        let origin = match (&self.origin, &other.origin) {
            (Origin::Base(a), Origin::Base(b)) => a == b,
            (Origin::Source(a), Origin::Source(b)) => same_source(a, b),
            _ => false,
        };
        origin && self.edits == other.edits
    }
}

/// Whether two sources are surely the same file.
pub(super) fn same_source(a: &Rc<Source>, b: &Rc<Source>) -> bool {
    Rc::ptr_eq(a, b)
        || matches!((a.local_path(), b.local_path()), (Some(x), Some(y)) if x == y && a.filters == b.filters)
}

/// A path without empty parts, `.`, and `..` behind a name.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
