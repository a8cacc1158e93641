//! What was seen of an evaluation: which hashes were evaluated, which functions entered, which values nothing followed.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;

use indexmap::IndexSet;
use nix_lang::eval::Observer;
use nix_lang::syntax::ast::{Ast, Expr, FileId, Location, StringPart};
use nix_lang::syntax::json::{Json, Spanned};
use nix_lang::value::ThunkId;
use nixpkgs_model::hash_text::looks_like_hash;

use super::flags::Tokens;
use super::keys::Keys;
use crate::other_hashes::{is_of_something_else, other_hashes};

/// Calls that made derivations, the outermost first.
pub(crate) type Around = Vec<Location>;

/// The observations of one evaluation.
#[derive(Default)]
pub(crate) struct Seen {
    /// Literals of hashes, and those of them that were evaluated.
    watched: Rc<RefCell<HashSet<Location>>>,
    /// What the tokens are called that decide something.
    pub(super) keys: Rc<Keys>,
    /// What those tokens are.
    pub(super) tokens: Rc<Tokens>,
    evaluated: RefCell<HashSet<Location>>,
    /// Bindings of hash attributes whose scope or set was made.
    bound: RefCell<HashSet<Location>>,
    sets: RefCell<HashSet<Location>>,
    /// The constants that were evaluated in any configuration: behind a flag there may be others than today.
    constants: Rc<RefCell<IndexSet<Location>>>,
    entered: RefCell<HashSet<Location>>,
    /// Branches that the files that are there rule out.
    ruled_out: RefCell<Vec<Location>>,
    /// Values that are worth a visit, with what was around them when they were left.
    left: RefCell<Vec<(ThunkId, Around)>>,
    /// The calls that made the derivations around what is visited.
    around: RefCell<Around>,
}

impl Seen {
    /// To observe another configuration of the same files, whose trees are there already.
    pub fn for_another_configuration(&self) -> Self {
        let (watched, constants) = (Rc::clone(&self.watched), Rc::clone(&self.constants));
        Self { watched, constants, ..Self::default() }
    }

    /// Literals to be watched besides those that look like hashes.
    pub fn watch(&self, literals: impl IntoIterator<Item = Location>) {
        self.watched.borrow_mut().extend(literals);
    }

    /// Whether the literal is that of a hash attribute.
    pub fn is_watched(&self, literal: Location) -> bool {
        self.watched.borrow().contains(&literal)
    }

    /// Whether some literal that is watched was not evaluated, and is not settled otherwise.
    pub fn is_any_hidden(&self, is_settled: impl Fn(&Location) -> bool) -> bool {
        let evaluated = self.evaluated.borrow();
        self.watched.borrow().iter().any(|at| !evaluated.contains(at) && !is_settled(at))
    }

    /// Whether the watched literal was evaluated.
    pub fn was_evaluated(&self, literal: Location) -> bool {
        self.evaluated.borrow().contains(&literal)
    }

    /// Whether the scope or set of a hash attribute was made.
    pub fn was_bound(&self, binding: Location) -> bool {
        self.bound.borrow().contains(&binding)
    }

    /// Whether the set was made.
    pub fn was_made(&self, set: Location) -> bool {
        self.sets.borrow().contains(&set)
    }

    /// The constants that were evaluated, in the order in which they were, but for so many that are known.
    pub fn constants_since(&self, known: usize) -> Vec<Location> {
        self.constants.borrow().iter().skip(known).copied().collect()
    }

    /// Whether the function was called.
    pub fn was_entered(&self, function: Location) -> bool {
        self.entered.borrow().contains(&function)
    }

    /// Whether a place is in a branch that the files that are there rule out.
    pub fn was_ruled_out(&self, at: Location) -> bool {
        let is_around = |branch: &Location| branch.file == at.file && branch.span.contains(at.span);
        self.ruled_out.borrow().iter().any(is_around)
    }

    /// The value that was left last, and is now to be visited as a part of what left it.
    pub fn next_left(&self) -> Option<ThunkId> {
        let (thunk, around) = self.left.borrow_mut().pop()?;
        self.around.replace(around);
        Some(thunk)
    }

    /// What is around that which is visited.
    pub fn around(&self) -> Around {
        self.around.borrow().clone()
    }

    /// Goes on with a visit that something else was around of.
    pub fn go_on(&self, around: Around) {
        self.around.replace(around);
    }

    /// What follows is part of the derivation that a call made.
    pub fn go_into(&self, call: Location) {
        self.around.borrow_mut().push(call);
    }

    /// The end of a derivation.
    pub fn go_out(&self) {
        self.around.borrow_mut().pop();
    }

    /// How many of the derivations around what is visited were made by a call.
    pub fn times_around(&self, call: Location) -> usize {
        self.around.borrow().iter().filter(|own| **own == call).count()
    }
}

impl Observer for Seen {
    /// Hashes may stand under any name, such as in a record that a flag leaves out.
    fn parsed(&self, ast: &Ast) {
        let others = other_hashes(ast);
        for (expr, span) in ast.exprs.iter().zip(&ast.spans) {
            if let Expr::Str(parts) = expr
                && let [StringPart::Text(text)] = parts.as_slice()
                && looks_like_hash(text)
                && !others.contains(span)
            {
                self.watch([Location { file: ast.file, span: *span }]);
            }
        }
    }

    fn read(&self, file: FileId, document: &Spanned) {
        match &document.value {
            Json::Text(text) if looks_like_hash(text) => {
                self.watch([Location { file, span: document.span }]);
            }
            Json::List(items) => items.iter().for_each(|item| self.read(file, item)),
            Json::Object(entries) => {
                let meant = entries.iter().filter(|(name, _)| !is_of_something_else(entries, name));
                meant.for_each(|(_, value)| self.read(file, value));
            }
            _ => {}
        }
    }

    fn evaluated(&self, at: Location) {
        if self.watched.borrow().contains(&at) {
            self.evaluated.borrow_mut().insert(at);
        }
    }

    fn bound(&self, name: &str, at: Location) {
        if matches!(name, "npmDepsHash" | "hash") {
            self.bound.borrow_mut().insert(at);
        }
    }

    fn made_set(&self, at: Location) {
        self.sets.borrow_mut().insert(at);
    }

    fn constant(&self, at: Location) {
        self.constants.borrow_mut().insert(at);
    }

    fn entered(&self, function: Location) {
        self.entered.borrow_mut().insert(function);
    }

    fn ruled_out(&self, branch: Location) {
        self.ruled_out.borrow_mut().push(branch);
    }

    fn left(&self, thunk: ThunkId) {
        self.left.borrow_mut().push((thunk, self.around()));
    }
}
