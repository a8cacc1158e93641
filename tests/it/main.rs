//! The integration tests: one crate, a file per subject. They need nothing but this repository.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod add;
mod add_to_store;
mod because;
mod bombs;
mod cold_as_warm;
mod commands;
mod drop_in;
mod elsewhere;
mod exit_codes;
mod explain;
mod findings;
#[cfg(feature = "fleet")]
mod fleet;
mod fleet_simulation;
mod git;
mod incomplete;
mod independent;
mod init;
mod judged;
mod kill;
mod logging;
mod lost_output;
mod merging;
mod network;
mod outputs;
mod pages;
mod relock;
mod repair;
mod reports;
mod sarif;
mod schemas;
mod scope;
mod security;
mod sites;
mod source;
mod store;
mod support;
mod tarball;
mod terminal;
mod truth;
mod update;
mod watch;
