//! Cases of `fixtures/nix`, the evaluator's answers to them, and real Nix as their judge.

pub mod evaluator;
pub mod fixtures;
pub mod oracle;
pub mod random_nix;
pub mod random_phase;
