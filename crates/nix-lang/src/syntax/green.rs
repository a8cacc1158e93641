//! rnix's tree as the parser leaves it, with the place of each node.
//!
//! A node of this tree does not know where it stands, and is shared where the same text comes again; rnix's own typed
//! nodes know, at the price of an allocation for each look at each child. Lowering 3,000 lines through them took 6.2 ms of
//! 16 ms, through these 2.4.

use rnix::{NixLanguage, SyntaxKind};
use rowan::{GreenNodeData, Language as _, NodeOrToken};

use super::ast::Span;

/// A node, and where it begins.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    green: &'a GreenNodeData,
    start: u32,
}

/// What is directly inside of a node.
pub(super) enum Child<'a> {
    Node(Node<'a>),
    Token(SyntaxKind, &'a str),
}

impl<'a> Node<'a> {
    /// The whole of a tree whose text begins at this byte of the file.
    pub(super) fn root(green: &'a GreenNodeData, start: usize) -> Self {
        Self { green, start: u32::try_from(start).unwrap_or(u32::MAX) }
    }

    pub(super) fn kind(self) -> SyntaxKind {
        NixLanguage::kind_from_raw(self.green.kind())
    }

    pub(super) fn span(self) -> Span {
        Span { start: self.start, end: self.start.saturating_add(u32::from(self.green.text_len())) }
    }

    /// As a tree of its own, for what only rnix's typed nodes know. Its places are counted from its own start.
    pub(super) fn alone(self) -> rnix::SyntaxNode {
        rnix::SyntaxNode::new_root(self.green.to_owned())
    }

    pub(super) fn children(self) -> impl Iterator<Item = Child<'a>> {
        let mut start = self.start;
        self.green.children().map(move |child| match child {
            NodeOrToken::Node(green) => {
                let node = Node { green, start };
                start = node.span().end;
                Child::Node(node)
            }
            NodeOrToken::Token(token) => {
                start = start.saturating_add(u32::from(token.text_len()));
                Child::Token(NixLanguage::kind_from_raw(token.kind()), token.text())
            }
        })
    }

    pub(super) fn nodes(self) -> impl Iterator<Item = Node<'a>> {
        self.children().filter_map(|child| match child {
            Child::Node(node) => Some(node),
            Child::Token(..) => None,
        })
    }

    pub(super) fn tokens(self) -> impl Iterator<Item = (SyntaxKind, &'a str)> {
        self.children().filter_map(|child| match child {
            Child::Node(_) => None,
            Child::Token(kind, text) => Some((kind, text)),
        })
    }

    /// The text of the first token of this kind.
    pub(super) fn token(self, wanted: SyntaxKind) -> Option<&'a str> {
        self.tokens().find_map(|(kind, text)| (kind == wanted).then_some(text))
    }

    /// The first node of this kind.
    pub(super) fn node(self, wanted: SyntaxKind) -> Option<Node<'a>> {
        self.nodes().find(|node| node.kind() == wanted)
    }

    /// The expressions directly inside.
    pub(super) fn exprs(self) -> impl Iterator<Item = Node<'a>> {
        self.nodes().filter(|node| is_expr(node.kind()))
    }

    /// The only expression directly inside, or the first.
    pub(super) fn expr(self) -> Option<Node<'a>> {
        self.exprs().next()
    }
}

/// Whether nodes of this kind are expressions; the others are parts of some.
fn is_expr(kind: SyntaxKind) -> bool {
    use SyntaxKind as K;
    !matches!(
        kind,
        K::NODE_ATTRPATH
            | K::NODE_ATTRPATH_VALUE
            | K::NODE_DYNAMIC
            | K::NODE_IDENT_PARAM
            | K::NODE_INHERIT
            | K::NODE_INHERIT_FROM
            | K::NODE_INTERPOL
            | K::NODE_PATTERN
            | K::NODE_PAT_BIND
            | K::NODE_PAT_ENTRY
    )
}
