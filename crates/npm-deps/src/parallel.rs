//! Work that does not depend on its neighbours, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{panic, thread};

/// How many threads may work at once.
pub(crate) fn workers() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// What becomes of each item, in their order. Lockfiles are of very different sizes, so a thread that is done with one takes
/// the next.
pub fn map<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut all = thread::scope(|scope| {
        // Where the system gives no more threads, this one does all.
        let others = (1..workers().min(items.len()))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, share).ok())
            .collect::<Vec<_>>();
        let mut all = share();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_come_in_the_order_of_the_items_whoever_was_quicker() {
        let items: Vec<u64> = (0..500).collect();
        let slow_at_first = |item: &u64| {
            if *item < 3 {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            item * 2
        };
        assert_eq!(map(&items, slow_at_first), (0..500).map(|item| item * 2).collect::<Vec<_>>());
        assert_eq!(map(&[], slow_at_first), Vec::<u64>::new());
    }

    #[test]
    #[should_panic(expected = "of an item")]
    fn a_panic_is_that_of_the_caller() {
        map(&[1, 2, 3], |item| assert!(*item != 2, "of an item"));
    }
}
