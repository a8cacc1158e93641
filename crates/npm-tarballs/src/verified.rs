//! Verified bytes: a [`Tarball`] cannot be read to its end unless its bytes have the digest it is named by.
//!
//! Bytes arrive in a [`Receiver`], which hashes them on the way. What is larger than [`IN_MEMORY`] never sits whole in
//! memory: it goes to a [`SpillTarget`] (the store on disk, or an anonymous temporary file) while it arrives, and is kept
//! there only once the digest was right.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

use bytes::Bytes;

use crate::integrity::{ContentId, Hasher};
use crate::side_by_side::{Arriving, Content, SideBySide};

/// Bodies up to this size are held in memory; larger ones go to a [`SpillTarget`].
pub const IN_MEMORY: usize = 1 << 20;

/// A body brings so much at a time to be hashed beside others, so that eight pieces and what is made of them stay in a core's
/// cache.
const PIECE: usize = 64 << 10;

/// Where verified content lies when it is not in memory.
///
/// The implementation answers for the bytes, to those who read all of them: other bytes than the right ones are an
/// error of [`VerifiedContent::open`], or of the reader in place of the last bytes.
pub trait VerifiedContent: Send + Sync {
    /// A reader of all the bytes from the start. What it said is to be believed once the last byte was read.
    ///
    /// # Errors
    /// It is not there any more, or is damaged.
    fn open(&self) -> io::Result<Box<dyn Read + Send>>;
}

/// A place for bodies that are too large for memory.
pub trait SpillTarget: Send + Sync {
    /// Opens a draft for content that should turn out to be `id`.
    ///
    /// # Errors
    /// The disk takes nothing.
    fn begin(&self, id: &ContentId) -> io::Result<Box<dyn Draft>>;
}

/// Content on its way to a [`SpillTarget`]; dropping it discards it.
pub trait Draft: Send {
    /// Appends the next bytes.
    ///
    /// # Errors
    /// The disk takes no more.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Keeps the content. Called only once its digest was found to be right.
    ///
    /// # Errors
    /// The disk does not keep it.
    fn keep(self: Box<Self>) -> io::Result<Arc<dyn VerifiedContent>>;
}

/// A tarball whose bytes were verified, or are while they are read. Cheap to clone.
#[derive(Clone)]
pub struct Tarball {
    id: ContentId,
    len: u64,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Memory(Bytes),
    Spilled(Arc<dyn VerifiedContent>),
}

impl Tarball {
    /// Hashes `bytes` and accepts them if they are `id`.
    ///
    /// # Errors
    /// What the bytes are instead.
    pub fn verify(id: ContentId, bytes: Bytes) -> Result<Self, Box<Mismatch>> {
        let mut hasher = Hasher::new(id.algorithm());
        hasher.update(&bytes);
        let (got, len) = (hasher.finish(), bytes.len() as u64);
        if got != id {
            return Err(Box::new(Mismatch { expected: id, got, len }));
        }
        Ok(Self { id, len, body: Body::Memory(bytes) })
    }

    /// Bytes that are named by their own sha512, as repacked git archives are.
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        Self { id: ContentId::sha512_of(&bytes), len: bytes.len() as u64, body: Body::Memory(bytes) }
    }

    /// Bytes that the caller has just checked against a checksum made when they were verified.
    pub(crate) fn checked(id: ContentId, bytes: Bytes) -> Self {
        Self { id, len: bytes.len() as u64, body: Body::Memory(bytes) }
    }

    /// Verified content that lies elsewhere.
    pub(crate) fn on_disk(id: ContentId, len: u64, source: Arc<dyn VerifiedContent>) -> Self {
        Self { id, len, body: Body::Spilled(source) }
    }

    /// What the bytes are.
    #[must_use]
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, if they are in memory.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.body {
            Body::Memory(bytes) => Some(bytes),
            Body::Spilled(_) => None,
        }
    }

    /// A reader of the bytes from the start; each call gives an independent one.
    ///
    /// # Errors
    /// The file that holds them vanished, cannot be read, or was damaged; the latter may also be the reader's
    /// error in place of the last bytes (see [`VerifiedContent`]).
    pub fn reader(&self) -> io::Result<Reader> {
        Ok(match &self.body {
            Body::Memory(bytes) => Reader::Memory(Cursor::new(bytes.clone())),
            Body::Spilled(source) => Reader::Spilled(source.open()?),
        })
    }

    /// Reads all bytes, so that a later reader of only some of them can believe them.
    ///
    /// # Errors
    /// As for [`Tarball::reader`].
    pub fn prove(&self) -> io::Result<()> {
        match &self.body {
            Body::Memory(_) => Ok(()),
            Body::Spilled(_) => io::copy(&mut self.reader()?, &mut io::sink()).map(drop),
        }
    }

    /// The same tarball with its bytes spilled, so that it takes no memory while it waits.
    ///
    /// # Errors
    /// `place` does not take it, or the bytes are not on disk any more.
    pub fn park(self, place: &dyn SpillTarget) -> io::Result<Self> {
        let Body::Memory(bytes) = &self.body else { return Ok(self) };
        let mut draft = place.begin(&self.id)?;
        draft.write(bytes)?;
        Ok(Self { id: self.id, len: self.len, body: Body::Spilled(draft.keep()?) })
    }
}

impl fmt::Debug for Tarball {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tarball").field("id", &self.id).field("len", &self.len).finish_non_exhaustive()
    }
}

/// Reads a [`Tarball`].
pub enum Reader {
    /// From memory.
    Memory(Cursor<Bytes>),
    /// From a file.
    Spilled(Box<dyn Read + Send>),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Memory(cursor) => cursor.read(buffer),
            Self::Spilled(reader) => reader.read(buffer),
        }
    }
}

/// The bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("integrity mismatch: expected {expected}, got {got} ({len} bytes)")]
pub struct Mismatch {
    /// What the lockfile says.
    pub expected: ContentId,
    /// What arrived.
    pub got: ContentId,
    /// How many bytes arrived.
    pub len: u64,
}

/// Why a [`Receiver`] did not make a tarball.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Other bytes than expected arrived.
    #[error(transparent)]
    Mismatch(#[from] Box<Mismatch>),
    /// The bytes could not be put aside.
    #[error("cannot store the body on disk")]
    Spill(#[from] io::Error),
}

/// Takes a body as it arrives, hashing on the way, and ends as a [`Tarball`] or not at all.
pub struct Receiver {
    expected: ContentId,
    spill: Arc<dyn SpillTarget>,
    beside: Option<Arc<SideBySide>>,
    arriving: Option<Arriving>,
    len: u64,
    /// What came, but for what is in the draft already. It is away while it is hashed beside others, and stays away if that is
    /// given up: then nothing is left but a [`Receiver::reset`].
    content: Option<Content>,
    draft: Option<Box<dyn Draft>>,
}

impl Receiver {
    /// A receiver for content that should be `expected`; large bodies go to `spill`.
    #[must_use]
    pub fn new(expected: ContentId, spill: Arc<dyn SpillTarget>) -> Self {
        let mut receiver =
            Self { expected, spill, beside: None, arriving: None, len: 0, content: None, draft: None };
        receiver.reset();
        receiver
    }

    /// The same, for a body that may be hashed beside these (see [`Receiver::hash_beside_others`]).
    #[must_use]
    pub fn beside(self, others: Arc<SideBySide>) -> Self {
        let mut receiver = Self { beside: Some(others), ..self };
        receiver.reset();
        receiver
    }

    /// What is expected.
    #[must_use]
    pub fn expected(&self) -> ContentId {
        self.expected
    }

    /// Bytes received since the start or the last [`Receiver::reset`].
    #[must_use]
    pub fn received(&self) -> u64 {
        self.len
    }

    fn content(&mut self) -> io::Result<&mut Content> {
        self.content.as_mut().ok_or_else(|| io::ErrorKind::Interrupted.into())
    }

    /// Announces the body's length, if the server tells it; only saves work, nothing relies on it.
    ///
    /// # Errors
    /// A large body is announced and cannot be spilled.
    pub fn announce(&mut self, len: u64) -> Result<(), ReceiveError> {
        match usize::try_from(len) {
            Ok(len) if len <= IN_MEMORY => self.content()?.bytes.reserve_exact(len),
            _ if self.draft.is_none() => self.draft = Some(self.spill.begin(&self.expected)?),
            _ => {}
        }
        Ok(())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// It is more than was announced, or cannot be spilled.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), ReceiveError> {
        let held = self.content()?.bytes.len();
        if self.draft.is_none() && held + chunk.len() > IN_MEMORY {
            self.draft = Some(self.spill.begin(&self.expected)?);
        }
        self.len += chunk.len() as u64;
        if let Some(others) = &self.beside {
            self.arriving.get_or_insert_with(|| others.begin());
            others.received(chunk.len());
        }
        let content = self.content()?;
        // Nobody had it hashed beside others after the last bytes.
        if content.unhashed().len() >= PIECE {
            content.hash();
            self.put_aside()?;
        }
        self.content()?.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Hashes what came, beside other bodies, once it is worth while; all of it if the body is `whole`. Callers that do
    /// not wait need not call it: then the body is hashed alone.
    ///
    /// # Errors
    /// It cannot be spilled.
    pub async fn hash_beside_others(&mut self, whole: bool) -> Result<(), ReceiveError> {
        let least = if whole { 1 } else { PIECE };
        if let Some(others) = &self.beside
            && let Some(content) = self.content.take_if(|content| content.unhashed().len() >= least)
        {
            self.content = Some(others.hash(content).await);
            self.put_aside()?;
        }
        Ok(())
    }

    /// Moves what was hashed out of memory, if the body is too large for it.
    fn put_aside(&mut self) -> io::Result<()> {
        if let (Some(draft), Some(content)) = (&mut self.draft, &mut self.content) {
            draft.write(&content.bytes)?;
            content.bytes.clear();
            // A body of unknown length had up to a megabyte here before it was found to be large.
            content.bytes.shrink_to(4 * PIECE);
            content.hashed = 0;
        }
        Ok(())
    }

    /// Forgets everything received, for another attempt.
    pub fn reset(&mut self) {
        let hasher = if self.beside.is_some() { Hasher::among_others } else { Hasher::new };
        let hasher = hasher(self.expected.algorithm());
        self.content = Some(Content { hasher, bytes: Vec::new(), hashed: 0 });
        self.len = 0;
        self.arriving = None;
        self.draft = None;
    }

    /// The tarball, if what arrived is what was expected.
    ///
    /// Another attempt needs a [`Receiver::reset`] before.
    ///
    /// # Errors
    /// Other bytes came, or they cannot be kept.
    pub fn finish(&mut self) -> Result<Tarball, ReceiveError> {
        self.content()?.hash();
        self.put_aside()?;
        self.arriving = None;
        let (expected, len, draft) = (self.expected, self.len, self.draft.take());
        let Some(Content { hasher, bytes, .. }) = self.content.take() else {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        };
        let got = hasher.finish();
        if got != expected {
            return Err(Box::new(Mismatch { expected, got, len }).into());
        }
        let body = match draft {
            None => Body::Memory(bytes.into()),
            Some(draft) => Body::Spilled(draft.keep()?),
        };
        Ok(Tarball { id: expected, len, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::SpillFile;

    fn receive(expected: ContentId, chunks: &[&[u8]]) -> Result<Tarball, ReceiveError> {
        let mut receiver = Receiver::new(expected, Arc::new(SpillFile::default()));
        for chunk in chunks {
            receiver.write(chunk)?;
        }
        receiver.finish()
    }

    fn read(tarball: &Tarball) -> Vec<u8> {
        let mut bytes = Vec::new();
        tarball.reader().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn small_bodies_stay_in_memory_and_large_ones_do_not() {
        let small = b"small".as_slice();
        let tarball = receive(ContentId::sha512_of(small), &[b"sm", b"all"]).unwrap();
        assert_eq!(tarball.bytes().unwrap(), small);
        let large = vec![7; IN_MEMORY + 1];
        let (a, b) = large.split_at(IN_MEMORY);
        let tarball = receive(ContentId::sha512_of(&large), &[a, b]).unwrap();
        assert!(tarball.bytes().is_none());
        assert_eq!(tarball.len(), large.len() as u64);
        assert!(read(&tarball) == large && read(&tarball) == large);
    }

    #[test]
    fn other_bytes_are_refused_and_the_receiver_takes_another_attempt() {
        let id = ContentId::sha512_of(b"right");
        let mut receiver = Receiver::new(id, Arc::new(SpillFile::default()));
        receiver.write(b"wrong").unwrap();
        let Err(ReceiveError::Mismatch(mismatch)) = receiver.finish() else { panic!("accepted") };
        assert_eq!(*mismatch, Mismatch { expected: id, got: ContentId::sha512_of(b"wrong"), len: 5 });
        assert_eq!(receiver.received(), 5);
        receiver.reset();
        receiver.write(b"rig").unwrap();
        receiver.reset();
        receiver.announce(5).unwrap();
        receiver.write(b"right").unwrap();
        assert_eq!(receiver.finish().unwrap().id(), id);
        assert!(Tarball::verify(id, Bytes::from_static(b"wrong")).is_err());
    }

    /// A place that says when it is asked for room, and whose content turns out to be damaged.
    #[derive(Default)]
    struct Damaged(std::sync::atomic::AtomicUsize);

    impl SpillTarget for Damaged {
        fn begin(&self, _: &ContentId) -> io::Result<Box<dyn Draft>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(Box::new(Vec::new()))
        }
    }

    impl Draft for Vec<u8> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.extend_from_slice(bytes);
            Ok(())
        }

        fn keep(self: Box<Self>) -> io::Result<Arc<dyn VerifiedContent>> {
            Ok(Arc::new(*self))
        }
    }

    impl VerifiedContent for Vec<u8> {
        fn open(&self) -> io::Result<Box<dyn Read + Send>> {
            struct Cut;
            impl Read for Cut {
                fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                    Err(io::ErrorKind::InvalidData.into())
                }
            }
            Ok(Box::new(Cursor::new(self.clone()).chain(Cut)))
        }
    }

    #[test]
    fn one_mebibyte_stays_in_memory_and_what_is_announced_as_more_does_not() {
        let most = vec![7; IN_MEMORY];
        let target = Arc::new(Damaged::default());
        let begun = || target.0.load(std::sync::atomic::Ordering::Relaxed);
        let mut receiver = Receiver::new(ContentId::sha512_of(&most), target.clone());
        assert_eq!((receiver.expected(), receiver.received()), (ContentId::sha512_of(&most), 0));
        receiver.announce(IN_MEMORY as u64).unwrap();
        receiver.write(&most[1..]).unwrap();
        receiver.write(&most[..1]).unwrap();
        assert_eq!((receiver.received(), begun()), (IN_MEMORY as u64, 0));
        assert!(*receiver.finish().unwrap().bytes().unwrap() == most);
        receiver.reset();
        receiver.announce(IN_MEMORY as u64 + 1).unwrap();
        receiver.announce(u64::MAX).unwrap();
        assert_eq!(begun(), 1, "the room that was asked for is enough");
        receiver.write(b"little").unwrap();
        assert_eq!(receiver.received(), 6);
    }

    #[test]
    fn a_tarball_proves_its_bytes_wherever_they_are() {
        let tarball = Tarball::of(Bytes::from_static(b"some bytes"));
        tarball.prove().unwrap();
        assert_eq!((tarball.len(), tarball.is_empty()), (10, false));
        assert!(Tarball::of(Bytes::new()).is_empty());
        let parked = tarball.park(&Damaged::default()).unwrap();
        assert_eq!(parked.prove().unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(parked.id(), ContentId::sha512_of(b"some bytes"));
    }

    #[test]
    fn a_parked_tarball_reads_the_same() {
        let spill = SpillFile::default();
        let tarball = Tarball::of(Bytes::from_static(b"some bytes")).park(&spill).unwrap();
        assert!(tarball.bytes().is_none());
        assert_eq!(read(&tarball), b"some bytes");
        assert_eq!(tarball.park(&spill).unwrap().len(), 10);
    }

    /// Takes a body in pieces of `step` bytes, beside others.
    async fn receive_beside(
        others: Arc<SideBySide>,
        expected: ContentId,
        bytes: Vec<u8>,
        step: usize,
    ) -> Result<Vec<u8>, ReceiveError> {
        let mut receiver = Receiver::new(expected, Arc::new(SpillFile::default())).beside(others);
        if step.is_multiple_of(2) {
            receiver.announce(bytes.len() as u64)?;
        }
        for chunk in bytes.chunks(step) {
            receiver.write(chunk)?;
            receiver.hash_beside_others(false).await?;
        }
        receiver.hash_beside_others(true).await?;
        let tarball = receiver.finish()?;
        assert_eq!(tarball.bytes().is_some(), bytes.len() <= IN_MEMORY);
        Ok(read(&tarball))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn bodies_side_by_side_are_each_checked_against_their_own_digest() {
        let others = Arc::new(SideBySide::default());
        let lengths =
            [0, 1, 127, 128, PIECE - 1, PIECE, PIECE + 1, 300_000, IN_MEMORY, IN_MEMORY + 1, 3_000_001];
        let mut tasks = Vec::new();
        for (n, (length, step)) in
            lengths.iter().flat_map(|length| [(*length, 16_384), (*length, 9_999)]).enumerate()
        {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + n).to_le_bytes()[0]).collect();
            let id = ContentId::sha512_of(&bytes);
            let damaged = n % 5 == 4 && length > 0;
            let mut sent = bytes.clone();
            if damaged {
                sent[length / 2] ^= 1;
            }
            let got = ContentId::sha512_of(&sent);
            let task = tokio::spawn(receive_beside(Arc::clone(&others), id, sent, step));
            tasks.push((bytes, damaged.then_some(got), task));
        }
        for (bytes, damaged, task) in tasks {
            match (task.await.unwrap(), damaged) {
                (Ok(received), None) => assert!(received == bytes, "{} bytes", bytes.len()),
                (Err(ReceiveError::Mismatch(mismatch)), Some(got)) => {
                    assert_eq!((mismatch.got, mismatch.len), (got, bytes.len() as u64));
                }
                (result, _) => panic!("{} bytes: {}", bytes.len(), result.is_ok()),
            }
        }
    }

    /// A receiver beside others, to which so many bytes came at once.
    fn beside_with(length: usize) -> Receiver {
        let id = ContentId::sha512_of(&vec![5; length]);
        let mut receiver = Receiver::new(id, Arc::new(SpillFile::default())).beside(Arc::default());
        receiver.write(&vec![5; length]).unwrap();
        receiver
    }

    fn unhashed(receiver: &mut Receiver) -> usize {
        receiver.content().unwrap().unhashed().len()
    }

    #[tokio::test]
    async fn what_came_is_hashed_by_pieces_and_at_the_end_down_to_a_byte() {
        for (length, whole, left) in
            [(PIECE - 1, false, PIECE - 1), (PIECE, false, 0), (PIECE - 1, true, 0), (1, true, 0)]
        {
            let mut receiver = beside_with(length);
            receiver.hash_beside_others(whole).await.unwrap();
            assert_eq!(unhashed(&mut receiver), left, "{length} bytes, {whole}");
            receiver.finish().unwrap();
        }
    }

    #[test]
    fn a_whole_piece_that_nobody_had_hashed_is_before_more_is_taken() {
        for (length, left) in [(PIECE - 1, PIECE), (PIECE, 1), (PIECE + 1, 1)] {
            let mut receiver = beside_with(length);
            receiver.write(b"x").unwrap();
            assert_eq!(unhashed(&mut receiver), left, "{length} bytes");
        }
    }

    #[test]
    fn what_was_given_up_while_it_was_hashed_is_nothing_until_it_begins_again() {
        let id = ContentId::sha512_of(b"right");
        let mut receiver = Receiver::new(id, Arc::new(SpillFile::default()));
        receiver.write(b"wrong").unwrap();
        // What a dropped `hash_beside_others` leaves behind.
        receiver.content = None;
        let interrupted = |result: Result<(), ReceiveError>| matches!(result, Err(ReceiveError::Spill(error)) if error.kind() == io::ErrorKind::Interrupted);
        assert!(interrupted(receiver.write(b"right")) && interrupted(receiver.announce(5)));
        assert!(interrupted(receiver.finish().map(drop)));
        receiver.reset();
        receiver.write(b"right").unwrap();
        assert_eq!(receiver.finish().unwrap().len(), 5);
        assert!(interrupted(receiver.finish().map(drop)), "it was given away");
    }

    /// Where nobody has a body hashed beside others, it is hashed all the same, and does not pile up.
    #[test]
    fn a_body_that_nobody_has_hashed_beside_others_takes_no_more_memory() {
        let bytes = vec![5; 5 * IN_MEMORY];
        let mut receiver = Receiver::new(ContentId::sha512_of(&bytes), Arc::new(SpillFile::default()))
            .beside(Arc::default());
        receiver.announce(bytes.len() as u64).unwrap();
        for chunk in bytes.chunks(10_000) {
            receiver.write(chunk).unwrap();
            assert!(receiver.content().unwrap().bytes.capacity() <= 4 * PIECE);
        }
        assert!(read(&receiver.finish().unwrap()) == bytes);
    }
}
