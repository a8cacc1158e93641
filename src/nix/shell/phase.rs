//! What a phase does to the lockfile.

use std::rc::Rc;

use super::programs::{HARMLESS, READERS};
use super::script::{Command, Embedded, Script, has_mark, is_dynamic};
use super::words::{clean, is_glob_for_lockfile, is_lockfile, mentions, touches_many};
use crate::nix::files::Files;
use crate::nix::site::Reason;
use crate::nix::source::Source;
use crate::nix::value::Text;

/// The two names under which npm looks for a lockfile; the first one wins.
pub(crate) const NAMES: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];

/// The state of one of the two files.
#[derive(Debug, Clone)]
pub(crate) enum Slot {
    /// As the source has it.
    Original,
    /// A copy of this file.
    Copied(Rc<Source>),
    /// Removed, or never there.
    Absent,
    /// Not known: why.
    Doubt(Reason, String),
}

/// Both files while the phases run.
#[derive(Debug, Clone)]
pub(crate) struct State {
    /// In the order of [`NAMES`].
    pub slots: [Slot; 2],
    /// The current folder relative to the start; `None` when it is not known. It lasts from phase to phase.
    pub folder: Option<String>,
}

impl State {
    /// Both files are like that.
    pub fn new(slot: Slot) -> Self {
        Self { slots: [slot.clone(), slot], folder: Some(String::new()) }
    }
}

/// Where a phase runs.
pub(crate) struct Context<'a> {
    pub files: &'a Files,
    /// The source that the phase runs in.
    pub source: &'a Rc<Source>,
    /// The folder whose lockfile counts, relative to where the phase runs.
    pub folder: &'a str,
    /// Variables that hold sources.
    pub variables: &'a [(String, Rc<Source>)],
    /// The script makes `$out`; otherwise it changes the source itself.
    pub makes_out: bool,
    /// The name of the phase.
    pub name: &'static str,
}

/// Runs a phase over the state.
pub(crate) fn run(text: &Text, state: &mut State, context: &Context) {
    let script = Script::new(text);
    let mut reader = Reader {
        script: &script,
        state,
        context,
        shells: Vec::new(),
        stack: Vec::new(),
        written: Vec::new(),
        folders: Vec::new(),
        harmless_names: Vec::new(),
    };
    for command in script.commands() {
        reader.command(&command);
    }
}

pub(super) struct Reader<'a> {
    pub(crate) script: &'a Script,
    pub(crate) state: &'a mut State,
    pub(crate) context: &'a Context<'a>,
    /// The folders to which subshells return.
    pub(crate) shells: Vec<Option<String>>,
    pub(crate) stack: Vec<Option<String>>,
    /// Files that a command before wrote, and what they are copies of.
    pub(crate) written: Vec<(String, Option<Rc<Source>>)>,
    /// Variables of loops over names that are no lockfiles.
    pub(crate) harmless_names: Vec<String>,
    /// Folders below `$out` that exist: what is copied onto one of them lands inside.
    pub(crate) folders: Vec<String>,
}

impl Reader<'_> {
    pub(crate) fn doubt(&mut self, message: &str) {
        for slot in &mut self.state.slots {
            *slot = Slot::Doubt(Reason::LockfileEdited, format!("{}: {message}", self.context.name));
        }
    }

    /// One file is in doubt.
    pub(crate) fn doubt_one(&mut self, index: usize, message: &str) {
        self.state.slots[index] =
            Slot::Doubt(Reason::LockfileEdited, format!("{}: {message}", self.context.name));
    }

    fn command(&mut self, command: &Command) {
        let name = self.program(command);
        if command.assignments.iter().any(|assignment| is_lockfile(assignment)) {
            self.doubt("a variable holds the name of the lockfile");
        }
        for output in &command.outputs {
            self.redirected(command, &name, output);
        }
        match name.as_str() {
            "cd" | "pushd" => self.change_folder(command, name == "pushd"),
            "mkdir" => {
                let made: Vec<String> =
                    command.words.iter().skip(1).filter_map(|word| self.target(word)).collect();
                self.folders.extend(made);
            }
            "for" => self.enter_loop(command),
            "(" => self.shells.push(self.state.folder.clone()),
            ")" => {
                if let Some(folder) = self.shells.pop() {
                    self.state.folder = folder;
                }
            }
            "popd" => self.state.folder = self.stack.pop().flatten(),
            "cp" | "ln" | "install" | "mv" => self.copy(command, &name),
            "rm" => self.remove(command),
            "cat" if !command.outputs.is_empty() => {}
            "patch" => self.doubt("`patch` may change the lockfile"),
            "npm" => self.npm(command),
            "tar" | "unzip" | "bsdtar" if self.context.makes_out => {
                // What is unpacked is replaced by a later copy; a shrinkwrap in it would be unheard of beside a vendored lockfile.
                self.doubt_one(1, "the lockfile is what an archive holds");
            }
            "tee" | "sponge" if mentions(command) => self.doubt(&format!("`{name}` writes the lockfile")),
            _ if READERS.contains(&name.as_str()) => {}
            _ if mentions(command) => self.doubt(&format!("`{name}` changes the lockfile")),
            _ if touches_many(command) => {
                self.doubt(&format!("`{name}` may change the lockfile among other files"));
            }
            "sed"
            | "perl"
            | "substituteInPlace"
            | "substituteAllInPlace"
            | "tee"
            | "sponge"
            | "awk"
            | "gawk"
                if self.writes_unknown(command) =>
            {
                self.doubt(&format!("`{name}` writes files whose names are not known"));
            }
            _ if HARMLESS.contains(&name.as_str()) => {}
            "" => {}
            _ => self.doubt(&format!("`{name}` may write the lockfile")),
        }
    }

    /// The command's own name, without its folder.
    fn program(&self, command: &Command) -> String {
        let Some(word) = command.words.first() else { return String::new() };
        if let Some(Embedded::Unknown(unknown)) = self.script.embedded(word) {
            let rest = &word[word.chars().next().map_or(0, char::len_utf8)..];
            if rest.is_empty() {
                return executable(unknown.name.as_deref());
            }
        }
        let base = word.rsplit('/').next().unwrap_or(word);
        if has_mark(base) { "interpolated text".to_owned() } else { base.to_owned() }
    }

    /// A path relative to the start; `None` when only the shell knows it.
    pub(crate) fn target(&self, word: &str) -> Option<String> {
        let mut word = word.replace("${out}", "$out");
        for prefix in ["$PWD/", "${PWD}/", "$(pwd)/"] {
            if let Some(rest) = word.strip_prefix(prefix) {
                word = rest.to_owned();
            }
        }
        if self.context.makes_out {
            let rest = word.strip_prefix("$out")?;
            return (!is_dynamic(rest) && !has_mark(rest)).then(|| clean(rest));
        }
        if word.starts_with("$out")
            || word.starts_with("/dev/")
            || word.starts_with("$TMP")
            || word.starts_with("/tmp")
            || word.starts_with("$HOME")
        {
            return Some("\0elsewhere".to_owned());
        }
        if is_dynamic(&word) || has_mark(&word) || word.starts_with('/') {
            return None;
        }
        let cwd = self.state.folder.as_ref()?;
        Some(clean(&format!("{cwd}/{word}")))
    }

    /// Which of the two files a path is.
    pub(crate) fn slot_of(&self, path: &str) -> Option<usize> {
        let name = match self.context.folder {
            "" => path,
            folder => path.strip_prefix(folder)?.strip_prefix('/')?,
        };
        NAMES.iter().position(|known| *known == name)
    }

    fn redirected(&mut self, command: &Command, name: &str, output: &str) {
        let Some(path) = self.target(output) else {
            if !self.is_harmless_target(output) {
                self.doubt("a file is written whose name is not known");
            }
            return;
        };
        let Some(index) = self.slot_of(&path) else {
            self.written.push((path, None));
            return;
        };
        if command.heredoc {
            self.doubt("the lockfile is written from a here-document");
            return;
        }
        let single = name == "cat" && command.words.len() == 2 && !command.piped && !command.conditional;
        match single.then(|| self.source_of(&command.words[1])).flatten() {
            Some(source) => self.state.slots[index] = Slot::Copied(source),
            None => self.doubt(&format!("the lockfile is written with the output of `{name}`")),
        }
    }

    /// Whether a target that only the shell knows is surely no lockfile: its last part is spelt out, or it is the variable
    /// of a harmless loop.
    pub(crate) fn is_harmless_target(&self, word: &str) -> bool {
        if word.contains('*') {
            return false;
        }
        let last = word.rsplit('/').next().unwrap_or(word);
        let spelt = !last.is_empty() && !is_dynamic(last) && !has_mark(last) && !is_lockfile(last);
        spelt
            || self
                .harmless_names
                .iter()
                .any(|name| word == format!("${name}") || word == format!("${{{name}}}"))
    }

    /// `for name in words`.
    fn enter_loop(&mut self, command: &Command) {
        let mut words = command.words.iter().skip(1);
        let Some(name) = words.next() else { return };
        let harmless = words.skip(1).all(|word| {
            let listed = word.contains("-name") && !word.contains("json") && !word.contains("lock");
            let plain =
                !is_dynamic(word) && !has_mark(word) && !is_lockfile(word) && !is_glob_for_lockfile(word);
            listed || (plain && !word.ends_with("*.json") && !word.ends_with('*') && !word.contains("**"))
        });
        if harmless {
            self.harmless_names.push(name.clone());
        } else {
            self.harmless_names.retain(|known| known != name);
            if mentions(command) {
                self.doubt("a loop runs over the lockfile");
            }
        }
    }

    /// Whether a command that edits in place is given names that only the shell knows.
    fn writes_unknown(&self, command: &Command) -> bool {
        let in_place =
            command.words.iter().any(|word| {
                word.starts_with("-i") || word.starts_with("--in-place") || word.starts_with("-pi")
            }) || command
                .words
                .first()
                .is_some_and(|name| name.ends_with("InPlace") || name == "tee" || name == "sponge");
        let file = |word: &&String| word.starts_with('$') || word.starts_with("./$") || word.starts_with('`');
        in_place && command.words.iter().skip(1).filter(file).any(|word| !self.is_harmless_target(word))
    }

    fn change_folder(&mut self, command: &Command, push: bool) {
        let next = match command.words.get(1) {
            Some(word) if word != "-" => self.target(word).filter(|path| !path.starts_with('\0')),
            _ => None,
        };
        if push {
            self.stack.push(self.state.folder.clone());
        }
        self.state.folder = if command.conditional { None } else { next };
    }

    fn npm(&mut self, command: &Command) {
        let verb =
            command.words.iter().skip(1).find(|word| !word.starts_with('-')).map_or("", String::as_str);
        if !matches!(verb, "" | "config" | "pkg" | "set" | "get" | "view" | "root" | "prefix") {
            self.doubt(&format!("`npm {verb}` may write the lockfile"));
        }
    }

    fn remove(&mut self, command: &Command) {
        for word in command.words.iter().skip(1).filter(|word| !word.starts_with('-')) {
            match self.target(word).as_deref().map(|path| self.slot_of(path)) {
                Some(Some(index)) if command.conditional => {
                    self.doubt_one(index, "the lockfile is removed in a branch");
                }
                Some(Some(index)) => self.state.slots[index] = Slot::Absent,
                None if is_lockfile(word) => {
                    self.doubt("a lockfile is removed in a folder that is not known");
                }
                _ if is_glob_for_lockfile(word) => {
                    self.doubt("files are removed among which the lockfile may be");
                }
                _ => {}
            }
        }
    }
}

/// The program that `lib.getExe package` is.
fn executable(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} "),
        None => "interpolated text".to_owned(),
    }
}
