//! Simple commands: who is called, and what that does.

use std::rc::Rc;

use super::builtins::{self, forget, guard};
use super::cause::Cause;
use super::expand::Place;
use super::field::{Anchor, Field, Seg};
use super::is_lockfile;
use super::log::{Change, File, Key, Origin};
use super::look::Look;
use super::programs::{Arguments, Builtin, Effect, Means, Program, program};
use super::run::{Outcome, Runner, State, Status};
use super::script::{Assigned, Assignment, Redirect, RedirectKind, Word};

/// Who is called.
enum Caller {
    Known(&'static Program),
    /// A program that is not in the table, but no script of the repository: one of a package, or by its bare name.
    Other(Rc<str>),
    /// A file of the source, a script of the repository, or nobody knows.
    Own(Rc<str>),
}

impl Runner<'_> {
    pub(super) fn simple(
        &mut self,
        assignments: &[Assignment],
        words: &[Word],
        redirects: &[Redirect],
        mut state: State,
        tested: bool,
    ) -> Outcome {
        let before = state.clone();
        let words: Vec<Field> = words.iter().flat_map(|word| self.expand(word, &mut state)).collect();
        let name = words.first().map_or_else(String::new, Field::spelt);
        self.declare_locals(&name, words.get(1..).unwrap_or_default(), &mut state);
        self.assign(assignments, words.is_empty() || is_declaration(&name), &mut state);
        let printed = self.printed_file(&words, redirects, &mut state);
        let document = redirects.iter().any(|redirect| redirect.kind == RedirectKind::Document);
        let cause = if document { Cause::Document } else { Cause::Tool(name.as_str().into()) };
        // Before the command is looked for: `> package-lock.json nosuch` empties the file.
        for redirect in redirects {
            self.redirect(redirect, &cause, printed.as_deref(), &mut state);
        }
        let Some((first, rest)) = words.split_first() else {
            let status = if assignments.is_empty() { Status::Zero } else { Status::Unknown };
            return self.outcome(before, state, status, tested);
        };
        // A function comes before the builtin and the program of its name: `cp() { :; }; cp a b` copies nothing.
        match first.known().and_then(|name| state.functions.get(name).cloned()) {
            Some(Some(function)) => return self.call(&function, rest, state, tested),
            Some(None) => {
                state.lose(Cause::Construct("a function that is defined only sometimes".into()));
                return Outcome::success(state);
            }
            None => {}
        }
        if first.loose {
            // Text that is not known may be any command, `cd` and `exit` among them.
            state.lose(Cause::Construct("interpolated text".into()));
            return Outcome::success(state);
        }
        // Of `< a < b` the last one counts.
        let input = redirects.iter().rev().find(|redirect| redirect.kind == RedirectKind::Input);
        self.input = input.map(|redirect| self.expand_one(&redirect.target, &mut state));
        let status = self.dispatch(first, rest, &mut state);
        self.outcome(before, state, status, tested)
    }

    fn assign(&mut self, assignments: &[Assignment], kept: bool, state: &mut State) {
        for Assignment { name, value } in assignments {
            let value = match value {
                Assigned::Word(word) => self.expand_one(word, state),
                Assigned::Other(words) => {
                    for word in words {
                        self.expand(word, state);
                    }
                    Field { loose: true, ..Field::unknown() }
                }
            };
            // `name=value command` sets it for that command only, which looks at none here.
            if kept {
                guard(name, &value, state);
                state.set(name, value);
            }
        }
    }

    /// The file whose bytes `cat file > target` writes.
    fn printed_file(
        &mut self,
        words: &[Field],
        redirects: &[Redirect],
        state: &mut State,
    ) -> Option<Box<File>> {
        let [cat, file] = words else { return None };
        let single = redirects.iter().filter(|redirect| redirect.kind == RedirectKind::Output).count() == 1;
        if cat.known() != Some("cat") || !single || redirects.len() != 1 || file.start().starts_with('-') {
            return None;
        }
        let look = match self.place(file, state) {
            Place::Store(source) => self.stored(&source, true),
            Place::At(key) => self.look(&key, state),
            Place::Elsewhere | Place::Unknown => return None,
        };
        match look {
            Look::File(file) | Look::Perhaps(file) => Some(Box::new(File { writable: true, ..*file })),
            Look::Folder | Look::Absent | Look::Unknown(_) => None,
        }
    }

    pub(super) fn redirect(
        &mut self,
        redirect: &Redirect,
        cause: &Cause,
        printed: Option<&File>,
        state: &mut State,
    ) {
        let target = self.expand_one(&redirect.target, state);
        match redirect.kind {
            RedirectKind::Output | RedirectKind::Change => {
                let place = self.place(&target, state);
                match (printed, place) {
                    // The shell empties the file before `cat` reads it.
                    (Some(File { origin: Origin::Base(from), .. }), Place::At(key)) if *from == key => {
                        self.write(&target, cause.clone(), state);
                    }
                    (Some(file), Place::At(key)) => {
                        self.change(state, Change::File(key, Box::new(file.clone())));
                    }
                    _ => self.write(&target, cause.clone(), state),
                }
            }
            RedirectKind::Input | RedirectKind::Document | RedirectKind::Duplicate => {}
        }
    }

    fn caller(word: &Field) -> Caller {
        let name: Rc<str> = word.base_name().unwrap_or_else(|| "interpolated text".to_owned()).into();
        let known = || program(&name).map_or(Caller::Other(Rc::clone(&name)), Caller::Known);
        match word.segs.as_slice() {
            [Seg::Text(text)] if !text.contains('/') => known(),
            [Seg::Text(text)] if text.starts_with("/bin/") || text.starts_with("/usr/bin/") => known(),
            // A program of a package. What `writeShellScript` and its relatives make is a script of the repository.
            [Seg::Gap(Some(package)), Seg::Text(path)] if is_program(path) => {
                match package.rsplit('.').next() {
                    Some(last) if last.starts_with("write") || last.starts_with("run") => Caller::Own(name),
                    _ => known(),
                }
            }
            _ => Caller::Own(name),
        }
    }

    pub(super) fn dispatch(&mut self, word: &Field, rest: &[Field], state: &mut State) -> Status {
        match Self::caller(word) {
            Caller::Known(program) => self.run_program(program, rest, state),
            Caller::Other(name) => self.other(&name, rest, state),
            Caller::Own(name) => {
                self.change(state, Change::Havoc(Cause::Wild(name)));
                Status::Unknown
            }
        }
    }

    fn run_program(&mut self, program: &'static Program, rest: &[Field], state: &mut State) -> Status {
        let name: Rc<str> = program.name.into();
        match program.effect {
            Effect::Reads if program.name == "chmod" => self.all_there(rest, state),
            Effect::Reads => Status::Unknown,
            Effect::Prints => {
                // `printf -v name` sets a variable.
                if program.name == "printf" && rest.first().and_then(Field::known) == Some("-v") {
                    forget(rest.get(1), state);
                }
                Status::Zero
            }
            Effect::Tests => {
                let closed = if program.name == "[" { &rest[..rest.len().saturating_sub(1)] } else { rest };
                self.test(closed, state)
            }
            Effect::Shell(builtin) => builtins::run(builtin, &name, rest, state),
            Effect::Copies(_)
            | Effect::Removes
            | Effect::MakesFolders
            | Effect::Touches
            | Effect::WritesOperands
            | Effect::Patches
            | Effect::ChangesFolder => match program.arguments(rest) {
                Ok(arguments) => self.with_arguments(program, &arguments, state),
                Err(option) => self.odd_option(program, &option, rest, state),
            },
            Effect::EditsOperands => self.edits(&name, rest, state),
            Effect::EditsWith(options) => {
                let edits = rest.iter().any(|word| options.iter().any(|option| edits_with(word, option)));
                if edits { self.edits(&name, rest, state) } else { self.mentions(&name, rest, state) }
            }
            Effect::SubstitutesInPlace => self.substitute(rest, state),
            Effect::Unpacks => self.unpack(&name, rest, state),
            Effect::Finds => self.find(rest, state),
            Effect::Runs => self.runs(&name, rest, state),
            Effect::Wild => self.wild(&name, rest, state),
        }
    }

    fn with_arguments(&mut self, program: &Program, arguments: &Arguments, state: &mut State) -> Status {
        match program.effect {
            Effect::Copies(kind) => self.copy(kind, program.name, arguments, state),
            Effect::Removes => self.remove(arguments, state),
            Effect::MakesFolders => {
                self.make_folders(&arguments.operands, arguments.has(Means::Parents), state)
            }
            Effect::Touches => self.touch(arguments, state),
            Effect::WritesOperands => {
                for operand in &arguments.operands {
                    self.write(operand, Cause::Tool(program.name.into()), state);
                }
                Status::Unknown
            }
            Effect::Patches => self.patch(arguments, state),
            _ => self.change_folder(program.name == "pushd", arguments, state),
        }
    }

    /// `chmod` of files that are there succeeds: all belong to the build.
    fn all_there(&mut self, rest: &[Field], state: &mut State) -> Status {
        let mut operands = rest.iter().filter(|word| !word.start().starts_with('-')).skip(1);
        let there = operands.all(|word| match self.place(word, state) {
            Place::At(key) => matches!(self.look(&key, &mut state.clone()), Look::File(_) | Look::Folder),
            _ => false,
        });
        if there { Status::Zero } else { Status::Unknown }
    }

    /// An option that is not known: whatever the command names may be anything now.
    fn odd_option(&mut self, program: &Program, option: &str, rest: &[Field], state: &mut State) -> Status {
        let cause = Cause::Option(program.name.into(), option.into());
        if program.effect == Effect::ChangesFolder {
            builtins::lose_folders(state);
            return Status::Unknown;
        }
        if program.effect == Effect::Patches {
            return self.in_doubt_all(cause, state);
        }
        // A file keeps its name in a folder that may be any of those that are named, or the current one.
        let named = |word: &Field| word.base_name().is_some_and(|name| is_lockfile(&name));
        if rest.iter().any(|word| word.loose || named(word)) {
            self.change(state, Change::Havoc(cause));
            return Status::Unknown;
        }
        for word in rest {
            self.write_near(word, &cause, state);
        }
        Status::Unknown
    }

    /// Something happens to a path, or in the folder that it is.
    pub(super) fn write_near(&mut self, word: &Field, cause: &Cause, state: &mut State) {
        match (self.place(word, state), Place::pattern(self, word, state)) {
            (Place::At(key), _) => self.change(state, Change::Doubt(key, cause.clone())),
            // `$NIX_BUILD_TOP/source/*.json`: a folder beside the tree, or the tree.
            (Place::Unknown, Some((Place::Elsewhere, _)))
                if matches!(word.segs.first(), Some(Seg::Anchor(Anchor::BuildTop))) =>
            {
                self.write_unknown(word, true, cause.clone(), state);
            }
            (Place::Elsewhere | Place::Store(_), _)
            | (Place::Unknown, Some((Place::Store(_) | Place::Elsewhere, _))) => {}
            (Place::Unknown, _) => self.write_unknown(word, true, cause.clone(), state),
        }
    }

    fn remove(&mut self, arguments: &Arguments, state: &mut State) -> Status {
        let mut status = Status::Zero;
        for operand in &arguments.operands {
            match (self.place(operand, state), Place::pattern(self, operand, state)) {
                (Place::At(key), _) => {
                    if !self.remove_one(operand, key, arguments, state) {
                        status = Status::Unknown;
                    }
                }
                // `rm -rf ../*` takes the tree away as well.
                (_, Some((Place::At(folder), _)))
                    if arguments.has(Means::Recursive) && folder.path.split('/').all(|part| part == "..") =>
                {
                    status = Status::Unknown;
                    self.change(state, Change::Havoc(Cause::Target("rm".into())));
                }
                (_, Some((Place::At(folder), pattern))) => {
                    status = Status::Unknown;
                    self.change(state, Change::GoneAll(folder, pattern));
                }
                (Place::Elsewhere | Place::Store(_), _) => status = Status::Unknown,
                (Place::Unknown, _) => {
                    status = Status::Unknown;
                    self.write_unknown(
                        operand,
                        arguments.has(Means::Recursive) || operand.loose,
                        Cause::Target("rm".into()),
                        state,
                    );
                }
            }
        }
        status
    }

    /// Removes a path; whether that surely succeeds.
    fn remove_one(&mut self, operand: &Field, key: Key, arguments: &Arguments, state: &mut State) -> bool {
        let look = self.look(&key, state);
        let recursive = arguments.has(Means::Recursive);
        // `rm` of a folder needs `-r`, and fails without it (`rm -f sub || rm package-lock.json`); of `file/` it takes nothing away.
        let fails = matches!(look, Look::Folder) && !recursive
            || matches!(look, Look::File(_)) && operand.spelt().ends_with('/');
        let known = recursive || !is_lockfile(&key.path) || matches!(look, Look::File(_) | Look::Absent);
        if !fails {
            self.change(state, Change::Gone(key));
        }
        arguments.has(Means::Force) && known && !fails
    }

    fn touch(&mut self, arguments: &Arguments, state: &mut State) -> Status {
        for operand in &arguments.operands {
            match self.place(operand, state) {
                Place::At(key) => match self.look(&key, state) {
                    Look::Absent if !arguments.has(Means::Keep) => {
                        self.write(operand, Cause::Tool("touch".into()), state);
                    }
                    _ => {}
                },
                Place::Unknown => self.write_unknown(operand, false, Cause::Target("touch".into()), state),
                Place::Elsewhere | Place::Store(_) => {}
            }
        }
        Status::Unknown
    }

    fn change_folder(&mut self, push: bool, arguments: &Arguments, state: &mut State) -> Status {
        let turns = |word: &Field| word.has_gap() || word.start().starts_with('+');
        if push && arguments.operands.first().is_none_or(turns) {
            builtins::lose_folders(state);
            return Status::Unknown;
        }
        // With it a name may be that of a folder elsewhere.
        let searched = state.variables.contains_key("CDPATH");
        let target = match arguments.operands.as_slice() {
            // `cd -` goes back to where the shell remembers.
            [target] if !searched && target.known() != Some("-") => match self.place(target, state) {
                Place::At(key) => Some(key),
                _ => None,
            },
            _ => None,
        };
        if push {
            Rc::make_mut(&mut state.stack).push(state.folder.clone());
        }
        let status = match &target {
            Some(key) => match self.look(key, state) {
                Look::Folder => Status::Zero,
                Look::File(_) | Look::Absent => Status::NonZero,
                Look::Perhaps(_) | Look::Unknown(_) => Status::Unknown,
            },
            None => Status::Unknown,
        };
        // A `cd` that fails leaves the shell where it was.
        if status != Status::NonZero {
            state.folder = target;
        }
        status
    }
}

/// Whether an option that makes a program write is given: `-i`, `-i.bak`, `-ni`, `--in-place=.bak`.
fn edits_with(word: &Field, option: &str) -> bool {
    let start = word.start();
    if option.starts_with("--") {
        // Abbreviations count, too.
        return start.len() > 2
            && start.starts_with("--")
            && (option.starts_with(start.split('=').next().unwrap_or(start)) || start.starts_with(option));
    }
    let letter = option.chars().nth(1).unwrap_or('-');
    start.starts_with('-') && !start.starts_with("--") && start.contains(letter)
}

fn is_declaration(name: &str) -> bool {
    program(name).is_some_and(|program| program.effect == Effect::Shell(Builtin::Declare))
}

/// `/bin/name`
fn is_program(path: &str) -> bool {
    path.strip_prefix("/bin/").is_some_and(|name| !name.is_empty() && !name.contains('/'))
}
