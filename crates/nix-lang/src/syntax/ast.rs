//! A compact syntax tree: one arena per file, every node with its byte span.
//!
//! Nested attribute paths (`a.b = x; a.c = y;`) are merged into nested sets here, as the language prescribes, so that the
//! evaluator knows only plain bindings.

use std::rc::Rc;

/// An index into the files that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// An identifier or attribute name.
pub type Name = Rc<str>;

/// A byte range in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte behind the last.
    pub end: u32,
}

impl Span {
    /// Whether `other` lies inside.
    #[must_use]
    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// A span and the file that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The file.
    pub file: FileId,
    /// Where in it.
    pub span: Span,
}

/// An index into [`Ast::exprs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub u32);

/// One parsed file.
#[derive(Debug)]
pub struct Ast {
    /// The file.
    pub file: FileId,
    /// All expressions.
    pub exprs: Vec<Expr>,
    /// Where each of them stands.
    pub spans: Vec<Span>,
    /// The whole file.
    pub root: ExprId,
    /// What its functions take.
    pub functions: Functions,
}

/// The functions of a file, to be asked for those around a place: thousands of places may ask (`benches/make-flat.sh`).
#[derive(Debug)]
pub struct Functions {
    /// In order of their starts, each with the index of the next one around it.
    all: Vec<(Span, Option<usize>)>,
}

impl Functions {
    /// Those of an arena.
    #[must_use]
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
    #[must_use]
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
    #[must_use]
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.0 as usize]
    }

    /// Where a node stands.
    #[must_use]
    pub fn location(&self, id: ExprId) -> Location {
        Location { file: self.file, span: self.spans[id.0 as usize] }
    }

    /// Every `name = expression;` of the file, in sets and scopes, with the expression.
    pub fn bindings(&self) -> impl Iterator<Item = (&Binding, ExprId)> {
        let bindings = self.exprs.iter().filter_map(|expr| match expr {
            Expr::Set { bindings, .. } | Expr::Let { bindings, .. } | Expr::LegacyLet(bindings) => {
                Some(bindings)
            }
            _ => None,
        });
        bindings.flat_map(|bindings| &bindings.entries).filter_map(|binding| match binding.bound {
            Bound::Expr(id) => Some((binding, id)),
            Bound::Outer | Bound::From(_) => None,
        })
    }
}

/// A piece of a string or path.
#[derive(Debug)]
pub enum StringPart {
    /// Text as written, escapes taken out.
    Text(Rc<str>),
    /// `${...}`
    Expr(ExprId),
}

/// One component of an attribute path.
#[derive(Debug)]
pub enum AttrName {
    /// A name.
    Static(Name),
    /// `${...}`
    Dynamic(ExprId),
}

/// What a binding is bound to.
#[derive(Debug, Clone)]
pub enum Bound {
    /// `name = expression;`
    Expr(ExprId),
    /// `inherit name;`
    Outer,
    /// `inherit (source) name;`, an index into [`Bindings::sources`].
    From(usize),
}

/// `name = ...;`
#[derive(Debug)]
pub struct Binding {
    /// The name before the `=`.
    pub name: Name,
    /// All of it.
    pub span: Span,
    /// What it is bound to.
    pub bound: Bound,
}

/// The bindings of a set or a `let`.
#[derive(Debug, Default)]
pub struct Bindings {
    /// Those whose names are written.
    pub entries: Vec<Binding>,
    /// The sets of `inherit (source) ...;`.
    pub sources: Vec<ExprId>,
    /// `${name} = value;`: name and value.
    pub dynamic: Vec<(ExprId, ExprId)>,
}

/// One formal argument.
#[derive(Debug)]
pub struct Formal {
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub span: Span,
    /// What it is where nothing is given.
    pub default: Option<ExprId>,
}

/// What stands before the colon of a function.
#[derive(Debug)]
pub enum Param {
    /// `name:`
    Ident(Name),
    /// `{ a, b ? default, ... }@all:`
    Pattern {
        /// The names in the braces.
        formals: Vec<Formal>,
        /// The name of the whole.
        bind: Option<Name>,
    },
}

/// A function.
#[derive(Debug)]
pub struct Lambda {
    /// What it takes.
    pub param: Param,
    /// What it is.
    pub body: ExprId,
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `++`
    Concat,
    /// `//`
    Update,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `->`
    Implies,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEq,
    /// `>`
    More,
    /// `>=`
    MoreEq,
    /// `|>`
    PipeRight,
    /// `<|`
    PipeLeft,
}

/// An expression.
#[derive(Debug)]
pub enum Expr {
    /// An integer.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A URL without quotes.
    Uri(Rc<str>),
    /// A string.
    Str(Vec<StringPart>),
    /// A path.
    Path(Vec<StringPart>),
    /// `<nixpkgs>`
    SearchPath(Rc<str>),
    /// A variable.
    Var(Name),
    /// `{ ... }`
    Set {
        /// `rec { ... }`
        recursive: bool,
        /// What is in the braces.
        bindings: Rc<Bindings>,
    },
    /// `let ... in body`
    Let {
        /// What is between the words.
        bindings: Rc<Bindings>,
        /// What they are for.
        body: ExprId,
    },
    /// `let { ...; body = ...; }`
    LegacyLet(Rc<Bindings>),
    /// `[ ... ]`
    List(Vec<ExprId>),
    /// A function.
    Lambda(Rc<Lambda>),
    /// Function and argument.
    Apply(ExprId, ExprId),
    /// `base.path or default`
    Select {
        /// The set.
        base: ExprId,
        /// The way into it.
        path: Vec<AttrName>,
        /// What counts where there is nothing.
        default: Option<ExprId>,
    },
    /// `base ? path`
    HasAttr {
        /// The set.
        base: ExprId,
        /// The way into it.
        path: Vec<AttrName>,
    },
    /// `if condition then ... else ...`
    If {
        /// The condition.
        condition: ExprId,
        /// What counts where it holds.
        then: ExprId,
        /// What counts where it does not.
        otherwise: ExprId,
    },
    /// `assert condition; body`
    Assert {
        /// The condition.
        condition: ExprId,
        /// What counts where it holds.
        body: ExprId,
    },
    /// `with namespace; body`
    With {
        /// The set whose names are known in the body.
        namespace: ExprId,
        /// The body.
        body: ExprId,
    },
    /// Two operands of an operator.
    Binary(Op, ExprId, ExprId),
    /// `!operand`
    Not(ExprId),
    /// `-operand`
    Negate(ExprId),
    /// `__curPos`
    CurrentPosition,
    /// What the parser let through without an operand.
    Malformed,
}

/// Saturating conversion; files are bounded far below.
#[must_use]
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
