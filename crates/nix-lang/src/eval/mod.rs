//! The evaluator: thunks, scopes, bounds, and the dispatch over expressions.

mod apply;
mod attrs;
mod branch;
mod choices;
mod decisions;
mod function;
mod import;
mod observer;
mod operators;
mod scope;
mod select;
mod source;
mod strings;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use tracing::debug;

pub use apply::formals;
pub use attrs::merge;
pub use branch::{counting_with, join};
pub use choices::{Choice, flag, present};
pub(crate) use choices::{contained, leaf_outside};
pub use decisions::Decided;
pub use function::{Native, Reach, lambda, native};
pub use observer::Observer;
pub use operators::less;
pub use scope::{Env, Scopes};
pub use select::is_system;
pub(crate) use select::{identified, whether};
pub use strings::string;
pub use world::{Operand, World};

use observer::Notes;

use super::budget::{Budget, Cost, OverBudget};
use super::files::Files;
use super::place::FileProblem;
use super::syntax::ast::{Ast, Expr, FileId, Location, Name};
use super::value::formula::Under;
use super::value::{Code, Doubt, EnvId, Flip, Instead, Kind, Move, Piece, ThunkId, Unknown, Value};

/// Expressions nested deeper than this are not followed.
const MAX_DEPTH: u32 = 1_200;

/// A computation that has not run yet.
pub type Lazy = Box<dyn FnOnce(&mut Eval) -> Value>;

enum Slot {
    Code(Code, EnvId),
    /// It counts under the condition under which it was made.
    Lazy(Lazy, Under),
    Running,
    Done(Value),
}

/// The partial evaluator of one configuration of a repository.
pub struct Eval {
    /// The files that evaluation reads.
    pub files: Files,
    /// What it could not read or parse.
    pub problems: Vec<FileProblem>,
    /// What stands in the repository instead of what is written there; empty today.
    pub configuration: Vec<Flip>,
    /// Conditions that hid something, in the order in which they were met.
    pub choices: Vec<Choice>,
    chosen: HashSet<Choice>,
    /// What a token is held against, where that is not what it says.
    pub words: BTreeMap<Location, BTreeSet<Instead>>,
    /// Tokens that are names by which something is selected.
    pub keys: BTreeSet<Location>,
    /// The systems that the repository lists.
    pub systems: Vec<Name>,
    /// What the evaluation may still cost.
    pub budget: Budget,
    world: &'static dyn World,
    observer: Rc<dyn Observer>,
    notes: Notes,
    decisions: decisions::Decisions,
    thunks: Vec<Slot>,
    envs: Vec<Env>,
    asts: HashMap<FileId, Option<Rc<Ast>>>,
    imports: HashMap<PathBuf, ThunkId>,
    depth: u32,
    /// What is evaluated now counts only under this condition.
    assumed: Under,
}

impl Eval {
    /// An evaluator for the files of one root.
    pub fn new(files: Files, world: &'static dyn World, observer: Rc<dyn Observer>) -> Self {
        Self {
            files,
            problems: Vec::new(),
            configuration: Vec::new(),
            choices: Vec::new(),
            chosen: HashSet::new(),
            words: BTreeMap::new(),
            keys: BTreeSet::new(),
            systems: Vec::new(),
            budget: Budget::default(),
            world,
            observer,
            notes: Notes::default(),
            decisions: decisions::Decisions::default(),
            thunks: Vec::new(),
            envs: vec![Env::root()],
            asts: HashMap::new(),
            imports: HashMap::new(),
            depth: 0,
            assumed: None,
        }
    }

    /// An evaluator for another configuration of the same files; they come back with [`Eval::take_back`].
    #[must_use]
    pub fn in_configuration(&mut self, configuration: Vec<Flip>, observer: Rc<dyn Observer>) -> Self {
        let files = std::mem::replace(&mut self.files, Files::new(PathBuf::new()));
        Self {
            asts: std::mem::take(&mut self.asts),
            budget: std::mem::take(&mut self.budget),
            configuration,
            ..Self::new(files, self.world, observer)
        }
    }

    /// Takes the files back, and what is wrong with those that were read since.
    pub fn take_back(&mut self, mut other: Self) {
        self.files = other.files;
        self.asts = other.asts;
        self.budget = other.budget;
        self.problems.append(&mut other.problems);
        for (leaf, words) in other.words {
            self.words.entry(leaf).or_default().extend(words);
        }
        self.keys.append(&mut other.keys);
    }

    /// A value that is already there.
    pub fn done(&mut self, value: Value) -> ThunkId {
        self.slot(Slot::Done(value))
    }

    /// An expression to be evaluated on demand.
    pub fn delay(&mut self, code: Code, env: EnvId) -> ThunkId {
        self.slot(Slot::Code(code, env))
    }

    /// A computation to be run on demand.
    pub fn lazy(&mut self, run: impl FnOnce(&mut Eval) -> Value + 'static) -> ThunkId {
        self.slot(Slot::Lazy(Box::new(run), self.assumed.clone()))
    }

    fn slot(&mut self, slot: Slot) -> ThunkId {
        self.budget.spend(Cost::Items(0));
        let id = ThunkId(crate::syntax::ast::to_u32(self.thunks.len()));
        self.decisions.add(matches!(slot, Slot::Done(_)));
        self.thunks.push(slot);
        id
    }

    /// A slot that is filled by [`Eval::fill`]; forcing it before is infinite recursion.
    pub fn reserve(&mut self) -> ThunkId {
        self.slot(Slot::Running)
    }

    /// Fills a reserved slot.
    pub fn fill(&mut self, id: ThunkId, value: Value) {
        self.decisions.fill(id);
        self.thunks[id.0 as usize] = Slot::Done(value);
    }

    /// When what is evaluated now counts; `None`: always.
    #[must_use]
    pub fn assumed(&self) -> Under {
        self.assumed.clone()
    }

    /// Where a thunk's expression stands, if it has not been evaluated.
    pub fn thunk_code(&self, id: ThunkId) -> Option<&Code> {
        match &self.thunks[id.0 as usize] {
            Slot::Code(code, _) => Some(code),
            _ => None,
        }
    }

    /// Whether a thunk was evaluated.
    pub(crate) fn is_forced(&self, id: ThunkId) -> bool {
        matches!(self.thunks[id.0 as usize], Slot::Done(_) | Slot::Running)
    }

    /// The value of a thunk, evaluated at most once.
    pub fn force(&mut self, id: ThunkId) -> Value {
        let slot = &mut self.thunks[id.0 as usize];
        match slot {
            Slot::Done(value) => {
                self.decisions.take(id);
                return value.clone();
            }
            Slot::Running => return recursion(),
            // Left as it is: a later entry may have the means.
            Slot::Code(code, _) if self.budget.is_spent() => {
                return OverBudget { cost: Cost::Step, at: Some(code.location()) }.value();
            }
            Slot::Lazy(..) if self.budget.is_spent() => {
                return OverBudget { cost: Cost::Step, at: None }.value();
            }
            Slot::Code(..) | Slot::Lazy(..) => {}
        }
        let slot = std::mem::replace(slot, Slot::Running);
        let before = self.decisions.begin();
        // A thunk has one value for everybody: what holds where it was made counts, not what holds for the first who asks.
        let around = self.assumed.take();
        let value = match slot {
            Slot::Code(code, env) => {
                self.assumed = self.assumed_in(env);
                self.eval(&code, env)
            }
            Slot::Lazy(run, under) => {
                self.assumed = under;
                self.guarded(None, run)
            }
            Slot::Running | Slot::Done(_) => recursion(),
        };
        self.assumed = around;
        self.decisions.end(id, before);
        self.thunks[id.0 as usize] = Slot::Done(value.clone());
        value
    }

    /// Runs with the bounds of depth and budget.
    pub fn guarded(&mut self, at: Option<Location>, run: impl FnOnce(&mut Eval) -> Value) -> Value {
        if self.depth >= MAX_DEPTH {
            return Value::unknown(Doubt::Limit, "the evaluation is too deep", at);
        }
        if let Err(over) = self.budget.charge(Cost::Step, at) {
            return over.value();
        }
        self.depth += 1;
        let value = run(self);
        self.depth -= 1;
        value
    }

    /// Evaluates an expression to its outermost form.
    pub fn eval(&mut self, code: &Code, env: EnvId) -> Value {
        let here = code.location();
        self.observer.evaluated(here);
        self.guarded(Some(here), |ev| ev.dispatch(code, env))
    }

    fn dispatch(&mut self, code: &Code, env: EnvId) -> Value {
        let here = code.location();
        match code.ast.expr(code.id) {
            Expr::Int(number) => {
                self.configured(Value::new(Kind::Int(*number)).moved(here, Move::Literal), here)
            }
            Expr::Float(number) => Value::new(Kind::Float(*number)),
            Expr::Uri(text) => Value::text(text),
            Expr::Str(parts) => self.eval_string(code, parts, env),
            Expr::Path(parts) => self.eval_path(code, parts, env),
            Expr::SearchPath(name) => self.world.search_path(name, here),
            Expr::Var(name) => self.eval_variable(name, env, here),
            Expr::Set { recursive, bindings } => self.eval_set(code, *recursive, bindings, env),
            Expr::Let { bindings, body } => {
                let inner = self.bind(code, bindings, env);
                self.eval(&code.at(*body), inner)
            }
            Expr::LegacyLet(bindings) => {
                let set = self.eval_set(code, true, bindings, env);
                self.select(&set, "body", here)
            }
            Expr::List(items) => {
                let items = items.iter().map(|item| self.delay(code.at(*item), env)).collect();
                self.configured(Value::list(items).moved(here, Move::Literal), here)
            }
            Expr::Lambda(_) => {
                let closure = super::value::Closure { code: code.clone(), env };
                Value::new(Kind::Lambda(Rc::new(closure)))
            }
            Expr::Apply(function, argument) => self.eval_apply(code, *function, *argument, env),
            Expr::Select { base, path, default } => self.eval_select(code, *base, path, *default, env),
            Expr::HasAttr { base, path } => self.eval_has_attr(code, *base, path, env),
            Expr::If { condition, then, otherwise } => {
                self.eval_if(code, *condition, [*then, *otherwise], env)
            }
            Expr::Assert { condition, body } => self.eval_assert(code, *condition, *body, env),
            Expr::With { namespace, body } => {
                // As in Nix, not before a name is looked up in it: `with (throw "x"); 1` is 1.
                let namespace = self.delay(code.at(*namespace), env);
                let inner = self.scope(Env::with(env, namespace));
                self.eval(&code.at(*body), inner)
            }
            Expr::Binary(op, left, right) => self.eval_binary(code, *op, *left, *right, env),
            Expr::Not(inner) => {
                let value = self.eval(&code.at(*inner), env);
                self.each(value, &mut |_, v| operators::negated(v, here))
            }
            Expr::Negate(inner) => match self.eval(&code.at(*inner), env).kind {
                Kind::Int(number) => Value::new(Kind::Int(number.wrapping_neg())),
                Kind::Float(number) => Value::new(Kind::Float(-number)),
                _ => Value::unknown(Doubt::Unmodelled, "a number that is not known", Some(here)),
            },
            Expr::CurrentPosition => Value::outside("__curPos", Some(here)),
            Expr::Malformed => Value::unknown(Doubt::Error, "not an expression", Some(here)),
        }
    }

    /// A file that is read allows for more work, once.
    pub(crate) fn allow_for(&mut self, file: FileId) {
        if self.files.counts(file) {
            self.budget.grow(self.files.get(file).text.len());
        }
    }

    /// The tree of a file, parsed once; problems are noted.
    pub fn ast(&mut self, file: FileId) -> Option<Rc<Ast>> {
        if let Some(known) = self.asts.get(&file) {
            return known.clone();
        }
        let text = Rc::clone(&self.files.get(file).text);
        self.allow_for(file);
        let began = Instant::now();
        let parsed = super::syntax::parse(file, &text);
        debug!(file = %self.files.get(file).path.display(), whole = parsed.is_ok(), took = ?began.elapsed(), "parsed");
        let parsed = match parsed {
            Ok(ast) => {
                self.observer.parsed(&ast);
                Some(ast)
            }
            Err(error) => {
                let (line, column) = self.files.position(file, crate::syntax::ast::to_u32(error.offset));
                let path = self.files.get(file).path.clone();
                let place = super::place::Place { file: path, line, column };
                self.problems.push(FileProblem { place, message: error.message });
                None
            }
        };
        self.asts.insert(file, parsed.clone());
        parsed
    }

    /// The tree of a file that was parsed before.
    pub fn parsed(&self, file: FileId) -> Option<Rc<Ast>> {
        self.asts.get(&file).cloned().flatten()
    }
}

fn recursion() -> Value {
    Value::unknown(Doubt::Recursion, "infinite recursion", None)
}

/// A value for an evaluation that would stop with an error here.
pub fn error(message: impl Into<Rc<str>>, at: Location) -> Value {
    Value::unknown(Doubt::Error, message, Some(at))
}

/// The shared reason of an unknown value, or a new one.
pub fn reason_of(value: &Value, otherwise: &str, at: Location) -> Rc<Unknown> {
    match &value.kind {
        Kind::Unknown(unknown) => Rc::clone(unknown),
        // The part of a text that is not known says why, as where a caller's typo leaves an argument away. It is not the text
        // itself, so that nothing of what it is or is called holds.
        Kind::Str(text) => match text.pieces.iter().find_map(unknown_piece) {
            Some(part) => {
                let doubt = match part.doubt {
                    Doubt::Limit | Doubt::Error => part.doubt,
                    _ => Doubt::Unmodelled,
                };
                Rc::new(Unknown { doubt, name: None, ..part.as_ref().clone() })
            }
            None => unmodelled(otherwise, at),
        },
        _ => unmodelled(otherwise, at),
    }
}

fn unmodelled(message: &str, at: Location) -> Rc<Unknown> {
    let message = Rc::from(message);
    Rc::new(Unknown { doubt: Doubt::Unmodelled, message, at: Some(at), name: None })
}

fn unknown_piece(piece: &Piece) -> Option<&Rc<Unknown>> {
    if let Piece::Unknown(unknown) = piece { Some(unknown) } else { None }
}
