//! Runs a script over what is known: control flow, and states that meet.
//!
//! nixpkgs' stdenv runs phases with `set -e` and `pipefail`: a command that is not asked for its outcome succeeds, or there
//! is no build and no hash. Where the outcome is asked for (`if`, `&&`, `||`, `!`) both are followed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use nix_lang::budget::{Budget, Cost};
use nix_lang::files::Files;
use nix_lang::value::source::Source;
use nix_lang::value::{Piece, Text, Unknown};

use super::cause::Cause;
use super::field::{Anchor, Field, Seg};
use super::log::{At, Change, Key, Log, Root, START};
use super::parse::{ParseError, Symbol, parse};
use super::script::{AndOr, Command, Joint, Kind, List, Pipeline, Word};

/// An interpolation of the Nix string.
#[derive(Debug, Clone)]
pub(super) enum Hole {
    /// The files of a source.
    Source(Rc<Source>),
    Unknown(Rc<Unknown>),
}

/// A script that was read, to be run as often as it is needed.
#[derive(Debug, Clone)]
pub struct Script {
    list: Rc<Result<List, ParseError>>,
    holes: Rc<[Hole]>,
}

impl Script {
    /// Reads a script.
    pub fn new(text: &Text) -> Self {
        let (mut symbols, mut holes) = (Vec::new(), Vec::new());
        for piece in &text.pieces {
            match piece {
                Piece::Text(text) => symbols.extend(text.chars().map(Symbol::Char)),
                Piece::Source(source) => {
                    symbols.push(Symbol::Hole(holes.len()));
                    holes.push(Hole::Source(Rc::clone(source)));
                }
                Piece::Unknown(unknown) => {
                    symbols.push(Symbol::Hole(holes.len()));
                    holes.push(Hole::Unknown(Rc::clone(unknown)));
                }
            }
        }
        Self { list: Rc::new(parse(&symbols)), holes: Rc::from(holes) }
    }
}

/// What stands in a tree before the script runs.
#[derive(Debug, Clone)]
pub enum Ground {
    /// The files of a source.
    Source(Rc<Source>),
    /// Nothing: `$out` of most builds.
    Nothing,
    /// Not known.
    Unknown,
}

/// How a word is made to several, and patterns to names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Globs {
    On,
    Off,
    /// Options of the shell that are not followed decide.
    Odd,
}

/// A function of the script, and the interpolations of the script it stands in.
pub(super) type Function = (Rc<Command>, Rc<[Hole]>);

/// Everything that a command can change.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub at: At,
    /// The current folder, where it is known.
    pub folder: Option<Key>,
    pub stack: Rc<Vec<Option<Key>>>,
    pub variables: Rc<BTreeMap<String, Field>>,
    /// Those that the running function has declared as its own.
    pub locals: Rc<BTreeSet<String>>,
    pub functions: Rc<BTreeMap<String, Option<Function>>>,
    /// `$1` and so on, where they are known.
    pub arguments: Option<Rc<Vec<Field>>>,
    /// `set -e`
    pub strict: bool,
    pub globs: Globs,
    /// Nothing can be said of what follows.
    pub lost: Option<Cause>,
    /// This is never reached.
    pub dead: bool,
    /// How many subshells are open.
    pub nested: u32,
}

/// The state behind a command that succeeded, and behind one that failed.
pub(super) struct Outcome {
    pub ok: State,
    pub fail: State,
}

/// Whether a command succeeds, if it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Zero,
    NonZero,
    Unknown,
}

/// Functions of a script that call each other deeper than this are not followed.
const DEEPEST_CALL: u32 = 8;
/// Rounds of a loop whose number is not known, until its doubts are all found.
const ROUNDS: usize = 3;

pub(super) struct Runner<'a> {
    pub files: &'a Files,
    pub tree: Ground,
    pub out: Ground,
    pub holes: Rc<[Hole]>,
    pub log: Log,
    /// Commands, and entries of the log that are looked at, are paid from the survey's budget.
    budget: &'a Budget,
    calls: u32,
    /// The file that the running command reads as its input.
    pub input: Option<Field>,
    /// The names of the folders around the tree that belong to its source, the innermost last.
    pub above: Vec<String>,
}

impl State {
    fn start() -> Self {
        Self {
            at: START,
            folder: Some(Key::new(Root::Tree, "")),
            stack: Rc::default(),
            variables: Rc::default(),
            locals: Rc::default(),
            functions: Rc::default(),
            arguments: None,
            strict: true,
            globs: Globs::On,
            lost: None,
            dead: false,
            nested: 0,
        }
    }

    pub fn set(&mut self, name: &str, value: Field) {
        Rc::make_mut(&mut self.variables).insert(name.to_owned(), value);
    }

    /// `local name`: the caller's variable of that name comes back when the function ends.
    fn declare_local(&mut self, name: &str) {
        Rc::make_mut(&mut self.locals).insert(name.to_owned());
        self.set(name, Field { loose: true, ..Field::unknown() });
    }

    /// A function ends, and the variables of its caller come back. It may have declared them its own on some ways only, so
    /// that of those with another value than before nothing is known.
    fn end_locals(&mut self, before: &BTreeMap<String, Field>, outer: &Rc<BTreeSet<String>>) {
        for name in std::mem::replace(&mut self.locals, Rc::clone(outer)).iter() {
            if self.variables.get(name) != before.get(name) {
                self.set(name, Field { loose: true, ..Field::unknown() });
            }
        }
    }

    pub(crate) fn lose(&mut self, cause: Cause) {
        self.lost.get_or_insert(cause);
    }
}

impl Outcome {
    pub fn success(state: State) -> Self {
        let fail = State { dead: true, ..state.clone() };
        Self { ok: state, fail }
    }

    /// Whether it succeeded is not known, and matters only where it is asked for.
    fn either(state: State, tested: bool) -> Self {
        if tested { Self { ok: state.clone(), fail: state } } else { Self::success(state) }
    }
}

impl<'a> Runner<'a> {
    pub fn new(files: &'a Files, budget: &'a Budget, tree: Ground, out: Ground) -> (Self, State) {
        let runner = Self {
            files,
            tree,
            out,
            holes: Rc::from([]),
            log: Log::default(),
            budget,
            calls: 0,
            input: None,
            above: Vec::new(),
        };
        (runner, State::start())
    }

    /// Runs a script behind a state.
    pub fn script(&mut self, script: &Script, mut state: State) -> State {
        self.holes = Rc::clone(&script.holes);
        match &*script.list {
            Ok(list) => {
                let Outcome { ok, fail } = self.list(list, state, false);
                self.meet(ok, fail)
            }
            Err(error) => {
                state.lose(Cause::Syntax(error.to_string().into()));
                state
            }
        }
    }

    /// Takes a step of the budget; `false` when it is spent.
    pub fn spend(&mut self, steps: u64, state: &mut State) -> bool {
        let steps = usize::try_from(steps).unwrap_or(usize::MAX);
        let paid = self.budget.charge(Cost::Items(steps), None).is_ok();
        if !paid {
            state.lose(Cause::Budget);
        }
        paid
    }

    pub fn change(&mut self, state: &mut State, change: Change) {
        state.at = self.log.add(state.at, change);
    }

    /// One state for two.
    pub fn meet(&mut self, a: State, b: State) -> State {
        if a.dead || b.dead {
            return if a.dead { b } else { a };
        }
        let mut state = a;
        state.lost = state.lost.or(b.lost);
        if state.at != b.at {
            let mut steps = 1;
            let from = self.log.common(state.at, b.at, &mut steps);
            let either = Change::Either { a: state.at, b: b.at, from, cause: Cause::Sometimes };
            state.at = self.log.add(from, either);
            self.spend(steps, &mut state);
        }
        state.folder = state.folder.filter(|folder| b.folder.as_ref() == Some(folder));
        if !Rc::ptr_eq(&state.stack, &b.stack) && state.stack != b.stack {
            state.lose(Cause::Construct("`pushd` in a branch".into()));
        }
        if !Rc::ptr_eq(&state.variables, &b.variables) {
            self.spend(state.variables.len() as u64, &mut state);
            self.spend(b.variables.len() as u64, &mut state);
            state.variables = Rc::new(common_variables(&state.variables, &b.variables));
        }
        if !Rc::ptr_eq(&state.locals, &b.locals) {
            Rc::make_mut(&mut state.locals).extend(b.locals.iter().cloned());
        }
        if !Rc::ptr_eq(&state.functions, &b.functions) {
            let names = state.functions.keys().chain(b.functions.keys());
            // One that only a branch defines may as well be a program of that name, or nothing.
            let both = names.map(|name| (name.clone(), None)).collect();
            state.functions = Rc::new(both);
        }
        if state.strict != b.strict || state.globs != b.globs {
            state.strict = false;
            state.globs = Globs::Odd;
        }
        state
    }

    /// What follows from a command's outcome: outside of tests, failing stops the build.
    pub fn outcome(&mut self, before: State, after: State, status: Status, tested: bool) -> Outcome {
        let dead = |state: &State| State { dead: true, ..state.clone() };
        if !tested && after.strict {
            let mut ok = after;
            ok.dead |= status == Status::NonZero;
            return Outcome { fail: dead(&ok), ok };
        }
        match status {
            Status::Zero => Outcome { fail: dead(&after), ok: after },
            Status::NonZero => Outcome { ok: dead(&after), fail: self.meet(before, after) },
            Status::Unknown => Outcome { ok: after.clone(), fail: self.meet(before, after) },
        }
    }

    pub fn list(&mut self, list: &List, state: State, tested: bool) -> Outcome {
        let mut outcome = Outcome::success(state);
        for item in &list.0 {
            let state = self.meet(outcome.ok, outcome.fail);
            outcome = self.and_or(item, state, tested);
        }
        outcome
    }

    fn and_or(&mut self, item: &AndOr, mut state: State, tested: bool) -> Outcome {
        if item.background {
            // It may write now, or after all that follows.
            state.lose(Cause::Construct("a command in the background".into()));
        }
        let last = item.rest.len();
        let mut outcome = self.pipeline(&item.first, state, tested || last > 0);
        for (i, (joint, pipeline)) in item.rest.iter().enumerate() {
            // Under `set -e` only the last command of `a && b` ends the shell: `false && true; rm package-lock.json` goes on.
            let asked = tested || i + 1 < last;
            let Outcome { ok, fail } = outcome;
            outcome = match joint {
                Joint::And => {
                    let next = self.pipeline(pipeline, ok, asked);
                    Outcome { ok: next.ok, fail: self.meet(fail, next.fail) }
                }
                Joint::Or => {
                    let next = self.pipeline(pipeline, fail, asked);
                    Outcome { ok: self.meet(ok, next.ok), fail: next.fail }
                }
            };
        }
        outcome
    }

    fn pipeline(&mut self, pipeline: &Pipeline, state: State, tested: bool) -> Outcome {
        // `! command` never ends the shell, whichever way it goes.
        let tested = tested || pipeline.negated;
        let mut outcome = match pipeline.commands.as_slice() {
            [only] => self.command(only, state, tested),
            many => self.piped(many, state, tested),
        };
        if pipeline.negated {
            std::mem::swap(&mut outcome.ok, &mut outcome.fail);
        }
        outcome
    }

    /// Every command of a longer pipeline runs in a shell of its own, all at the same time.
    fn piped(&mut self, commands: &[Command], mut now: State, tested: bool) -> Outcome {
        for command in commands {
            let before = now.clone();
            let inner = State { nested: now.nested + 1, ..now };
            let Outcome { ok, fail } = self.command(command, inner, tested);
            now = self.leave(before, ok, fail);
        }
        Outcome::either(now, tested)
    }

    /// What a subshell leaves: its files, but neither variables nor folders.
    fn leave(&mut self, before: State, ok: State, fail: State) -> State {
        let inner = self.meet(ok, fail);
        State { at: inner.at, lost: inner.lost, dead: inner.dead, ..before }
    }

    fn command(&mut self, command: &Command, mut state: State, tested: bool) -> Outcome {
        if !self.spend(1, &mut state) || state.dead || state.lost.is_some() {
            return Outcome::success(state);
        }
        if let Kind::Simple { assignments, words } = &command.kind {
            return self.simple(assignments, words, &command.redirects, state, tested);
        }
        let cause = Cause::Tool("a group of commands".into());
        for redirect in &command.redirects {
            self.redirect(redirect, &cause, None, &mut state);
        }
        let mut outcome = self.compound(&command.kind, state, tested);
        for redirect in &command.redirects {
            // Into the same file from both: whichever wrote last is not followed.
            self.redirect(redirect, &cause, None, &mut outcome.ok);
            self.redirect(redirect, &cause, None, &mut outcome.fail);
        }
        outcome
    }

    fn compound(&mut self, kind: &Kind, mut state: State, tested: bool) -> Outcome {
        match kind {
            Kind::Group(list) => self.list(list, state, tested),
            Kind::Subshell(list) => {
                let inner = State { nested: state.nested + 1, ..state.clone() };
                let Outcome { ok, fail } = self.list(list, inner, tested);
                let leave = |inner: State| State {
                    at: inner.at,
                    lost: inner.lost,
                    dead: inner.dead,
                    ..state.clone()
                };
                Outcome { ok: leave(ok), fail: leave(fail) }
            }
            Kind::If { branches, otherwise } => self.branches(branches, otherwise.as_ref(), state, tested),
            Kind::While { condition, body } => {
                Outcome::either(self.havoc(Some(condition), body, None, state, tested), tested)
            }
            Kind::For { name, words, body } => self.for_loop(name, words.as_deref(), body, state, tested),
            Kind::Case { subject, arms } => {
                self.expand(subject, &mut state);
                // Patterns are not held against the subject: any arm may be the one, or none.
                let mut all = Outcome::either(state.clone(), tested);
                for arm in arms {
                    let one = self.list(arm, state.clone(), tested);
                    all = Outcome { ok: self.meet(all.ok, one.ok), fail: self.meet(all.fail, one.fail) };
                }
                all
            }
            Kind::Function { name, body } => {
                let function = (Rc::clone(body), Rc::clone(&self.holes));
                Rc::make_mut(&mut state.functions).insert(name.clone(), Some(function));
                Outcome::success(state)
            }
            Kind::Condition(words) => {
                let words: Vec<Field> = words.iter().flat_map(|word| self.expand(word, &mut state)).collect();
                let status = self.test(&words, &state);
                self.outcome(state.clone(), state, status, tested)
            }
            Kind::Arithmetic | Kind::Simple { .. } => {
                // It assigns, and fails where the result is zero: `((n++))` ends a phase where `n` was 0.
                state.lose(Cause::Construct("`((...))`".into()));
                Outcome::success(state)
            }
        }
    }

    fn branches(
        &mut self,
        branches: &[(List, List)],
        otherwise: Option<&List>,
        state: State,
        tested: bool,
    ) -> Outcome {
        let mut rest = state;
        let mut all: Option<Outcome> = None;
        for (condition, body) in branches {
            let Outcome { ok, fail } = self.list(condition, rest, true);
            let one = self.list(body, ok, tested);
            all = Some(self.either(all, one));
            rest = fail;
        }
        let last = match otherwise {
            Some(list) => self.list(list, rest, tested),
            // An `if` of which no branch runs succeeds.
            None => Outcome::success(rest),
        };
        self.either(all, last)
    }

    fn either(&mut self, a: Option<Outcome>, b: Outcome) -> Outcome {
        match a {
            None => b,
            Some(a) => Outcome { ok: self.meet(a.ok, b.ok), fail: self.meet(a.fail, b.fail) },
        }
    }

    fn for_loop(
        &mut self,
        name: &str,
        words: Option<&[Word]>,
        body: &List,
        mut state: State,
        tested: bool,
    ) -> Outcome {
        let words: Vec<Field> = match words {
            Some(words) => words.iter().flat_map(|word| self.expand(word, &mut state)).collect(),
            None => match &state.arguments {
                Some(arguments) => arguments.to_vec(),
                None => vec![Field { loose: true, ..Field::unknown() }],
            },
        };
        let jumps = leaves_early(body);
        // The last round decides: `for f in a b; do false; done || rm package-lock.json`.
        let mut outcome = Outcome::success(state);
        for word in words {
            let mut state = self.meet(outcome.ok, outcome.fail);
            outcome = if jumps || word.loose || word.is_pattern() {
                let value = Field { loose: false, ..word };
                Outcome::either(self.havoc(None, body, Some((name, &value)), state, tested), tested)
            } else {
                state.set(name, word);
                self.list(body, state, tested)
            };
        }
        outcome
    }

    /// A body that runs any number of times: whatever it changes is in doubt, before it runs as well as behind it.
    fn havoc(
        &mut self,
        condition: Option<&List>,
        body: &List,
        variable: Option<(&str, &Field)>,
        mut state: State,
        tested: bool,
    ) -> State {
        let mut known: Vec<Change> = Vec::new();
        for _ in 0..ROUNDS {
            let (start, end) = self.round(condition, body, variable, state.clone(), tested);
            // A round that fails ends the build: where there is one, no round was run.
            if end.dead {
                return state;
            }
            let mut steps = 1;
            let doubts = self.log.doubts(end.at, start, &Cause::Loop, &mut steps);
            let variables = common_variables(&state.variables, &end.variables);
            let quiet = end.folder == state.folder && alike(&variables, &state.variables);
            let fresh: Vec<Change> =
                doubts.into_iter().filter(|doubt| !known.iter().any(|k| k.covers(doubt))).collect();
            let settled = fresh.is_empty() && quiet;
            state.lost = state.lost.or(end.lost);
            state.folder = state.folder.filter(|folder| end.folder.as_ref() == Some(folder));
            state.variables = Rc::new(variables);
            state.functions = end.functions;
            if end.strict != state.strict || end.globs != state.globs || end.stack != state.stack {
                state.lose(Cause::Construct("an option of the shell that a loop sets".into()));
            }
            for doubt in fresh {
                known.push(doubt.clone());
                self.change(&mut state, doubt);
            }
            let sizes = [steps, state.variables.len() as u64, known.len() as u64];
            if !self.spend(sizes.iter().sum(), &mut state) || settled {
                return state;
            }
        }
        self.change(&mut state, Change::Havoc(Cause::Loop));
        state.folder = None;
        state.variables =
            Rc::new(state.variables.keys().map(|name| (name.clone(), Field::unknown())).collect());
        state
    }

    /// One round of a loop: where the log stood at its beginning, and the state behind it.
    fn round(
        &mut self,
        condition: Option<&List>,
        body: &List,
        variable: Option<(&str, &Field)>,
        mut state: State,
        tested: bool,
    ) -> (At, State) {
        if let Some((name, value)) = variable {
            state.set(name, value.clone());
        }
        let start = state.at;
        if let Some(condition) = condition {
            let Outcome { ok, fail } = self.list(condition, state, true);
            state = self.meet(ok, fail);
        }
        let Outcome { ok, fail } = self.list(body, state, tested);
        (start, self.meet(ok, fail))
    }

    /// Calls a function of the script.
    pub fn call(&mut self, function: &Function, arguments: &[Field], state: State, tested: bool) -> Outcome {
        let (body, holes) = function;
        let mut inner = state;
        if self.calls >= DEEPEST_CALL {
            inner.lose(Cause::Construct("functions that call themselves".into()));
            return Outcome::success(inner);
        }
        let outer = inner.arguments.take();
        let (variables, locals) = (Rc::clone(&inner.variables), std::mem::take(&mut inner.locals));
        let whole = arguments.iter().all(|argument| !argument.loose);
        inner.arguments = whole.then(|| Rc::new(arguments.to_vec()));
        let holes = std::mem::replace(&mut self.holes, Rc::clone(holes));
        self.calls += 1;
        let mut outcome = self.command(body, inner, tested);
        self.calls -= 1;
        self.holes = holes;
        for end in [&mut outcome.ok, &mut outcome.fail] {
            end.arguments.clone_from(&outer);
            end.end_locals(&variables, &locals);
        }
        outcome
    }

    /// The variables that `local` and its relatives name are the function's own, if one is running.
    pub fn declare_locals(&self, name: &str, words: &[Field], state: &mut State) {
        if self.calls > 0 && matches!(name, "local" | "declare" | "typeset") {
            for name in words.iter().filter_map(Field::known).filter(|word| !word.starts_with('-')) {
                state.declare_local(name);
            }
        }
    }

    /// The path of a folder that has a name of its own.
    pub fn anchored(anchor: &Anchor, rest: &str) -> Option<Key> {
        match anchor {
            Anchor::Out => Some(Key::new(Root::Out, rest)),
            Anchor::Tree(path) => Some(Key::new(Root::Tree, &format!("{path}/{rest}"))),
            Anchor::BuildTop | Anchor::Elsewhere => None,
        }
    }
}

/// The variables that both states agree on; the others are not known any more.
fn common_variables(a: &BTreeMap<String, Field>, b: &BTreeMap<String, Field>) -> BTreeMap<String, Field> {
    let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
    let one = |name: &String| match (a.get(name), b.get(name)) {
        (Some(x), Some(y)) if x == y => x.clone(),
        _ => Field { segs: vec![Seg::Gap(None)], loose: true },
    };
    names.map(|name| (name.clone(), one(name))).collect()
}

/// Whether as much is known of variables as of those that two states agree on: these are the same, or any text.
fn alike(common: &BTreeMap<String, Field>, variables: &BTreeMap<String, Field>) -> bool {
    common.len() == variables.len()
        && common.values().zip(variables.values()).all(|(a, b)| a.loose == b.loose)
}

/// Whether a loop's body may end its round, or the loop, before its end.
fn leaves_early(list: &List) -> bool {
    let pipelines =
        list.0.iter().flat_map(|item| std::iter::once(&item.first).chain(item.rest.iter().map(|(_, p)| p)));
    pipelines.flat_map(|pipeline| &pipeline.commands).any(|command| match &command.kind {
        Kind::Simple { words, .. } => words
            .first()
            .and_then(Word::literal)
            .is_some_and(|word| matches!(word.as_str(), "break" | "continue")),
        Kind::Group(list) | Kind::Subshell(list) => leaves_early(list),
        Kind::If { branches, otherwise } => {
            branches.iter().any(|(condition, body)| leaves_early(condition) || leaves_early(body))
                || otherwise.as_ref().is_some_and(leaves_early)
        }
        Kind::While { condition, body } => leaves_early(condition) || leaves_early(body),
        Kind::For { body, .. } => leaves_early(body),
        Kind::Case { arms, .. } => arms.iter().any(leaves_early),
        Kind::Function { .. } | Kind::Condition(_) | Kind::Arithmetic => false,
    })
}
