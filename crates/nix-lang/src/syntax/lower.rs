//! rnix's tree, lowered into the arena.

use std::rc::Rc;

use rnix::SyntaxKind as K;
use rnix::ast::{self, InterpolPart};
use rowan::GreenNodeData;
use rowan::ast::AstNode as _;

use super::ast::{
    Ast, AttrName, Binding, Bindings, Bound, Expr, ExprId, FileId, Formal, Functions, Lambda, Name, Op,
    Param, Span, StringPart,
};
use super::bindings::{self, BindingsBuilder};
use super::green::{Child, Node};

/// Lowers a whole file; `shift` is added to every offset (the length of a byte order mark).
pub(super) fn lower(file: FileId, root: &GreenNodeData, shift: usize) -> Ast {
    let mut lowerer = Lowerer { exprs: Vec::new(), spans: Vec::new() };
    let root = Node::root(root, shift);
    let root = lowerer.optional(root.expr(), root);
    let functions = Functions::of(&lowerer.exprs, &lowerer.spans);
    Ast { file, exprs: lowerer.exprs, spans: lowerer.spans, root, functions }
}

struct Lowerer {
    exprs: Vec<Expr>,
    spans: Vec<Span>,
}

impl Lowerer {
    fn push(&mut self, expr: Expr, span: Span) -> ExprId {
        let id = ExprId(u32::try_from(self.exprs.len()).unwrap_or(u32::MAX));
        self.exprs.push(expr);
        self.spans.push(span);
        id
    }

    fn optional(&mut self, expr: Option<Node<'_>>, parent: Node<'_>) -> ExprId {
        match expr {
            Some(expr) => self.expr(expr),
            None => self.push(Expr::Malformed, parent.span()),
        }
    }

    /// The first two expressions inside of a node.
    fn pair(&mut self, node: Node<'_>) -> (ExprId, ExprId) {
        let mut exprs = node.exprs();
        let (first, second) = (exprs.next(), exprs.next());
        (self.optional(first, node), self.optional(second, node))
    }

    fn expr(&mut self, node: Node<'_>) -> ExprId {
        let lowered = match node.kind() {
            // Parentheses leave no trace: the token that is rewritten stands inside of them (fixture `text-parenthesised`).
            K::NODE_PAREN | K::NODE_ROOT => return self.optional(node.expr(), node),
            K::NODE_LITERAL => lower_literal(node),
            K::NODE_IDENT => Expr::Var(ident_name(node)),
            K::NODE_STRING => Expr::Str(self.string_parts(node)),
            K::NODE_PATH_ABS | K::NODE_PATH_REL | K::NODE_PATH_HOME => {
                Expr::Path(self.parts(node, |text| Rc::from(text)))
            }
            K::NODE_PATH_SEARCH => lower_search_path(node),
            K::NODE_CUR_POS => Expr::CurrentPosition,
            K::NODE_LIST => Expr::List(node.exprs().map(|item| self.expr(item)).collect()),
            K::NODE_ATTR_SET => {
                let builder = self.bindings(node);
                Expr::Set { recursive: is_recursive(node), bindings: self.freeze(builder) }
            }
            K::NODE_LET_IN => {
                let builder = self.bindings(node);
                let bindings = self.freeze(builder);
                Expr::Let { bindings, body: self.optional(node.expr(), node) }
            }
            K::NODE_LEGACY_LET => {
                let builder = self.bindings(node);
                Expr::LegacyLet(self.freeze(builder))
            }
            kind => self.compound(kind, node),
        };
        self.push(lowered, node.span())
    }

    fn compound(&mut self, kind: K, node: Node<'_>) -> Expr {
        match kind {
            K::NODE_APPLY => {
                let (function, argument) = self.pair(node);
                Expr::Apply(function, argument)
            }
            K::NODE_SELECT => {
                let mut exprs = node.exprs();
                let base = self.optional(exprs.next(), node);
                let path = self.attr_path(node);
                Expr::Select { base, path, default: exprs.next().map(|default| self.expr(default)) }
            }
            K::NODE_HAS_ATTR => {
                let base = self.optional(node.expr(), node);
                Expr::HasAttr { base, path: self.attr_path(node) }
            }
            K::NODE_IF_ELSE => {
                let mut exprs = node.exprs();
                let mut next = || self.optional(exprs.next(), node);
                Expr::If { condition: next(), then: next(), otherwise: next() }
            }
            K::NODE_ASSERT => {
                let (condition, body) = self.pair(node);
                Expr::Assert { condition, body }
            }
            K::NODE_WITH => {
                let (namespace, body) = self.pair(node);
                Expr::With { namespace, body }
            }
            K::NODE_UNARY_OP => {
                let inner = self.optional(node.expr(), node);
                if node.token(K::TOKEN_INVERT).is_some() { Expr::Not(inner) } else { Expr::Negate(inner) }
            }
            K::NODE_BIN_OP => {
                let (left, right) = self.pair(node);
                let op = node.tokens().find_map(|(kind, _)| operator(kind));
                op.map_or(Expr::Malformed, |op| Expr::Binary(op, left, right))
            }
            K::NODE_LAMBDA => self.lambda(node),
            _ => Expr::Malformed,
        }
    }

    fn lambda(&mut self, lambda: Node<'_>) -> Expr {
        let param = if let Some(param) = lambda.node(K::NODE_IDENT_PARAM) {
            Param::Ident(param.node(K::NODE_IDENT).map_or_else(|| Rc::from("_"), ident_name))
        } else if let Some(pattern) = lambda.node(K::NODE_PATTERN) {
            let entries = pattern.nodes().filter(|part| part.kind() == K::NODE_PAT_ENTRY);
            let formals = entries.filter_map(|entry| self.formal(entry)).collect();
            let bind = pattern.node(K::NODE_PAT_BIND).and_then(|bind| bind.node(K::NODE_IDENT));
            Param::Pattern { formals, bind: bind.map(ident_name) }
        } else {
            return Expr::Malformed;
        };
        let body = self.optional(lambda.expr(), lambda);
        Expr::Lambda(Rc::new(Lambda { param, body }))
    }

    fn formal(&mut self, entry: Node<'_>) -> Option<Formal> {
        let ident = entry.node(K::NODE_IDENT)?;
        let default = entry.exprs().nth(1).map(|default| self.expr(default));
        Some(Formal { name: ident_name(ident), span: ident.span(), default })
    }

    fn string_parts(&mut self, string: Node<'_>) -> Vec<StringPart> {
        if string.token(K::TOKEN_STRING_START) == Some("\"") {
            return self.parts(string, quoted_text);
        }
        let mut parts = Vec::new();
        let mut interpolations = string.nodes();
        let typed = ast::Str::cast(string.alone()).expect("bug: a node of this kind is a string");
        for part in typed.normalized_parts() {
            match part {
                InterpolPart::Literal(text) if text.is_empty() => {}
                InterpolPart::Literal(text) => parts.push(StringPart::Text(Rc::from(text))),
                InterpolPart::Interpolation(_) => {
                    let inner = interpolations.next().expect("bug: rnix has the same interpolations");
                    parts.push(StringPart::Expr(self.optional(inner.expr(), inner)));
                }
            }
        }
        parts
    }

    /// Interpolations, and what stands between them as it is meant.
    fn parts(&mut self, node: Node<'_>, meant: fn(&str) -> Rc<str>) -> Vec<StringPart> {
        let part = |child| match child {
            Child::Token(K::TOKEN_STRING_START | K::TOKEN_STRING_END, _) => None,
            Child::Token(_, text) => Some(StringPart::Text(meant(text))),
            Child::Node(inner) => Some(StringPart::Expr(self.optional(inner.expr(), inner))),
        };
        node.children().filter_map(part).collect()
    }

    fn attr_path(&mut self, node: Node<'_>) -> Vec<AttrName> {
        let path = node.node(K::NODE_ATTRPATH);
        path.map(|path| self.attrs(path).into_iter().map(|(name, _)| name).collect()).unwrap_or_default()
    }

    /// The names of a path, or of an `inherit`.
    fn attrs(&mut self, node: Node<'_>) -> Vec<(AttrName, Span)> {
        node.nodes().filter_map(|attr| self.attr_name(attr)).collect()
    }

    fn attr_name(&mut self, attr: Node<'_>) -> Option<(AttrName, Span)> {
        let name = match attr.kind() {
            K::NODE_IDENT => AttrName::Static(ident_name(attr)),
            K::NODE_DYNAMIC => AttrName::Dynamic(self.optional(attr.expr(), attr)),
            K::NODE_STRING => {
                let parts = self.string_parts(attr);
                match parts.as_slice() {
                    [] => AttrName::Static(Rc::from("")),
                    [StringPart::Text(text)] => AttrName::Static(Rc::clone(text)),
                    _ => AttrName::Dynamic(self.push(Expr::Str(parts), attr.span())),
                }
            }
            _ => return None,
        };
        Some((name, attr.span()))
    }

    fn bindings(&mut self, set: Node<'_>) -> BindingsBuilder {
        let mut builder = BindingsBuilder::default();
        for entry in set.nodes() {
            match entry.kind() {
                K::NODE_INHERIT => self.inherit(entry, &mut builder),
                K::NODE_ATTRPATH_VALUE => self.binding(entry, &mut builder),
                _ => {}
            }
        }
        builder
    }

    fn inherit(&mut self, inherit: Node<'_>, builder: &mut BindingsBuilder) {
        let source = inherit.node(K::NODE_INHERIT_FROM).map(|from| {
            let expr = self.optional(from.expr(), from);
            builder.sources.push(expr);
            builder.sources.len() - 1
        });
        for (name, span) in self.attrs(inherit) {
            if let AttrName::Static(name) = name {
                let bound = source.map_or(Bound::Outer, Bound::From);
                builder.insert(name, span, bindings::BoundNode::Bound(bound));
            }
        }
    }

    fn binding(&mut self, binding: Node<'_>, builder: &mut BindingsBuilder) {
        let Some(path) = binding.node(K::NODE_ATTRPATH) else { return };
        let names = self.attrs(path);
        // Nix merges `a = ({ b = 1; }); a.c = 2;` as it does without the parentheses.
        let mut value = binding.expr();
        while let Some(paren) = value.filter(|value| value.kind() == K::NODE_PAREN) {
            value = paren.expr();
        }
        let node = match value {
            Some(set) if set.kind() == K::NODE_ATTR_SET => bindings::BoundNode::Set {
                recursive: is_recursive(set),
                span: set.span(),
                inner: Box::new(self.bindings(set)),
            },
            value => bindings::BoundNode::Bound(Bound::Expr(self.optional(value, binding))),
        };
        builder.insert_path(names.into_iter(), binding.span(), node);
    }

    fn freeze(&mut self, builder: BindingsBuilder) -> Rc<Bindings> {
        let entries = builder
            .entries
            .into_iter()
            .map(|(name, span, node)| Binding { name, span, bound: self.freeze_node(node) })
            .collect();
        let dynamic = builder
            .dynamic
            .into_iter()
            .filter_map(|(name, node)| match self.freeze_node(node) {
                Bound::Expr(value) => Some((name, value)),
                _ => None,
            })
            .collect();
        Rc::new(Bindings { entries, sources: builder.sources, dynamic })
    }

    fn freeze_node(&mut self, node: bindings::BoundNode) -> Bound {
        match node {
            bindings::BoundNode::Bound(bound) => bound,
            bindings::BoundNode::Set { recursive, span, inner } => {
                let bindings = self.freeze(*inner);
                Bound::Expr(self.push(Expr::Set { recursive, bindings }, span))
            }
        }
    }
}

fn is_recursive(set: Node<'_>) -> bool {
    set.token(K::TOKEN_REC).is_some()
}

/// What stands between single quotation marks: Nix reads a line that ends with a carriage return as one without, but in a
/// `''` text it leaves that there.
fn quoted_text(written: &str) -> Rc<str> {
    if !written.contains(['\\', '\r']) {
        return Rc::from(written);
    }
    let mut text = String::with_capacity(written.len());
    let mut rest = written.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => text.extend(rest.next().map(|escaped| match escaped {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            })),
            '\r' => {
                rest.next_if_eq(&'\n');
                text.push('\n');
            }
            c => text.push(c),
        }
    }
    Rc::from(text)
}

/// `or` is a word of its own, and a name where one has to stand.
fn ident_name(ident: Node<'_>) -> Name {
    Rc::from(ident.token(K::TOKEN_IDENT).unwrap_or("or"))
}

fn lower_literal(literal: Node<'_>) -> Expr {
    let lowered = literal.tokens().find_map(|(kind, text)| match kind {
        K::TOKEN_INTEGER => text.parse().ok().map(Expr::Int),
        K::TOKEN_FLOAT => text.parse().ok().map(Expr::Float),
        K::TOKEN_URI => Some(Expr::Uri(Rc::from(text))),
        _ => None,
    });
    lowered.unwrap_or(Expr::Malformed)
}

fn lower_search_path(path: Node<'_>) -> Expr {
    let text = path.token(K::TOKEN_PATH_SEARCH).unwrap_or_default();
    Expr::SearchPath(Rc::from(text.trim_start_matches('<').trim_end_matches('>')))
}

fn operator(token: K) -> Option<Op> {
    Some(match token {
        K::TOKEN_CONCAT => Op::Concat,
        K::TOKEN_UPDATE => Op::Update,
        K::TOKEN_ADD => Op::Add,
        K::TOKEN_SUB => Op::Sub,
        K::TOKEN_MUL => Op::Mul,
        K::TOKEN_DIV => Op::Div,
        K::TOKEN_AND_AND => Op::And,
        K::TOKEN_OR_OR => Op::Or,
        K::TOKEN_IMPLICATION => Op::Implies,
        K::TOKEN_EQUAL => Op::Equal,
        K::TOKEN_NOT_EQUAL => Op::NotEqual,
        K::TOKEN_LESS => Op::Less,
        K::TOKEN_LESS_OR_EQ => Op::LessEq,
        K::TOKEN_MORE => Op::More,
        K::TOKEN_MORE_OR_EQ => Op::MoreEq,
        K::TOKEN_PIPE_RIGHT => Op::PipeRight,
        K::TOKEN_PIPE_LEFT => Op::PipeLeft,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    fn text(written: &str) -> String {
        let ast = parse(FileId(0), written).expect("a text");
        match ast.expr(ast.root) {
            Expr::Str(parts) => match parts.as_slice() {
                [StringPart::Text(text)] => text.to_string(),
                _ => panic!("{written:?} is several parts"),
            },
            _ => panic!("{written:?} is no text"),
        }
    }

    /// What `nix-instantiate --eval --json` says of them.
    #[test]
    fn line_ends_and_escapes_are_those_of_nix() {
        for (written, expected) in [
            ("\"a\r\nb\"", "a\nb"),
            ("\"a\\r\r\nb\rc\"", "a\r\nb\nc"),
            ("\"x\\\r\ny\"", "x\r\ny"),
            ("\"\\$\\q\\\"\\n\\t\"", "$q\"\n\t"),
            ("''a\r\nb''", "a\r\nb"),
            ("''\r\n  a\r\n''", "\r\n  a\r\n"),
            ("''\n  a\n   b\n''", "a\n b\n"),
        ] {
            assert_eq!(text(written), expected, "{written:?}");
        }
    }

    #[test]
    fn parentheses_make_no_other_set() {
        for written in [
            "{ a = { b = 1; }; a.c = 2; }",
            "{ a = ({ b = 1; }); a.c = 2; }",
            "{ a.b = 1; a = ((rec { c = 2; })); }",
        ] {
            let ast = parse(FileId(0), written).expect("a set");
            let sizes = ast.exprs.iter().filter_map(|expr| match expr {
                Expr::Set { bindings, recursive } => Some((bindings.entries.len(), *recursive)),
                _ => None,
            });
            assert_eq!(sizes.collect::<Vec<_>>(), [(2, false), (1, false)], "{written}");
        }
    }
}
