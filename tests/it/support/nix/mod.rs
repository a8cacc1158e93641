//! Cases of `fixtures/nix`, the evaluator's answers to them, and real Nix as their judge.

#![allow(clippy::format_push_string, reason = "generated programs read best as one format string a line")]

#[path = "../../../../crates/nix-sites/tests/cases/evaluator.rs"]
pub mod evaluator;
#[path = "../../../../crates/nix-sites/tests/cases/fixtures.rs"]
pub mod fixtures;
pub mod oracle;
pub mod random_call;
pub mod random_flags;
pub mod random_nix;
pub mod random_phase;
pub mod random_pure;
