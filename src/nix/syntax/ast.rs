//! A compact syntax tree: one arena per file, every node with its byte span.
//!
//! Nested attribute paths (`a.b = x; a.c = y;`) are merged into nested sets here, as the language prescribes, so that the
//! evaluator knows only plain bindings.

use std::rc::Rc;

use crate::nix::files::FileId;

/// An identifier or attribute name.
pub(crate) type Name = Rc<str>;

/// A byte range in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// Whether `other` lies inside.
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A span and the file that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Location {
    pub file: FileId,
    pub span: Span,
}

/// An index into [`Ast::exprs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ExprId(pub u32);

/// One parsed file.
#[derive(Debug)]
pub(crate) struct Ast {
    pub file: FileId,
    pub exprs: Vec<Expr>,
    pub spans: Vec<Span>,
    pub root: ExprId,
}

impl Ast {
    /// The node behind an index.
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.0 as usize]
    }

    /// Where a node stands.
    pub fn location(&self, id: ExprId) -> Location {
        Location { file: self.file, span: self.spans[id.0 as usize] }
    }
}

/// A piece of a string or path.
#[derive(Debug)]
pub(crate) enum Part {
    Text(Rc<str>),
    Expr(ExprId),
}

/// One component of an attribute path.
#[derive(Debug)]
pub(crate) enum AttrName {
    Static(Name),
    Dynamic(ExprId),
}

/// What a binding is bound to.
#[derive(Debug, Clone)]
pub(crate) enum Bound {
    /// `name = expression;`
    Expr(ExprId),
    /// `inherit name;`
    Outer,
    /// `inherit (source) name;`, an index into [`Bindings::sources`].
    From(usize),
}

/// `name = ...;`
#[derive(Debug)]
pub(crate) struct Binding {
    pub name: Name,
    pub span: Span,
    pub bound: Bound,
}

/// The bindings of a set or a `let`.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    pub entries: Vec<Binding>,
    pub sources: Vec<ExprId>,
    pub dynamic: Vec<(ExprId, ExprId)>,
}

/// One formal argument.
#[derive(Debug)]
pub(crate) struct Formal {
    pub name: Name,
    pub span: Span,
    pub default: Option<ExprId>,
}

/// What stands before the colon of a function.
#[derive(Debug)]
pub(crate) enum Param {
    Ident(Name),
    Pattern { formals: Vec<Formal>, bind: Option<Name> },
}

/// A function.
#[derive(Debug)]
pub(crate) struct Lambda {
    pub param: Param,
    pub body: ExprId,
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Concat,
    Update,
    Add,
    Sub,
    Mul,
    Div,
    And,
    Or,
    Implies,
    Equal,
    NotEqual,
    Less,
    LessEq,
    More,
    MoreEq,
    PipeRight,
    PipeLeft,
}

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr {
    Int(i64),
    Float(f64),
    Uri(Rc<str>),
    Str(Vec<Part>),
    Path(Vec<Part>),
    SearchPath(Rc<str>),
    Var(Name),
    Set { recursive: bool, bindings: Rc<Bindings> },
    Let { bindings: Rc<Bindings>, body: ExprId },
    LegacyLet(Rc<Bindings>),
    List(Vec<ExprId>),
    Lambda(Rc<Lambda>),
    Apply(ExprId, ExprId),
    Select { base: ExprId, path: Vec<AttrName>, default: Option<ExprId> },
    HasAttr { base: ExprId, path: Vec<AttrName> },
    If { condition: ExprId, then: ExprId, otherwise: ExprId },
    Assert { condition: ExprId, body: ExprId },
    With { namespace: ExprId, body: ExprId },
    Binary(Op, ExprId, ExprId),
    Not(ExprId),
    Negate(ExprId),
    CurrentPosition,
    Malformed,
}
