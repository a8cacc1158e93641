//! Entry points, and the guarantee that no hash attribute of the text is dropped.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use nix_lang::eval::{Env, Eval};
use nix_lang::syntax::ast::{Expr, ExprId, Location, Param};
use nix_lang::value::{Closure, Code, EnvId, Kind, Move, Value};
use nixpkgs_model::flake;
use nixpkgs_model::packages::record::Declarations as _;
use tracing::debug;

use super::dead::Unused;
use super::seen::Seen;
use super::tarballs;
use super::walk::{Walker, blind_argument, call_blindly};
use crate::areas::Areas;
use crate::occurrences::{Occurrence, children, inside};

/// The occurrences of every file that has any.
pub(crate) type Index = BTreeMap<PathBuf, Vec<Occurrence>>;

/// Where an evaluation may begin.
pub(crate) struct Entries<'a> {
    /// Folders with a `flake.nix`.
    pub flakes: &'a [PathBuf],
    /// Files that lead to hashes, first those that nothing imports.
    pub roots: &'a [PathBuf],
    pub index: &'a Index,
    /// Parts of the tree that have nothing to do with each other.
    pub areas: &'a Areas,
}

/// The evaluation of one repository in one configuration.
pub(crate) struct Sweep<'a> {
    pub ev: &'a mut Eval,
    /// What is observed of it.
    pub seen: Rc<Seen>,
    pub entries: &'a Entries<'a>,
    /// Bindings of hashes that nothing reads, and why.
    pub dead: BTreeMap<Location, Unused>,
    walker: Walker,
    done: HashSet<Location>,
    /// Literals that arrived at some record, and how many records were looked at.
    pub(super) tokens: HashSet<Location>,
    looked_at: usize,
    /// How many downloads were looked at.
    downloads: usize,
    /// The bindings of the hashes of those records.
    bindings: HashSet<Location>,
}

impl<'a> Sweep<'a> {
    /// Nothing evaluated yet.
    pub fn new(ev: &'a mut Eval, seen: Rc<Seen>, entries: &'a Entries<'a>) -> Self {
        let walker = Walker::new(Rc::clone(&seen));
        Self {
            ev,
            seen,
            entries,
            dead: BTreeMap::new(),
            walker,
            done: HashSet::new(),
            tokens: HashSet::new(),
            looked_at: 0,
            downloads: 0,
            bindings: HashSet::new(),
        }
    }

    /// Watches the literals of all hash attributes.
    pub fn watch(&self) {
        let all = self.entries.index.values().flatten();
        let literals: Vec<Location> = all.filter_map(|occurrence| literal_of(self.ev, occurrence)).collect();
        self.seen.watch(literals);
    }

    /// Evaluates flakes, then files that nothing imported, then files whose hashes nothing accounts for.
    pub fn reach(&mut self) {
        for folder in self.entries.flakes {
            self.entry(folder, |sweep| {
                let thunk = flake::outputs(sweep.ev, folder);
                sweep.walker.visit(sweep.ev, thunk, Some(""), 0);
            });
        }
        for path in self.entries.roots {
            if !self.ev.was_imported(path) {
                self.file(path);
            }
        }
        for path in self.entries.index.keys() {
            if !self.open_in(path).is_empty() {
                self.file(path);
            }
        }
    }

    /// Evaluates what is bound, but reached by nothing.
    pub fn enter(&mut self) {
        for path in self.entries.index.keys() {
            for occurrence in self.worth_entering(path) {
                if self.is_worth_entering(path, &occurrence) {
                    self.entry(path, |sweep| sweep.enter_at(&occurrence));
                }
            }
        }
        // The last of them leaves records, too.
        self.look_at_records();
    }

    /// The occurrences that no record accounts for.
    pub fn open(&mut self) -> Vec<Occurrence> {
        self.entries.index.keys().flat_map(|path| self.open_in(path)).collect()
    }

    /// Runs one entry point, which is or lies in `path`, with its share of the budget, then every function that it leaves
    /// uncalled.
    fn entry(&mut self, path: &Path, run: impl FnOnce(&mut Self)) {
        let began = Instant::now();
        self.ev.budget.begin();
        run(self);
        self.walker.drain(self.ev);
        self.walker.catch_up(self.ev);
        self.call_the_uncalled();
        let budget_left = self.ev.budget.rest();
        debug!(file = %path.display(), took = ?began.elapsed(), budget_left, "evaluated");
    }

    /// Functions with hash attributes that nothing called so far.
    fn call_the_uncalled(&mut self) {
        // What a call gives may hold further functions, which come in the next round.
        for _ in 0..8 {
            let closures = std::mem::take(&mut self.walker.closures);
            let mut waiting: Vec<(Rc<Closure>, bool)> =
                closures.into_iter().filter(|(closure, _)| self.is_worth(closure)).collect();
            // Of a function that was met several times, one offer as an overlay is enough.
            waiting.sort_by_key(|(closure, offered)| (closure.code.location(), !offered));
            waiting.dedup_by_key(|(closure, _)| closure.code.location());
            if waiting.is_empty() {
                return;
            }
            for (closure, offered) in waiting {
                let folder = self.ev.folder(closure.code.ast.file);
                self.done.insert(closure.code.location());
                let value = call_blindly(self.ev, &closure, &folder, offered);
                self.walker.visit_value(self.ev, &value, None, 0);
                self.walker.drain(self.ev);
            }
        }
    }

    fn is_worth(&self, closure: &Closure) -> bool {
        let here = closure.code.location();
        if self.seen.was_entered(here) || self.done.contains(&here) {
            return false;
        }
        let path = &self.ev.files.get(here.file).path;
        let holds = |all: &Vec<Occurrence>| !inside(all, here.span).is_empty();
        self.entries.index.get(path).is_some_and(holds) || self.imports_candidates(here)
    }

    /// Whether a function names other files, which may hold hashes.
    fn imports_candidates(&self, here: Location) -> bool {
        let text = self.ev.files.text(here);
        text.contains("callPackage") || text.contains("import ")
    }

    /// Evaluates a file on its own.
    fn file(&mut self, path: &Path) {
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        self.entry(path, |sweep| {
            let Ok(thunk) = sweep.ev.file_thunk(path) else { return };
            let value = sweep.ev.force(thunk);
            sweep.value(&value, &folder, 0);
        });
    }

    fn value(&mut self, value: &Value, folder: &Path, depth: u32) {
        match &value.kind {
            // A file may take its arguments in turns: `{ lib }: { pkgs }: ...`.
            Kind::Lambda(closure) if depth < 4 => {
                let result = call_blindly(self.ev, closure, folder, false);
                self.value(&result, folder, depth + 1);
            }
            _ => self.walker.visit_value(self.ev, value, Some(""), 0),
        }
    }

    /// The occurrences of a file that no record accounts for so far.
    fn open_in(&mut self, path: &Path) -> Vec<Occurrence> {
        self.look_at_records();
        let Some(all) = self.entries.index.get(path) else { return Vec::new() };
        all.iter().filter(|occurrence| self.is_open(occurrence, all)).cloned().collect()
    }

    /// Whether nothing accounts for an occurrence; notes why it is dead if it is.
    fn is_open(&mut self, occurrence: &Occurrence, all: &[Occurrence]) -> bool {
        if self.is_accounted_for(occurrence) {
            return false;
        }
        let why = self.is_dead(occurrence, all);
        if let Some(why) = why
            && occurrence.value.is_some()
            && !occurrence.argument
        {
            self.dead.entry(occurrence.at).or_insert(why);
        }
        why.is_none()
    }

    fn is_accounted_for(&self, occurrence: &Occurrence) -> bool {
        self.bindings.contains(&occurrence.at) || self.is_literal_used(occurrence)
    }

    /// Open occurrences, and those that only this repository's own use makes dead: they may be right by themselves.
    fn worth_entering(&mut self, path: &Path) -> Vec<Occurrence> {
        let mut all = self.open_in(path);
        let Some(index) = self.entries.index.get(path) else { return all };
        all.extend(index.iter().filter(|occurrence| self.is_standalone(occurrence)).cloned());
        all
    }

    fn is_worth_entering(&mut self, path: &Path, occurrence: &Occurrence) -> bool {
        self.look_at_records();
        let Some(all) = self.entries.index.get(path) else { return false };
        self.is_open(occurrence, all) || self.is_standalone(occurrence)
    }

    fn is_standalone(&self, occurrence: &Occurrence) -> bool {
        let standalone = self.known_dead(occurrence.at).is_some_and(Unused::may_stand_alone);
        standalone && !self.is_accounted_for(occurrence)
    }

    /// Whether an occurrence or its literal was on the way of the hash of some record.
    fn is_literal_used(&self, occurrence: &Occurrence) -> bool {
        self.tokens.contains(&occurrence.at)
            || literal_of(self.ev, occurrence).is_some_and(|own| self.tokens.contains(&own))
    }

    pub(super) fn look_at_records(&mut self) {
        self.downloads = tarballs::declare(self.ev, self.downloads);
        while let Some(record) = self.ev.declared().records.get(self.looked_at).cloned() {
            self.looked_at += 1;
            self.bindings.extend(record.binding());
            // The entry that left the record may have spent its share.
            self.ev.budget.begin();
            if let Some(value) = self.ev.peek_attr(&record.args, record.hash_name(), record.call) {
                tokens_of(&value, &mut self.tokens);
            }
        }
    }

    /// Evaluates the call around an occurrence with unknown arguments for every function around it.
    fn enter_at(&mut self, occurrence: &Occurrence) {
        let Some(ast) = self.ev.ast(occurrence.at.file) else { return };
        let folder = self.ev.folder(occurrence.at.file);
        let mut code = Code { id: ast.root, ast };
        let mut env = EnvId(0);
        let mut call: Option<(Code, EnvId)> = None;
        loop {
            if Some(code.location()) == occurrence.lambda {
                let value = call_blindly(self.ev, &Closure { code, env }, &folder, false);
                self.walker.visit_value(self.ev, &value, None, 0);
                return;
            }
            env = self.scope_of(&code, env, &folder, occurrence);
            let next = children(code.ast.expr(code.id))
                .into_iter()
                .find(|id| code.ast.location(*id).span.contains(occurrence.at.span));
            let Some(next) = next else { break };
            if let Expr::Apply(_, argument) = code.ast.expr(code.id)
                && *argument == next
            {
                call = Some((code.clone(), env));
            }
            code = code.at(next);
        }
        if let Some((code, env)) = call {
            let value = self.ev.eval(&code, env);
            self.walker.visit_value(self.ev, &value, None, 0);
        }
    }

    /// The scope inside a node.
    fn scope_of(&mut self, code: &Code, env: EnvId, folder: &Path, occurrence: &Occurrence) -> EnvId {
        match code.ast.expr(code.id) {
            Expr::Let { bindings, .. } => self.ev.bind(code, &Rc::clone(bindings), env),
            Expr::Set { recursive: true, bindings } | Expr::LegacyLet(bindings) => {
                self.ev.bind(code, &Rc::clone(bindings), env)
            }
            Expr::With { namespace, body } if is_around(code, *body, occurrence) => {
                let namespace = self.ev.delay(code.at(*namespace), env);
                self.ev.scope(Env::with(env, namespace))
            }
            Expr::Lambda(lambda) => {
                let lambda = Rc::clone(lambda);
                let closure = Closure { code: code.clone(), env };
                let argument = blind_argument(self.ev, &lambda, folder, code.location());
                match &lambda.param {
                    Param::Ident(name) => self.ev.scope(Env::names(env, vec![(Rc::clone(name), argument)])),
                    Param::Pattern { formals, bind, .. } => {
                        let value = self.ev.force(argument);
                        self.ev.match_formals(&closure, formals, bind.as_ref(), &value, code.location())
                    }
                }
            }
            _ => env,
        }
    }
}

fn tokens_of(value: &Value, tokens: &mut HashSet<Location>) {
    match &value.kind {
        Kind::Alt(values) => values.iter().for_each(|value| tokens_of(value, tokens)),
        Kind::Str(text) => tokens.extend(text.token.as_ref().map(|token| token.location)),
        _ => {}
    }
    let mut next = value.trail.as_deref();
    while let Some(hop) = next {
        if hop.step != Move::Silent {
            tokens.insert(hop.place);
        }
        next = hop.before.as_deref();
    }
}

/// The place of the literal that an occurrence is bound to.
pub fn literal_of(ev: &Eval, occurrence: &Occurrence) -> Option<Location> {
    let ast = ev.parsed(occurrence.at.file)?;
    Some(ast.location(occurrence.value?))
}

fn is_around(code: &Code, id: ExprId, occurrence: &Occurrence) -> bool {
    code.ast.location(id).span.contains(occurrence.at.span)
}
