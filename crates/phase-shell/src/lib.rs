//! What the shell scripts of derivations do to lockfiles.
//!
//! [`Script`] is read once, and run over what is known of the files ([`Shell`]): where each path's bytes came from, or why
//! that is not known. Nothing is executed. `script` and `parse` are the language, `field` and `expand` its words, `log` and
//! `look` the files, `run` its control flow, `programs` the table of programs and their options, `commands`, `builtins`,
//! `copy`, `patch` (with `diff`) and `tools` what they do, `cause` why something is not known and what settles it.

mod builtins;
mod cause;
mod commands;
mod copy;
pub mod diff;
mod edit;
mod expand;
mod field;
mod javascript;
mod log;
mod look;
mod parse;
mod patch;
mod programs;
mod run;
mod script;
mod tools;

use std::collections::BTreeSet;
use std::rc::Rc;

pub use cause::{Cause, Trouble};
pub use diff::apply as apply_diff;
pub use edit::{Diff, LockfileEdit, LockfileEditError, apply};
use field::{Field, Seg};
use log::{Change, File, Key, Origin, PathState, Root};
use look::Look;
use nix_lang::budget::Budget;
use nix_lang::files::Files;
use nix_lang::value::source::Source;
use npm_lockfile::FILE_NAMES;
pub use run::{Ground, Script};
use run::{Runner, State};

/// Whether a path is that of a lockfile, in whatever folder.
#[must_use]
pub fn is_lockfile(path: &str) -> bool {
    FILE_NAMES.contains(&path.rsplit('/').next().unwrap_or_default())
}

/// What is at the place of one of the two files.
#[derive(Debug, Clone)]
pub enum LockfileState {
    /// As the source has it.
    Original,
    /// This file.
    Copied(Rc<Source>),
    /// Removed, or never there.
    Absent,
    /// Not known: why.
    Doubt(Trouble),
}

/// Which of the trees a lockfile is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the script works.
    Tree,
    /// What it makes.
    Out,
}

/// Both files behind the last script, in the order of [`FILE_NAMES`].
#[derive(Debug, Clone)]
pub struct Left {
    /// What is at both names of [`FILE_NAMES`].
    pub slots: [LockfileState; 2],
    /// What is replaced in them.
    pub edits: [Vec<LockfileEdit>; 2],
    /// A shrinkwrap that may have come with other files, where nothing is known to have become of it: it wins.
    pub shadow: Option<Shadow>,
}

/// Where a shrinkwrap may have come from.
#[derive(Debug, Clone)]
pub enum Shadow {
    /// Out of a source that was copied as a whole; only the source tells whether it has this file.
    Source(Rc<Source>),
    /// Out of an archive that was unpacked: which, where it can only be one.
    Archive(Option<Rc<Source>>),
}

impl Left {
    /// What no script touched.
    #[must_use]
    pub fn untouched() -> Self {
        let slots = [LockfileState::Original, LockfileState::Original];
        Self { slots, edits: [Vec::new(), Vec::new()], shadow: None }
    }
}

/// The scripts of one build, one after the other: variables, folders and options last from one to the next.
pub struct Shell<'a> {
    runner: Runner<'a>,
    state: State,
    /// The states behind each phase.
    ends: Vec<(&'static str, State)>,
    /// Paths of the tree that patches touched.
    patched: BTreeSet<String>,
    /// Patches that are not known may have touched others.
    patched_any: bool,
}

impl<'a> Shell<'a> {
    /// A build over a tree, with `$out` as it is before.
    pub fn new(files: &'a Files, budget: &'a Budget, tree: Ground, out: Ground) -> Self {
        let (runner, state) = Runner::new(files, budget, tree, out);
        Self { runner, state, ends: Vec::new(), patched: BTreeSet::new(), patched_any: false }
    }

    /// The tree is a folder of an unpacked source, which lies around it: `sourceRoot`.
    pub fn enter_below(&mut self, path: &str) {
        self.runner.above = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        self.runner.log.around = self.runner.above.len();
    }

    /// A variable that holds a path of the store.
    pub fn set_source(&mut self, name: &str, source: &Rc<Source>) {
        self.state.set(name, Field { segs: vec![Seg::Store(Rc::clone(source))], loose: false });
    }

    /// A variable of known text.
    pub fn set_text(&mut self, name: &str, text: &str) {
        self.state.set(name, Field::text(text));
    }

    /// Runs a script.
    pub fn run(&mut self, script: &Script, phase: &'static str) {
        if self.state.lost.is_none() {
            let state = self.state.clone();
            self.state = self.runner.script(script, state);
            // A build that stops has no hash. Where there is one all the same, the script was misread.
            if self.state.dead {
                self.state.lose(Cause::Fails);
            }
        }
        self.ends.push((phase, self.state.clone()));
    }

    /// A script whose text is not known.
    pub fn run_unknown(&mut self, phase: &'static str, why: &str) {
        self.state.lose(Cause::Text(why.into()));
        self.ends.push((phase, self.state.clone()));
    }

    /// A patch touches a file. What it makes of a lockfile inside a remote source is known once the source is.
    pub fn patch(&mut self, path: &str, remote: bool, why: &str) {
        self.patched.insert(path.to_owned());
        let key = Key::new(Root::Tree, path);
        let mut steps = 0;
        if !(remote && matches!(self.runner.log.find(self.state.at, &key, &mut steps), PathState::Base)) {
            let change = Change::Doubt(key, Cause::Patched(why.into()));
            self.runner.change(&mut self.state, change);
            self.ends.push(("patches", self.state.clone()));
        }
    }

    /// A patch does to a lockfile what its text says.
    pub fn patch_lockfile(&mut self, path: &str, diff: &Diff) {
        self.runner.patch_lockfile(&Key::new(Root::Tree, path), diff.clone(), &mut self.state);
        self.ends.push(("patches", self.state.clone()));
    }

    /// Patches may touch anything.
    pub fn patch_unknown(&mut self, remote: bool, why: &str) {
        self.patched_any = true;
        if remote {
            for name in FILE_NAMES {
                self.patch(name, remote, why);
            }
        } else {
            self.runner.change(&mut self.state, Change::Havoc(Cause::Patched(why.into())));
            self.ends.push(("patches", self.state.clone()));
        }
    }

    /// The current folder, from the top of the tree.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        match self.state.folder.as_ref()? {
            Key { root: Root::Tree, path } if !path.starts_with("..") => Some(path),
            Key { .. } => None,
        }
    }

    /// The trouble of a folder that is not known.
    #[must_use]
    pub fn folder_trouble(&self) -> Trouble {
        let phase = self.ends.last().map_or("postPatch", |(phase, _)| phase);
        let cause = self.state.lost.clone().unwrap_or(Cause::Folder);
        Trouble { phase, cause }
    }

    /// What is in a folder when all is done.
    pub fn left(&mut self, side: Side, folder: &str) -> Left {
        let root = if side == Side::Tree { Root::Tree } else { Root::Out };
        let mut left = Left::untouched();
        for (i, name) in FILE_NAMES.iter().enumerate() {
            let key = Key::new(root, &format!("{folder}/{name}"));
            let (slot, edits) = self.slot(&key);
            left.slots[i] = slot;
            left.edits[i] = edits;
        }
        // One that is there, or may be, wins by itself.
        if matches!(left.slots[0], LockfileState::Absent) {
            let key = Key::new(root, &format!("{folder}/{}", FILE_NAMES[0]));
            left.shadow = self.runner.shadow(&key, &mut self.state.clone());
        }
        left
    }

    fn slot(&mut self, key: &Key) -> (LockfileState, Vec<LockfileEdit>) {
        if let Some(cause) = self.state.lost.clone() {
            let first = self.ends.iter().find(|(_, state)| state.lost.is_some());
            let phase = first.map_or("postPatch", |(phase, _)| phase);
            return (LockfileState::Doubt(Trouble { phase, cause }), Vec::new());
        }
        let mut steps = 0;
        let untouched = matches!(self.runner.log.find(self.state.at, key, &mut steps), PathState::Base);
        if untouched && matches!(key.root, Root::Tree) {
            return (LockfileState::Original, Vec::new());
        }
        let mut state = self.state.clone();
        match self.runner.look(key, &mut state) {
            Look::File(file) | Look::Perhaps(file) => self.file(key, &file),
            Look::Absent => (LockfileState::Absent, Vec::new()),
            Look::Folder => (LockfileState::Doubt(self.trouble(key, Cause::Folder)), Vec::new()),
            Look::Unknown(cause) => (LockfileState::Doubt(self.trouble(key, cause)), Vec::new()),
        }
    }

    fn file(&mut self, key: &Key, file: &File) -> (LockfileState, Vec<LockfileEdit>) {
        let slot = match &file.origin {
            Origin::Base(from) if from == key => LockfileState::Original,
            Origin::Base(from) if self.patched_any || self.patched.contains(&from.path) => {
                LockfileState::Doubt(
                    self.trouble(key, Cause::Patched("a patch may change the file that is copied".into())),
                )
            }
            Origin::Base(from) => match self.runner.ground_of(from.root) {
                Ground::Source(source) => LockfileState::Copied(Rc::new(source.inside(&from.path))),
                _ => LockfileState::Doubt(self.trouble(key, Cause::Origin("the build".into()))),
            },
            Origin::Source(source) => LockfileState::Copied(Rc::clone(source)),
            Origin::Other(cause) => LockfileState::Doubt(self.trouble(key, cause.clone())),
        };
        (slot, file.edits.clone())
    }

    /// A cause, with the first phase behind which the file is not known.
    fn trouble(&mut self, key: &Key, cause: Cause) -> Trouble {
        let mut found = None;
        for (phase, end) in &self.ends {
            let look = self.runner.look(key, &mut end.clone());
            let known = matches!(&look, Look::File(file) | Look::Perhaps(file) if !matches!(file.origin, Origin::Other(_)));
            if !known && !matches!(look, Look::Absent) {
                found.get_or_insert(*phase);
            } else {
                found = None;
            }
        }
        let phase = found.or(self.ends.last().map(|(phase, _)| *phase)).unwrap_or("postPatch");
        Trouble { phase, cause }
    }
}
