//! What the tests share.

#![allow(dead_code, reason = "each crate of tests uses some of it")]

use std::sync::LazyLock;

use tokio::runtime::{Builder, Handle, Runtime};

pub mod git;
pub mod nix;
pub mod pages;
pub mod program;
pub mod project;
pub mod registry;
pub mod situations;
pub mod truth;

/// Where all tests of a process do their asynchronous work.
pub fn runtime() -> Handle {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    RUNTIME.handle().clone()
}
