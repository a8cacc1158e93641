//! The real-parts run: this tool beside the programs and services it replaces or serves.
//!
//! It needs what a user's machine has (GNU gzip and tar, Nix, npm, the registry) and fails, rather than passes by doing
//! nothing, where a part is missing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(clippy::print_stdout, reason = "how much was compared is a result too")]

mod action;
mod action_forge;
mod add_shapes;
#[path = "../it/source/archives.rs"]
#[allow(dead_code, reason = "the other tests use the rest")]
mod archives;
mod binary_cache;
mod clouds;
mod conformance;
mod credentials;
mod examples;
mod faults;
mod fixed_output;
mod gzip;
mod in_step;
#[path = "../../crates/gnu-archive/tests/gnu/inputs.rs"]
mod inputs;
mod nix_cached;
mod nix_calls;
mod nix_flags;
mod nix_oracle;
mod nix_random;
mod nix_store;
mod npm_ci;
mod npm_clis;
mod own_flake;
mod pages;
mod repack;
mod repair;
mod running;
mod s3;
mod shell_phases;
mod sources;
#[path = "../it/support/mod.rs"]
mod support;
mod tarballs;
mod ten_services;
mod truth;
mod verdaccio;

/// A number from the environment, to make a run longer or another.
#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// A variable of this process, to be handed on.
#[expect(clippy::disallowed_methods, reason = "a test is its own shell")]
fn inherited(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
