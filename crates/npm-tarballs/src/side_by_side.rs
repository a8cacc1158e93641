//! Bodies that arrive at one time are hashed together, where the processor can (see `sha512_lanes`).
//!
//! Each body brings a piece when one has come, and waits until it is hashed. The eighth piece makes a batch full, and who
//! brought it hashes the batch. Fewer are hashed by who brought the first of them, as soon as nothing more comes that could join
//! them: so a body that comes alone, or whose turn it is, waits for nobody.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha512_lanes::{LANES, side_by_side, update_together};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::integrity::{Hasher, RunningDigest};

/// After so long without a byte, the others are waiting for the line, and no longer for a core.
const QUIET: Duration = Duration::from_micros(30);

/// So long a piece waits for others while they come; as long as it takes to hash a megabyte alone.
const LONGEST: Duration = Duration::from_millis(2);

/// Bodies that arrive at one time.
pub struct SideBySide {
    /// Whether there are lanes. Elsewhere each body is hashed as it comes.
    lanes: bool,
    batch: Mutex<Batch>,
    /// Bodies of which something has come, and not all.
    arriving: AtomicUsize,
    /// What has come of all bodies, in bytes.
    arrived: AtomicU64,
}

/// The pieces that wait.
#[derive(Default)]
struct Batch {
    /// Counts the batches.
    number: u64,
    pieces: Vec<Piece>,
}

/// What is to be hashed, and who waits for it.
struct Piece {
    content: Content,
    hashed: oneshot::Sender<Content>,
}

/// What came of a body: its digest so far, and the bytes that are at hand.
pub(crate) struct Content {
    pub(crate) hasher: Hasher,
    pub(crate) bytes: Vec<u8>,
    /// How many of the bytes the digest has seen.
    pub(crate) hashed: usize,
}

impl Content {
    /// The bytes that the digest has not seen.
    pub(crate) fn unhashed(&self) -> &[u8] {
        &self.bytes[self.hashed..]
    }

    /// Hashes what is left, alone.
    pub(crate) fn hash(&mut self) {
        self.hasher.update(&self.bytes[self.hashed..]);
        self.hashed = self.bytes.len();
    }
}

/// A body that arrives, until this is dropped.
pub(crate) struct Arriving(Arc<SideBySide>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.arriving.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for SideBySide {
    fn default() -> Self {
        Self::new(side_by_side())
    }
}

impl SideBySide {
    fn new(lanes: bool) -> Self {
        Self { lanes, batch: Mutex::default(), arriving: AtomicUsize::new(0), arrived: AtomicU64::new(0) }
    }

    /// A body begins to arrive.
    pub(crate) fn begin(self: &Arc<Self>) -> Arriving {
        self.arriving.fetch_add(1, Ordering::Relaxed);
        Arriving(Arc::clone(self))
    }

    /// Bytes of a body came.
    pub(crate) fn received(&self, bytes: usize) {
        self.arrived.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Hashes what is left of a content, beside others.
    pub(crate) async fn hash(&self, mut content: Content) -> Content {
        if !self.lanes || matches!(content.hasher.0, RunningDigest::Sha1(_)) {
            content.hash();
            return content;
        }
        self.in_batch(content).await
    }

    async fn in_batch(&self, content: Content) -> Content {
        let (hashed, answer) = oneshot::channel();
        let (number, first) = self.bring(Piece { content, hashed });
        let lead = first.then(|| Lead { bodies: self, number });
        if lead.is_some() {
            self.wait_for_others(number).await;
        }
        drop(lead);
        answer.await.expect("bug: a batch answers for each of its pieces")
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        // Nothing that can fail is done under the lock.
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a piece into the batch, and hashes that if it is full. The number of the batch, and whether the piece is its first.
    fn bring(&self, piece: Piece) -> (u64, bool) {
        let mut batch = self.batch();
        batch.pieces.push(piece);
        let (number, first) = (batch.number, batch.pieces.len() == 1);
        if batch.pieces.len() >= LANES {
            let pieces = batch.take();
            drop(batch);
            hash_all(pieces);
        }
        (number, first)
    }

    /// Whether the batch is still open, and there are bodies that may bring a piece.
    fn may_grow(&self, number: u64) -> bool {
        let batch = self.batch();
        batch.number == number && batch.pieces.len() < self.arriving.load(Ordering::Relaxed)
    }

    /// Waits as long as the batch may still become larger.
    async fn wait_for_others(&self, number: u64) {
        let begun = Instant::now();
        let (mut quiet_since, mut arrived) = (begun, self.arrived.load(Ordering::Relaxed));
        while self.may_grow(number) {
            yield_now().await;
            let (now, arrived_since) = (Instant::now(), self.arrived.load(Ordering::Relaxed));
            if arrived_since != arrived {
                (quiet_since, arrived) = (now, arrived_since);
            } else if now - quiet_since >= QUIET {
                return;
            }
            if now - begun >= LONGEST {
                return;
            }
        }
    }
}

impl Batch {
    fn take(&mut self) -> Vec<Piece> {
        self.number += 1;
        std::mem::take(&mut self.pieces)
    }
}

/// The duty of who brought the first piece of a batch, also if it does not wait for the end: the others wait for it.
struct Lead<'a> {
    bodies: &'a SideBySide,
    number: u64,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut batch = self.bodies.batch();
        if batch.number == self.number {
            let pieces = batch.take();
            drop(batch);
            hash_all(pieces);
        }
    }
}

fn hash_all(mut pieces: Vec<Piece>) {
    let mut due = Vec::with_capacity(pieces.len());
    for Piece { content, .. } in &mut pieces {
        let Content { hasher, bytes, hashed } = content;
        if let RunningDigest::Sha512(hash) = &mut hasher.0 {
            due.push((hash, &bytes[*hashed..]));
            *hashed = bytes.len();
        }
    }
    update_together(&mut due);
    for Piece { content, hashed } in pieces {
        // Who does not wait any longer does not want it.
        let _ = hashed.send(content);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use sha512_lanes::Sha512;
    use tokio::time::timeout;

    use super::*;
    use crate::integrity::{Algorithm, ContentId};
    use crate::spill::SpillFile;
    use crate::verified::Receiver;

    /// A piece that lanes take on any machine.
    fn content(bytes: &[u8]) -> Content {
        Content {
            hasher: Hasher(RunningDigest::Sha512(Sha512::for_lanes())),
            bytes: bytes.to_vec(),
            hashed: 0,
        }
    }

    async fn digest(bodies: Arc<SideBySide>, bytes: Vec<u8>) -> (ContentId, Vec<u8>) {
        let _arriving = bodies.begin();
        let done = bodies.hash(content(&bytes)).await;
        assert!(done.unhashed().is_empty());
        (done.hasher.finish(), done.bytes)
    }

    fn of_length(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at * 31 + length).to_le_bytes()[0]).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn each_of_many_gets_its_own_digest_and_its_own_bytes_back() {
        for lanes in [true, false] {
            let bodies = Arc::new(SideBySide::new(lanes));
            let length = |n: usize| [n, n * 97, 128 * n][n % 3];
            let tasks: Vec<_> =
                (0..300).map(|n| tokio::spawn(digest(Arc::clone(&bodies), of_length(length(n))))).collect();
            for (n, task) in tasks.into_iter().enumerate() {
                let bytes = of_length(length(n));
                assert_eq!(task.await.unwrap(), (ContentId::sha512_of(&bytes), bytes), "{n}, {lanes}");
            }
            assert_eq!(bodies.arriving.load(Ordering::Relaxed), 0);
            assert!(bodies.batch().pieces.is_empty());
        }
    }

    #[tokio::test]
    async fn a_body_that_is_alone_waits_for_nobody() {
        let bodies = Arc::new(SideBySide::new(true));
        let mut hashing = pin!(digest(Arc::clone(&bodies), of_length(1000)));
        let first = poll_fn(|context| Poll::Ready(hashing.as_mut().poll(context))).await;
        assert!(first.is_ready());
    }

    #[tokio::test]
    async fn without_lanes_a_body_waits_for_nobody_either() {
        let bodies = Arc::new(SideBySide::new(false));
        let _others = [bodies.begin(), bodies.begin(), bodies.begin()];
        let mut hashing = pin!(digest(Arc::clone(&bodies), of_length(1000)));
        let Poll::Ready((id, bytes)) = poll_fn(|context| Poll::Ready(hashing.as_mut().poll(context))).await
        else {
            panic!("it waits")
        };
        assert_eq!((id, bytes), (ContentId::sha512_of(&of_length(1000)), of_length(1000)));
        assert_eq!(bodies.batch().number, 0, "no batch was made");
    }

    #[tokio::test]
    async fn bodies_that_stand_still_hold_up_nobody() {
        let bodies = Arc::new(SideBySide::new(true));
        let _others = [bodies.begin(), bodies.begin(), bodies.begin()];
        let hashing = digest(Arc::clone(&bodies), of_length(1000));
        assert_eq!(timeout(Duration::from_mins(1), hashing).await.unwrap().1, of_length(1000));
    }

    /// Brings a piece, and gives up before the batch is hashed.
    async fn brought_and_given_up(bodies: &Arc<SideBySide>, length: usize) {
        let mut hashing = pin!(bodies.in_batch(content(&of_length(length))));
        let first = poll_fn(|context| Poll::Ready(hashing.as_mut().poll(context))).await;
        assert!(first.is_pending());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_no_one_behind() {
        let bodies = Arc::new(SideBySide::new(true));
        let _others = [bodies.begin(), bodies.begin(), bodies.begin()];
        // The first, whose duty the batch is, gives up; the second is still served.
        let mut first = Box::pin(bodies.in_batch(content(&of_length(10))));
        assert!(poll_fn(|context| Poll::Ready(first.as_mut().poll(context))).await.is_pending());
        let second = tokio::spawn(digest(Arc::clone(&bodies), of_length(2000)));
        yield_now().await;
        assert_eq!(bodies.batch().pieces.len(), 2);
        drop(first);
        let (id, _) = timeout(Duration::from_mins(1), second).await.unwrap().unwrap();
        assert_eq!(id, ContentId::sha512_of(&of_length(2000)));
        // A piece of somebody who is gone is hashed for nobody.
        brought_and_given_up(&bodies, 500).await;
        assert!(bodies.batch().pieces.is_empty());
    }

    #[tokio::test]
    async fn the_eighth_piece_is_not_waited_beyond() {
        let bodies = Arc::new(SideBySide::new(true));
        let _others: Vec<_> = (0..100).map(|_| bodies.begin()).collect();
        let mut waiting: Vec<_> =
            (0..LANES).map(|n| Box::pin(bodies.in_batch(content(&of_length(n))))).collect();
        for (n, hashing) in waiting.iter_mut().enumerate() {
            let done = poll_fn(|context| Poll::Ready(hashing.as_mut().poll(context))).await;
            assert_eq!(done.is_ready(), n + 1 == LANES, "{n}");
        }
        assert_eq!(bodies.batch().number, 1);
    }

    /// What came in two parts, of which neither is worth a hash of its own, is one piece of a batch.
    #[tokio::test]
    async fn a_receiver_beside_others_brings_what_it_has_not_hashed() {
        let bodies = Arc::new(SideBySide::new(true));
        let id = ContentId::sha512_of(b"some");
        let mut receiver = Receiver::new(id, Arc::new(SpillFile::default())).beside(Arc::clone(&bodies));
        receiver.write(b"some").unwrap();
        receiver.write(b"").unwrap();
        receiver.hash_beside_others(true).await.unwrap();
        assert_eq!(bodies.batch().number, 1);
        assert_eq!(receiver.finish().unwrap().id(), id);
    }

    #[tokio::test]
    async fn old_integrities_are_hashed_at_once() {
        let bodies = Arc::new(SideBySide::new(true));
        let _others = [bodies.begin(), bodies.begin()];
        let (mut old, hasher) = (content(b"some"), Hasher::new(Algorithm::Sha1));
        old.hasher = hasher;
        let done = bodies.hash(old).await;
        assert_eq!(done.hasher.finish().hex(), "eb875812858d27b22cb2b75f992dffadc1b05c66");
    }
}
