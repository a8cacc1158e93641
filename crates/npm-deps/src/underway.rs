//! What is under way: the bytes that were asked for and have not come.
//!
//! A tree is hashed in one order, and not past what is missing. So what is asked for early has to come early, and that it does
//! only where little comes beside it: of 128 bodies at once that share a line, the large ones end last, whatever their turn
//! was, and all that was held up by them is hashed when the line is silent already.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use npm_registry::{CONNECTION_WINDOW, Retry, STREAM_WINDOW, Watch};
use tokio::sync::Notify;

use super::supply::Progress;

/// Of one body no more is on the way than its stream's window lets through.
const WINDOW: u64 = STREAM_WINDOW as u64;

/// So many bytes may always be under way.
const LEAST: u64 = 8 << 20;

/// And never more: the windows of four connections, as many as there are.
const MOST: u64 = 4 * CONNECTION_WINDOW as u64;

/// So many bodies run whatever is under way, that a few which stall do not hold up the others. From a near server all of them come
/// at once, and lie unread while some are hashed: with 16 a run of 893 MB took 10 MiB more. They are enough for the lanes in which
/// bodies are hashed together.
const SURELY_NEAR: usize = 6;

/// The same of a server that is far away, or not known yet: with fewer, 300 MB over a line of 1 Gbit/s take a fifth longer when
/// answers need 100 ms.
const SURELY_FAR: usize = 16;

/// A server is as far as can be when its answers take so long.
const FAR: Duration = Duration::from_millis(50);

/// A rate is not told from less time.
const MEASURED: Duration = Duration::from_millis(100);

/// Until a length is known, bodies are taken to be so large: as many as that are asked for then as are not too many whatever
/// they turn out to be.
const GUESS: u64 = 256 << 10;

/// The bytes under way of a run.
#[derive(Default)]
pub(super) struct Underway {
    line: Mutex<Line>,
    /// Told when something came.
    eased: Notify,
}

#[derive(Default)]
struct Line {
    /// When the first body began.
    since: Option<Instant>,
    received: u64,
    /// The shortest time from a request to the beginning of its body.
    delay: Option<Duration>,
    /// Bodies whose length is known, and those lengths together.
    bodies: u64,
    length: u64,
    /// What is on the way of all bodies.
    awaited: u64,
}

impl Line {
    /// What may be under way: twice what comes in the time that passes before an answer, so that the line is never silent.
    fn most(&self) -> u64 {
        let elapsed = self.since.map_or(MEASURED, |since| since.elapsed().max(MEASURED));
        let ahead = u128::from(self.received) * 2 * self.delay.unwrap_or_default().as_nanos();
        let ahead = u64::try_from(ahead / elapsed.as_nanos()).unwrap_or(MOST);
        ahead.clamp(LEAST, MOST)
    }
}

impl Underway {
    fn line(&self) -> MutexGuard<'_, Line> {
        // The sums are whole after every call on them.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether more may be asked for.
    pub(super) fn has_room(&self) -> bool {
        let line = self.line();
        line.awaited < line.most()
    }

    /// How many bodies may be under way whatever they are: the more the further away the server is.
    pub(super) fn surely(&self) -> usize {
        let delay = self.line().delay.unwrap_or(FAR).min(FAR);
        SURELY_NEAR
            + (SURELY_FAR - SURELY_NEAR) * delay.subsec_millis() as usize / FAR.subsec_millis() as usize
    }

    /// Waits until something came that was awaited.
    pub(super) async fn eased(&self) {
        self.eased.notified().await;
    }

    /// Notes that a body is asked for; it is awaited until what this returns is dropped.
    pub(super) fn await_body(self: &Arc<Self>, progress: Arc<dyn Progress>) -> Awaited {
        let mut line = self.line();
        // Until its length is known, it is taken to be as large as the others.
        let left = line.length.checked_div(line.bodies).unwrap_or(GUESS);
        line.awaited += left.min(WINDOW);
        drop(line);
        Awaited { underway: Arc::clone(self), progress, left: AtomicU64::new(left), asked: Instant::now() }
    }
}

/// A body that was asked for.
pub(super) struct Awaited {
    underway: Arc<Underway>,
    progress: Arc<dyn Progress>,
    asked: Instant,
    /// What is still to come of it.
    left: AtomicU64,
}

impl Awaited {
    /// Changes what is to come of it.
    fn set(&self, line: &mut Line, change: impl FnOnce(u64) -> u64) {
        let left = self.left.load(Ordering::Relaxed);
        let new = change(left);
        self.left.store(new, Ordering::Relaxed);
        line.awaited = line.awaited.saturating_sub(left.min(WINDOW)) + new.min(WINDOW);
        if line.awaited < line.most() {
            self.underway.eased.notify_one();
        }
    }
}

impl Watch for Awaited {
    fn begun(&self, len: Option<u64>) {
        self.progress.begun(len);
        let mut line = self.underway.line();
        line.since.get_or_insert_with(Instant::now);
        let delay = self.asked.elapsed();
        line.delay = Some(line.delay.map_or(delay, |shortest| shortest.min(delay)));
        if let Some(len) = len {
            line.bodies += 1;
            line.length = line.length.saturating_add(len);
            self.set(&mut line, |_| len);
        }
    }

    fn received(&self, bytes: u64) {
        self.progress.received(bytes);
        let mut line = self.underway.line();
        line.received += bytes;
        self.set(&mut line, |left| left.saturating_sub(bytes));
    }

    fn discarded(&self, bytes: u64) {
        self.progress.discarded(bytes);
    }

    fn retrying(&self, retry: &Retry<'_>) {
        self.progress.retrying(retry);
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut line = self.underway.line();
        self.set(&mut line, |_| 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;
    impl Watch for Nobody {}
    impl Progress for Nobody {}

    /// Asks for bodies as long as there is room.
    fn fill(underway: &Arc<Underway>) -> Vec<Awaited> {
        let mut awaited = Vec::new();
        while underway.has_room() {
            awaited.push(underway.await_body(Arc::new(Nobody)));
        }
        awaited
    }

    #[test]
    fn bodies_of_unknown_length_are_asked_for_by_the_dozen_and_small_ones_by_the_hundred() {
        let underway = Arc::new(Underway::default());
        let awaited = fill(&underway);
        assert_eq!(awaited.len(), 32);
        for body in &awaited {
            body.begun(Some(16 << 10));
        }
        assert_eq!(fill(&underway).len(), 512 - 32, "the others are taken to be as large");
    }

    #[test]
    fn a_large_body_counts_for_what_may_be_on_its_way() {
        let underway = Arc::new(Underway::default());
        let large = underway.await_body(Arc::new(Nobody));
        large.begun(Some(1 << 30));
        underway.line().delay = Some(Duration::ZERO);
        let other = underway.await_body(Arc::new(Nobody));
        assert!(!underway.has_room());
        large.received((1 << 30) - WINDOW);
        assert!(!underway.has_room(), "the window is full still");
        large.received(1);
        assert!(underway.has_room());
        drop(large);
        assert_eq!(underway.line().awaited, WINDOW);
        drop(other);
        assert_eq!(underway.line().awaited, 0);
    }

    /// Adds up what it is told.
    #[derive(Default)]
    struct Sums([AtomicU64; 4]);

    impl Sums {
        fn add(&self, which: usize, much: u64) {
            self.0[which].fetch_add(much, Ordering::Relaxed);
        }
    }

    impl Watch for Sums {
        fn begun(&self, len: Option<u64>) {
            self.add(0, len.unwrap_or_default());
        }

        fn received(&self, bytes: u64) {
            self.add(1, bytes);
        }

        fn discarded(&self, bytes: u64) {
            self.add(2, bytes);
        }

        fn retrying(&self, _: &Retry<'_>) {
            self.add(3, 1);
        }
    }

    impl Progress for Sums {}

    #[test]
    fn who_watches_is_told_of_all_that_comes() {
        let (underway, sums) = (Arc::new(Underway::default()), Arc::new(Sums::default()));
        let body = underway.await_body(Arc::clone(&sums) as Arc<dyn Progress>);
        body.begun(Some(30));
        body.received(7);
        body.received(5);
        body.discarded(12);
        let problem = npm_registry::Problem::TooLarge { limit: 1 };
        let url = "https://host.example/";
        let retry = Retry { url, attempts: 1, pause: Duration::ZERO, shared: false, problem: &problem };
        body.retrying(&retry);
        assert_eq!(sums.0.each_ref().map(|sum| sum.load(Ordering::Relaxed)), [30, 12, 12, 1]);
        assert_eq!(underway.line().received, 12);
    }

    #[test]
    fn what_arrives_faster_over_a_longer_way_needs_more_under_way() {
        let line = |received, delay| Line {
            since: Instant::now().checked_sub(Duration::from_secs(10)),
            received,
            delay: Some(Duration::from_millis(delay)),
            ..Line::default()
        };
        assert_eq!(line(100 << 20, 100).most(), LEAST, "2 MiB are on the way");
        let fast = line(3_000 << 20, 100).most();
        assert!((59 << 20..=60 << 20).contains(&fast), "{fast}");
    }

    #[test]
    fn a_near_server_sends_fewer_bodies_at_once_than_one_far_away() {
        let underway = Underway::default();
        assert_eq!(underway.surely(), SURELY_FAR, "nothing is known yet");
        for (delay, bodies) in [(0, SURELY_NEAR), (1, 6), (20, 10), (50, SURELY_FAR), (1500, SURELY_FAR)] {
            underway.line().delay = Some(Duration::from_millis(delay));
            assert_eq!(underway.surely(), bodies, "{delay} ms");
        }
    }

    #[tokio::test]
    async fn who_waits_for_room_is_told() {
        let underway = Arc::new(Underway::default());
        let awaited = fill(&underway);
        assert!(!underway.has_room());
        let soon = || tokio::time::timeout(Duration::from_millis(10), underway.eased());
        awaited[0].received(0);
        assert!(soon().await.is_err(), "nothing came");
        drop(awaited);
        underway.eased().await;
        assert!(underway.has_room());
    }
}
