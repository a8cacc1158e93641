//! `patch` in a phase: which files a diff of the repository changes, and how, where one is a lockfile.

use std::sync::Arc;

use nix_lang::value::source::{Base, Source};

use super::cause::Cause;
use super::diff::touched;
use super::edit::{Diff, LockfileEdit};
use super::expand::Place;
use super::field::Field;
use super::is_lockfile;
use super::log::{Change, Key, Origin};
use super::look::Look;
use super::programs::{Arguments, Means};
use super::run::{Ground, Runner, State, Status};

/// A patch that can be read.
struct Read {
    name: String,
    text: Arc<[u8]>,
}

impl Runner<'_> {
    /// `patch -p1 < file`, `patch -p1 -i file`.
    pub(super) fn patch(&mut self, arguments: &Arguments, state: &mut State) -> Status {
        let anything = || Cause::Patched("`patch` may change the lockfile".into());
        let folder = match arguments.value(Means::Into) {
            None => state.folder.clone(),
            Some(folder) => match self.place(folder, state) {
                Place::At(key) => Some(key),
                _ => None,
            },
        };
        let read = match (arguments.value(Means::Input), self.input.clone()) {
            // `patch -d` goes there first.
            (Some(input), _) => {
                self.read_patch(input, &mut State { folder: folder.clone(), ..state.clone() })
            }
            (None, input) => input.and_then(|input| self.read_patch(&input, state)),
        };
        // What it is given by name is patched whatever the diff names.
        let (Some(folder), Some(read), []) = (folder, read, arguments.operands.as_slice()) else {
            return self.in_doubt_all(anything(), state);
        };
        let number = arguments.value(Means::Strip).map(Field::known);
        let strip = number.flatten().and_then(|text| text.parse::<usize>().ok());
        let Ok(text) = std::str::from_utf8(&read.text) else {
            return self.in_doubt_all(anything(), state);
        };
        self.spend(read.text.len() as u64 / 64, state);
        // Without `-p` the names that count depend on which folders are there.
        for path in touched(text, strip) {
            let key = folder.join(&path);
            match strip {
                Some(strip) if is_lockfile(&path) => {
                    let (name, text) = (read.name.clone(), Arc::clone(&read.text));
                    self.patch_lockfile(&key, Diff { name, text, strip, target: path }, state);
                }
                _ => {
                    let cause = Cause::Patched(format!("the patch {} changes {path}", read.name).into());
                    self.change(state, Change::Doubt(key, cause));
                }
            }
        }
        Status::Unknown
    }

    /// A lockfile that a patch changes: which bytes that makes is known where they are read.
    pub fn patch_lockfile(&mut self, key: &Key, diff: Diff, state: &mut State) {
        let before = match self.look(key, state) {
            Look::File(file) | Look::Perhaps(file) if !matches!(file.origin, Origin::Other(_)) => Some(file),
            _ => None,
        };
        let change = if let Some(mut file) = before {
            file.edits.push(LockfileEdit::Patch(diff));
            file.writable = true;
            Change::File(key.clone(), file)
        } else {
            let why = format!("the patch {} changes the lockfile", diff.name);
            Change::Doubt(key.clone(), Cause::Patched(why.into()))
        };
        self.change(state, change);
    }

    /// A patch that is a file of the repository, as nothing changed it, or a text of the Nix files.
    fn read_patch(&mut self, input: &Field, state: &mut State) -> Option<Read> {
        let source = match self.place(input, state) {
            Place::Store(source) => source,
            Place::At(key) => match self.look(&key, state) {
                Look::File(file) if file.edits.is_empty() => match file.origin {
                    Origin::Source(source) => source,
                    Origin::Base(key) => match self.ground_of(key.root) {
                        Ground::Source(source) => source.inside(&key.path).into(),
                        Ground::Nothing | Ground::Unknown => return None,
                    },
                    Origin::Other(_) => return None,
                },
                _ => return None,
            },
            Place::Elsewhere | Place::Unknown => return None,
        };
        self.bytes_of(&source)
    }

    fn bytes_of(&self, source: &Source) -> Option<Read> {
        if let (Base::Text(Some(text)), "") = (&source.base, source.sub.as_str()) {
            let name = source.name.as_deref().unwrap_or("that the Nix files write").to_owned();
            return Some(Read { name, text: Arc::from(text.as_bytes()) });
        }
        let path = source.local_path()?;
        let text = self.files.bytes(&path)?;
        Some(Read { name: self.files.display(&path), text: text.into() })
    }
}
