//! The cases of `fixtures/nix`. The tests of the whole program that hold them, and random ones, against real Nix share
//! `evaluator` and `fixtures`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::PathBuf;

mod evaluator;
#[allow(dead_code, reason = "some of it is for real Nix only")]
mod fixtures;
mod sound;
mod surveyed;

/// All cases.
fn all() -> Vec<fixtures::Case> {
    fixtures::load_all(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/nix"))
}
