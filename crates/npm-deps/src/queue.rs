//! Which tree is taken up next.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::scheduler::TreeId;

/// Trees in the order in which they are taken up: the one with the most bytes on disk first, for a long one that comes
/// last would keep one thread busy and the others waiting.
#[derive(Default)]
pub(super) struct Queue(BTreeSet<(Reverse<u64>, TreeId)>);

impl Queue {
    /// Adds a tree with so many bytes on disk; one that is there already is not added twice.
    pub(super) fn push(&mut self, tree: TreeId, on_disk: u64) {
        self.0.insert((Reverse(on_disk), tree));
    }

    pub(super) fn pop(&mut self) -> Option<TreeId> {
        self.0.pop_first().map(|(_, tree)| tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_comes_first_and_the_earliest_of_equals() {
        let mut queue = Queue::default();
        for (tree, bytes) in [(0, 5), (3, 9), (1, 9), (2, 7), (3, 9)] {
            queue.push(tree, bytes);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [1, 3, 2, 0]);
    }
}
