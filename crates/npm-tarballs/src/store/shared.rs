//! Tarballs that machines share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use crate::Tarball;
use crate::verified::Receiver;

/// Tarballs that other machines downloaded, and those of this one for them. That a tarball is there under a URL says that
/// some machine saw this URL serve it; its bytes speak for themselves.
///
/// An implementation fails silently: what is not had from here is downloaded.
pub trait SharedTarballs: fmt::Debug + Send + Sync {
    /// Where they are, if they are read from: what a store learns of URLs by their word is remembered as that.
    fn word(&self) -> Option<String>;
    /// How long to wait for a tarball before the network is asked, too; `None` if nobody should ask here any longer.
    fn patience(&self) -> Option<WaitingTime>;
    /// What this URL served, taken in by a receiver that knows what it has to be. It may take long, but ends by itself.
    fn get<'a>(&'a self, url: &'a str, receiver: Receiver, pace: &'a Pace) -> BoxFuture<'a, SharedAnswer>;
    /// Tells that somebody waited since then, and had to go elsewhere.
    fn lost(&self, since: Instant, until: Instant);
    /// Tells the others; may return before they know. What is to be replaced is written without a look whether it is there.
    fn put(&self, url: &str, tarball: Tarball, replace: bool);
}

/// How long to wait for a tarball alone.
#[derive(Debug, Clone, Copy)]
pub struct WaitingTime {
    /// For one that makes no promise.
    pub usual: Duration,
    /// For one that will be there by then, as its bytes come.
    pub longest: Duration,
}

/// How a tarball comes.
#[derive(Debug)]
pub struct Pace {
    began: Instant,
    received: AtomicU64,
    /// 0 while it is not known.
    length: AtomicU64,
}

impl Pace {
    /// It was asked for just now.
    #[must_use]
    pub fn begun() -> Self {
        Self { began: Instant::now(), received: AtomicU64::new(0), length: AtomicU64::new(0) }
    }

    /// So many bytes will come.
    pub fn announce(&self, length: u64) {
        self.length.store(length, Ordering::Relaxed);
    }

    /// So many bytes came.
    pub fn add(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether it will be there so long after it was asked for, if it goes on like this.
    #[must_use]
    pub fn promises(&self, within: Duration) -> bool {
        let (received, length) = (self.received.load(Ordering::Relaxed), self.length.load(Ordering::Relaxed));
        let needed = self.began.elapsed().as_nanos() * u128::from(length);
        received > 0 && length > 0 && needed <= within.as_nanos() * u128::from(received)
    }
}

/// What came of asking for a shared tarball.
#[derive(Debug)]
pub enum SharedAnswer {
    /// The tarball, verified.
    Here(Tarball),
    /// It is not there, or what is there are other bytes.
    Absent,
    /// Whether it is there is not known.
    Unknown,
}
