//! Configurations: what today's conditions hide, and what would have to stand in the repository to show it.
//!
//! A condition whose answer is known takes one side, and the hashes of the other side would grow stale unseen. So a
//! Boolean remembers the token that decides it ([`Flip`]), through variables, arguments, `!`, `&&` and comparisons; where it
//! hides something, that is noted as a [`Choice`]. A configuration is a handful of flips. It is applied at the tokens, not at
//! the conditions: whatever depends on a token turns with it, so that a hash and a lockfile that one flag decides stay
//! together (fixture `flag-picks-source-and-hash`).

use std::rc::Rc;

use super::{Eval, World};
use crate::syntax::ast::{Ast, Expr, ExprId, Location, StringPart};
use crate::value::formula::Identity;
use crate::value::{Attr, Attrs, Doubt, Flip, Instead, Kind, List, Value, truth};

/// More choices than these are not noted in one evaluation.
const MOST: usize = 512;

/// A condition that hides something today, and what would show it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Choice {
    /// The expression that hides something.
    pub at: Location,
    /// What would show it.
    pub flip: Flip,
}

impl Eval {
    /// Notes that a known condition hides something.
    pub fn hide(&mut self, condition: &Value, at: Location) {
        if let Some(flip) = condition.flip() {
            let flip = flip.as_ref().clone();
            self.choose(at, flip);
        }
    }

    /// Notes what would turn a condition beside that which its answer remembers.
    pub(super) fn turned_as_well(&mut self, side: &Value, at: Location) {
        if let Some(flip) = side.flip() {
            let flip = flip.as_ref().clone();
            self.decided_by(flip.clone());
            self.choose(at, flip);
        }
    }

    fn choose(&mut self, at: Location, flip: Flip) {
        let choice = Choice { at, flip };
        if self.choices.len() < MOST && !self.chosen.contains(&choice) {
            self.chosen.insert(choice.clone());
            self.choices.push(choice);
        }
    }

    /// Notes a branch that is not taken, unless nothing that matters can be in it.
    pub(super) fn hide_branch(&mut self, condition: &Value, ast: &Ast, branch: ExprId, taken: ExprId) {
        if condition.flip().is_none() {
            return;
        }
        // An empty text beside one that is looked for waits to be one (fixture `flag-hides-placeholder-beside-hash`).
        let waits = || {
            matches!(ast.expr(branch), Expr::Str(parts) if parts.is_empty()) && self.is_looked_for(ast, taken)
        };
        if may_matter(self.world, ast, branch) || waits() {
            self.hide(condition, ast.location(branch));
        }
    }

    fn is_looked_for(&self, ast: &Ast, id: ExprId) -> bool {
        match ast.expr(id) {
            Expr::Str(parts) => {
                matches!(parts.as_slice(), [StringPart::Text(text)] if self.world.is_of_interest(text))
            }
            _ => false,
        }
    }

    /// Notes the hash that counts where a data file lacks an attribute. What code gives to code is not a flag.
    pub(super) fn hide_default(&mut self, set: &Value, name: &str, ast: &Ast, default: ExprId) {
        let Some(leaf) = set.origin().filter(|leaf| self.parsed(leaf.file).is_none()) else { return };
        let plain =
            set.as_attrs().is_some_and(|attrs| attrs.special.is_none() && attrs.map.contains_key(name));
        // A name is that of a placeholder nearly always (`or-fallback`).
        let is_name = matches!(ast.expr(default), Expr::Var(_) | Expr::Select { .. });
        if plain && !is_name && may_matter(self.world, ast, default) {
            self.choose(ast.location(default), Flip { leaf, to: Instead::Without(Rc::from(name)) });
        }
    }

    /// Notes the attributes that a set has beside the one that a name selects.
    pub(crate) fn hide_others(&mut self, attrs: &Attrs, name: &str, key: &Value, at: Location) {
        // A larger set is a table of data rather than a choice, and each attribute would be a configuration to evaluate.
        const LARGEST: usize = 16;
        let Some(leaf) = key.origin() else { return };
        if !attrs.special.is_none() || attrs.map.len() > LARGEST {
            return;
        }
        let others: Vec<_> = attrs
            .map
            .iter()
            .filter(|(other, attr)| other.as_ref() != name && !self.is_forced(attr.thunk))
            .map(|(other, _)| Rc::clone(other))
            .collect();
        self.keys.insert(leaf);
        for other in others {
            self.note_word(leaf, Instead::Text(Rc::clone(&other)));
            self.decided_by(Flip { leaf, to: Instead::Text(Rc::clone(&other)) });
            self.choose(at, Flip { leaf, to: Instead::Text(other) });
        }
    }

    /// A value as the configuration has it, by the token that it is.
    pub fn configured(&mut self, value: Value, leaf: Location) -> Value {
        if is_constant(&value) {
            self.observer.constant(leaf);
        }
        if self.configuration.is_empty() {
            return value;
        }
        let flips: Vec<Instead> =
            self.configuration.iter().filter(|flip| flip.leaf == leaf).map(|flip| flip.to.clone()).collect();
        flips.iter().fold(value, |value, to| self.instead(value, to, leaf))
    }

    fn instead(&mut self, value: Value, to: &Instead, leaf: Location) -> Value {
        let kind = match to {
            Instead::Bool(flag) => Kind::Bool(*flag),
            Instead::Int(number) => Kind::Int(*number),
            // Without its token: nothing may be written over a text that is not there.
            Instead::Text(text) => return Value { trail: value.trail, ..Value::text(text) },
            Instead::Null => Kind::Null,
            Instead::Other => {
                return Value::unknown(Doubt::Other, "some value other than today's", Some(leaf));
            }
            // An unknown value that is one and the same wherever the token is read.
            Instead::Open => {
                let open = Value::unknown(Doubt::Open, "it may be any value", Some(leaf));
                return open.known_as(Some(Identity::Token(leaf)), leaf);
            }
            Instead::With(name) => match value.kind {
                Kind::List(list) => {
                    let item = self.done(Value::text(name));
                    let items = list.items.iter().copied().chain([item]).collect();
                    Kind::List(Rc::new(List { items, open: list.open.clone() }))
                }
                Kind::Attrs(attrs) => {
                    let why = "an attribute that is not there today";
                    let thunk = self.done(Value::unknown(Doubt::Other, why, Some(leaf)));
                    let mut attrs = attrs.as_ref().clone();
                    attrs.map.entry(Rc::clone(name)).or_insert_with(|| Attr::new(thunk));
                    Kind::Attrs(Rc::new(attrs))
                }
                kind => kind,
            },
            Instead::Without(name) => match value.kind {
                Kind::List(list) => {
                    let mut items = list.items.clone();
                    items.retain(|item| self.force(*item).known_text().as_ref() != Some(name));
                    Kind::List(Rc::new(List { items, open: list.open.clone() }))
                }
                Kind::Attrs(attrs) => {
                    let mut attrs = attrs.as_ref().clone();
                    attrs.map.remove(name);
                    Kind::Attrs(Rc::new(attrs))
                }
                kind => kind,
            },
        };
        Value { kind, trail: value.trail }
    }
}

/// Whether a value stands as a whole for something that somebody chose; of what is in a set each has a token of its own.
fn is_constant(value: &Value) -> bool {
    match &value.kind {
        Kind::Attrs(set) => set.map.is_empty(),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Str(_) | Kind::List(_) => true,
        _ => false,
    }
}

/// A Boolean that a token of the repository is.
#[must_use]
pub fn flag(value: Value, leaf: Location) -> Value {
    match truth(&value) {
        Some(flag) => value.turned_by(Flip { leaf, to: Instead::Bool(!flag) }),
        None => value,
    }
}

impl Eval {
    /// The answer of a comparison, with what would turn it: one side has to be what it is held against, or something else.
    pub(super) fn compared(&mut self, answer: bool, sides: [&Value; 2], here: Location) -> Value {
        let value = Value::bool(answer);
        let [a, b] = sides;
        for (variable, constant) in [(a, b), (b, a)] {
            let Some(leaf) = leaf_outside(variable, here) else { continue };
            if let Some(flip) = variable.flip() {
                return value.turned_by(flip.as_ref().clone());
            }
            if !matches!(variable.kind, Kind::Str(_) | Kind::Int(_) | Kind::Null) {
                continue;
            }
            let word = constant_of(constant);
            if let Some(word) = word.clone().filter(|_| !answer) {
                self.note_word(leaf, word);
            }
            if let Some(to) = if answer { Some(Instead::Other) } else { word } {
                return value.turned_by(Flip { leaf, to });
            }
        }
        value
    }

    /// The answer of a comparison by size, with the nearest number that would turn it.
    pub(super) fn ordered(
        &mut self,
        answer: bool,
        values: [&Value; 2],
        numbers: [i64; 2],
        test: impl Fn([i64; 2]) -> bool,
        here: Location,
    ) -> Value {
        let value = Value::bool(answer);
        for variable in 0..2 {
            // The order of two versions.
            if let Some(flip) = values[variable].flip() {
                return value.turned_by(flip.as_ref().clone());
            }
            let Some(leaf) = leaf_outside(values[variable], here) else { continue };
            let constant = numbers[1 - variable];
            let near = [constant, constant.saturating_add(1), constant.saturating_sub(1)];
            let turns = |number: &i64| {
                let mut other = numbers;
                other[variable] = *number;
                test(other) != answer
            };
            if let Some(number) = near.into_iter().find(turns) {
                self.note_word(leaf, Instead::Int(number));
                return value.turned_by(Flip { leaf, to: Instead::Int(number) });
            }
        }
        value
    }

    /// A word or number that the repository knows for a token: all of them are configurations, also where only a path
    /// depends on one (fixture `flag-turned-twice`).
    fn note_word(&mut self, leaf: Location, word: Instead) {
        // As for sets: each is a configuration.
        const MOST_WORDS: usize = 16;
        let words = self.words.entry(leaf).or_default();
        if words.len() < MOST_WORDS {
            words.insert(word);
        }
    }
}

/// Whether a list has an item, with what would turn it: another item to look for, or another list.
pub(crate) fn contained(
    answer: bool,
    needle: &Value,
    list: &Value,
    first: Option<&Value>,
    here: Location,
) -> Value {
    let value = Value::bool(answer);
    let flip = match (leaf_outside(needle, here), leaf_outside(list, here)) {
        (_, Some(leaf)) => needle.known_text().map(|text| {
            let to = if answer { Instead::Without(text) } else { Instead::With(text) };
            Flip { leaf, to }
        }),
        (Some(leaf), None) if answer => Some(Flip { leaf, to: Instead::Other }),
        (Some(leaf), None) => first.and_then(constant_of).map(|to| Flip { leaf, to }),
        (None, None) => None,
    };
    match flip {
        Some(flip) => value.turned_by(flip),
        None => value,
    }
}

/// Whether a set has an attribute, with what would turn it.
#[must_use]
pub fn present(answer: bool, set: &Value, name: &str) -> Value {
    let value = Value::bool(answer);
    let plain = set.as_attrs().is_some_and(|attrs| attrs.special.is_none());
    match set.origin().filter(|_| plain) {
        Some(leaf) => {
            let name = Rc::from(name);
            let to = if answer { Instead::Without(name) } else { Instead::With(name) };
            value.turned_by(Flip { leaf, to })
        }
        None => value,
    }
}

/// The token of a value, unless it stands in the expression itself: that is what it is held against.
#[must_use]
pub(crate) fn leaf_outside(value: &Value, here: Location) -> Option<Location> {
    value.origin().filter(|origin| origin.file != here.file || !here.span.contains(origin.span))
}

pub(super) fn constant_of(value: &Value) -> Option<Instead> {
    match &value.kind {
        Kind::Null => Some(Instead::Null),
        Kind::Int(number) => Some(Instead::Int(*number)),
        Kind::Str(text) if !text.system => text.known().map(Instead::Text),
        _ => None,
    }
}

/// Whether an expression can lead to what the world looks for: one that names nothing and is no such text cannot.
fn may_matter(world: &dyn World, ast: &Ast, id: ExprId) -> bool {
    match ast.expr(id) {
        Expr::Str(parts) => match parts.as_slice() {
            [] => false,
            [StringPart::Text(text)] => world.is_of_interest(text),
            _ => true,
        },
        Expr::Int(_) | Expr::Float(_) | Expr::Uri(_) | Expr::SearchPath(_) | Expr::Malformed => false,
        Expr::Var(name) => !matches!(name.as_ref(), "true" | "false" | "null"),
        Expr::Set { bindings, .. } => !bindings.entries.is_empty() || !bindings.dynamic.is_empty(),
        Expr::List(items) => items.iter().any(|item| may_matter(world, ast, *item)),
        // Such as a path: a file to import can hold hashes, and a source decides what a hash is tied to
        // (`flags-independent`).
        _ => true,
    }
}
