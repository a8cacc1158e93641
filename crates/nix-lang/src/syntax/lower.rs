//! rnix's tree, lowered into the arena.

use std::rc::Rc;

use rnix::ast::{self, AstToken, HasEntry, InterpolPart};
use rowan::ast::AstNode;

use super::ast::{
    Ast, AttrName, Binding, Bindings, Bound, Expr, ExprId, FileId, Formal, Functions, Lambda, Name, Op,
    Param, Span, StringPart,
};
use super::bindings::{BindingsBuilder, Node};

/// Lowers a whole file; `shift` is added to every offset (the length of a byte order mark).
pub(super) fn lower(file: FileId, root: &ast::Root, shift: usize) -> Ast {
    let mut lowerer = Lowerer { exprs: Vec::new(), spans: Vec::new(), shift };
    let root = lowerer.optional(root.expr(), root.syntax());
    let functions = Functions::of(&lowerer.exprs, &lowerer.spans);
    Ast { file, exprs: lowerer.exprs, spans: lowerer.spans, root, functions }
}

struct Lowerer {
    exprs: Vec<Expr>,
    spans: Vec<Span>,
    shift: usize,
}

impl Lowerer {
    fn span(&self, node: &rnix::SyntaxNode) -> Span {
        let range = node.text_range();
        Span { start: self.offset(range.start()), end: self.offset(range.end()) }
    }

    fn offset(&self, size: rnix::TextSize) -> u32 {
        u32::try_from(usize::from(size) + self.shift).unwrap_or(u32::MAX)
    }

    fn push(&mut self, expr: Expr, span: Span) -> ExprId {
        let id = ExprId(u32::try_from(self.exprs.len()).unwrap_or(u32::MAX));
        self.exprs.push(expr);
        self.spans.push(span);
        id
    }

    fn optional(&mut self, expr: Option<ast::Expr>, parent: &rnix::SyntaxNode) -> ExprId {
        if let Some(expr) = expr {
            return self.expr(&expr);
        }
        let span = self.span(parent);
        self.push(Expr::Malformed, span)
    }

    fn expr(&mut self, expr: &ast::Expr) -> ExprId {
        let span = self.span(expr.syntax());
        let lowered = match expr {
            ast::Expr::Paren(paren) => return self.optional(paren.expr(), paren.syntax()),
            ast::Expr::Root(root) => return self.optional(root.expr(), root.syntax()),
            ast::Expr::Literal(literal) => lower_literal(literal),
            ast::Expr::Ident(ident) => Expr::Var(ident_name(ident)),
            ast::Expr::Str(string) => Expr::Str(self.string_parts(string)),
            ast::Expr::PathAbs(path) => Expr::Path(self.path_parts(path.parts())),
            ast::Expr::PathRel(path) => Expr::Path(self.path_parts(path.parts())),
            ast::Expr::PathHome(path) => Expr::Path(self.path_parts(path.parts())),
            ast::Expr::PathSearch(path) => lower_search_path(path),
            ast::Expr::CurPos(_) => Expr::CurrentPosition,
            ast::Expr::List(list) => Expr::List(list.items().map(|item| self.expr(&item)).collect()),
            ast::Expr::Error(_) => Expr::Malformed,
            ast::Expr::AttrSet(set) => {
                let builder = self.bindings(set);
                Expr::Set { recursive: set.rec_token().is_some(), bindings: self.freeze(builder) }
            }
            ast::Expr::LetIn(let_in) => {
                let builder = self.bindings(let_in);
                let bindings = self.freeze(builder);
                Expr::Let { bindings, body: self.optional(let_in.body(), let_in.syntax()) }
            }
            ast::Expr::LegacyLet(legacy) => {
                let builder = self.bindings(legacy);
                Expr::LegacyLet(self.freeze(builder))
            }
            other => self.compound(other),
        };
        self.push(lowered, span)
    }

    fn compound(&mut self, expr: &ast::Expr) -> Expr {
        match expr {
            ast::Expr::Apply(apply) => {
                let function = self.optional(apply.lambda(), apply.syntax());
                Expr::Apply(function, self.optional(apply.argument(), apply.syntax()))
            }
            ast::Expr::Select(select) => {
                let base = self.optional(select.expr(), select.syntax());
                let path = self.attr_path(select.attrpath());
                Expr::Select { base, path, default: select.default_expr().map(|e| self.expr(&e)) }
            }
            ast::Expr::HasAttr(has) => {
                let base = self.optional(has.expr(), has.syntax());
                Expr::HasAttr { base, path: self.attr_path(has.attrpath()) }
            }
            ast::Expr::IfElse(branch) => Expr::If {
                condition: self.optional(branch.condition(), branch.syntax()),
                then: self.optional(branch.body(), branch.syntax()),
                otherwise: self.optional(branch.else_body(), branch.syntax()),
            },
            ast::Expr::Assert(assert) => Expr::Assert {
                condition: self.optional(assert.condition(), assert.syntax()),
                body: self.optional(assert.body(), assert.syntax()),
            },
            ast::Expr::With(with) => Expr::With {
                namespace: self.optional(with.namespace(), with.syntax()),
                body: self.optional(with.body(), with.syntax()),
            },
            ast::Expr::UnaryOp(unary) => {
                let inner = self.optional(unary.expr(), unary.syntax());
                match unary.operator() {
                    Some(ast::UnaryOpKind::Invert) => Expr::Not(inner),
                    _ => Expr::Negate(inner),
                }
            }
            ast::Expr::BinOp(binary) => self.binary(binary),
            ast::Expr::Lambda(lambda) => self.lambda(lambda),
            _ => Expr::Malformed,
        }
    }

    fn binary(&mut self, binary: &ast::BinOp) -> Expr {
        let left = self.optional(binary.lhs(), binary.syntax());
        let right = self.optional(binary.rhs(), binary.syntax());
        match binary.operator().map(operator) {
            Some(op) => Expr::Binary(op, left, right),
            None => Expr::Malformed,
        }
    }

    fn lambda(&mut self, lambda: &ast::Lambda) -> Expr {
        let param = match lambda.param() {
            Some(ast::Param::IdentParam(param)) => {
                Param::Ident(param.ident().as_ref().map_or_else(|| Rc::from("_"), ident_name))
            }
            Some(ast::Param::Pattern(pattern)) => {
                let formals = pattern.pat_entries().filter_map(|entry| self.formal(&entry)).collect();
                let bind = pattern.pat_bind().and_then(|bind| bind.ident()).as_ref().map(ident_name);
                Param::Pattern { formals, bind }
            }
            None => return Expr::Malformed,
        };
        let body = self.optional(lambda.body(), lambda.syntax());
        Expr::Lambda(Rc::new(Lambda { param, body }))
    }

    fn formal(&mut self, entry: &ast::PatEntry) -> Option<Formal> {
        let ident = entry.ident()?;
        let default = entry.default().map(|e| self.expr(&e));
        Some(Formal { name: ident_name(&ident), span: self.span(ident.syntax()), default })
    }

    fn string_parts(&mut self, string: &ast::Str) -> Vec<StringPart> {
        let mut parts = Vec::new();
        for part in string.normalized_parts() {
            match part {
                InterpolPart::Literal(text) if text.is_empty() => {}
                InterpolPart::Literal(text) => parts.push(StringPart::Text(Rc::from(text))),
                InterpolPart::Interpolation(inner) => {
                    parts.push(StringPart::Expr(self.optional(inner.expr(), inner.syntax())));
                }
            }
        }
        parts
    }

    fn path_parts(&mut self, parts: Vec<InterpolPart<ast::PathContent>>) -> Vec<StringPart> {
        let mut lowered = Vec::new();
        for part in parts {
            match part {
                InterpolPart::Literal(content) => {
                    lowered.push(StringPart::Text(Rc::from(content.syntax().text())));
                }
                InterpolPart::Interpolation(inner) => {
                    lowered.push(StringPart::Expr(self.optional(inner.expr(), inner.syntax())));
                }
            }
        }
        lowered
    }

    fn attr_path(&mut self, path: Option<ast::Attrpath>) -> Vec<AttrName> {
        path.map(|path| path.attrs().map(|attr| self.attr_name(&attr).0).collect()).unwrap_or_default()
    }

    fn attr_name(&mut self, attr: &ast::Attr) -> (AttrName, Span) {
        let span = self.span(attr.syntax());
        let name = match attr {
            ast::Attr::Ident(ident) => AttrName::Static(ident_name(ident)),
            ast::Attr::Dynamic(dynamic) => {
                let expr = self.optional(dynamic.expr(), dynamic.syntax());
                AttrName::Dynamic(expr)
            }
            ast::Attr::Str(string) => {
                let parts = self.string_parts(string);
                match parts.as_slice() {
                    [] => AttrName::Static(Rc::from("")),
                    [StringPart::Text(text)] => AttrName::Static(Rc::clone(text)),
                    _ => AttrName::Dynamic(self.push(Expr::Str(parts), span)),
                }
            }
        };
        (name, span)
    }

    fn bindings(&mut self, set: &impl HasEntry) -> BindingsBuilder {
        let mut builder = BindingsBuilder::default();
        for entry in set.entries() {
            match entry {
                ast::Entry::Inherit(inherit) => self.inherit(&inherit, &mut builder),
                ast::Entry::AttrpathValue(binding) => self.binding(&binding, &mut builder),
            }
        }
        builder
    }

    fn inherit(&mut self, inherit: &ast::Inherit, builder: &mut BindingsBuilder) {
        let source = inherit.from().map(|from| {
            let expr = self.optional(from.expr(), from.syntax());
            builder.sources.push(expr);
            builder.sources.len() - 1
        });
        for attr in inherit.attrs() {
            if let (AttrName::Static(name), span) = self.attr_name(&attr) {
                let bound = source.map_or(Bound::Outer, Bound::From);
                builder.insert(name, span, Node::Bound(bound));
            }
        }
    }

    fn binding(&mut self, binding: &ast::AttrpathValue, builder: &mut BindingsBuilder) {
        let Some(path) = binding.attrpath() else { return };
        let names: Vec<(AttrName, Span)> = path.attrs().map(|attr| self.attr_name(&attr)).collect();
        let span = self.span(binding.syntax());
        let node = match binding.value() {
            Some(ast::Expr::AttrSet(set)) => Node::Set {
                recursive: set.rec_token().is_some(),
                span: self.span(set.syntax()),
                inner: Box::new(self.bindings(&set)),
            },
            value => Node::Bound(Bound::Expr(self.optional(value, binding.syntax()))),
        };
        builder.insert_path(names.into_iter(), span, node);
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

    fn freeze_node(&mut self, node: Node) -> Bound {
        match node {
            Node::Bound(bound) => bound,
            Node::Set { recursive, span, inner } => {
                let bindings = self.freeze(*inner);
                Bound::Expr(self.push(Expr::Set { recursive, bindings }, span))
            }
        }
    }
}

fn ident_name(ident: &ast::Ident) -> Name {
    ident.ident_token().map_or_else(|| Rc::from("or"), |token| Rc::from(token.text()))
}

fn lower_literal(literal: &ast::Literal) -> Expr {
    match literal.kind() {
        ast::LiteralKind::Integer(int) => int.value().map_or(Expr::Malformed, Expr::Int),
        ast::LiteralKind::Float(float) => float.value().map_or(Expr::Malformed, Expr::Float),
        ast::LiteralKind::Uri(uri) => Expr::Uri(Rc::from(uri.syntax().text())),
    }
}

fn lower_search_path(path: &ast::PathSearch) -> Expr {
    let text = path.syntax().text().to_string();
    Expr::SearchPath(Rc::from(text.trim_start_matches('<').trim_end_matches('>')))
}

fn operator(kind: ast::BinOpKind) -> Op {
    match kind {
        ast::BinOpKind::Concat => Op::Concat,
        ast::BinOpKind::Update => Op::Update,
        ast::BinOpKind::Add => Op::Add,
        ast::BinOpKind::Sub => Op::Sub,
        ast::BinOpKind::Mul => Op::Mul,
        ast::BinOpKind::Div => Op::Div,
        ast::BinOpKind::And => Op::And,
        ast::BinOpKind::Or => Op::Or,
        ast::BinOpKind::Implication => Op::Implies,
        ast::BinOpKind::Equal => Op::Equal,
        ast::BinOpKind::NotEqual => Op::NotEqual,
        ast::BinOpKind::Less => Op::Less,
        ast::BinOpKind::LessOrEq => Op::LessEq,
        ast::BinOpKind::More => Op::More,
        ast::BinOpKind::MoreOrEq => Op::MoreEq,
        ast::BinOpKind::PipeRight => Op::PipeRight,
        ast::BinOpKind::PipeLeft => Op::PipeLeft,
    }
}
