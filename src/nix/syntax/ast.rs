//! A compact syntax tree: one arena per file, every node with its byte span.
//!
//! Nested attribute paths (`a.b = x; a.c = y;`) are merged into nested sets here, as the language prescribes, so that the
//! evaluator knows only plain bindings.

use std::rc::Rc;

/// An index into the files that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(pub u32);

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
    pub functions: Functions,
}

/// The functions of a file, to be asked for those around a place: thousands of places may ask (`benches/make-flat.sh`).
#[derive(Debug)]
pub(crate) struct Functions {
    /// In order of their starts, each with the index of the next one around it.
    all: Vec<(Span, Option<usize>)>,
}

impl Functions {
    /// Those of an arena.
    pub fn of(exprs: &[Expr], spans: &[Span]) -> Self {
        let is_function = |(_, expr): &(&Span, &Expr)| matches!(expr, Expr::Lambda(_));
        Self::at(spans.iter().zip(exprs).filter(is_function).map(|(span, _)| *span).collect())
    }

    fn at(mut functions: Vec<Span>) -> Self {
        functions.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let mut all: Vec<(Span, Option<usize>)> = Vec::with_capacity(functions.len());
        for span in functions {
            let around = innermost(&all, all.len().checked_sub(1), span).map(|(index, _)| index);
            all.push((span, around));
        }
        Self { all }
    }

    /// The innermost function around a place, or of just that place.
    pub fn around(&self, place: Span) -> Option<Span> {
        let before = self.all.partition_point(|(span, _)| span.start <= place.start);
        innermost(&self.all, before.checked_sub(1), place).map(|(_, span)| span)
    }
}

/// The first function that contains a place, from one that begins before it outwards: spans of a tree are disjoint or nested.
fn innermost(all: &[(Span, Option<usize>)], from: Option<usize>, place: Span) -> Option<(usize, Span)> {
    let mut next = from;
    while let Some(index) = next {
        let (span, around) = all[index];
        if span.contains(place) {
            return Some((index, span));
        }
        next = around;
    }
    None
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

/// Saturating conversion; files are bounded far below.
pub(crate) fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_function_around_a_place_is_found() {
        let span = |start, end| Span { start, end };
        let functions =
            Functions::at(vec![span(50, 60), span(12, 20), span(0, 100), span(25, 30), span(10, 40)]);
        let around = |start, end| functions.around(span(start, end));
        assert_eq!(around(13, 15), Some(span(12, 20)));
        assert_eq!(around(22, 24), Some(span(10, 40)), "beside a function of its own");
        assert_eq!(around(12, 28), Some(span(10, 40)), "around two");
        assert_eq!(around(70, 80), Some(span(0, 100)));
        assert_eq!(around(50, 60), Some(span(50, 60)));
        assert_eq!(around(90, 110), None);
    }
}
