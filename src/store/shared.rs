//! Tarballs that machines share.

use std::{
    fmt,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;

use crate::tarball::{Tarball, verified::Receiver};

/// Tarballs that other machines downloaded, and those of this one for them. That a tarball is there under a URL says that
/// some machine saw this URL serve it; its bytes speak for themselves.
///
/// Whoever implements it fails silently: what is not had from here is downloaded.
pub trait SharedTarballs: fmt::Debug + Send + Sync {
    /// Where they are, if they are read from: what a store learns of URLs by their word is remembered as that.
    fn word(&self) -> Option<String>;
    /// How long to wait for a tarball before the network is asked, too; `None` if nobody should ask here any longer.
    fn patience(&self) -> Option<Duration>;
    /// What this URL served, taken in by a receiver that knows what it has to be. It may take long, but ends by itself.
    fn get<'a>(&'a self, url: &'a str, receiver: Receiver) -> BoxFuture<'a, Answer>;
    /// Tells that somebody waited since then, and had to go elsewhere.
    fn lost(&self, since: Instant, until: Instant);
    /// Tells the others; may return before they know. What is to be replaced is written without a look whether it is there.
    fn put(&self, url: &str, tarball: Tarball, replace: bool);
}

/// What came of asking for a shared tarball.
#[derive(Debug)]
pub enum Answer {
    /// The tarball, verified.
    Here(Tarball),
    /// It is not there, or what is there are other bytes.
    Absent,
    /// Whether it is there is not known.
    Unknown,
}
