//! Bindings while nested attribute paths are merged.

use std::collections::HashMap;
use std::rc::Rc;

use super::ast::{AttrName, Bound, ExprId, Name, Span};

/// Bindings while they are merged.
#[derive(Default)]
pub(super) struct BindingsBuilder {
    pub entries: Vec<(Name, Span, BoundNode)>,
    /// Where each name is, once there are more than [`FEW`].
    index: HashMap<Name, usize>,
    pub sources: Vec<ExprId>,
    pub dynamic: Vec<(ExprId, BoundNode)>,
}

/// Up to so many names are compared one by one: most sets have fewer, and a table for each takes longer than that.
const FEW: usize = 16;

pub(super) enum BoundNode {
    Bound(Bound),
    Set { recursive: bool, span: Span, inner: Box<BindingsBuilder> },
}

impl BindingsBuilder {
    pub fn insert(&mut self, name: Name, span: Span, node: BoundNode) {
        let existing = self.position(&name).and_then(|i| self.entries.get_mut(i));
        match (existing, node) {
            // `a = { b = 1; }; a.c = 2;` is one set. Whether it is recursive is what the first of them says, in Nix, too.
            (Some((_, _, BoundNode::Set { inner, .. })), BoundNode::Set { inner: more, .. }) => {
                inner.merge(*more);
            }
            // Nix refuses a second definition; the first one stays.
            (Some(_), _) => {}
            (None, node) => self.push(name, span, node),
        }
    }

    fn position(&self, name: &Name) -> Option<usize> {
        if self.entries.len() > FEW {
            return self.index.get(name).copied();
        }
        self.entries.iter().position(|(known, ..)| known == name)
    }

    fn push(&mut self, name: Name, span: Span, node: BoundNode) {
        self.entries.push((name, span, node));
        if self.entries.len() > FEW {
            for i in self.index.len()..self.entries.len() {
                self.index.insert(Rc::clone(&self.entries[i].0), i);
            }
        }
    }

    pub(crate) fn insert_path(
        &mut self,
        mut names: std::vec::IntoIter<(AttrName, Span)>,
        whole: Span,
        node: BoundNode,
    ) {
        let Some((first, span)) = names.next() else { return };
        let node = if names.len() == 0 {
            node
        } else {
            let mut inner = BindingsBuilder::default();
            inner.insert_path(names, whole, node);
            BoundNode::Set { recursive: false, span: whole, inner: Box::new(inner) }
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
                BoundNode::Bound(Bound::From(i)) => BoundNode::Bound(Bound::From(i + shift)),
                node => node,
            };
            self.insert(name, span, node);
        }
    }
}
