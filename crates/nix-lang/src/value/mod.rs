//! Values of the partial evaluator. Every one knows the chain of places that it travelled.

mod filter;
pub mod formula;
pub mod source;
mod trail;

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use formula::{Formula, Identity, Under, both, can_meet};
use source::Source;
pub use trail::{Flip, Hop, Instead, Move, Trail};

use crate::syntax::ast::{Ast, ExprId, Location, Name};

/// An index into the evaluator's thunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThunkId(pub u32);

/// An index into the evaluator's scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvId(pub u32);

/// A node of a file's tree.
#[derive(Debug, Clone)]
pub struct Code {
    /// The file it is in.
    pub ast: Rc<Ast>,
    /// Which expression of it.
    pub id: ExprId,
}

impl Code {
    /// Where the node stands.
    #[must_use]
    pub fn location(&self) -> Location {
        self.ast.location(self.id)
    }

    /// Another node of the same file.
    #[must_use]
    pub fn at(&self, id: ExprId) -> Code {
        Code { ast: Rc::clone(&self.ast), id }
    }
}

/// A value and its chain.
#[derive(Clone)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Where it came from.
    pub trail: Trail,
}

/// A function that is not written in Nix. How it is called is known to the evaluator alone: values know nothing of it.
pub trait Callable: Any {}

/// What a value is.
#[derive(Clone)]
pub enum Kind {
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A string.
    Str(Rc<Text>),
    /// A path, absolute.
    Path(Rc<PathBuf>),
    /// A list.
    List(Rc<List>),
    /// A set.
    Attrs(Rc<Attrs>),
    /// A function that is written in Nix.
    Lambda(Rc<Closure>),
    /// A function of the model that waits for more arguments.
    Native(Rc<NativeCall>),
    /// A function that a world made.
    Function(Rc<dyn Callable>),
    /// One of these, depending on something unknown.
    Alt(Rc<Vec<Value>>),
    /// Not known, and why.
    Unknown(Rc<Unknown>),
}

/// What kind of token holds a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LiteralKind {
    /// A quoted string in a Nix file.
    NixString,
    /// An expression in a Nix file that stands for a placeholder, such as `lib.fakeHash`.
    NixExpr,
    /// A string in a JSON file.
    JsonString,
    /// A string in a TOML file.
    TomlString,
    /// The whole text of a file, without the white space around it.
    TextFile,
}

/// A token that can be rewritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Where it stands.
    pub location: Location,
    /// How it is written.
    pub kind: LiteralKind,
}

/// A piece of a string.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Text.
    Text(Rc<str>),
    /// The path of a source.
    Source(Rc<Source>),
    /// Text that is not known.
    Unknown(Rc<Unknown>),
}

/// A string: its pieces and, if it is exactly one token of some file, that token.
#[derive(Debug, Clone, Default)]
pub struct Text {
    /// Its pieces, in order.
    pub pieces: Vec<Piece>,
    /// The token that it is, where it is one.
    pub token: Option<Rc<Token>>,
    /// The name of a system; it stands for any of them.
    pub system: bool,
    /// The whole content of this file.
    pub file: Option<crate::syntax::ast::FileId>,
}

impl Text {
    /// The bytes of the known pieces.
    #[must_use]
    pub fn length(&self) -> usize {
        self.pieces.iter().map(|piece| if let Piece::Text(text) = piece { text.len() } else { 0 }).sum()
    }

    /// The bytes that it takes: each piece has its price, also those that are not known.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.length() + self.pieces.len() * size_of::<Piece>()
    }

    /// The text if every piece is known.
    #[must_use]
    pub fn known(&self) -> Option<Rc<str>> {
        match self.pieces.as_slice() {
            [] => Some(Rc::from("")),
            [Piece::Text(text)] => Some(Rc::clone(text)),
            pieces => {
                let mut whole = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => whole.push_str(text),
                        _ => return None,
                    }
                }
                Some(Rc::from(whole))
            }
        }
    }
}

/// A list; an open one may have more items.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Those that are known.
    pub items: Vec<ThunkId>,
    /// Why there may be others.
    pub open: Option<Rc<Unknown>>,
}

impl List {
    /// The list may have other items than these.
    pub(crate) fn leave_open(&mut self, why: Rc<Unknown>) {
        self.open.get_or_insert(why);
    }
}

/// An attribute's value and the place of its name.
#[derive(Debug, Clone)]
pub struct Attr {
    /// Its value.
    pub thunk: ThunkId,
    /// Where its name stands, if anywhere.
    pub pos: Option<Location>,
    /// Something unknown may have replaced it.
    pub maybe: Option<Rc<Unknown>>,
}

/// An attribute set; an open one may have more attributes.
#[derive(Clone, Default)]
pub struct Attrs {
    /// Those that are known.
    pub map: BTreeMap<Name, Attr>,
    /// Why there may be others.
    pub open: Option<Rc<Unknown>>,
    /// What else it is.
    pub special: Special,
}

/// What a set is, beyond its attributes.
#[derive(Clone, Default)]
pub enum Special {
    /// A set and nothing else.
    #[default]
    None,
    /// Files of the store, or of the repository.
    Source(Rc<Source>),
    /// Something that the world knows.
    Of(Rc<dyn Meaning>),
}

/// What a set means to the world around the language, and what the language has to know of that.
pub trait Meaning: Any {
    /// The set has what its meaning gives it, whatever unknown set is laid over it.
    fn is_firm(&self) -> bool {
        false
    }

    /// The set stands for arguments that nothing gives: of those that are not known, defaults count.
    fn is_of_arguments(&self) -> bool {
        false
    }

    /// Where the set gives a value that is not known, it does not have the attribute: a default counts.
    fn yields_to_defaults(&self) -> bool {
        false
    }

    /// The set is a derivation, or stands for a tree of files.
    fn is_files(&self) -> bool {
        false
    }

    /// The dotted name of what the set gives is the same everywhere, and is that of one thing.
    fn is_named(&self) -> bool {
        false
    }

    /// What the set is as files; `set` is the whole value.
    fn source(&self, _set: &Value, _here: Location) -> Option<Source> {
        None
    }
}

/// A function and the scope it was made in.
#[derive(Clone)]
pub struct Closure {
    /// The function.
    pub code: Code,
    /// The scope.
    pub env: EnvId,
}

/// A function of the model with its first arguments.
#[derive(Clone)]
pub struct NativeCall {
    /// The function.
    pub native: &'static (dyn Callable + Sync),
    /// What it was given so far.
    pub args: Vec<ThunkId>,
}

/// The classes of not knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The value comes from outside of the repository.
    Outside,
    /// The argument of a function that nothing calls.
    Argument,
    /// Evaluation would stop with an error here.
    Error,
    /// The value depends on itself, as far as it is followed here.
    Recursion,
    /// `throw` and `abort`: no value at all.
    Throw,
    /// The bounds of the evaluator.
    Limit,
    /// Nothing that this evaluator models.
    Unmodelled,
    /// In a configuration that is not today's: some value other than the one that is written.
    Other,
    /// Where flags are open: any value, the written one as well.
    Open,
}

/// Why a value is not known.
#[derive(Debug, Clone)]
pub struct Unknown {
    /// Which class of not knowing.
    pub doubt: Doubt,
    /// What is not known, for people.
    pub message: Rc<str>,
    /// Where it was met.
    pub at: Option<Location>,
    /// The dotted name of a value from outside, such as `pkgs.nodejs`.
    pub name: Option<Rc<str>>,
}

impl Value {
    /// A value without history.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, trail: None }
    }

    /// A string without provenance.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Kind::Str(Rc::new(Text { pieces: vec![Piece::Text(Rc::from(text))], ..Text::default() })))
    }

    /// A set.
    #[must_use]
    pub fn attrs(attrs: Attrs) -> Self {
        Self::new(Kind::Attrs(Rc::new(attrs)))
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<ThunkId>) -> Self {
        Self::new(Kind::List(Rc::new(List { items, open: None })))
    }

    /// A system that stands for any.
    #[must_use]
    pub fn any_system() -> Self {
        Self::system("x86_64-linux")
    }

    /// The name of a system, which stands for that of any.
    #[must_use]
    pub fn system(name: &str) -> Self {
        let pieces = vec![Piece::Text(Rc::from(name))];
        Self::new(Kind::Str(Rc::new(Text { pieces, system: true, ..Text::default() })))
    }

    /// A boolean.
    #[must_use]
    pub fn bool(value: bool) -> Self {
        Self::new(Kind::Bool(value))
    }

    /// A path.
    #[must_use]
    pub fn path(path: PathBuf) -> Self {
        Self::new(Kind::Path(Rc::new(path)))
    }

    /// An unknown value.
    pub fn unknown(doubt: Doubt, message: impl Into<Rc<str>>, at: Option<Location>) -> Self {
        Self::doubtful(Rc::new(Unknown { doubt, message: message.into(), at, name: None }))
    }

    /// A named value from outside of the repository.
    #[must_use]
    pub fn outside(name: &str, at: Option<Location>) -> Self {
        let message = format!("`{name}` comes from outside of the repository");
        let unknown =
            Unknown { doubt: Doubt::Outside, message: message.into(), at, name: Some(Rc::from(name)) };
        Self::doubtful(Rc::new(unknown))
    }

    /// An unknown value for a reason that is already there.
    #[must_use]
    pub fn doubtful(unknown: Rc<Unknown>) -> Self {
        Self::new(Kind::Unknown(unknown))
    }

    /// The same value one step further.
    #[must_use]
    pub fn moved(mut self, place: Location, step: Move) -> Self {
        // People read a trail from where it began: what a recursion adds to it is not shown, and would be kept with each value.
        const LONGEST: u16 = 60;
        let length = self.trail.as_ref().map_or(0, |hop| hop.length);
        if length < LONGEST {
            let origin = self.origin().unwrap_or(place);
            let before = self.trail.take();
            let flip = before.as_ref().and_then(|hop| hop.flip.clone());
            let stands_for = before.as_ref().and_then(|hop| hop.stands_for.clone());
            let under = before.as_ref().and_then(|hop| hop.under.clone());
            let length = length + 1;
            self.trail = Some(Rc::new(Hop { place, step, before, length, origin, flip, stands_for, under }));
        }
        self
    }

    /// The same condition, and what would turn it.
    #[must_use]
    pub(crate) fn turned_by(mut self, flip: Flip) -> Self {
        let before = self.trail.take();
        let length = before.as_ref().map_or(0, |hop| hop.length);
        let origin = before.as_ref().map_or(flip.leaf, |hop| hop.origin);
        let under = before.as_ref().and_then(|hop| hop.under.clone());
        let (place, step) = (flip.leaf, Move::Literal);
        let flip = Some(Rc::new(flip));
        self.trail =
            Some(Rc::new(Hop { place, step, before, length, origin, flip, stands_for: None, under }));
        self
    }

    /// The same value that is not known, and what it is.
    #[must_use]
    pub(crate) fn standing_for(self, formula: Option<Rc<Formula>>, here: Location) -> Self {
        self.with_last_hop(here, |hop| hop.stands_for = formula)
    }

    /// The same value; one that is not known bears this identity, unless it has one.
    #[must_use]
    pub(crate) fn known_as(self, identity: Option<Identity>, here: Location) -> Self {
        match identity {
            Some(identity) if matches!(self.kind, Kind::Unknown(_)) && self.stands_for().is_none() => {
                self.standing_for(Some(Formula::of(identity)), here)
            }
            _ => self,
        }
    }

    /// What was made of a value is not that value.
    #[must_use]
    pub(crate) fn nameless(self) -> Self {
        match (&self.kind, self.trail.as_ref().filter(|hop| hop.stands_for.is_some())) {
            (Kind::Unknown(_), Some(hop)) => {
                let place = hop.place;
                self.standing_for(None, place)
            }
            _ => self,
        }
    }

    /// What a value that is not known is, where that can be told.
    #[must_use]
    pub(crate) fn stands_for(&self) -> Option<&Rc<Formula>> {
        match &self.kind {
            Kind::Unknown(_) => self.trail.as_ref()?.stands_for.as_ref(),
            _ => None,
        }
    }

    /// When the value is the one that counts.
    #[must_use]
    pub fn under(&self) -> Under {
        self.trail.as_ref().and_then(|hop| hop.under.clone())
    }

    /// The same value, which counts only under a condition as well; `None` if it then never does.
    #[must_use]
    pub fn only_under(self, condition: &Under, here: Location) -> Option<Self> {
        if condition.is_none() {
            return Some(self);
        }
        let own = self.under();
        let under = both(&own, condition);
        // A condition may exclude itself, as `a && !a` does (fixture `flags-together-move`).
        if !can_meet(&own, condition) || !can_meet(&under, &under) {
            return None;
        }
        Some(if under == own { self } else { self.counting(under, here) })
    }

    /// The same value, which counts under a condition.
    #[must_use]
    pub fn counting(self, under: Under, here: Location) -> Self {
        self.with_last_hop(here, |hop| hop.under = under)
    }

    fn with_last_hop(mut self, here: Location, change: impl FnOnce(&mut Hop)) -> Self {
        let mut hop = match &self.trail {
            Some(hop) => hop.as_ref().clone(),
            None => Hop {
                place: here,
                step: Move::Silent,
                before: None,
                length: 0,
                origin: here,
                flip: None,
                stands_for: None,
                under: None,
            },
        };
        change(&mut hop);
        self.trail = Some(Rc::new(hop));
        self
    }

    /// What would turn a condition, where its answer is known and rests on a token of the repository.
    #[must_use]
    pub fn flip(&self) -> Option<&Rc<Flip>> {
        // An integer may be the order of two versions, which is compared in turn (fixture `flag-is-a-version`).
        matches!(self.kind, Kind::Bool(_) | Kind::Int(_)).then_some(())?;
        self.trail.as_ref()?.flip.as_ref()
    }

    /// The steps of the chain, the latest one first.
    pub fn hops(&self) -> impl Iterator<Item = &Hop> {
        std::iter::successors(self.trail.as_deref(), |hop| hop.before.as_deref())
    }

    /// The token at which the value's chain begins.
    #[must_use]
    pub fn origin(&self) -> Option<Location> {
        self.trail
            .as_ref()
            .filter(|hop| hop.step != Move::Silent || hop.before.is_some())
            .map(|hop| hop.origin)
    }

    /// The text of a wholly known string.
    #[must_use]
    pub fn known_text(&self) -> Option<Rc<str>> {
        match &self.kind {
            Kind::Str(text) => text.known(),
            _ => None,
        }
    }

    /// The set behind the value.
    #[must_use]
    pub fn as_attrs(&self) -> Option<&Rc<Attrs>> {
        match &self.kind {
            Kind::Attrs(attrs) => Some(attrs),
            _ => None,
        }
    }

    /// The reason of an unknown value.
    #[must_use]
    pub fn as_unknown(&self) -> Option<&Rc<Unknown>> {
        match &self.kind {
            Kind::Unknown(unknown) => Some(unknown),
            _ => None,
        }
    }

    /// Whether the value can be called.
    #[must_use]
    pub fn is_function(&self) -> bool {
        matches!(self.kind, Kind::Lambda(_) | Kind::Native(_) | Kind::Function(_))
    }

    /// The word that Nix has for the type.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a Boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a float",
            Kind::Str(_) => "a string",
            Kind::Path(_) => "a path",
            Kind::List(_) => "a list",
            Kind::Attrs(_) => "a set",
            Kind::Lambda(_) | Kind::Native(_) | Kind::Function(_) => "a function",
            Kind::Alt(_) => "one of several values",
            Kind::Unknown(_) => "unknown",
        }
    }
}

impl Attrs {
    /// Whether an attribute that is known may not be there: a condition decides its name. In an open set it surely is, and may have
    /// another value.
    #[must_use]
    pub(crate) fn may_lack(&self, name: &str) -> bool {
        self.open.is_none() && self.map.get(name).is_some_and(|attr| attr.maybe.is_some())
    }

    /// A closed set of these attributes.
    pub fn of(entries: impl IntoIterator<Item = (Name, ThunkId)>) -> Self {
        let map = entries.into_iter().map(|(name, thunk)| (name, Attr::new(thunk))).collect();
        Self { map, ..Self::default() }
    }

    /// No attributes, but a meaning.
    #[must_use]
    pub fn special(special: Special) -> Self {
        Self { special, ..Self::default() }
    }
}

impl Attr {
    /// An attribute that no source file spells.
    #[must_use]
    pub fn new(thunk: ThunkId) -> Self {
        Self { thunk, pos: None, maybe: None }
    }
}

impl Special {
    /// Whether there is no special meaning.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Special::None)
    }

    /// A meaning.
    pub fn of(meaning: impl Meaning) -> Self {
        Self::Of(Rc::new(meaning))
    }

    /// The meaning, where it is of that type.
    #[must_use]
    pub fn read<T: Meaning>(&self) -> Option<&T> {
        let Self::Of(meaning) = self else { return None };
        let meaning: &dyn Any = meaning.as_ref();
        meaning.downcast_ref()
    }

    /// The meaning to be kept, where it is of that type.
    #[must_use]
    pub fn shared<T: Meaning>(&self) -> Option<Rc<T>> {
        let Self::Of(meaning) = self else { return None };
        let meaning: Rc<dyn Any> = Rc::<dyn Meaning>::clone(meaning);
        meaning.downcast().ok()
    }

    /// Whether the meaning is of that type.
    #[must_use]
    pub fn is<T: Meaning>(&self) -> bool {
        self.read::<T>().is_some()
    }

    /// Whether the meaning has a property.
    pub fn has(&self, property: fn(&dyn Meaning) -> bool) -> bool {
        matches!(self, Self::Of(meaning) if property(meaning.as_ref()))
    }
}

/// A boolean if it is one; `None` when it is not known.
#[must_use]
pub fn truth(value: &Value) -> Option<bool> {
    match &value.kind {
        Kind::Bool(value) => Some(*value),
        _ => None,
    }
}
