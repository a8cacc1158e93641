//! Copies of files and folders in a phase.

use std::rc::Rc;

use super::phase::{NAMES, Reader, Slot};
use super::script::{Command, Embedded, has_mark, is_dynamic};
use super::words::{Operands, clean, is_lockfile, mentions, operands, plain_name};
use crate::nix::source::Source;

impl Reader<'_> {
    pub(super) fn copy(&mut self, command: &Command, name: &str) {
        let Some(Operands { sources, target, into_folder, keep }) = operands(command, name) else { return };
        for word in &sources {
            self.copy_one(command, name, word, &target, into_folder || sources.len() > 1, keep);
        }
        if name == "mv" {
            for word in &sources {
                if let Some(index) = self.target(word).and_then(|path| self.slot_of(&path)) {
                    self.state.slots[index] = Slot::Absent;
                }
            }
        }
    }

    pub(super) fn copy_one(
        &mut self,
        command: &Command,
        name: &str,
        word: &str,
        target: &str,
        into_folder: bool,
        keep: bool,
    ) {
        let Some(target_path) = self.target(target) else {
            if mentions(command) || !self.is_harmless_target(target) {
                self.doubt(&format!("`{name}` writes to a place that is not known"));
            }
            return;
        };
        if let Some(index) = self.slot_of(&target_path).filter(|_| !into_folder) {
            match self.source_of(word) {
                Some(source) if !command.conditional && !keep => {
                    self.state.slots[index] = Slot::Copied(source);
                }
                Some(_) => self.doubt_one(index, "the lockfile is copied only sometimes"),
                None => self
                    .doubt_one(index, &format!("`{name}` copies a lockfile from a place that is not known")),
            }
            return;
        }
        let copied = self.source_of(word).filter(|_| !command.conditional && !keep && !into_folder);
        self.written.push((target_path.clone(), copied));
        self.copy_into(command, word, &target_path, keep);
    }

    /// A copy into a folder, or of a folder.
    pub(super) fn copy_into(&mut self, command: &Command, word: &str, folder: &str, keep: bool) {
        let contents = word.ends_with("/.") || word.ends_with("/*") || matches!(word, "." | "*");
        let onto = command.words.iter().any(|word| word == "-T" || word == "--no-target-directory");
        let around = folder.is_empty()
            || folder == self.context.folder
            || self.context.folder.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let exists = self.folders.iter().any(|known| known == folder);
        let fresh = self.context.makes_out && around && !is_lockfile(word) && (onto || !exists);
        self.folders.push(folder.to_owned());
        if !contents && !fresh {
            if let Some(index) =
                plain_name(word).and_then(|name| self.slot_of(&clean(&format!("{folder}/{name}"))))
            {
                match self.source_of(word) {
                    Some(source) if !command.conditional && !keep => {
                        self.state.slots[index] = Slot::Copied(source);
                    }
                    _ => self.doubt_one(index, "a lockfile is copied from a place that is not known"),
                }
            } else if word == "*"
                || word == "."
                || (is_dynamic(word) && folder == self.context.folder && self.source_of(word).is_none())
            {
                self.doubt("files are copied among which a lockfile may be");
            }
            return;
        }
        let inner = if word == "." || word == "./." || word == "*" || word == "./*" {
            "$."
        } else {
            word.trim_end_matches(['*', '.']).trim_end_matches('/')
        };
        let Some(source) = self.source_of(inner) else {
            self.doubt("a folder is copied that is not known");
            return;
        };
        self.copy_tree(command, &source, folder, keep);
    }

    pub(super) fn copy_tree(&mut self, command: &Command, source: &Rc<Source>, folder: &str, keep: bool) {
        let below = match folder {
            "" => Some(self.context.folder),
            _ if self.context.folder == folder => Some(""),
            _ => self.context.folder.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(below) = below else { return };
        for (index, name) in NAMES.iter().enumerate() {
            let file = Rc::new(source.inside(&format!("{below}/{name}")));
            match file.local_path() {
                Some(path) if self.context.files.is_file(&path) => {
                    let certain = !command.conditional && !keep;
                    if certain {
                        self.state.slots[index] = Slot::Copied(file);
                    } else {
                        self.doubt_one(index, "the lockfile is copied only sometimes");
                    }
                }
                None if index == 1 => self.state.slots[index] = Slot::Copied(file),
                _ => {}
            }
        }
    }

    /// The source that a word names.
    pub(super) fn source_of(&self, word: &str) -> Option<Rc<Source>> {
        match self.script.embedded(word) {
            Some(Embedded::Source(source, rest)) => {
                if has_mark(rest) || is_dynamic(rest) || (!rest.is_empty() && !rest.starts_with('/')) {
                    return None;
                }
                return Some(if rest.is_empty() { Rc::clone(source) } else { Rc::new(source.inside(rest)) });
            }
            Some(Embedded::Unknown(_)) => return None,
            None => {}
        }
        if let Some(found) = self.variable(word) {
            return Some(found);
        }
        if is_dynamic(word)
            || has_mark(word)
            || word.contains('*')
            || word.starts_with('/')
            || self.context.makes_out
        {
            return None;
        }
        self.own_file(word)
    }

    /// A file of the source itself, if no command before made it.
    pub(super) fn own_file(&self, word: &str) -> Option<Rc<Source>> {
        let path = clean(&format!("{}/{word}", self.state.folder.as_ref()?));
        if self.slot_of(&path).is_some() {
            return None;
        }
        if let Some((_, copied)) = self.written.iter().rev().find(|(written, _)| *written == path) {
            return copied.clone();
        }
        let source = Rc::new(self.context.source.inside(&path));
        let there = source.local_path().is_some_and(|path| self.context.files.is_file(&path));
        there.then_some(source)
    }

    /// `$src/...`
    pub(super) fn variable(&self, word: &str) -> Option<Rc<Source>> {
        self.context.variables.iter().find_map(|(name, source)| {
            let rest = word.strip_prefix(&format!("${{{name}}}")).or_else(|| {
                word.strip_prefix(&format!("${name}")).filter(|rest| rest.is_empty() || rest.starts_with('/'))
            })?;
            if is_dynamic(rest) || has_mark(rest) {
                return None;
            }
            Some(if rest.is_empty() { Rc::clone(source) } else { Rc::new(source.inside(rest)) })
        })
    }
}
