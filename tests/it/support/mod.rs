//! What the tests share.

#![allow(dead_code, reason = "each crate of tests uses some of it")]

pub mod git;
pub mod nix;
pub mod pages;
pub mod program;
pub mod project;
pub mod registry;
pub mod situations;
pub mod truth;
