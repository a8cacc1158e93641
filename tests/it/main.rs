//! The integration tests: one crate, a file per subject.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod network;
mod support;
