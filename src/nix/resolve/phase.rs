//! What a phase does to the lockfile.

use std::rc::Rc;

use super::shell::{Command, Embedded, Script, has_mark, is_dynamic};
use crate::nix::files::Files;
use crate::nix::site::Reason;
use crate::nix::source::Source;
use crate::nix::value::Text;

/// The two names under which npm looks for a lockfile; the first one wins.
pub(super) const NAMES: [&str; 2] = ["npm-shrinkwrap.json", "package-lock.json"];

/// The state of one of the two files.
#[derive(Debug, Clone)]
pub(super) enum Slot {
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
pub(super) struct State {
    /// In the order of [`NAMES`].
    pub slots: [Slot; 2],
}

/// Where a phase runs.
pub(super) struct Context<'a> {
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

/// Commands that read, or that write only what they name.
const HARMLESS: &[&str] = &[
    "echo",
    "printf",
    "substituteInPlace",
    "substituteAllInPlace",
    "substitute",
    "substituteAll",
    "patchShebangs",
    "chmod",
    "chown",
    "mkdir",
    "touch",
    "true",
    "false",
    ":",
    "test",
    "[",
    "[[",
    "ls",
    "head",
    "tail",
    "grep",
    "egrep",
    "fgrep",
    "diff",
    "cmp",
    "export",
    "unset",
    "set",
    "declare",
    "local",
    "readonly",
    "shopt",
    "popd",
    "pwd",
    "sed",
    "awk",
    "gawk",
    "perl",
    "jq",
    "find",
    "tr",
    "cut",
    "sort",
    "uniq",
    "wc",
    "rmdir",
    "yq",
    "runHook",
    "date",
    "sleep",
    "exit",
    "return",
    "let",
    "cat",
    "rm",
    "tee",
    "stat",
    "du",
    "env",
    "dos2unix",
    "moreutils",
    "sponge",
    "basename",
    "dirname",
    "which",
    "command",
    "type",
    "trap",
    "umask",
    "nixLog",
    "nixInfoLog",
    "break",
    "continue",
    "shift",
    "icotool",
    "convert",
    "magick",
    "rsvg-convert",
    "appendToVar",
    "prependToVar",
    "concatTo",
    "autoPatchelf",
    "wrapProgram",
    "makeWrapper",
    "install_name_tool",
    "codesign",
    "strings",
    "md5sum",
    "sha256sum",
    "gzip",
    "gunzip",
    "bzip2",
    "xxd",
    "od",
    "addToSearchPath",
    "hash",
];

/// Commands that read the files they are given.
const READERS: &[&str] = &[
    "test",
    "[",
    "[[",
    "ls",
    "head",
    "tail",
    "grep",
    "egrep",
    "fgrep",
    "diff",
    "cmp",
    "chmod",
    "chown",
    "touch",
    "echo",
    "printf",
    "cat",
    "stat",
    "du",
    "wc",
    "jq",
    "md5sum",
    "sha256sum",
    ":",
];

/// Runs a phase over the state.
pub(super) fn run(text: &Text, state: &mut State, context: &Context) {
    let script = Script::new(text);
    let mut reader = Reader {
        script: &script,
        state,
        context,
        cwd: Some(String::new()),
        stack: Vec::new(),
        written: Vec::new(),
        folders: Vec::new(),
        harmless_names: Vec::new(),
    };
    for command in script.commands() {
        reader.command(&command);
    }
}

struct Reader<'a> {
    script: &'a Script,
    state: &'a mut State,
    context: &'a Context<'a>,
    /// The current folder relative to the start; `None` when it is not known.
    cwd: Option<String>,
    stack: Vec<Option<String>>,
    /// Files that a command before wrote, and what they are copies of.
    written: Vec<(String, Option<Rc<Source>>)>,
    /// Variables of loops over names that are no lockfiles.
    harmless_names: Vec<String>,
    /// Folders below `$out` that exist: what is copied onto one of them lands inside.
    folders: Vec<String>,
}

impl Reader<'_> {
    fn doubt(&mut self, message: &str) {
        for slot in &mut self.state.slots {
            *slot = Slot::Doubt(Reason::LockfileEdited, format!("{}: {message}", self.context.name));
        }
    }

    /// One file is in doubt.
    fn doubt_one(&mut self, index: usize, message: &str) {
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
            "popd" => self.cwd = self.stack.pop().flatten(),
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
    fn target(&self, word: &str) -> Option<String> {
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
        let cwd = self.cwd.as_ref()?;
        Some(clean(&format!("{cwd}/{word}")))
    }

    /// Which of the two files a path is.
    fn slot_of(&self, path: &str) -> Option<usize> {
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
    fn is_harmless_target(&self, word: &str) -> bool {
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
            self.stack.push(self.cwd.clone());
        }
        self.cwd = if command.conditional { None } else { next };
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

    fn copy(&mut self, command: &Command, name: &str) {
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

    fn copy_one(
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
    fn copy_into(&mut self, command: &Command, word: &str, folder: &str, keep: bool) {
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

    fn copy_tree(&mut self, command: &Command, source: &Rc<Source>, folder: &str, keep: bool) {
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
    fn source_of(&self, word: &str) -> Option<Rc<Source>> {
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
    fn own_file(&self, word: &str) -> Option<Rc<Source>> {
        let path = clean(&format!("{}/{word}", self.cwd.as_ref()?));
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
    fn variable(&self, word: &str) -> Option<Rc<Source>> {
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

/// The program that `lib.getExe package` is.
fn executable(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} "),
        None => "interpolated text".to_owned(),
    }
}

struct Operands {
    sources: Vec<String>,
    target: String,
    into_folder: bool,
    /// `-n`: an existing file stays.
    keep: bool,
}

fn operands(command: &Command, name: &str) -> Option<Operands> {
    let mut words = Vec::new();
    let mut target = None;
    let mut keep = false;
    let mut folders_only = false;
    let mut args = command.words.iter().skip(1);
    while let Some(word) = args.next() {
        match word.as_str() {
            "-t" | "--target-directory" => target = args.next().cloned(),
            "-m" | "-o" | "-g" | "--mode" | "-S" if name == "install" || name == "cp" => {
                args.next();
            }
            "-d" if name == "install" => folders_only = true,
            "--no-clobber" | "--update=none" => keep = true,
            _ if word.starts_with("--target-directory=") => {
                target = word.split_once('=').map(|(_, t)| t.to_owned());
            }
            _ if word.starts_with("--") => {}
            _ if word.starts_with('-') && word.len() > 1 => {
                keep |= name != "install" && name != "ln" && word.contains('n') && name == "cp";
                if word.ends_with('t') && name != "install" {
                    target = args.next().cloned();
                }
            }
            _ => words.push(word.clone()),
        }
    }
    if folders_only {
        return None;
    }
    let into_folder = target.is_some();
    let target = match target {
        Some(target) => target,
        None if words.len() == 1 && name == "ln" => ".".to_owned(),
        None if words.len() >= 2 => words.pop()?,
        None => return None,
    };
    let into_folder = into_folder || target.ends_with('/') || target == ".";
    Some(Operands { sources: words, target, into_folder, keep })
}

fn clean(path: &str) -> String {
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

fn is_lockfile(word: &str) -> bool {
    NAMES.iter().any(|name| word.contains(name)) || word.contains("package-lock")
}

fn is_glob_for_lockfile(word: &str) -> bool {
    matches!(
        word,
        "*" | "./*"
            | "*.json"
            | "./*.json"
            | "package*"
            | "package*.json"
            | "./package*"
            | "*lock*"
            | "*-lock.json"
    )
}

/// Whether any word or redirection of a command names a lockfile.
fn mentions(command: &Command) -> bool {
    command.words.iter().chain(&command.inputs).any(|word| is_lockfile(word))
}

/// Whether a command may write files that its words do not spell out.
fn touches_many(command: &Command) -> bool {
    let words = &command.words;
    if words.iter().skip(1).any(|word| is_glob_for_lockfile(word) || word.ends_with("*.json")) {
        return true;
    }
    let runs_others = words
        .iter()
        .any(|word| word == "xargs" || word == "-exec" || word == "-delete" || word == "-execdir");
    let named = words.iter().any(|word| word == "-name" || word == "-iname" || word == "-path");
    runs_others && !named
}

/// The name that a copied file keeps; a path in the store has a hash before it.
fn plain_name(word: &str) -> Option<&str> {
    let name = word.rsplit('/').next()?;
    (!has_mark(name) && !is_dynamic(name)).then_some(name)
}
