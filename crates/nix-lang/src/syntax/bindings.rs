//! Bindings while nested attribute paths are merged.

use std::collections::HashMap;
use std::rc::Rc;

use super::ast::{AttrName, Bound, ExprId, Name, Span};

/// Bindings while they are merged.
#[derive(Default)]
pub(super) struct BindingsBuilder {
    pub entries: Vec<(Name, Span, Node)>,
    pub index: HashMap<Name, usize>,
    pub sources: Vec<ExprId>,
    pub dynamic: Vec<(ExprId, Node)>,
}

pub(super) enum Node {
    Bound(Bound),
    Set { recursive: bool, span: Span, inner: Box<BindingsBuilder> },
}

impl BindingsBuilder {
    pub fn insert(&mut self, name: Name, span: Span, node: Node) {
        let slot = self.index.get(&name).copied();
        let existing = slot.and_then(|i| self.entries.get_mut(i));
        match (existing, node) {
            (Some((_, _, Node::Set { inner, .. })), Node::Set { inner: more, .. }) => inner.merge(*more),
            // Nix refuses a second definition; the first one stays.
            (Some(_), _) => {}
            (None, node) => {
                self.index.insert(Rc::clone(&name), self.entries.len());
                self.entries.push((name, span, node));
            }
        }
    }

    pub(crate) fn insert_path(
        &mut self,
        mut names: std::vec::IntoIter<(AttrName, Span)>,
        whole: Span,
        node: Node,
    ) {
        let Some((first, span)) = names.next() else { return };
        let node = if names.len() == 0 {
            node
        } else {
            let mut inner = BindingsBuilder::default();
            inner.insert_path(names, whole, node);
            Node::Set { recursive: false, span: whole, inner: Box::new(inner) }
        };
        match first {
            AttrName::Static(name) => self.insert(name, span, node),
            AttrName::Dynamic(expr) => self.dynamic.push((expr, node)),
        }
    }

    /// The bindings of a second definition of the same set join the first.
    pub fn merge(&mut self, more: BindingsBuilder) {
        let shift = self.sources.len();
        self.sources.extend(more.sources);
        self.dynamic.extend(more.dynamic);
        for (name, span, node) in more.entries {
            let node = match node {
                Node::Bound(Bound::From(i)) => Node::Bound(Bound::From(i + shift)),
                node => node,
            };
            self.insert(name, span, node);
        }
    }
}
